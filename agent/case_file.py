"""The case file: a zip that stands on its own, and says whether anybody changed it since.

`manifest.json` names every file with its SHA-256. The bytes follow from the case alone: names are
sorted and carry no date, so that the same case twice is the same file.
"""

import hashlib
import io
import json
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field, ValidationError

from agent.answer import LEAD_NOT_PROOF
from agent.case import Case, DisclosureLevel, case_of_trace
from agent.export import trace_bytes
from agent.export_csv import csv_of
from agent.export_geojson import as_json, geojson_of
from agent.export_kml import kml_of
from agent.export_markdown import markdown_of
from agent.report import render_report
from encoders.photo_file import printable
from geo.errors import GeolocationError, InputError
from tools.evidence import Record

if TYPE_CHECKING:
    from pydantic import JsonValue

    from tools.photos import PhotoStore

MANIFEST, TRACE, ANSWERS = "manifest.json", "trace.jsonl", "answers.json"
KIND, VERSION = "graticule case file", 1
LARGEST_FILE, LARGEST_CASE, MOST_FILES = 500_000_000, 2_000_000_000, 1000
LARGEST_MANIFEST = 5_000_000
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first date that a zip can hold."""
README = """\
Graticule case file
===================

{caution}

report.html     open it in a browser: photo, answer, maps, evidence, candidates, steps
report.md       the same in words
answers.json    every answer of the session, the latest last
answer.geojson  answer, circles, candidates and drawn regions, for maps
answer.kml      the same for globes
answers.csv     the same as a table
assessments.json  what analysts made of the answers
{trace}photos/         pixels without metadata, named by the SHA-256 of the original file
manifest.json   SHA-256 of every other file, and the versions of what had a part

Check that nobody changed it:  graticule export --verify FILE.zip
A position that a photo's metadata claims is shown apart and never mixed with what was inferred.
"""


class ListedFile(Record):
    """A file of a case."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class ListedPhoto(Record):
    """A photo of a case; `file` is empty where the store no longer had it."""

    original_sha256: str
    file: str
    name: str = ""
    mime: str = ""


class Manifest(Record):
    """What a case file holds."""

    kind: str
    version: int
    caution: str
    session: str = ""
    revision: int
    disclosure: DisclosureLevel
    trace_events: int = 0
    trace_head: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    photos: tuple[ListedPhoto, ...] = ()
    files: dict[str, ListedFile]


class CaseCheck(NamedTuple):
    """What an unchanged case file holds."""

    files: int
    events: int
    """Of its trace; 0 without one."""
    answers: int
    disclosure: DisclosureLevel


def case_file(case: Case, photos: "PhotoStore", trace: Path | None = None) -> bytes:
    """Return a case as a zip.

    Args:
        case: told as finely as it may be; coarser than exactly, its trace is left out.
        photos: where pictures are.
        trace: file of the trace, if there is one.
    """
    files: dict[str, bytes] = {
        "report.html": render_report(case.answer, photos, case).encode(errors="replace"),
        "report.md": markdown_of(case),
        "answer.geojson": geojson_of(case),
        "answer.kml": kml_of(case),
        "answers.csv": csv_of(case),
        ANSWERS: as_json([one.answer.model_dump(mode="json") for one in case.revisions]),
        "assessments.json": as_json([one.model_dump(mode="json") for one in case.assessments]),
    }
    if case.disclosure == "exact" and trace is not None and trace.is_file():
        files[TRACE] = trace_bytes(case, trace)
    listed = [_photo(photo_id, case, photos, files) for photo_id in case.photos]
    told = f"{TRACE}     every event, hash-chained: graticule trace verify\n"
    readme = README.format(caution=case.answer.caution, trace=told if TRACE in files else "")
    files["README.txt"] = readme.encode()
    files[MANIFEST] = _manifest(case, files, listed)
    return _zipped(files)


def verify_case(path: Path) -> CaseCheck:
    """Check that a case file is what its manifest says, and that its trace tells its answers.

    Raises:
        InputError: it is no case file, or something in it was changed, added or taken away; the
            message names it.
    """
    shown = f"case file '{printable(str(path))}'"
    try:
        with zipfile.ZipFile(path) as opened:
            return _verified(opened, shown)
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{shown} cannot be read ({printable(reason, 200)}); give a file written by "
            "`graticule export --format zip`"
        ) from None


def extract_trace(path: Path, folder: Path) -> Path:
    """Write a case file's trace into a folder and return its path; the case is checked first.

    Raises:
        InputError: see `verify_case`; or it holds no trace.
    """
    if not verify_case(path).events:
        raise InputError(f"case file '{printable(str(path))}' holds no trace")
    with zipfile.ZipFile(path) as opened:
        target = folder / TRACE
        target.write_bytes(opened.read(TRACE))
    return target


def _photo(photo_id: str, case: Case, photos: "PhotoStore", files: dict[str, bytes]) -> ListedPhoto:
    """Add a photo's pixels, if they are there, and return its row."""
    name = f"photos/{photo_id}.jpg"
    try:
        held = photos.get(photo_id)
        files[name] = photos.path(held.id).read_bytes()
    except (GeolocationError, OSError):
        return ListedPhoto(original_sha256=photo_id, file="")
    called = held.name if case.disclosure == "exact" else ""
    return ListedPhoto(original_sha256=photo_id, file=name, name=called, mime=held.mime)


def _manifest(case: Case, files: Mapping[str, bytes], photos: list[ListedPhoto]) -> bytes:
    traced = TRACE in files
    manifest = Manifest(
        kind=KIND,
        version=VERSION,
        caution=LEAD_NOT_PROOF,
        session=case.session,
        revision=case.answer.revision,
        disclosure=case.disclosure,
        trace_events=case.events if traced else 0,
        trace_head=case.head if traced else "",
        versions=case.answer.versions,
        photos=tuple(photos),
        files={
            name: ListedFile(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
            for name, data in sorted(files.items())
        },
    )
    return as_json(manifest.model_dump(mode="json"))


def _zipped(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as zipped:
        for name, data in sorted(files.items()):
            row = zipfile.ZipInfo(name, _EPOCH)
            row.compress_type = zipfile.ZIP_STORED if name.endswith(".jpg") else (
                zipfile.ZIP_DEFLATED
            )  # fmt: skip
            row.create_system = 3  # the same file wherever it is written
            row.external_attr = 0o644 << 16
            zipped.writestr(row, data)
    return written.getvalue()


def _verified(opened: zipfile.ZipFile, shown: str) -> CaseCheck:
    rows = opened.infolist()
    _check_names(rows, shown)
    manifest = _read_manifest(opened, shown)
    names = {row.filename for row in rows} - {MANIFEST}
    if names != set(manifest.files):
        odd = sorted(names ^ set(manifest.files))[0]
        was = "is not listed in its manifest" if odd in names else "is missing"
        raise InputError(f"{shown}: '{printable(odd, 200)}' {was}; do not rely on it")
    for row in rows:
        if row.filename != MANIFEST:
            _check_file(opened, row, manifest.files[row.filename], shown)
    answers = json.loads(opened.read(ANSWERS)) if ANSWERS in names else []
    events = _check_trace(opened, manifest, answers, shown) if TRACE in names else 0
    if manifest.trace_events and TRACE not in names:
        raise InputError(f"{shown}: its trace is missing; do not rely on it")
    return CaseCheck(len(names), events, len(answers), manifest.disclosure)


def _check_names(rows: list[zipfile.ZipInfo], shown: str) -> None:
    """Refuse names that mean another place, twice the same name, and more than fits."""
    if len(rows) > MOST_FILES or sum(row.file_size for row in rows) > LARGEST_CASE:
        raise InputError(
            f"{shown} holds {len(rows):,} files of {sum(row.file_size for row in rows):,} bytes, "
            f"more than {MOST_FILES:,} or {LARGEST_CASE:,}; it is no case file of ours"
        )
    seen = set()
    for row in rows:
        path = PurePosixPath(row.filename)
        tricky = path.is_absolute() or ".." in path.parts or "\\" in row.orig_filename
        linked = (row.external_attr >> 16) & 0o170000 == 0o120000
        if tricky or linked or row.is_dir() or row.filename in seen or "\0" in row.orig_filename:
            raise InputError(
                f"{shown} holds '{printable(row.orig_filename, 200)}', which no case file of ours "
                "does; do not unpack it"
            )
        seen.add(row.filename)


def _read_manifest(opened: zipfile.ZipFile, shown: str) -> Manifest:
    try:
        row = opened.getinfo(MANIFEST)
    except KeyError:
        raise InputError(f"{shown} has no {MANIFEST}; it is no case file") from None
    if row.file_size > LARGEST_MANIFEST:
        raise InputError(f"{shown}: {MANIFEST} is of {row.file_size:,} bytes; it is none of ours")
    try:
        manifest = Manifest.model_validate_json(opened.read(row))
    except ValidationError as error:
        raise InputError(
            f"{shown}: {MANIFEST} cannot be read ({error.errors()[0]['msg']}); do not rely on it"
        ) from None
    if manifest.kind != KIND or manifest.version != VERSION:
        raise InputError(
            f"{shown} is '{printable(manifest.kind, 60)}' version {manifest.version}, not "
            f"{KIND} version {VERSION}; use the version of Graticule that wrote it"
        )
    return manifest


def _check_file(
    opened: zipfile.ZipFile, row: zipfile.ZipInfo, listed: ListedFile, shown: str
) -> None:
    digest, count = hashlib.sha256(), 0
    with opened.open(row) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            count += len(chunk)
            if count > min(listed.bytes, LARGEST_FILE):
                break
    if count != listed.bytes or digest.hexdigest() != listed.sha256:
        raise InputError(
            f"{shown}: '{printable(row.filename, 200)}' is not what the manifest says; do not "
            "rely on it"
        )


def _check_trace(
    opened: zipfile.ZipFile, manifest: Manifest, answers: "JsonValue", shown: str
) -> int:
    """Check the chain, and that its answers are the case's; return how many events it has."""
    with tempfile.TemporaryDirectory(prefix="case-") as folder:
        path = Path(folder) / TRACE
        path.write_bytes(opened.read(TRACE))
        try:
            case = case_of_trace(path)
        except InputError as error:
            told = str(error).replace(str(path), TRACE)
            raise InputError(f"{shown}: {told}") from None
    if (case.events, case.head) != (manifest.trace_events, manifest.trace_head):
        raise InputError(f"{shown}: its trace ends otherwise than the manifest says")
    held = [one.answer.model_dump(mode="json") for one in case.revisions]
    if not isinstance(answers, list) or held[: len(answers)] != answers:
        raise InputError(f"{shown}: {ANSWERS} is not what its trace tells; do not rely on it")
    return case.events
