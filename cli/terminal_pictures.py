"""Pictures in the terminal: kitty's and iTerm2's protocols, sixels, or coloured half blocks.

What a terminal can show is taken from what it says of itself in the environment; it is not asked,
because the answer of one that does not know the question would be typed into the prompt. Where
nothing is said, half blocks are shown in 256 colours or more, and nothing in fewer.
"""

import base64
import io
from collections.abc import Iterator
from typing import Literal

from PIL import Image
from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import ControlType, Segment
from rich.style import Style

Way = Literal["kitty", "iterm", "sixel", "blocks", "none"]
CELL_PX = (9, 18)
"""Width and height of a character in pixels, about; only the ratio shows."""
PIECE = 4096
"""Bytes of base64 in one of kitty's commands."""
SIXEL_COLOURS = 128


class Terminal(BaseSettings):
    """What a terminal says of itself, and what the person chose."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    pictures: Way | Literal["auto"] = Field("auto", validation_alias="GRATICULE_PICTURES")
    term: str = Field("", validation_alias="TERM")
    program: str = Field("", validation_alias=AliasChoices("TERM_PROGRAM", "LC_TERMINAL"))
    kitty: str = Field("", validation_alias="KITTY_WINDOW_ID")
    multiplexer: str = Field("", validation_alias=AliasChoices("TMUX", "STY"))


def way_of(console: Console, terminal: Terminal | None = None) -> Way:
    """Return how pictures can be shown on a console; `none` where they should not be.

    Args:
        console: pipes, `NO_COLOR` and `TERM=dumb` show none, whatever was chosen.
        terminal: what it says of itself, by default in the environment.
    """
    terminal = terminal or Terminal()
    if not console.is_terminal or console.is_dumb_terminal or console.no_color:
        return "none"
    if terminal.pictures != "auto":
        return terminal.pictures
    return _own_way(terminal) or _blocks(console)


def _own_way(terminal: Terminal) -> Way | None:
    """Return the protocol of a terminal that is known to have one."""
    if terminal.multiplexer or terminal.term.startswith(("screen", "tmux")):
        return None  # it would take the picture for text
    if terminal.kitty or terminal.term in ("xterm-kitty", "xterm-ghostty"):
        return "kitty"
    if terminal.program in ("iTerm.app", "iTerm2", "WezTerm"):
        return "iterm"
    if terminal.program == "ghostty":
        return "kitty"
    return "sixel" if terminal.term.startswith(("foot", "mlterm", "yaft")) else None


def _blocks(console: Console) -> Way:
    colours = console.color_system in ("256", "truecolor")
    return "blocks" if colours and console.encoding.startswith("utf") else "none"


def picture(image: Image.Image, way: Way, width: int, height: int) -> RenderableType | None:
    """Return a picture for the terminal, or None where none is shown.

    Args:
        image: of any mode and size.
        way: see `way_of`.
        width: columns it may take.
        height: lines it may take.
    """
    if way == "none":
        return None
    columns, lines = fitting(image.size, width, height)
    image = image.convert("RGB")
    if way == "blocks":
        return HalfBlocks(image.resize((columns, 2 * lines), Image.Resampling.LANCZOS))
    size = columns * CELL_PX[0], lines * CELL_PX[1]
    image = image.resize(size, Image.Resampling.LANCZOS)
    shown = {"kitty": kitty, "iterm": iterm}.get(way)
    return Raw(shown(image, columns, lines) if shown else sixel(image))


def fitting(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Return columns and lines that hold a picture of `size` in pixels without distortion."""
    ratio = size[0] / size[1] * CELL_PX[1] / CELL_PX[0]  # columns a line
    columns = min(width, height * ratio)
    return max(1, round(columns)), max(1, min(height, round(columns / ratio)))


class HalfBlocks:
    """Two pixels a character, one above the other.

    Args:
        image: RGB, as wide as the columns and twice as high as the lines it takes.
    """

    def __init__(self, image: Image.Image) -> None:
        self.image = image

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines."""
        width, height = self.image.size
        data = self.image.tobytes()
        for y in range(0, height - 1, 2):
            for x in range(width):
                upper, lower = (_colour(data, 3 * (row * width + x)) for row in (y, y + 1))
                yield Segment("▀", Style(color=upper, bgcolor=lower))
            yield Segment.line()


def _colour(data: bytes, at: int) -> Color:
    return Color.from_rgb(data[at], data[at + 1], data[at + 2])


class Raw:
    """A picture as bytes for the terminal itself, which rich shall neither measure nor change."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield it, and a new line."""
        yield Segment(self.code, None, [(ControlType.HOME,)])  # any: it has no width then
        yield Segment.line()


def kitty(image: Image.Image, columns: int, lines: int) -> str:
    """Return kitty's graphics command: sw.kovidgoyal.net/kitty/graphics-protocol."""
    data = base64.b64encode(_png(image)).decode()
    pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
    head = f"a=T,f=100,q=2,c={columns},r={lines},"
    code = ""
    for number, piece in enumerate(pieces, start=1):
        code += f"\x1b_G{head}m={int(number < len(pieces))};{piece}\x1b\\"
        head = ""
    return code


def iterm(image: Image.Image, columns: int, lines: int) -> str:
    """Return iTerm2's inline image: iterm2.com/documentation-images.html."""
    data = _png(image)
    told = f"inline=1;size={len(data)};width={columns};height={lines};preserveAspectRatio=1"
    return f"\x1b]1337;File={told}:{base64.b64encode(data).decode()}\x07"


def sixel(image: Image.Image) -> str:
    """Return a picture as sixels: DEC STD 070, chapter 5: six rows at a time, colour by colour."""
    reduced = image.quantize(SIXEL_COLOURS)
    palette = reduced.getpalette() or []
    width, height = reduced.size
    pixels = reduced.tobytes()
    used = sorted(set(pixels))
    code = f'\x1bPq"1;1;{width};{height}' + "".join(
        f"#{one};2;" + ";".join(str(round(part / 2.55)) for part in palette[3 * one : 3 * one + 3])
        for one in used
    )
    for top in range(0, height, 6):
        rows = [pixels[y * width : (y + 1) * width] for y in range(top, min(top + 6, height))]
        code += "$".join(_band(rows, one) for one in sorted(set(b"".join(rows)))) + "-"
    return code + "\x1b\\"


def _band(rows: list[bytes], colour: int) -> str:
    """Return one colour of six rows, runs of the same sixel written once."""
    marks = [
        sum(1 << bit for bit, row in enumerate(rows) if row[x] == colour)
        for x in range(len(rows[0]))
    ]  # fmt: skip
    return f"#{colour}" + "".join(
        f"!{count}{chr(63 + mark)}" if count > 3 else chr(63 + mark) * count
        for mark, count in _runs(marks)
    )


def _runs(marks: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for end in range(1, len(marks) + 1):
        if end == len(marks) or marks[end] != marks[start]:
            yield marks[start], end - start
            start = end


def _png(image: Image.Image) -> bytes:
    held = io.BytesIO()
    image.save(held, "PNG")
    return held.getvalue()
