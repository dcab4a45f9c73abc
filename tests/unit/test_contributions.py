"""What each piece of evidence does: signs, sizes, and no artefact of how belief is kept."""

import math
from collections.abc import Sequence
from functools import partial

import pytest

from agent.belief import Belief, believe, summarise
from agent.contributions import MOST, Contribution, contributions
from agent.factors import Settlements
from tools.evidence import Candidate, Evidence

HERE, FAR = (48.2, 11.6), (43.3, 5.4)


def seen(
    point: tuple[float, float], group: str, weight: float = 0.9, radius_km: float = 0.2
) -> Evidence:
    candidate = Candidate(
        latitude=point[0], longitude=point[1], radius_km=radius_km, score=1.0, rank=1,
        source="gallery:test", kind="photo",
    )  # fmt: skip
    return Evidence(
        tool="look", kind="match", summary=group, candidates=(candidate,), weight=weight,
        group=group,
    )  # fmt: skip


def effects(
    items: Sequence[Evidence], settlements: Settlements
) -> tuple[dict[str, Contribution], Belief]:
    under = partial(believe, settlements=settlements)
    belief = under(items)
    told = summarise(belief)
    point = told.latitude, told.longitude
    found = contributions(items, belief, point, told.km_50, under)
    names = {item.id: item.summary for item in items}
    return {names[one.evidence_id]: one for one in found}, belief


def test_for_against_and_without_effect(countryside: Settlements) -> None:
    items = [
        seen(HERE, "a", 0.95), seen(HERE, "b", 0.3, 20.0), seen(FAR, "other", 0.9),
        seen(FAR, "mute", 0.0),
    ]  # fmt: skip
    found, _ = effects(items, countryside)
    assert set(found) == {"a", "b", "other"}
    assert found["a"].bits > 0
    assert found["b"].bits > 0
    assert found["other"].bits < 0
    assert found["other"].without > 0.5 > found["a"].without
    assert [abs(one.bits) for one in found.values()] == sorted(
        (abs(one.bits) for one in found.values()), reverse=True
    )


def test_alone_it_weighs_what_its_place_was_unlikely_before(countryside: Settlements) -> None:
    """Half of belief within some hundred metres, of a world that is spread over a continent."""
    found, belief = effects([seen(HERE, "alone")], countryside)
    radius_km = summarise(belief).km_50
    even = 0.5 / (radius_km**2 / 4 / 6371.0**2)  # over an evenly believed globe
    assert 3 < found["alone"].bits < math.log2(even)
    assert found["alone"].without > 1e-9
    assert found["alone"].moved_km > 10


def test_the_weightiest_are_left_out_in_turn(settlements: Settlements) -> None:
    items = [seen(HERE, f"g{number}", 0.1 + number / 100) for number in range(MOST + 3)]
    found, _ = effects(items, settlements)
    assert set(found) == {item.summary for item in items[3:]}


@pytest.mark.parametrize("turned", [False, True])
def test_order_and_duplicates_do_not_matter(settlements: Settlements, turned: bool) -> None:
    items = [seen(HERE, "a"), seen(FAR, "b", 0.4), seen(HERE, "c", 0.3, 50.0)]
    plain, _ = effects(items, settlements)
    again, _ = effects([*items[::-1], items[0]] if turned else [*items, *items], settlements)
    assert again == plain
