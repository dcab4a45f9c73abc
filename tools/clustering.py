"""Where candidates agree: DualGeo's published rule, and a robust one.

The published rule averages latitudes and longitudes, so it fails at the antimeridian and at the
poles, counts one photo as often as it is listed, and invents a place when nothing agrees. It is
kept, exactly, for comparison; `robust_clusters` has none of these faults.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.sphere import (
    EARTH_RADIUS_KM,
    FloatArray,
    distance_km,
    haversine_km,
    medoid_index,
    wrap_longitude,
)
from tools.evidence import ToolError
from tools.proposed import place_key

EPS_KM = 50.0
MIN_SAMPLES = 2
TOP = 20
"""DualGeo's constants (Cui et al., arXiv 2604.25533): neighbourhood, cluster size, candidates."""
MINIMUM_RADIUS_KM = 0.1
MAXIMUM_LONGITUDE = 540
"""Degrees: one turn off, as some programs write it; what is beyond is no longitude."""


@dataclass(frozen=True)
class DualGeoRanking:
    """What DualGeo's rule makes of candidates.

    Attributes:
        centre: latitude, longitude: arithmetic means in degrees.
        order: indices of the first 20 candidates by distance to the centre, nearest first.
        labels: cluster of each of them, -1 for none.
        agreed: whether there was a cluster; if not, the centre is the mean of all.
    """

    centre: tuple[float, float]
    order: tuple[int, ...]
    labels: tuple[int, ...]
    agreed: bool


@dataclass(frozen=True)
class Cluster:
    """Candidates of which each has another within `eps_km`.

    Attributes:
        medoid: index of the member with the least total distance to the others.
        members: indices of the members that count, best score first.
        radius_km: distance from the medoid that holds half of the other members.
    """

    medoid: int
    members: tuple[int, ...]
    radius_km: float


@dataclass(frozen=True)
class Clustering:
    """Clusters, most members first, and what is in none.

    Attributes:
        clusters: empty where no two candidates are within `eps_km`.
        alone: indices of candidates without a neighbour, best score first.
        duplicates: indices not counted, and the candidate each repeats.
        best: medoid of the first cluster; the best candidate if there is no cluster.
    """

    clusters: tuple[Cluster, ...]
    alone: tuple[int, ...]
    duplicates: dict[int, int]
    best: int


def dualgeo_rule(points: ArrayLike, eps_km: float = EPS_KM) -> DualGeoRanking:
    """Re-rank candidates `[N, 2]` (latitude, longitude), best first, exactly as DualGeo does.

    DBSCAN (haversine on 6371 km, 2 samples) over the first 20; the largest cluster, on a tie
    the lowest label; centre = arithmetic mean in degrees, of all 20 if there is no cluster;
    order = ascending haversine distance to it. Cui et al., DualGeo, arXiv 2604.25533.
    Raises ToolError without candidates.
    """
    top = _checked(points)[:TOP]
    labels = _dbscan(top, eps_km)
    agreed = bool((labels >= 0).any())
    chosen = labels == np.bincount(labels[labels >= 0]).argmax() if agreed else labels == -1
    latitude, longitude = (float(value) for value in top[chosen].mean(axis=0))
    distance = haversine_km(top[:, 0], top[:, 1], latitude, longitude)
    order = np.argsort(distance, kind="stable")
    return DualGeoRanking(
        (latitude, longitude), tuple(order.tolist()), tuple(labels.tolist()), agreed
    )


def robust_clusters(
    points: ArrayLike,
    scores: Sequence[float] | None = None,
    sources: Sequence[str] | None = None,
    eps_km: float = EPS_KM,
) -> Clustering:
    """Cluster candidates `[N, 2]` on the sphere; neither order nor longitude wraps matter.

    DBSCAN as above (with 2 samples it yields the connected components, whatever the order), a
    medoid as centre so that the answer is always one of the candidates, and one vote for each
    place a source names. Clusters are ordered by members, then total score, then tightness,
    then the score and position of the medoid. Raises ToolError without candidates.
    """
    array = _checked(points)
    array = np.column_stack([array[:, 0], wrap_longitude(array[:, 1])])
    weight = np.ones(len(array)) if scores is None else np.asarray(scores, dtype=np.float64)
    names = [""] * len(array) if sources is None else list(sources)
    if len(weight) != len(array) or len(names) != len(array):
        raise ToolError(f"{len(array)} candidates need as many scores and sources: give one each")
    if not np.isfinite(weight).all():
        raise ToolError("a score is not finite: give each candidate a number, or leave it out")
    ranked = sorted(range(len(array)), key=lambda i: (-weight[i], *array[i], names[i]))
    kept, duplicates = _without_duplicates(ranked, array, names)
    labels = _dbscan(array[kept], eps_km)
    groups = [[kept[i] for i in np.flatnonzero(labels == one)] for one in range(labels.max() + 1)]
    clusters = [_cluster(members, array) for members in groups]
    clusters.sort(
        key=lambda c: (
            -len(c.members),
            -round(float(weight[list(c.members)].sum()), 9),
            round(c.radius_km, 6),
            ranked.index(c.medoid),
        )
    )
    alone = tuple(kept[i] for i in np.flatnonzero(labels == -1))
    best = clusters[0].medoid if clusters else kept[0]
    return Clustering(tuple(clusters), alone, duplicates, best)


def _checked(points: ArrayLike) -> FloatArray:
    try:
        array = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ToolError("candidates are not all pairs of numbers: drop the others") from None
    if array.size == 0:
        raise ToolError("0 candidates cannot be clustered: give at least 1")
    if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
        raise ToolError("candidates must be finite [latitude, longitude] pairs: drop the others")
    if (np.abs(array[:, 0]) > 90).any():
        raise ToolError("a latitude is outside -90..90 degrees: drop that candidate")
    if (np.abs(array[:, 1]) > MAXIMUM_LONGITUDE).any():
        raise ToolError(f"a longitude is beyond {MAXIMUM_LONGITUDE} degrees: drop that candidate")
    return array


def _dbscan(points: FloatArray, eps_km: float) -> NDArray[np.int64]:
    """Return the label of each point `[N, 2]`, numbered by first member, -1 for none."""
    from sklearn.cluster import DBSCAN

    rule = DBSCAN(
        eps=eps_km / EARTH_RADIUS_KM,
        min_samples=MIN_SAMPLES,
        metric="haversine",
        algorithm="ball_tree",
    )
    return np.asarray(rule.fit_predict(np.radians(points)), dtype=np.int64)


def _without_duplicates(
    ranked: list[int], points: FloatArray, names: list[str]
) -> tuple[list[int], dict[int, int]]:
    """Return the indices that count, in rank order, and which of them each other one repeats."""
    first: dict[tuple[str, float, float], int] = {}
    duplicates: dict[int, int] = {}
    for i in ranked:
        key = (names[i], *place_key(*points[i]))
        if first.setdefault(key, i) != i:
            duplicates[i] = first[key]
    return list(first.values()), duplicates


def _cluster(members: list[int], points: FloatArray) -> Cluster:
    """Return the cluster of members in rank order: a tie for the medoid goes to the best ranked."""
    medoid = members[medoid_index(points[members])]
    others = points[[i for i in members if i != medoid]]
    latitude, longitude = points[medoid]
    distances = distance_km(latitude, longitude, others[:, 0], others[:, 1])
    return Cluster(medoid, tuple(members), max(MINIMUM_RADIUS_KM, float(np.median(distances))))
