"""The report: one HTML file an analyst can open from disk, check step by step, print, hand over.

It needs no network and no script. Everything shown comes from the `Answer` and the photo store;
all of it is data and is escaped. `agent.report_page` computes what is shown, `agent.report_map`
the maps, `agent/templates` say how it looks.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent import report_format as fmt
from agent.answer import Answer
from agent.grounding import UNGROUNDED
from agent.report_page import Page
from agent.report_pictures import PhotoSource
from agent.report_template import environment, write_page

if TYPE_CHECKING:
    from agent.case import Case

KIND_WORDS = {
    "photo": "gallery photo",
    "place": "place name",
    "cell": "map cell",
    "model_answer": "model's answer",
    "claimed_position": "position claimed by the file",
    "hint": "analyst's hint",
    "compared_place": "place compared with the photo",
}


def write_report(
    answer: Answer, photos: PhotoSource, path: Path, case: "Case | None" = None
) -> None:
    """Write the report as one self-contained HTML file, whole or not at all.

    Args:
        answer: what to report.
        photos: where the photo and the steps' pictures are kept.
        path: file to write; an existing one is replaced.
        case: what was said, judged and recorded beside it.

    Raises:
        InputError: the file cannot be written there.
    """
    write_page(render_report(answer, photos, case), path)


def render_report(answer: Answer, photos: PhotoSource, case: "Case | None" = None) -> str:
    """Return the report as HTML text; pictures missing from the store are named as missing.

    Args:
        answer: what to report.
        photos: where the photo and the steps' pictures are kept.
        case: what was said, judged and recorded beside it; its latest answer is `answer`.
    """
    page = Page(answer, photos, case)
    templates = environment()
    templates.globals["UNGROUNDED"] = UNGROUNDED
    templates.filters["kind"] = lambda kind: KIND_WORDS.get(kind, kind)
    templates.filters["linked"] = partial(fmt.linked, anchors=page.anchors)
    return templates.get_template("report.html.j2").render(page=page, answer=answer)
