"""Records into what a gallery keeps of them: vectors, small copies, local features, payloads.

Knows one chunk of a source at a time and writes only what it is told to. `index_builder.build`
and `index_builder.scale` call the same functions on the same chunks, so that a gallery comes out
the same, bit for bit, however it was built.
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from encoders.base import AlignedEncoder, Encoder, Vectors, check_images
from encoders.local_features import (
    LocalFeatures,
    difference_hash,
    extract_features,
    pack_features,
    unpack_features,
)
from encoders.pixels import open_photo
from geo.errors import InputError
from index_builder.files import read_regular, write_atomically
from index_builder.gallery_photo import GalleryPhoto, vectors_digest
from index_builder.manifest import Kind
from index_builder.points import Vector
from index_builder.positions import check_position
from index_builder.records import Record, Rejected, content_id, place_id

if TYPE_CHECKING:
    from encoders.embedded import EmbeddedEncoder

CHUNK = 64
"""Consecutive records of one part of a source that are encoded together.

A row of a matrix product may differ in its last bits with the number of rows. A record therefore
always passes through the encoder beside the same others.
"""
MIN_FEATURES = 20
"""A photo with fewer can never be verified."""
COPY_SIDE_PX = 800
COPY_QUALITY = 85
_DIGITS = 9
"""Of degrees and kilometres, 0.1 mm: Qdrant Edge does not give back the seventeenth digit."""
_HELD_PIXELS = 1_000_000
"""A larger photo waits for the encoder as its file, to be decoded again."""
_GROUP_PIXELS = 64_000_000
"""Pixels that are given to the encoder at once, about 200 MB."""
Encoded = tuple[GalleryPhoto, dict[str, Vector]]


@dataclass(frozen=True)
class Prepared:
    """A record ready to be encoded, and what the gallery keeps of it besides vectors."""

    record: Record
    id: str
    image: Image.Image | bytes | None = None
    """What the encoder is given; the file where its pixels are many, None for a coordinate."""
    pixels: int = 0
    """Of that image."""
    dhash: str = ""
    copy: bytes = b""
    """Small JPEG without metadata, where the gallery keeps one."""
    features: LocalFeatures | None = None
    """Where the encoder is `embedded`."""
    kept: bool = False
    """Whether copy and features were read from the gallery's folder."""


class ChunkEncoder:
    """Prepares the records of a gallery one by one and encodes them chunk by chunk.

    Args:
        encoder: `embedded` with a codebook, or any aligned one.
        copies: keep a small JPEG of each photo.
        kind: what the gallery holds, photos or places.
        folder: of the gallery, where features of an interrupted build may lie.

    Raises:
        InputError: the encoder does not encode what the gallery holds.
        UnavailableError: the weights of its image tower are not on this machine.
    """

    def __init__(
        self, encoder: Encoder, *, copies: bool, kind: Kind = "photos", folder: Path | None = None
    ) -> None:
        self.encoder, self.copies, self.kind = encoder, copies, kind
        self.spaces = spaces_of(encoder, kind)
        self._folder = folder
        self._codebook_encoder = _embedded(encoder)
        self._as_seen = getattr(encoder, "as_seen", None) if kind == "photos" else None
        if self._as_seen:
            self._as_seen(Image.new("RGB", (64, 64)))  # loads the tower, here where one can wait

    @property
    def describes(self) -> bool:
        """Whether local features are kept of each photo."""
        return self._codebook_encoder is not None

    def identify(self, record: Record) -> str | Rejected:
        """Return the id of a record: of its bytes, or of its coordinate where it has none."""
        at = record.position
        try:
            check_position(at.latitude, at.longitude)
            if record.content is None:
                return place_id(at.latitude, at.longitude)
            return content_id(record.read())
        except InputError as error:
            return Rejected(record.name, str(error))

    def prepare(self, record: Record) -> Prepared | Rejected:
        """Read and decode a record; any number of threads may. Nothing is written."""
        try:
            check_position(record.position.latitude, record.position.longitude)
            if self.kind == "places":
                return self._place(record)
            return self._photo(record)
        except InputError as error:
            return Rejected(record.name, str(error))

    def _place(self, record: Record) -> Prepared:
        if record.content is not None:
            raise InputError("a photo, but this gallery holds places; build another gallery of it")
        at = record.position
        return Prepared(record, place_id(at.latitude, at.longitude))

    def _photo(self, record: Record) -> Prepared:
        if record.content is None:
            raise InputError(
                "a coordinate without a photo, but this gallery holds photos; build another "
                "gallery of it"
            )
        data = record.read()
        photo_id = content_id(data)
        if self._codebook_encoder:
            return describe(record, photo_id, data, copies=self.copies, folder=self._folder)
        image = open_photo(data).image
        check_images([image])
        dhash = f"{difference_hash(image):016x}"
        copy = small_copy(image) if self.copies else b""
        image = self._as_seen(image) if self._as_seen else image
        pixels = image.width * image.height
        held: Image.Image | bytes = image if pixels <= _HELD_PIXELS else data
        slim = replace(record, content=b"")  # its bytes have served
        return Prepared(slim, photo_id, held, pixels, dhash, copy)

    def encode(self, prepared: Sequence[Prepared]) -> list[Encoded | Rejected]:
        """Encode the decodable records of one chunk, all of them, in their order.

        Returns:
            For each, the photo or place with its `[D]` vector of each space; or why it has none.

        Raises:
            InputError: the encoder refuses all of them.
            UnavailableError: the encoder is a service that does not answer.
        """
        from index_builder.countries import placed

        places = placed([one.record for one in prepared])
        pairs = list(zip(prepared, places, strict=True))
        good = [one for one, place in pairs if not isinstance(place, Rejected)]
        rows = iter(self._rows(good) if good else ())
        return [
            place if isinstance(place, Rejected) else _encoded(one, place[1], next(rows))
            for one, place in pairs
        ]

    def _rows(self, prepared: Sequence[Prepared]) -> list[dict[str, Vector] | str]:
        """Return for each its `[D]` vector of each space, or why the encoder refuses it."""
        if self._codebook_encoder:
            features = [one.features for one in prepared if one.features]
            return self._split(self._codebook_encoder.encode_features(features))
        if self.kind == "places":
            points = [(p.record.position.latitude, p.record.position.longitude) for p in prepared]
            assert isinstance(self.encoder, AlignedEncoder), "it has location spaces"
            return self._split(self.encoder.encode_locations(points))
        return [row for group in _groups(prepared) for row in self._photo_rows(group)]

    def _photo_rows(self, group: Sequence[Prepared]) -> list[dict[str, Vector] | str]:
        images = [_opened(one) for one in group]
        try:
            return self._split(self.encoder.encode_images(images))
        except InputError as error:
            return self._one_by_one(images, error)

    def _one_by_one(
        self, images: Sequence[Image.Image], refusal: InputError
    ) -> list[dict[str, Vector] | str]:
        """Encode photos among which the encoder refuses some; if all, the fault is not theirs."""
        rows: list[dict[str, Vector] | str] = []
        for image in images:
            try:
                rows += self._split(self.encoder.encode_images([image]))
            except InputError as error:
                rows.append(str(error))
        if all(isinstance(row, str) for row in rows):
            raise refusal
        return rows

    def _split(self, found: Mapping[str, Vectors]) -> list[dict[str, Vector] | str]:
        count = len(found[self.spaces[0]])
        return [
            {space: np.ascontiguousarray(found[space][row], np.float32) for space in self.spaces}
            for row in range(count)
        ]


def _embedded(encoder: Encoder) -> "EmbeddedEncoder | None":
    from encoders.embedded import EmbeddedEncoder

    return encoder if isinstance(encoder, EmbeddedEncoder) else None


def spaces_of(encoder: Encoder, kind: Kind) -> tuple[str, ...]:
    """Return the spaces whose vectors a gallery of this kind keeps.

    Raises:
        InputError: the encoder encodes no such thing.
    """
    card = encoder.card
    spaces = card.location_spaces if kind == "places" else card.image_spaces or tuple(card.spaces)
    if not spaces:
        what = "locations" if kind == "places" else "photos"
        raise InputError(f"encoder {card.name!r} encodes no {what}; choose another --encoder")
    return spaces


def describe(
    record: Record, photo_id: str, data: bytes, *, copies: bool, folder: Path | None = None
) -> Prepared:
    """Return a photo with its local features, as they are after packing.

    Args:
        record: of the photo.
        photo_id: SHA-256 of `data`.
        data: the file.
        copies: make a small copy too.
        folder: of a gallery; what an interrupted build left in it is used.

    Raises:
        InputError: it cannot be decoded, or shows too few features.
    """
    slim = replace(record, content=b"")
    if folder and (found := _kept(folder, photo_id, copies=copies)):
        features, copy = found
    else:
        image = open_photo(data).image
        features = unpack_features(pack_features(extract_features(image)))
        copy, found = small_copy(image) if copies else b"", None
    if len(features) < MIN_FEATURES:
        raise InputError(
            f"shows {len(features)} local features, at least {MIN_FEATURES} are needed to "
            "recognise it; leave it out"
        )
    dhash = f"{features.dhash:016x}"
    return Prepared(
        slim, photo_id, dhash=dhash, copy=copy, features=features, kept=found is not None
    )


def _kept(folder: Path, photo_id: str, *, copies: bool) -> tuple[LocalFeatures, bytes] | None:
    with contextlib.suppress(OSError, InputError):  # missing or damaged: made anew
        features = unpack_features(read_regular(features_path(folder, photo_id)))
        return features, read_regular(copy_path(folder, photo_id)) if copies else b""
    return None


def features_path(folder: Path, photo_id: str) -> Path:
    """Return where a gallery keeps the local features of a photo."""
    return folder / "features" / photo_id[:2] / f"{photo_id}.npz"


def copy_path(folder: Path, photo_id: str) -> Path:
    """Return where a gallery keeps the small copy of a photo."""
    return folder / "photos" / photo_id[:2] / f"{photo_id}.jpg"


def small_copy(image: Image.Image) -> bytes:
    """Return a JPEG of at most 800 px a side that carries no metadata."""
    small = image
    if max(image.size) > COPY_SIDE_PX:
        small = image.copy()
        small.thumbnail((COPY_SIDE_PX, COPY_SIDE_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=COPY_QUALITY)
    return buffer.getvalue()


def write_files(folder: Path, prepared: Sequence[Prepared]) -> None:
    """Write the small copies and local features of photos into a gallery's folder.

    Raises:
        InputError: the disk is full, or the folder may not be written to.
    """
    for one in prepared:
        if one.kept:
            continue
        if one.copy:
            write_atomically(copy_path(folder, one.id), one.copy)
        if one.features is not None:
            write_atomically(features_path(folder, one.id), pack_features(one.features))


def stated(record: Record, country: str) -> dict[str, Any]:
    """Return what a record says of itself, as fields of a `GalleryPhoto`."""
    at = record.position
    return {
        "name": record.name,
        "latitude": round(at.latitude, _DIGITS),
        "longitude": round(at.longitude, _DIGITS),
        "accuracy_km": None if at.accuracy_km is None else round(at.accuracy_km, _DIGITS),
        "author": at.author,
        "date": at.date,
        "licence": at.licence,
        "source": at.source,
        "country": country,
        "stated_country": at.country,
        "region": at.region,
        "city": at.city,
    }


def _encoded(one: Prepared, country: str, row: dict[str, Vector] | str) -> Encoded | Rejected:
    if isinstance(row, str) or (row := unusable(vectors := row)):
        return Rejected(one.record.name, row)
    photo = GalleryPhoto(
        id=one.id,
        dhash=one.dhash,
        digest=vectors_digest(vectors),
        copy_sha256=hashlib.sha256(one.copy).hexdigest() if one.copy else "",
        **stated(one.record, country),
    )
    return photo, vectors


def unusable(row: Mapping[str, Vector]) -> str:
    """Return why a photo's or place's vectors cannot be searched, or nothing."""
    for space, vector in row.items():
        if not np.isfinite(vector).all():
            return f"its vector of space {space!r} is not finite; leave it out, or mend the encoder"
        if not vector.any():
            return f"the encoder sees nothing in it (space {space!r}); leave it out"
    return ""


def _groups(prepared: Sequence[Prepared]) -> Iterator[list[Prepared]]:
    """Yield consecutive photos whose pixels fit in memory together; the same groups each time."""
    group: list[Prepared] = []
    for one in prepared:
        if group and sum(p.pixels for p in group) + one.pixels > _GROUP_PIXELS:
            yield group
            group = []
        group.append(one)
    yield group


def _opened(one: Prepared) -> Image.Image:
    if isinstance(one.image, bytes):
        return open_photo(one.image).image
    assert one.image is not None
    return one.image


def encode_threads(encoder: Encoder) -> int:
    """Return how many threads encode at once, each computing alone.

    In a CPU's cores, threads that share one photo's products wait for each other more than
    threads that each have photos of their own.
    """
    device = getattr(encoder, "device", None)
    in_process = getattr(device, "type", "") == "cpu" or _embedded(encoder) is not None
    return max(1, os.cpu_count() or 1) if in_process else 1


def compute_alone() -> None:
    """Let this thread's torch, where there is one, compute without helpers."""
    import sys

    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
