"""Expected calibration error: how far confidence is from the share of answers that are right."""

from math import erf, exp, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evaluation.cluster_resamples import wilson
from geo.errors import InputError
from geo.sphere import FloatArray
from tools.evidence import Record, Share

BINS = 10
LEAST_IN_BIN = 5


class ReliabilityBin(Record):
    """Photos of about equal confidence."""

    photos: int = Field(ge=1)
    confidence: Share
    """Their mean."""
    share_right: Share
    interval: tuple[float, float]
    """Wilson, 95 %."""


class CalibrationError(Record):
    """How far confidence is from being right.

    Attributes:
        photos: with this confidence and an answer; others make no claim that could be wrong.
        error: expected calibration error, the mean over bins of |share right - confidence|
            (Naeini et al., AAAI 2015), over bins of equal numbers of photos.
        debiased: less what chance is seen to add in bins of this size, not below 0 (Kumar, Liang
            and Ma, Verified uncertainty calibration, NeurIPS 2019, for the absolute error); what
            remains for an honest confidence is smaller, not nothing.
        brier: mean squared difference of confidence and outcome.
    """

    name: str
    photos: int = Field(ge=0)
    mean_confidence: Share | None
    share_right: Share | None
    error: Share | None
    debiased: Share | None
    brier: Share | None
    bins: tuple[ReliabilityBin, ...]


def calibration_error(
    name: str, confidence: FloatArray, right: NDArray[np.bool_], bins: int = BINS
) -> CalibrationError:
    """Return how far a confidence is from the share of answers that are right.

    Args:
        name: of the confidence.
        confidence: `[N]` from 0 to 1; NaN for photos that it says nothing of.
        right: `[N]`.
        bins: of equal numbers of photos, at least `LEAST_IN_BIN`; equal confidences share one, so
            bins can be fewer and larger.

    Raises:
        InputError: a confidence is outside 0 to 1, or the two differ in length.
    """
    if confidence.shape != right.shape:
        raise InputError(f"{confidence.size} confidences for {right.size} outcomes: give as many")
    has = np.isfinite(confidence)
    said, hit = confidence[has], right[has].astype(np.float64)
    if len(said) and not (said.min() >= 0 and said.max() <= 1):
        raise InputError(
            f"confidence from {said.min():g} to {said.max():g}: give shares from 0 to 1"
        )
    held = _bins(said, hit, bins)
    error = sum(one.photos * abs(one.share_right - one.confidence) for one in held)
    by_chance = sum(one.photos * _by_chance(one) for one in held)
    count = len(said)
    return CalibrationError(
        name=name,
        photos=count,
        mean_confidence=_mean(said),
        share_right=_mean(hit),
        error=error / count if count else None,
        debiased=max(0.0, 2 * error - by_chance) / count if count else None,
        brier=_mean((said - hit) ** 2),
        bins=held,
    )


def _bins(said: FloatArray, hit: FloatArray, bins: int) -> tuple[ReliabilityBin, ...]:
    count = len(said)
    wanted = max(1, min(bins, count // LEAST_IN_BIN))
    _, group, size = np.unique(said, return_inverse=True, return_counts=True)
    middle = np.cumsum(size) - size / 2  # of each tie, so that none is cut by luck of sorting
    number = np.minimum((middle * wanted / max(1, count)).astype(int), wanted - 1)[group]
    return tuple(_bin(said[number == one], hit[number == one]) for one in np.unique(number))


def _bin(said: FloatArray, hit: FloatArray) -> ReliabilityBin:
    interval = wilson(int(hit.sum()), len(hit))
    assert interval is not None
    return ReliabilityBin(
        photos=len(said),
        confidence=float(said.mean()),
        share_right=float(hit.mean()),
        interval=interval,
    )


def _by_chance(one: ReliabilityBin) -> float:
    """Return the mean |share right - confidence| of bins drawn anew around the observed share.

    The share of `n` photos is about normal; the mean of a folded normal is in closed form.
    """
    middle = one.share_right - one.confidence
    spread = sqrt(one.share_right * (1 - one.share_right) / one.photos)
    if not spread:
        return abs(middle)
    scaled = middle / spread
    folded = spread * sqrt(2 / pi) * exp(-(scaled**2) / 2)
    return folded + middle * erf(scaled / sqrt(2))


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if len(values) else None
