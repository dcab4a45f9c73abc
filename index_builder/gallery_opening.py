"""Opening a gallery: its manifest, its encoder, its lock, its points, wherever they are."""

from pathlib import Path
from typing import TYPE_CHECKING

from encoders import load_encoder
from encoders.base import EncoderCard
from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.files import FolderLock, read_regular
from index_builder.gallery import Gallery
from index_builder.manifest import BUILD, Manifest, damaged, read_manifest, shown_path
from index_builder.points import PointStore
from index_builder.removal_note import finish_swap

if TYPE_CHECKING:
    from encoders.embedded import EmbeddedEncoder


def open_gallery(
    path: Path | str, *, encoder: EncoderCard | None = None, api_key: str | None = None
) -> Gallery:
    """Open a gallery for searching.

    Args:
        path: its folder, or `http://HOST:6333/COLLECTION` of a Qdrant server.
        encoder: refuse a gallery of another encoder than this one.
        api_key: of the Qdrant server, where it needs one.

    Raises:
        InputError: not a gallery, empty, damaged, read-only, of another format or encoder.
        UnavailableError: another process has it open, or the server does not answer.
    """
    if str(path).startswith(("http://", "https://")):
        return _open_collection(str(path), encoder, api_key)
    folder = Path(path)
    manifest = read_manifest(folder)
    own = _own_encoder(folder, manifest)
    if card := encoder or (own.card if own else None):
        check_encoder(shown_path(folder), manifest, card)
    lock = FolderLock(folder)
    try:
        gallery = attach(folder, manifest, lock, own, api_key=api_key)
        if not len(gallery):
            gallery.close()
            raise InputError(f"gallery {shown_path(folder)} is empty; add photos with: {BUILD}")
    except BaseException:
        lock.release()
        raise
    return gallery


def _open_collection(url: str, encoder: EncoderCard | None, api_key: str | None) -> Gallery:
    from index_builder.server_points import open_collection

    manifest, store = open_collection(url, api_key=api_key)
    if encoder:
        check_encoder(repr(printable(url)), manifest, encoder)
    return Gallery(None, manifest, store)


def _own_encoder(folder: Path, manifest: Manifest) -> "EmbeddedEncoder | None":
    # A codebook under another encoder's name is a manifest that was changed: the check tells.
    known = manifest.encoder.name == "embedded" or (folder / "codebook.npz").exists()
    return load_codebook_encoder(folder) if known else None


def attach(
    folder: Path,
    manifest: Manifest,
    lock: FolderLock,
    codebook_encoder: "EmbeddedEncoder | None" = None,
    *,
    api_key: str | None = None,
) -> Gallery:
    """Return the gallery whose folder is locked and whose manifest was checked already.

    Raises:
        InputError: its points are damaged.
        UnavailableError: another process or no server has them.
    """
    store: PointStore
    if manifest.store.url:
        from index_builder.server_points import ServerStore

        store = ServerStore.of(manifest, api_key=api_key)
    else:
        from index_builder.edge_points import EdgeStore

        finish_swap(folder)
        store = EdgeStore(folder / "points", manifest.encoder.spaces, manifest.index)
    return Gallery(folder, manifest, store, codebook_encoder, lock)


def load_codebook_encoder(folder: Path) -> "EmbeddedEncoder":
    """Return the encoder of the codebook kept in a gallery folder.

    Raises:
        InputError: the codebook is missing or damaged.
    """
    from encoders.embedded import Codebook

    try:
        data = read_regular(folder / "codebook.npz")
    except OSError as error:
        raise InputError(
            f"gallery {shown_path(folder)} lacks its codebook ({error.strerror}); "
            f"delete it and build it again: {BUILD}"
        ) from None
    return load_encoder("embedded", codebook=Codebook.unpack(data))


def check_encoder(shown: str, manifest: Manifest, card: EncoderCard) -> None:
    """Refuse a gallery whose vectors another encoder made.

    Args:
        shown: the gallery as messages call it.
        manifest: of the gallery.
        card: of the encoder to search or build with.

    Raises:
        InputError: name, fingerprint or vector space differ.
    """
    built = manifest.encoder
    if (built.name, built.fingerprint) != (card.name, card.fingerprint):
        raise InputError(
            f"gallery {shown} was built by encoder "
            f"{built.name}:{built.fingerprint[:10]}, this is {card.name}:{card.fingerprint[:10]}; "
            f"use that encoder (it was loaded as {printable(built.load)!r}), or delete the gallery "
            f"and build it again: {BUILD}"
        )
    if any(card.spaces.get(space) != size for space, size in built.spaces.items()):
        raise damaged(shown)
