"""What the report says of a model that drove the run, and that its words stay words."""

import html
import re

import pytest

from agent.answer import Answer
from agent.grounding import UNGROUNDED
from agent.report import render_report
from agent.report_page import Page
from tests.unit.report_samples import HOSTILE, DrawnPhotos, located, modelled, undetermined


@pytest.fixture(scope="module")
def page() -> str:
    return render_report(modelled(), DrawnPhotos())


def words(page: str) -> str:
    """Return the page's text as it is read."""
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_it_says_who_decided_and_what_that_took(page: str) -> None:
    text = words(page)
    assert "Recipe agentic" in text
    assert ", a language model" in text
    assert "4 replies, 6,000 tokens in, 520 out, 5.8 s, 1 requests repeated" in text
    assert "number 1 chosen" in text


def test_a_run_without_a_model_says_so_and_has_no_section_of_one() -> None:
    for answer in (located(), undetermined()):
        text = render_report(answer, DrawnPhotos())
        assert "fixed rules without a language model" in text
        assert 'id="model"' not in text


def test_the_reason_is_quoted_as_the_models_words_and_stands_nowhere_else(page: str) -> None:
    quoted = re.search(r"<blockquote>(.*?)</blockquote>", page, re.DOTALL)
    assert quoted
    assert UNGROUNDED in words(quoted[1])
    assert "a number that no tool had reported" in words(quoted[1])
    assert words(page).count("windows fit") == 1


def test_the_clues_of_the_prior_are_framed_on_the_photo(page: str) -> None:
    frames = re.findall(r'<a class="box clue" style="([^"]+)" href="#clue-(\w)"', page)
    assert len(frames) == 1  # the other clue has no box
    style, letter = frames[0]
    assert letter == "a"
    assert "left:37.000%" in style
    assert page.count('id="clue-') == 2
    assert "40 % sure of the country by its own account" in words(page)


def test_short_answers_are_listed_and_marked_as_so_many_of_all(page: str) -> None:
    text = words(page)
    assert "was asked 4 times for a coordinate alone" in text
    assert "2 of 3 Marseille, France" in text
    assert "1 of 3 Paris, France" in text
    assert page.count('class="mark short"') >= 3  # two on the world map and the legend
    assert ">2 of 3</text>" in page


def test_a_conflict_is_told_with_both_sides_and_what_followed(page: str) -> None:
    text = words(page)
    assert "570 km apart stated in investigation 1 before the first turn" in text
    assert "What the model did next: step 2, read_text" in text
    assert "They do not fit together" in text
    assert "e0000000000" in text  # a side that the answer does not hold is still named
    assert "No turn followed." in text


def test_question_verdict_trajectories_mishaps_and_notices_are_there(page: str) -> None:
    text = words(page)
    assert "By the sea?" in text
    assert "which means yes" in text
    assert "The model as judge: different places." in text
    assert "chosen by the verifier" in text
    assert "2 a tool call written as text read nevertheless" in text
    assert "images are left out from now on" in text
    assert "Investigation 1, turn 1" in text
    assert "prior abc123" in text
    assert "zoom t0123456789" in text


def test_what_a_model_writes_is_never_html_and_hides_nothing(page: str) -> None:
    assert "<script" not in page
    assert "https://e.example'>" not in page.replace(html.escape(HOSTILE), "")
    assert not re.search(r"""(?:href|src)=["'](?!#|data:)""", page)
    assert "\u202e" not in page
    assert "⟨U+202E⟩" in page


def test_anchors_exist_once(page: str) -> None:
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for link in set(re.findall(r' href="#([^"]+)"', page)):
        assert link in ids


def test_steps_of_another_version_do_not_break_it() -> None:
    answer = modelled()
    odd = {"guess": {"latitude": "north", "clues": 7}, "answers": [None, {"guess": 3}, "x"]}
    steps = tuple(step.model_copy(update={"data": odd}) for step in answer.steps)
    assert "No place named" not in words(
        render_report(answer.model_copy(update={"steps": steps}), DrawnPhotos())
    )


def test_turns_that_called_nothing_are_shown_before_the_next_step() -> None:
    answer = modelled()
    assert answer.model is not None
    replies = tuple(
        one.model_copy(update={"turn": turn, "trajectory": 0, "purpose": "decide"})
        for turn, one in enumerate(answer.model.replies[:2], start=1)
    )
    step = answer.steps[0].model_copy(update={"turn": 2, "trajectory": 0})
    model = answer.model.model_copy(update={"replies": replies})
    shown = Page(answer.model_copy(update={"steps": (step,), "model": model}), DrawnPhotos())
    assert shown.model is not None
    assert [one.turn for one in shown.model.opening_turns(step)] == [1, 2]


def test_the_answer_survives_its_json() -> None:
    answer = modelled()
    assert Answer.model_validate_json(answer.model_dump_json()) == answer
