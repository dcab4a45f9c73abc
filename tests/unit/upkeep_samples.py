"""Small galleries to look after: random unit vectors, small copies, no build."""

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders.local_features import difference_hash, extract_features, pack_features
from index_builder.files import FolderLock
from index_builder.gallery import Gallery
from index_builder.gallery_opening import attach
from index_builder.gallery_photo import GalleryPhoto, vectors_digest
from index_builder.manifest import EncoderIdentity, Kind, Manifest

SPACES = {"globe": 8}
Row = tuple[GalleryPhoto, dict[str, npt.NDArray[np.float32]]]
PLACES = {"DE": (52.5, 13.4), "FR": (48.9, 2.4), "JP": (35.7, 139.7), "BR": (-15.8, -47.9)}
CODES = tuple(PLACES)


def unit(number: int, size: int = 8) -> npt.NDArray[np.float32]:
    """Return a random unit vector."""
    drawn = np.random.default_rng(number).normal(size=size)
    vector: npt.NDArray[np.float32] = (drawn / np.linalg.norm(drawn)).astype(np.float32)
    return vector


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def photo(number: int, **changes: object) -> Row:
    """Return a photo and its vectors: authors anna and ben by turns, two sources, 4 countries."""
    code = CODES[number % 4]
    latitude, longitude = PLACES[code]
    vectors = {"globe": unit(number)}
    stated: dict[str, object] = {
        "id": sha(f"photo {number}"),
        "name": f"{number}.jpg",
        "latitude": latitude + number / 1000,
        "longitude": longitude + number / 1000,
        "author": "anna" if number % 2 else "ben",
        "licence": "CC BY 4.0",
        "source": "flickr" if number % 3 else "own",
        "country": code,
        "dhash": sha(f"hash {number}")[:16],
        "digest": vectors_digest(vectors),
    }
    return GalleryPhoto.model_validate(stated | changes), vectors


def identity(name: str = "globe", fingerprint: str = "a" * 64) -> EncoderIdentity:
    return EncoderIdentity(
        name=name, fingerprint=fingerprint, spaces=SPACES, retrieval=("globe",), load="geoclip"
    )


def started(
    folder: Path, *, kind: Kind = "photos", encoder: EncoderIdentity | None = None
) -> Gallery:
    """Return a new and empty gallery, open."""
    folder.mkdir(parents=True)
    now = datetime(2026, 1, 2, tzinfo=UTC)
    manifest = Manifest(kind=kind, encoder=encoder or identity(), created=now, updated=now)
    return attach(folder, manifest, FolderLock(folder))


def write_gallery(
    folder: Path, rows: list[Row], *, files: bool = False, encoder: EncoderIdentity | None = None
) -> Path:
    """Write a gallery of these photos; with `files`, small copies and features too."""
    with started(folder, encoder=encoder) as gallery:
        if files:
            rows = [(with_files(gallery, one), vectors) for one, vectors in rows]
        gallery.add(rows)
        gallery.write_manifest(0)
    return folder


def with_files(gallery: Gallery, one: GalleryPhoto) -> GalleryPhoto:
    """Write a photo's small copy and features and return what the gallery knows of it then."""
    noise = np.random.default_rng(int(one.id[:8], 16)).integers(0, 255, (12, 16, 3), np.uint8)
    image = Image.fromarray(noise).resize((160, 120), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    for path, data in (
        (gallery.image_path(one.id), buffer.getvalue()),
        (gallery.features_path(one.id), pack_features(extract_features(image))),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    dhash = f"{difference_hash(image):016x}"
    return one.model_copy(update={"copy_sha256": digest, "dhash": dhash})


def bytes_of(folder: Path) -> bytes:
    """Return all that a folder's files hold, one after the other."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
