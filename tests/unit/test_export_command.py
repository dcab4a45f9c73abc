"""`graticule export` and the same over HTTP: one session, all formats."""

import json
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from agent.case import Case
from agent.export import FORMATS, MEDIA_TYPES
from agent.session_records import SessionInfo
from agent.sessions import Sessions
from agent.settings import Settings
from cli.main import main
from server.app import make_app
from server.exports import PAGE_POLICY
from tests.unit.export_samples import SESSION, session, write_trace


def keep(sessions: Sessions, case: Case) -> SessionInfo:
    """Put a session of a recorded trace where sessions are, as a run would have left it."""
    info = sessions.create(name=case.name, session_id=SESSION)
    write_trace(case, sessions.trace_path(SESSION))
    sessions._write(info.model_copy(update={"revision": len(case.revisions), "status": "idle"}))
    for one in case.assessments:
        sessions.assess(SESSION, one)
    return info


@pytest.fixture
def sessions(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sessions]:
    monkeypatch.setenv("GRATICULE_HOME", str(settings.home))
    with Sessions(settings) as opened:
        keep(opened, session())
        yield opened


def get(sessions: Sessions, path: str, **headers: str):  # type: ignore[no-untyped-def]
    """Ask a server of these sessions, which is at home on the loopback."""
    with TestClient(make_app(sessions), base_url="http://127.0.0.1:8700") as client:
        return client.get(f"/v1/sessions/{path}", headers=headers)


def run(*arguments: str | Path) -> int:
    return main(["export", *map(str, arguments)])


# The command


@pytest.mark.slow
def test_every_format_of_a_session(sessions: Sessions, tmp_path: Path) -> None:
    for kind in FORMATS:
        out = tmp_path / f"out.{kind}"
        assert run(SESSION[:8], "--format", kind, "--out", out) == 0
        assert out.stat().st_size > 500
    assert run("--verify", tmp_path / "out.zip") == 0


def test_a_trace_and_a_case_file_do_without_the_session(
    sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:  # fmt: skip
    case = tmp_path / "case.zip"
    assert run(SESSION, "--format", "zip", "--out", case) == 0
    trace = sessions.trace_path(SESSION)
    monkeypatch.setenv("GRATICULE_HOME", str(tmp_path / "elsewhere"))
    capfdbinary.readouterr()
    for source in (case, trace):
        assert run(source, "--format", "geojson") == 0
        read = json.loads(capfdbinary.readouterr().out)
        assert read["features"][0]["properties"]["session"] == SESSION


def test_an_earlier_answer_and_a_coarser_one(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(SESSION, "--format", "json", "--revision", "1") == 0
    assert json.loads(capfd.readouterr().out)["place"] == "Paris"
    assert run(SESSION, "--format", "json", "--disclose", "country") == 0
    assert "Marseille" not in capfd.readouterr().out
    monkeypatch.setenv("GRATICULE_DISCLOSURE", "country")
    assert run(SESSION, "--format", "json", "--disclose", "exact") == 0
    told = capfd.readouterr()
    assert "Marseille" not in told.out
    assert "GRATICULE_DISCLOSURE allows no finer" in told.err
    assert run(SESSION, "--format", "trace") == 2
    assert "cannot be told by country alone" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give a session"),
        (("nobody", "--format", "csv"), "there is no session 'nobody'"),
        ((SESSION, "--format", "csv", "--revision", "9"), "no revision 9"),
        ((SESSION, "--format", "docx"), "'docx' is not one of"),
        (("--verify", "pyproject.toml"), "cannot be read"),
    ],
)
def test_what_cannot_be_is_told(
    sessions: Sessions, arguments: tuple[str, ...], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert told in capfd.readouterr().err


def test_a_file_that_is_there_stays(
    sessions: Sessions, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.csv"
    out.write_text("precious")
    assert run(SESSION, "--format", "csv", "--out", out) == 2
    assert "--force" in capfd.readouterr().err
    assert out.read_text() == "precious"
    assert run(SESSION, "--format", "csv", "--out", out, "--force") == 0
    assert out.read_text().startswith("record,")


def test_labels_are_written_beside_what_was_answered(
    sessions: Sessions, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels.csv"
    assert run("--labels", out) == 0
    assert "1 photos judged, 1 with a position; 1 earlier" in capfd.readouterr().out
    assert main(["evaluate", "score", str(tmp_path / "labels-predictions.csv"), str(out)]) == 0
    assert run("--labels", out) == 2


# The same over HTTP


PAGED = ("html", "zip")
"""Formats that draw maps, which takes its time."""


@pytest.mark.parametrize(
    "kind",
    [pytest.param(one, marks=[pytest.mark.slow] if one in PAGED else []) for one in FORMATS],
)
def test_every_format_over_http(sessions: Sessions, kind: str) -> None:
    reply = get(sessions, f"{SESSION}/export/{kind}")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == next(
        media for name, media in MEDIA_TYPES.items() if name == kind
    )
    shown = "inline" if kind == "html" else "attachment"
    assert reply.headers["content-disposition"].startswith(f'{shown}; filename="graticule-0b0e')
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"] == PAGE_POLICY
    if kind == "zip":
        assert zipfile.ZipFile(BytesIO(reply.content)).testzip() is None


def test_what_the_client_has_is_not_sent_again(sessions: Sessions) -> None:
    path = f"{SESSION}/export/csv"
    tag = get(sessions, path).headers["etag"]
    again = get(sessions, path, **{"If-None-Match": f'"x", W/{tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert get(sessions, f"{path}?revision=1", **{"If-None-Match": tag}).status_code == 200


def test_disclosure_is_asked_for_and_never_exceeded(settings: Settings) -> None:
    coarse = settings.model_copy(update={"disclosure": "country"})
    with Sessions(coarse) as sessions:
        keep(sessions, session())
        for level in ("exact", "city", "country"):
            text = get(sessions, f"{SESSION}/export/json?disclose={level}").text
            assert "Marseille" not in text
            assert '"France"' in text
        assert "France" not in get(sessions, f"{SESSION}/export/md?disclose=none").text


@pytest.mark.parametrize(
    ("path", "status"),
    [("11111111-2222-3333-4444-555555555555/export/csv", 404), (f"{SESSION}/export/exe", 422),
     (f"{SESSION}/export/csv?revision=-1", 422), (f"{SESSION}/export/csv?disclose=street", 422),
     ("..%2f..%2fetc/export/csv", 404)],
)  # fmt: skip
def test_bad_requests_get_problems(sessions: Sessions, path: str, status: int) -> None:
    reply = get(sessions, path)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
