"""schemathesis on our OpenAPI document: what it says is what the server does."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from agent.factors import Settlements
from agent.sessions import Sessions
from agent.settings import Settings
from encoders.serving import listen
from server.app import make_app
from tests.unit.server_samples import PHOTO
from tests.unit.session_samples import Steady, quick_geolocators

pytestmark = pytest.mark.clients
VERSION = "schemathesis>=4.1,<5"
VENV = Path(__file__).parents[2] / ".venv-clients" / "schemathesis"
OURS = r"^/(v1/(locate|sessions|galleries|recipes|photos)|health|ready|metrics)"
CONFIG = """
[phases.examples]
enabled = false

# What fits the schema and is refused all the same: bytes that are no image, evidence that is not
# there, an address while none are fetched, a reply to a question that nobody asked.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 403, 404, 409, 422]
"""


@pytest.fixture(scope="module")
def schemathesis() -> Path:
    """Return the command, from a virtual environment of its own: its pins clash with others."""
    if found := shutil.which("schemathesis"):
        return Path(found)
    command = VENV / "bin" / "schemathesis"
    if not command.exists():
        made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True)
        pip = [str(VENV / "bin" / "pip"), "install", "--quiet", VERSION]
        got = subprocess.run(pip, capture_output=True, text=True) if not made.returncode else made
        if got.returncode:
            shutil.rmtree(VENV, ignore_errors=True)
            pytest.skip(f"schemathesis cannot be installed: {got.stderr.strip()[-200:]}")
    return command


@pytest.fixture
def url(tmp_path: Path, settlements: Settlements) -> Iterator[str]:
    settings = Settings(home=tmp_path / "home")
    driver = Steady()
    with (
        Sessions(settings, quick_geolocators(settings, settlements, lambda _: driver)) as sessions,
        listen("127.0.0.1", 0) as listening,
    ):
        sessions.send(sessions.create(PHOTO).id).wait(60)
        config = uvicorn.Config(make_app(sessions), log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        _wait_until_ready(url)
        yield url
        server.should_exit = True
        thread.join(30)


def _wait_until_ready(url: str) -> None:
    end = time.monotonic() + 120
    while httpx.get(f"{url}/ready").status_code != 200:
        assert time.monotonic() < end, httpx.get(f"{url}/ready").text
        time.sleep(0.2)


def test_no_operation_of_ours_fails(schemathesis: Path, url: str, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    done = subprocess.run(
        [
            str(schemathesis), "--config-file", str(config), "run", f"{url}/openapi.json",
            "--include-path-regex", OURS, "--max-examples", "40", "--seed", "1",
            "--request-timeout", "20", "--checks", "all", "--no-color",
        ],
        capture_output=True, text=True, timeout=1200, cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    generated, passed = map(int, re.findall(r"(\d+) generated, (\d+) passed", done.stdout)[0])
    assert generated == passed > 500
