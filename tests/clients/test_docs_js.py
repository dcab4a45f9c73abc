"""The JavaScript of docs/, run by node beside a server of this machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.factors import Settlements
from tests.clients.test_langgraph_js import packages
from tests.documented import HERE, Block, blocks
from tests.protocol_samples import photo, service

pytestmark = pytest.mark.clients
SCRIPTS = [one for one in blocks() if one.language == "js"]
__all__ = ["packages"]


def test_there_are_some() -> None:
    assert SCRIPTS


@pytest.mark.parametrize("block", SCRIPTS, ids=[one.name for one in SCRIPTS])
def test_javascript(block: Block, packages: Path, tmp_path: Path, settlements: Settlements) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    (tmp_path / "photo.jpg").write_bytes(photo())
    with service(tmp_path / "home", settlements) as held:
        (tmp_path / "page.mjs").write_text(block.text.replace(HERE, held.url))
        done = subprocess.run(
            ["node", "page.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=200,
            check=False, env={**os.environ, "NODE_NO_WARNINGS": "1"},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "not proof" in done.stdout
