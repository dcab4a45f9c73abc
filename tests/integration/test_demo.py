"""The demo on the user's own photos: one position hidden, the others searched."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from evaluation.demo import prepare_world, split_user_photos
from evaluation.world import World
from geo.errors import InputError
from index_builder.metadata import read_metadata
from index_builder.records import Record
from index_builder.sources.folder import FolderSource


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return prepare_world(tmp_path_factory.mktemp("world"), scenes=2, views=2)


def test_a_world_already_there_is_not_drawn_again(world: World) -> None:
    before = {path: path.stat().st_mtime_ns for path in world.gallery_folder.iterdir()}
    assert prepare_world(world.folder, scenes=2, views=2) == world
    assert {path: path.stat().st_mtime_ns for path in world.gallery_folder.iterdir()} == before


def test_one_photo_is_hidden_and_the_others_are_staged(world: World, tmp_path: Path) -> None:
    demo = split_user_photos(world.gallery_folder, tmp_path)
    staged = [r for r in FolderSource(demo.gallery_folder) if isinstance(r, Record)]
    assert len(staged) == demo.photos == len(world.gallery) - 1
    assert read_metadata(demo.query_path).positions == ()
    assert demo.original.stem not in demo.query_path.name
    truth = read_metadata(demo.original).position
    assert truth is not None
    assert demo.truth.latitude == pytest.approx(truth.latitude)
    assert demo.nearest_km < 0.3
    assert demo.original.read_bytes() not in {record.read() for record in staged}


def test_the_same_photos_hide_the_same_one_whatever_they_are_called(
    world: World, tmp_path: Path
) -> None:
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for number, path in enumerate(sorted(world.gallery_folder.iterdir(), reverse=True)):
        shutil.copy(path, renamed / f"{number}.jpg")
    first = split_user_photos(world.gallery_folder, tmp_path / "a")
    second = split_user_photos(renamed, tmp_path / "b")
    assert first.original.read_bytes() == second.original.read_bytes()


def test_a_folder_that_cannot_be_used_is_refused_with_the_remedy(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    with pytest.raises(InputError, match="not a folder"):
        split_user_photos(folder, tmp_path / "work")
    folder.mkdir()
    with pytest.raises(InputError, match="no photo in"):
        split_user_photos(folder, tmp_path / "work")
    Image.new("RGB", (64, 64)).save(folder / "plain.jpg")
    with pytest.raises(InputError, match="carries a position"):
        split_user_photos(folder, tmp_path / "work")
    shutil.copy(world.path(world.gallery[0]), folder)
    with pytest.raises(InputError, match="only one photo"):
        split_user_photos(folder, tmp_path / "work")
    assert not (tmp_path / "work").exists()
