"""The JavaScript SDK and React's useStream, unchanged, on our own server."""

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.factors import Settlements
from tests.protocol_samples import Service, Talker, photo, service

pytestmark = pytest.mark.clients
HERE = Path(__file__).parent / "js"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts beside the packages that the lock file names."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = HERE if (HERE / "node_modules").exists() else tmp_path_factory.mktemp("js") / "js"
    if folder != HERE:
        shutil.copytree(HERE, folder)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"npm reaches no registry: {done.stderr.strip()[-200:]}")
    return folder


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, settlements: Settlements
) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("home"), settlements, Talker(pause_s=0.05)) as held:
        yield held


@pytest.mark.parametrize("script", ["sdk", "use_stream"])
def test_a_client_in_javascript(packages: Path, running: Service, script: str) -> None:
    image = base64.b64encode(photo()).decode()
    command = ["node", f"{script}.mjs", running.url, image]
    done = subprocess.run(
        command, cwd=packages, capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "NODE_NO_WARNINGS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    assert "ok" in done.stdout
