"""The whole machine on the rendered world: answers, traces, streams, and what must not leak."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from agent import Answer, Geolocator
from agent.geolocator import answer_of
from agent.settings import Settings
from agent.trace import verify_trace
from evaluation.world import World, write_world
from geo import sphere
from geo.errors import InputError
from index_builder import build_gallery
from tests.unit.photo_samples import gps_exif

LIMA = (-12.0464, -77.0428)
LIMA_TAGS = {
    "GPSLatitudeRef": "S",
    "GPSLatitude": (12.0, 2.0, 47.04),
    "GPSLongitudeRef": "W",
    "GPSLongitude": (77.0, 2.0, 34.08),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return write_world(tmp_path_factory.mktemp("world"), scenes=3, views=3)


@pytest.fixture(scope="module")
def geolocator(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Geolocator]:
    folder = tmp_path_factory.mktemp("run")
    build_gallery(world.gallery_folder, folder / "g")
    settings = Settings(home=folder / "home")
    with Geolocator([folder / "g"], settings=settings) as geolocator:
        yield geolocator


@pytest.fixture(scope="module")
def located(geolocator: Geolocator, world: World) -> Answer:
    return geolocator.locate(world.path(world.queries[0]))


def without_clock(answer: Answer) -> dict[str, object]:
    """The answer less what a clock says, and where the trace lies."""
    return answer.model_dump(exclude={"seconds", "budget_spent", "trace_path"}) | {
        "steps": [step.model_dump(exclude={"seconds"}) for step in answer.steps]
    }


def test_a_known_corner_is_located_within_its_radius(located: Answer, world: World) -> None:
    truth = world.queries[0]
    assert located.status == "located"
    assert located.country == truth.country
    assert located.radii is not None
    assert located.latitude is not None
    assert located.longitude is not None
    away = sphere.distance_km(located.latitude, located.longitude, truth.latitude, truth.longitude)
    assert away < 0.3
    assert away < located.radii.km_95


def test_open_land_cannot_be_told(geolocator: Geolocator, world: World) -> None:
    answer = geolocator.locate(world.path(world.queries[-1]))
    assert (answer.status, answer.latitude, answer.radii) == ("undetermined", None, None)


def test_unknown_corner_is_a_region_in_the_right_country(
    geolocator: Geolocator, world: World
) -> None:
    answer = geolocator.locate(world.path(world.queries[-2]))
    assert answer.status == "region"
    assert answer.country == world.queries[-2].country


def test_every_claim_can_be_followed_to_its_tool_call(located: Answer) -> None:
    calls = {step.call_id: step for step in located.steps}
    for item in located.evidence:
        assert item.id in calls[item.call_id].evidence_ids
        if item.weight > 0:
            assert f"[{item.id}, {item.call_id}]" in located.explanation
    assert {verdict.evidence_id for verdict in located.verdicts} <= {e.id for e in located.evidence}
    assert all(verdict.reason for verdict in located.verdicts)


def test_the_ids_a_driver_is_told_are_the_ids_that_are_held(located: Answer) -> None:
    told = set(re.findall(r"\be[0-9a-f]{10}\b", " ".join(step.text for step in located.steps)))
    assert told
    assert told <= {item.id for item in located.evidence}


def test_text_evidence_says_where_it_was_read(located: Answer) -> None:
    (text,) = (item for item in located.evidence if item.kind == "text")
    assert text.box is not None


def test_the_same_photo_gives_the_same_answer(
    geolocator: Geolocator, world: World, located: Answer
) -> None:
    again = geolocator.locate(world.path(world.queries[0]))
    assert without_clock(again) == without_clock(located)


def test_the_trace_holds_the_answer_and_its_chain(located: Answer) -> None:
    path = Path(located.trace_path)
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    assert verify_trace(path) == len(lines)
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds[:2] == ["setup", "photo"]
    assert kinds[-1] == "answer"
    assert {"tool_call", "tool_result", "evidence", "belief"} <= set(kinds)


def test_steps_arrive_before_the_answer(geolocator: Geolocator, world: World) -> None:
    events = list(geolocator.stream(world.path(world.queries[-1])))
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    results = [event for event in events if event.kind == "tool_result"]
    assert results
    assert results[0].seconds < events[-1].seconds
    assert answer_of(events[-1]).status == "undetermined"


async def test_two_photos_are_located_at_once(
    geolocator: Geolocator, world: World, located: Answer
) -> None:
    first, second = await asyncio.gather(
        geolocator.alocate(world.path(world.queries[0])),
        geolocator.alocate(world.path(world.queries[-1])),
    )
    assert without_clock(first) == without_clock(located)
    assert second.status == "undetermined"
    kinds = [e.kind async for e in geolocator.astream(world.path(world.queries[-1]))]
    assert kinds[-1] == "answer"


class TestClaimedPosition:
    """A position in metadata is kept apart, and counts only where the user trusts it."""

    @pytest.fixture
    def photo(self, world: World, tmp_path: Path) -> Path:
        """Open land that claims to be Lima, in EXIF and in its name."""
        path = tmp_path / "lima_-12.0464_-77.0428.jpg"
        with Image.open(world.path(world.queries[-1])) as image:
            image.save(path, exif=gps_exif(**LIMA_TAGS))
        return path

    def test_it_is_shown_and_not_used(self, geolocator: Geolocator, photo: Path) -> None:
        answer = geolocator.locate(photo)
        assert answer.status == "undetermined"
        assert answer.claimed_latitude == pytest.approx(LIMA[0], abs=0.001)
        assert not answer.trusted_metadata

    def test_it_counts_where_the_user_trusts_it(self, geolocator: Geolocator, photo: Path) -> None:
        answer = geolocator.locate(photo, trust_metadata=True)
        assert (answer.status, answer.country) == ("located", "PE")

    def test_a_driver_is_told_neither_it_nor_the_file_name(
        self, geolocator: Geolocator, photo: Path
    ) -> None:
        held = geolocator.bench.photos.add(photo)
        state = geolocator.graph.invoke({"photo_id": held.id}, {"recursion_limit": 100})
        told = " ".join(str(message.content) for message in state["messages"])
        assert "12.04" not in told
        assert "lima" not in told.lower()


def test_a_hint_moves_the_answer(geolocator: Geolocator, world: World) -> None:
    answer = geolocator.locate(world.path(world.queries[-1]), hint="Mongolia")
    assert (answer.status, answer.country) == ("region", "MN")


def test_bytes_are_a_photo_too(geolocator: Geolocator, world: World) -> None:
    answer = geolocator.locate(world.path(world.queries[-1]).read_bytes())
    assert answer.status == "undetermined"


def test_what_is_no_photo_is_bad_input(geolocator: Geolocator) -> None:
    with pytest.raises(InputError):
        geolocator.locate(b"no photo")


def test_a_gallery_that_cannot_be_opened_leaves_none_locked(
    geolocator: Geolocator, tmp_path: Path, world: World
) -> None:
    build_gallery(world.gallery_folder, tmp_path / "g")
    with pytest.raises(InputError):
        Geolocator([tmp_path / "g", tmp_path / "none"], settings=geolocator.settings)
    with Geolocator([tmp_path / "g"], settings=geolocator.settings):
        pass
