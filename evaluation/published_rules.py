"""Rules of published systems as their code has them, faults included, to be measured beside ours.

Written anew from a description of the code, in numpy and without any of our own geometry. Nothing
that locates photos uses them.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
EARTH_KM = 6371.0
DUALGEO_EPS_KM = 50.0
_DECIMAL = re.compile(r"[-+]?\d+\.\d+")


class FourierPlaces:
    """A location encoder with G3's front end: flat Mercator, random Fourier features, three scales.

    The trained layers behind are left out: whatever they are, NaN stays NaN in them.

    Args:
        seed: of the frozen random frequencies.
        features: frequencies of each scale.
    """

    SIGMAS = (1.0, 16.0, 256.0)

    def __init__(self, seed: int = 0, features: int = 64) -> None:
        generator = np.random.default_rng(seed)
        self._frequencies = np.concatenate(
            [generator.normal(0, sigma, (features, 2)) for sigma in self.SIGMAS]
        )

    def __call__(self, points: npt.ArrayLike) -> Floats:
        """Return unit rows `[N, D]` of latitude, longitude in degrees `[N, 2]`; NaN beyond 90."""
        with np.errstate(all="ignore"):
            turns = 2 * np.pi * mercator(points) @ self._frequencies.T
            rows = np.concatenate([np.cos(turns), np.sin(turns)], axis=1)
        return np.asarray(rows / np.sqrt(len(self._frequencies)))


def mercator(points: npt.ArrayLike) -> Floats:
    """Return y, x of EPSG:3857 over 20037508.34 m, `[N, 2]`; infinite beyond 90 degrees."""
    latitude, longitude = np.asarray(points, dtype=np.float64).reshape(-1, 2).T
    with np.errstate(all="ignore"):
        y = np.arcsinh(np.tan(np.radians(latitude))) / np.pi  # 12.1 at a pole
    y = np.where(np.abs(latitude) > 90, np.copysign(np.inf, latitude), y)
    return np.column_stack([y, longitude / 180])


def g3_read(text: str) -> tuple[float, float]:
    """Return the coordinate of a model's answer: its first two decimals, else (0, 0)."""
    found = _DECIMAL.findall(text)
    return (float(found[0]), float(found[1])) if len(found) > 1 else (0.0, 0.0)


def g3_choice(photo: Floats, rows: Floats) -> int:
    """Return the candidate that G3 verifies: argmax of cosines, which takes the first NaN.

    Args:
        photo: `[D]` unit vector.
        rows: `[N, D]` unit vectors of the candidates.
    """
    with np.errstate(all="ignore"):
        return int(np.argmax(rows @ photo))


def g3_answer(photo: Floats, encode: FourierPlaces, pool: Sequence[tuple[float, float]]) -> Floats:
    """Return G3's answer, latitude and longitude `[2]`: an impossible latitude becomes 0."""
    best = np.asarray(pool[g3_choice(photo, encode(pool))], dtype=np.float64)
    best[0] = best[0] if abs(best[0]) <= 90 else 0.0
    return best


def dualgeo_centre(pool: Sequence[tuple[float, float]]) -> Floats:
    """Return DualGeo's centre `[2]` of the first 20: the mean in degrees of the largest cluster.

    DBSCAN with two samples: chains of candidates at most 50 km apart. Without any, of all.
    """
    points = np.asarray(pool[:20], dtype=np.float64)
    groups = [group for group in _chains(_apart_km(points) <= DUALGEO_EPS_KM) if len(group) > 1]
    chosen = max(groups, key=lambda group: (len(group), -group[0]), default=range(len(points)))
    return np.asarray(points[list(chosen)].mean(axis=0))


def dualgeo_order(pool: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the first 20 candidates by distance to `dualgeo_centre`."""
    points = np.asarray([dualgeo_centre(pool), *pool[:20]], dtype=np.float64)
    return [int(i) for i in np.argsort(_apart_km(points)[0, 1:], kind="stable")]


def pigeon_refine(photo: Floats, members: Floats) -> int:
    """Return the member of a cluster that PIGEON's refiner takes: the *largest* distance."""
    return int(np.argmax(np.linalg.norm(members - photo, axis=1)))


def batch_attention(photos: Floats, heads: int) -> Floats:
    """Return what DualGeo's attention makes of photos `[N, D]`: each attends to the others.

    Its tensors are viewed as (heads, batch, width), so that the product is over the batch.
    """
    parts = photos.reshape(len(photos), heads, -1).transpose(1, 0, 2)
    logits = parts @ parts.transpose(0, 2, 1) / np.sqrt(parts.shape[2])
    powers = np.exp(logits - logits.max(axis=2, keepdims=True))
    mixed = powers / powers.sum(axis=2, keepdims=True) @ parts
    return np.asarray(photos + mixed.transpose(1, 0, 2).reshape(photos.shape))


def _apart_km(points: Floats) -> Floats:
    """Haversine distances `[N, N]` on a sphere of 6371 km."""
    latitude, longitude = np.radians(points).T
    chord = (
        np.sin((latitude[:, None] - latitude) / 2) ** 2
        + np.cos(latitude[:, None])
        * np.cos(latitude)
        * np.sin((longitude[:, None] - longitude) / 2) ** 2
    )
    return np.asarray(2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(chord, 0, 1))))


def _chains(near: npt.NDArray[np.bool_]) -> list[list[int]]:
    """Return the connected components of a table `[N, N]`, by their first members."""
    left, groups = set(range(len(near))), []
    while left:
        group, edge = set[int](), {min(left)}
        while edge:
            group |= edge
            edge = {int(j) for i in edge for j in np.flatnonzero(near[i])} - group
        left -= group
        groups.append(sorted(group))
    return groups
