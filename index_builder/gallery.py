"""A gallery: geotagged photos one can compare with, in a folder.

    manifest.json   what it is: format, encoder, settings, counts
    codebook.npz    visual words of its encoder
    points/         vectors and payloads (Qdrant Edge)
    features/       local features of each photo, about 136 KB each
    photos/         small JPEGs without metadata, to show what matched
    lock            held by the one process that has it open

Knows the folder and its invariants; how photos get in is `index_builder.build`.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from encoders import load_encoder
from encoders.base import EncoderCard
from encoders.local_features import LocalFeatures, unpack_features
from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.files import FolderLock, read_regular, write_atomically
from index_builder.manifest import BUILD, Manifest, damaged, read_manifest, shown_path
from index_builder.points import (
    LOCATION,
    Circle,
    EdgeStore,
    Payload,
    PointStore,
    StoredPoint,
    Vector,
    check_vector,
)

if TYPE_CHECKING:
    from PIL import Image

    from encoders.embedded import EmbeddedEncoder


class GalleryPhoto(BaseModel):
    """A geotagged photo as the gallery knows it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(pattern="^[0-9a-f]{64}$")
    """SHA-256 of the file's bytes."""
    name: str
    """Path inside the folder it came from."""
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    accuracy_km: float | None = None
    """How well its owner knows the position; None where nobody said."""
    author: str = ""
    date: str = ""
    licence: str = ""
    source: str = ""
    dhash: str = Field(pattern="^[0-9a-f]{16}$")
    """Difference hash of the pixels."""


class Hit(BaseModel):
    """A photo found by a search, with its cosine similarity."""

    model_config = ConfigDict(frozen=True)

    photo: GalleryPhoto
    score: float


@dataclass
class Gallery:
    """An open gallery. Close it, or use it in a `with` statement."""

    path: Path
    manifest: Manifest
    encoder: "EmbeddedEncoder"
    store: PointStore
    lock: FolderLock | None = None

    @property
    def name(self) -> str:
        """Name of its folder."""
        return printable(self.path.name)

    def __len__(self) -> int:
        return self.store.count()

    def search(
        self,
        vector: Vector,
        limit: int,
        *,
        exclude_ids: Collection[str] = (),
        within: Circle | None = None,
    ) -> list[Hit]:
        """Return the photos most similar to a `[D]` unit vector, best first, found exactly.

        Args:
            vector: from this gallery's encoder.
            limit: at most this many.
            exclude_ids: photos left out, full SHA-256.
            within: only photos taken inside this circle.

        Raises:
            InputError: the vector is not one of this gallery's space.
        """
        (dimensions,) = self.manifest.encoder.spaces.values()
        check_vector(vector, dimensions)
        found = self.store.search(vector, limit, exclude_ids=exclude_ids, within=within)
        return [Hit(photo=photo_of(hit.payload), score=hit.score) for hit in found]

    def photo(self, reference: str) -> GalleryPhoto:
        """Return the photo whose SHA-256 begins with `reference`, of 8 digits or more.

        Raises:
            InputError: no photo or several begin with it.
        """
        if len(reference) == 64:
            found = [photo_of(payload) for payload in self.store.get([reference])]
        else:
            found = [p for p in self.photos() if p.id.startswith(reference)]
        if len(reference) < 8 or len(found) != 1:
            raise InputError(
                f"gallery {self.name!r} has {len(found)} photos {printable(reference)!r}, limit "
                "1; give the SHA-256 of one, or at least its first 8 digits"
            )
        return found[0]

    def photos(self) -> Iterator[GalleryPhoto]:
        """Yield every photo."""
        return (photo_of(payload) for payload in self.store.payloads())

    def features(self, photo_id: str) -> LocalFeatures:
        """Return the local features of a photo.

        Raises:
            InputError: they are missing or damaged.
        """
        return unpack_features(self._read(self.features_path(photo_id)))

    def image(self, photo_id: str) -> "Image.Image":
        """Return the small copy of a photo, RGB.

        Raises:
            InputError: it is missing or damaged.
        """
        from encoders.pixels import open_photo

        return open_photo(self._read(self.image_path(photo_id))).image

    def _read(self, path: Path) -> bytes:
        try:
            return read_regular(path)
        except OSError as error:
            raise InputError(
                f"gallery {self.name!r} cannot read {path.name!r} ({error.strerror}); "
                f"delete it and build it again: {BUILD}"
            ) from None

    def features_path(self, photo_id: str) -> Path:
        """Return where the local features of a photo are kept."""
        return self.path / "features" / photo_id[:2] / f"{photo_id}.npz"

    def image_path(self, photo_id: str) -> Path:
        """Return where the small copy of a photo is kept."""
        return self.path / "photos" / photo_id[:2] / f"{photo_id}.jpg"

    def has_files(self, photo_id: str) -> bool:
        """Return whether features and small copy of a photo are there."""
        return self.features_path(photo_id).is_file() and self.image_path(photo_id).is_file()

    def add(self, photos: Sequence[tuple[GalleryPhoto, Vector]]) -> None:
        """Write photos with their vectors; the same photo again replaces the former."""
        self.store.upsert([StoredPoint(p.id, vector, payload_of(p)) for p, vector in photos])

    def write_manifest(self, rejected: int) -> None:
        """Bring `manifest.json` up to date with the store."""
        now = datetime.now(UTC)
        changes = {"photos": len(self), "rejected": rejected, "updated": now}
        self.manifest = self.manifest.model_copy(update=changes)
        text = self.manifest.model_dump_json(indent=2)
        write_atomically(self.path / "manifest.json", text.encode())

    def info(self) -> dict[str, JsonValue]:
        """Return the manifest, name and path as JSON."""
        stated: dict[str, JsonValue] = json.loads(self.manifest.model_dump_json())
        return {"name": self.name, "path": printable(str(self.path)), **stated, "photos": len(self)}

    def close(self) -> None:
        """Write what is pending and release the folder."""
        self.store.close()
        if self.lock:
            self.lock.release()

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def payload_of(photo: GalleryPhoto) -> Payload:
    """Return what the store keeps of a photo."""
    stated: Payload = photo.model_dump(mode="json")
    return stated | {LOCATION: {"lat": photo.latitude, "lon": photo.longitude}}


def photo_of(payload: Payload) -> GalleryPhoto:
    """Return the photo a stored payload describes."""
    return GalleryPhoto.model_validate({k: v for k, v in payload.items() if k != LOCATION})


def open_gallery(path: Path | str, *, encoder: EncoderCard | None = None) -> Gallery:
    """Open a gallery for searching.

    Args:
        path: its folder.
        encoder: refuse a gallery of another encoder than this one.

    Raises:
        InputError: not a gallery, empty, damaged, read-only, of another format or encoder.
        UnavailableError: another process has it open.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    own = load_codebook_encoder(folder)
    check_encoder(folder, manifest, encoder or own.card)
    lock = FolderLock(folder)
    try:
        gallery = attach(folder, manifest, own, lock)
        if not len(gallery):
            gallery.close()
            raise InputError(f"gallery {shown_path(folder)} is empty; add photos with: {BUILD}")
    except BaseException:
        lock.release()
        raise
    return gallery


def attach(
    folder: Path, manifest: Manifest, encoder: "EmbeddedEncoder", lock: FolderLock
) -> Gallery:
    """Return the gallery whose folder is locked and whose manifest was checked already."""
    ((space, dimensions),) = manifest.encoder.spaces.items()
    store = EdgeStore(folder / "points", space, dimensions)
    return Gallery(folder, manifest, encoder, store, lock)


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


def check_encoder(folder: Path, manifest: Manifest, card: EncoderCard) -> None:
    """Refuse a gallery whose vectors another encoder made.

    Raises:
        InputError: name, fingerprint or vector space differ.
    """
    built = manifest.encoder
    if (built.name, built.fingerprint) != (card.name, card.fingerprint):
        raise InputError(
            f"gallery {shown_path(folder)} was built by encoder "
            f"{built.name}:{built.fingerprint[:10]}, this is {card.name}:{card.fingerprint[:10]}; "
            f"delete it and build it again: {BUILD}"
        )
    if built.spaces != dict(card.spaces):
        raise damaged(shown_path(folder))
