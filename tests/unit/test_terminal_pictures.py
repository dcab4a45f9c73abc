"""Pictures and maps for terminals: what each can show, and that it is the picture."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from cli.terminal_map import map_text, near_frame, world_frame
from cli.terminal_pictures import Terminal, Way, fitting, picture, sixel, way_of
from tests.unit.report_samples import located

GRID = Image.fromarray(np.arange(24 * 36 * 3, dtype=np.uint8).reshape(24, 36, 3))


def console(**more: object) -> Console:
    options: dict[str, object] = {
        "file": io.TextIOWrapper(io.BytesIO(), "utf-8"), "force_terminal": True,
        "color_system": "truecolor", "width": 80, "_environ": {"TERM": "xterm"}, **more,
    }  # fmt: skip
    return Console(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "way"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"), ({"KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm"), ({"LC_TERMINAL": "iTerm2"}, "iterm"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm"), ({"TERM": "foot"}, "sixel"),
        ({"TERM": "xterm-256color"}, "blocks"), ({"TERM": "tmux-256color"}, "blocks"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/x,1,0"}, "blocks"),
        ({"TERM": "xterm-kitty", "GRATICULE_PICTURES": "none"}, "none"),
        ({"TERM": "xterm", "GRATICULE_PICTURES": "sixel"}, "sixel"),
    ],
)  # fmt: skip
def test_the_way_is_what_the_terminal_says_of_itself(
    told: dict[str, str], way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID", "TMUX", "STY", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert way_of(console()) == way


def test_nothing_is_drawn_where_nothing_can_be_seen() -> None:
    kitty = Terminal(TERM="xterm-kitty")
    for other in (
        console(force_terminal=False), console(no_color=True),
        console(_environ={"TERM": "dumb"}, color_system="auto"),
    ):  # fmt: skip
        assert way_of(other, kitty) == "none"
    plain = Terminal(TERM="xterm")
    assert way_of(console(color_system="standard"), plain) == "none"
    latin = console(file=io.TextIOWrapper(io.BytesIO(), "latin-1"))
    assert way_of(latin, plain) == "none"
    assert picture(GRID, "none", 40, 10) is None


def drawn(way: Way, image: Image.Image = GRID) -> str:
    held = console()
    shown = picture(image, way, 36, 12)
    assert shown is not None
    held.print(shown)
    file = held.file
    assert isinstance(file, io.TextIOWrapper)
    file.flush()
    buffer = file.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def test_half_blocks_are_the_pixels() -> None:
    found = re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m▀", drawn("blocks"))
    columns, lines = fitting(GRID.size, 36, 12)
    assert len(found) == columns * lines
    cells = np.array(found, dtype=int).reshape(lines, columns, 2, 3)
    again = cells.transpose(0, 2, 1, 3).reshape(2 * lines, columns, 3)
    expected = np.asarray(GRID.resize((columns, 2 * lines), Image.Resampling.LANCZOS))
    assert (again == expected).all()


def test_kitty_and_iterm_carry_the_picture() -> None:
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", drawn("kitty"))
    assert [head[-1] for head, _ in pieces] == ["1"] * (len(pieces) - 1) + ["0"]
    assert all(len(data) <= 4096 for _, data in pieces)
    carried = [base64.b64decode("".join(data for _, data in pieces))]
    found = re.search(r"\x1b\]1337;File=([^:]*):([^\x07]*)\x07", drawn("iterm"))
    assert found
    carried.append(base64.b64decode(found[2]))
    assert f"size={len(carried[1])};" in found[1]
    for data in carried:
        image = Image.open(io.BytesIO(data))
        assert abs(image.width / image.height - GRID.width / GRID.height) < 0.1


def test_sixels_are_the_pixels() -> None:
    image = Image.new("RGB", (7, 9), (255, 0, 0))
    image.paste((0, 0, 255), (2, 3, 7, 8))
    code = sixel(image)
    palette = {int(n): tuple(map(int, rgb.split(";")))
               for n, rgb in re.findall(r"#(\d+);2;(\d+;\d+;\d+)", code)}  # fmt: skip
    body = code.split("#", 1)[1].rsplit("\x1b", 1)[0]
    body = re.sub(r"^.*?;2;\d+;\d+;\d+(?=#\d+[^;\d])", "", "#" + body, flags=re.DOTALL)
    again = np.zeros((9, 7, 3), dtype=int)
    x, top, colour = 0, 0, 0
    for mark in re.finditer(r"#(\d+)|!(\d+)(.)|([?-~])|([$-])", body):
        if mark[1]:
            colour = int(mark[1])
        elif mark[5]:
            x, top = 0, top + 6 * (mark[5] == "-")
        else:
            bits, count = ord(mark[3] or mark[4]) - 63, int(mark[2] or 1)
            for row in range(6):
                if bits >> row & 1:
                    again[top + row, x : x + count] = palette[colour]
            x += count
    assert (again == np.asarray(image).astype(int) * 100 // 255).all()


def test_a_map_marks_the_answer_where_it_is() -> None:
    answer = located()
    frame = world_frame(72)
    lines = map_text(answer, frame).plain.split("\n")
    row = next(number for number, line in enumerate(lines) if "X" in line)
    assert abs((80 - (row + 0.5) / frame.lines * 138) - 43.3) < 8
    assert abs((lines[row].index("X") + 0.5) / 72 * 360 - 180 - 5.4) < 5
    plain = map_text(answer, frame, unicode=False).plain
    assert plain.isascii()
    assert "X" in plain


def test_a_close_map_crosses_the_antimeridian() -> None:
    answer = located()
    assert answer.radii is not None
    wide = answer.radii.model_copy(update={"km_50": 300.0, "km_95": 900.0})
    there = answer.model_copy(update={"latitude": -17.0, "longitude": 179.9, "radii": wide})
    frame = near_frame(there, 64)
    assert frame is not None
    text = map_text(there, frame, unicode=False).plain.split("\n")
    middle = next(line for line in text if "X" in line)
    assert middle.index("X") == 32
    assert middle.count("o") == 4  # both circles, on both sides
    assert near_frame(there.model_copy(update={"radii": None}), 64) is None
