"""On which photo something was read, and where on it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import JsonValue, ValidationError

from agent.answer import Answer, Step
from agent.text_lines import line_asked
from tools.evidence import Box

if TYPE_CHECKING:
    from agent.report_page import EvidenceView

MOST_READ = 60


@dataclass(frozen=True)
class PhotoView:
    """Another photo of the place, and the evidence read on it; `uri` is empty where it is gone."""

    number: int
    photo_id: str
    uri: str
    boxes: "tuple[EvidenceView, ...]"


@dataclass(frozen=True)
class ReadView:
    """A line of text that was read on the photo, evidence or not: where, and in which step."""

    style: str
    text: str
    step: int


def read_on(answer: Answer, photo_id: str, size: tuple[int, int]) -> tuple[ReadView, ...]:
    """Return every line of text that was read on a photo, at most `MOST_READ`.

    Args:
        answer: its steps say what was read.
        photo_id: of the photo.
        size: width and height of the photo in pixels.
    """
    views = []
    for step in answer.steps:
        lines = step.data.get("lines") if step.tool == "read_text" else None
        if isinstance(lines, list) and photo_of(answer, step) == photo_id:
            views += [_read(line, step.number, size) for line in lines if isinstance(line, dict)]
    return tuple(view for view in views if view.style)[:MOST_READ]


def _read(line: dict[str, JsonValue], step: int, size: tuple[int, int]) -> ReadView:
    try:
        box = Box.model_validate(line.get("box"))
    except ValidationError:  # of another version
        return ReadView("", "", step)
    return ReadView(box_style(box, size), str(line.get("text", "")), step)


def photo_of(answer: Answer, step: Step | None) -> str:
    """Return the photo that a step looked at: by default the one to locate.

    A step that asked about text is about the photo on which that was read.
    What is none of the answer's photos, such as a part of one that was cut out, is returned as
    the step names it.
    """
    named = step.arguments.get("photo_id") if step else None
    if step is not None and not named:
        read = [(one.tool, one.arguments, one.data) for one in answer.steps]
        line = line_asked(step.arguments, step.data, read)
        named = line.photo_id if line is not None else None
    if not isinstance(named, str) or not (prefix := named.strip().lower()):
        return answer.photo_id
    known = dict.fromkeys((answer.photo_id, *answer.photos))
    return next((photo for photo in known if photo.startswith(prefix)), prefix)


def box_style(box: Box | None, size: tuple[int, int]) -> str:
    """Return the CSS position of a box on a photo, in percent; empty where it lies beyond it.

    Args:
        box: in pixels.
        size: width and height of the photo.
    """
    width, height = size
    if box is None or box.left >= width or box.top >= height:
        return ""
    right, bottom = min(box.right, width), min(box.bottom, height)
    return (
        f"left:{100 * box.left / width:.3f}%;top:{100 * box.top / height:.3f}%;"
        f"width:{100 * (right - box.left) / width:.3f}%;"
        f"height:{100 * (bottom - box.top) / height:.3f}%"
    )
