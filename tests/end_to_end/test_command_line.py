"""The command line as a person meets it: exit codes, one-line errors, JSON and nothing else."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest


def graticule(
    *arguments: str | bytes | Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "cli.main", *map(os.fsdecode, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        errors="replace",
    )


def test_help_answers_in_half_a_second_without_heavy_imports() -> None:
    code = (
        "import sys; from cli.main import main; main(['--help']);"
        "heavy = {'torch', 'cv2', 'numpy', 'langgraph', 'PIL', 'shapely', 'rapidocr', 'pydantic'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        seconds.append(time.perf_counter() - began)
    assert result.stdout.strip().endswith("[]")
    assert "locate" in result.stdout
    assert min(seconds) < 0.5


@pytest.mark.parametrize("room", ["agent", "geo", "tools", "encoders", "index_builder", "prompts"])
def test_importing_a_room_is_instant(room: str) -> None:
    code = (
        f"import sys, {room};"
        "heavy = {'torch', 'cv2', 'langgraph', 'shapely', 'rapidocr', 'qdrant_edge', 'sklearn'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_no_room_imports_from_a_floor_above() -> None:
    root = Path(__file__).parents[2]
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter], capture_output=True, text=True, cwd=root)
    assert result.returncode == 0, result.stdout


def test_doctor_speaks_json() -> None:
    result = graticule("doctor", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    names = {check["name"] for check in report["checks"]}
    assert {"python", "langgraph", "gazetteer", "model server"} <= names


def test_doctor_fails_where_a_configured_server_is_down() -> None:
    result = graticule("doctor", GRATICULE_MODEL__URL="http://127.0.0.1:9/v1")
    assert result.returncode == 3
    assert "model server" in result.stderr


def test_weights_list_names_what_is_missing_and_the_remedy(tmp_path: Path) -> None:
    result = graticule("weights", "list", "--json", GRATICULE_HOME=str(tmp_path))
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["embedded"]["present"]
    assert not rows["clip-vit-l-14"]["present"]
    assert str(tmp_path) in rows["clip-vit-l-14"]["remedy"]
