"""Projections and location encoders: exact, finite everywhere, each row on its own."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Proj, Transformer

from encoders.location import (
    LocationEncoder,
    equal_earth,
    flush_negligible,
    mercator,
)

EDGES = torch.tensor(
    [[90.0, 0.0], [-90.0, 0.0], [90.0, 180.0], [0.0, 180.0], [0.0, -180.0], [-90.0, -180.0]],
    dtype=torch.float64,
)
latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


def some_points(count: int, seed: int = 3) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.uniform((-90, -180), (90, 180), (count, 2)))


def test_equal_earth_is_the_published_projection() -> None:
    points = some_points(200)
    x, y = Proj("+proj=eqearth +R=1")(points[:, 1].numpy(), points[:, 0].numpy())
    expected = torch.from_numpy(np.stack([x, y], axis=1)) * 66.50336 / 180
    assert (equal_earth(points) - expected).abs().max() < 1e-6


def test_mercator_is_web_mercator_in_the_order_of_g3() -> None:
    points = some_points(200)
    points[:, 0] = points[:, 0] * 85 / 90
    project = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
    x, y = project.transform(points[:, 1].numpy(), points[:, 0].numpy())
    expected = torch.from_numpy(np.stack([y, x], axis=1)) / 20037508.3427892
    assert (mercator(points) - expected).abs().max() < 1e-9


def test_the_published_mercator_is_infinite_at_the_pole_and_ours_is_not() -> None:
    project = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
    _, published = project.transform(0.0, 90.5)
    assert not math.isfinite(published)
    flat = mercator(torch.tensor([[90.0, 0.0], [-90.0, 0.0], [89.0, 0.0]], dtype=torch.float64))
    assert torch.allclose(flat[:, 0], torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))


@pytest.mark.parametrize("projection", ["equal_earth", "mercator"])
def test_every_place_has_a_finite_vector_and_gradient(projection: str) -> None:
    encoder = LocationEncoder(projection, hidden=32, width=8, features=16)  # type: ignore[arg-type]
    points = EDGES.clone().requires_grad_(True)
    encoded = encoder(points)
    assert encoded.shape == (6, 8)
    assert torch.isfinite(encoded).all()
    encoded[:, 0].sum().backward()
    assert points.grad is not None
    assert torch.isfinite(points.grad[3:5]).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(latitudes, longitudes), min_size=1, max_size=40))
def test_a_row_depends_on_its_own_coordinate(pairs: list[tuple[float, float]]) -> None:
    torch.manual_seed(0)
    encoder = LocationEncoder(hidden=32, width=8, features=16)
    points = torch.tensor(pairs, dtype=torch.float64)
    order = torch.randperm(len(points))
    with torch.inference_mode():
        together = encoder(points)
        alone = torch.cat([encoder(one[None]) for one in points])
        shuffled = encoder(points[order])
    assert torch.isfinite(together).all()
    assert (together - alone).abs().max() < 1e-5
    assert (together[order] - shuffled).abs().max() < 1e-5


def test_negligible_weights_become_zero_and_change_nothing() -> None:
    encoder = LocationEncoder(hidden=32, width=8, features=16)
    with torch.no_grad():
        layer = encoder.get_submodule("LocEnc0.capsule.3")
        layer.weight[:, ::2] = 1e-39  # type: ignore[operator]
        before = encoder(EDGES)
        assert flush_negligible(encoder) == 32 * 16
        assert torch.equal(encoder(EDGES), before)
    assert flush_negligible(encoder) == 0


def test_frequencies_keep_their_precision_in_mixed_precision() -> None:
    encoder = LocationEncoder(hidden=32, width=8, features=16)
    features = encoder.get_submodule("LocEnc2.capsule.0")
    flat = equal_earth(some_points(50).float())
    with torch.no_grad():
        exact = features(flat)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = features(flat)
    assert torch.equal(exact, mixed)
