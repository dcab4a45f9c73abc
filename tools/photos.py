"""The photo tools: `read_metadata` here, `zoom` and the store beside it, one door for all.

Knows how claims of a file become evidence without ever mixing with what we infer.
"""

from typing import TYPE_CHECKING

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field

from index_builder.metadata import ClaimedPosition
from tools.evidence import Candidate, Evidence, Rejection, ToolOutcome, ToolReply
from tools.photo_store import Photo, PhotoStore
from tools.zoom import make_zoom

if TYPE_CHECKING:  # the workbench holds a store from here
    from tools.workbench import Workbench

__all__ = ["Photo", "PhotoStore", "make_read_metadata", "make_zoom", "metadata_evidence"]

TRUSTED_WEIGHT = 0.9
"""How often a position in metadata is right: edited and stale ones are the rest."""

_DEFAULT_RADIUS_KM = {"exif": 0.05, "xmp": 0.05, "file name": 0.2}
_MIN_RADIUS_KM = 0.005
_SAME_CLAIM_KM = 0.1

DESCRIPTION = (
    "Read what a photo's metadata claims: time taken, camera, and whether it claims a position. "
    "Claims may be wrong or forged. The position itself is withheld unless the user chose to "
    "trust metadata; never guess it from this."
)


class ReadMetadataArguments(BaseModel):
    """Arguments of `read_metadata`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    photo_id: str = Field(
        description="Id of the photo, or its first 8 digits or more", min_length=8, max_length=64
    )


def make_read_metadata(bench: "Workbench", trusted: bool = False) -> BaseTool:
    """Return the `read_metadata` tool.

    Args:
        bench: holds the photo store.
        trusted: whether the user asked to use claimed positions; only then does the driver
            see them and have they any weight.
    """

    def read_metadata(photo_id: str) -> ToolReply:
        photo = bench.photos.get(photo_id)
        evidence = metadata_evidence(photo, trusted)
        outcome = ToolOutcome(
            evidence=() if evidence is None else (evidence,),
            rejected=tuple(
                Rejection(value=claim.value, reason=claim.reason)
                for claim in photo.claimed.rejected
            ),
            data={
                "photo_id": photo.id,
                "trusted": trusted,
                "claimed": photo.claimed.model_dump(mode="json"),
            },
        )
        return _text(photo, trusted), outcome

    return StructuredTool.from_function(
        read_metadata,
        name="read_metadata",
        description=DESCRIPTION,
        args_schema=ReadMetadataArguments,
        response_format="content_and_artifact",
    )


def metadata_evidence(photo: Photo, trusted: bool) -> Evidence | None:
    """Return the positions a photo claims as evidence; None where it claims none.

    Args:
        photo: its record.
        trusted: whether the user asked to use them; the weight is 0 otherwise, which shows
            them to people without any effect.

    Returns:
        Evidence whose candidates share the weight evenly where the claims contradict each other.
    """
    claims = _distinct(photo.claimed.positions)
    if not claims:
        return None
    candidates = tuple(
        Candidate(
            latitude=claim.latitude,
            longitude=claim.longitude,
            radius_km=_radius_km(claim),
            score=1 / len(claims),
            rank=rank,
            source="metadata",
            kind="claimed_position",
            label=f"claimed by {claim.source}",
            reference=photo.id,
        )
        for rank, claim in enumerate(claims, start=1)
    )
    return Evidence(
        tool="read_metadata",
        kind="metadata",
        summary=_summary(photo.id, claims),
        candidates=candidates,
        weight=TRUSTED_WEIGHT if trusted else 0.0,
        group=f"metadata:{photo.id}",
    )


def _distinct(positions: tuple[ClaimedPosition, ...]) -> list[ClaimedPosition]:
    """Drop repetitions: XMP and file names mostly repeat what EXIF says."""
    from geo.sphere import distance_km  # loads pyproj

    kept: list[ClaimedPosition] = []
    for position in positions:
        near = (
            float(distance_km(position.latitude, position.longitude, one.latitude, one.longitude))
            for one in kept
        )
        if all(distance > _SAME_CLAIM_KM for distance in near):
            kept.append(position)
    return kept


def _radius_km(claim: ClaimedPosition) -> float:
    if claim.accuracy_m is None:
        return _DEFAULT_RADIUS_KM[claim.source]
    return max(claim.accuracy_m / 1000, _MIN_RADIUS_KM)


def _summary(photo_id: str, claims: list[ClaimedPosition]) -> str:
    shown = "; ".join(
        f"{claim.latitude:.5f}, {claim.longitude:.5f} ({claim.source})" for claim in claims
    )
    return f"The file of photo {photo_id[:12]} itself claims {shown}."


def _text(photo: Photo, trusted: bool) -> str:
    """Return the words for the driver; author and copyright stay out, they tell places too."""
    claimed = photo.claimed
    facts = {
        "taken": claimed.taken,
        "camera": " ".join(filter(None, (claimed.camera_make, claimed.camera_model))) or None,
    }
    lines = [f'{name}: "{value}"' for name, value in facts.items() if value] or [
        "no date, no camera"
    ]
    evidence = metadata_evidence(photo, trusted)
    if evidence is None:
        lines.append("position: none claimed")
    elif trusted:
        lines.append(evidence.summary)
    else:
        lines.append("position: claimed but withheld, metadata is not trusted")
    if claimed.rejected:
        lines.append(f"{len(claimed.rejected)} claim(s) dropped as invalid")
    return "Claims of the file, unverified: " + "; ".join(lines)
