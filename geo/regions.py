"""Countries as polygons, and the country of any point.

Borders are Natural Earth 1:10m, on a grid of about 0.4 km: de facto control, lakes counted as
land. Codes are ISO 3166-1 alpha-2 as GeoNames uses them (`geo/data/codes.py` says which code a
disputed or dependent territory gets). Geometries are in (longitude, latitude), shapely's order;
points are `[N, 2]` of (latitude, longitude). `geo.areas` combines regions, `geo.outlines` draws.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.errors import InputError, UnavailableError
from geo.sphere import FloatArray, unit_vectors, wrap_longitude

if TYPE_CHECKING:
    from scipy.spatial import cKDTree
    from shapely import MultiPolygon

DATA_FILE = Path(__file__).parent / "data" / "countries.npz"
MAXIMUM_SNAP_KM = 500.0
_CELLS_PER_DEGREE = 10
_UNITS_PER_DEGREE = 10_000
_OPEN_SEA, _LAND = 0, 1
# Cells marked open sea are at least this far from any land.
_OPEN_SEA_KM = 60.0
# Spacing of the coast's points, 2.2 km: distances to the coast are exact to 25 m at 25 km.
_COAST_SPACING_DEG = 0.02
_MEAN_RADIUS_KM = 6371.0088
_NOWHERE = -1
PREPARED = Lock()
"""Held while a prepared geometry is asked that other threads may ask, too: GEOS 3.14 builds its
index during the first questions without a lock, and two threads at that corrupt memory."""

IndexArray = NDArray[np.intp]


def country_at(points: ArrayLike, snap_km: float = 25.0) -> list[str]:
    """Return the ISO 3166-1 alpha-2 code of each point `[N, 2]` (latitude, longitude).

    A point at sea within `snap_km` of land gets the nearest country (photos are taken from
    piers and boats, coasts are drawn to about 0.5 km); 0 turns this off. "" elsewhere at sea.
    Raises InputError for impossible points, or `snap_km` outside 0..500.
    """
    if not 0 <= snap_km <= MAXIMUM_SNAP_KM:
        raise InputError(f"snap_km {snap_km!r}: give 0 (off) to {MAXIMUM_SNAP_KM:g} km")
    array = np.asarray(points, dtype=np.float64)
    if array.size == 0:
        return []
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(f"points of shape {list(array.shape)}: give [N, 2], latitude, longitude")
    if not np.isfinite(array).all() or (np.abs(array[:, 0]) > 90).any():
        raise InputError("a point is not finite or its latitude is outside -90..90: drop it first")
    atlas = load_atlas()
    names: list[str] = atlas.names[atlas.find(array[:, 0], array[:, 1], snap_km)].tolist()
    return names


def country_codes() -> tuple[str, ...]:
    """Return the codes of all countries and territories that have a polygon, sorted."""
    return tuple(load_atlas().codes)


def country_name(iso2: str) -> str:
    """Return the English name (Unicode CLDR) of a country code; the code itself if unknown."""
    return str(_english_names().get(iso2.upper(), iso2))


def country_polygon(iso2: str) -> "MultiPolygon":
    """Return the land of a country in (longitude, latitude), cut at the antimeridian.

    Raises InputError for a code without a polygon. Treat the geometry as read-only, and hold
    `PREPARED` while asking it for predicates or distances.
    """
    atlas = load_atlas()
    code = iso2.upper()
    if code not in atlas.index:
        raise InputError(f"no polygon for country {iso2!r}: give an ISO 3166-1 alpha-2 code")
    return atlas.shapes[atlas.index[code]]


@cache
def load_atlas() -> "Atlas":
    """Return the atlas of the file shipped with this package, read once."""
    if not DATA_FILE.is_file():
        raise UnavailableError(f"country borders missing at {DATA_FILE}: reinstall graticule")
    with np.load(DATA_FILE) as file:
        return Atlas(**{key: file[key] for key in file.files})


@cache
def _english_names() -> dict[str, str]:
    from babel import Locale

    return dict(Locale("en").territories)


@dataclass(frozen=True)
class Atlas:
    """The arrays of `countries.npz` and what is derived from them on first use.

    A grid of 0.1 degree cells answers most points with one array access; only points in cells
    that a border or coast crosses are tested against polygons. The file is made, and its format
    explained, by `geo/data/make_countries.py`.
    """

    codes: NDArray[np.str_]
    """Country codes `[C]`, sorted."""
    deltas: NDArray[np.int32]
    """Vertices `[2, V]`, longitude and latitude, as differences in 1e-4 degree."""
    rings: NDArray[np.int32]
    polygons: NDArray[np.int32]
    countries: NDArray[np.int32]
    """Offsets of vertices by ring, rings by polygon, polygons by country (as in GeoArrow)."""
    grid: NDArray[np.uint16]
    """What each cell `[1800, 3600]` holds: open sea, a country, or a set of countries to ask."""
    set_members: NDArray[np.uint8]
    set_offsets: NDArray[np.int32]
    """Sets of countries as one list, set i is members[offsets[i]:offsets[i + 1]]."""

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each country code."""
        return {str(code): i for i, code in enumerate(self.codes)}

    @cached_property
    def names(self) -> NDArray[np.object_]:
        """Codes `[C + 1]` with "" last, so that index -1 reads as nowhere."""
        return np.array([*map(str, self.codes), ""], dtype=object)

    @cached_property
    def coordinates(self) -> FloatArray:
        """Vertices `[V, 2]` in degrees of longitude and latitude."""
        return np.ascontiguousarray(np.cumsum(self.deltas, axis=1).T / _UNITS_PER_DEGREE)

    @cached_property
    def shapes(self) -> "list[MultiPolygon]":
        """One prepared multipolygon for each country."""
        import shapely

        offsets = (self.rings, self.polygons, self.countries)
        kind = shapely.GeometryType.MULTIPOLYGON
        shapes = shapely.from_ragged_array(kind, self.coordinates, offsets)
        shapely.prepare(shapes)
        return list(shapes)

    @cached_property
    def coast(self) -> "tuple[cKDTree, NDArray[np.int16]]":
        """Points along every border as unit vectors in a tree, and the country of each."""
        from scipy.spatial import cKDTree

        points, ring = _densified(self.coordinates, self.rings)
        owner = np.searchsorted(self.polygons[self.countries], ring, side="right") - 1
        return cKDTree(unit_vectors(points[:, ::-1]), balanced_tree=False), owner.astype(np.int16)

    def find(self, latitude: FloatArray, longitude: FloatArray, snap_km: float) -> IndexArray:
        """Return the index of the country of each point `[N]`, -1 where there is none."""
        longitude = wrap_longitude(longitude)
        cells = self._cells(latitude, longitude)
        found = np.where(cells < _LAND + len(self.codes), cells - _LAND, _NOWHERE)
        asked = np.flatnonzero(cells > _LAND + len(self.codes))
        self._ask_polygons(found, cells, asked, latitude, longitude)
        if snap_km > 0:
            # Open sea needs no look at the coast unless it is asked for more than it promises.
            at_sea = found == _NOWHERE
            if snap_km <= _OPEN_SEA_KM:
                at_sea &= cells != _OPEN_SEA
            near = np.flatnonzero(at_sea)
            found[near] = self._nearest(latitude[near], longitude[near], snap_km)
        return found

    def _cells(self, latitude: FloatArray, longitude: FloatArray) -> IndexArray:
        rows, columns = self.grid.shape
        row = np.minimum(((latitude + 90.0) * _CELLS_PER_DEGREE).astype(np.intp), rows - 1)
        column = np.minimum(((longitude + 180.0) * _CELLS_PER_DEGREE).astype(np.intp), columns - 1)
        cells: IndexArray = self.grid[row, column].astype(np.intp)
        return cells

    def _ask_polygons(
        self,
        found: IndexArray,
        cells: IndexArray,
        asked: IndexArray,
        latitude: FloatArray,
        longitude: FloatArray,
    ) -> None:
        """Fill `found` at the positions `asked`, whose cells hold more than one answer."""
        from shapely import intersects_xy

        number = cells[asked] - _LAND - len(self.codes)
        start, stop = self.set_offsets[number], self.set_offsets[number + 1]
        count = stop - start
        point = np.repeat(asked, count)
        within = np.arange(len(point)) - np.repeat(np.cumsum(count) - count, count)
        country = self.set_members[np.repeat(start, count) + within]
        order = np.argsort(country, kind="stable")
        bounds = np.searchsorted(country[order], np.arange(len(self.codes) + 1))
        for i in np.unique(country):
            ours = point[order[bounds[i] : bounds[i + 1]]]
            with PREPARED:
                inside = intersects_xy(self.shapes[i], longitude[ours], latitude[ours])
            found[ours[inside]] = i

    def _nearest(self, latitude: FloatArray, longitude: FloatArray, snap_km: float) -> IndexArray:
        """Return the country of the nearest coast within `snap_km` of each point, or -1."""
        if not len(latitude):
            return np.empty(0, dtype=np.intp)
        tree, owner = self.coast
        vectors = unit_vectors(np.column_stack([latitude, longitude]))
        chord = 2 * np.sin(snap_km / _MEAN_RADIUS_KM / 2)
        distance, nearest = tree.query(vectors, distance_upper_bound=chord)
        owners = np.append(owner, np.int16(_NOWHERE)).astype(np.intp)
        return np.where(np.isfinite(distance), owners[nearest], _NOWHERE)


def _densified(
    coordinates: FloatArray, rings: NDArray[np.int32]
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Return points `[P, 2]` along all rings, `_COAST_SPACING_DEG` apart, and their ring `[P]`."""
    ring = np.repeat(np.arange(len(rings) - 1), np.diff(rings))
    start, stop = coordinates[:-1], coordinates[1:]
    joined = ring[:-1] == ring[1:]
    start, stop, ring = start[joined], stop[joined], ring[:-1][joined]
    # A degree of longitude shrinks towards the poles: so does the number of points it needs.
    wide = np.abs(stop[:, 0] - start[:, 0]) * np.cos(np.radians(start[:, 1]))
    long = np.maximum(wide, np.abs(stop[:, 1] - start[:, 1]))
    steps = np.maximum(1, np.ceil(long / _COAST_SPACING_DEG)).astype(np.intp)
    step = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)
    share = (step / np.repeat(steps, steps))[:, None]
    begin = np.repeat(start, steps, axis=0)
    return begin + share * (np.repeat(stop, steps, axis=0) - begin), np.repeat(ring, steps)
