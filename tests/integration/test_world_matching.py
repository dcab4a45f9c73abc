"""The matcher on the rendered world: every known corner is found, no look-alike is taken for it."""

from pathlib import Path

import pytest
from PIL import Image

from encoders.local_features import LocalFeatures, extract_features
from evaluation.world import Shot, World, write_world
from evaluation.world_places import TOWNS
from tools.matching import verify_pair

Features = dict[str, LocalFeatures]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return write_world(tmp_path_factory.mktemp("world"), scenes=5, views=3)


@pytest.fixture(scope="module")
def features(world: World) -> Features:
    return {shot.file: _features(world.path(shot)) for shot in world.gallery + world.queries}


def _features(path: Path) -> LocalFeatures:
    with Image.open(path) as photo:
        return extract_features(photo.convert("RGB"))


def _inliers(features: Features, query: Shot, others: list[Shot]) -> list[int]:
    return [verify_pair(features[query.file], features[o.file]).inliers for o in others]


@pytest.mark.slow
def test_every_known_corner_is_verified_by_its_own_photos(world: World, features: Features) -> None:
    for query in world.queries:
        if query.expected == "located":
            own = [shot for shot in world.gallery if shot.scene == query.scene]
            assert max(_inliers(features, query, own)) >= 30, query.town


@pytest.mark.slow
def test_no_query_is_verified_by_another_corner(world: World, features: Features) -> None:
    styles = [town.style for town in TOWNS[:5]]
    assert len(set(styles)) < len(styles), "the gallery must hold look-alikes"
    for query in world.queries:
        others = [shot for shot in world.gallery if shot.scene != query.scene]
        assert max(_inliers(features, query, others)) < 20, query.town
