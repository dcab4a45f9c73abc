"""Searches that no engine has in one call: fusion of several spaces, and near duplicates left out.

Fusion is exact by the threshold algorithm (Fagin, Lotem and Naor, PODS 2001): a point that no
space has among its best `depth` cannot have a sum above the sum of the spaces' last scores.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from encoders.local_features import hash_distance
from index_builder.points import PAGE, Payload, PointStore, Vector, Where

if TYPE_CHECKING:
    from index_builder.points import ScoredPoint

Hits = list[tuple[Payload, float]]
"""Payloads and scores, the best first."""
FIRST_DEPTH, LAST_DEPTH = 64, 8192
"""Points of each space that a fused search begins with; beyond the last it compares with all."""
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
        count = limit + 16
        while True:
            hits = find(count)
            kept = [(p, s) for p, s in hits if not self._same(p, sign * s / spaces)]
            if len(kept) >= limit or len(hits) < count:
                return kept[:limit]
            count *= 4

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
    depth = max(FIRST_DEPTH, 4 * limit)
    while depth <= max(LAST_DEPTH, 4 * limit):
        seen: dict[str, tuple[Payload, float]] = {}
        ceiling, complete = 0.0, False
        for space, vector in vectors.items():
            hits = store.search(space, vector, depth, where=where, exact=exact, with_vectors=True)
            complete = complete or len(hits) < depth
            ceiling += hits[-1].score if hits else 0.0
            for hit in hits:
                seen.setdefault(str(hit.payload["id"]), (hit.payload, _sum(hit, vectors)))
        best = _best(list(seen.values()), limit)
        if complete or (len(best) == limit and best[-1][1] >= ceiling):
            return best
        depth *= 4
    return _compare_all(store, vectors, limit, where)


def _sum(hit: "ScoredPoint", vectors: Mapping[str, Vector]) -> float:
    return sum(float(hit.vectors[space] @ vector) for space, vector in vectors.items())


def _best(hits: Hits, limit: int) -> Hits:
    """Sort by score; of equal ones the smaller id first, so that no order of storage shows."""
    return sorted(hits, key=lambda hit: (-hit[1], str(hit[0]["id"])))[:limit]


def _compare_all(
    store: PointStore, vectors: Mapping[str, Vector], limit: int, where: Where
) -> Hits:
    best: Hits = []
    waiting: Hits = []
    for point in store.scan(where=where, with_vectors=True):
        total = sum(float(np.dot(point.vectors[s], v)) for s, v in vectors.items())
        waiting.append((point.payload, total))
        if len(waiting) >= PAGE + limit:
            best, waiting = _best(best + waiting, limit), []
    return _best(best + waiting, limit)
