"""What repeats a place it was shown is no second opinion: it joins the group of the search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.asker import Asker
from agent.belief import believe, summarise
from agent.dependence import COPIED_KM, adopted, is_shown
from agent.factors import Settlements
from agent.guess import Guess, ReadGuess
from agent.guessing import Answered, Prompted, diversified
from agent.votes import votes_of
from geo.sphere import destination
from tests.fakes import FakeGazetteer
from tools.evidence import Candidate, Evidence
from tools.opinion import GROUP, REACHES, opinion
from tools.references import Reference

BERLIN, LIMA, OSLO = (52.52, 13.405), (-12.05, -77.04), (59.91, 10.75)
SEARCH = "alignment:abc"


class Named:
    """Of an asker, what votes need."""

    name = "a model"

    class settings:  # as in the asker
        weight = 0.7


def asker() -> Asker:
    return Named()  # type: ignore[return-value]


def searched(*points: tuple[float, float], weight: float = 0.2, group: str = SEARCH) -> Evidence:
    found = tuple(
        Candidate(
            latitude=point[0], longitude=point[1], radius_km=91.0, score=1 / len(points),
            rank=rank, source="gallery:trip", kind="compared_place", reaches=REACHES,
        )
        for rank, point in enumerate(points, start=1)
    )  # fmt: skip
    return Evidence(
        tool="search_similar_photos", kind="alignment", summary="look-alikes", candidates=found,
        weight=weight, group=group,
    )  # fmt: skip


def guess(point: tuple[float, float], radius_km: float | None = None) -> Guess:
    return Guess(latitude=point[0], longitude=point[1], radius_km=radius_km)


def moved(point: tuple[float, float], km: float) -> tuple[float, float]:
    latitude, longitude = destination(*point, 90.0, km).reshape(2)
    return float(latitude), float(longitude)


def test_answers_that_repeat_a_reference_join_its_search_and_others_stay_the_models() -> None:
    own, copy = votes_of([guess(OSLO)], [guess(LIMA)], asker(), [searched(LIMA, BERLIN)], asked=2)
    assert (own.group, copy.group) == (GROUP, SEARCH)
    assert [(c.latitude, c.longitude) for c in own.candidates] == [OSLO]
    assert [(c.latitude, c.longitude) for c in copy.candidates] == [LIMA]
    assert copy.tool == own.tool == "diversify"
    assert "1 of 2" in own.summary
    assert "1 of 2" in copy.summary
    assert "repeat a reference" in copy.summary
    assert "part of that search" in copy.summary


def test_copies_of_two_searches_are_two_pieces() -> None:
    held = [searched(LIMA), searched(BERLIN, group="alignment:other")]
    found = votes_of([], [guess(LIMA), guess(BERLIN), guess(LIMA)], asker(), held, asked=3)
    assert [one.group for one in found] == [SEARCH, "alignment:other"]
    assert [len(one.candidates) for one in found] == [1, 1]


def test_a_reference_without_a_candidate_counts_for_its_search_all_the_same() -> None:
    (copy,) = votes_of([], [guess(OSLO)], asker(), [searched(LIMA)], asked=1)
    assert copy.group == SEARCH
    assert copy.candidates[0].reaches == REACHES  # nothing says how far a look-alike's truth is
    (alone,) = votes_of([], [guess(OSLO)], asker(), [], asked=1)
    assert alone.group == "references"


def test_what_the_model_named_first_stays_its_own_though_a_reference_says_the_same() -> None:
    prior = opinion("prior", "without any tool", *LIMA)
    (item,) = votes_of([], [guess(LIMA)], asker(), [prior, searched(LIMA)], asked=1)
    assert item.group == GROUP


@pytest.mark.parametrize(("km", "shown"), [(0.0, True), (0.98, True), (1.02, False)])
def test_within_one_kilometre_is_the_same_place(km: float, shown: bool) -> None:
    assert COPIED_KM == 1.0
    reference = Reference(latitude=LIMA[0], longitude=LIMA[1], similarity=0.9, rank=1)
    assert is_shown(*moved(LIMA, km), [reference]) is shown
    named = opinion("commit_location", "here", *moved(LIMA, km))
    assert (adopted(named, [searched(LIMA)]).group == SEARCH) is shown


def test_only_references_of_the_prompt_itself_can_be_repeated(settlements: Settlements) -> None:
    reference = Reference(latitude=LIMA[0], longitude=LIMA[1], similarity=0.9, rank=1)
    answers = [
        Answered(Prompted("", label, (), shown=shown), ReadGuess(guess=guess(LIMA)), 1, 0.1)
        for label, shown in (("0 references", ()), ("1 references", (reference,)))
    ]

    class Bench:
        gazetteer = FakeGazetteer(settlements)

    short = diversified(answers, asker(), Bench(), 3, [reference], [searched(LIMA)])  # type: ignore[arg-type]
    assert [one.group for one in short.evidence] == [GROUP, SEARCH]
    assert short.step.evidence_ids == tuple(one.id for one in short.evidence)
    assert all(one.summary in short.step.text for one in short.evidence)


def test_a_copied_wrong_reference_does_not_outvote_what_the_model_sees(
    settlements: Settlements,
) -> None:
    prior, search = opinion("prior", "without any tool", *BERLIN), searched(LIMA, OSLO)
    (copy,) = votes_of([], [guess(LIMA)], asker(), [prior, search], asked=1)
    multiplied = believe([prior, search, copy.model_copy(update={"group": GROUP})], settlements)
    averaged = believe([prior, search, copy], settlements)
    wrong = [float(b.mass_within([25.0], *LIMA)[0]) for b in (multiplied, averaged)]
    assert wrong[0] > 0.9  # as if two who know nothing of each other had agreed
    assert wrong[1] < 0.5
    assert summarise(averaged).km_50 > summarise(multiplied).km_50


def test_a_commit_that_repeats_a_match_makes_it_neither_surer_nor_vaguer(
    settlements: Settlements,
) -> None:
    match = searched(LIMA, weight=0.95, group="retrieval:trip")
    match = match.model_copy(
        update={"candidates": (match.candidates[0].model_copy(
            update={"radius_km": 0.2, "reaches": ()}),)}
    )  # fmt: skip
    named = adopted(opinion("commit_location", "the match says so", *LIMA), [match])
    assert named.group == "retrieval:trip"
    assert "repeats what search_similar_photos found" in named.summary
    alone, both = (summarise(believe(e, settlements)) for e in ([match], [match, named]))
    assert both.km_80 == pytest.approx(alone.km_80, rel=1e-6)
    doubtful = adopted(opinion("commit_location", "about", *LIMA, radius_km=50.0), [match])
    assert doubtful.candidates[0].radius_km == 50.0


def test_some_evidence_is_nobody_to_repeat() -> None:
    named = opinion("commit_location", "here", *LIMA)
    given = searched(LIMA).model_copy(update={"given_countries": ("PE",)})
    scored = searched(LIMA).model_copy(update={"tool": "verify_locations"})
    for one in (searched(LIMA, weight=0.0), given, scored, opinion("prior", "own", *LIMA)):
        assert adopted(named, [one]) == named
    other = searched(LIMA)
    assert adopted(other, [searched(LIMA)]) == other  # no model's answer


points = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(st.lists(points, min_size=1, max_size=4), st.lists(points, max_size=4))
def test_every_answer_is_counted_once(
    own: list[tuple[float, float]], copies: list[tuple[float, float]]
) -> None:
    held = [searched(*copies)] if copies else []
    found = votes_of([*map(guess, own)], [*map(guess, copies)], asker(), held, asked=9)
    named = {(c.latitude, c.longitude) for one in found for c in one.candidates}
    assert named == {(round(a, 4), round(b, 4)) for a, b in (*own, *copies)}
    assert all(sum(c.score for c in one.candidates) == pytest.approx(1) for one in found)
