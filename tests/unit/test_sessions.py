"""Sessions: what people say becomes evidence, runs stop and go on, branches share their past."""

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import JsonValue

from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.session_records import (
    Assessment,
    SessionBusyError,
    SessionOptions,
    UnknownSessionError,
)
from agent.sessions import Sessions
from agent.settings import Settings
from agent.state import InputState
from agent.trace import check_trace
from geo.errors import InputError, UnavailableError
from tests.fakes import BlankReader, FakeGazetteer, calling
from tests.unit.photo_samples import encoded, picture
from tests.unit.session_samples import Steady, quick_sessions
from tests.unit.test_agentic import Model, commit

PHOTO = encoded(picture(120, 80, seed=1))
OTHER = encoded(picture(120, 80, seed=2))


@pytest.fixture
def sessions(tmp_path: Path, settlements: Settlements) -> Iterator[Sessions]:
    with quick_sessions(tmp_path / "home", settlements) as held:
        yield held


def held_at_gate(
    tmp_path: Path, settlements: Settlements, looks: int = 3
) -> tuple[Sessions, Steady]:
    driver = Steady(looks, threading.Event())
    return quick_sessions(tmp_path / "home", settlements, driver), driver


def test_a_photo_is_located_and_the_session_remembers(sessions: Sessions) -> None:
    info = sessions.create(PHOTO, name="the quay")
    assert info.status == "new"
    run = sessions.send(info.id, "I think it is in Berlin")
    kinds = [event.kind for event in run.events()]
    answer = run.wait(30)
    assert answer is not None
    assert kinds[:3] == ["setup", "message", "photo"]
    assert kinds[-1] == "answer"
    now = sessions.get(info.id)
    assert (now.status, now.revision, now.name) == ("idle", 1, "the quay")
    assert now.headline
    assert sessions.answer(info.id) == answer
    assert check_trace(sessions.trace_path(info.id)).finished
    assert next(sessions.events(info.id, after=3)).number == 4


def test_follow_ups_are_answered_in_revisions(sessions: Sessions) -> None:
    info = sessions.create(PHOTO)
    first = sessions.send(info.id).wait(30)
    second = sessions.send(info.id, "It is in Germany", photos=[OTHER]).wait(30)
    assert first
    assert second
    assert (first.revision, second.revision) == (1, 2)
    assert second.countries["DE"] > first.countries["DE"]
    assert len(second.photos) == 2
    assert second.photos == sessions.get(info.id).photos
    said = [step for step in second.steps if step.tool == "follow_up"]
    assert [step.revision for step in said] == [2, 2]
    assert list(sessions.answers(info.id)) == [first, second]
    assert sessions.answer(info.id, 1) == first
    with pytest.raises(InputError, match="no answer 3"):
        sessions.answer(info.id, 3)


def test_withdrawn_evidence_has_no_effect_until_it_is_restored(sessions: Sessions) -> None:
    info = sessions.create(PHOTO)
    sessions.send(info.id, "It is in Germany").wait(30)
    before = sessions.send(info.id, "47.37, 8.54, surely").wait(30)
    assert before
    hint = next(item for item in before.evidence if item.tool == "find_place")
    without = sessions.send(info.id, withdraw=[hint.id]).wait(30)
    assert without
    assert without.withdrawn == (hint.id,)
    assert next(item for item in without.evidence if item.id == hint.id).weight == 0
    again = sessions.send(info.id, restore=[hint.id]).wait(30)
    assert again
    assert again.withdrawn == ()
    with pytest.raises(InputError, match="no evidence 'e0'"):
        sessions.send(info.id, withdraw=["e0"])


def test_a_run_is_stopped_and_goes_on_where_it_was(
    tmp_path: Path, settlements: Settlements
) -> None:
    sessions, driver = held_at_gate(tmp_path, settlements)
    assert driver.gate
    with sessions:
        info = sessions.create(PHOTO)
        run = sessions.send(info.id)
        assert driver.began.wait(20)
        assert sessions.get(info.id).status == "busy"
        assert sessions.stop(info.id)
        driver.gate.set()
        assert run.wait(30) is None
        assert sessions.get(info.id).status == "stopped"
        assert driver.turns == 1
        assert sessions.resume(info.id).wait(30)
        assert driver.turns == 4
        kinds = [event.kind for event in sessions.events(info.id)]
        assert kinds.count("stopped") == kinds.count("resumed") == kinds.count("answer") == 1
        with pytest.raises(InputError, match="nothing to go on with"):
            sessions.resume(info.id)


def test_another_process_goes_on_with_what_was_stopped(
    tmp_path: Path, settlements: Settlements
) -> None:
    sessions, driver = held_at_gate(tmp_path, settlements)
    assert driver.gate
    info = sessions.create(PHOTO)
    run = sessions.send(info.id)
    assert driver.began.wait(20)
    run.stop()
    driver.gate.set()
    run.wait(30)
    sessions.close()
    with quick_sessions(tmp_path / "home", settlements, Steady(3)) as later:
        answer = later.resume(info.id).wait(30)
        assert answer
        assert answer.revision == 1
        whole = later.create(PHOTO)
        undisturbed = later.send(whole.id).wait(30)
        assert undisturbed
        assert answer.evidence == undisturbed.evidence
        assert answer.radii == undisturbed.radii


def test_two_writers_do_not_meet(tmp_path: Path, settlements: Settlements) -> None:
    sessions, driver = held_at_gate(tmp_path, settlements)
    assert driver.gate
    with sessions, quick_sessions(tmp_path / "home", settlements) as other:
        info = sessions.create(PHOTO)
        run = sessions.send(info.id)
        for one in (sessions, other):
            with pytest.raises(SessionBusyError, match="is running"):
                one.send(info.id, "hello")
            with pytest.raises(SessionBusyError):
                one.delete(info.id)
        assert other.get(info.id).status == "busy"
        driver.gate.set()
        assert run.wait(30)
        assert other.send(info.id, "hello").wait(30)


def test_a_session_whose_process_is_gone_has_stopped(sessions: Sessions) -> None:
    info = sessions.create(PHOTO)
    sessions._write(info.model_copy(update={"status": "busy"}))
    assert sessions.get(info.id).status == "stopped"
    assert sessions.search()[0].status == "stopped"


def test_a_branch_has_the_same_past_and_its_own_future(sessions: Sessions) -> None:
    info = sessions.create(PHOTO, name="quay")
    sessions.send(info.id, "It is in Berlin").wait(30)
    ended = sessions.answer(info.id)
    moments = sessions.history(info.id)
    assert moments[0].revision == 1
    assert moments[-1].events <= 2
    middle = next(one for one in moments if one.next == ("decide",))
    branch = sessions.fork(info.id, middle.checkpoint_id, name="without hints")
    assert (branch.status, branch.parent, branch.revision) == ("stopped", info.id, 0)
    past = sessions.trace_path(info.id).read_bytes().split(b"\n")[: middle.events]
    assert sessions.trace_path(branch.id).read_bytes().split(b"\n")[: middle.events] == past
    answer = sessions.resume(branch.id).wait(30)
    assert answer
    assert ended
    assert answer.evidence == ended.evidence
    assert check_trace(sessions.trace_path(branch.id)).finished
    later = sessions.fork(info.id)
    assert (later.status, later.revision) == ("idle", 1)
    assert sessions.answer(later.id) == ended
    assert sessions.send(later.id, "Paris").wait(30)
    assert sessions.answer(info.id) == ended
    assert sessions.get(info.id).revision == 1
    with pytest.raises(UnknownSessionError, match="no checkpoint"):
        sessions.fork(info.id, "1f1e5cff-a4b5-679d-8026-5e7fb2a846e9")


def test_a_branch_may_investigate_otherwise(sessions: Sessions) -> None:
    info = sessions.create(PHOTO)
    sessions.send(info.id, "It is in Berlin").wait(30)
    first = sessions.history(info.id)[-2]
    branch = sessions.fork(
        info.id, first.checkpoint_id, options=SessionOptions(without=("find_place",))
    )
    answer = sessions.resume(branch.id).wait(30)
    assert answer
    refused = [step for step in answer.steps if step.outcome == "refused"]
    assert [step.tool for step in refused] == ["find_place"]


def test_sessions_are_found_renamed_and_deleted(sessions: Sessions) -> None:
    quay = sessions.create(PHOTO, name="the quay")
    both = sessions.create(PHOTO, name="a copy of the quay")
    other = sessions.create(OTHER, name="hill")
    sessions.send(other.id).wait(30)
    assert [one.name for one in sessions.search()] == ["hill", "a copy of the quay", "the quay"]
    assert {one.id for one in sessions.search("QUAY")} == {quay.id, both.id}
    assert len(sessions.search(limit=1, offset=1)) == 1
    assert sessions.find(quay.id[:13]) == sessions.find("the quay")
    with pytest.raises(UnknownSessionError, match="no session 'xyz'"):
        sessions.find("xyz")
    assert sessions.update(quay.id, name="pier").name == "pier"
    stored = sessions.photos.path(quay.photos[0])
    sessions.delete(quay.id)
    assert stored.exists(), "another session shows it, too"
    sessions.delete(both.id)
    assert not stored.exists()
    sessions.delete(other.id)
    assert sessions.search() == []
    assert not list(sessions.photos.root.glob("*.jp*"))
    assert not list((sessions.settings.home / "sessions").iterdir())
    assert list(sessions.store.saver.list(None)) == []
    with pytest.raises(UnknownSessionError):
        sessions.get(quay.id)


def test_verdicts_are_kept(sessions: Sessions) -> None:
    info = sessions.create(PHOTO)
    sessions.assess(info.id, Assessment(verdict="unknown", revision=0, notes="later"))
    with pytest.raises(InputError, match="has 0 answers, not 1"):
        sessions.assess(info.id, Assessment(verdict="near", revision=1))
    sessions.send(info.id).wait(30)
    sessions.assess(info.id, Assessment(verdict="near", revision=0, latitude=1.5, longitude=2.5))
    first, second = sessions.assessments(info.id)
    assert (first.notes, first.revision) == ("later", 0)
    assert (second.latitude, second.revision) == (1.5, 1)
    assert first.at <= second.at


@pytest.mark.parametrize("bad", ["../../etc", "0", "ABCDEF00-0000-0000-0000-000000000000"])
def test_only_a_uuid_names_a_session(sessions: Sessions, bad: str) -> None:
    with pytest.raises(InputError, match="no UUID"):
        sessions.create(PHOTO, session_id=bad)
    with pytest.raises(UnknownSessionError):
        sessions.get(bad)


def test_what_cannot_be_sent_is_told(sessions: Sessions) -> None:
    info = sessions.create()
    with pytest.raises(InputError, match="no photo in this session"):
        sessions.send(info.id, "where is it?")
    assert sessions.send(info.id, photos=[PHOTO]).wait(30)
    with pytest.raises(InputError, match="nothing is said"):
        sessions.send(info.id, "  ")
    with pytest.raises(InputError, match="limit 500"):
        sessions.send(info.id, "x" * 501)


def test_pixels_stay_out_of_checkpoints(sessions: Sessions) -> None:
    info = sessions.create(encoded(picture(1600, 1200, seed=3)))
    sessions.send(info.id).wait(30)
    held = sum(len(row) for _, row in _rows(sessions))
    assert held < 200_000


def _rows(sessions: Sessions) -> list[tuple[str, bytes]]:
    with sessions.store.saver.cursor(transaction=False) as cursor:  # type: ignore[attr-defined]
        cursor.execute("SELECT type, checkpoint FROM checkpoints")
        rows: list[tuple[str, bytes]] = cursor.fetchall()
    assert rows
    assert all(kind.endswith("+zlib") for kind, _ in rows)
    return rows


def test_a_disk_that_fills_costs_the_run_and_nothing_else(
    tmp_path: Path, settlements: Settlements, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.trace import Trace

    sessions, driver = held_at_gate(tmp_path, settlements)
    assert driver.gate
    written = Trace._write
    full = threading.Event()

    def write(trace: Trace, line: bytes) -> None:
        if full.is_set():
            raise UnavailableError("cannot write the trace (no space left on device); free space")
        written(trace, line)

    monkeypatch.setattr(Trace, "_write", write)
    with sessions:
        info = sessions.create(PHOTO)
        run = sessions.send(info.id)
        assert driver.began.wait(20)
        full.set()
        driver.gate.set()
        with pytest.raises(UnavailableError, match="free space"):
            run.wait(30)
        now = sessions.get(info.id)
        assert now.status == "error"
        assert "free space" in now.error
        full.clear()
        assert sessions.resume(info.id).wait(30)
        assert check_trace(sessions.trace_path(info.id)).finished


def test_half_a_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    from agent.trace import Trace, read_trace

    path = tmp_path / "trace.jsonl"
    with Trace(path) as trace:
        trace.append("notice", {"text": "one"})
    with path.open("ab") as file:
        file.write(b'{"number":2,"seco')
    with Trace(path, onward=True) as trace:
        trace.append("notice", {"text": "two"})
    assert [event.data["text"] for event in read_trace(path)] == ["one", "two"]
    assert not check_trace(path).cut
    path.write_text(json.dumps({"no": "event"}) + os.linesep)
    with pytest.raises(InputError, match="line 1 is not an event"):
        Trace(path, onward=True)


def test_a_model_that_thinks_does_not_keep_a_run_from_stopping(
    tmp_path: Path, settlements: Settlements
) -> None:
    asked, thought = threading.Event(), threading.Event()

    class Thinking(Model):
        def reply(self, messages: Sequence[BaseMessage], given: dict[str, Any]) -> AIMessage:
            asked.set()
            thought.wait(60)
            return super().reply(messages, given)

    settings = Settings(home=tmp_path)

    def make(_: SessionOptions) -> Geolocator:
        model = Thinking(commit)
        one = Geolocator(model=model.chat, settings=settings, encoder=None, recipe="agentic")
        one.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        one.bench.reader = BlankReader()
        return one

    with Sessions(settings, Geolocators(settings, make=make)) as sessions:
        info = sessions.create(PHOTO)
        run = sessions.send(info.id)
        assert asked.wait(20)
        began = time.monotonic()
        run.stop("enough")
        assert run.wait(10) is None
        assert time.monotonic() - began < 5
        assert sessions.get(info.id).status == "stopped"
        assert [e.data["why"] for e in sessions.events(info.id) if e.kind == "stopped"] == [
            "enough"
        ]
        thought.set()
        answer = sessions.resume(info.id).wait(30)
        assert answer
        assert [step.tool for step in answer.steps].count("prior") == 1


ASK = calling(("ask_analyst", {"question": "Which country?", "options": ["Germany", "none"]}))


def modelled_sessions(home: Path, settlements: Settlements, *turns: Any) -> Sessions:
    """Return sessions whose model takes these turns."""
    settings = Settings(home=home)

    def make(options: SessionOptions) -> Geolocator:
        model = Model(*turns)
        one = Geolocator(
            model=model.chat, settings=settings, encoder=None, recipe="agentic", analyst=options.ask
        )
        one.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        one.bench.reader = BlankReader()
        return one

    return Sessions(settings, Geolocators(settings, make=make))


@pytest.mark.parametrize("reply", ["Germany", None])
def test_a_question_waits_for_its_answer_in_another_process(
    tmp_path: Path, settlements: Settlements, reply: str | None
) -> None:
    with modelled_sessions(tmp_path, settlements, ASK) as sessions:
        info = sessions.create(PHOTO)
        run = sessions.send(info.id)
        assert run.wait(30) is None
        assert run.question
        assert run.question["action_request"]["args"]["question"] == "Which country?"
        assert sessions.get(info.id).status == "waiting"
    with modelled_sessions(tmp_path, settlements, commit) as later:
        again = later.send(info.id, reply) if reply else later.resume(info.id)
        answer = again.wait(30)
        assert answer
        said = next(step for step in answer.steps if step.tool == "ask_analyst")
        assert (said.data.get("chosen") == "Germany") == bool(reply)
        assert bool(said.evidence_ids) == bool(reply)
        kinds = [event.kind for event in later.events(info.id)]
        assert kinds.count("question") == kinds.count("reply") == 1
        assert later.get(info.id).status == "idle"


SQUARE: dict[str, JsonValue] = {
    "type": "Polygon",
    "coordinates": [[[9, 47], [15, 47], [15, 54], [9, 54], [9, 47]]],
}


def test_all_that_comes_with_the_first_photo_counts(sessions: Sessions) -> None:
    info = sessions.create(PHOTO)
    answer = sessions.send(info.id, photos=[OTHER], region=SQUARE).wait(30)
    assert answer
    assert len(answer.photos) == 2
    drawn = next(item for item in answer.evidence if item.area is not None)
    assert drawn.weight > 0
    assert answer.countries["DE"] > 0.8
    (said,) = (event.data for event in sessions.events(info.id) if event.kind == "message")
    assert said["region"] == SQUARE
    assert said["photos"] == list(answer.photos)


def test_raw_inputs_of_the_graph_are_told_too(sessions: Sessions) -> None:
    info = sessions.create(PHOTO)
    sessions.send(info.id).wait(30)
    words = HumanMessage("It is in Germany", id="m1")
    run = sessions.run(info.id, InputState(messages=[words], withdraw=[], trust_metadata=True))
    assert run.wait(30)
    said = [event.data for event in sessions.events(info.id) if event.kind == "message"]
    assert (said[1]["text"], said[1]["trust_metadata"]) == ("It is in Germany", True)


def test_a_run_from_an_earlier_checkpoint_answers_anew(sessions: Sessions) -> None:
    info = sessions.create(PHOTO)
    sessions.send(info.id, "It is in Germany").wait(30)
    middle = next(one for one in sessions.history(info.id) if one.next == ("decide",))
    again = sessions.run(info.id, None, checkpoint_id=middle.checkpoint_id).wait(30)
    assert again
    assert len(list(sessions.answers(info.id))) == 2
    assert sessions.answer(info.id, 1) == sessions.answer(info.id) == again
    setup = [event.data for event in sessions.events(info.id) if event.kind == "setup"]
    assert (setup[1]["checkpoint"], setup[1]["step"]) == (middle.checkpoint_id, middle.step)


def test_a_run_that_halts_before_a_node_has_stopped(sessions: Sessions) -> None:
    info = sessions.create(PHOTO)
    limits = {"interrupt_before": ["conclude"]}
    asked = InputState(photo_id=info.photos[0])
    assert sessions.run(info.id, asked, limits=limits).wait(30) is None
    assert sessions.get(info.id).status == "stopped"
    assert sessions.resume(info.id).wait(30)


def test_a_stored_photo_needs_no_sending(sessions: Sessions) -> None:
    held = sessions.photos.add(PHOTO, name="quay.jpg")
    info = sessions.create(held)
    assert (info.photos, info.name) == ((held.id,), "quay.jpg")
    other = sessions.photos.add(OTHER)
    sessions.send(info.id).wait(30)
    answer = sessions.send(info.id, "the same place", photos=[other]).wait(30)
    assert answer
    assert answer.photos == (held.id, other.id)


def test_a_rename_during_a_run_is_not_lost(tmp_path: Path, settlements: Settlements) -> None:
    sessions, driver = held_at_gate(tmp_path, settlements)
    assert driver.gate
    with sessions:
        info = sessions.create(PHOTO)
        run = sessions.send(info.id)
        assert driver.began.wait(20)
        assert sessions.update(info.id, name="renamed").status == "busy"
        driver.gate.set()
        run.wait(30)
        now = sessions.get(info.id)
        assert (now.name, now.status, now.revision) == ("renamed", "idle", 1)


def test_encoders_are_loaded_once_for_all_sessions(
    tmp_path: Path, settlements: Settlements, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.aligned_fakes import GlobeEncoder

    loaded: list[str] = []

    def load(name: str, home: Path) -> GlobeEncoder:
        loaded.append(name)
        return GlobeEncoder()

    monkeypatch.setattr("agent.geolocators.load_named", load)
    geolocators = Geolocators(Settings(home=tmp_path), encoder="globe")
    one = geolocators.get(SessionOptions())
    two = geolocators.get(SessionOptions(without=("measure",)))
    assert one is not two
    assert one.bench.encoder is two.bench.encoder
    assert loaded == ["globe"]
    geolocators.close()


def test_a_branch_that_could_not_run_is_not_begun(tmp_path: Path, settlements: Settlements) -> None:
    with modelled_sessions(tmp_path, settlements, commit) as sessions:
        info = sessions.create(PHOTO)
        sessions.send(info.id).wait(30)
        made = sessions.geolocators._make
        sessions.geolocators._make = lambda options: (
            Geolocator(recipe="nonsense") if options.recipe else made(options)
        )
        with pytest.raises(InputError, match="no recipe 'nonsense'"):
            sessions.fork(info.id, options=SessionOptions(recipe="nonsense"))
        assert [one.id for one in sessions.search()] == [info.id]
