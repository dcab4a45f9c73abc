"""Which line of text a tool call asked about, on which photo it was read, and where."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Line(NamedTuple):
    """A line of text on a photo."""

    photo_id: str
    """As the step that read it names the photo."""
    box: Any
    """Pixels, as JSON."""


def line_asked(
    arguments: Mapping[str, Any],
    data: Mapping[str, Any],
    steps: Iterable[tuple[str, Mapping[str, Any], Mapping[str, Any]]],
) -> Line | None:
    """Return the line that a call is about; None where it asked about no text that was read.

    Of several lines it is the one that the tool names first as a clue, else the first asked for;
    read more than once, in a crop or on a further photo, the one that was read first.

    Args:
        arguments: of the call.
        data: of its outcome.
        steps: tool, arguments and data of every step, in order.
    """
    clues = data.get("clues")
    named = [one.get("text") for one in (clues if isinstance(clues, list) else ())
             if isinstance(one, dict)]  # fmt: skip
    texts = arguments.get("texts")
    asked = [*named, arguments.get("name"), *(texts if isinstance(texts, list) else ())]
    lines = _lines(steps)
    return next((lines[text] for text in asked if isinstance(text, str) and text in lines), None)


def _lines(
    steps: Iterable[tuple[str, Mapping[str, Any], Mapping[str, Any]]],
) -> dict[str, Line]:
    found: dict[str, Line] = {}
    for tool, arguments, data in steps:
        read = data.get("lines") if tool == "read_text" else None
        for line in read if isinstance(read, list) else ():
            if isinstance(line, dict):
                place = Line(str(arguments.get("photo_id") or ""), line.get("box"))
                found.setdefault(str(line.get("text")), place)
    return found
