"""Reports of sessions: what was said, what changed because of it, what analysts made of it."""

import re

import pytest
from PIL import Image
from pydantic import JsonValue

from agent.case import Case, case_of_answer
from agent.disclosure import disclosed_case
from agent.report import render_report
from agent.report_page import Page
from agent.report_photos import box_style, photo_of
from tests.unit.export_samples import hostile, session
from tests.unit.report_samples import PAIR, PHOTO, DrawnPhotos, located
from tools.evidence import Box


def shown(case: Case) -> str:
    return render_report(case.answer, DrawnPhotos(), case)


@pytest.fixture(scope="module")
def page() -> str:
    return shown(session())


def section(page: str, name: str) -> str:
    found = re.search(rf'(?s)<section id="{name}".*?</section>', page)
    assert found, name
    return found[0]


def test_what_changed_because_of_what_was_said(page: str) -> None:
    told = section(page, "session")
    assert "taken on a trip in 2019" in told
    assert "It is not Paris." in told
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in told
    assert "drew a region where it was taken" in told
    assert "drew a region where it was not taken" in told
    assert "in reply to the model" in told
    assert "The coordinate moved by 660 km." in told
    assert "fits a French number" in told, "new evidence"
    assert "and now?" in told, "said and not answered yet"
    assert session().parent in told
    assert told.count("data:image/jpeg") == 1, "the photo that was sent, not the first one again"


def test_withdrawn_evidence_is_marked_wherever_it_is_shown(page: str) -> None:
    place = located().evidence[3]
    assert f'<article class="card withdrawn" id="{place.id}">' in page
    assert page.count("withdrawn by the person: counts for nothing") == 1


def test_analysts_are_quoted_with_their_distance(page: str) -> None:
    told = section(page, "assessments")
    assert "Answer 1: wrong" in told
    assert "Not the Seine." in told
    assert "Answer 2: right" in told
    assert "12 m from that answer" in told


def test_drawn_regions_are_on_the_maps(page: str) -> None:
    assert section(page, "maps").count('class="drawn inside"') == 3
    assert 'class="drawn outside"' in page
    assert 'class="drawn' not in shown(case_of_answer(located()))


def test_the_trace_and_all_photos_are_named_by_their_hashes(page: str) -> None:
    told = section(page, "provenance")
    for name in (session().head, PHOTO, PAIR, session().session):
        assert name in told


def test_an_answer_alone_needs_no_session() -> None:
    page = render_report(located(), DrawnPhotos())
    assert 'id="session"' not in page
    assert 'id="assessments"' not in page
    assert 'id="session"' not in shown(case_of_answer(located()))


@pytest.mark.parametrize("case", [session(), case_of_answer(hostile())])
def test_nothing_in_it_runs_or_is_fetched(case: Case) -> None:
    page = shown(case)
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "\u202e" not in page
    assert "\x00" not in page


def test_told_coarser_it_says_so_and_quotes_nobody() -> None:
    page = shown(disclosed_case(session(), "country"))
    assert "the place is told as its country and no finer." in page
    assert "What was said is withheld." in page
    assert "Not the Seine" not in page
    assert "Whether the file claims a position is withheld." in page
    withheld = shown(disclosed_case(session(), "none"))
    assert "The place is withheld" in withheld
    assert 'id="maps"' not in withheld
    assert "failing to" not in withheld, "it is not that we could not tell"


class TwoPhotos(DrawnPhotos):
    """Sizes that tell both photos apart."""

    def image(self, photo_id: str) -> Image.Image:
        return Image.new("RGB", (1600, 1067) if photo_id.startswith("a") else (400, 300))


def test_what_was_read_on_another_photo_is_framed_there() -> None:
    base = located(photos=(PHOTO, PAIR))
    step = base.steps[1].model_copy(update={"arguments": {"photo_id": PAIR[:12]}})
    sign = base.evidence[1].model_copy(update={"box": Box(left=40, top=30, right=80, bottom=60)})
    answer = base.model_copy(
        update={"steps": (base.steps[0], step, *base.steps[2:]),
                "evidence": (base.evidence[0], sign)}
    )  # fmt: skip
    page = Page(answer, TwoPhotos())
    (other,) = page.further_photos
    assert [view.evidence.tool for view in other.boxes] == ["look_up_clue"]
    assert other.boxes[0].style == "left:10.000%;top:10.000%;width:10.000%;height:10.000%"
    assert page.boxes == ()
    crop = step.model_copy(update={"arguments": {"photo_id": "c" * 64}})
    assert photo_of(answer, crop) == "c" * 64
    assert photo_of(answer, None) == PHOTO
    assert box_style(Box(left=500, top=0, right=510, bottom=9), (400, 300)) == ""


def test_every_line_of_text_read_is_framed_on_the_photo() -> None:
    lines: list[JsonValue] = [
        {"text": "<b>SHOP</b>", "box": {"left": 160, "top": 0, "right": 320, "bottom": 107}},
        {"text": "no box"},
        {"text": "beyond", "box": {"left": 9000, "top": 0, "right": 9001, "bottom": 1}},
    ]
    base = located()
    step = base.steps[0].model_copy(update={"data": {"lines": lines}})
    page = render_report(base.model_copy(update={"steps": (step, *base.steps[1:])}), DrawnPhotos())
    (frame,) = re.findall(r'<a class="box read"[^>]*>', page)
    assert "left:10.000%" in frame
    assert "&lt;b&gt;SHOP" in frame
    assert 'href="#step-1"' in frame
