"""What a belief claims about one photo, and how good the claim was once the truth is known."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo import sphere

if TYPE_CHECKING:
    from agent.answer import Radii
    from agent.belief import Belief

Floats = NDArray[np.float64]

LEVELS = (0.5, 0.8, 0.95)
"""Shares of belief that an answer's three radii hold."""
FARTHEST_KM = float(np.pi * sphere.EARTH_RADIUS_KM)
"""Haversine distance of antipodes."""
DISC_KM = 25.0
EVEN_SHARE = 1e-3
"""Share of an even globe that is mixed in before a logarithm is taken, so that it is finite."""
DRAWS = 256
"""Points that stand for belief where pairs of points are compared."""
_LOGITS = np.log(np.array(LEVELS) / (1 - np.array(LEVELS)))
_TAIL = 2.0


def confidence_from_radii(radii_km: ArrayLike, km: ArrayLike) -> Floats:
    """Return the share of belief within a distance of the answer, as its radii tell it, `[N]`.

    A stand-in for belief itself: F(km_50) = 0.5, F(km_80) = 0.8 and F(km_95) = 0.95; between them
    the log-odds of F grow linearly with the logarithm of the distance, and outside with slope 2:
    F falls with the square of the distance near the point, 1 - F beyond. Exact for belief's own
    kernel, where F = d^2 / (d^2 + r^2); for belief in several far places it is only a guess.

    Args:
        radii_km: `[N, 3]` radii that hold 50, 80 and 95 %, km; NaN where there are none. One that
            is smaller than the one before counts as equal to it.
        km: distances, `[N]` or one for all, km; not negative, infinity included.

    Returns:
        Shares from 0 to 1, rising with `km`; NaN where there are no radii.
    """
    radii = np.maximum.accumulate(np.asarray(radii_km, dtype=np.float64).reshape(-1, 3), axis=1)
    away = np.broadcast_to(np.asarray(km, dtype=np.float64), len(radii))
    with np.errstate(divide="ignore", over="ignore"):
        x, (first, second, last) = np.log(away), np.log(radii).T
        pieces = [
            _TAIL * (x - first),
            _between(x, first, second, _LOGITS[0], _LOGITS[1]),
            _between(x, second, last, _LOGITS[1], _LOGITS[2]),
        ]
        odds = np.select([x < first, x < second, x < last], pieces, _LOGITS[2] + _TAIL * (x - last))
        share = 1 / (1 + np.exp(-odds))
    share = np.where(away >= FARTHEST_KM, 1.0, share)
    return np.where(np.isnan(radii).any(axis=1), np.nan, share)


def _between(x: Floats, start: Floats, end: Floats, low: float, high: float) -> Floats:
    width = np.where(end > start, end - start, 1.0)
    return low + (high - low) * np.clip((x - start) / width, 0.0, 1.0)


def mass_within(
    belief: "Belief", km: Sequence[float], latitude: float, longitude: float
) -> list[float]:
    """Return the shares of belief within these distances of a point, as its radii count them."""
    return [float(share) for share in belief.mass_within(km, latitude, longitude)]


def radii_row(radii: "Radii | None") -> tuple[float, float, float]:
    """Return an answer's radii in km, NaN where it has none."""
    if radii is None:
        return (np.nan, np.nan, np.nan)
    return (radii.km_50, radii.km_80, radii.km_95)


def log_score(belief: "Belief", latitude: float, longitude: float) -> float:
    """Return the logarithm of belief's density at the truth over that of an even globe, nats.

    The density is the mean over the disc of `DISC_KM` around the truth: what was believed of a
    place is asked, not of a point. 0 is knowing nothing, larger is better; the least possible is
    the logarithm of `EVEN_SHARE`. Logarithmic score: Good, Rational decisions, JRSS B 14 (1952).
    """
    [mass] = mass_within(belief, [DISC_KM], latitude, longitude)
    disc = (1 - np.cos(DISC_KM / sphere.EARTH_RADIUS_KM)) / 2
    return float(np.log((1 - EVEN_SHARE) * mass / disc + EVEN_SHARE))


def energy_score_km(belief: "Belief", latitude: float, longitude: float) -> float:
    """Return the energy score of belief at the truth, km; 0 is best, smaller is better.

    E d(X, truth) - E d(X, X') / 2 for X, X' independent and as belief has them: the CRPS with
    great-circle distances, proper since those are of negative type (Gneiting and Raftery, JASA
    102 (2007), 4.3; Gangolli 1967). The second term is that of `DRAWS` points drawn evenly
    along the mass.
    """
    away = sphere.haversine_km(latitude, longitude, *belief.points.T)
    reached = np.cumsum(belief.mass)
    steps = (np.arange(DRAWS) + 0.5) / DRAWS * reached[-1]
    drawn = belief.points[np.minimum(np.searchsorted(reached, steps), len(reached) - 1)]
    spread = sphere.pairwise_haversine_km(drawn).mean()
    return float(away @ belief.mass / reached[-1] - spread / 2)
