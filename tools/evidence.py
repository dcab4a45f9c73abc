"""What tools say about location: pure data, no behaviour beyond validation and identity.

A tool never decides. It returns a short text for the driver and a `ToolOutcome` for the
trace; belief (`agent.belief`) is a pure function of the evidence gathered so far.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from geo.errors import GeolocationError

Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Share = Annotated[float, Field(ge=0, le=1)]
CandidateKind = Literal[
    "photo", "place", "cell", "model_answer", "claimed_position", "hint", "compared_place"
]
EvidenceKind = Literal["match", "text", "place", "metadata", "hint", "region", "model", "alignment"]


class ToolError(GeolocationError):
    """A tool refuses an argument; the message is for the driver: value, limit, what to do."""


class Record(BaseModel):
    """Base of the pure data passed between rooms: frozen, strict, no NaN, no unknown field."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def model_construct(  # type: ignore[override]  # pydantic's plugin gives it other names
        cls, _fields_set: set[str] | None = None, **values: Any
    ) -> Self:
        """Return a record from the shapes that JSON has, validated all the same.

        LangGraph's checkpoints bring back lists for tuples and dictionaries for records; its
        serializer comes here when strict validation has refused them.
        """
        return cls.model_validate_json(json.dumps(values))


class Box(Record):
    """A rectangle on the upright photo, in pixels: left, top, right, bottom (exclusive)."""

    left: int = Field(ge=0)
    top: int = Field(ge=0)
    right: int = Field(gt=0)
    bottom: int = Field(gt=0)


class Reach(Record):
    """How far the truth may lie from a candidate, with what probability."""

    radius_km: float = Field(gt=0)
    """Median distance."""
    share: Share


class Candidate(Record):
    """A coordinate that some tool proposes."""

    latitude: Latitude
    longitude: Longitude
    radius_km: float = Field(gt=0)
    """Distance that holds about half of the truths when this candidate is right."""
    score: Share
    """Share of its evidence's weight that this candidate carries."""
    rank: int = Field(ge=1)
    source: str
    """Where it comes from: `gallery:NAME`, `gazetteer`, `metadata`, `hint`, a model's name."""
    kind: CandidateKind
    label: str = ""
    """What a person would call it: a place name, a photo's title."""
    reference: str = ""
    """Identifier inside the source: gallery point id, GeoNames id."""
    country: str = ""
    """ISO 3166-1 alpha-2, upper case; empty at sea or where unknown."""
    reaches: tuple[Reach, ...] = ()
    """Where the distance to the truth spreads too widely for one radius: several, whose shares
    sum to 1; `radius_km` then sums them up for people."""


class Rejection(Record):
    """Something that was proposed and dropped, and why. Invalid is never replaced by zero."""

    value: str
    reason: str


class Picture(Record):
    """An image a tool made for people to look at, kept in the photo store under `photo_id`."""

    photo_id: str
    caption: str


Degrees = Annotated[float, Field(ge=-540, le=540)]
"""Longitude of a ring's vertex: past 180 where the ring crosses the antimeridian."""
Ring = tuple[tuple[Latitude, Degrees], ...]
Polygon = tuple[Ring, ...]
"""An outer ring, then its holes: latitude and longitude in degrees, the first vertex not repeated,
edges straight in latitude and longitude (RFC 7946)."""


class Area(Record):
    """Countries and polygons together, and whether the place is said to lie in them or not."""

    countries: tuple[str, ...] = ()
    """ISO 3166-1 alpha-2, sorted."""
    polygons: tuple[Polygon, ...] = ()
    """As `geo.rings.canonical` writes them."""
    inside: bool = True
    """False: the place is said to lie outside."""
    label: str
    """What a person calls it."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if any(len(code) != 2 or not code.isupper() for code in self.countries):
            raise ValueError(f"country codes must be two capitals, got {self.countries!r}")
        if list(self.countries) != sorted(set(self.countries)):
            raise ValueError(f"countries must be sorted and distinct, got {self.countries!r}")
        if not self.countries and not self.polygons:
            raise ValueError("an area without countries and polygons is nowhere; give one")
        return self


UNSAID = frozenset({"call_id", "box", "weight"})
"""Fields of evidence that are no part of what it says."""


class Evidence(Record):
    """What one tool call says about location.

    `candidates` and `countries` are alternatives within the evidence; either may be empty. An
    `area` says instead where the place lies or does not lie.
    """

    tool: str
    kind: EvidenceKind
    summary: str
    """One sentence a person can check, quoting text found in the photo as data."""
    candidates: tuple[Candidate, ...] = ()
    countries: dict[str, Share] = Field(default_factory=dict)
    """Probability by ISO 3166-1 alpha-2 code given this evidence alone; sums to at most 1."""
    area: Area | None = None
    """That the place lies inside or outside of something, in place of candidates and countries."""
    weight: Share
    """How often evidence of this kind is right; 0 shows it to people without any effect."""
    given_countries: tuple[str, ...] = ()
    """Countries that were presupposed: it says where inside them, not whether it is them."""
    group: str
    """Evidence of one group is dependent (same retrieval, same text) and not multiplied."""
    box: Box | None = None
    """Where in the photo it was read, if it comes from pixels."""
    call_id: str = ""
    """The tool call that produced it; filled in by the state machine."""

    @field_validator("countries")
    @classmethod
    def _countries_are_a_distribution(cls, countries: dict[str, float]) -> dict[str, float]:
        if any(len(code) != 2 or not code.isupper() for code in countries):
            raise ValueError(f"country codes must be two capitals, got {sorted(countries)!r}")
        if sum(countries.values()) > 1 + 1e-6:
            raise ValueError(f"country shares sum to {sum(countries.values()):.4f}, limit 1")
        return countries

    @model_validator(mode="after")
    def _areas_stand_alone(self) -> Self:
        if self.area is not None and (self.candidates or self.countries):
            raise ValueError("an area stands alone; put candidates and countries in other evidence")
        return self

    @cached_property  # asked for at every step, for every piece of evidence
    def id(self) -> str:
        """Short identity of what is said, whatever call said it and however it is weighed."""
        without = set(UNSAID) if self.area is not None else {*UNSAID, "area"}
        content = self.model_dump(mode="json", exclude=without)
        return short_id(content, prefix="e")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; what says something else has another identity."""
        copied = super().model_copy(update=update, deep=deep)
        if update and not update.keys() <= UNSAID:
            copied.__dict__.pop("id", None)
        return copied


class ToolOutcome(Record):
    """The structured half of a tool's result; it goes into the trace whole."""

    evidence: tuple[Evidence, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    pictures: tuple[Picture, ...] = ()
    data: dict[str, JsonValue] = Field(default_factory=dict)
    """Everything the tool found, as JSON, for people and programs that inspect the trace."""


ToolReply = tuple[str, ToolOutcome]
"""What every tool function returns (`response_format="content_and_artifact"`)."""


def short_id(content: Any, prefix: str) -> str:
    """Return `prefix` and ten hexadecimal digits of the SHA-256 of `content` as sorted JSON."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return prefix + hashlib.sha256(canonical.encode()).hexdigest()[:10]
