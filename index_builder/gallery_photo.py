"""A geotagged photo, place or cell as a gallery knows it, and as its store keeps it."""

import hashlib
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from index_builder.points import LOCATION, Payload, Vector

Rounded = Annotated[float, AfterValidator(lambda value: round(value, 9))]
"""To 0.1 mm: engines give numbers of more than 15 digits back a little off."""


class GalleryPhoto(BaseModel):
    """A geotagged photo, or a place or cell, as the gallery knows it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(pattern="^[0-9a-f]{64}$")
    """SHA-256 of the file's bytes; of the coordinate or the cell's token where there is none."""
    name: str
    """What its source calls it."""
    latitude: Rounded = Field(ge=-90, le=90)
    longitude: Rounded = Field(ge=-180, le=180)
    accuracy_km: Rounded | None = None
    """How well its owner knows the position; None where nobody said."""
    author: str = ""
    date: str = ""
    licence: str = ""
    source: str = ""
    country: str = ""
    """ISO 3166-1 alpha-2 by its position; empty at sea."""
    stated_country: str = ""
    """As the source writes it."""
    region: str = ""
    city: str = ""
    dhash: str = Field(default="", pattern="^([0-9a-f]{16})?$")
    """Difference hash of the pixels."""
    digest: str = ""
    """Of its vectors, to know damage by; see `vectors_digest`."""
    copy_sha256: str = ""
    """Of its small copy, where the gallery keeps one."""
    cell: str = ""
    """Token of the S2 cell it stands for, in a gallery of cells."""
    members: int = 0
    """Photos behind the cell's prototype."""
    aerial: bool = False
    """Whether the cell's code holds an aerial tile."""


class Hit(BaseModel):
    """A photo found by a search."""

    model_config = ConfigDict(frozen=True)

    photo: GalleryPhoto
    score: float
    """Cosine, or sum of cosines of the spaces searched."""


def vectors_digest(vectors: Mapping[str, Vector]) -> str:
    """Return 16 hexadecimal digits over the bits of a photo's vectors."""
    digest = hashlib.sha256()
    for space in sorted(vectors):
        digest.update(space.encode() + vectors[space].astype("<f4").tobytes())
    return digest.hexdigest()[:16]


def payload_of(photo: GalleryPhoto) -> Payload:
    """Return what the store keeps of a photo."""
    stated: Payload = photo.model_dump(mode="json")
    return stated | {LOCATION: {"lat": photo.latitude, "lon": photo.longitude}}


def photo_of(payload: Payload) -> GalleryPhoto:
    """Return the photo a stored payload describes."""
    return GalleryPhoto.model_validate({k: v for k, v in payload.items() if k != LOCATION})
