"""Servers, galleries, analysts and budgets that give out in the middle of a run.

Each run ends with an answer from the evidence at hand that says what was missing, over HTTP.
"""

import re
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from agent import Geolocator, make_graph
from agent.budget import Budget
from agent.factors import Settlements
from agent.settings import Settings
from tests.aligned_fakes import GlobeEncoder
from tests.integration.hostile_samples import (
    LOOKS,
    Outcome,
    Place,
    Play,
    called,
    commit,
    held_in,
    images_in,
    look,
    purpose_of,
    said_in,
    zoom,
)
from tests.openai_stub import (
    API_KEY,
    MODEL,
    Behaviour,
    Call,
    OpenAIStub,
    calls,
    dies,
    hangs,
    obedient,
    overflows,
    rate_limited,
    refuses_images,
    thinks,
)
from tests.unit.photo_samples import encoded, picture

PHOTO = encoded(picture(96, 72, seed=3))
Body = dict[str, Any]


@pytest.fixture
def place(tmp_path: Path, settlements: Settlements) -> Place:
    return Place(tmp_path, settlements, PHOTO)


def marked(outcome: Outcome, *words: str) -> str:
    """Check that the answer itself and the trace say what failed; return the answer's line."""
    line = next(line for line in outcome.answer.missing if words[0] in line)
    assert all(word in line for word in words), line
    assert outcome.answer.status in ("located", "region", "undetermined")
    return line


def test_a_server_that_is_not_there(place: Place) -> None:
    with OpenAIStub() as stub:
        pass
    outcome = place.run(stub)
    assert stub.bodies == []
    marked(outcome, "is not reachable", stub.url, "GRATICULE_MODEL__URL")
    assert outcome.answer.status == "undetermined"
    assert outcome.answer.stopped_because == "committed"  # by the pipeline driver
    assert "the pipeline driver goes on" in outcome.notices


def test_a_server_that_dies_after_the_first_turn(place: Place) -> None:
    def last_breath(body: Body) -> Behaviour:
        threading.Thread(target=stub.__exit__, daemon=True).start()
        return look(body)

    with OpenAIStub(Play(turns=(last_breath, dies(0)))) as stub:
        outcome = place.run(stub)
    marked(outcome, "model unavailable", stub.url)
    assert outcome.answer.latitude is not None
    assert {"prior", "find_place"} <= {step.tool for step in outcome.answer.steps}
    assert outcome.of("retry")


def test_a_server_slower_than_the_timeout(place: Place) -> None:
    place.timeout_s = 0.5
    slow = Behaviour(text="late", delay_s=2.0)
    outcome = place.play(Play(prior=slow, turns=(slow,), short=slow))
    marked(outcome, "said nothing within 0.5", "GRATICULE_MODEL__TIMEOUT_S (0.5 s)")
    assert outcome.seconds < 20


@pytest.mark.parametrize(
    "silent",
    [
        hangs(0),
        pytest.param(hangs(2), marks=pytest.mark.slow),
        pytest.param(hangs(2, keepalive=True), marks=pytest.mark.slow),
    ],
)
def test_a_stream_that_falls_silent(place: Place, silent: Behaviour) -> None:
    place.timeout_s = 0.5
    outcome = place.play(Play(turns=(silent,)))
    assert outcome.seconds < 20
    assert "the pipeline driver goes on" in outcome.notices
    assert outcome.answer.missing
    assert outcome.answer.latitude is not None


def test_a_stream_that_dies_in_the_middle_every_time(place: Place) -> None:
    outcome = place.play(Play(turns=(dies(2),)))
    marked(outcome, "gave up at attempt 2", "GRATICULE_MODEL__RETRIES=1")
    assert outcome.purposes("retry") == ["decide"]
    assert outcome.answer.latitude is not None


def test_refused_images_leave_text_alone(place: Place) -> None:
    def blind(body: Body) -> Behaviour:
        return refuses_images() if images_in(body) else play(body, len(stub.bodies))

    play = Play(turns=(zoom(0.1), look, commit))
    with OpenAIStub(lambda body, number: blind(body)) as stub:
        outcome = place.run(stub)
    seen = [images_in(body) for body in stub.bodies]
    assert seen[0] == 1
    assert set(seen[1:]) == {0}
    assert "images are left out from now on" in outcome.notices
    assert outcome.answer.stopped_because == "committed"
    assert [data["images"] for data in outcome.of("model_call")][1:] == [[]] * (len(seen) - 1)


def test_a_server_known_to_be_blind_is_sent_no_image(place: Place) -> None:
    def probed(body: Body) -> Behaviour:
        return refuses_images() if images_in(body) else obedient(body)

    with OpenAIStub(Play(turns=(zoom(0.1), commit)), on_probe=probed) as stub:
        outcome = place.run(stub)
    # The prior, asked before anything is known, may find out by itself.
    assert not any(images_in(body) for body in stub.bodies[1:])
    assert outcome.answer.stopped_because == "committed"


def test_an_overfull_context_loses_the_oldest_pictures_first(place: Place) -> None:
    def narrow(body: Body) -> Behaviour:
        return overflows() if images_in(body) > 2 else commit(body)

    outcome = place.play(Play(turns=(zoom(0.1), zoom(0.2), zoom(0.3), narrow)))
    dropped = [line for data in outcome.of("context") for line in data["dropped"]]
    crops = [one.photo_id[:12] for step in outcome.answer.steps for one in step.pictures]
    assert len(crops) == 3
    named = [line.split()[1] for line in dropped if line.startswith("picture ")]
    assert named[0] == crops[0]
    assert set(named) == set(crops[:2])
    last = [body for body in outcome.stub.bodies if purpose_of(body) == "decide"][-1]
    prior = next(item for item in outcome.answer.evidence if item.tool == "prior")
    assert prior.id in said_in(last)
    assert outcome.answer.stopped_because == "committed"


def test_an_overfull_context_shortens_old_results_and_keeps_evidence(place: Place) -> None:
    lengths: list[int] = []

    def narrow(body: Body) -> Behaviour:
        lengths.append(len(said_in(body)))
        return overflows() if len(lengths) == 1 else commit(body)

    place.signs = tuple(f"LONG LINE {n} " + "WORD " * 40 for n in range(60))
    outcome = place.play(Play(turns=(look, narrow)))
    assert lengths[-1] < lengths[0]
    assert any("shortened to" in line for data in outcome.of("context") for line in data["dropped"])
    prior = next(item for item in outcome.answer.evidence if item.tool == "prior")
    assert prior.id in said_in(outcome.stub.bodies[-2])
    assert outcome.answer.stopped_because == "committed"


def test_a_context_that_nothing_fits_into(place: Place) -> None:
    outcome = place.play(Play(turns=(overflows(512),)))
    marked(outcome, "maximum context length is 512", "longer context")
    assert outcome.answer.latitude is not None


def test_a_rate_limit_is_waited_for(place: Place) -> None:
    outcome = place.play(Play(turns=(rate_limited("0.9"), look, commit)))
    (waited,) = outcome.of("retry")
    assert waited["wait_s"] >= 0.9
    assert outcome.answer.stopped_because == "committed"
    assert outcome.answer.missing == ()


def test_a_rate_limit_longer_than_the_time_there_is(place: Place) -> None:
    outcome = place.play(Play(turns=(rate_limited("3600"),)))
    marked(outcome, "a wait of 3.6e+03 s", "GRATICULE_MODEL__TIMEOUT_S")
    assert outcome.of("retry") == []


def test_an_answer_under_another_name(place: Place) -> None:
    def other(body: Body) -> Behaviour:
        return Behaviour(calls=commit(body).calls, model="somebody-else")

    outcome = place.play(Play(turns=(other,)))
    assert f"asked for model '{MODEL}', 'somebody-else' answered" in outcome.notices
    assert {data["model"] for data in outcome.of("model_reply")} == {MODEL, "somebody-else"}
    assert outcome.answer.stopped_because == "committed"


def test_a_wrong_key(place: Place) -> None:
    with OpenAIStub(Play(), api_key=API_KEY) as stub:
        outcome = place.run(stub, model={"api_key": "sk-never-to-be-shown"})
    marked(outcome, "answered 401", "GRATICULE_MODEL__API_KEY")
    assert outcome.of("retry") == []
    assert "never-to-be-shown" not in repr(outcome.events)


@pytest.mark.parametrize("how", ["closed", pytest.param("deleted", marks=pytest.mark.slow)])
def test_a_gallery_that_goes_away_between_turns(place: Place, how: str, tmp_path: Path) -> None:
    from tests.vllm.photos import make_gallery

    encoder = GlobeEncoder()
    gallery = make_gallery(tmp_path, encoder)

    def gone(body: Body) -> Behaviour:
        if how == "closed":
            gallery.close()
        else:
            shutil.rmtree(tmp_path / "gallery")
        return called(body, "search_similar_photos", {"photo_id": "photo", "limit": 7})

    place.galleries = (gallery,)
    place.encoder = encoder
    outcome = place.play(Play(turns=(gone, look, commit)))
    searched = [s for s in outcome.answer.steps if s.tool == "search_similar_photos"]
    assert searched[0].outcome == "ok"
    if how == "closed":
        assert searched[1].outcome == "unavailable"
        marked(outcome, "search_similar_photos", "was closed")
    else:  # what a process has open, Linux deletes only afterwards
        assert searched[1].outcome in ("ok", "unavailable")
    gallery.close()
    assert outcome.answer.stopped_because == "committed"


def never(question: str, options: Sequence[str]) -> str | None:
    return None


def broken(question: str, options: Sequence[str]) -> str | None:
    raise OSError("the terminal is gone")


QUESTION = calls(Call("ask_analyst", {"question": "Did you take it yourself?"}, id="q1"))


@pytest.mark.parametrize("ask", [never, broken])
def test_an_analyst_who_never_answers(place: Place, ask: Any) -> None:
    outcome = place.play(Play(turns=(QUESTION, look, commit)), ask=ask)
    step = next(step for step in outcome.answer.steps if step.tool == "ask_analyst")
    assert "did not answer" in step.text
    assert outcome.of("question")
    assert outcome.answer.stopped_because == "committed"


@pytest.mark.slow  # it opens the gazetteer and the reader of text themselves
def test_a_session_that_an_analyst_ignores(place: Place) -> None:
    with OpenAIStub(Play(turns=(QUESTION, look, commit))) as stub:
        settings = Settings(home=place.folder / "home", model=stub.settings())
        graph = make_graph(
            checkpointer=InMemorySaver(), analyst=True, settings=settings, encoder=None
        )
        photo_id = Geolocator(settings=settings, encoder=None).bench.photos.add(PHOTO).id
        thread: Any = {"configurable": {"thread_id": "t"}}
        waiting = graph.invoke({"photo_id": photo_id}, thread)
        assert waiting["__interrupt__"]
        ended = graph.invoke(Command(resume=[{"type": "ignore", "args": None}]), thread)
    assert ended["answer"].stopped_because == "committed"
    assert any("did not answer" in step.text for step in ended["answer"].steps)


@pytest.mark.parametrize(
    ("limit", "turns"),
    [
        ({"tokens": 350}, LOOKS),
        ({"seconds": 1.2}, [Behaviour(calls=one.calls, delay_s=0.5) for one in LOOKS]),
        ({"tool_calls": 3}, LOOKS),
        ({"steps": 2}, LOOKS),
    ],
)
def test_a_budget_that_runs_out_in_the_middle(
    place: Place, limit: dict[str, float], turns: Sequence[Behaviour]
) -> None:
    ((name, value),) = limit.items()
    budget = Budget.model_validate({"steps": 9, "tool_calls": 30, "seconds": 30.0, **limit})
    outcome = place.play(Play(turns=tuple(turns)), budget=budget)
    assert re.fullmatch(rf"{name}: [\d.]+ of {value:g}", outcome.answer.stopped_because)
    assert outcome.of("budget")
    assert not any(s.tool == "commit_location" and s.outcome == "ok" for s in outcome.answer.steps)
    assert outcome.answer.latitude == pytest.approx(48.14, abs=0.5)  # from belief
    assert f"Stopped early ({name}" in outcome.answer.explanation


def test_a_model_that_only_ever_thinks(place: Place) -> None:
    outcome = place.play(Play(turns=(thinks("It may be Lyon, or 0, 0. " * 50),)))
    kinds = [data["kind"] for data in outcome.of("malformed")]
    assert kinds == ["empty"] * 3
    marked(outcome, "gave no usable reply 3 times in a row")
    assert outcome.answer.latitude == pytest.approx(48.14, abs=0.5)


def test_thirty_calls_in_one_turn(place: Place) -> None:
    names = [Call("find_place", {"name": f"Town {n}"}, id=f"t{n}") for n in range(30)]
    outcome = place.play(Play(turns=(calls(*names), commit)))
    ran = [step for step in outcome.answer.steps if step.tool == "find_place"]
    assert len(ran) == 23, "one of 24 went to the text in the photo"
    assert outcome.answer.stopped_because.startswith("tool_calls: 24 of 24")
    roomy = place.play(
        Play(turns=(calls(*names), commit)), budget=Budget(steps=6, tool_calls=40, seconds=25)
    )
    assert len([step for step in roomy.answer.steps if step.tool == "find_place"]) == 30
    assert roomy.answer.stopped_because == "committed"
    told = roomy.stub.bodies[2]["messages"]
    assert sum(message["role"] == "tool" for message in told) >= 30
    assert held_in(roomy.stub.bodies[2])
