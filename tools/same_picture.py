"""Whether a further photo is the first one once more: encoded again, scaled, or cut out of it.

Its evidence would be the same evidence twice. Another view of the same place is no such picture:
what agrees there agrees in geometry, not pixel by pixel.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.local_features import LocalFeatures, extract_features
from tools.matching import PairMatch, verify_pair

if TYPE_CHECKING:
    from tools.photo_store import PhotoStore

Sameness = Literal["other", "same", "part"]
LEAST_INLIERS = 12
STRAIGHT_PX = 2.0
"""How far from a mere scaling and shift the median match of a cut may lie."""
ALIKE = 0.95
"""Least correlation of the two pictures over what the smaller one shows."""
WHOLE = 0.95
"""Of both sides: a cut that keeps so much is the whole picture."""
COMPARED_PX = 96
DARK_OR_FLAT = 2.0
"""Grey levels of standard deviation below which a correlation means nothing."""


def sameness(first: Image.Image, second: Image.Image) -> Sameness:
    """Return whether a second picture is the first (`same`), cut out of it (`part`), or neither.

    Args:
        first: upright pixels.
        second: upright pixels.
    """
    if _aspects_agree(first, second) and _correlation(first, second) >= ALIKE:
        return "same"
    a, b = extract_features(first), extract_features(second)
    match = verify_pair(a, b)
    if match.same_photo:
        return "same"
    box = _cut_of(match, a, b, first)
    if box is None:
        return "other"
    cut = first.crop(box)
    if _correlation(cut, second) < ALIKE:
        return "other"
    whole = min(cut.width / first.width, cut.height / first.height) >= WHOLE
    return "same" if whole else "part"


def same_as(photo_id: str, others: list[str], photos: "PhotoStore") -> tuple[Sameness, str]:
    """Return how a stored photo repeats one of others, and which: the first that it repeats."""
    picture = photos.image(photo_id)
    for other in others:
        found = sameness(photos.image(other), picture)
        if found != "other":
            return found, other
    return "other", ""


def _aspects_agree(first: Image.Image, second: Image.Image) -> bool:
    one, other = first.width / first.height, second.width / second.height
    return abs(one / other - 1) < 0.02


def _correlation(first: Image.Image, second: Image.Image) -> float:
    """Return the correlation of two pictures' grey levels, scaled to one frame; 0 for flat ones."""
    a, b = _grey(first), _grey(second)
    if min(a.std(), b.std()) < DARK_OR_FLAT:
        return 0.0
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def _grey(image: Image.Image) -> NDArray[np.float64]:
    small = image.convert("L").resize((COMPARED_PX, COMPARED_PX), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64)


def _cut_of(
    match: PairMatch, a: LocalFeatures, b: LocalFeatures, first: Image.Image
) -> tuple[int, int, int, int] | None:
    """Return which part of the first picture the second one shows, in pixels; None if none."""
    if match.inliers < LEAST_INLIERS:
        return None
    scale, shift, off = _scaled_shift(match.points_b, match.points_a)
    if off > STRAIGHT_PX or scale <= 0:
        return None
    per_px = first.width / a.width
    left, top = shift * per_px
    right, bottom = (shift + scale * np.array([b.width, b.height])) * per_px
    slack = 0.02 * max(first.size)
    if left < -slack or top < -slack or right > first.width + slack:
        return None
    if bottom > first.height + slack or right - left < 8 or bottom - top < 8:
        return None
    return (
        max(0, round(left)), max(0, round(top)),
        min(first.width, round(right)), min(first.height, round(bottom)),
    )  # fmt: skip


def _scaled_shift(
    source: NDArray[np.float32], target: NDArray[np.float32]
) -> tuple[float, NDArray[np.float64], float]:
    """Return the scale and shift that take points to others, and the median error in px."""
    x, y = source.astype(np.float64), target.astype(np.float64)
    centred = x - x.mean(axis=0)
    scale = float((centred * (y - y.mean(axis=0))).sum() / max((centred**2).sum(), 1e-9))
    shift = y.mean(axis=0) - scale * x.mean(axis=0)
    error = np.linalg.norm(scale * x + shift - y, axis=1)
    return scale, np.asarray(shift, dtype=np.float64), float(np.median(error))
