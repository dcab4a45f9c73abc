"""Poisoned pools: how often a published rule answers wrongly, and how often ours does.

Pools are drawn with a seed: some candidates around a truth, some far off, and poison of one class.
An answer is wrong if it is no place, or farther from the truth than the best sound candidate by
more than `SLACK_KM`. Ours is asked four times: as drawn, in another order, with copies, and with
longitudes a turn on; a row fails where ours is ever not finite or not the same.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders.base import EncoderCard, Points, Vectors, check_coordinates
from evaluation.bench import Measurement
from evaluation.published_rules import FourierPlaces, dualgeo_centre, g3_answer
from geo.errors import InputError
from geo.sphere import haversine_km
from tools.clustering import robust_clusters
from tools.proposed import ProposedPlace
from tools.verify import compare

POOLS = 2_000
"""Of each class: 10,000 together."""
SLACK_KM = 50.0
Place = tuple[float, float]
Answer = tuple[float, float] | None
Poison = Callable[[np.random.Generator], list[Place]]
ENCODE = FourierPlaces()
TOLERANCE = 1e-9


class FourierEncoder:
    """The published rule's own encoder of places, so that only the rules differ."""

    card = EncoderCard(
        name="fourier", fingerprint="f" * 64, spaces={"gps": 384}, alignment="gps",
        image_spaces=("gps",), location_spaces=("gps",), temperature=40.0,
    )  # fmt: skip

    def encode_locations(self, coordinates: npt.ArrayLike) -> dict[str, Vectors]:
        """Encode places, each on its own."""
        return {"gps": np.asarray(ENCODE(check_coordinates(coordinates)), dtype=np.float32)}

    def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
        """Refuse: pools are compared with the vector of the truth."""
        raise InputError(f"{len(images)} photos for an encoder of places alone; give places")

    def encode_texts(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """Refuse, likewise."""
        raise InputError(f"{len(texts)} texts for an encoder of places alone; give places")


def none(generator: np.random.Generator) -> list[Place]:
    """Return no poison: what the rules do where nothing is wrong."""
    return []


def impossible(generator: np.random.Generator) -> list[Place]:
    """Return one to three latitudes beyond a pole, NaN or infinity."""
    kinds = [(97.0, 2.0), (-90.5, 10.0), (math.nan, 3.0), (math.inf, 0.0), (5.0, math.nan)]
    return [kinds[i] for i in generator.integers(0, len(kinds), generator.integers(1, 4))]


def copies(generator: np.random.Generator) -> list[Place]:
    """Return one far place many times, as one photo that a gallery holds often."""
    return [_anywhere(generator)] * int(generator.integers(4, 12))


VERIFIED: tuple[tuple[str, Poison], ...] = (
    ("no poison", none),
    ("an impossible candidate", impossible),
)
CLUSTERED: tuple[tuple[str, Poison, bool], ...] = (
    ("no poison", none, False), ("across the antimeridian", none, True),
    ("copies of one candidate", copies, False),
)  # fmt: skip


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield, for each class of pools, how often the published rule and ours are wrong."""
    yield from measured(POOLS)


def measured(pools: int) -> Iterator[Measurement]:
    """Yield the rows of `measure` over so many pools of each class."""
    for name, poison in VERIFIED:
        yield _row(f"G3's verification, {name}", pools, poison, _published_pick, _our_pick, False)
    for name, poison, far_east in CLUSTERED:
        yield _row(
            f"DualGeo's centre, {name}", pools, poison, _published_centre, _our_centre, far_east
        )


def _row(
    name: str,
    pools: int,
    poison: Poison,
    published: Callable[[Place, list[Place]], Answer],
    ours: Callable[[Place, list[Place]], Answer],
    far_east: bool,
) -> Measurement:
    """Draw pools of one class and count wrong answers of both rules, and unsteady ones of ours."""
    generator = np.random.default_rng(0)
    wrong, theirs, unsteady = 0, 0, 0
    for _ in range(pools):
        truth, sound = _pool(generator, far_east=far_east)
        listed = [*sound, *poison(generator)]
        order = generator.permutation(len(listed)).tolist()
        pool = [listed[i] for i in order]
        near = min(_apart(truth, one) for one in sound)
        theirs += not _apart(truth, published(truth, pool)) <= near + SLACK_KM
        answer = ours(truth, pool)
        wrong += not _apart(truth, answer) <= near + SLACK_KM
        unsteady += any(
            not _same(answer, ours(truth, other)) for other in _rewritten(pool, generator)
        )
    return Measurement(
        name, 100 * wrong / pools, f"% of {pools:,} pools wrong, {unsteady} unsteady",
        f"published {100 * theirs / pools:.1f} %", "no more than published, 0 unsteady",
        not unsteady and wrong <= theirs,
    )  # fmt: skip


def _pool(generator: np.random.Generator, *, far_east: bool) -> tuple[Place, list[Place]]:
    """Return a truth and candidates: 5 within some 20 km of it, 3 anywhere."""
    truth = (float(generator.uniform(-60, 60)), 180.0 if far_east else _anywhere(generator)[1])
    near = [(truth[0] + a, _wrapped(truth[1] + b)) for a, b in generator.normal(0, 0.1, (5, 2))]
    far = [_anywhere(generator) for _ in range(3)]
    return truth, [(round(a, 5), round(b, 5)) for a, b in (*near, *far)]


def _anywhere(generator: np.random.Generator) -> Place:
    return round(float(generator.uniform(-70, 70)), 5), round(
        float(generator.uniform(-179, 179)), 5
    )


def _wrapped(longitude: float) -> float:
    return (float(longitude) + 180) % 360 - 180


def _rewritten(pool: list[Place], generator: np.random.Generator) -> Iterator[list[Place]]:
    """Yield the same pool in another order, with copies, and with longitudes a turn on."""
    yield [pool[i] for i in generator.permutation(len(pool))]
    yield [*pool, *pool[: len(pool) // 2]]
    yield [(a, round(b + 360 * int(generator.integers(-1, 2)), 5)) for a, b in pool]


def _published_pick(truth: Place, pool: list[Place]) -> Answer:
    latitude, longitude = g3_answer(ENCODE([truth])[0], ENCODE, pool)
    return float(latitude), float(longitude)


def _our_pick(truth: Place, pool: list[Place]) -> Answer:
    vector = np.asarray(ENCODE([truth])[0], dtype=np.float32)
    places = [ProposedPlace(latitude=a, longitude=b) for a, b in pool]
    verified, _ = compare(FourierEncoder(), vector, places)
    return (verified[0].latitude, verified[0].longitude) if verified else None


def _published_centre(truth: Place, pool: list[Place]) -> Answer:
    latitude, longitude = dualgeo_centre(pool)
    return float(latitude), float(longitude)


def _our_centre(truth: Place, pool: list[Place]) -> Answer:
    latitude, longitude = pool[robust_clusters(pool).best]
    return latitude, _wrapped(longitude)


def _apart(truth: Place, answer: Answer) -> float:
    """Return km on a sphere of 6371 km; NaN where the answer is none."""
    if answer is None or not all(map(math.isfinite, answer)):
        return math.nan
    points: Points = np.array([truth, answer])
    return float(haversine_km(*points[0], *points[1]))


def _same(one: Answer, other: Answer) -> bool:
    if one is None or other is None or not np.isfinite([*one, *other]).all():
        return False
    return bool(np.allclose(one, other, rtol=0, atol=TOLERANCE))
