"""The grid of web map tiles: which part of the Earth a tile shows.

Web Mercator (EPSG:3857) between 85.0511 degrees south and north, cut into 2^z x 2^z tiles. In
scheme `xyz` (OpenStreetMap, "Slippy map tilenames"; Google) row 0 is the northernmost; in
scheme `tms` (OSGeo Tile Map Service 1.0.0) it is the southernmost. Columns start at 180 W.
"""

import math
from typing import Literal

from geo.errors import InputError
from geo.sphere import distance_km

Scheme = Literal["xyz", "tms"]
MAX_LATITUDE = math.degrees(math.atan(math.sinh(math.pi)))
"""Northern edge of the grid, 85.0511 degrees: where the map of the Earth is a square."""
MAX_ZOOM = 30


def tile_bounds(z: int, x: int, y: int) -> tuple[float, float, float, float]:
    """Return a tile's (south, west, north, east) in degrees; rows counted from the north.

    The west of column 0 is -180 and the east of the last column is 180: no tile crosses the
    antimeridian.

    Raises:
        InputError: there is no such tile.
    """
    check_tile(z, x, y)
    side = 2.0**z
    return (
        _latitude((y + 1) / side),
        x / side * 360.0 - 180.0,
        _latitude(y / side),
        (x + 1) / side * 360.0 - 180.0,
    )


def tile_centre(z: int, x: int, y: int) -> tuple[float, float]:
    """Return the (latitude, longitude) of a tile's middle pixel; rows counted from the north.

    Raises:
        InputError: there is no such tile.
    """
    check_tile(z, x, y)
    side = 2.0**z
    return _latitude((y + 0.5) / side), (x + 0.5) / side * 360.0 - 180.0


def tile_radius_km(z: int, x: int, y: int) -> float:
    """Return the distance from a tile's centre to its farthest corner, in kilometres.

    That is half the tile's diagonal wherever a tile is small against the Earth.

    Raises:
        InputError: there is no such tile.
    """
    south, west, north, east = tile_bounds(z, x, y)
    centre = tile_centre(z, x, y)
    return float(distance_km(*centre, [south, south, north, north], [west, east, west, east]).max())


def flipped(z: int, y: int) -> int:
    """Return the row counted from the other pole: `tms` to `xyz` and back.

    Raises:
        InputError: there is no such row.
    """
    check_tile(z, 0, y)
    return (1 << z) - 1 - y


def check_tile(z: int, x: int, y: int) -> None:
    """Refuse a tile that the grid does not have.

    Raises:
        InputError: zoom, column or row out of range.
    """
    if not 0 <= z <= MAX_ZOOM:
        raise InputError(f"zoom level {z}, limit 0 to {MAX_ZOOM}; name tiles z/x/y")
    last = (1 << z) - 1
    for what, value in (("column", x), ("row", y)):
        if not 0 <= value <= last:
            raise InputError(
                f"tile {what} {value}, limit 0 to {last} at zoom {z}; name tiles z/x/y"
            )


def _latitude(fraction: float) -> float:
    """Return the latitude of a fraction of the grid's height, counted from the north."""
    return math.degrees(math.atan(math.sinh(math.pi * (1.0 - 2.0 * fraction))))
