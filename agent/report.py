"""The report: one HTML file an analyst can open from disk, check step by step, print, hand over.

It needs no network and no script. Everything shown comes from the `Answer` and the photo store;
all of it is data and is escaped. `agent.report_page` computes what is shown, `agent.report_map`
the maps, `agent/templates` say how it looks.
"""

import os
import tempfile
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from agent import report_format as fmt
from agent.answer import Answer
from agent.grounding import UNGROUNDED
from agent.report_page import Page
from agent.report_pictures import PhotoSource
from geo.errors import InputError

if TYPE_CHECKING:
    from jinja2 import Environment

KIND_WORDS = {
    "photo": "gallery photo",
    "place": "place name",
    "cell": "map cell",
    "model_answer": "model's answer",
    "claimed_position": "position claimed by the file",
    "hint": "analyst's hint",
    "compared_place": "place compared with the photo",
}


def write_report(answer: Answer, photos: PhotoSource, path: Path) -> None:
    """Write the report as one self-contained HTML file, whole or not at all.

    Args:
        answer: what to report.
        photos: where the photo and the steps' pictures are kept.
        path: file to write; an existing one is replaced.

    Raises:
        InputError: the file cannot be written there.
    """
    page = render_report(answer, photos).encode("utf-8")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".report-") as folder:
            draft = Path(folder) / path.name
            draft.write_bytes(page)
            os.replace(draft, path)
    except OSError as error:
        raise InputError(
            f"report {str(path)!r} cannot be written ({error.strerror}): "
            "give --report a file in a folder you may write to"
        ) from error


def render_report(answer: Answer, photos: PhotoSource) -> str:
    """Return the report as HTML text; pictures missing from the store are named as missing."""
    page = Page(answer, photos)
    environment = _environment()
    environment.filters["linked"] = partial(fmt.linked, anchors=page.anchors)
    return environment.get_template("report.html.j2").render(page=page, answer=answer)


def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = resources.files("agent") / "templates"
    environment = Environment(
        loader=FunctionLoader(lambda name: (folder / name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=fmt.finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("distance", "area", "percent", "duration", "pretty"):
        environment.filters[name] = getattr(fmt, name)
    environment.globals["UNGROUNDED"] = UNGROUNDED
    environment.filters["kind"] = lambda kind: KIND_WORDS.get(kind, kind)
    return environment
