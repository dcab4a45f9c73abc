"""Points of a small world, every engine that can hold them, and numpy to say what is right."""

import hashlib
import itertools
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import strategies as st

from geo.sphere import haversine_km
from index_builder import edge_points
from index_builder.points import (
    LOCATION,
    Box,
    Circle,
    IndexSettings,
    Payload,
    PointStore,
    Ring,
    StoredPoint,
    Vector,
    Where,
)
from index_builder.server_calls import Patience
from tests.qdrant_stub import qdrant_stub

COUNT = 500
SPACES = {"image": 48, "text": 16}
COUNTRIES = ("AT", "FJ", "NZ", "AQ", "")
SOURCES = ("mp-16", "a, b", "Fotos vom Süden")
AUTHORS = ("ann", "Zoë", "'; DROP", "7", "", "0123456789abcdef0123456789abcdef")
LICENCES = ("CC0", "CC BY 4.0")
QUICK = Patience(write_s=5, read_s=2, answer_s=5, first_pause_s=0.01, longest_pause_s=0.05)


def unit(vectors: npt.NDArray[np.floating[Any]]) -> Vector:
    """Return rows of length one."""
    whole: Vector = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return whole


def photo_id(row: int) -> str:
    return hashlib.sha256(str(row).encode()).hexdigest()


@dataclass(frozen=True)
class World:
    """Points, and the same as arrays: `[N]` each, vectors `[N, D]`."""

    points: Sequence[StoredPoint]
    vectors: dict[str, Vector]
    latitudes: npt.NDArray[np.float64]
    longitudes: npt.NDArray[np.float64]
    rows: dict[str, int]

    def column(self, key: str) -> list[str]:
        return [str(point.payload[key]) for point in self.points]


def make_world(count: int = COUNT, seed: int = 5) -> World:
    """Return points all over, many of them along longitude 180, near the poles and in one town."""
    draw = np.random.default_rng(seed)
    vectors = {space: unit(draw.normal(size=(count, size))) for space, size in SPACES.items()}
    latitudes = np.degrees(np.arcsin(draw.uniform(-1, 1, count)))
    longitudes = draw.uniform(-180, 180, count)
    fifth = count // 5
    longitudes[:fifth] = (180 + draw.normal(scale=5, size=fifth) + 180) % 360 - 180
    latitudes[:fifth] = draw.normal(-17, 6, fifth)
    latitudes[fifth : 2 * fifth] = 47.3 + draw.normal(scale=0.4, size=fifth)
    longitudes[fifth : 2 * fifth] = 11.4 + draw.normal(scale=0.4, size=fifth)
    latitudes[2 * fifth : 2 * fifth + 20] = draw.choice([-1, 1], 20) * draw.uniform(85, 90, 20)
    latitudes, longitudes = latitudes.round(6), longitudes.round(6)
    latitudes[-6:] = (90, 90, -90, 10, 10, -17)
    longitudes[-6:] = (0, 50, 10, 180, -180, 180)
    points = []
    for row in range(count):
        payload: Payload = {
            "id": photo_id(row),
            LOCATION: {"lat": float(latitudes[row]), "lon": float(longitudes[row])},
            "country": str(draw.choice(COUNTRIES)),
            "source": str(draw.choice(SOURCES)),
            "author": str(draw.choice(AUTHORS)),
            "licence": str(draw.choice(LICENCES)),
            "name": f"photo {row}.jpg",
            "accuracy_km": None,
            "members": row,
        }
        spaces = {space: vectors[space][row] for space in SPACES}
        points.append(StoredPoint(photo_id(row), spaces, payload))
    rows = {point.id: row for row, point in enumerate(points)}
    return World(points, vectors, latitudes, longitudes, rows)


WORLD = make_world()


def passing(world: World, where: Where) -> npt.NDArray[np.bool_] | None:
    """Return which points pass, or None where one is too near a border to say."""
    allowed = np.ones(len(world.points), dtype=bool)
    if where.circle:
        latitude, longitude, radius_km = where.circle
        far = np.asarray(haversine_km(latitude, longitude, world.latitudes, world.longitudes))
        if (np.abs(far / radius_km - 1) < 1e-3).any():  # Qdrant's sphere differs by as much
            return None
        allowed &= far <= radius_km
    if where.box:
        south, west, north, east = where.box
        allowed &= (world.latitudes >= south) & (world.latitudes <= north)
        after, before = world.longitudes >= west, world.longitudes <= east
        allowed &= (after & before) if west <= east else (after | before)
    if where.polygon:
        allowed &= in_polygon(world, where.polygon)
    for key, wanted, unwanted in (
        ("country", where.countries, where.exclude_countries),
        ("source", where.sources, where.exclude_sources),
        ("author", where.authors, where.exclude_authors),
    ):
        values = world.column(key)
        if wanted:
            allowed &= np.isin(values, sorted(wanted))
        if unwanted:
            allowed &= ~np.isin(values, sorted(unwanted))
    if where.exclude_ids:
        allowed &= ~np.isin(world.column("id"), sorted(where.exclude_ids))
    return allowed


def in_polygon(world: World, ring: Ring) -> npt.NDArray[np.bool_]:
    """Count crossings of a ray from each point, in three copies of the world side by side."""
    corners = [list(corner) for corner in ring]
    for before, corner in itertools.pairwise(corners):
        corner[1] = before[1] + (corner[1] - before[1] + 180) % 360 - 180
    inside = np.zeros(len(world.points), dtype=bool)
    latitudes = np.clip(world.latitudes, -90 + 1e-8, 90 - 1e-8)  # a pole on the edge is inside
    for turn in (-360, 0, 360):
        crossed = np.zeros(len(world.points), dtype=int)
        for (lat, lon), (to_lat, to_lon) in zip(corners, corners[1:] + corners[:1], strict=True):
            spans = (lat > latitudes) != (to_lat > latitudes)
            at = lon + (latitudes - lat) / ((to_lat - lat) or 1.0) * (to_lon - lon)
            crossed += spans & (world.longitudes + turn < at)
        inside |= crossed % 2 == 1
    return inside


def ids_of(world: World, allowed: npt.NDArray[np.bool_]) -> list[str]:
    """Return the ids of the points that pass, sorted."""
    return sorted(world.points[int(row)].id for row in np.flatnonzero(allowed))


def best_rows(
    world: World, space: str, query: Vector, limit: int, allowed: npt.NDArray[np.bool_]
) -> list[int]:
    """Return the rows that pass with the largest inner products."""
    rows = np.flatnonzero(allowed)
    order = np.argsort(-(world.vectors[space][rows] @ query), kind="stable")[:limit]
    return [int(row) for row in rows[order]]


def _degrees(most: float) -> st.SearchStrategy[float]:
    """Return angles as finely as engines keep them: 1e-33 degrees are the same as none."""
    return st.floats(-most, most, width=32).map(lambda degrees: round(degrees, 6))


_LATITUDES, _LONGITUDES = _degrees(90), _degrees(180)
_CIRCLES = st.builds(
    Circle, _LATITUDES, _LONGITUDES, st.sampled_from([5.0, 60.0, 700.0, 5000.0, 15000.0, 20015.0])
)


@st.composite
def _boxes(draw: st.DrawFn) -> Box:
    """Return boxes; half of them cross longitude 180."""
    south, north = sorted((draw(_LATITUDES), draw(_LATITUDES)))
    return Box(south, draw(_LONGITUDES), north, draw(_LONGITUDES))


@st.composite
def _polygons(draw: st.DrawFn) -> Ring:
    """Return stars around a centre, which may lie on longitude 180."""
    count = draw(st.integers(3, 9))
    latitude = draw(st.floats(-60, 60, width=32))
    longitude = draw(st.sampled_from([180.0, 178.5, -175.0, 11.4, 0.0]) | _LONGITUDES)
    angles = [2 * np.pi * (corner + draw(st.floats(0, 0.6))) / count for corner in range(count)]
    ring = []
    for angle in angles:
        radius = draw(st.floats(2, 29))
        east = longitude + 2 * radius * np.sin(angle)
        ring.append((float(latitude + radius * np.cos(angle)), float((east + 180) % 360 - 180)))
    return tuple(ring)


def _some(values: Sequence[str]) -> st.SearchStrategy[set[str]]:
    return st.just(set()) | st.sets(st.sampled_from([*values, "nobody"]), max_size=3)


@st.composite
def conditions(draw: st.DrawFn) -> Where:
    """Return conditions: none, one or several at once."""
    area = draw(st.sampled_from(["", "circle", "box", "polygon", "two"]))
    return Where(
        circle=draw(_CIRCLES) if area in ("circle", "two") else None,
        box=draw(_boxes()) if area in ("box", "two") else None,
        polygon=draw(_polygons()) if area == "polygon" else (),
        countries=draw(_some(COUNTRIES)),
        sources=draw(_some(SOURCES)),
        authors=draw(_some(AUTHORS)),
        exclude_countries=draw(_some(COUNTRIES)),
        exclude_sources=draw(_some(SOURCES[:1])),
        exclude_authors=draw(_some(AUTHORS)),
        exclude_ids={photo_id(row) for row in draw(st.sets(st.integers(0, COUNT + 9)))},
    )


EXACT_ENGINES = ("edge", "client", "stub")
"""They compare with all anyway."""
APPROXIMATE_ENGINES = ("edge-int8", "edge-binary", "edge-hnsw", "edge-hnsw-int8")
SETTINGS = {
    "edge": IndexSettings(quantization="none"),
    "edge-int8": IndexSettings(),
    "edge-binary": IndexSettings(quantization="binary"),
    "edge-hnsw": IndexSettings(quantization="none", hnsw=True),
    "edge-hnsw-int8": IndexSettings(hnsw=True),
}


def engines() -> list[str]:
    """Return the names of all engines that this run can have."""
    real = ["server"] if os.environ.get("QDRANT_URL") else []
    return [*EXACT_ENGINES, *APPROXIMATE_ENGINES, *real]


Reopen = Callable[[], PointStore]


@contextmanager
def opened(engine: str, folder: Path, spaces: dict[str, int] | None = None) -> Iterator[Reopen]:
    """Yield a function that opens the engine's collection, empty at first and then as it was left.

    Edge quantizes and links these few points too, as it does by default from 10 MB on.
    """
    sizes = spaces or SPACES
    with ExitStack() as stack:
        if engine in SETTINGS:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(edge_points, "INDEXING_KB", 1)
            patch.setattr(edge_points, "FULL_SCAN_KB", 1)
            yield lambda: edge_points.EdgeStore(folder / "points", sizes, SETTINGS[engine])
            return
        yield _remote(engine, stack, sizes)


def _remote(engine: str, stack: ExitStack, sizes: dict[str, int]) -> Reopen:
    from qdrant_client import QdrantClient

    from index_builder.server_points import ServerStore

    if engine == "client":
        client = QdrantClient(":memory:", force_disable_check_same_thread=True)
        stack.callback(client.close)
        return lambda: ServerStore(client, "photos", sizes, patience=QUICK)
    name = f"graticule-test-{uuid.uuid4()}"
    url = stack.enter_context(qdrant_stub()).url if engine == "stub" else os.environ["QDRANT_URL"]
    key = os.environ.get("QDRANT_API_KEY") if engine == "server" else None

    def client_of() -> QdrantClient:
        headers = {"api-key": key} if key else None
        return QdrantClient(url=url, headers=headers, check_compatibility=False, timeout=30)

    def drop() -> None:
        client = client_of()
        client.delete_collection(name)
        client.close()

    stack.callback(drop)
    return lambda: ServerStore(client_of(), name, sizes, url=url, patience=QUICK)
