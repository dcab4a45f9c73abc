"""Photos into a gallery: every photo once, resumable at any moment, nothing silently lost.

A first build fits the codebook on a sample of the photos; later builds keep it, so that old
and new vectors compare. What is done is known from the store and the files themselves.
"""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from encoders import load_encoder
from encoders.embedded import PCA_MIN_PHOTOS, SPACE, EmbeddedEncoder, fit_codebook
from encoders.local_features import LocalFeatures
from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.describe import MIN_FEATURES, chunks, describe
from index_builder.files import PARTIAL, FolderLock, sweep, write_atomically
from index_builder.gallery import (
    Gallery,
    GalleryPhoto,
    attach,
    check_encoder,
    load_codebook_encoder,
)
from index_builder.manifest import EncoderIdentity, Manifest, check_format, read_manifest
from index_builder.sources import PhotoRecord, RejectedPhoto, read_records

FIT_PHOTOS = PCA_MIN_PHOTOS + 200
_BATCH = 16
_PARTS = ("manifest.json", "codebook.npz", "rejects.jsonl", "points", "features", "photos")


@dataclass(frozen=True)
class Progress:
    """How far a build is."""

    stage: str
    """`reading` files, `describing` photos for the codebook, `adding` photos."""
    done: int
    total: int
    """0 while unknown."""
    photos_per_s: float
    remaining_s: float | None


@dataclass(frozen=True)
class BuildReport:
    """What a build did."""

    path: Path
    added: int
    skipped: int
    """Photos that were there already, or twice in the source."""
    rejected: tuple[RejectedPhoto, ...]
    seconds: float
    photos: int
    """How many the gallery holds now."""


OnProgress = Callable[[Progress], None]


@dataclass
class _Clock:
    """Counts one stage and tells the caller."""

    stage: str
    total: int
    tell: OnProgress | None
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def step(self, count: int = 1) -> None:
        self.done += count
        if self.tell:
            rate = self.done / max(time.monotonic() - self.started, 1e-6)
            left = (self.total - self.done) / rate if self.total else None
            self.tell(Progress(self.stage, self.done, self.total, rate, left))


def build_gallery(
    source: Path | str,
    out: Path | str,
    *,
    positions: Path | str | None = None,
    progress: OnProgress | None = None,
    resume: bool = True,
) -> BuildReport:
    """Put every geotagged photo of a folder into the gallery at `out`, making it if needed.

    Photos already there are skipped; a build that was interrupted, even killed, goes on where
    it stopped. What could not be used is reported and written to `rejects.jsonl`.

    Args:
        source: folder of photos.
        out: folder of the gallery.
        positions: CSV of positions, see `read_positions`; otherwise `positions.csv` or
            `manifest.csv` in `source`, and what the photos' metadata say.
        progress: called after every photo.
        resume: False discards what the gallery holds and fits its codebook anew.

    Raises:
        InputError: no usable photo in `source`, or `out` is something else than a gallery.
        UnavailableError: another process has the gallery open.
    """
    started = time.monotonic()
    folder, target = Path(source), Path(out)
    _check_target(target, resume=resume)
    records, rejected, doubles = _scan(folder, target, positions, progress)
    if not records:
        raise _nothing_usable(folder, rejected)
    fresh = not target.exists()
    lock = _lock(target)
    try:
        sweep(target)
        if not resume:
            _discard(target)
        gallery = _open(target, records, rejected, lock, progress)
    except BaseException:
        lock.release()
        if fresh and not any((target / part).exists() for part in _PARTS):
            shutil.rmtree(target, ignore_errors=True)
        raise
    with gallery:
        todo = _missing(gallery, records)
        added = _add(gallery, todo, rejected, progress)
        gallery.write_manifest(len(rejected))
        _write_rejects(target, rejected)
        skipped = len(records) - len(todo) + doubles
        seconds = time.monotonic() - started
        return BuildReport(target, added, skipped, tuple(rejected), seconds, len(gallery))


def _check_target(target: Path, *, resume: bool) -> None:
    """Refuse to build into something that is not a gallery, or not one that can grow."""
    if target.exists() and not target.is_dir():
        raise InputError(f"{printable(str(target))!r} is a file; choose a folder for the gallery")
    names = {path.name for path in target.iterdir()} if target.exists() else set()
    names = {name for name in names if not name.startswith(PARTIAL)}
    if "manifest.json" in names:
        if resume:
            read_manifest(target)
        else:
            check_format(target)
    # A build takes the lock before anything else: without it the parts are somebody else's.
    elif names and ("lock" not in names or names - {"lock", *_PARTS}):
        raise InputError(
            f"{printable(str(target))!r} holds other files and is not a gallery; choose a new "
            "or an empty folder"
        )


def _lock(target: Path) -> FolderLock:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make {printable(str(target))!r} ({error.strerror}); choose a folder you "
            "may write to"
        ) from None
    return FolderLock(target)


def _scan(
    folder: Path, target: Path, positions: Path | str | None, progress: OnProgress | None
) -> tuple[list[PhotoRecord], list[RejectedPhoto], int]:
    """Return records with distinct content, rejects, and how many files were doubles."""
    table = None if positions is None else Path(positions)
    records: dict[str, PhotoRecord] = {}
    rejected: list[RejectedPhoto] = []
    doubles, clock = 0, _Clock("reading", 0, progress)
    for found in read_records(folder, positions=table, ignore=[target]):
        clock.step()
        if isinstance(found, RejectedPhoto):
            rejected.append(found)
        else:
            doubles += records.setdefault(found.id, found) is not found
    return list(records.values()), rejected, doubles


def _nothing_usable(folder: Path, rejected: Sequence[RejectedPhoto]) -> InputError:
    shown = printable(str(folder))
    if not rejected:
        return InputError(f"no photos in {shown!r}; give a folder of JPEG, PNG, WebP or HEIC files")
    first = rejected[0]
    return InputError(
        f"none of {len(rejected)} photos in {shown!r} can be used, for example "
        f"{first.name!r}: {first.reason}"
    )


def _discard(target: Path) -> None:
    for part in _PARTS:
        place = target / part
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def _open(
    target: Path,
    records: Sequence[PhotoRecord],
    rejected: list[RejectedPhoto],
    lock: FolderLock,
    progress: OnProgress | None,
) -> Gallery:
    """Return the gallery at `target`, its codebook fitted first where there is none."""
    if (target / "manifest.json").exists():
        manifest = read_manifest(target)
        encoder = load_codebook_encoder(target)
        check_encoder(target, manifest, encoder.card)
        return attach(target, manifest, encoder, lock)
    encoder = _fit(target, records, progress)
    now = datetime.now(UTC)
    manifest = Manifest(
        encoder=EncoderIdentity.of(encoder.card),
        created=now,
        updated=now,
        settings={"words": len(encoder.codebook.words), "min_features": MIN_FEATURES},
    )
    gallery = attach(target, manifest, encoder, lock)
    gallery.write_manifest(len(rejected))
    return gallery


def _fit(
    target: Path, records: Sequence[PhotoRecord], progress: OnProgress | None
) -> EmbeddedEncoder:
    """Fit the codebook on the photos with the smallest ids: the same set in any order."""
    if (target / "codebook.npz").exists():
        return load_codebook_encoder(target)
    sample = sorted(records, key=lambda record: record.id)[:FIT_PHOTOS]
    clock = _Clock("describing", len(sample), progress)
    described = describe(target, sample, clock.step)
    usable = [features for _, features in described if isinstance(features, LocalFeatures)]
    if not usable:
        raise _nothing_usable(
            sample[0].path.parent, [r for _, r in described if isinstance(r, RejectedPhoto)]
        )
    book = fit_codebook(usable)
    write_atomically(target / "codebook.npz", book.pack())
    return load_encoder("embedded", codebook=book)


def _missing(gallery: Gallery, records: Sequence[PhotoRecord]) -> list[PhotoRecord]:
    """Return the records that lack their point or one of their files."""
    present: set[str] = set()
    for chunk in chunks(records, _BATCH):
        present.update(str(p["id"]) for p in gallery.store.get([r.id for r in chunk]))
    present = {photo_id for photo_id in present if gallery.has_files(photo_id)}
    return [record for record in records if record.id not in present]


def _add(
    gallery: Gallery,
    records: Sequence[PhotoRecord],
    rejected: list[RejectedPhoto],
    progress: OnProgress | None,
) -> int:
    """Encode and write the records, some at a time; return how many got in."""
    clock, added = _Clock("adding", len(records), progress), 0
    for chunk in chunks(records, _BATCH):
        batch = []
        for record, features in describe(gallery.path, chunk, clock.step):
            if isinstance(features, RejectedPhoto):
                rejected.append(features)
            else:
                (row,) = gallery.encoder.encode_features([features])[SPACE]
                batch.append((_gallery_photo(record, features), row))
        gallery.add(batch)
        added += len(batch)
    return added


def _gallery_photo(record: PhotoRecord, features: LocalFeatures) -> GalleryPhoto:
    at = record.position
    return GalleryPhoto(
        id=record.id,
        name=record.name,
        latitude=at.latitude,
        longitude=at.longitude,
        accuracy_km=at.accuracy_km,
        author=at.author,
        date=at.date,
        licence=at.licence,
        source=at.source,
        dhash=f"{features.dhash:016x}",
    )


def _write_rejects(target: Path, rejected: Sequence[RejectedPhoto]) -> None:
    lines = [json.dumps({"name": r.name, "reason": r.reason}, ensure_ascii=False) for r in rejected]
    write_atomically(target / "rejects.jsonl", "".join(f"{line}\n" for line in lines).encode())
