"""What the searches of photo galleries have in common: which galleries, and what came of each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

from encoders.photo_file import printable
from tools.evidence import Record, Rejection, ToolError, ToolOutcome, ToolReply

if TYPE_CHECKING:
    from index_builder.gallery import Gallery
    from index_builder.gallery_photo import Hit
    from tools.workbench import Workbench


def searchable(bench: "Workbench") -> list["Gallery"]:
    """Return the galleries that photos are searched in.

    Raises:
        ToolError: there is none.
    """
    found = [one for one in bench.galleries if one.manifest.kind != "cells"]
    if not found:
        raise ToolError("no gallery is open, 1 is needed; use other evidence, or ask for one")
    return found


def learned(gallery: "Gallery") -> dict[str, JsonValue]:
    """Return which encoder made a gallery, as JSON."""
    made = gallery.manifest.encoder
    return {"encoder": {"name": made.name, "fingerprint": made.fingerprint}}


def not_searched(gallery: "Gallery", error: Exception) -> ToolReply:
    """Return that a gallery was not searched and why, while others may have been."""
    rejected = Rejection(value=f"gallery {gallery.name}", reason=str(error))
    text = f"Gallery {gallery.name!r} was not searched: {error}"
    return text, ToolOutcome(rejected=(rejected,), data={"gallery": gallery.name})


def joined(outcomes: Sequence[ToolOutcome]) -> ToolOutcome:
    """Return the outcomes of several galleries as one, their data under `galleries`."""
    return ToolOutcome(
        evidence=tuple(e for o in outcomes for e in o.evidence),
        rejected=tuple(r for o in outcomes for r in o.rejected),
        pictures=tuple(p for o in outcomes for p in o.pictures),
        data={"galleries": [dict(o.data) for o in outcomes]},
    )


class FoundPhoto(Record):
    """A gallery photo as `data["galleries"][*]["hits"]` of the searches names it."""

    id: str
    name: str
    latitude: float
    longitude: float
    similarity: float
    """Cosine, or sum of cosines of the spaces searched."""
    country: str
    """ISO 3166-1 alpha-2; empty at sea."""


def hit_records(hits: "Sequence[Hit]") -> list[JsonValue]:
    """Return hits as JSON, in their order, each a `FoundPhoto`."""
    return [
        FoundPhoto(
            id=hit.photo.id,
            name=printable(hit.photo.name, 120),
            latitude=hit.photo.latitude,
            longitude=hit.photo.longitude,
            similarity=round(hit.score, 6),
            country=hit.photo.country,
        ).model_dump()
        for hit in hits
    ]
