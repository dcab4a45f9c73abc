"""The `find_related_places` tool: where things stand beside each other as on the photo.

"A church within 200 m of a level crossing in this region": asked of an Overpass server over
OpenStreetMap, where the settings name one. What is found fits a pattern, and patterns repeat;
what is mapped badly is not found at all. `WEIGHT` is a choice of caution, not a figure, and a
pattern that more places have than are listed is no evidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from geo.overpass import (
    ATTRIBUTION,
    Box,
    Circle,
    Country,
    Found,
    MapObject,
    Overpass,
    Region,
    Tags,
    relation_query,
)
from tools.evidence import (
    Candidate,
    Evidence,
    Latitude,
    Longitude,
    ToolError,
    ToolOutcome,
    ToolReply,
)
from tools.related_kinds import TAGS, Kind

if TYPE_CHECKING:
    from tools.workbench import Workbench

WEIGHT = 0.2
"""How often the photo's place is taken to be among those that have the pattern."""
NEAR_KM = 0.25
"""Photos show a thing from about this far; what stands beside it adds half its distance."""
MAX_BOX_KM2 = 50_000.0
"""Of a rectangle: somewhat more than the largest circle, of 100 km."""
SHOWN = 10
"""Places that the text lists; `data` has all that were returned."""

DESCRIPTION = (
    "Ask OpenStreetMap for places in a region where 1 to 3 things stand near each other, such as "
    "a church within 200 m of a level crossing. The first feature is the one returned. Give a "
    "kind, or a tag by key and value; and one region: a circle (up to 100 km), a box (up to "
    "50,000 square km) or a country. Evidence only where no more places fit than limit; the region "
    "is presupposed by you, the result says nothing for it."
)


class Feature(BaseModel):
    """One thing that stands there."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    kind: Kind | None = Field(default=None, description="A common thing by name")
    key: str | None = Field(
        default=None,
        description="Key of an OpenStreetMap tag, in place of kind, with value",
        pattern=r"^[a-z_:]{1,40}$",
        max_length=40,
    )
    value: str | None = Field(
        default=None,
        description="Its value, such as key man_made with value lighthouse",
        pattern=r"^[\w:.\- ]{1,60}$",
        max_length=60,
    )


class CircleRegion(BaseModel):
    """A circle."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    latitude: Latitude = Field(description="Degrees WGS84, north positive.")
    longitude: Longitude = Field(description="Degrees WGS84, east positive.")
    radius_km: float = Field(description="Radius, km", ge=0.1, le=100)


class BoxRegion(BaseModel):
    """A rectangle of latitude and longitude."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    south: Latitude = Field(description="Degrees")
    west: Longitude = Field(description="Degrees; west > east crosses 180 degrees")
    north: Latitude = Field(description="Degrees")
    east: Longitude = Field(description="Degrees")


CountryCode = Annotated[str, Field(pattern="^[A-Z]{2}$", max_length=2)]


class RelatedArguments(BaseModel):
    """Arguments of `find_related_places`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    features: list[Feature] = Field(
        description="The thing sought first, then what stands near it", min_length=1, max_length=3
    )
    within_m: float = Field(
        default=200.0, description="How near the others are to the first, metres", ge=10, le=5000
    )
    circle: CircleRegion | None = Field(default=None, description="Region: a circle")
    box: BoxRegion | None = Field(default=None, description="Region: a rectangle")
    country: CountryCode | None = Field(
        default=None,
        description="Region: ISO 3166-1 alpha-2 code; large countries may take too long",
    )
    limit: int = Field(default=20, description="Most places returned", ge=1, le=50)


@dataclass(frozen=True)
class _Asked:
    """What was asked, in words and as query."""

    tags: tuple[Tags, ...]
    within_m: float
    region: Region
    limit: int

    def text(self) -> str:
        things = [" with ".join(f"{k}={v}" for k, v in tags) for tags in self.tags]
        beside = " and ".join(things[1:])
        near = f" within {self.within_m:g} m of {beside}" if beside else ""
        return f"{things[0]}{near} in {_region_text(self.region)}"


def make_find_related_places(bench: "Workbench", overpass: Overpass) -> BaseTool:
    """Make the tool that asks `overpass` for places that have a pattern."""

    def find_related_places(
        features: Sequence[Feature],
        within_m: float = 200.0,
        circle: CircleRegion | None = None,
        box: BoxRegion | None = None,
        country: str | None = None,
        limit: int = 20,
    ) -> ToolReply:
        tags = tuple(_tags(feature) for feature in features)
        asked = _Asked(tags, within_m, _region(circle, box, country), limit)
        query = relation_query(asked.tags, asked.within_m, asked.region, asked.limit)
        return _reply(asked, overpass.ask(query), query)

    return StructuredTool.from_function(
        find_related_places,
        name="find_related_places",
        description=DESCRIPTION,
        args_schema=RelatedArguments,
        response_format="content_and_artifact",
    )


def _reply(asked: _Asked, found: Found, query: str) -> ToolReply:
    """Return what was found, as evidence where it is not too much."""
    evidence = _evidence(asked, found) if 0 < found.total <= asked.limit and found.objects else None
    lines = [f"{found.total:,} found: {asked.text()}."]
    lines += [f"{n}. {_line(one)}" for n, one in enumerate(found.objects[:SHOWN], 1)]
    if len(found.objects) > SHOWN:
        lines.append(f"{len(found.objects) - SHOWN} more in the data.")
    if evidence:
        lines.append(
            f"Evidence {evidence.id}, weight {WEIGHT:g}: the region was presupposed, and other "
            "places may have the same pattern."
        )
    elif found.total:
        lines.append(
            f"More than {asked.limit} fit, so it is no evidence; add a feature, come nearer or "
            "narrow the region."
            if found.total > asked.limit
            else "None of them has a usable position, so it is no evidence."
        )
    else:
        lines.append("No evidence against the region either: the map may lack such things.")
    lines.append(f"{ATTRIBUTION}.")
    objects: list[JsonValue] = [_data(one) for one in found.objects]
    data: dict[str, JsonValue] = {
        "total": found.total,
        "returned": len(objects),
        "dropped": found.dropped,
        "places": objects,
        "query": query,
        "attribution": ATTRIBUTION,
    }
    return "\n".join(lines), ToolOutcome(evidence=(evidence,) if evidence else (), data=data)


def _evidence(asked: _Asked, found: Found) -> Evidence:
    """Return the places as alternatives that are equally likely."""
    from geo.regions import country_at

    codes = country_at([(one.latitude, one.longitude) for one in found.objects])
    given = {asked.region.code} if isinstance(asked.region, Country) else set(codes) - {""}
    beside_km = asked.within_m / 1000 if len(asked.tags) > 1 else 0.0
    return Evidence(
        tool="find_related_places",
        kind="place",
        summary=f"OpenStreetMap has {found.total} of {asked.text()}.",
        candidates=tuple(
            Candidate(
                latitude=one.latitude,
                longitude=one.longitude,
                radius_km=NEAR_KM + beside_km / 2,
                score=1 / len(found.objects),
                rank=rank,
                source="openstreetmap",
                kind="place",
                label=one.name[:80] or one.reference,
                reference=one.reference,
                country=code,
            )
            for rank, (one, code) in enumerate(zip(found.objects, codes, strict=True), start=1)
        ),
        weight=WEIGHT,
        given_countries=tuple(sorted(given)),
        group="related",
    )


def _tags(feature: Feature) -> Tags:
    """Return the tags of a feature.

    Raises:
        ToolError: neither a kind nor a whole tag, or both.
    """
    if feature.kind is not None and feature.key is None and feature.value is None:
        return TAGS[feature.kind]
    if feature.kind is None and feature.key is not None and feature.value is not None:
        return ((feature.key, feature.value),)
    raise ToolError(
        f"feature {feature.model_dump(exclude_none=True)!r} is not one thing; give kind alone, or "
        "key and value without kind"
    )


def _region(circle: CircleRegion | None, box: BoxRegion | None, country: str | None) -> Region:
    """Return the region.

    Raises:
        ToolError: none or several were given, a rectangle is empty or too large, or there is no
            such country.
    """
    if sum(one is not None for one in (circle, box, country)) != 1:
        raise ToolError("give exactly one region: circle, box or country")
    if circle is not None:
        return Circle(circle.latitude, circle.longitude, circle.radius_km)
    if box is not None:
        return _checked_box(box)
    from geo.regions import country_codes

    if country is None or country not in country_codes():
        raise ToolError(
            f"country {country!r} is no ISO 3166-1 alpha-2 code; use codes like FR, GB (not UK)"
        )
    return Country(country)


def _checked_box(box: BoxRegion) -> Box:
    from math import radians, sin

    from geo.sphere import EARTH_RADIUS_KM

    if box.south >= box.north:
        raise ToolError(f"south {box.south} is not below north {box.north}; swap them")
    wide = radians((box.east - box.west) % 360)
    area = wide * EARTH_RADIUS_KM**2 * (sin(radians(box.north)) - sin(radians(box.south)))
    if not 0 < area <= MAX_BOX_KM2:
        raise ToolError(
            f"box of {area:,.0f} square km, limit more than 0 up to {MAX_BOX_KM2:,.0f}; narrow it"
        )
    return Box(box.south, box.west, box.north, box.east)


def _region_text(region: Region) -> str:
    if isinstance(region, Circle):
        return f"{region.radius_km:g} km around {region.latitude:.4f}, {region.longitude:.4f}"
    if isinstance(region, Country):
        return region.code
    return f"{region.south:g}..{region.north:g} N, {region.west:g}..{region.east:g} E"


def _line(one: MapObject) -> str:
    name = f"{one.name[:80]!r}, " if one.name else ""
    return f"{name}{one.reference}: {one.latitude:.5f}, {one.longitude:.5f}"


def _data(one: MapObject) -> JsonValue:
    return {
        "reference": one.reference,
        "latitude": one.latitude,
        "longitude": one.longitude,
        "name": one.name,
    }
