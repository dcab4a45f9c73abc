"""Make `countries.npz`, the countries of the world, from Natural Earth 1:10m.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python -m geo.data.make_countries package/countries-10m.json

The input is TopoJSON (its specification 1.0: quantised, delta-encoded arcs shared by neighbours).
The output holds, besides the polygons, a grid that answers most look-ups with one array access;
`geo.regions` says how it is read. The same input gives the same file, byte for byte.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from geo.data.codes import CODES_BY_NAME, DRAWN_BY_HAND, SPLITS, HandDrawn, alpha2_by_numeric
from geo.sphere import unit_vectors

OUTPUT = Path(__file__).with_name("countries.npz")
UNITS_PER_DEGREE = 10_000
CELLS_PER_DEGREE = 10
COAST_KM = 60.0
"""Sea cells farther than this from any land are `OPEN_SEA` and need no look at the coast."""
OPEN_SEA, LAND = 0, 1
WORLD = shapely.box(-180, -90, 180, 90)


def main(arguments: list[str]) -> int:
    """Write `countries.npz` beside this script from the TopoJSON file named."""
    if len(arguments) != 1:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    countries = read_countries(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    codes = sorted(countries)
    arrays = pack_polygons([countries[code] for code in codes])
    shapes = [MultiPolygon(polygons_of(countries[code])) for code in codes]
    grid, sets = classify_cells(shapes)
    arrays |= pack_sets(sets) | {"codes": np.array(codes), "grid": grid}
    np.savez_compressed(OUTPUT, **arrays)  # type: ignore[arg-type]  # the stub's keyword is a bool
    sys.stderr.write(f"{OUTPUT}: {len(codes)} countries, {OUTPUT.stat().st_size:,} bytes\n")
    return 0


def read_countries(
    topology: dict[str, Any], drawn_by_hand: HandDrawn = DRAWN_BY_HAND
) -> dict[str, BaseGeometry]:
    """Return one multipolygon in (longitude, latitude) by ISO 3166-1 alpha-2 code."""
    arcs = decode_arcs(topology)
    numeric = alpha2_by_numeric()
    parts: dict[str, list[BaseGeometry]] = defaultdict(list)
    for feature in topology["objects"]["countries"]["geometries"]:
        name = feature["properties"]["name"]
        code = CODES_BY_NAME.get(name, numeric.get(feature.get("id", ""), None))
        if code is None:
            raise SystemExit(f"{name!r} has no code: decide one in geo/data/codes.py")
        for one, shape in split_feature(name, code, decode_shape(feature, arcs)):
            parts[one].append(shape)
    for code, (parent, ring) in drawn_by_hand.items():
        parts[code] = [Polygon(ring)]
        parts[parent] = [shapely.difference(shapely.union_all(parts[parent]), Polygon(ring))]
    countries = {code: snapped(shapely.union_all(shapes)) for code, shapes in parts.items() if code}
    if empty := [code for code, shape in countries.items() if shape.is_empty]:
        raise SystemExit(f"nothing is left of {empty} on the grid: draw it in geo/data/codes.py")
    return countries


def decode_arcs(topology: dict[str, Any]) -> list[NDArray[np.float64]]:
    """Return the arcs `[V, 2]` in (longitude, latitude): deltas summed, then scaled."""
    scale, translate = (topology["transform"][key] for key in ("scale", "translate"))
    return [np.cumsum(arc, axis=0) * scale + translate for arc in topology["arcs"]]


def decode_shape(feature: dict[str, Any], arcs: list[NDArray[np.float64]]) -> BaseGeometry:
    """Return a feature's polygons with every ring unwrapped, then folded into the world."""
    polygons = feature["arcs"] if feature["type"] == "MultiPolygon" else [feature["arcs"]]
    shapes = []
    for rings in polygons:
        outer, *holes = (folded(unwrapped(join_arcs(ring, arcs))) for ring in rings)
        shapes.append(shapely.difference(outer, shapely.union_all(holes)) if holes else outer)
    return shapely.union_all(shapes)


def join_arcs(indices: list[int], arcs: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the closed ring of the arcs named; ~i is arc i backwards."""
    pieces = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in indices]
    return np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])


def unwrapped(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a ring without jumps over the antimeridian; round a pole, closed along its parallel.

    Rings of Russia, Fiji and Antarctica cross 180 degrees. Read as they stand they would
    cover Scandinavia and the Atlantic.
    """
    longitude = np.unwrap(ring[:, 0], period=360.0)
    ring = np.column_stack([longitude, ring[:, 1]])
    if abs(longitude[-1] - longitude[0]) < 180:
        return ring
    pole = np.copysign(90.0, ring[:, 1].mean())
    corners = [[longitude[-1], pole], [longitude[0], pole], ring[0]]
    return np.concatenate([ring, corners])


def folded(ring: NDArray[np.float64]) -> BaseGeometry:
    """Return the valid area of an unwrapped ring with the parts beyond +-180 shifted back."""
    if len(ring) < 4:  # an islet of one or two quantised points
        return Polygon()
    area = shapely.make_valid(Polygon(ring), method="structure")
    west, _, east, _ = area.bounds
    if west >= -180 and east <= 180:
        return area
    copies = [
        shapely.intersection(
            shapely.transform(area, lambda xy, by=by: np.add(xy, (by, 0.0))), WORLD
        )
        for by in (-720.0, -360.0, 0.0, 360.0, 720.0)
    ]
    return shapely.union_all(copies)


def split_feature(name: str, code: str, shape: BaseGeometry) -> list[tuple[str, BaseGeometry]]:
    """Return the feature's parts by code: polygons that lie in a box of `SPLITS` taken out."""
    polygons = polygons_of(shape)
    centres = shapely.point_on_surface(polygons)
    owner = np.full(len(polygons), code, dtype=object)
    for parent, child, *bounds in SPLITS:
        if parent == name:
            inside = shapely.within(centres, shapely.box(*bounds))
            if not inside.any():
                raise SystemExit(f"no part of {name!r} lies in the box of {child!r}")
            owner[inside] = child
    parts = {one: [p for p, o in zip(polygons, owner, strict=True) if o == one] for one in owner}
    return [(one, MultiPolygon(found)) for one, found in parts.items()] or [(code, shape)]


def snapped(shape: BaseGeometry) -> BaseGeometry:
    """Return the shape on the grid of the file, valid, polygons only."""
    shape = shapely.set_precision(shapely.make_valid(shape), 1 / UNITS_PER_DEGREE)
    return MultiPolygon(polygons_of(shape))


def polygons_of(shape: BaseGeometry) -> list[Polygon]:
    """Return the polygons of a geometry, largest first, whatever it is made of."""
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, Polygon)]
    return sorted(parts, key=lambda part: (-part.area, part.bounds))


def pack_polygons(shapes: list[BaseGeometry]) -> dict[str, NDArray[Any]]:
    """Return coordinates as deltas of 1e-4 degree and the offsets of rings, polygons, countries."""
    _, coordinates, offsets = shapely.to_ragged_array([MultiPolygon(s.geoms) for s in shapes])
    units = np.rint(coordinates * UNITS_PER_DEGREE).astype(np.int32)
    deltas = np.diff(units, axis=0, prepend=np.zeros((1, 2), np.int32))
    rings, polygons, countries = (np.asarray(offset, dtype=np.int32) for offset in offsets)
    # Columns apart and bytes apart compress far better than interleaved.
    return {"deltas": deltas.T.copy(), "rings": rings, "polygons": polygons, "countries": countries}


def classify_cells(shapes: list[MultiPolygon]) -> tuple[NDArray[np.uint16], list[tuple[int, ...]]]:
    """Return the grid `[1800, 3600]` (south to north, west to east) and its sets of countries.

    A cell holds `OPEN_SEA`, `LAND + i` where it lies wholly in country i, and otherwise the
    index of a set of countries, those to be asked, offset by `LAND + len(shapes)`. Set 0 is
    empty: sea near a coast.
    """
    rows, columns = 180 * CELLS_PER_DEGREE, 360 * CELLS_PER_DEGREE
    whole = np.full((rows, columns), -1, dtype=np.int16)
    touched: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, shape in enumerate(shapes):
        for row, column, size, inside in cells_touched(shape):
            if inside:
                whole[row : row + size, column : column + size] = index
            else:
                touched[row, column].append(index)
    grid = np.where(whole >= 0, LAND + whole, OPEN_SEA).astype(np.uint16)
    sets: list[tuple[int, ...]] = [(), *sorted({tuple(found) for found in touched.values()})]
    number = {found: LAND + len(shapes) + i for i, found in enumerate(sets)}
    coastal = near_coast(shapes, rows, columns) & (grid == OPEN_SEA)
    grid[coastal] = number[()]
    for (row, column), found in touched.items():
        grid[row, column] = number[tuple(found)]
    return grid, sets


def cells_touched(shape: BaseGeometry) -> list[tuple[int, int, int, bool]]:
    """Return (row, column, size in cells, wholly inside) of the squares that cover a shape."""
    found: list[tuple[int, int, int, bool]] = []
    shapely.prepare(shape)
    squares = np.array(
        [(row, column) for row in range(0, 1800, 90) for column in range(0, 3600, 90)]
    )
    for size, divisions in ((90, 3), (30, 3), (10, 2), (5, 5), (1, 0)):
        south, west = (squares / CELLS_PER_DEGREE - (90, 180)).T
        edge = size / CELLS_PER_DEGREE
        # A hair of margin: a point on a cell's edge may fall to either side by rounding.
        hair = 1e-9
        boxes = shapely.box(west - hair, south - hair, west + edge + hair, south + edge + hair)
        boxes = shapely.intersection(boxes, WORLD)
        touching = shapely.intersects(shape, boxes)
        inside = touching & shapely.covers(shape, boxes)
        found += [(int(r), int(c), size, True) for r, c in squares[inside]]
        partly = squares[touching & ~inside]
        if not divisions:
            found += [(int(r), int(c), 1, False) for r, c in partly]
            break
        steps = np.arange(divisions) * (size // divisions)
        offsets = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
        squares = (partly[:, None, :] + offsets[None, :, :]).reshape(-1, 2)
    return found


def near_coast(shapes: list[MultiPolygon], rows: int, columns: int) -> NDArray[np.bool_]:
    """Return which cells `[rows, columns]` may have land within `COAST_KM` of a point in them."""
    from scipy.spatial import cKDTree

    # Half a cell's diagonal, 8 km, and half the spacing of vertices are added to the limit.
    dense = shapely.segmentize(np.array(shapes, dtype=object), 0.1)
    tree = cKDTree(unit_vectors(np.unique(shapely.get_coordinates(dense), axis=0)[:, ::-1]))
    latitude = (np.arange(rows) + 0.5) / CELLS_PER_DEGREE - 90
    longitude = (np.arange(columns) + 0.5) / CELLS_PER_DEGREE - 180
    near = np.empty((rows, columns), dtype=np.bool_)
    reach = 2 * np.sin((COAST_KM + 8 + 7) / 6356.0 / 2)
    for row, value in enumerate(latitude):
        centres = unit_vectors(np.column_stack([np.full(columns, value), longitude]))
        near[row] = np.isfinite(tree.query(centres, distance_upper_bound=reach)[0])
    return near


def pack_sets(sets: list[tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """Return the sets of countries as one list and its offsets `[S + 1]`."""
    members = np.array([index for found in sets for index in found], dtype=np.uint8)
    return {"set_members": members, "set_offsets": np.cumsum([0, *map(len, sets)], dtype=np.int32)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
