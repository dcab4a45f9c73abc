"""What the searches of photo galleries have in common: which galleries, and what came of each."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError
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


def search_each(
    galleries: Sequence["Gallery"], search: Callable[["Gallery"], ToolReply]
) -> tuple[list[str], ToolOutcome]:
    """Search galleries; one that refuses or is not there silences no other.

    Returns:
        What was found in each, in words, and all of it as one outcome, its data under `galleries`.

    Raises:
        ToolError: no gallery can be searched so; the message is the first one's.
        InputError: likewise, because of the photo or of how the gallery was built.
        UnavailableError: likewise, because an encoder or a server is not there.
    """
    replies: list[ToolReply] = []
    failed: list[ToolError | InputError | UnavailableError] = []
    for gallery in galleries:
        try:
            replies.append(search(gallery))
        except (ToolError, InputError, UnavailableError) as error:
            failed.append(error)
            replies.append(_not_searched(gallery, error))
    if len(failed) == len(galleries):
        raise failed[0]
    return [text for text, _ in replies], _joined([outcome for _, outcome in replies])


def _not_searched(gallery: "Gallery", error: Exception) -> ToolReply:
    rejected = Rejection(value=f"gallery {gallery.name}", reason=str(error))
    text = f"Gallery {gallery.name!r} was not searched: {error}"
    return text, ToolOutcome(rejected=(rejected,), data={"gallery": gallery.name})


def _joined(outcomes: Sequence[ToolOutcome]) -> ToolOutcome:
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
