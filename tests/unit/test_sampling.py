"""Subsets and joins of sources: balanced, the same in any order, never more than they say."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import pytest
import s2geometry as s2
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import InputError
from index_builder.positions import Position
from index_builder.records import Record, Rejected, Source
from index_builder.sampling import JoinedSource, NamedSource, SampledSource, SamplePerCell


@dataclass
class ListSource:
    """A source in memory, of several parts."""

    found: Sequence[Record | Rejected]
    name: str = "list"
    part: int = 7

    def __iter__(self) -> Iterator[Record | Rejected]:
        return iter(self.found)

    def parts(self) -> Sequence[Source]:
        return [
            ListSource(self.found[start : start + self.part], self.name, self.part)
            for start in range(0, len(self.found), self.part)
        ]

    def count(self) -> int | None:
        return len(self.found)


def record(number: int, latitude: float = 48.0, longitude: float = 2.0) -> Record:
    return Record(f"r{number}", Position(latitude, longitude), b"")


def cell(one: Record, level: int) -> int:
    spot = s2.S2LatLng.FromDegrees(one.position.latitude, one.position.longitude)
    return int(s2.S2CellId(spot).parent(level).id())


def chosen(source: Source) -> list[Record]:
    return [one for one in source if isinstance(one, Record)]


places = st.tuples(st.floats(-60, 60), st.floats(-179, 179))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([(48.0, 2.0), (48.001, 2.0), (-33.0, 151.0)]) | places, max_size=60),
    st.integers(1, 5),
    st.sampled_from([0, 4, 8, 14]),
    st.randoms(use_true_random=False),
)
def test_a_sample_is_balanced_and_the_same_in_any_order(
    spots: list[tuple[float, float]], most: int, level: int, random: Random
) -> None:
    records = [record(number, *spot) for number, spot in enumerate(spots)]
    sample = SamplePerCell(most, level)
    source = SampledSource(ListSource(records), sample)
    found = chosen(source)
    counts = Counter(cell(one, level) for one in records)
    assert Counter(cell(one, level) for one in found) == {
        one: min(count, most) for one, count in counts.items()
    }
    shuffled = list(records)
    random.shuffle(shuffled)
    assert set(chosen(SampledSource(ListSource(shuffled), sample))) == set(found)
    assert found == [one for one in records if one in found]  # in the source's order
    assert source.count() == len(found)
    assert [one for part in source.parts() for one in chosen(part)] == found


def test_a_sample_keeps_what_cannot_be_used() -> None:
    rejected = Rejected("x", "broken")
    source = SampledSource(ListSource([record(1), rejected, record(2)]), SamplePerCell(1))
    assert rejected in list(source)
    assert len(list(source)) == 2


def test_a_larger_sample_holds_the_smaller() -> None:
    records = [record(number) for number in range(100)]
    few, more = (set(chosen(SampledSource(ListSource(records), SamplePerCell(k)))) for k in (5, 20))
    assert len(few) == 5
    assert few < more


@pytest.mark.parametrize(("records", "level"), [(0, 8), (-1, 8), (1, -1), (1, 31)])
def test_samples_that_are_none(records: int, level: int) -> None:
    with pytest.raises(InputError, match=r"limit 0 to 30|at least 1"):
        SamplePerCell(records, level)


def test_sources_are_joined_and_renamed() -> None:
    joined = JoinedSource([ListSource([record(1)], "a"), ListSource([record(2)], "b")])
    assert (joined.name, joined.count()) == ("a, b", 2)
    assert [part.name for part in joined.parts()] == ["a", "b"]
    named = NamedSource(joined, "mine")
    assert {one.position.source for one in chosen(named)} == {"mine"}
    assert [part.name for part in named.parts()] == ["mine", "mine"]
    assert named.count() == 2
