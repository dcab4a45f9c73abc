"""Opening a gallery to look after it, and taking photos out of it for good.

A removal is written down before it begins (`removing.json`): what is listed there is gone from
searches first, then from the folder's files, then from the store's. A process killed anywhere in
between leaves a gallery that can be searched, and the next removal finishes the former.

Qdrant Edge marks points as deleted and keeps their bytes until it happens to rewrite a segment,
so that a removed author's name and vectors would stay on the disk; here the rest is copied into
a new store, which takes the old one's place.
"""

import contextlib
import difflib
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from pydantic import BaseModel

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError
from index_builder.files import FolderLock, write_atomically
from index_builder.gallery import Gallery
from index_builder.gallery_opening import attach, check_encoder, load_codebook_encoder, open_gallery
from index_builder.manifest import read_manifest, shown_path
from index_builder.points import PAGE, PointStore, StoredPoint, Where
from index_builder.removal_note import (
    JOURNAL,
    NEW,
    By,
    Removal,
    finish_swap,
    read_removal,
    remember_removed,
)

Progress = Callable[[str, int, int], None]
"""Called with what is going on, how much of it is done, and how much there is."""
_COPIED = 2048
"""Points copied at once: each time the store waits for the disk."""


class RemoveReport(BaseModel):
    """What a removal did, or would do."""

    gallery: str
    by: By
    values: tuple[str, ...]
    found: int
    """Points that match."""
    removed: int = 0
    """Points of them that were removed: all, or none where nobody agreed."""
    finished: int = 0
    """Points of a removal that was stopped before, finished now."""
    files: int = 0
    """Files deleted."""
    photos: int
    """Points left."""
    examples: tuple[str, ...] = ()
    sources: dict[str, int] = {}
    """Where those found came from."""
    dry_run: bool = False


def no_progress(_: str, __: int, ___: int) -> None:
    """Show nothing."""


def open_for_upkeep(
    path: Path | str, *, codebook: bool = False, api_key: str | None = None
) -> Gallery:
    """Open a gallery even if it is empty; see `open_gallery`.

    Args:
        path: its folder, or `http://HOST:6333/COLLECTION`.
        codebook: load the encoder `embedded` too, where that made the vectors.
        api_key: of the Qdrant server.

    Raises:
        InputError: not a gallery, damaged, or of another format.
        UnavailableError: another process has it open, or the server does not answer.
    """
    if str(path).startswith(("http://", "https://")):
        return open_gallery(path, api_key=api_key)
    folder = Path(path)
    manifest = read_manifest(folder)
    own = None
    if codebook and manifest.encoder.name == "embedded":
        own = load_codebook_encoder(folder)
        check_encoder(shown_path(folder), manifest, own.card)
    lock = FolderLock(folder)
    try:
        return attach(folder, manifest, lock, own, api_key=api_key)
    except BaseException:
        lock.release()
        raise


def in_chunks(points: Iterator[StoredPoint], size: int = PAGE) -> Iterator[list[StoredPoint]]:
    """Yield points some at a time."""
    while chunk := list(islice(points, size)):
        yield chunk


def condition(by: By, values: Sequence[str]) -> Where:
    """Return which points have one of these sources or authors."""
    return Where(sources=tuple(values)) if by == "source" else Where(authors=tuple(values))


def find_points(gallery: Gallery, by: By, values: Sequence[str]) -> list[StoredPoint]:
    """Return the points that are to be removed.

    Raises:
        InputError: an id is of no photo or of several, or a value is empty.
    """
    if not values or not all(values):
        raise InputError(f"{by} is empty, which would name every photo without one; give a {by}")
    if by == "id":
        ids = [gallery.photo(value.lower()).id for value in dict.fromkeys(values)]
        return gallery.store.get(ids)
    return list(gallery.store.scan(where=condition(by, values)))


def remove_points(
    gallery: Gallery,
    by: By,
    values: Sequence[str],
    *,
    agreed: Callable[[RemoveReport], bool] = lambda _: True,
    dry_run: bool = False,
    progress: Progress = no_progress,
) -> RemoveReport:
    """Take photos and all that was made of them out of a gallery, so that no byte stays.

    Args:
        gallery: open; its manifest is brought up to date.
        by: what the values are.
        values: exact names of sources or authors; SHA-256 of photos, or their first digits.
        agreed: asked with what was found before anything is deleted.
        dry_run: delete nothing.
        progress: told how far it is.

    Returns:
        What was done; `photos` unchanged where nobody agreed.

    Raises:
        InputError: nothing has such a name, or the gallery cannot be written.
    """
    finished = 0
    pending = read_removal(gallery.path) if gallery.path else None
    if pending and not dry_run:
        _finish(gallery, pending, progress)
        finished = len(pending.ids)
    repeated = pending is not None and (pending.by, pending.values) == (by, tuple(values))
    points = [] if repeated and by == "id" and not dry_run else find_points(gallery, by, values)
    report = _report(gallery, by, values, points, finished)
    if dry_run:
        return report.model_copy(update={"dry_run": True})
    if not points and not repeated:
        raise _unknown(gallery, by, values)
    if not points or not agreed(report):
        return report
    files = _finish(gallery, _begin(gallery, by, values, points), progress)
    return report.model_copy(
        update={"removed": len(points), "files": files, "photos": len(gallery)}
    )


def _report(
    gallery: Gallery, by: By, values: Sequence[str], points: Sequence[StoredPoint], finished: int
) -> RemoveReport:
    sources: dict[str, int] = {}
    for point in points:
        source = str(point.payload.get("source", ""))
        sources[source] = sources.get(source, 0) + 1
    return RemoveReport(
        gallery=gallery.name,
        by=by,
        values=tuple(values),
        found=len(points),
        finished=finished,
        photos=len(gallery),
        examples=tuple(
            f"{point.payload.get('name', '')} ({point.id[:12]})" for point in points[:5]
        ),
        sources=sources,
    )


def _unknown(gallery: Gallery, by: By, values: Sequence[str]) -> InputError:
    known = [name for name in gallery.store.counts(by) if name]
    near = difflib.get_close_matches(values[0], known, n=3, cutoff=0.5)
    names = ", ".join(repr(printable(name)) for name in near or sorted(known)[:3]) or "none at all"
    shown = ", ".join(repr(printable(value)) for value in values)
    return InputError(
        f"gallery {gallery.name!r} has no photo of {by} {shown}; names must agree to the letter, "
        f"{'the nearest are' if near else 'there are'} {names}"
    )


def _begin(
    gallery: Gallery, by: By, values: Sequence[str], points: Sequence[StoredPoint]
) -> Removal:
    removal = Removal(by=by, values=tuple(values), ids=tuple(point.id for point in points))
    if gallery.path:
        write_atomically(gallery.path / JOURNAL, removal.model_dump_json().encode())
    return removal


def _finish(gallery: Gallery, removal: Removal, progress: Progress) -> int:
    """Do what is left of a removal and return how many files were deleted."""
    if gallery.path:
        remember_removed(gallery.path, removal.ids)
    files = 0
    for start in range(0, len(removal.ids), PAGE):
        ids = removal.ids[start : start + PAGE]
        gallery.store.delete_ids(ids)
        files += sum(_delete_files(gallery, one) for one in ids)
        progress("removing", start + len(ids), len(removal.ids))
    if gallery.path and not gallery.manifest.store.url:
        _rewrite(gallery, removal, progress)
    else:
        gallery.store.optimize()
    gallery.write_manifest()
    if gallery.path:
        (gallery.path / JOURNAL).unlink(missing_ok=True)
    return files


def _delete_files(gallery: Gallery, photo_id: str) -> int:
    if gallery.path is None:
        return 0
    deleted = 0
    for path in (gallery.features_path(photo_id), gallery.image_path(photo_id)):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
            deleted += 1
    return deleted


def _rewrite(gallery: Gallery, removal: Removal, progress: Progress) -> None:
    """Copy what is left into a new store, so that the old one's files go with what they held."""
    from index_builder.edge_points import EdgeStore

    folder = gallery.folder
    shutil.rmtree(folder / NEW, ignore_errors=True)
    spaces, index = gallery.manifest.encoder.spaces, gallery.manifest.index
    fresh = EdgeStore(folder / NEW, spaces, index)
    try:
        copy_points(gallery.store, fresh, progress)
        fresh.optimize()
    finally:
        fresh.close()
    gallery.store.close()
    moving = removal.model_copy(update={"swapping": True})
    write_atomically(folder / JOURNAL, moving.model_dump_json().encode())
    finish_swap(folder)
    gallery.store = EdgeStore(folder / "points", spaces, index)


def copy_points(source: PointStore, target: PointStore, progress: Progress) -> None:
    """Copy all points of a store into another; `progress` hears of it as `rewriting`.

    Raises:
        UnavailableError: the copy is short of points.
    """
    total, done = source.count(), 0
    for chunk in in_chunks(source.scan(with_vectors=True), _COPIED):
        target.upsert(chunk)
        done += len(chunk)
        progress("rewriting", done, total)
    if target.count() != total:
        raise UnavailableError(
            f"copied {target.count():,} of {total:,} points, nothing was replaced; run the same "
            "command again",
            retryable=True,
        )
