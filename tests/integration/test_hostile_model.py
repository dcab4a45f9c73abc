"""`agentic` and `g3` over HTTP against a stub that sends every malformation on purpose.

Whatever a model sends, a run ends in time with an answer, its trace accounts for every reply that
could not be used as it was, and no coordinate that was rejected or that nobody named is evidence.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.factors import Settlements
from agent.guessing import PARALLEL
from tests.integration.hostile_samples import (
    Outcome,
    Place,
    Play,
    commit,
    look,
)
from tests.openai_stub import MALFORMATIONS, Behaviour
from tests.unit.photo_samples import encoded, picture
from tests.vllm.judge import unaccounted
from tools.references import hits_of

LONGEST_S = 60.0
"""A run that takes longer hangs: its budget is 25 s, one reply at most 2 s past that; the rest is
for a busy machine."""
AT_ONCE = 6
BAD = dict(MALFORMATIONS)
NAMED = ((48.15, 11.55), (48.14, 11.57), (48.137, 11.576), (45.76, 4.84))
"""Every position that the stub's replies or the gazetteer name, and no other."""
QUICK = {
    "prior": ("null island", "latitude out of range", "refusal field", "dies in the middle"),
    "first turn": ("not a number", "cut at the limit", "unknown tool", "call as json text",
                   "too many calls", "images refused", "tools refused", "error in the stream"),
    "every turn": ("empty reply", "half a character", "thinking only", "garbage bytes"),
    "short answers": ("placeholder values", "null island", "content filter", "key refused"),
}  # fmt: skip
LOOP_KINDS = {
    "empty reply": "empty",
    "only white space": "empty",
    "fenced json": "coordinate-in-words",
    "coordinates as text": "coordinate-in-words",
    "degrees and minutes": "coordinate-in-words",
    "null island": "null-island",
    "latitude out of range": "out-of-range",
    "not a number": "not-finite",
    "placeholder values": "no-call",
    "refusal in words": "refusal",
    "refusal field": "refusal",
    "content filter": "refusal",
    "cut at the limit": "truncated",
    "call as json text": "no-call",
    "unknown tool": "unknown-tool",
    "no tool name": "unknown-tool",
    "arguments cut off": "truncated",
    "arguments not json": "broken-json",
    "arguments a list": "wrong-type",
    "arguments not a number": "not-finite",
    "repeated calls": "repeated-call",
    "too many calls": "too-many-calls",
    "calls without id": "call-id",
    "commit without evidence": "wrong-type",
    "endless thinking": "endless-thinking",
    "endless thinking in tags": "endless-thinking",
    "thinking only": "endless-thinking",
    "thinking not closed": "empty",
    "endless text": "truncated",
    "another model": "no-call",
    "silent in the middle": "truncated",
    "kept alive for ever": "truncated",
    "only done": "empty",
}
"""What the trace calls a malformation of the loop; those of the wire itself are retried."""
PLAYS: dict[str, Callable[[Behaviour], Play]] = {
    "prior": lambda bad: Play(prior=bad),
    "first turn": lambda bad: Play(turns=(bad, look, commit)),
    "every turn": lambda bad: Play(turns=(bad,)),
    "short answers": lambda bad: Play(short=bad),
}
PHOTO = encoded(picture(96, 72, seed=3))


@pytest.fixture
def place(tmp_path: Path, settlements: Settlements) -> Place:
    return Place(tmp_path, settlements, PHOTO)


def faults(outcome: Outcome) -> list[str]:
    """Return what a run did that no reply may make it do."""
    found = [f"not accounted for: {line}" for line in unaccounted(outcome.events)]
    if outcome.seconds > LONGEST_S:
        found.append(f"took {outcome.seconds:.1f} s")
    if (gone := lost(outcome)) > 0:
        found.append(f"{gone} requests without a reply or a reason")
    found += [f"invented: {point}" for point in points(outcome) if not known(*point)]
    failed = [step.tool for step in outcome.answer.steps if step.outcome == "unavailable"]
    if failed and not outcome.answer.missing:
        found.append(f"{failed} failed, and the answer is not marked")
    return found


def lost(outcome: Outcome) -> int:
    """Return how many requests have neither a reply nor a reason in the trace."""
    reasons = len(outcome.of("retry"))
    reasons += sum("longer than" in str(data["why"]) for data in outcome.of("context"))
    marks = ("asked without", "are left out from now on", "structured output", "unavailable")
    told = sum(any(mark in line for mark in marks) for line in outcome.notices.split("\n"))
    reasons += told * PARALLEL  # told once for all that were under way
    for step in outcome.answer.steps:
        rows = step.data.get("answers")
        failed = [row for row in rows if row["failed"]] if isinstance(rows, list) else []  # type: ignore[index, call-overload]
        reasons += len(failed) or bool(step.data.get("failed"))
    return len(outcome.stub.bodies) - len(outcome.of("model_reply")) - reasons


def points(outcome: Outcome) -> list[tuple[float, float]]:
    """Return every position in evidence but those of the gallery's photos."""
    searched = [item for item in outcome.answer.evidence if item.tool.startswith("search_")]
    data = [step.data for step in outcome.answer.steps if step.tool.startswith("search_")]
    own = {(c.latitude, c.longitude) for item in searched for c in item.candidates}
    own |= {(hit.latitude, hit.longitude) for hit in hits_of(data)}
    candidates = [c for item in outcome.answer.evidence for c in item.candidates]
    named = [(c.latitude, c.longitude) for c in candidates]
    return [point for point in named if point not in own]


def known(latitude: float, longitude: float) -> bool:
    return any(abs(latitude - a) < 0.02 and abs(longitude - b) < 0.02 for a, b in NAMED)


def replay(
    place: Place, mode: str, names: tuple[str, ...], check: Callable[[str, Outcome], list[str]]
) -> dict[str, list[str]]:
    """Run with each malformation, several at once; return what was wrong, by name."""

    def run(name: str) -> list[str]:
        return check(name, place.play(PLAYS[mode](BAD[name])))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = dict(zip(names, pool.map(run, names), strict=True))
    return {name: wrong for name, wrong in ended.items() if wrong}


def checked(mode: str) -> Callable[[str, Outcome], list[str]]:
    """Return the check of a mode: that of all runs, and how the trace names the malformation."""

    def check(name: str, outcome: Outcome) -> list[str]:
        kinds = {str(data["kind"]) for data in outcome.of("malformed")}
        wanted = LOOP_KINDS.get(name) if mode.endswith("turn") else None
        wrong = [f"{wanted} is none of {sorted(kinds)}"] if wanted and wanted not in kinds else []
        return [*faults(outcome), *wrong]

    return check


@pytest.mark.parametrize("mode", PLAYS)
def test_what_a_broken_reply_does_to_a_run(place: Place, mode: str) -> None:
    assert replay(place, mode, QUICK[mode], checked(mode)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("mode", PLAYS)
def test_no_malformation_ends_a_run(place: Place, mode: str) -> None:
    assert len(BAD) == len(MALFORMATIONS) >= 69
    assert replay(place, mode, tuple(BAD), checked(mode)) == {}


@pytest.mark.slow
def test_no_malformation_of_short_answers_ends_a_run_of_g3(
    tmp_path: Path, settlements: Settlements
) -> None:
    from tests.unit.encoder_samples import tiny_encoder
    from tests.vllm.photos import make_gallery

    encoder = tiny_encoder("g3")
    with make_gallery(tmp_path, encoder) as gallery:
        place = Place(tmp_path, settlements, PHOTO, recipe="g3", galleries=(gallery,),
                      encoder=encoder)  # fmt: skip

        def check(name: str, outcome: Outcome) -> list[str]:
            seeds = {data["seed"] for data in outcome.of("model_call")}
            wrong = [] if len(seeds) == 20 else [f"{len(seeds)} short answers asked, not 20"]
            return [*faults(outcome), *wrong]

        assert replay(place, "short answers", tuple(BAD), check) == {}


def test_the_check_itself_can_fail(place: Place) -> None:
    good, bad = place.play(Play()), place.play(PLAYS["first turn"](BAD["empty reply"]))
    assert faults(good) == faults(bad) == []
    assert not good.of("malformed")
    bad.events = [event for event in bad.events if event.kind != "malformed"]
    assert any("not accounted for" in line for line in faults(bad))
    good.stub.bodies.append({})
    assert lost(good) == 1
    assert any("without a reply" in line for line in faults(good))
    assert not known(0.0, 0.0)
