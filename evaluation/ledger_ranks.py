"""How far down each stage's list the first point near enough is: what the ledger is made of."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Distance, Operator
from evaluation.runs import Point, RunRow, StageName, Truth
from geo import sphere
from geo.errors import InputError

Ranks = NDArray[np.int64]
NONE = np.iinfo(np.int64).max
"""Rank of what is in no list."""
SPHERE_ERROR = 0.01
"""More than the great circle on 6371 km differs from the ellipsoid, as a share: 0.56 % at most."""


def carried_ranks(ranks: Ranks, named: NDArray[np.bool_]) -> Ranks:
    """Return ranks `[S, N]` where a list that names nothing gives way to the former stage's."""
    given = ranks.copy()
    for stage in range(1, len(ranks) - 1):  # the last is the answer: none is a miss
        given[stage] = np.where(named[stage], ranks[stage], given[stage - 1])
    return given


def ranks_of(
    lists: Sequence[Sequence[Sequence[Point]]],
    truths: Sequence[Truth],
    limits: Sequence[float],
    distance: Distance,
    operator: Operator,
) -> list[Ranks]:
    """Return for each threshold the rank `[S, N]` of the first point within it, 0 the first."""
    photos = len(truths)
    flat = [
        (*point, rank, stage * photos + photo)
        for stage, row in enumerate(lists)
        for photo, points in enumerate(row)
        for rank, point in enumerate(points)
    ]
    table = np.array(flat, dtype=np.float64).reshape(-1, 4)
    rank, cell = table[:, 2].astype(np.int64), table[:, 3].astype(np.int64)
    where = np.array([(one.latitude, one.longitude) for one in truths], dtype=np.float64)
    far = distances_km(table[:, :2], where[cell % photos], limits, distance)
    found = []
    for limit in limits:
        within = far <= limit if operator == "le" else far < limit
        first = np.full(len(lists) * photos, NONE, dtype=np.int64)
        np.minimum.at(first, cell[within], rank[within])
        found.append(first.reshape(len(lists), photos))
    return found


def distances_km(
    points: NDArray[np.float64],
    truths: NDArray[np.float64],
    limits: Sequence[float],
    distance: Distance,
) -> NDArray[np.float64]:
    """Return distances `[M]` in km of points `[M, 2]` from truths `[M, 2]`, exact where it counts.

    A geodesic takes twenty times as long as a great circle, which is known to be near it: only
    what is close to a limit is measured on the ellipsoid.
    """
    (lat, lon), (true_lat, true_lon) = points.T, truths.T
    far = np.asarray(sphere.haversine_km(lat, lon, true_lat, true_lon), dtype=np.float64)
    if distance == "haversine":
        return far
    close = np.zeros(len(far), dtype=np.bool_)
    for limit in limits:
        close |= np.abs(far - limit) <= SPHERE_ERROR * limit
    far[close] = sphere.distance_km(lat[close], lon[close], true_lat[close], true_lon[close])
    return far


def listed(row: RunRow, stage: StageName) -> tuple[Point, ...]:
    """Return what a stage put forward for a photo; of the final one, the row's own answer."""
    if stage != "final":
        return row.stages.get(stage, ())
    if row.latitude is None or row.longitude is None:
        answer: tuple[Point, ...] = ()
    else:
        answer = ((row.latitude, row.longitude),)
    if row.stages.get("final", answer) != answer:
        raise InputError(
            f"photo {row.image_id!r:.80} is answered at {answer} and its last stage ends at "
            f"{row.stages['final']}: the row was changed; run that photo again"
        )
    return answer
