"""How far off predictions are, and what that comes to: vectorised, in plain arrays.

A photo without an answer is a miss at every threshold, scores nothing, and stays in every
denominator but those of mean and median distance, which say over how many they are.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from geo.errors import InputError
from geo.sphere import FloatArray, distance_km, haversine_km

Distance = Literal["haversine", "wgs84"]
Operator = Literal["le", "lt"]
THRESHOLDS_KM = (1.0, 25.0, 200.0, 750.0, 2500.0)
"""Street, city, region, country, continent: Vo, Jacobs and Hays, ICCV 2017."""
SIGNS: dict[Operator, str] = {"le": "<=", "lt": "<"}
DISTANCES: dict[Distance, str] = {
    "haversine": "haversine on a sphere of 6371 km",
    "wgs84": "geodesic on the WGS84 ellipsoid",
}
GEOSCORE_BEST = 5000.0
GEOSCORE_KM = 1492.7
"""Of OSV-5M (Astruc et al., CVPR 2024), after GeoGuessr."""
MAX_THRESHOLDS = 100


def errors_km(truths: FloatArray, predictions: FloatArray, distance: Distance) -> FloatArray:
    """Return how far predictions lie from the truth `[N]`, in km; NaN where there is no answer.

    Args:
        truths: `[N, 2]` latitude, longitude in degrees.
        predictions: `[N, 2]`; NaN in a row that has no answer.
        distance: `haversine` (6371 km, as published tables) or `wgs84` (geodesic).

    Raises:
        InputError: another distance, shapes that differ, or an impossible position.
    """
    if distance not in DISTANCES:
        raise InputError(f"distance {distance!r}: give one of {', '.join(get_args(Distance))}")
    if truths.shape != predictions.shape or truths.shape[1:] != (2,):
        raise InputError(
            f"truth of shape {list(truths.shape)} and predictions of {list(predictions.shape)}: "
            "give [N, 2] of the same photos in the same order"
        )
    errors = np.full(len(truths), np.nan)
    answered = np.isfinite(predictions).all(axis=1)
    measure = haversine_km if distance == "haversine" else distance_km
    errors[answered] = measure(*truths[answered].T, *predictions[answered].T)
    return errors


def within(errors: FloatArray, thresholds_km: Sequence[float], operator: Operator) -> FloatArray:
    """Return 1 where a photo is within a threshold and 0 elsewhere, `[N, T]`.

    Args:
        errors: `[N]` in km, NaN where there is no answer: within none.
        thresholds_km: T distances.
        operator: `le` for distance <= threshold, `lt` for distance < threshold.

    Raises:
        InputError: another operator.
    """
    if operator not in SIGNS:
        raise InputError(f"operator {operator!r}: give one of {', '.join(get_args(Operator))}")
    compare = np.less_equal if operator == "le" else np.less
    hits: NDArray[np.bool_] = compare(errors[:, None], np.asarray(thresholds_km)[None, :])
    return hits.astype(np.float64)


def geoscores(errors: FloatArray) -> FloatArray:
    """Return 5000 * exp(-distance / 1492.7 km) of each photo `[N]`; 0 where there is no answer."""
    scores: FloatArray = np.nan_to_num(GEOSCORE_BEST * np.exp(-errors / GEOSCORE_KM))
    return scores


def checked_thresholds(thresholds_km: Sequence[float]) -> tuple[float, ...]:
    """Return thresholds in rising order, each once.

    Raises:
        InputError: none, too many, or one that is no distance on Earth.
    """
    for one in thresholds_km:
        if not 0 < one <= 20_100:
            raise InputError(f"threshold {one!r} km: give more than 0, up to 20,100 km")
    if not 1 <= len(thresholds_km) <= MAX_THRESHOLDS:
        raise InputError(f"{len(thresholds_km)} thresholds: give 1 to {MAX_THRESHOLDS}")
    return tuple(sorted({float(one) for one in thresholds_km}))
