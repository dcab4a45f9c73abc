"""Sources made of other sources: the first records, a balanced subset, several, under one name."""

import hashlib
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from geo.errors import InputError
from index_builder.records import Record, Rejected, Source

MAX_LEVEL = 30
_HASH_BYTES = 16


@dataclass(frozen=True)
class SamplePerCell:
    """How to take a subset that no city dominates: at most so many records of each S2 cell."""

    records: int
    """Of each cell, those with the smallest hash of their name and place."""
    level: int = 8
    """Of the S2 cells: at 8 about 37 km across, two levels more make them a quarter as wide."""

    def __post_init__(self) -> None:
        """Refuse what is no subset.

        Raises:
            InputError: fewer than 1 record a cell, or a level outside 0 to 30.
        """
        if self.records < 1:
            raise InputError(f"{self.records} records a cell, at least 1 is needed; give more")
        if not 0 <= self.level <= MAX_LEVEL:
            raise InputError(f"S2 level {self.level}, limit 0 to {MAX_LEVEL}; choose another")


@dataclass
class SampledSource:
    """The subset of a source that `SamplePerCell` describes, in the source's order.

    The same records whatever their order. The first use reads the source through; what is kept
    is 16 bytes a chosen record.
    """

    source: Source
    sample: SamplePerCell
    step: Callable[[], None] | None = None
    """Called for each record of the first reading."""
    _chosen: "_Chosen | None" = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """See `Source.name`."""
        return self.source.name

    def __iter__(self) -> Iterator[Record | Rejected]:
        """See `Source.__iter__`; what cannot be used is yielded too."""
        for part in self.parts():
            yield from part

    def parts(self) -> Sequence[Source]:
        """See `Source.parts`."""
        if self._chosen is None:
            self._chosen = _Chosen(self.sample)
            for record in self.source:
                if isinstance(record, Record):
                    self._chosen.offer(record)
                    if self.step:
                        self.step()
        return [_Filtered(part, self._chosen) for part in self.source.parts()]

    def count(self) -> int | None:
        """See `Source.count`."""
        return self._chosen.count() if self._chosen else None


class _Chosen:
    """The records with the smallest hashes of each cell."""

    def __init__(self, sample: SamplePerCell) -> None:
        self._sample = sample
        self._smallest: dict[int, list[int]] = {}

    def offer(self, record: Record) -> None:
        """Choose this record if its hash is among the smallest of its cell so far."""
        cell, number = self._place(record)
        heap = self._smallest.setdefault(cell, [])
        # Negative, for the largest must be found at once; the same record twice counts once.
        if -number in heap:
            return
        if len(heap) < self._sample.records:
            heapq.heappush(heap, -number)
        else:
            heapq.heappushpop(heap, -number)

    def __contains__(self, record: Record) -> bool:
        cell, number = self._place(record)
        return -number in self._smallest.get(cell, ())

    def count(self) -> int:
        """Return how many records are chosen, those that say the same counted once."""
        return sum(map(len, self._smallest.values()))

    def _place(self, record: Record) -> tuple[int, int]:
        import s2geometry as s2

        at = record.position
        spot = s2.S2LatLng.FromDegrees(at.latitude, at.longitude)
        cell = s2.S2CellId(spot).parent(self._sample.level).id()
        stated = f"{record.name}\0{at.source}\0{at.latitude!r} {at.longitude!r}".encode()
        digest = hashlib.blake2b(stated, digest_size=_HASH_BYTES).digest()
        return cell, int.from_bytes(digest, "big")


@dataclass(frozen=True)
class _Filtered:
    """A part of a source without the records that were not chosen."""

    source: Source
    chosen: _Chosen

    @property
    def name(self) -> str:
        return self.source.name

    def __iter__(self) -> Iterator[Record | Rejected]:
        return (r for r in self.source if isinstance(r, Rejected) or r in self.chosen)

    def parts(self) -> Sequence[Source]:
        return [self]

    def count(self) -> int | None:
        return None


@dataclass(frozen=True)
class JoinedSource:
    """Several sources, one after the other; each keeps its name."""

    sources: Sequence[Source]

    @property
    def name(self) -> str:
        """See `Source.name`."""
        return ", ".join(dict.fromkeys(source.name for source in self.sources))

    def __iter__(self) -> Iterator[Record | Rejected]:
        """See `Source.__iter__`."""
        for source in self.sources:
            yield from source

    def parts(self) -> Sequence[Source]:
        """See `Source.parts`."""
        return [part for source in self.sources for part in source.parts()]

    def count(self) -> int | None:
        """See `Source.count`."""
        counts = [source.count() for source in self.sources]
        return None if None in counts else sum(filter(None, counts))


@dataclass(frozen=True)
class NamedSource:
    """A source under the name that its user gives it; its records are all of that name."""

    source: Source
    name: str

    def __iter__(self) -> Iterator[Record | Rejected]:
        """See `Source.__iter__`."""
        for one in self.source:
            yield under_name(one, self.name) if isinstance(one, Record) else one

    def parts(self) -> Sequence[Source]:
        """See `Source.parts`."""
        return [NamedSource(part, self.name) for part in self.source.parts()]

    def count(self) -> int | None:
        """See `Source.count`."""
        return self.source.count()


def under_name(record: Record, name: str) -> Record:
    """Return the record as one of the source `name`."""
    return replace(record, position=replace(record.position, source=name))
