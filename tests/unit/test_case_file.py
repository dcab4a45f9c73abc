"""The case file stands on its own, is the same twice, and tells of any change."""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from agent.case import Case, case_of_trace
from agent.case_file import case_file, extract_trace, verify_case
from agent.disclosure import disclosed_case
from agent.trace import verify_trace
from geo.errors import InputError
from tests.unit.export_samples import session, write_trace
from tools.photos import PhotoStore


class Made(NamedTuple):
    """A case file and what it was made of."""

    case: Case
    store: PhotoStore
    trace: Path
    file: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A case whose photo is in the store; the original describes itself."""
    folder = tmp_path_factory.mktemp("case")
    store = PhotoStore(folder / "photos")
    exif = Image.Exif()
    exif[0x010E] = "SECRET DESCRIPTION"
    written = io.BytesIO()
    Image.new("RGB", (40, 30), (90, 120, 60)).save(written, "JPEG", exif=exif)
    photo = store.add(written.getvalue(), "harbour.jpg")
    of_photo = {"photo_id": photo.id, "photos": ()}
    revisions = tuple(
        one.model_copy(update={"answer": one.answer.model_copy(update=of_photo)})
        for one in session().revisions
    )
    told = session().model_copy(update={"revisions": revisions})
    trace = write_trace(told, folder / "trace.jsonl")
    case = case_of_trace(trace)
    file = folder / "case.zip"
    file.write_bytes(case_file(case, store, trace))
    return Made(case, store, trace, file)


@pytest.fixture
def written(made: Made, tmp_path: Path) -> Path:
    return Path(shutil.copy(made.file, tmp_path / "case.zip"))


def test_it_holds_everything_and_verifies(written: Path, made: Made, tmp_path: Path) -> None:
    held = made.case
    found = verify_case(written)
    assert (found.answers, found.events) == (2, held.events)
    with zipfile.ZipFile(written) as opened:
        assert opened.testzip() is None
        names = set(opened.namelist())
        manifest = json.loads(opened.read("manifest.json"))
        photo = opened.read(f"photos/{held.answer.photo_id}.jpg")
        assert "not proof" in opened.read("README.txt").decode()
    assert {
        "README.txt", "report.html", "report.md", "answers.json", "answer.geojson", "answer.kml",
        "answers.csv", "assessments.json", "trace.jsonl", "manifest.json",
    } < names  # fmt: skip
    assert manifest["photos"][0]["original_sha256"] == held.answer.photo_id
    assert b"SECRET" not in photo
    assert not dict(Image.open(io.BytesIO(photo)).getexif())
    trace = extract_trace(written, tmp_path)
    assert verify_trace(trace) == held.events


def test_the_same_case_twice_is_the_same_bytes(made: Made) -> None:
    assert case_file(made.case, made.store, made.trace) == made.file.read_bytes()


Change = Callable[[dict[str, bytes]], None]


def rewritten(path: Path, change: Change, twice: str = "") -> Path:
    """Write the zip again after a change of its files."""
    with zipfile.ZipFile(path) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    change(files)
    target = path.with_name("changed.zip")
    with zipfile.ZipFile(target, "w") as zipped:
        for name, data in files.items():
            zipped.writestr(name, data)
        if twice:
            with pytest.warns(UserWarning, match="Duplicate"):
                zipped.writestr(twice, b"other")
    return target


def relist(files: dict[str, bytes], name: str, data: bytes) -> None:
    """Change a file and have the manifest agree."""
    files[name] = data
    manifest = json.loads(files["manifest.json"])
    digest = hashlib.sha256(data).hexdigest()
    manifest["files"][name] = {"sha256": digest, "bytes": len(data)}
    files["manifest.json"] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda files: files.update({"report.html": files["report.html"] + b" "}), "report.html"),
        (lambda files: files.pop("assessments.json"), "assessments.json"),
        (lambda files: files.update({"extra.txt": b"x"}), "extra.txt"),
        (lambda files: files.update({"../evil": b"x"}), "../evil"),
        (lambda files: files.update({"/etc/x": b"x"}), "/etc/x"),
        (lambda files: files.update({"a\\..\\b": b"x"}), "does; do not unpack"),
        (lambda files: files.update({"manifest.json": b"{}"}), "manifest.json"),
        (lambda files: files.pop("manifest.json"), "no manifest.json"),
        (lambda files: relist(files, "answers.json",
                              files["answers.json"].replace(b"43.29931", b"43.29999")),
         "not what its trace tells"),
        (lambda files: relist(files, "trace.jsonl",
                              files["trace.jsonl"].replace(b"43.29931", b"43.29999")),
         "was edited"),
        (lambda files: relist(files, "trace.jsonl",
                              b"\n".join(files["trace.jsonl"].split(b"\n")[:4]) + b"\n"),
         "ends otherwise"),
    ],
)  # fmt: skip
def test_any_change_is_told(written: Path, change: Change, named: str) -> None:
    with pytest.raises(InputError, match=r"case file '.*changed.zip'") as raised:
        verify_case(rewritten(written, change))
    assert named in str(raised.value) or named == "was edited"


def test_two_files_of_one_name_are_refused(written: Path) -> None:
    with pytest.raises(InputError, match="do not unpack it"):
        verify_case(rewritten(written, lambda files: None, twice="report.md"))


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04" + b"\x00" * 100, b"x" * 1000])
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises(InputError, match="cannot be read"):
        verify_case(path)


def test_any_flipped_byte_of_the_content_is_noticed_or_harmless(written: Path) -> None:
    """Of a hundred places across the file, none passes with other contents."""
    whole = written.read_bytes()
    with zipfile.ZipFile(written) as opened:
        contents = {name: opened.read(name) for name in opened.namelist()}
    for place in range(40, len(whole), max(1, len(whole) // 40)):
        changed = bytearray(whole)
        changed[place] ^= 0x41
        path = written.with_name("flipped.zip")
        path.write_bytes(bytes(changed))
        try:
            verify_case(path)
        except InputError:
            continue
        with zipfile.ZipFile(path) as opened:
            assert {name: opened.read(name) for name in opened.namelist()} == contents


def test_told_coarser_it_has_no_trace(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "coarse.zip"
    coarse = disclosed_case(made.case, "country")
    path.write_bytes(case_file(coarse, made.store, made.trace))
    assert verify_case(path).events == 0
    with zipfile.ZipFile(path) as opened:
        assert "trace.jsonl" not in opened.namelist()
        for name in opened.namelist():
            if not name.endswith(".jpg"):
                assert b"harbour" not in opened.read(name), name
