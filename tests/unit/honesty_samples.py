"""Synthetic runs whose honesty is known: truths are drawn from what the answers claim."""

import numpy as np

from agent.answer import Radii
from evaluation.runs import RunRow, Truth
from geo import sphere

Pair = tuple[Truth, RunRow]


def radii(scale_km: float) -> Radii:
    """Return the radii of belief's own kernel, where F = d^2 / (d^2 + r^2)."""
    return Radii(km_50=scale_km, km_80=2 * scale_km, km_95=19**0.5 * scale_km)


def drawn_run(
    count: int,
    *,
    seed: int = 0,
    stated: float = 1.0,
    verbal: bool = True,
    failed: int = 0,
    authors: int = 0,
) -> list[Pair]:
    """Return photos whose truths are drawn from kernels of 0.5 to 2,000 km.

    Args:
        count: of answered photos.
        seed: of the draw.
        stated: factor on the radii that answers state; below 1 is overconfident.
        verbal: whether a model says 1 to 5, half by how sure it may be, half at random.
        failed: further photos without an answer.
        authors: how many there are; 0 leaves all unknown.
    """
    generator = np.random.default_rng(seed)
    scale = np.exp(generator.uniform(np.log(0.5), np.log(2000), count))
    share = generator.uniform(size=count)
    # The kernel's tail reaches past the antipode, where the Earth ends.
    away = np.minimum(scale * np.sqrt(share / (1 - share)), 19_000)
    points = np.stack([generator.uniform(-60, 70, count), generator.uniform(-180, 180, count)], 1)
    truths = sphere.points_of(_moved(points, generator.uniform(0, 2 * np.pi, count), away))
    said = np.clip(np.round(3.5 - np.log10(scale) + generator.normal(0, 1.5, count)), 1, 5) / 5
    pairs = [
        (
            _truth(index, truths[index], authors),
            RunRow(
                image_id=f"photo-{index}",
                latitude=float(points[index, 0]),
                longitude=float(points[index, 1]),
                status="located",
                radii=radii(float(scale[index]) * stated),
                verbal_confidence=float(said[index]) if verbal else None,
            ),
        )
        for index in range(count)
    ]
    return pairs + [_failed(count + index, authors) for index in range(failed)]


def _truth(index: int, point: np.ndarray, authors: int) -> Truth:
    author = f"author-{index % authors}" if authors else ""
    latitude, longitude = float(point[0]), float(point[1])
    return Truth(image_id=f"photo-{index}", latitude=latitude, longitude=longitude, author=author)


def _failed(index: int, authors: int) -> Pair:
    truth = _truth(index, np.array([10.0, 10.0]), authors)
    return truth, RunRow(image_id=truth.image_id, status="failed", reason="no answer")


def _moved(points: np.ndarray, bearing: np.ndarray, away_km: np.ndarray) -> np.ndarray:
    """Return unit vectors at haversine distances from points along bearings."""
    latitude, longitude = np.radians(points).T
    east = np.stack([-np.sin(longitude), np.cos(longitude), np.zeros(len(points))], 1)
    north = np.stack(
        [
            -np.sin(latitude) * np.cos(longitude),
            -np.sin(latitude) * np.sin(longitude),
            np.cos(latitude),
        ],
        1,
    )
    along = north * np.cos(bearing)[:, None] + east * np.sin(bearing)[:, None]
    angle = (away_km / sphere.EARTH_RADIUS_KM)[:, None]
    moved: np.ndarray = sphere.unit_vectors(points) * np.cos(angle) + along * np.sin(angle)
    return moved
