"""Searches that no engine has in one call: fusion of several spaces, and near duplicates left out.

Fusion is exact by the threshold algorithm (Fagin, Lotem and Naor, PODS 2001): a point that no
space has among its best `depth` cannot have a sum above the sum of the spaces' last scores.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from encoders.local_features import hash_distance
from index_builder.points import (
    MAX_LIMIT,
    PAGE,
    Payload,
    PointStore,
    StoredPoint,
    Vector,
    Where,
    check_limit,
)

if TYPE_CHECKING:
    from index_builder.points import ScoredPoint

Hits = list[tuple[Payload, float]]
"""Payloads and scores, the best first."""
FIRST_DEPTH = 64
"""Points of each space that a fused search begins with; four times as many each further time."""
ROUNDING = 1e-5
"""How much sums of the same numbers may differ between the engine and numpy."""
SAME_COSINE = 0.95
SAME_HASH_BITS = 6


@dataclass(frozen=True)
class NearDuplicates:
    """What counts as the same picture as a photo: looks nearly the same, or hashes nearly so."""

    cosine: float = SAME_COSINE
    """Mean cosine of the spaces searched from which on it is the same."""
    dhash: int | None = None
    """Difference hash of the photo, where known (`encoders.local_features.difference_hash`)."""
    bits: int = SAME_HASH_BITS
    """Bits of the hash that may differ."""

    def filter(self, find: Callable[[int], Hits], limit: int, sign: int, spaces: int) -> Hits:
        """Return the first `limit` hits that are none, asking for more until there are so many.

        Args:
            find: returns so many hits.
            limit: how many are wanted.
            sign: -1 where scores are negated.
            spaces: how many cosines a score sums.
        """
        count = min(limit + 16, MAX_LIMIT)
        while True:
            hits = find(count)
            kept = [(p, s) for p, s in hits if not self._same(p, sign * s / spaces)]
            if len(kept) >= limit or len(hits) < count or count == MAX_LIMIT:
                return kept[:limit]
            count = min(4 * count, MAX_LIMIT)

    def _same(self, payload: Payload, cosine: float) -> bool:
        if cosine >= self.cosine:
            return True
        stated = str(payload.get("dhash", ""))
        return (
            self.dhash is not None
            and stated != ""
            and hash_distance(self.dhash, int(stated, 16)) <= self.bits
        )


def search_one(
    store: PointStore, space: str, vector: Vector, limit: int, where: Where, *, exact: bool
) -> Hits:
    """Return the points of the largest inner product in one space; see `PointStore.search`."""
    found = store.search(space, vector, limit, where=where, exact=exact)
    return [(hit.payload, hit.score) for hit in found]


def search_fused(
    store: PointStore,
    vectors: Mapping[str, Vector],
    limit: int,
    where: Where,
    *,
    exact: bool = True,
) -> Hits:
    """Return the points of the largest sum of inner products over several spaces.

    Args:
        store: to search.
        vectors: for each space `[D]`.
        limit: how many.
        where: which points.
        exact: whether each space is searched exactly; the sum is then exact too.
    """
    sums: dict[str, float] = {}
    depth = max(FIRST_DEPTH, 4 * check_limit(limit))
    while depth < MAX_LIMIT:
        lists = [
            store.search(space, vector, depth, where=where, exact=exact)
            for space, vector in vectors.items()
        ]
        best = _best_of(store, vectors, lists, limit, sums)
        unseen = sum(hits[-1].score if hits else 0.0 for hits in lists)
        # A list that ends before `depth` holds every point there is, each of which has all spaces.
        complete = any(len(hits) < depth for hits in lists)
        if complete or (len(best) == limit and best[-1][1] >= unseen):
            return best
        depth *= 4
    return _compare_all(store, vectors, limit, where)


def _best_of(
    store: PointStore,
    vectors: Mapping[str, Vector],
    lists: "Sequence[Sequence[ScoredPoint]]",
    limit: int,
    sums: dict[str, float],
) -> Hits:
    """Return the best of the points in `lists`, fetching the vectors of those that may be.

    Args:
        store: to fetch from.
        vectors: for each space `[D]`.
        lists: for each space its best points.
        limit: how many.
        sums: those known already, by id; grows.
    """
    payloads = {_id(hit.payload): hit.payload for hits in lists for hit in hits}
    known = [{_id(hit.payload): hit.score for hit in hits} for hits in lists]
    last = [hits[-1].score if hits else 0.0 for hits in lists]
    at_most = {
        one: sum(scores.get(one, end) for scores, end in zip(known, last, strict=True))
        for one in payloads
    }
    waiting = sorted(payloads, key=lambda one: -at_most[one])
    best: Hits = []
    for start in range(0, len(waiting), PAGE):
        if len(best) == limit and best[-1][1] > at_most[waiting[start]] + ROUNDING:
            break
        page = waiting[start : start + PAGE]
        for point in store.get([one for one in page if one not in sums], with_vectors=True):
            sums[point.id] = _sum(point, vectors)
        best = _best(best + [(payloads[one], sums[one]) for one in page if one in sums], limit)
    return best


def _id(payload: Payload) -> str:
    return str(payload["id"])


def _sum(point: StoredPoint, vectors: Mapping[str, Vector]) -> float:
    return sum(float(np.dot(point.vectors[space], vector)) for space, vector in vectors.items())


def _best(hits: Hits, limit: int) -> Hits:
    """Sort by score; of equal ones the smaller id first, so that no order of storage shows."""
    return sorted(hits, key=lambda hit: (-hit[1], _id(hit[0])))[:limit]


def _compare_all(
    store: PointStore, vectors: Mapping[str, Vector], limit: int, where: Where
) -> Hits:
    best: Hits = []
    waiting: Hits = []
    for point in store.scan(where=where, with_vectors=True):
        waiting.append((point.payload, _sum(point, vectors)))
        if len(waiting) >= PAGE + limit:
            best, waiting = _best(best + waiting, limit), []
    return _best(best + waiting, limit)
