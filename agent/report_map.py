"""Maps of the report as plain numbers: where land, circles and candidates land on the drawing.

Pure functions; the templates turn the result into inline SVG. Knows what a map shows and how it
is labelled; `agent.report_shapes` knows projections and paths, and nothing here knows HTML.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agent.report_frame import (
    Caption,
    ScaleBar,
    Window,
    extent,
    graticule_of,
    scale_bar,
)
from agent.report_shapes import (
    LOCAL_HEIGHT,
    LOCAL_WIDTH,
    WORLD_HEIGHT,
    WORLD_WIDTH,
    Points,
    Projection,
    area_of_circle,
    area_of_ring,
    azimuthal,
    equal_earth,
    path_of,
    pen,
    turned,
    without_seams,
)

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Outline = tuple[str, Points]
"""ISO 3166-1 alpha-2 and a ring `[V, 2]` of latitude, longitude in degrees."""

LARGEST_HALF_KM, SMALLEST_HALF_KM = 3000.0, 0.25
"""Beyond these a local map says no more than the world map, or shows nothing at all."""


class Mark(NamedTuple):
    """A point to draw: what kind of thing it is, what it is called, and its number, if any."""

    latitude: float
    longitude: float
    kind: str
    title: str
    label: str = ""


class Symbol(NamedTuple):
    """A `Mark` that landed on the drawing; `label` is empty where it would cover another."""

    x: float
    y: float
    kind: str
    title: str
    label: str


class Land(NamedTuple):
    """One country: SVG path of its area, and the share of belief it is shaded with."""

    iso2: str
    path: str
    share: float


class Ring(NamedTuple):
    """A circle around the answer: SVG paths of area and edge, and what it holds."""

    area: str
    edge: str
    percent: int


class RegionPath(NamedTuple):
    """A region that a person drew: SVG path, and whether the photo is said to be from inside."""

    path: str
    inside: bool


@dataclass(frozen=True)
class MapView:
    """Everything one map draws, in SVG units of a `width` by `height` drawing."""

    name: str
    title: str
    width: float
    height: float
    lands: tuple[Land, ...]
    graticule: str
    sphere: str = ""
    borders: str = ""
    rings: tuple[Ring, ...] = ()
    regions: tuple[RegionPath, ...] = ()
    symbols: tuple[Symbol, ...] = ()
    captions: tuple[Caption, ...] = ()
    scale_bar: ScaleBar | None = None
    half_km: float = 0.0
    """From the centre of a local map to its upper edge."""
    frame: str = ""
    """Outline of the closer map's extent, empty where there is none."""
    plain: bool = False
    """Whether land and sea are left apart: outlines are too coarse for so close a view."""


def world_map(
    outlines: Sequence[Outline],
    marks: Sequence[Mark] = (),
    circles: Sequence[tuple[float, float, float, int]] = (),
    shares: Mapping[str, float] | None = None,
    middle: float = 0.0,
) -> MapView:
    """Draw the whole world.

    Args:
        outlines: country rings, any order; larger ones are drawn first.
        marks: points to draw, the last on top.
        circles: latitude, longitude, radius in km and percent of belief held, largest first.
        shares: belief by country to shade with.
        middle: longitude in the middle of the map; the map is cut 180 degrees from it.
    """
    import shapely

    def project(points: Points) -> Points:
        return equal_earth(np.column_stack((points[:, 0], _from_middle(points[:, 1], middle))))

    areas = [(iso2, turned(area_of_ring(ring), -middle)) for iso2, ring in outlines]
    rings = []
    for latitude, longitude, radius_km, percent in circles:
        area = turned(area_of_circle(latitude, longitude, radius_km), -middle)
        edge = without_seams(area)
        rings.append(Ring(path_of(area, equal_earth), path_of(edge, equal_earth), percent))
    lines = [shapely.LineString([(-180, lat), (180, lat)]) for lat in range(-60, 90, 30)]
    lines += [shapely.LineString([(lon, -90), (lon, 90)]) for lon in range(-150, 180, 30)]
    return MapView(
        name="world",
        title="World",
        width=WORLD_WIDTH,
        height=WORLD_HEIGHT,
        lands=_lands(areas, equal_earth, shares or {}),
        graticule=path_of(shapely.MultiLineString(lines), equal_earth),
        sphere=path_of(shapely.box(-180, -90, 180, 90), equal_earth),
        rings=tuple(rings),
        symbols=place_symbols(marks, project, WORLD_WIDTH, WORLD_HEIGHT),
    )


def _from_middle(longitude: Points, middle: float) -> Points:
    return np.asarray((longitude - middle + 180.0) % 360.0 - 180.0)


def _lands(
    areas: "Iterable[tuple[str, BaseGeometry]]", project: Projection, shares: Mapping[str, float]
) -> tuple[Land, ...]:
    """Join the parts of each country into one path, larger parts first (enclaves stay visible)."""
    by_country: dict[str, list[BaseGeometry]] = {}
    for iso2, area in areas:
        if not area.is_empty:
            by_country.setdefault(iso2, []).append(area)
    ordered = sorted(by_country.items(), key=lambda item: -sum(part.area for part in item[1]))
    lands = (
        Land(iso2, "".join(path_of(part, project) for part in parts), shares.get(iso2, 0.0))
        for iso2, parts in ordered
    )
    return tuple(land for land in lands if land.path)


def local_map(
    outlines: Sequence[Outline] | None,
    centre: tuple[float, float],
    half_km: float,
    name: str,
    title: str,
    marks: Sequence[Mark] = (),
    circles: Sequence[tuple[float, float, float, int]] = (),
    shares: Mapping[str, float] | None = None,
    frame_half_km: float = 0.0,
) -> MapView:
    """Draw the neighbourhood of `centre`, reaching `half_km` north and south of it.

    Args:
        outlines: country rings; None draws neither land nor sea.
        centre: latitude, longitude in degrees; distances from it are true on the drawing.
        half_km: distance from the centre to the upper edge, at most `LARGEST_HALF_KM`.
        name: identifier of the map inside the page.
        title: heading for people.
        marks: points to draw, the last on top; those outside are left out.
        circles: latitude, longitude, radius in km and percent of belief held, largest first.
        shares: belief by country to shade with.
        frame_half_km: `half_km` of the next closer map, whose extent is drawn; 0 for none.
    """
    import shapely

    project = azimuthal(*centre, half_km)
    window = Window.around(centre, half_km)
    areas = [(iso2, area_of_ring(ring)) for iso2, ring in outlines or ()]
    edges = [window.cut(without_seams(area)) for _, area in areas]
    lands = [(iso2, window.cut(area)) for iso2, area in areas]
    graticule, captions = graticule_of(window, project, half_km)
    return MapView(
        name=name,
        title=title,
        width=LOCAL_WIDTH,
        height=LOCAL_HEIGHT,
        lands=_lands(lands, project, shares or {}),
        borders="".join(path_of(edge, project) for edge in edges if not edge.is_empty),
        graticule=path_of(shapely.MultiLineString(graticule), project),
        rings=tuple(_local_ring(*ring, project) for ring in circles),
        symbols=place_symbols(marks, project, LOCAL_WIDTH, LOCAL_HEIGHT),
        captions=captions,
        scale_bar=scale_bar(half_km),
        half_km=half_km,
        frame=extent(frame_half_km / half_km),
        plain=outlines is None,
    )


def _local_ring(
    latitude: float, longitude: float, radius_km: float, percent: int, project: Projection
) -> Ring:
    from geo.sphere import circle

    points = project(circle(latitude, longitude, min(radius_km, 20_000.0), vertices=120))
    path = pen(points, closed=True)
    return Ring(path, path, percent)


def place_symbols(
    marks: Sequence[Mark], project: Projection, width: float, height: float
) -> tuple[Symbol, ...]:
    """Put marks on the drawing: outside ones left out, labels kept where they cover no other."""
    if not marks:
        return ()
    points = project(np.array([(mark.latitude, mark.longitude) for mark in marks]))
    symbols: list[Symbol] = []
    labelled: list[tuple[float, float]] = []
    # Later marks lie on top, so they choose their label's room first.
    for mark, (x, y) in reversed(list(zip(marks, points.tolist(), strict=True))):
        if not (0 <= x <= width and 0 <= y <= height):
            continue
        free = all(abs(x - a) > 22 or abs(y - b) > 14 for a, b in labelled)
        label = mark.label if free else ""
        if label:
            labelled.append((x, y))
        symbols.append(Symbol(round(x, 1), round(y, 1), mark.kind, mark.title, label))
    return tuple(reversed(symbols))
