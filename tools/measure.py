"""The `measure` tool: distances, bearings and areas between points; it says nothing of a photo.

Geodesics on the WGS84 ellipsoid (Karney, Journal of Geodesy 87, 2013, through pyproj) are exact to
nanometres; the points are not. Numbers shown have no more digits than the points: the most
decimals that any of them has are taken as the precision of all.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tools.evidence import Latitude, Longitude, ToolError, ToolOutcome, ToolReply

if TYPE_CHECKING:
    from tools.workbench import Workbench

MOST_POINTS = 50
FINEST_DECIMALS = 5
"""About a metre: further decimals are digits of a computation, not of a place."""
DESCRIPTION = (
    "Measure between 2 to 50 points in their order: distance and initial bearing (degrees "
    "clockwise from true north) of each leg, the total, the distance of each point from the first, "
    "and with closed=true the leg back to the first and the area inside. Geodesics on WGS84, "
    "kilometres or metres. Information, no evidence about the photo."
)


class MeasuredPoint(BaseModel):
    """A point to measure from and to."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    latitude: Latitude = Field(description="Degrees WGS84, north positive.")
    longitude: Longitude = Field(description="Degrees WGS84, east positive.")


class MeasureArguments(BaseModel):
    """Arguments of `measure`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    points: list[MeasuredPoint] = Field(
        description="In the order of the way", min_length=2, max_length=MOST_POINTS
    )
    closed: bool = Field(
        default=False, description="Also go back to the first point and give the area inside"
    )


class Leg(NamedTuple):
    """The way from one point to another."""

    start: int
    """Number of the point, from 1."""
    end: int
    distance_m: float
    bearing_deg: float | None
    """Initial, clockwise from true north; None between points closer than their precision."""


def make_measure(bench: "Workbench") -> BaseTool:
    """Make the tool that measures between points."""

    def measure(points: Sequence[MeasuredPoint], closed: bool = False) -> ToolReply:
        places = [(point.latitude, point.longitude) for point in points]
        if closed and len(places) < 3:
            raise ToolError(f"{len(places)} points close no area, at least 3; add points")
        step_m = precision_m(places)
        legs = legs_between(places, closed, step_m)
        from_first = [_inverse(places[0], place)[0] for place in places[1:]]
        area_m2 = area_inside(places) if closed else None
        total_m = sum(leg.distance_m for leg in legs)
        lines = [_leg_text(leg, step_m) for leg in legs]
        lines.append(f"Total {length_text(total_m, step_m)}.")
        if len(places) > 2:
            away = ", ".join(
                f"{number}: {length_text(metres, step_m)}"
                for number, metres in enumerate(from_first, start=2)
            )
            lines.append(f"From point 1 to {away}.")
        if closed:
            lines.append(_area_text(area_m2, total_m, step_m))
        lines.append(
            f"WGS84; the points have up to {_decimals(places)} decimals, about "
            f"{_round_text(step_m)}."
        )
        legs_data: list[JsonValue] = [_leg_data(leg) for leg in legs]
        away_data: list[JsonValue] = [round(metres / 1000, 3) for metres in from_first]
        data: dict[str, JsonValue] = {
            "legs": legs_data,
            "total_km": round(total_m / 1000, 3),
            "from_first_km": away_data,
            "area_km2": None if area_m2 is None else round(area_m2 / 1e6, 6),
            "precision_m": step_m,
        }
        return "\n".join(lines), ToolOutcome(data=data)

    return StructuredTool.from_function(
        measure,
        name="measure",
        description=DESCRIPTION,
        args_schema=MeasureArguments,
        response_format="content_and_artifact",
    )


def legs_between(places: Sequence[tuple[float, float]], closed: bool, step_m: float) -> list[Leg]:
    """Return the legs of a way through points of latitude and longitude, in their order."""
    ends = [*range(1, len(places)), *([0] if closed else [])]
    legs = []
    for start, end in enumerate(ends):
        metres, bearing = _inverse(places[start], places[end])
        legs.append(Leg(start + 1, end + 1, metres, bearing % 360 if metres >= step_m else None))
    return legs


def area_inside(places: Sequence[tuple[float, float]]) -> float | None:
    """Return the geodesic area of a polygon in square metres, of the smaller side of its edge.

    None where edges cross, so that parts would cancel out. Edges are tried for that in the
    azimuthal equidistant projection around their middle.
    """
    from pyproj import Geod, Proj
    from shapely import LinearRing

    from geo.sphere import spherical_mean

    latitudes, longitudes = zip(*places, strict=True)
    middle = spherical_mean(np.asarray(places))
    if middle is None:  # right round the globe: nothing is inside rather than outside
        return None
    plane = Proj(proj="aeqd", lat_0=middle[0], lon_0=middle[1], ellps="WGS84")
    ring = list(zip(*plane(longitudes, latitudes), strict=True))
    if len(set(places)) < 3 or not LinearRing(ring).is_simple:
        return None
    return abs(float(Geod(ellps="WGS84").polygon_area_perimeter(longitudes, latitudes)[0]))


def precision_m(places: Sequence[tuple[float, float]]) -> float:
    """Return what the last decimal of the points stands for, metres rounded to a power of ten."""
    return 10.0 ** (FINEST_DECIMALS - _decimals(places))


def length_text(metres: float, step_m: float) -> str:
    """Return a length in words, rounded to multiples of `step_m`, a power of ten from 1 on."""
    if metres < step_m / 2:
        return "0 m" if step_m <= 1 else f"under {_round_text(step_m)}"
    rounded = round(metres / step_m) * step_m
    if rounded < 1000:
        return f"{rounded:.0f} m"
    decimals = max(0, 3 - round(math.log10(step_m)))
    return f"{rounded / 1000:,.{decimals}f} km"


def _round_text(metres: float) -> str:
    """Return a power of ten of metres in words."""
    return f"{metres:.0f} m" if metres < 1000 else f"{metres / 1000:.0f} km"


def _decimals(places: Sequence[tuple[float, float]]) -> int:
    """Return the most decimals of any number, 0 to 5."""
    most = 0
    for number in (number for place in places for number in place):
        written = f"{number:.{FINEST_DECIMALS}f}".rstrip("0")
        most = max(most, len(written.partition(".")[2]))
    return most


def _inverse(start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
    """Return the distance in metres and the initial bearing in degrees."""
    from pyproj import Geod

    geod = Geod(ellps="WGS84")
    bearing, _, metres = geod.inv(start[1], start[0], end[1], end[0])
    return float(metres), float(bearing)


def _leg_text(leg: Leg, step_m: float) -> str:
    said = f"{leg.start} to {leg.end}: {length_text(leg.distance_m, step_m)}"
    if leg.bearing_deg is None:
        return f"{said}, no bearing: closer than the points are exact."
    off = math.degrees(math.atan2(step_m / 2, leg.distance_m))
    digits = 1 if off < 0.1 else 0
    # 359.97 is north, not 360.
    bearing = round(leg.bearing_deg, digits) % 360
    doubt = f" +- {off:.0f}" if off >= 1 else ""
    return f"{said}, bearing {bearing:.{digits}f}{doubt} degrees."


def _area_text(area_m2: float | None, edge_m: float, step_m: float) -> str:
    """Return the area with the digits that points moved by half their precision leave."""
    if area_m2 is None:
        return "No area: the edges cross or enclose nothing; give the points in order round it."
    off = edge_m * step_m / 2
    scale, unit = (1e6, "square km") if area_m2 >= 1e6 else (1.0, "square m")
    digits = max(1, min(6, math.floor(math.log10(max(area_m2 / max(off, 1e-9), 1))) + 1))
    value = area_m2 / scale
    places = digits - 1 - math.floor(math.log10(value)) if value > 0 else 0
    return f"Area {round(value, places):,.{max(0, places)}f} {unit}."


def _leg_data(leg: Leg) -> JsonValue:
    bearing = None if leg.bearing_deg is None else round(leg.bearing_deg, 3)
    return {
        "from": leg.start,
        "to": leg.end,
        "distance_km": round(leg.distance_m / 1000, 3),
        "bearing_deg": bearing,
    }
