"""The folder that a build writes to: what may become a gallery, and one opened to grow."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from encoders.base import Encoder
from encoders.embedded import EmbeddedEncoder
from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.encoding import MIN_FEATURES, spaces_of
from index_builder.files import PARTIAL, FolderLock, sweep
from index_builder.gallery import Gallery
from index_builder.gallery_opening import attach, check_encoder
from index_builder.manifest import (
    EncoderIdentity,
    Kind,
    Manifest,
    StoreSettings,
    check_format,
    read_manifest,
    shown_path,
)
from index_builder.points import IndexSettings
from index_builder.removal_note import REMOVED

PARTS: tuple[str, ...] = (
    "manifest.json",
    "codebook.npz",
    "rejects.jsonl",
    "points",
    "features",
    "photos",
)
PARTS += ("points.part",)  # a store in the making
KEPT = (REMOVED,)
"""What outlives a build anew: who was removed stays out."""


def check_target(target: Path, *, resume: bool) -> Manifest | None:
    """Return the manifest of the gallery that is to grow; None where a new one is to be made.

    Raises:
        InputError: something else than a gallery is there, or a gallery that cannot grow.
    """
    if target.exists() and not target.is_dir():
        raise InputError(f"{printable(str(target))!r} is a file; choose a folder for the gallery")
    names = {path.name for path in target.iterdir()} if target.exists() else set()
    names = {name for name in names if not name.startswith(PARTIAL)}
    if "manifest.json" in names:
        if resume:
            return read_manifest(target)
        check_format(target)
    # A build takes the lock before anything else: without it the parts are somebody else's.
    elif names and ("lock" not in names or names - {"lock", *PARTS, *KEPT}):
        raise InputError(
            f"{printable(str(target))!r} holds other files and is not a gallery; choose a new "
            "or an empty folder"
        )
    return None


def check_settings(
    target: Path,
    manifest: Manifest,
    kind: Kind,
    copies: bool,
    index: IndexSettings | None,
    store: StoreSettings | None,
) -> None:
    """Refuse to add to a gallery what it does not hold, or under other settings than its own.

    Raises:
        InputError: it differs in kind, small copies, index or store.
    """
    shown = shown_path(target)
    if manifest.kind != kind:
        raise InputError(
            f"gallery {shown} holds {manifest.kind}, the source gives {kind}; build another "
            "gallery of it: choose another --out"
        )
    kept = manifest.settings.get("copies", True)
    asked = {
        "copies": (not kept or copies, "small copies of its photos"),
        "index": (index in (None, manifest.index), f"the index {manifest.index.quantization}"),
        "store": (store in (None, manifest.store), f"its points at {_place(manifest.store)}"),
    }
    for same, what in asked.values():
        if not same:
            raise InputError(
                f"gallery {shown} was built with {printable(what)}, other settings are given; "
                "leave them out, choose another --out, or build it anew with --fresh"
            )


def _place(store: StoreSettings) -> str:
    return f"{store.url}/{store.collection}" if store.url else "its own folder"


@contextmanager
def locked(target: Path, *, anew: bool, api_key: str | None = None) -> Iterator[FolderLock]:
    """Hold the lock of a folder, which is made where it is missing and left as it was on failure.

    Args:
        target: the folder.
        anew: delete what a former gallery left in it, and in the server that has its points.
        api_key: of that server.

    Raises:
        InputError: the folder cannot be made or written to.
        UnavailableError: another process has it.
    """
    fresh = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make {printable(str(target))!r} ({error.strerror}); choose a folder you "
            "may write to"
        ) from None
    lock = FolderLock(target)
    try:
        sweep(target, older_s=0)
        if anew:
            _drop_collection(target, api_key)
            discard(target)
        yield lock
    except BaseException:
        if fresh and not any((target / part).exists() for part in PARTS):
            shutil.rmtree(target, ignore_errors=True)
        raise
    finally:
        lock.release()


def _drop_collection(target: Path, api_key: str | None) -> None:
    """Delete the collection of a gallery whose points are in a server."""
    try:
        manifest = read_manifest(target)
    except InputError:
        return  # of another version or damaged: what it names cannot be told
    if manifest.store.url:
        from index_builder.server_points import drop_collection

        drop_collection(manifest.store, api_key=api_key)


def discard(target: Path) -> None:
    """Delete a gallery's parts from its folder, and nothing else."""
    for part in PARTS:
        place = target / part
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def new_manifest(
    encoder: Encoder,
    load: str,
    kind: Kind,
    *,
    copies: bool,
    index: IndexSettings | None,
    store: StoreSettings | None,
) -> Manifest:
    """Return the manifest of a gallery to be made."""
    now = datetime.now(UTC)
    manifest = Manifest(
        kind=kind,
        encoder=EncoderIdentity.of(encoder.card, load, spaces_of(encoder, kind)),
        store=store or StoreSettings(),
        index=index or IndexSettings(),
        created=now,
        updated=now,
        settings={"copies": copies and kind == "photos"},
    )
    if isinstance(encoder, EmbeddedEncoder):
        words = {"words": len(encoder.codebook.words), "min_features": MIN_FEATURES}
        manifest.settings.update(words)
    return manifest


@contextmanager
def opened(
    target: Path,
    manifest: Manifest | None,
    lock: FolderLock,
    encoder: Encoder,
    new: Manifest,
    api_key: str | None,
) -> Iterator[Gallery]:
    """Yield the gallery in `target`, made as `new` says where there is no manifest yet.

    Raises:
        InputError: another encoder built it, or it is damaged.
        UnavailableError: no server has its points.
    """
    if manifest is not None:
        check_encoder(shown_path(target), manifest, encoder.card)
    own = encoder if isinstance(encoder, EmbeddedEncoder) else None
    if manifest is None:  # points come after it: these are half a store
        for half_made in ("points", "points.part"):
            shutil.rmtree(target / half_made, ignore_errors=True)
    with attach(target, manifest or new, lock, own, api_key=api_key) as gallery:
        if manifest is None:
            _check_empty(gallery)
            gallery.write_manifest(0)
        yield gallery


def _check_empty(gallery: Gallery) -> None:
    """Refuse to mix a new gallery's points with those that a server's collection holds."""
    if held := len(gallery):
        at = gallery.manifest.store
        raise InputError(
            f"collection {printable(at.collection)!r} at {printable(at.url)} holds {held:,} points "
            "of another gallery; choose another --collection, or the folder that one was built in"
        )
