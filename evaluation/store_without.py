"""A gallery's points without some of them, as it is searched while it is measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from geo.errors import InputError
from index_builder.points import (
    EVERYWHERE,
    MAX_LIMIT,
    PointStore,
    ScoredPoint,
    StoredPoint,
    Vector,
    Where,
)


@dataclass
class StoreWithout:
    """A gallery's points without some: those of authors and those of ids. Only to read.

    Satisfies `index_builder.points.PointStore`.

    Attributes:
        store: what has the points; its owner closes it.
        authors: whose photos are not there.
        ids: photos that are not there.
    """

    store: PointStore
    authors: frozenset[str]
    ids: frozenset[str]
    _count: int | None = field(default=None, repr=False)

    def upsert(self, points: Sequence[StoredPoint]) -> None:
        """Refuse."""
        raise self._refusal()

    def search(
        self,
        space: str,
        vector: Vector,
        limit: int,
        *,
        where: Where = EVERYWHERE,
        exact: bool = False,
        with_vectors: bool = False,
    ) -> list[ScoredPoint]:
        """Return the best points that are left, as many as were asked for where there are."""
        # A filter of thousands of names would have engines leave their index: more is asked for.
        count = min(limit + 16, MAX_LIMIT)
        while True:
            hits = self.store.search(
                space, vector, count, where=where, exact=exact, with_vectors=with_vectors
            )
            kept = [hit for hit in hits if self._has(hit.payload)]
            if len(kept) >= limit or len(hits) < count:
                return kept[:limit]
            if count == MAX_LIMIT:
                return self.store.search(
                    space,
                    vector,
                    limit,
                    where=self._narrowed(where),
                    exact=exact,
                    with_vectors=with_vectors,
                )
            count = min(4 * count, MAX_LIMIT)

    def get(self, ids: Sequence[str], *, with_vectors: bool = False) -> list[StoredPoint]:
        """Return those of the ids that exist and are left."""
        found = self.store.get(ids, with_vectors=with_vectors)
        return [point for point in found if self._has(point.payload)]

    def scan(
        self, *, where: Where = EVERYWHERE, with_vectors: bool = False
    ) -> Iterator[StoredPoint]:
        """Yield every point that passes and is left."""
        for point in self.store.scan(where=where, with_vectors=with_vectors):
            if self._has(point.payload):
                yield point

    def count(self, where: Where = EVERYWHERE) -> int:
        """Return how many points pass and are left; of all it is counted once."""
        if where:
            return self.store.count(self._narrowed(where))
        if self._count is None:
            self._count = self.store.count(self._narrowed(EVERYWHERE))
        return self._count

    def counts(self, key: str) -> dict[str, int]:
        """Return how many points there are of each value; those left out count too."""
        return self.store.counts(key)

    def delete(self, where: Where) -> None:
        """Refuse."""
        raise self._refusal()

    def delete_ids(self, ids: Sequence[str]) -> None:
        """Refuse."""
        raise self._refusal()

    def optimize(self) -> None:
        """Do nothing: nothing is written."""

    def close(self) -> None:
        """Do nothing: whoever opened the store closes it."""

    def _has(self, payload: Mapping[str, JsonValue]) -> bool:
        return payload.get("author", "") not in self.authors and payload["id"] not in self.ids

    def _narrowed(self, where: Where) -> Where:
        return replace(
            where,
            exclude_authors=sorted({*where.exclude_authors, *self.authors}),
            exclude_ids=sorted({*where.exclude_ids, *self.ids}),
        )

    def _refusal(self) -> InputError:
        return InputError("a gallery is only read while it is measured; open it anew to change it")
