"""The areas that places are told by: fixed, so that nothing can be averaged out of them.

Every position inside an area is told as that area's own centre. Radii grow by the distance to the
area's farthest point and are rounded up to a short ladder: they still hold what they held, and
say nothing of where inside the area the position was.
"""

import math
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from geo.gazetteer import Gazetteer

CITY_DEG, REGION_DEG, SEA_DEG = 0.25, 4.0, 20.0
"""Heights of grid cells: of a city, of a region that has no name, of a sea."""
CITY_REACH_KM = 40.0
"""Above that of any cell of a city."""
CITY_PEOPLE = 15_000
"""Smaller places are finer than the cell they lie in, and are not named."""
BEYOND_KM = 30.0
"""Answers lie this far beyond a country's coast or a region's last settlement, or nearer."""
LADDER_KM = (
    25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 650.0, 800.0, 1000.0, 1300.0,
    1600.0, 2000.0, 2500.0, 3200.0, 4000.0, 5000.0, 6500.0, 8000.0, 10000.0, 13000.0, 20000.0,
)  # fmt: skip
KM_PER_DEGREE = 111.195
"""Of a great circle on the sphere of 6371 km."""


class Area(NamedTuple):
    """What a position is told as.

    Attributes:
        reach_km: from the centre to the farthest point of the area, haversine.
        label: for people.
        country: ISO 3166-1 alpha-2; empty where there is none.
    """

    latitude: float
    longitude: float
    reach_km: float
    label: str = ""
    country: str = ""


def widened(radius_km: float, reach_km: float) -> float:
    """Return a rung of the ladder that holds a circle around any point of an area.

    Args:
        radius_km: of the circle.
        reach_km: of the area.
    """
    needed = rung(radius_km) + reach_km
    return rung(needed)


def rung(km: float) -> float:
    """Return the first rung that is not below a distance; half the globe's girth at most."""
    return next((one for one in LADDER_KM if km <= one), LADDER_KM[-1])


def city_area(latitude: float, longitude: float) -> Area:
    """Return the grid cell of about 28 km that a position lies in."""
    return grid_area(latitude, longitude, CITY_DEG)


def country_area(country: str) -> Area | None:
    """Return a country as an area around the middle of its largest part; None without borders."""
    from geo.errors import InputError

    try:
        latitude, longitude, reach_km = _country(country.upper())
    except InputError:
        return None
    from geo.regions import country_name

    return Area(latitude, longitude, reach_km, country_name(country), country)


def region_area(country: str, admin1: str, gazetteer: "Gazetteer | None") -> Area | None:
    """Return a first-level area around the middle of its settlements; None where unknown."""
    if gazetteer is None or not (country and admin1):
        return None
    import numpy as np

    from geo.sphere import haversine_km, spherical_mean

    points, _, codes = gazetteer.settlements()
    of_country = points[np.array(codes) == country]
    if not len(of_country):
        return None
    names = np.array(gazetteer.admin1_near(of_country, country))
    members = of_country[names == admin1]
    middle = spherical_mean(members) if len(members) else None
    if middle is None:
        return None
    latitude, longitude = (round(float(degrees), 1) for degrees in middle)
    away = float(np.max(haversine_km(latitude, longitude, members[:, 0], members[:, 1])))
    return Area(latitude, longitude, away + BEYOND_KM, admin1, country)


def grid_area(latitude: float, longitude: float, degrees: float) -> Area:
    """Return the cell of a fixed grid that a position lies in.

    Cells are `degrees` high and, away from the poles, about as wide as they are high.
    """
    rows = round(180 / degrees)
    row = min(max(math.floor((latitude + 90) / degrees), 0), rows - 1)
    south = row * degrees - 90
    middle = south + degrees / 2
    columns = max(1, round(360 * math.cos(math.radians(middle)) / degrees))
    width = 360 / columns
    column = math.floor((longitude + 180) / width) % columns
    centre = -180 + (column + 0.5) * width
    nearest_equator = min(abs(south), abs(south + degrees)) if south * (south + degrees) > 0 else 0
    half_width = width / 2 * math.cos(math.radians(nearest_equator))
    reach = 1.02 * KM_PER_DEGREE * math.hypot(degrees / 2, half_width)
    return Area(round(middle, 3), round(centre, 3), min(reach, LADDER_KM[-1]))


@cache
def _country(country: str) -> tuple[float, float, float]:
    """Return latitude and longitude of a country's middle and how far its land reaches.

    Land oversea, farther than twice its largest part reaches, is left to cells of its own.
    """
    import numpy as np
    import shapely

    from geo.regions import country_polygon
    from geo.sphere import haversine_km

    parts = shapely.get_parts(country_polygon(country))
    middle = shapely.point_on_surface(max(parts, key=lambda part: float(part.area)))
    latitude, longitude = round(middle.y, 1), round(middle.x, 1)
    away = [
        float(np.max(haversine_km(latitude, longitude, edge[:, 1], edge[:, 0])))
        for edge in map(shapely.get_coordinates, parts)
    ]
    main = away[int(np.argmax(shapely.area(parts)))]
    return latitude, longitude, max(km for km in away if km <= 2 * main) + BEYOND_KM
