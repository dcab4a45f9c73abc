"""The `verify_locations` tool: which of some coordinates fits the photo best, to an encoder.

Alignment-space verification as in G3 (Jia et al., NeurIPS 2024, section 2.4): the cosine of the
photo with each candidate, and a softmax at the encoder's temperature over the list.

Published defect repaired: there, one coordinate that cannot be encoded (a latitude of 97, a
pole, a word) made its similarity NaN, and an argmax over NaN chooses exactly that candidate.
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
from typing import TYPE_CHECKING, Annotated

import numpy as np
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema

from encoders.base import Points, Vectors, alignment_scores
from encoders.photo_file import printable
from tools.arguments import PHOTO_ID, PLAIN, PhotoId
from tools.evidence import Candidate, Evidence, Rejection, ToolError, ToolOutcome, ToolReply
from tools.nearby import COSINE_DIGITS, POINTS, Nearby, best_nearby
from tools.places import SOURCE, evidence_group

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
SAME_DIGITS = 5
"""Coordinates closer than 1e-5 degree, a metre, are one candidate."""
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

Loose = Annotated[
    JsonValue, WithJsonSchema({"type": "number", "description": "Decimal degrees, WGS84."})
]
"""Taken as it comes: what is no number drops one candidate, not the whole call."""


def _one_line(label: object) -> object:
    """Escape control characters of a label: it says what to call a place, and decides nothing."""
    plain = isinstance(label, str) and not label.isprintable()
    return printable(str(label), 200) if plain else label


class ProposedPlace(BaseModel):
    """One coordinate given to `verify_locations`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    latitude: Loose
    longitude: Loose
    label: Annotated[str, BeforeValidator(_one_line)] = Field(
        default="", max_length=200, pattern=PLAIN, description="What to call it."
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
        return _reply(encoder.card, verified, rejected, nearby)

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
    """
    labels, rejected = distinct_places(candidates)
    if not labels:
        return [], rejected
    points: Points = np.array(sorted(labels), dtype=np.float64)
    locations = encoder.encode_locations(points)
    card = encoder.card
    cosines = alignment_scores(card, {card.alignment: vector[None]}, locations)[0]
    known = locations[card.alignment].any(axis=1)
    rejected += [
        Rejection(value=_shown(*point), reason="the encoder knows nothing of that place")
        for point in points[~known].tolist()
    ]
    rounded = np.round(cosines[known].astype(np.float64), COSINE_DIGITS)
    shares = softmax(card.temperature * rounded)
    verified = [
        Verified(latitude, longitude, labels[latitude, longitude], float(cosine), float(share))
        for (latitude, longitude), cosine, share in zip(
            points[known].tolist(), rounded, shares, strict=True
        )
    ]
    return sorted(verified, key=lambda v: (-v.cosine, v.latitude, v.longitude)), rejected


def softmax(logits: Points) -> Points:
    """Return shares that sum to 1, `[N]`, finite for every finite input; empty for none."""
    if not len(logits):
        return logits
    powers: Points = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), dtype=np.float64)


def distinct_places(
    candidates: Sequence[ProposedPlace],
) -> tuple[dict[tuple[float, float], str], list[Rejection]]:
    """Return the label of each distinct place among candidates, and why others were dropped.

    Longitudes come out in [-180, 180); a place named twice keeps the first label in the alphabet.
    """
    labels: dict[tuple[float, float], str] = {}
    rejected: dict[tuple[str, str], Rejection] = {}
    for one in candidates:
        place = _place(one.latitude, one.longitude)
        if isinstance(place, str):
            value = f"{one.label!r} {_written(one.latitude)}, {_written(one.longitude)}"
            rejected[value, place] = Rejection(value=value, reason=place)
        else:
            held = labels.get(place, one.label)
            labels[place] = min(filter(None, (held, one.label)), default="")
    return labels, [rejected[key] for key in sorted(rejected)]


def _place(latitude: JsonValue, longitude: JsonValue) -> tuple[float, float] | str:
    """Return the coordinate, or why it is none."""
    from geo.sphere import wrap_longitude

    for name, value, limit in (("latitude", latitude, 90), ("longitude", longitude, 360)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{name} is no number"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name} is not finite"
        if abs(value) > limit:
            return f"{name} is outside -{limit} to {limit} degrees"
    assert isinstance(latitude, int | float)
    assert isinstance(longitude, int | float)
    if latitude == 0 and longitude == 0:
        return "0, 0 is how a missing position is written"
    turned = float(wrap_longitude(round(float(longitude), SAME_DIGITS)))
    # Adding zero makes -0.0 the same key as 0.0.
    return round(float(latitude), SAME_DIGITS) + 0.0, round(turned, SAME_DIGITS) + 0.0


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

    told = [one for one in verified if one.share >= LEAST_SHARE]
    best = told[0]
    countries = country_at([[one.latitude, one.longitude] for one in told])
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
        for rank, (one, country) in enumerate(zip(told, countries, strict=True), start=1)
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


def _written(value: JsonValue) -> str:
    """Return what was given as text; Python writes no integer of thousands of digits."""
    if isinstance(value, int) and abs(value) > 1_000_000:
        return f"a number of {value.bit_length()} bits"
    return repr(value)[:60]


def _shown(latitude: float, longitude: float) -> str:
    return f"{latitude:.5f}, {longitude:.5f}"
