"""The command line as a person meets it: exit codes, one-line errors, JSON and nothing else."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image


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


def assert_one_line_error(result: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in said:
        assert word in result.stderr


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


class TestBadPhotos:
    """Each is one line on standard error, exit code 2, and nothing half-written."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        return tmp_path / "home"

    def locate(self, photo: str | bytes | Path, home: Path) -> subprocess.CompletedProcess[str]:
        return graticule("locate", photo, "--json", GRATICULE_HOME=str(home))

    def test_missing(self, tmp_path: Path, home: Path) -> None:
        assert_one_line_error(self.locate(tmp_path / "no.jpg", home), 2, "no.jpg")

    def test_folder(self, tmp_path: Path, home: Path) -> None:
        assert_one_line_error(self.locate(tmp_path, home), 2, "folder")

    def test_zero_bytes(self, tmp_path: Path, home: Path) -> None:
        path = tmp_path / "empty.jpg"
        path.touch()
        assert_one_line_error(self.locate(path, home), 2, "empty.jpg")

    def test_not_an_image(self, tmp_path: Path, home: Path) -> None:
        path = tmp_path / "notes.jpg"
        path.write_text("dear diary " * 100)
        assert_one_line_error(self.locate(path, home), 2, "notes.jpg")

    def test_truncated(self, tmp_path: Path, home: Path) -> None:
        path = tmp_path / "half.jpg"
        Image.effect_noise((640, 480), 90).save(path, "JPEG")
        path.write_bytes(path.read_bytes()[:20_000])
        assert_one_line_error(self.locate(path, home), 2, "half.jpg")
        assert not list(home.rglob("*.jpg"))

    def test_too_many_pixels(self, tmp_path: Path, home: Path) -> None:
        path = tmp_path / "huge.png"
        Image.new("1", (30_000, 30_000)).save(path, "PNG")
        assert_one_line_error(self.locate(path, home), 2, "30,000", "huge.png")

    def test_name_that_is_not_utf8(self, tmp_path: Path, home: Path) -> None:
        path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
        with open(path, "wb") as file:
            file.write(b"no image")
        assert_one_line_error(self.locate(path, home), 2, "caf")


class TestBadGalleries:
    """Exit code 2 where the gallery is wrong, 3 where it is only busy."""

    def locate(self, gallery: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
        photo = tmp_path / "photo.png"
        Image.new("RGB", (320, 240), "teal").save(photo)
        home = tmp_path / "home"
        arguments = ("locate", photo, "--gallery", gallery, "--json")
        return graticule(*arguments, GRATICULE_HOME=str(home))

    def test_unknown(self, tmp_path: Path) -> None:
        assert_one_line_error(self.locate(tmp_path / "none", tmp_path), 2, "none")

    def test_not_a_gallery(self, tmp_path: Path) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        assert_one_line_error(self.locate(folder, tmp_path), 2, "gallery build")


def test_building_from_photos_without_positions_writes_nothing(tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    for number in range(3):
        Image.effect_noise((320, 240), 60 + number).convert("RGB").save(source / f"{number}.jpg")
    result = graticule("gallery", "build", source, "--out", tmp_path / "g", "--json")
    assert_one_line_error(result, 2, "position")
    assert not (tmp_path / "g").exists()


def test_unknown_setting_value_names_the_variable() -> None:
    result = graticule("doctor", GRATICULE_BUDGET__STEPS="many")
    assert_one_line_error(result, 2, "GRATICULE_BUDGET__STEPS", "many")


def test_doctor_speaks_json() -> None:
    result = graticule("doctor", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    names = {check["name"] for check in report["checks"]}
    assert {"python", "langgraph", "gazetteer", "model server"} <= names


def test_doctor_fails_where_a_configured_server_is_down() -> None:
    result = graticule("doctor", GRATICULE_MODEL_URL="http://127.0.0.1:9/v1")
    assert result.returncode == 3
    assert "model server" in result.stderr


def test_weights_list_names_what_is_missing_and_the_remedy(tmp_path: Path) -> None:
    result = graticule("weights", "list", "--json", GRATICULE_HOME=str(tmp_path))
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["embedded"]["present"]
    assert not rows["clip-vit-l-14"]["present"]
    assert str(tmp_path) in rows["clip-vit-l-14"]["remedy"]
