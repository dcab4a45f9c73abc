"""Conversations in a terminal of their own: stopped, left, killed, and gone on with elsewhere."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent.answer import Answer
from agent.settings import Settings
from agent.trace import check_trace
from tests.chat_child import opened
from tests.unit.photo_samples import encoded, picture

pytestmark = pytest.mark.slow  # each starts programs of its own
PATIENCE_S = 60.0
KEYS = "\x1b[0-9;?]*[a-zA-Z]"
CTRL_C = b"\x03"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "quay.png"
    path.write_bytes(encoded(picture(120, 80, seed=1)))
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def surroundings(home: Path, **more: str) -> dict[str, str]:
    told = ("NO_COLOR", "TMUX", "STY", "KITTY_WINDOW_ID", "TERM_PROGRAM", "LC_TERMINAL")
    kept = {key: value for key, value in os.environ.items() if key not in told}
    return {**kept, "GRATICULE_HOME": str(home), "TERM": "xterm-256color", "COLUMNS": "100",
            "LINES": "40", **more}  # fmt: skip


def command(turn_s: float, *words: str | Path) -> list[str]:
    return [sys.executable, "-m", "tests.chat_child", str(turn_s), *map(str, words)]


def piped(home: Path, *words: str | Path, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(0, *words), input=said, capture_output=True, text=True, timeout=PATIENCE_S,
        env=surroundings(home), check=False,
    )  # fmt: skip


class Terminal:
    """A program in a terminal."""

    def __init__(self, home: Path, turn_s: float, *words: str | Path, **more: str) -> None:
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command(turn_s, *words), stdin=theirs, stdout=theirs, stderr=theirs,
            env=surroundings(home, **more), start_new_session=True,
            preexec_fn=_own_terminal,  # Ctrl-C needs a controlling terminal
        )  # fmt: skip
        os.close(theirs)
        self.raw = b""
        self._read_on = 0

    @property
    def text(self) -> str:
        return re.sub(KEYS, "", self.raw.decode(errors="replace"))

    def wait_for(self, words: str) -> None:
        """Read until words appear after those that were waited for before."""
        end = time.monotonic() + PATIENCE_S
        while (found := self.text.find(words, self._read_on)) < 0:
            assert time.monotonic() < end, f"no {words!r} in {self.text[-2000:]!r}"
            assert self._read(), f"ended without {words!r}: {self.text[-2000:]!r}"
        self._read_on = found + len(words)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.ours], [], [], 1.0)
        if ready:
            try:
                read = os.read(self.ours, 65536)
            except OSError:  # the other end is closed
                return False
            self.raw += read
            return bool(read)
        return self.process.poll() is None

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def end(self) -> int:
        while self._read():
            pass
        os.close(self.ours)
        return self.process.wait(PATIENCE_S)


def _own_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def essence(answer: Answer) -> dict[str, Any]:
    """Return an answer without what differs from run to run: times and paths."""
    found: dict[str, Any] = json.loads(answer.model_dump_json(exclude={"seconds", "trace_path"}))
    found["budget_spent"].pop("seconds", None)
    for step in found["steps"]:
        step.pop("seconds")
    return found


def undisturbed(tmp_path: Path, photo: Path) -> Answer:
    with opened(0, Settings(home=tmp_path / "calm")) as sessions:
        answer = sessions.send(sessions.create(photo).id).wait(PATIENCE_S)
    assert answer is not None
    return answer


def test_ctrl_c_stops_a_run_and_another_process_goes_on(
    home: Path, photo: Path, tmp_path: Path
) -> None:
    chat = Terminal(home, 0.4, "chat", photo)
    chat.wait_for("find_place")
    assert "▀" in chat.text  # the photo
    chat.type(CTRL_C)
    chat.wait_for("Stopped; what was found is kept.")
    chat.wait_for("you> ")
    chat.type(b"/name the quay\n/quit\n")
    chat.wait_for("go on with: graticule chat --session")
    assert chat.end() == 0
    with opened(0, Settings(home=home)) as sessions:
        [info] = sessions.search()
        assert (info.name, info.status, info.revision) == ("the quay", "stopped", 0)
    going = piped(home, "sessions", "resume", "the quay")
    assert going.returncode == 0, going.stderr
    assert "revision 1" in going.stdout
    with opened(0, Settings(home=home)) as sessions:
        answer = sessions.answer(info.id)
        assert answer is not None
        assert essence(answer) == essence(undisturbed(tmp_path, photo))
        assert check_trace(sessions.trace_path(info.id)).finished


def test_a_pipe_is_a_conversation_without_any_control_characters(home: Path, photo: Path) -> None:
    spoken = piped(home, "chat", photo, said="It is in Germany\n\n/evidence\n/hlp\n/map\n/quit\n")
    assert spoken.returncode == 0, spoken.stderr
    assert spoken.stderr == ""
    assert "\x1b" not in spoken.stdout
    assert "revision 2" in spoken.stdout
    assert "did you mean /help?" in spoken.stdout
    failing = piped(home, "chat", "--session", "quay.png", said="/open nowhere\n")
    assert failing.returncode == 2
    assert "there is no session 'nowhere'" in failing.stderr


def test_ctrl_c_twice_leaves_and_nothing_is_lost(home: Path, photo: Path) -> None:
    chat = Terminal(home, 3.0, "chat", photo)
    chat.wait_for("Weighing")
    chat.type(CTRL_C)
    chat.wait_for("Stopping after this step")
    chat.type(CTRL_C)
    assert chat.end() == 130
    assert "go on with: graticule chat --session" in chat.text
    going = piped(home, "sessions", "resume", "quay.png")
    assert going.returncode == 0, going.stderr
    assert "revision 1" in going.stdout


@pytest.mark.parametrize("after", ["observe", "prime", "act"])
def test_a_killed_run_is_finished_by_another_process_with_the_same_answer(
    after: str, home: Path, photo: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        command(0.3, "chat", photo, "--plain"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=surroundings(home), text=True,
    )  # fmt: skip
    assert process.stdout is not None
    node = f'"node":"{after}"'
    end = time.monotonic() + PATIENCE_S
    while not any(node in path.read_text() for path in home.glob("sessions/*/trace.jsonl")):
        assert time.monotonic() < end
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    listed = piped(home, "sessions", "list", "--json")
    [info] = json.loads(listed.stdout)
    assert info["status"] == "stopped"
    going = piped(home, "sessions", "resume", info["id"][:8])
    assert going.returncode == 0, going.stderr
    with opened(0, Settings(home=home)) as sessions:
        answer = sessions.answer(info["id"])
        assert answer is not None
        assert essence(answer) == essence(undisturbed(tmp_path, photo))
        assert check_trace(sessions.trace_path(info["id"])).finished


@pytest.mark.parametrize("way", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": "xterm-kitty"}])
def test_pictures_are_shown_as_the_terminal_can(
    way: dict[str, str], home: Path, photo: Path
) -> None:
    chat = Terminal(home, 0, "chat", photo, **way)
    chat.wait_for("you> ")
    chat.type(b"/quit\n")
    assert chat.end() == 0
    assert "▀" not in chat.text
    assert (b"\x1b_Ga=T" in chat.raw) == (way == {"TERM": "xterm-kitty"})
