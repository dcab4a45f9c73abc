"""The `verify_locations` tool: which of some coordinates fits the photo best, to an encoder.

Alignment-space verification as in G3 (Jia et al., NeurIPS 2024, section 2.4): the cosine of the
photo with each candidate, and a softmax at the encoder's temperature over the list.

Published defect repaired: there, one coordinate that cannot be encoded (a latitude of 97) made
its similarity NaN, an argmax over NaN chose exactly that candidate, and a word became (0, 0).
Here whatever is no place is dropped with its reason before anything is compared.

A comparison among given coordinates says which of their regions fits, not how precise they are,
nor that any of them is right. So its evidence reaches `REGION_KM`, weighs less than half, and is
of the group of the encoder's search: the two are averaged, never multiplied. Points around the
best candidates can be scored too (`tools.nearby`); they are shown, and are no candidates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from encoders.base import Points, Vectors
from geo.errors import InputError
from tools.alignment import score_locations
from tools.arguments import PHOTO_ID, PhotoId
from tools.evidence import Candidate, Evidence, Rejection, ToolError, ToolOutcome, ToolReply
from tools.nearby import POINTS, Nearby, best_nearby
from tools.places import SOURCE, evidence_group
from tools.proposed import ProposedPlace as ProposedPlace
from tools.proposed import distinct_places, told

if TYPE_CHECKING:
    from encoders.base import AlignedEncoder, EncoderCard
    from tools.workbench import Workbench

REGION_KM = 200.0
VERIFY_WEIGHT = 0.4
UNMEASURED_WEIGHT = 0.1
"""With weights that no publication measured: a choice of caution, as in `tools.places`."""
LEAST_SHARE = 0.01
"""A candidate with less is in the reply and the trace, but is no candidate of the evidence."""
MAXIMUM_CANDIDATES = 100
UNKNOWN = "the encoder knows nothing of that place"
BROKEN = "the encoder gives no unit vector for that place; its weights may be damaged"
NEARBY_CANDIDATES = 3
"""Of the best candidates, around which points are scored where that is asked for."""
NEARBY_KM = 200
DESCRIPTION = (
    "Compare the photo with coordinates that are candidates already, by an encoder that aligns "
    "photos with places, and share out probability among them. It says which of them fits best, "
    "not that any of them is right; it is no second opinion on search_places, which rests on the "
    "same encoder. With nearby_km it also names the best point around each of the best "
    f"{NEARBY_CANDIDATES}, of {POINTS} points on rings: a hint where to look, no evidence."
)


class VerifyArguments(BaseModel):
    """Arguments of `verify_locations`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    photo_id: PhotoId = Field(description=PHOTO_ID)
    candidates: list[ProposedPlace] = Field(
        min_length=1,
        max_length=MAXIMUM_CANDIDATES,
        description="Coordinates to compare the photo with.",
    )
    nearby_km: float = Field(
        default=0.0,
        ge=0,
        le=NEARBY_KM,
        description="Also score points up to so many km around the best candidates; 0 for none.",
    )


@dataclass(frozen=True)
class Verified:
    """One candidate that could be compared."""

    latitude: float
    longitude: float
    label: str
    cosine: float
    share: float
    """Softmax at the encoder's temperature over the candidates compared."""


def make_verify_locations(bench: "Workbench") -> BaseTool:
    """Return the `verify_locations` tool with the encoder of `bench`."""

    def verify_locations(
        photo_id: str, candidates: list[ProposedPlace], nearby_km: float = 0.0
    ) -> ToolReply:
        encoder = bench.encoder
        if encoder is None:
            raise ToolError("no encoder aligns photos with places, 1 is needed; use other evidence")
        vector = bench.photo_vector(photo_id)
        if not vector.any():
            return "The encoder sees nothing in this photo; nothing to compare.", ToolOutcome()
        verified, rejected = compare(encoder, vector, candidates)
        asked = verified[:NEARBY_CANDIDATES] if nearby_km else []
        around = [(one.latitude, one.longitude) for one in asked]
        nearby = best_nearby(encoder, vector, around, nearby_km)
        text, outcome = _reply(encoder.card, verified, rejected, nearby)
        if len(verified) == len(candidates):
            return text, outcome
        left_out = sum(one.reason in (UNKNOWN, BROKEN) for one in rejected)
        return f"{text}\n{told(candidates, len(verified), left_out)}", outcome

    return StructuredTool.from_function(
        verify_locations,
        name="verify_locations",
        description=DESCRIPTION,
        args_schema=VerifyArguments,
        response_format="content_and_artifact",
    )


def compare(
    encoder: "AlignedEncoder", vector: Vectors, candidates: Sequence[ProposedPlace]
) -> tuple[list[Verified], list[Rejection]]:
    """Compare a photo's vector `[D]` with candidates; neither order nor repetition matters.

    Returns:
        The candidates that are places, the best first, and why each other was dropped.

    Raises:
        InputError: the photo's vector or the encoder's temperature is no number to compare by.
        UnavailableError: the encoder gave other rows than one for each place.
    """
    labels, rejected = distinct_places(candidates)
    if not labels:
        return [], rejected
    points: Points = np.array(sorted(labels), dtype=np.float64)
    found = score_locations(encoder, vector, points)
    for these, reason in ((found.broken, BROKEN), (~found.known & ~found.broken, UNKNOWN)):
        rejected += [Rejection(value=_shown(*one), reason=reason) for one in points[these].tolist()]
    cosines = found.cosines[found.known]
    verified = [
        Verified(latitude, longitude, labels[latitude, longitude], float(cosine), float(share))
        for (latitude, longitude), cosine, share in zip(
            points[found.known].tolist(),
            cosines,
            softmax(_temperature(encoder.card) * cosines),
            strict=True,
        )
    ]
    return sorted(verified, key=lambda v: (-v.cosine, v.latitude, v.longitude)), rejected


def _temperature(card: "EncoderCard") -> float:
    if not (math.isfinite(card.temperature) and card.temperature > 0):
        raise InputError(
            f"encoder {card.name!r} has temperature {card.temperature}, a number above 0 is "
            "needed; get its weights again"
        )
    return card.temperature


def softmax(logits: Points) -> Points:
    """Return shares that sum to 1, `[N]`, finite for every finite input; empty for none."""
    if not len(logits):
        return logits
    with np.errstate(over="ignore"):  # of a difference: its power is then 0
        powers: Points = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), dtype=np.float64)


def _reply(
    card: "EncoderCard",
    verified: Sequence[Verified],
    rejected: Sequence[Rejection],
    nearby: Sequence[Nearby | None] = (),
) -> ToolReply:
    data: dict[str, JsonValue] = {
        "encoder": {"name": card.name, "fingerprint": card.fingerprint},
        "temperature": card.temperature,
        "candidates": [
            _record(one) | ({"nearby": point.record(one.cosine)} if point else {})
            for one, point in zip_longest(verified, nearby)
        ],
    }
    dropped = [f"dropped {one.value}: {one.reason}" for one in rejected]
    if not verified:
        text = "\n".join(["No candidate can be compared.", *dropped])
        return text, ToolOutcome(rejected=tuple(rejected), data=data)
    lines = [
        f"{rank}. {one.label!r} ({one.latitude:.4f}, {one.longitude:.4f}): "
        f"cosine {one.cosine:.3f}, {one.share:.1%} of the list"
        + (f"; {point.words(one.cosine)}" if point else "")
        for rank, (one, point) in enumerate(zip_longest(verified, nearby), start=1)
    ]
    evidence = _evidence(card, verified) if len(verified) > 1 else ()
    lines += dropped
    lines += [f"Evidence {item.id}, weight {item.weight:g}." for item in evidence] or [
        "No evidence: one candidate alone is compared with nothing."
    ]
    outcome = ToolOutcome(evidence=evidence, rejected=tuple(rejected), data=data)
    return "\n".join(lines), outcome


def _evidence(card: "EncoderCard", verified: Sequence[Verified]) -> tuple[Evidence, ...]:
    from geo.regions import country_at

    likely = [one for one in verified if one.share >= LEAST_SHARE] or verified[:1]
    best = likely[0]
    countries = country_at([[one.latitude, one.longitude] for one in likely])
    candidates = tuple(
        Candidate(
            latitude=one.latitude,
            longitude=one.longitude,
            radius_km=REGION_KM,
            score=one.share,
            rank=rank,
            source=SOURCE,
            kind="compared_place",
            label=one.label,
            country=country,
        )
        for rank, (one, country) in enumerate(zip(likely, countries, strict=True), start=1)
    )
    name = f"{best.label!r} at " if best.label else ""
    fits = f"{name}{best.latitude:.3f}, {best.longitude:.3f} fits best"
    evidence = Evidence(
        tool="verify_locations",
        kind="alignment",
        summary=f"Of {len(verified)} candidates compared with the photo by encoder {card.name}, "
        f"{fits} ({best.share:.0%} of the list).",
        candidates=candidates,
        weight=VERIFY_WEIGHT if card.published else UNMEASURED_WEIGHT,
        group=evidence_group(card),
    )
    return (evidence,)


def _record(one: Verified) -> dict[str, JsonValue]:
    return {
        "latitude": one.latitude,
        "longitude": one.longitude,
        "label": one.label,
        "cosine": one.cosine,
        "share": round(one.share, 6),
    }


def _shown(latitude: float, longitude: float) -> str:
    return f"{latitude:.5f}, {longitude:.5f}"
