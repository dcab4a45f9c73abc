"""`graticule sessions`: every verb, in this process, over sessions made by scripted runs."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.factors import Settlements
from agent.sessions import Sessions
from agent.settings import Settings
from cli import session_options
from cli.geolocator_options import Chosen
from cli.main import main
from tests.unit.photo_samples import encoded, picture
from tests.unit.session_samples import Steady, quick_sessions

PHOTO = encoded(picture(120, 80, seed=1))
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def held(home: Path, settlements: Settlements) -> Iterator[Sessions]:
    with quick_sessions(home, settlements) as sessions:
        yield sessions


@pytest.fixture
def run(
    home: Path,
    settlements: Settlements,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    monkeypatch.setenv("GRATICULE_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "120")

    def open_sessions(chosen: Chosen, settings: Settings, **_: object) -> Sessions:
        return quick_sessions(settings.home, settlements, Steady())

    monkeypatch.setattr(session_options, "open_sessions", open_sessions)

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["sessions", *words])
        return code, *capsys.readouterr()

    return run


def located(held: Sessions, name: str, text: str = "") -> str:
    info = held.create(PHOTO, name=name)
    held.send(info.id, text).wait(30)
    return info.id


def test_an_empty_home_says_what_to_do(run: Run) -> None:
    assert run("list") == (0, "no sessions yet; graticule chat begins one\n", "")
    assert run("list", "--json") == (0, "[]\n", "")
    code, out, err = run("show", "nothing")
    assert (code, out) == (2, "")
    assert "there is no session 'nothing'" in err


def test_sessions_are_listed_shown_and_searched(run: Run, held: Sessions) -> None:
    one, two = located(held, "the quay"), located(held, "hostile \x1b[2J [bold]", "Germany")
    code, out, _ = run("list")
    assert code == 0
    assert one[:8] in out
    assert two[:8] in out
    assert "\x1b" not in out
    assert "[bold]" in out
    assert one[:8] not in run("list", "hostile")[1]
    assert "no session fits" in run("list", "zzz")[1]
    assert "--limit shows more" in run("list", "--limit", "1")[1]
    assert json.loads(run("list", "quay", "--json")[1])[0]["id"] == one
    assert "revision 1" in run("show", "the quay")[1]
    shown = json.loads(run("show", one[:8], "--json")[1])
    assert (shown["id"], shown["answer"]["revision"], shown["assessments"]) == (one, 1, [])


def test_a_branch_is_made_resumed_and_compared(run: Run, held: Sessions) -> None:
    one = located(held, "one")
    assert "observe" in run("history", "one")[1]
    step = next(m.step for m in reversed(held.history(one)) if m.next == ("decide",))
    code, out, err = run("fork", "one", "--step", str(step), "--without", "zoom", "--name", "two")
    assert code == 0
    assert out.strip() == held.find("two").id
    assert "sessions resume" in err
    assert "has not answered yet" in run("compare", "one", "two")[2]
    assert "revision 1" in run("resume", "two")[1]
    assert "branched at checkpoint" in run("compare", "one", "two")[1]
    found = json.loads(run("compare", "one", "two", "--json")[1])
    assert found["options"] == {"without": ["", "zoom"]}
    code, _, err = run("resume", "two")
    assert code == 2
    assert "nothing to go on with" in err
    assert run("resume", "two", "hello")[0] == 2
    assert "no step 999" in run("fork", "one", "--step", "999")[2]
    assert run("fork", "one", "--step", "1", "--checkpoint", "x")[0] == 2
    assert len(held.search()) == 2  # what was refused left no branch


def test_verdicts_names_and_deletion(
    run: Run, held: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    one = located(held, "one")
    assert run("assess", "one", "near", "--at", "48.1,11.5", "--notes", "x", "--by", "me")[0] == 0
    [kept] = held.assessments(one)
    assert (kept.verdict, kept.latitude, kept.revision, kept.by) == ("near", 48.1, 1, "me")
    assert run("assess", "one", "near", "--at", "97,11")[0] == 2
    assert run("assess", "one", "near", "--notes", "x" * 10_001)[0] == 2
    assert run("rename", "one", "two")[0] == 0
    assert "does not run: it is idle" in run("stop", "two")[1]
    assert run("delete", "two")[0] == 130  # nobody says yes
    assert held.find("two")
    code, out, _ = run("delete", "two", "--yes")
    assert code == 0
    assert "photos that only it has: 1" in out
    assert held.search() == []
    assert not list(held.settings.photos.glob("*.jpg"))
