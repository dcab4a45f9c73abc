"""Location encoder, photo head, temperature and ranking beside the public `geoclip` package."""

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.checkpoints import load_geoclip
from encoders.heads import Heads, PhotoFeatures

LIMIT = 1e-5
POINTS, PHOTOS, TOP = 10_000, 200, 50


@contextmanager
def bare_parents() -> Iterator[Path]:
    """Let modules of `geoclip` be imported one by one: its own start-up wants all of CLIP."""
    spec = importlib.util.find_spec("geoclip")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    before = {name: module for name, module in sys.modules.items() if name.startswith("geoclip")}
    for name in before:
        del sys.modules[name]
    for name, folder in (("geoclip", root), ("geoclip.model", root / "model")):
        parent = ModuleType(name)
        parent.__path__ = [str(folder)]
        sys.modules[name] = parent
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.script.*is deprecated")
            yield root / "model" / "weights"
    finally:
        for name in [name for name in sys.modules if name.startswith("geoclip")]:
            del sys.modules[name]
        sys.modules.update(before)


@pytest.fixture(scope="module")
def public() -> tuple[nn.Module, nn.Module, Tensor]:
    """Return the package's location encoder, its photo head, and its temperature."""
    with bare_parents() as weights:
        encoder: Any = importlib.import_module("geoclip.model.location_encoder").LocationEncoder()

        def read(name: str) -> Any:
            return torch.load(weights / name, map_location="cpu", weights_only=True)

        photo_head = nn.Sequential(nn.Linear(768, 768), nn.ReLU(), nn.Linear(768, 512))
        photo_head.load_state_dict(read("image_encoder_mlp_weights.pth"))
        return encoder.eval(), photo_head, read("logit_scale_weights.pth").exp()


@pytest.fixture(scope="module")
def ours() -> Heads:
    """Return our heads with the published weights, ready for inference."""
    heads = load_geoclip().eval().requires_grad_(False)
    heads.prepare()
    return heads


@pytest.fixture(scope="module")
def points() -> Tensor:
    """Return `[10000, 2]` coordinates spread evenly over the sphere, its edges among them."""
    generator = np.random.default_rng(20)
    latitude = np.degrees(np.arcsin(generator.uniform(-1, 1, POINTS)))
    longitude = generator.uniform(-180, 180, POINTS)
    places = np.stack((latitude, longitude), axis=1)
    places[:6] = [(90, 0), (-90, 0), (0, 180), (0, -180), (90, 180), (0, 0)]
    return torch.from_numpy(places)


@pytest.fixture(scope="module")
def places(
    public: tuple[nn.Module, nn.Module, Tensor], ours: Heads, points: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the unit vectors of the places: theirs, ours."""
    with torch.no_grad():
        theirs = [F.normalize(public[0](part), dim=1) for part in points.float().split(2048)]
        mine = [ours.encode_points(part)["gps"] for part in points.split(2048)]
    return torch.cat(theirs), torch.cat(mine)


@pytest.fixture(scope="module")
def photos(public: tuple[nn.Module, nn.Module, Tensor], ours: Heads) -> tuple[Tensor, Tensor]:
    """Return the unit vectors of 200 random CLIP features: theirs, ours."""
    features = torch.randn(PHOTOS, 768, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        theirs = F.normalize(public[1](features), dim=1)
        return theirs, ours.encode_photos(PhotoFeatures(features))["gps"]


def test_places_get_the_vectors_of_the_public_package(places: tuple[Tensor, Tensor]) -> None:
    theirs, mine = places
    assert mine.shape == (POINTS, 512)
    assert (mine - theirs).abs().max() <= LIMIT


def test_photos_get_the_vectors_of_the_public_package(photos: tuple[Tensor, Tensor]) -> None:
    theirs, mine = photos
    assert mine.shape == (PHOTOS, 512)
    assert (mine - theirs).abs().max() <= LIMIT


def test_the_temperature_is_the_published_one(
    public: tuple[nn.Module, nn.Module, Tensor], ours: Heads
) -> None:
    assert abs(ours.temperature - float(public[2])) <= LIMIT
    assert ours.temperature == pytest.approx(39.69, abs=0.01)


def test_photos_rank_the_places_as_the_public_package_does(
    photos: tuple[Tensor, Tensor], places: tuple[Tensor, Tensor]
) -> None:
    theirs, mine = photos[0] @ places[0].T, photos[1] @ places[1].T
    assert (mine - theirs).abs().max() <= LIMIT
    best, rank = theirs.topk(TOP)
    _, own = mine.topk(TOP)
    # Places whose scores are equal to within rounding may change places with one another.
    assert (theirs.gather(1, own) - best).abs().max() <= LIMIT
    assert (own == rank).float().mean() > 0.99
    assert (own[:, 0] == rank[:, 0]).float().mean() > 0.99
    assert len({tuple(row) for row in rank.tolist()}) > PHOTOS // 2


def test_importing_a_part_of_the_package_leaves_no_trace() -> None:
    before = {name: id(module) for name, module in sys.modules.items() if "geoclip" in name}
    with bare_parents():
        importlib.import_module("geoclip.model.location_encoder")
        assert "geoclip.model.location_encoder" in sys.modules
    after = {name: id(module) for name, module in sys.modules.items() if "geoclip" in name}
    assert before == after
