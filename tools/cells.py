"""The `search_cells` tool: which cells of the ground look like this photo.

The photo's vector is compared with the codes of galleries of cells (`index_builder.cells`). A hit
is a candidate whose uncertainty is the cell itself: `radius_km` holds half of its area around the
centre, and the corners are in the outcome's data as a GeoJSON ring. Belief knows circles; it takes
the radius, whose heavy tail also reaches the neighbours. No hit is merged with its neighbours
unless that is asked for: then hits of one parent cell are one candidate, the parent.

What a hit is worth was never measured for the cells a user makes. The weight is that of any
search nobody measured, and shares are a softmax over the hits alone, at a stated temperature:
they compare the hits with each other and say nothing of cells that no gallery has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from geo.cells import CellIds, centres, from_tokens, levels, parents, tokens
from geo.errors import InputError, UnavailableError
from tools.cell_shapes import half_area_radius_km, ring_of
from tools.evidence import Candidate, Evidence, Rejection, ToolError, ToolOutcome, ToolReply
from tools.places import UNMEASURED_WEIGHT, evidence_group, place_name

if TYPE_CHECKING:
    from encoders.base import Encoder, EncoderCard
    from index_builder.gallery import Gallery
    from index_builder.gallery_photo import Hit
    from index_builder.points import Vector
    from tools.workbench import Workbench

HITS = 50
"""Cells that shares are taken over; of unlike cells each has next to none."""
CANDIDATES = 8
CELL_WEIGHT = UNMEASURED_WEIGHT
TEMPERATURE = 1 / 0.07
"""Factor on cosines where the encoder trained none for the gallery's space."""
DESCRIPTION = (
    "Compare the photo with cells of the ground, some hundred metres wide, of the user's "
    "galleries of cells. Returns the cells that look most alike, with their shares among the "
    "hits. How often they are right was never measured: use them to choose where to look closer, "
    "and prefer text and verified matches where they disagree."
)


class CellsArguments(BaseModel):
    """Arguments of `search_cells`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    photo_id: str = Field(
        description="Id of the photo, or its first 8 digits or more", min_length=8, max_length=64
    )
    limit: int = Field(
        default=CANDIDATES, description="How many cells to return at most, per gallery", ge=1, le=50
    )
    merge_siblings: bool = Field(
        default=False, description="Join hits that share a parent cell into one, the parent"
    )


@dataclass(frozen=True)
class FoundCell:
    """A cell found, or the parent of several.

    Attributes:
        cell: number of the cell.
        cosine: of the best hit in it.
        share: of all hits in it.
        hits: the tokens of those.
        members: photos behind the best hit's prototype.
        aerial: whether a hit's code holds an aerial tile.
    """

    cell: int
    cosine: float
    share: float
    hits: tuple[str, ...]
    members: int
    aerial: bool


def make_search_cells(bench: "Workbench") -> BaseTool:
    """Return the `search_cells` tool over the galleries of cells of `bench`."""

    def search_cells(
        photo_id: str, limit: int = CANDIDATES, merge_siblings: bool = False
    ) -> ToolReply:
        galleries = [one for one in bench.galleries if one.manifest.kind == "cells"]
        if not galleries:
            raise ToolError(
                "no gallery of cells is open, 1 is needed; use other evidence, or ask for one "
                "(graticule gallery cells GALLERY --out CELLS)"
            )
        replies: list[ToolReply] = []
        failed: list[InputError | UnavailableError] = []
        photo = bench.photos.get(photo_id)  # an unknown photo is no gallery's fault
        for gallery in galleries:
            try:
                replies.append(_searched(bench, gallery, photo.id, limit, merge_siblings))
            except (InputError, UnavailableError) as error:
                failed.append(error)
                replies.append(_not_searched(gallery, error))
        if len(failed) == len(galleries):
            raise failed[0]
        return "\n".join(text for text, _ in replies), _joined([one for _, one in replies])

    return StructuredTool.from_function(
        search_cells,
        name="search_cells",
        description=DESCRIPTION,
        args_schema=CellsArguments,
        response_format="content_and_artifact",
    )


def _searched(
    bench: "Workbench", gallery: "Gallery", photo_id: str, limit: int, merge: bool
) -> ToolReply:
    """Search one gallery.

    Raises:
        InputError: another encoder made it than the one its manifest names.
        UnavailableError: that encoder or its tower is not there.
    """
    from index_builder.cell_tree import search_cells

    encoder: Encoder = gallery.codebook_encoder or bench.encoder_of(gallery)
    vector = _vector(bench, gallery, photo_id)
    if not vector.any():
        text = f"Gallery {gallery.name!r}: its encoder sees nothing in this photo."
        return text, ToolOutcome(data={"gallery": gallery.name})
    hits = search_cells(gallery, vector, HITS)
    temperature = temperature_of(encoder.card, gallery)
    level = int(str(gallery.manifest.settings["prototype_level"])) if merge else None
    found = found_cells(hits, temperature, level)[:limit]
    return _reply(bench, gallery, encoder.card, found, temperature, len(hits), level)


def _vector(bench: "Workbench", gallery: "Gallery", photo_id: str) -> "Vector":
    """Return the photo's vector in the one space of a gallery of cells."""
    (space,) = gallery.manifest.encoder.spaces
    if gallery.codebook_encoder is not None:
        image = bench.photos.image(photo_id)
        own: Vector = gallery.codebook_encoder.encode_images([image])[space][0]
        return own
    return bench.photo_vectors(photo_id, bench.encoder_of(gallery))[space]


def temperature_of(card: "EncoderCard", gallery: "Gallery") -> float:
    """Return the factor on cosines: the encoder's own where it trained one for this space."""
    (space,) = gallery.manifest.encoder.spaces
    return card.temperature if card.alignment == space else TEMPERATURE


def found_cells(
    hits: "Sequence[Hit]", temperature: float, parent_level: int | None = None
) -> list[FoundCell]:
    """Return hits with their shares, the largest first.

    Args:
        hits: of a search of cells, best first, 1 or more.
        temperature: factor on cosines before the softmax over the hits.
        parent_level: hits of one parent of this level are one, the parent; None keeps them apart.
            A parent with a single hit stays that hit.
    """
    cosines = np.array([hit.score for hit in hits], np.float64)
    powers = np.exp(temperature * (cosines - cosines.max()))
    shares = powers / powers.sum()
    cells = from_tokens([hit.photo.cell for hit in hits])
    groups = cells if parent_level is None else _parents(cells, parent_level)
    found = []
    for group in dict.fromkeys(groups.tolist()):
        rows = np.flatnonzero(groups == group).tolist()
        best = hits[rows[0]]
        found.append(
            FoundCell(
                cell=int(group if len(rows) > 1 else cells[rows[0]]),
                cosine=best.score,
                share=min(1.0, float(shares[rows].sum())),
                hits=tuple(hits[row].photo.cell for row in rows),
                members=best.photo.members,
                aerial=any(hits[row].photo.aerial for row in rows),
            )
        )
    return sorted(found, key=lambda one: (-one.share, one.cell))


def _parents(cells: CellIds, level: int) -> CellIds:
    """Cells' parents; a cell that is as coarse is its own."""
    fine = levels(cells) >= level
    found = cells.copy()
    found[fine] = parents(cells[fine], level)
    return found


def _reply(
    bench: "Workbench",
    gallery: "Gallery",
    card: "EncoderCard",
    found: Sequence[FoundCell],
    temperature: float,
    hits: int,
    level: int | None,
) -> ToolReply:
    candidates = _candidates(bench, gallery, found)
    best = candidates[0]
    evidence = Evidence(
        tool="search_cells",
        kind="alignment",
        summary=f"Of {len(gallery):,} cells of gallery {gallery.name!r}, encoder {card.name} finds "
        f"none more like the photo than {best.label} ({best.latitude:.4f}, {best.longitude:.4f}), "
        f"share {found[0].share:.1%} of {hits} hits. How often this gallery is right was never "
        "measured.",
        candidates=candidates,
        # Likeness by the encoder `embedded` says nothing of places: shown, without any effect.
        weight=0.0 if gallery.codebook_encoder else CELL_WEIGHT,
        group=evidence_group(card),
    )
    lines = [
        f"{place.rank}. {place.label}: {place.latitude:.5f}, {place.longitude:.5f}, share "
        f"{one.share:.1%}, cosine {one.cosine:.3f}, half within {place.radius_km:.2g} km "
        f"({_behind(one)})"
        for place, one in zip(candidates, found, strict=True)
    ]
    joined = "hits of one parent are joined" if level is not None else "none are joined"
    head = (
        f"Gallery {gallery.name!r}: {len(found)} of {len(gallery):,} cells, the most alike first; "
        f"shares of the best {hits} at temperature {temperature:.4g}, {joined}:"
    )
    data: dict[str, JsonValue] = {
        "gallery": gallery.name,
        "encoder": {"name": card.name, "fingerprint": card.fingerprint},
        "cells": len(gallery),
        "temperature": round(temperature, 4),
        "shares_over": hits,
        "merged_by_parents_of_level": level,
        "candidates": [
            _described(one, place) for one, place in zip(found, candidates, strict=True)
        ],
    }
    text = "\n".join([head, *lines, f"Evidence {evidence.id}, weight {evidence.weight:g}."])
    return text, ToolOutcome(evidence=(evidence,), data=data)


def _behind(one: FoundCell) -> str:
    photos = f"{one.members} photo{'' if one.members == 1 else 's'}" if one.members else "no photo"
    return f"{photos}{' and an aerial tile' if one.aerial else ''}"


def _candidates(
    bench: "Workbench", gallery: "Gallery", found: Sequence[FoundCell]
) -> tuple[Candidate, ...]:
    from geo.regions import country_at

    cells = np.array([one.cell for one in found], np.uint64)
    points, total = centres(cells), sum(one.share for one in found)
    named = zip(points, tokens(cells), country_at(points), found, strict=True)
    return tuple(
        Candidate(
            latitude=float(point[0]),
            longitude=float(point[1]),
            radius_km=half_area_radius_km(one.cell),
            score=one.share / total if total else 1 / len(found),
            rank=rank,
            source=f"gallery:{gallery.name}",
            kind="cell",
            label=f"cell {token} {place_name(bench, float(point[0]), float(point[1]), country)}",
            reference=token,
            country=country,
        )
        for rank, (point, token, country, one) in enumerate(named, start=1)
    )


def _described(one: FoundCell, place: Candidate) -> dict[str, JsonValue]:
    return {
        "cell": place.reference,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "radius_km": round(place.radius_km, 6),
        "polygon": {"type": "Polygon", "coordinates": [ring_of(one.cell)]},
        "cosine": round(one.cosine, 6),
        "share": round(one.share, 6),
        "hits": list(one.hits),
        "photos": one.members,
        "aerial": one.aerial,
    }


def _not_searched(gallery: "Gallery", error: InputError | UnavailableError) -> ToolReply:
    rejected = Rejection(value=f"gallery {gallery.name}", reason=str(error))
    text = f"Gallery {gallery.name!r} was not searched: {error}"
    return text, ToolOutcome(rejected=(rejected,), data={"gallery": gallery.name})


def _joined(outcomes: Sequence[ToolOutcome]) -> ToolOutcome:
    return ToolOutcome(
        evidence=tuple(one for outcome in outcomes for one in outcome.evidence),
        rejected=tuple(one for outcome in outcomes for one in outcome.rejected),
        data={"galleries": [dict(outcome.data) for outcome in outcomes]},
    )
