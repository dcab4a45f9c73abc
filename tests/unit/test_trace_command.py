"""`graticule trace` on the terminal."""

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.factors import Settlements
from agent.sessions import Sessions
from agent.settings import Settings
from agent.trace import Trace, read_trace
from cli.main import cli
from geo.errors import InputError
from tests.unit.replay_samples import recorded_once


@pytest.fixture
def recorded(settlements: Settlements) -> Path:
    return recorded_once(4, settlements)


def run(*arguments: object, width: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(width)}).invoke(
        cli, ["trace", *map(str, arguments)], catch_exceptions=True
    )


def test_a_trace_is_shown_in_eighty_columns_with_what_it_took(recorded: Path) -> None:
    shown = run("show", recorded)
    assert shown.exit_code == 0, shown.output
    assert max(map(len, shown.output.splitlines())) <= 80
    assert "picture" in shown.output
    table = shown.output[shown.output.rindex("tool calls") :]
    assert "conclude" in table
    assert "all" in table


def test_events_are_chosen_by_kind_and_step(recorded: Path) -> None:
    shown = run("show", recorded, "--kind", "belief", "--json")
    events = list(read_trace(recorded))
    assert shown.output.encode() == b"".join(e.line for e in events if e.kind == "belief")
    step = run("show", recorded, "--step", 3, "--json").output.splitlines()
    ends = [json.loads(one) for one in step if json.loads(one)["kind"] == "node"]
    assert [one["data"]["step"] for one in ends] == [3]


def test_a_session_stands_for_its_trace(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = recorded.parents[2]
    monkeypatch.setenv("GRATICULE_HOME", str(home))
    with Sessions(Settings(home=home)) as sessions:
        (info,) = sessions.search()
        sessions.update(info.id, name="the quay")
    for named in (info.id, info.id[:8], "the quay"):
        assert "chain unbroken" in run("verify", named).output
    none = run("verify", "the dock")
    assert isinstance(none.exception, InputError)
    assert "is no file (check the path), and there is no session" in str(none.exception)


def test_a_replay_says_so_where_everything_is_identical_or_not(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settlements: Settlements
) -> None:
    from agent import replay
    from tests.fakes import FakeGazetteer

    given = replay.replay.__kwdefaults__
    assert given is not None
    monkeypatch.setitem(given, "open_gazetteer", lambda: FakeGazetteer(settlements))
    out = tmp_path / "out.jsonl"
    same = run("replay", recorded, "--out", out)
    assert same.exit_code == 0, same.output
    assert "6 runs" in same.output
    assert same.output.strip().endswith("6 answers identical: identical")
    assert "They tell the same" in run("diff", recorded, out).output
    changed = tmp_path / "changed.jsonl"
    with Trace(changed) as trace:
        for event in read_trace(recorded):
            data = dict(event.data)
            if event.kind == "answer":
                data["status"] = "undetermined"
            trace.append(event.kind, data)
    other = run("replay", changed)
    assert other.exit_code == 1
    assert 'status: "undetermined" was recorded' in other.output
    assert other.output.strip().endswith("not what was recorded")


def test_two_traces_are_compared(recorded: Path, tmp_path: Path, settlements: Settlements) -> None:
    second = recorded_once(2, settlements)
    told = run("diff", recorded, second)
    assert max(map(len, told.output.splitlines())) <= 80
    for heading in ("Answers", "What shaped the runs", "Evidence in only one", "Spent"):
        assert heading in told.output
    found = json.loads(run("diff", recorded, second, "--json").output)
    assert found["same"] is False
    assert found["spent"]["model replies"][1] > 0
    assert found["replies"]["second"]
    assert any("recipe.name" in one for one in found["setups"])
    own = json.loads(run("diff", second, second, "--json").output)
    assert own["same"] is True
    assert not own["evidence"]["first"]


def test_a_branch_is_compared_from_where_it_parts(settlements: Settlements) -> None:
    branch = recorded_once(8, settlements)
    (fork,) = [event for event in read_trace(branch) if event.kind == "fork"]
    parent = branch.parents[1] / str(fork.data["session"]) / "trace.jsonl"
    told = run("diff", parent, branch).output
    assert f"Both begin with the same {fork.number - 1} events; what follows differs." in told
    assert "What shaped the runs" not in told
    found = json.loads(run("diff", parent, branch, "--json").output)
    assert found["shared"] == fork.number - 1


def zipped(recorded: Path, target: Path) -> Path:
    """Write the case file of a recorded session."""
    from agent.case import case_of_trace
    from agent.case_file import case_file
    from tools.photos import PhotoStore

    case = case_of_trace(recorded)
    target.write_bytes(case_file(case, PhotoStore(recorded.parents[2] / "photos"), recorded))
    return target


def test_a_case_file_stands_for_its_trace(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settlements: Settlements
) -> None:
    from agent import replay
    from tests.fakes import FakeGazetteer

    given = replay.replay.__kwdefaults__
    assert given is not None
    monkeypatch.setitem(given, "open_gazetteer", lambda: FakeGazetteer(settlements))
    case = zipped(recorded, tmp_path / "case.zip")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    assert run("verify", case).output == run("verify", recorded).output
    assert run("replay", case).output.strip().endswith("6 answers identical: identical")
    same = run("diff", case, recorded).output
    assert "case.zip" in "".join(same.split())
    assert "They tell the same" in same
    assert not list((tmp_path / "scratch").iterdir())
    with zipfile.ZipFile(case) as held:
        files = {name: held.read(name) for name in held.namelist()}
    files["report.md"] += b"It was elsewhere."
    with zipfile.ZipFile(case, "w") as changed:
        for name, data in files.items():
            changed.writestr(name, data)
    for command in ("verify", "replay"):
        refused = run(command, case)
        assert isinstance(refused.exception, InputError)
        assert "'report.md' is not what the manifest says" in str(refused.exception)


def test_a_run_that_failed_is_told(
    monkeypatch: pytest.MonkeyPatch, settlements: Settlements
) -> None:
    from agent import replay
    from tests.fakes import FakeGazetteer

    given = replay.replay.__kwdefaults__
    assert given is not None
    monkeypatch.setitem(given, "open_gazetteer", lambda: FakeGazetteer(settlements))
    found = run("replay", recorded_once(13, settlements))
    assert found.exit_code == 0, found.output
    assert "a run ended in an error, and was replayed only up to it: the driver is" in found.output
    last = found.output.strip().splitlines()[-1]
    assert "2 answers identical, 1 run ended in an error and came to no answer" in last


def test_spans_need_a_collector(recorded: Path) -> None:
    refused = run("export-spans", recorded, "--endpoint", "nowhere")
    assert "GRATICULE_TELEMETRY__ENDPOINT" in str(refused.exception)
