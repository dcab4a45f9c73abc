"""Conversations with scripted runs: lines in, text out."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import JsonValue
from rich.console import Console

from agent.budget import Left
from agent.drivers import Decision
from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.session_records import SessionOptions
from agent.sessions import Sessions
from agent.settings import Settings
from agent.state import State
from cli.chat import converse
from cli.chat_commands import COMMANDS, command_of, completions
from cli.chat_input import Reader
from cli.chat_talk import Talk
from cli.geolocator_options import Chosen
from cli.session_options import BARE, as_before, remember, session_options
from geo.errors import InputError
from tests.fakes import BlankReader, FakeGazetteer, calling
from tests.unit.photo_samples import encoded, picture
from tests.unit.session_samples import Steady, quick_sessions

Say = Callable[..., str]


@pytest.fixture
def sessions(tmp_path: Path, settlements: Settlements) -> Iterator[Sessions]:
    with quick_sessions(tmp_path / "home", settlements) as held:
        yield held


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "quay [bold].png"
    path.write_bytes(encoded(picture(120, 80, seed=1)))
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    path = tmp_path / "other.png"
    path.write_bytes(encoded(picture(120, 80, seed=2)))
    return path


class Room:
    """A conversation whose lines are given and whose text is kept."""

    def __init__(self, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sessions, self.monkeypatch = sessions, monkeypatch
        self.console = Console(file=io.StringIO(), width=120, highlight=False)
        reader = Reader(lambda line: [], lambda line: self.talk.note(line))
        self.talk = Talk(sessions, self.console, reader, "none", Chosen(**BARE))

    def say(self, *lines: str) -> str:
        self.console.file = io.StringIO()
        self.monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        converse(self.talk)
        return self.console.file.getvalue()

    def flat(self, *lines: str) -> str:
        """Return what `say` does, on one line, without frames."""
        return " ".join(self.say(*lines).replace("│", " ").split())


@pytest.fixture
def room(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr(Chosen, "prepare", lambda *_, **__: None)
    return Room(sessions, monkeypatch)


def test_a_photo_is_located_and_what_is_said_changes_the_answer(room: Room, photo: Path) -> None:
    told = room.say(f"/new {photo}", "It is in Germany", "/quit", "never read")
    assert "quay [bold].png" in told
    assert "find_place" in told
    assert told.index("revision 1") < told.index("you> It is in Germany") < told.index("revision 2")
    assert "Changed" not in told[: told.index("you> It is in Germany")]
    changed = told[told.index("Changed") :]
    assert "Germany" in changed
    assert "→" in changed
    assert "not proof" in told
    assert "never read" not in told
    assert room.talk.info.revision == 2
    room.talk.left = False
    assert "Changed     nothing" in room.say("hm")
    assert room.talk.failed is None


def test_before_a_photo_there_is_nothing_to_say(room: Room) -> None:
    told = room.say("hello", "/why", "/budget")
    assert told.count("no photo yet") == 3


def test_a_pasted_path_begins_a_session_and_later_is_asked_about(
    room: Room, photo: Path, other: Path
) -> None:
    told = room.flat(f"'{photo}'", str(other), f"/photo {other}")
    assert "Session" in told
    assert "is a file; /photo adds it" in told
    assert len(room.talk.info.photos) == 2


def test_every_look_shows_something(room: Room, photo: Path) -> None:
    room.say(f"/new {photo}", "It is in Germany")
    evidence = [item.id for item in room.talk.answer.evidence]
    shown = {
        "/evidence": evidence[0], "/steps": "find_place", "/steps 1": "Called",
        "/why": "Why", "/belief": "Countries", "/map": "X the answer", "/map near": "X the answer",
        "/history": "decide", "/budget": "of 12", "/sessions": "quay", "/help": "/withdraw",
        "/help fork": "--without", "/stop": "Nothing runs",
    }  # fmt: skip
    for line, expected in shown.items():
        told = room.say(line)
        assert expected in told, line
        assert room.talk.failed is None, line
    assert json.loads(room.say("/json").partition("\n")[2])["revision"] == 2


def test_evidence_is_withdrawn_and_restored_by_the_beginning_of_its_id(
    room: Room, photo: Path
) -> None:
    room.say(f"/new {photo}", "It is in Germany")
    held = next(item for item in room.talk.answer.evidence if item.weight)
    told = room.flat(f"/withdraw {held.id[:6]}")
    assert "1 no longer counted" in told
    assert room.talk.answer.withdrawn == (held.id,)
    assert "withdrawn" in room.say("/evidence")
    assert "1 new" in room.flat(f"/restore {held.id}")
    assert "fit 'zzz'" in room.say("/withdraw zzz")
    assert "which evidence" in room.say("/withdraw")


def test_a_fork_goes_on_differently_and_is_compared(room: Room, photo: Path) -> None:
    room.say(f"/new {photo}", "It is in Germany", "/name one")
    first = room.talk.session_id
    decide = next(m for m in reversed(room.sessions.history(first)) if m.next == ("decide",))
    told = room.say(f"/fork {decide.step} --without zoom --name two", "/resume")
    assert "Branch" in told
    branch = room.talk.info
    assert (branch.name, branch.revision, branch.parent) == ("two", 1, first)
    assert branch.options.without == ("zoom",)
    table = room.say("/compare one")
    assert "branched at checkpoint" in table
    assert "It is in Germany" in table
    assert "Option without" in table
    assert "/fork: No such option" in room.say("/fork --nope")
    assert "no step 999" in room.say("/fork 999")
    assert room.say("/open one")
    assert room.talk.session_id == first


def test_files_are_written_and_nothing_is_replaced(room: Room, photo: Path, tmp_path: Path) -> None:
    room.say(f"/new {photo}")
    told = room.say(f"/report '{tmp_path / 'a report.html'}'", f"/export geojson {tmp_path}/x.json")
    assert told.count("Written") == 2
    assert (tmp_path / "a report.html").read_bytes()[:15].lower() == b"<!doctype html>"
    assert json.loads((tmp_path / "x.json").read_text())["type"] == "FeatureCollection"
    before = photo.read_bytes()
    told = room.flat(f"/report {photo.as_posix().replace(' ', chr(92) + ' ')}")
    assert "is there already" in told
    assert photo.read_bytes() == before
    assert "none of" in room.flat(f"/export docx {tmp_path}/y")


def test_a_part_of_the_photo_is_looked_at(room: Room, photo: Path) -> None:
    room.say(f"/new {photo}", "/look 0.1,0.2,0.6,0.7")
    said = [step for step in room.talk.answer.steps if step.tool == "follow_up"]
    assert len(said[0].pictures) == 1
    room.say("/look the sign top left")
    assert room.talk.failed is None
    for bad in ("/look 0.5,0.5,0.1,0.9", "/look 10,10,20,20", "/look"):
        room.say(bad)
        assert isinstance(room.talk.failed, InputError), bad
    assert room.talk.info.revision == 3


def test_a_verdict_is_kept_with_place_and_notes(room: Room, photo: Path) -> None:
    room.say(f"/new {photo}", "/verdict near 48.1, 11.5 the tower, surely", "/verdict unknown")
    kept = room.sessions.assessments(room.talk.session_id)
    assert [(one.verdict, one.latitude, one.longitude, one.notes) for one in kept] == [
        ("near", 48.1, 11.5, "the tower, surely"), ("unknown", None, None, ""),
    ]  # fmt: skip
    for bad in ("/verdict maybe", "/verdict right 97, 3", "/verdict"):
        room.say(bad)
        assert room.talk.failed is not None, bad
    assert len(room.sessions.assessments(room.talk.session_id)) == 2


def test_a_region_file_is_read_strictly(room: Room, photo: Path, tmp_path: Path) -> None:
    room.say(f"/new {photo}")
    bad = {"none.json": None, "text.json": "hello", "list.json": "[1]",
           "two.json": '{"type":"FeatureCollection","features":[{},{}]}'}  # fmt: skip
    for name, text in bad.items():
        if text is not None:
            (tmp_path / name).write_text(text)
        room.say(f"/region {tmp_path / name}")
        assert isinstance(room.talk.failed, InputError), name
    assert room.talk.info.revision == 1


def test_what_a_photo_or_a_person_says_does_not_act_on_the_terminal(
    room: Room, photo: Path
) -> None:
    room.say(f"/new {photo}")
    hostile = "It is in Germany [bold red]x[/] \x1b[2J\x1b]0;owned\x07 \u202eabc"
    told = room.say(hostile, "/name [link=http://e]\x1b[31m", "/why", "/evidence", "/steps",
                    "/sessions", "/compare " + room.talk.session_id, "/\x1b[2J")  # fmt: skip
    echoed = "".join(line for line in told.splitlines(True) if not line.startswith("you> "))
    assert "\x1b" not in echoed
    assert "\u202e" not in echoed
    assert "\x07" not in told
    assert "\x1b" not in told


def test_unknown_commands_suggest_the_nearest(room: Room) -> None:
    assert "did you mean /withdraw?" in room.say("/withdrw x")
    assert "/history" in room.say("/histroy")
    assert "there is no command '/zzzz' /help" in room.say("/zzzz")
    assert command_of("hist") is COMMANDS["history"]
    with pytest.raises(InputError, match="/restore or /resume"):
        command_of("res")


def test_tab_completes_commands_paths_ids_and_sessions(
    room: Room, photo: Path, other: Path
) -> None:
    room.say(f"/new {photo}")
    ids = [item.id for item in room.talk.answer.evidence]
    assert completions(room.talk, "/hi") == ["/history "]
    assert completions(room.talk, f"/photo {other.parent}/oth") == [str(other)]
    assert completions(room.talk, "/withdraw e") == ids
    assert completions(room.talk, "/open ") == [room.talk.session_id[:8]]
    assert completions(room.talk, "/why x") == []


def test_an_old_session_is_shown_and_goes_on(
    room: Room, photo: Path, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.say(f"/new {photo}", "/name the quay")
    later = Room(sessions, monkeypatch)
    later.talk.open("the quay")
    assert "revision 2" in later.say("It is in Germany")


def test_a_question_is_answered_by_number_or_not_at_all(
    tmp_path: Path, settlements: Settlements, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Chosen, "prepare", lambda *_, **__: None)
    with asking_sessions(tmp_path / "home", settlements) as sessions:
        room = Room(sessions, monkeypatch)
        told = room.say(f"/new {photo}", "/budget", "2")
        assert "The model asks: Which country? [bold]" in told
        assert "  2. France" in told
        assert "reply> 2" in told
        replies = [event for event in sessions.events(room.talk.session_id)
                   if event.kind == "reply"]  # fmt: skip
        assert [event.data["reply"] for event in replies] == ["France"]
        told = room.say(f"/new {photo}", "")
        assert "revision 1" in told
        assert room.talk.info.status == "idle"
        # at the end of the lines the question stays
        room.say(f"/new {photo}")
        assert room.talk.waiting
        again = Room(sessions, monkeypatch)
        again.talk.open(room.talk.session_id)
        assert "revision 1" in again.say("in Germany, I think")


def asking_sessions(home: Path, settlements: Settlements) -> Sessions:
    settings = Settings(home=home)

    def make(options: SessionOptions) -> Geolocator:
        one = Geolocator(driver=Asking(), settings=settings, encoder=None, recipe="pipeline",
                         analyst=True)  # fmt: skip
        one.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        one.bench.reader = BlankReader()
        return one

    return Sessions(settings, Geolocators(settings, make=make))


class Asking(Steady):
    """Asks once before it looks."""

    def decide(self, state: State, left: Left) -> Decision:
        if any(step.tool == "ask_analyst" for step in state["steps"]):
            return super().decide(state, left)
        asked: dict[str, JsonValue] = {
            "question": "Which country? [bold]", "options": ["Germany", "France"]
        }  # fmt: skip
        return Decision(calling(("ask_analyst", asked)))


def test_an_interrupt_stops_the_run_after_its_step(
    tmp_path: Path, settlements: Settlements, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Chosen, "prepare", lambda *_, **__: None)
    driver = Steady(2, threading.Event())
    assert driver.gate
    with quick_sessions(tmp_path / "home", settlements, driver) as sessions:
        room = Room(sessions, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            room.talk.interrupt()  # nothing runs
        asked: list[bool] = []

        def interrupt() -> None:
            assert driver.gate
            assert driver.began.wait(20)
            asked.extend((room.talk.interrupt(), room.talk.interrupt()))
            driver.gate.set()

        other = threading.Thread(target=interrupt)
        other.start()
        told = room.say(f"/new {photo}")
        other.join()
        assert asked == [True, False]  # asked again, the program shall end
        assert "Stopped; what was found is kept." in told
        assert room.talk.info.status == "stopped"
        assert "revision 1" in room.say("/resume")


def test_options_of_a_session_are_kept_for_another_day(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    begun = Chosen(**BARE | {"recipe": "pipeline", "encoder": "none", "galleries": (Path("g"),),
                             "abstain_cost": 0.2, "calibration": Path("none")})  # fmt: skip
    with Sessions(settings) as sessions:
        info = sessions.create(name="quay", options=session_options(begun))
        remember(sessions, info.id, begun)
    assert info.options == SessionOptions(recipe="pipeline")
    bare = Chosen(**BARE)
    before = as_before(bare, settings, "quay")
    assert before.galleries == (Path("g").absolute(),)
    assert (before.encoder, before.abstain_cost) == ("none", 0.2)
    assert before.calibration == Path("none")
    said = as_before(Chosen(**BARE | {"encoder": "geoclip"}), settings, info.id)
    assert (said.encoder, said.abstain_cost) == ("geoclip", 0.2)
    assert as_before(bare, settings, "") is bare
