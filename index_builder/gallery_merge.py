"""Several galleries of one encoder into a new one.

What is merged is written down first (`merging.json`), points and files follow gallery by gallery,
the manifest last. Stopped anywhere, the same command goes on: what is there is not copied again.
Of photos that several galleries hold, the first gallery's word counts.
"""

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from encoders.photo_file import printable
from geo.errors import InputError
from geo.sphere import distance_km
from index_builder.files import FolderLock, read_regular, write_atomically
from index_builder.gallery import Gallery
from index_builder.gallery_opening import attach, load_codebook_encoder
from index_builder.gallery_photo import photo_of
from index_builder.manifest import Manifest, StoreSettings, read_manifest, shown_path
from index_builder.points import StoredPoint
from index_builder.records import Rejected
from index_builder.removal_note import JOURNAL, read_removed, remember_removed
from index_builder.upkeep import (
    Progress,
    in_chunks,
    no_progress,
    open_for_upkeep,
)

NOTE = "merging.json"
SHOWN_CONFLICTS = 100
SAME_PLACE_KM = 0.001


class Plan(BaseModel):
    """What is being merged, as `merging.json` keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    galleries: tuple[str, ...]
    fingerprint: str


class MergeReport(BaseModel):
    """What a merge did."""

    path: Path
    photos: int
    """In the new gallery."""
    given: int
    """In all galleries together."""
    duplicates: int
    """Given by a gallery when an earlier one had given them."""
    conflicts: int
    """Duplicates whose positions differ; the first gallery's was kept."""
    examples: tuple[Rejected, ...] = ()
    """Of those, at most 100, with both positions."""
    missing_files: int = 0
    """Small copies and features that a gallery ought to have and has not."""
    seconds: float


class _Counts:
    """What a merge counts as it goes."""

    def __init__(self) -> None:
        self.given = self.known = self.conflicts = self.missing = 0
        self.examples: list[Rejected] = []
        self.removed: frozenset[str] = frozenset()
        """Ids that one of the galleries removed: none of the others brings them back."""


def merge_galleries(
    galleries: Sequence[Path | str],
    out: Path,
    *,
    progress: Progress = no_progress,
    api_key: str | None = None,
) -> MergeReport:
    """Write a new gallery that holds what several hold, each photo once.

    Args:
        galleries: folders or `http://HOST:6333/COLLECTION`; of the first are index and settings.
        out: folder that does not exist, or that of the same merge, stopped.
        progress: told of points, as `merging`.
        api_key: of the Qdrant server.

    Raises:
        InputError: fewer than two galleries, other encoders, spaces or kinds, or `out` is there.
        UnavailableError: another process has one of them open.
    """
    began = time.monotonic()
    manifests = [_manifest_of(path, api_key) for path in galleries]
    _check_alike(galleries, manifests, out)
    plan = Plan(
        galleries=tuple(_place(path) for path in galleries),
        fingerprint=manifests[0].encoder.fingerprint,
    )
    _begin(out, plan)
    counts = _Counts()
    total = sum(manifest.photos for manifest in manifests)
    counts.removed = _removed(galleries)
    with _opened(out, galleries[0], _merged(galleries, manifests)) as target:
        for path in galleries:
            with open_for_upkeep(path, api_key=api_key) as source:
                _copy(source, target, counts, lambda done: progress("merging", done, total))
        progress("optimizing", counts.given, counts.given)
        target.store.optimize()
        target.write_manifest()
        remember_removed(out, counts.removed)
        (out / NOTE).unlink()
        photos = len(target)
    return MergeReport(
        path=out,
        photos=photos,
        given=counts.given,
        duplicates=counts.given - photos,
        conflicts=counts.conflicts,
        examples=tuple(counts.examples),
        missing_files=counts.missing,
        seconds=time.monotonic() - began,
    )


def _removed(galleries: Sequence[Path | str]) -> frozenset[str]:
    folders = [Path(g) for g in galleries if not str(g).startswith(("http://", "https://"))]
    return frozenset().union(*(read_removed(folder) for folder in folders))


def _manifest_of(path: Path | str, api_key: str | None) -> Manifest:
    if str(path).startswith(("http://", "https://")):
        with open_for_upkeep(path, api_key=api_key) as gallery:
            return gallery.manifest
    folder = Path(path)
    manifest = read_manifest(folder)
    if (folder / JOURNAL).exists():
        raise InputError(
            f"a removal from gallery {shown_path(folder)} was stopped, a merge would bring back "
            "what it removes; run the same `graticule gallery remove` again first"
        )
    return manifest


def _check_alike(galleries: Sequence[Path | str], manifests: Sequence[Manifest], out: Path) -> None:
    """Refuse galleries whose vectors do not compare, and merging a gallery with itself.

    Raises:
        InputError: see `merge_galleries`.
    """
    places = [_place(path) for path in galleries]
    if len(set(places)) < 2 or len(set(places)) < len(places) or _place(out) in places:
        raise InputError(
            f"{len(set(places))} different galleries given, at least 2 are needed, each once and "
            "none the new one; name them"
        )
    first, name = manifests[0], printable(str(galleries[0]))
    for path, manifest in zip(galleries[1:], manifests[1:], strict=True):
        shown = printable(str(path))
        if manifest.kind != first.kind:
            raise InputError(
                f"gallery {shown!r} holds {manifest.kind}, {name!r} holds {first.kind}; merge "
                "galleries of one kind"
            )
        built, ours = manifest.encoder, first.encoder
        if (built.fingerprint, built.spaces) == (ours.fingerprint, ours.spaces):
            continue
        if built.name == ours.name == "embedded":
            raise InputError(
                f"galleries {name!r} and {shown!r} have different visual words, each fitted on "
                "its own photos, so that their vectors do not compare; add the photos of one to "
                "the other instead: graticule gallery build SOURCE --out GALLERY"
            )
        raise InputError(
            f"gallery {shown!r} was built by encoder {_identity(manifest)}, {name!r} by "
            f"{_identity(first)}; build one of them again with the other's encoder"
        )


def _identity(manifest: Manifest) -> str:
    built = manifest.encoder
    spaces = ", ".join(f"{space} {size}" for space, size in built.spaces.items())
    return f"{printable(built.name)}:{built.fingerprint[:10]} ({spaces})"


def _place(path: Path | str) -> str:
    shown = str(path)
    return shown if shown.startswith(("http://", "https://")) else str(Path(path).resolve())


def _begin(out: Path, plan: Plan) -> None:
    """Make the folder with the note of what goes into it, or find it made.

    Raises:
        InputError: something else is there, or another merge.
    """
    shown = shown_path(out)
    try:
        noted = Plan.model_validate_json(read_regular(out / NOTE))
    except (FileNotFoundError, NotADirectoryError):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{shown} is there already; give the name of a new folder") from None
        write_atomically(out / NOTE, plan.model_dump_json(indent=2).encode())
        return
    except (OSError, ValidationError):
        raise InputError(f"{NOTE} in {shown} is damaged; delete that folder") from None
    if noted != plan:
        merged = " ".join(printable(place) for place in noted.galleries)
        raise InputError(
            f"{shown} is a merge of {merged}, which was stopped; give those galleries in that "
            "order to finish it, or another folder"
        )


def _merged(galleries: Sequence[Path | str], manifests: Sequence[Manifest]) -> Manifest:
    """Return the new gallery's manifest: what all agree on, the first's index."""
    first = manifests[0]
    settings: dict[str, JsonValue] = {
        key: value
        for key, value in first.settings.items()
        if all(manifest.settings.get(key) == value for manifest in manifests)
    }
    settings["merged"] = [printable(Path(path).name) for path in galleries]
    return first.model_copy(
        update={
            "store": StoreSettings(),
            "rejected": sum(manifest.rejected for manifest in manifests),
            "created": datetime.now(UTC),
            "settings": settings,
        }
    )


def _opened(out: Path, first: Path | str, manifest: Manifest) -> Gallery:
    """Return the new gallery, with the codebook where the encoder has one."""
    lock = FolderLock(out)
    try:
        if manifest.encoder.name == "embedded" and not (out / "codebook.npz").exists():
            load_codebook_encoder(Path(first))
            write_atomically(out / "codebook.npz", read_regular(Path(first) / "codebook.npz"))
        return attach(out, manifest, lock)
    except BaseException:
        lock.release()
        raise


def _copy(source: Gallery, target: Gallery, counts: _Counts, step: Callable[[int], None]) -> None:
    """Copy what the target lacks: files first, so that no point is ever without its files."""
    for read in in_chunks(source.store.scan(with_vectors=True)):
        chunk = [point for point in read if point.id not in counts.removed]
        known = {point.id: point for point in target.store.get([point.id for point in chunk])}
        fresh = [point for point in chunk if point.id not in known]
        for point in fresh:
            counts.missing += _link_files(source, target, point)
        target.store.upsert(fresh)
        for point in chunk:
            if point.id in known:
                _compare(known[point.id], point, counts)
        counts.given += len(chunk)
        step(counts.given)


def _compare(kept: StoredPoint, given: StoredPoint, counts: _Counts) -> None:
    """Tell where two galleries put one photo at different places."""
    first, second = photo_of(kept.payload), photo_of(given.payload)
    apart = float(distance_km(first.latitude, first.longitude, second.latitude, second.longitude))
    if apart <= SAME_PLACE_KM:
        return
    counts.conflicts += 1
    if len(counts.examples) < SHOWN_CONFLICTS:
        reason = (
            f"kept ({first.latitude:g}, {first.longitude:g}), dropped ({second.latitude:g}, "
            f"{second.longitude:g}), {apart:,.3g} km apart"
        )
        counts.examples.append(Rejected(printable(first.name), reason))


def _link_files(source: Gallery, target: Gallery, point: StoredPoint) -> int:
    """Bring a photo's files over and return how many are missing that it ought to have."""
    if source.path is None:
        return 0
    missing = 0
    pairs = []
    if point.payload.get("copy_sha256"):
        pairs.append((source.image_path(point.id), target.image_path(point.id)))
    if source.manifest.encoder.name == "embedded" and source.manifest.kind == "photos":
        pairs.append((source.features_path(point.id), target.features_path(point.id)))
    for old, new in pairs:
        missing += not _link(old, new)
    return missing


def _link(old: Path, new: Path) -> bool:
    """Link or copy a file and return whether it is there: nobody ever changes one in place."""
    if new.exists():
        return True
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new)
    except FileNotFoundError:
        return False
    except OSError:  # another disk, or one without links
        try:
            write_atomically(new, read_regular(old))
        except OSError:
            return False
    return True
