"""Two sessions side by side: symmetric where it must be, and nothing left out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.answer import Answer, Radii
from agent.answer_changes import changes, moved_km
from agent.factors import Settlements
from agent.session_compare import common_events, compare_sessions
from agent.sessions import Sessions
from geo.errors import InputError
from tests.unit.photo_samples import encoded, picture
from tests.unit.session_samples import quick_sessions

PHOTO = encoded(picture(120, 80, seed=1))


@pytest.fixture
def sessions(tmp_path: Path, settlements: Settlements) -> Iterator[Sessions]:
    with quick_sessions(tmp_path / "home", settlements) as held:
        yield held


def answer(
    latitude: float | None, longitude: float | None, km: float = 10.0, **more: object
) -> Answer:
    radii = Radii(km_50=km, km_80=2 * km, km_95=4 * km) if latitude is not None else None
    status = "located" if latitude is not None else "undetermined"
    given: dict[str, object] = {
        "status": status, "latitude": latitude, "longitude": longitude, "radii": radii,
        "explanation": "", "photo_id": "a" * 64, "photo_name": "",
        "stopped_because": "committed", "seconds": 1.0,
    }  # fmt: skip
    return Answer.model_validate({**given, **more})


def test_changes_are_told_in_words() -> None:
    before = answer(40.0, -3.0, 38.0, countries={"ES": 0.62, "FR": 0.3})
    after = answer(43.0, 0.0, 12.0, countries={"ES": 0.03, "FR": 0.95})
    told = changes(before, after)
    assert told == ("moved 417 km", "50 % radius 38 km → 12 km", "France 30 % → 95 %",
                    "Spain 62 % → 3 %")  # fmt: skip
    assert changes(before, before) == ()
    assert changes(before, answer(None, None))[0] == "located → undetermined"
    assert changes(answer(10.0, 179.9), answer(10.0, -179.9))[0] == "moved 22 km"
    assert moved_km(before, answer(None, None)) is None


def test_a_branch_is_compared_with_what_it_came_from(sessions: Sessions) -> None:
    info = sessions.create(PHOTO, name="one")
    sessions.send(info.id).wait(30)
    branch = sessions.fork(info.id, name="two")
    sessions.send(info.id, "It is in Germany").wait(30)
    sessions.send(branch.id, "It is not in Germany").wait(30)
    found = compare_sessions(sessions, info.id, branch.id)
    assert (found.first.said, found.second.said) == (
        ("It is in Germany",),
        ("It is not in Germany",),
    )
    assert found.branched_at == branch.parent_checkpoint
    assert found.common_events == common_events(
        list(sessions.events(info.id)), list(sessions.events(branch.id))
    )
    assert found.common_events > 5
    assert found.same_photos
    assert "not proof" in found.caution
    only = [one for one in found.evidence if bool(one.first) != bool(one.second)]
    assert found.evidence[: len(only)] == tuple(only)
    assert {bool(one.first) for one in only} == {True, False}
    assert found.shares["DE"][0] > found.shares["DE"][1]
    turned = compare_sessions(sessions, branch.id, info.id)
    assert turned.distance_km == pytest.approx(found.distance_km)
    assert turned.shares == {code: (b, a) for code, (a, b) in found.shares.items()}
    assert (turned.first, turned.second) == (found.second, found.first)
    assert (turned.branched_at, turned.common_events) == (found.branched_at, found.common_events)


def test_two_revisions_of_one_session_are_compared(sessions: Sessions) -> None:
    info = sessions.create(PHOTO)
    sessions.send(info.id, "hm").wait(30)
    sessions.send(info.id, "It is in Germany").wait(30)
    found = compare_sessions(sessions, info.id, info.id, 1, 2)
    assert (found.first.revision, found.second.revision) == (1, 2)
    assert (found.first.said, found.second.said) == (("hm",), ("hm", "It is in Germany"))
    assert found.first.tool_calls < found.second.tool_calls
    assert found.options == {}


def test_strangers_and_the_unanswered(sessions: Sessions) -> None:
    one, other = sessions.create(PHOTO), sessions.create(encoded(picture(64, 64, seed=9)))
    with pytest.raises(InputError, match="has not answered yet"):
        compare_sessions(sessions, one.id, other.id)
    for info in (one, other):
        sessions.send(info.id).wait(30)
    found = compare_sessions(sessions, one.id, other.id)
    assert (found.common_events, found.branched_at, found.same_photos) == (0, "", False)
    with pytest.raises(InputError, match="1 answers, not 2"):
        compare_sessions(sessions, one.id, other.id, 2)
