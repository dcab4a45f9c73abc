"""What evidence does to an answer, and where belief lies, as people read it."""

import re
from html import unescape

import pytest
from rich.console import Console

from agent.answer import Answer
from agent.contributions import Contribution
from agent.effect_words import effect_lines, effect_words, within_words
from agent.report import render_report
from agent.report_format import square_km
from agent.report_page import Page
from cli.run import answer_panel
from tests.unit.report_samples import DrawnPhotos, located, region, undetermined


def text_of(answer: Answer) -> str:
    page = render_report(answer, DrawnPhotos()).split("</style>")[1]
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", page).split()))


def panel_of(answer: Answer) -> str:
    console = Console(width=120, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(answer_panel(answer, "photo.jpg"))
    return captured.get()


def test_effects_in_words() -> None:
    assert effect_words(3.24) == "speaks for it: 3.2 bits"
    assert effect_words(-1.26) == "speaks against it: 1.3 bits"
    for bits in (0.0, 0.049, -0.049):
        assert effect_words(bits) == "no effect"
    assert within_words({"1": 0.124, "25": 0.999}) == "12 % within 1 km, > 99 % within 25 km"


def test_the_rest_is_counted() -> None:
    found = [
        Contribution(evidence_id=f"e{number}", bits=bits, without=0.1, moved_km=0.0)
        for number, bits in enumerate((5.0, -2.0, 1.0, 0.01, 0.0))
    ]
    assert effect_lines(found, {"e0": "read_text", "e1": "clues"}, 2) == [
        "read_text [e0] speaks for it: 5.0 bits",
        "clues [e1] speaks against it: 2.0 bits",
        "1 with less, 2 without effect",
    ]
    assert effect_lines(found[:3], {}, 3)[-1] == "evidence [e2] speaks for it: 1.0 bits"
    assert effect_lines([], {}, 3) == []


@pytest.mark.parametrize(
    ("km2", "said"),
    [(1e-4, "100 m²"), (0.177, "180,000 m²"), (2.54, "2.5 km²"), (300_000.0, "300,000 km²"),
     (5.1e8, "510 million km²")],
)  # fmt: skip
def test_areas(km2: float, said: str) -> None:
    assert square_km(km2) == said


def test_the_report_shows_effects_and_what_is_near() -> None:
    told = text_of(located())
    assert "96 % within 1 km, 97 % within 25 km" in told
    assert "spread over as much as 180,000 m²" in told
    assert "located where at least 50 % of belief lies within 25 km" in told
    assert "Provence-Alpes-Côte d'Azur FR 97 %" in told
    assert "speaks for it: 17.2 bits without it < 1 % of belief" in told
    assert "its centre 660 km away" in told
    assert "no effect" in told
    assert "Calibration k0123456789" in told


def test_bars_are_as_long_as_effects() -> None:
    views = {view.number: view.effect for view in Page(located(), DrawnPhotos()).evidence}
    shown = [(view.width, view.against) for view in views.values() if view]
    assert shown == [(100.0, False), (pytest.approx(4.2), False), (0.0, True)]
    assert views[4] is None  # without weight it was not measured
    small = Contribution(evidence_id=region().evidence[0].id, bits=-0.25, without=0.6, moved_km=9.0)
    (view,) = Page(region(contributions=(small,)), DrawnPhotos()).evidence
    assert view.effect is not None
    assert (view.effect.width, view.effect.against) == (25.0, True)


def test_answers_of_older_versions_say_nothing_of_it() -> None:
    told = text_of(undetermined())
    assert "within 1 km" not in told
    assert "By first-level area" not in told
    assert "bits" not in told
    assert "Calibration none: evidence counts as its tools weigh it" in told


def test_the_terminal_shows_them_compactly() -> None:
    told = panel_of(located())
    assert "96 % within 1 km" in told
    assert "FR Provence-Alpes-Côte d'Azur 97 %" in told
    assert re.search(r"Effect +compare_photos \[\w+\] speaks for it: 17.2 bits", told)
    assert "1 without effect" in told
    assert re.search(r"Calibration +k0123456789", told)
    assert "Effect" not in panel_of(region())
