"""How well a photo's vector fits places: finite cosines, whatever an encoder returns.

A damaged checkpoint or a service gone wrong gives NaN, infinity or rows of another length for some
places. Such a row would win an argmax (NaN) or outdo every cosine (length 3). It is told apart
here from a row of zeros, by which an encoder says that it knows nothing of a place; neither is
compared, and the other places are compared as if it had not been there.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from encoders.base import Points, Vectors, alignment_scores, off_unit
from geo.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from encoders.base import AlignedEncoder

COSINE_DIGITS = 6
"""What is beyond depends on how many rows a processor multiplies at once."""
Mask = npt.NDArray[np.bool_]


class LocationScores(NamedTuple):
    """Cosines of a photo with `N` places."""

    cosines: Points
    """`[N]` float64 of six digits, -1 to 1; 0 where the place cannot be compared."""
    known: Mask
    """`[N]`: places that can be compared."""
    broken: Mask
    """`[N]`: places whose row is not finite or not of unit length."""


def score_locations(encoder: "AlignedEncoder", vector: Vectors, points: Points) -> LocationScores:
    """Return how well places fit a photo, each on its own.

    Args:
        encoder: that aligns photos with places.
        vector: `[D]`, the photo's unit vector in its alignment space.
        points: `[N, 2]` latitude, longitude in degrees, N at least 1.

    Raises:
        InputError: the photo's vector is not finite, zero, not of unit length, or of another width.
        UnavailableError: the encoder gave other rows than one for each place.
    """
    card = encoder.card
    if not vector.any():
        raise InputError("photo vector is zero: the encoder saw nothing in it; compare no place")
    found = encoder.encode_locations(points).get(card.alignment)
    if found is None or found.shape != (len(points), card.spaces[card.alignment]):
        raise UnavailableError(
            f"encoder {card.name!r} gave vectors of shape {getattr(found, 'shape', None)} for "
            f"{len(points)} places in {card.spaces[card.alignment]} dimensions; check its "
            "weights, or the service it runs in"
        )
    broken = off_unit(found)
    rows = np.where(broken[:, None], np.float32(0), found)
    cosines = alignment_scores(card, {card.alignment: vector[None]}, {card.alignment: rows})[0]
    rounded = np.round(cosines.astype(np.float64), COSINE_DIGITS) + 0.0
    return LocationScores(rounded, np.logical_not((rows == 0).all(axis=1)), broken)
