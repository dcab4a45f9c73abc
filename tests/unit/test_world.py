"""The rendered world: same seed, same pixels; gallery photos say where, queries do not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.world import World, read_world, write_world
from evaluation.world_camera import Camera, Surface, render
from evaluation.world_lettering import lettering
from evaluation.world_places import TOWNS, UNSEEN_TOWN
from geo.errors import InputError
from index_builder.metadata import read_metadata


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return write_world(tmp_path_factory.mktemp("world"), scenes=1, views=2)


def test_same_seed_draws_the_same_pixels(world: World, tmp_path: Path) -> None:
    again = write_world(tmp_path, scenes=1, views=2)
    first = [world.path(shot).read_bytes() for shot in world.gallery + world.queries]
    assert [again.path(shot).read_bytes() for shot in again.gallery + again.queries] == first


def test_gallery_photos_carry_their_true_position(world: World) -> None:
    for shot in world.gallery:
        claimed = read_metadata(world.path(shot)).position
        assert claimed is not None
        assert claimed.latitude == pytest.approx(shot.latitude, abs=1e-6)
        assert claimed.longitude == pytest.approx(shot.longitude, abs=1e-6)


def test_queries_carry_no_metadata_and_no_telling_name(world: World) -> None:
    for shot in world.queries:
        path = world.path(shot)
        assert read_metadata(path).positions == ()
        with Image.open(path) as photo:
            assert not photo.getexif()
            assert photo.size == (1024, 768)
        assert not shot.town or shot.town.split()[0].lower() not in path.name.lower()


def test_queries_hold_a_known_an_unseen_and_an_open_place(world: World) -> None:
    assert [shot.expected for shot in world.queries] == ["located", "region", "undetermined"]
    assert {shot.scene for shot in world.gallery} == {world.queries[0].scene}
    assert world.queries[2].words == ()


def test_world_on_disk_is_read_back_and_another_one_is_not(world: World) -> None:
    assert read_world(world.folder, scenes=1, views=2) == world
    assert read_world(world.folder, scenes=1, views=2, seed=8) is None
    assert read_world(world.folder / "missing") is None


@pytest.mark.parametrize(("scenes", "views"), [(0, 4), (17, 4), (12, 0), (12, 13)])
def test_numbers_out_of_limits_are_refused(tmp_path: Path, scenes: int, views: int) -> None:
    with pytest.raises(InputError, match="limit 1 to"):
        write_world(tmp_path / "w", scenes=scenes, views=views)
    assert not (tmp_path / "w").exists()


def test_a_wall_is_seen_where_the_pinhole_model_puts_it() -> None:
    wall = np.zeros((100, 200, 3), np.uint8)
    wall[..., 0] = 255
    surface = Surface(wall, (-2.0, 1.0, 0.0), (4.0, 0, 0), (0, -2.0, 0))
    photo = render([surface], Camera((0.0, 0.0, 10.0), (0.0, 0.0, 0.0), 1000.0))
    red = (photo[..., 0] > 180) & (photo[..., 1] < 60)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    assert columns[0] == pytest.approx(512 - 200, abs=2)
    assert columns[-1] == pytest.approx(512 + 200, abs=2)
    assert rows[0] == pytest.approx(384 - 100, abs=2)
    assert rows[-1] == pytest.approx(384 + 100, abs=2)


def test_a_wall_is_not_seen_from_behind() -> None:
    wall = np.full((10, 10, 3), (255, 0, 0), np.uint8)
    surface = Surface(wall, (-2.0, 1.0, 0.0), (4.0, 0, 0), (0, -2.0, 0))
    photo = render([surface], Camera((0.0, 0.0, -10.0), (0.0, 0.0, 0.0), 1000.0))
    assert not ((photo[..., 0] > 180) & (photo[..., 1] < 60)).any()


def test_every_accent_on_the_signs_adds_ink() -> None:
    for town in (*TOWNS, UNSEEN_TOWN):
        for word in (*town.shops, town.street, town.poster):
            for letter in {letter for letter in word if ord(letter) > 127}:
                assert lettering(letter, 60).any(), f"{letter} of {town.name} is not drawn"
    assert lettering("Ä", 60).shape[0] > lettering("A", 60).shape[0]
    assert not np.array_equal(lettering("Ł", 60), lettering("L", 60))
