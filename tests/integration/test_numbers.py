"""Every number that an answer's explanation names is followed to the tool call it comes from."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from langchain_core.messages import AIMessage

from agent.answer import Answer
from agent.budget import Budget
from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.grounding import UNGROUNDED, ground, numbers_in
from agent.report_format import distance
from agent.settings import Settings
from agent.trace import read_trace
from evaluation.world import write_world
from geo import sphere
from index_builder import build_gallery, open_gallery
from tests.fakes import BlankReader, FakeGazetteer, calling
from tests.integration.recipe_samples import Model as ShortModel
from tests.integration.recipe_samples import make_world, run_recipe, says
from tests.unit.test_agentic import PHOTO, Model, commit, everything

SOURCE = re.compile(r"\[(e[0-9a-f]{10}), ([^\]\s]+)\]")


class Followed(NamedTuple):
    """What following an answer's numbers came to."""

    numbers: int
    """How many the explanation names."""
    lost: list[str]
    """Those that no tool result holds, with the sentence."""


def follow(answer: Answer, trace: Path) -> Followed:
    """Follow every number of the explanation, as a reader of the trace file would."""
    events = list(read_trace(trace))
    results: dict[str, list[str]] = {}
    for event in events:
        if event.kind == "tool_result":
            said = [str(event.data["text"]), json.dumps(event.data["data"])]
            results.setdefault(str(event.data["call_id"]), []).extend(said)
    evidence = {event.data["id"]: event.data for event in events if event.kind == "evidence"}
    lost, rest = [], answer.explanation
    for name, call in SOURCE.findall(answer.explanation):
        summary = str(evidence[name]["summary"])
        assert f"{summary} [{name}, {call}]" in answer.explanation
        lost += [f"{one}: {summary}" for one in ground(summary, results[call])[1]]
        rest = rest.replace(f"{summary} [{name}, {call}]", "", 1)
    rest = re.sub(r"\(recipe [\w-]+\) \[\w+\]", "", rest)
    budget = [json.dumps(event.data) for event in events if event.kind == "budget"]
    everywhere = [text for texts in results.values() for text in texts]
    lost += [f"{one}: {rest}" for one in ground(rest, [*everywhere, *budget])[1]]
    return Followed(len(numbers_in(answer.explanation)), lost)


def check(answer: Answer, trace: Path, at_least: int) -> None:
    """Assert that no number is lost, and that the distances of verdicts can be computed again."""
    followed = follow(answer, trace)
    assert followed.lost == []
    assert followed.numbers >= at_least
    held = [event.data["id"] for event in read_trace(trace) if event.kind == "evidence"]
    for verdict in answer.verdicts:
        assert verdict.evidence_id in held
        distances = re.findall(r"([\d,.]+ k?m)\b", verdict.reason)
        if answer.latitude is None or answer.longitude is None or answer.radii is None:
            assert distances == []
            continue
        here, there = (answer.latitude, answer.longitude), verdict.candidate
        away = float(sphere.distance_km(*here, there.latitude, there.longitude))
        known = [distance(away), distance(answer.radii.km_95)]
        assert [number for number in distances if number not in known] == []


Locate = Callable[..., tuple[Answer, Path]]


@pytest.fixture
def located(settings: Settings, settlements: Settlements, tmp_path: Path) -> Iterator[Locate]:
    opened: list[Geolocator] = []

    def locate(model: Model | None, photo: Any = PHOTO, **options: Any) -> tuple[Answer, Path]:
        hint = options.pop("hint", "")
        chosen = {"recipe": "agentic" if model else "pipeline", "encoder": None, **options}
        chat: Any = model.chat if model else None
        geolocator = Geolocator(model=chat, settings=settings, **chosen)
        geolocator.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        if photo is PHOTO:  # of noise
            geolocator.bench.reader = BlankReader()
        opened.append(geolocator)
        trace = tmp_path / "trace.jsonl"
        return geolocator.locate(photo, hint=hint, trace=trace), trace

    yield locate
    for geolocator in opened:
        geolocator.close()


HINT = "48.2, 16.37"
TOOLS = calling(
    ("check_sun", {"start": "2021-06-21T10:00:00Z", "length_ratio": 0.8}),
    (
        "measure",
        {"points": [{"latitude": 48.1, "longitude": 11.5}, {"latitude": 52.5, "longitude": 13.4}]},
    ),
    ("find_place", {"name": "Testdorf"}),
    ("read_text", {"photo_id": "x"}),
)


def invents(messages: Any) -> AIMessage:
    """Commit with numbers that are nowhere, and one that is somewhere."""
    reason = "Its tower is 4711 m high, 98.76 % sure; a place at 48.2, and 3 of 5 domes, ١٢٣"
    ids = sorted(set(re.findall(r"\be[0-9a-f]{10}\b", everything(messages))))
    return calling(("commit_location", {"evidence_ids": ids[:5], "reason": reason}))


def test_the_loop_with_tools_and_a_reason_of_invented_numbers(located: Locate) -> None:
    answer, trace = located(Model(TOOLS, invents), hint=HINT)
    assert {step.outcome for step in answer.steps} == {"ok"}
    check(answer, trace, 5)
    for number in ("4711", "98.76", "١٢٣"):
        assert number not in answer.explanation
    assert UNGROUNDED in answer.explanation
    assert "48.2" in answer.reason


def test_a_coordinate_in_words(located: Locate) -> None:
    model = Model(AIMessage("I think it is at 48.1374° N, 11.5755° E."), commit)
    check(*located(model), 4)


def test_several_trajectories_and_their_judge(located: Locate) -> None:
    check(*located(Model(TOOLS, invents), trajectories=3, hint=HINT), 5)


def test_a_run_whose_budget_ran_out(located: Locate) -> None:
    answer, trace = located(Model(TOOLS), budget=Budget(steps=3, tool_calls=7), hint=HINT)
    assert "Stopped early" in answer.explanation
    check(answer, trace, 5)


def test_a_run_that_cannot_tell(located: Locate) -> None:
    give_up = calling(
        ("commit_location", {"evidence_ids": [], "reason": "7 hints", "undetermined": True})
    )
    answer, trace = located(Model(TOOLS, give_up), hint=HINT)
    assert answer.status == "undetermined"
    check(answer, trace, 4)


@pytest.mark.slow
def test_a_gallery_with_a_model_and_without(located: Locate, tmp_path: Path) -> None:
    world = write_world(tmp_path / "world", scenes=2, views=2)
    build_gallery(world.gallery_folder, tmp_path / "g")
    with open_gallery(tmp_path / "g") as gallery:
        check(*located(None, world.path(world.queries[0]), galleries=[gallery]), 2)
        check(*located(Model(TOOLS, invents), world.path(world.queries[1]), galleries=[gallery]), 7)
    check(*located(None, hint=HINT), 2)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["g3", "transgeoclip", "dualgeo"])
def test_published_recipes(
    recipe: str, settings: Settings, settlements: Settlements, tmp_path: Path
) -> None:
    world = make_world(tmp_path / "world", recipe)
    model = ShortModel([says(48.14, 11.57, "12 Hotels"), says(-33.8688, 151.2093), says(0, 0)])
    ran = run_recipe(
        recipe, settings, settlements, galleries=[world.gallery], encoder=world.encoder,
        model=model.chat,
    )  # fmt: skip
    check(ran.answer, Path(ran.answer.trace_path), 3)


def test_a_number_from_nowhere_is_noticed(located: Locate, tmp_path: Path) -> None:
    """The test above can fail."""
    answer, trace = located(Model(TOOLS, commit))
    forged = answer.model_copy(update={"explanation": answer.explanation + " It is 31337 km off."})
    assert [one.partition(":")[0] for one in follow(forged, trace).lost] == ["31337"]
    first = answer.evidence[0]
    moved = answer.explanation.replace(f"{first.id}, {first.call_id}", f"{first.id}, c0000000000")
    with pytest.raises(KeyError):
        follow(answer.model_copy(update={"explanation": moved}), trace)
