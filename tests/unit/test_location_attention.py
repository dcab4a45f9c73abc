"""A location's vector is its own: the published attention over the batch fails what ours passes."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from encoders.location import mercator
from encoders.location_attention import (
    LocationAttention,
    OneTokenLayer,
    TransformerLocationEncoder,
    fibonacci_sphere,
    sphere_vectors,
)
from geo.sphere import haversine_km, points_of

EDGES = torch.tensor(
    [[90, 0], [90, 137], [-90, 12], [0, 180], [0, -180], [85.06, 10], [-85.06, 180], [0, 0]],
    dtype=torch.float64,
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Products this small are slower on two threads, far slower beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small(anchors: int = 24) -> TransformerLocationEncoder:
    torch.manual_seed(3)
    return TransformerLocationEncoder(
        (1.0, 16.0, 256.0), features=8, model_width=16, heads=4, layers=2, feedforward=16,
        dropout=0.1, width=8, anchors=anchors,
    ).eval()  # fmt: skip


@pytest.mark.parametrize("anchors", [24, 0])
@given(
    rows=arrays(np.float64, st.tuples(st.integers(2, 9), st.just(2)), elements=st.floats(-90, 90)),
    seed=st.integers(0, 100),
)
@settings(max_examples=20, deadline=None)
def test_a_row_is_its_own(anchors: int, rows: np.ndarray, seed: int) -> None:
    encoder, points = small(anchors), torch.from_numpy(rows * (1, 2))
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(rows)))
    with torch.inference_mode():
        together, moved = encoder(points), encoder(points[order])
        alone = torch.cat([encoder(point[None]) for point in points])
    assert torch.isfinite(together).all()
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together[order], moved, atol=1e-5)


def test_the_published_attention_mixes_the_batch() -> None:
    """Plain reading of the paper: queries of each location against all locations' keys."""
    torch.manual_seed(0)
    query, key, value = (nn.Linear(8, 8) for _ in range(3))

    def published(vectors: Tensor, points: Tensor) -> Tensor:
        flat = mercator(points).float()
        closeness = query(vectors) @ key(vectors).T / 8**0.5 - torch.cdist(flat, flat)
        attended: Tensor = vectors + torch.softmax(closeness, dim=-1) @ value(vectors)
        return attended

    points = torch.tensor([[48.9, 2.3], [40.4, -3.7], [-33.9, 151.2]], dtype=torch.float64)
    vectors = torch.randn(3, 8)
    together = published(vectors, points)
    alone = torch.cat([published(vectors[i : i + 1], points[i : i + 1]) for i in range(3)])
    assert (together - alone).abs().max() > 0.1
    ours = LocationAttention(8, 2, 16, 1, 0.0).eval()
    together = ours(vectors[:, None], points)
    alone = torch.cat([ours(vectors[i : i + 1, None], points[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-6)


def test_finite_and_differentiable_at_the_edges() -> None:
    encoder = small().train()
    points = EDGES.clone().requires_grad_()
    out = encoder(points)
    assert out.dtype == torch.float32
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert points.grad is not None
    assert torch.isfinite(points.grad).all()
    assert encoder(EDGES.float()).shape == (8, 8)


def test_the_distance_to_anchors_knows_no_seam() -> None:
    attention = LocationAttention(8, 4, 32, 3, 0.0)
    tokens = torch.randn(1, 3, 8).expand(2, -1, -1)
    for one, other in (([10.0, 180.0], [10.0, -180.0]), ([90.0, 0.0], [90.0, 77.0])):
        pair = attention(tokens, torch.tensor([one, other], dtype=torch.float64))
        assert torch.allclose(pair[0], pair[1], atol=1e-6)
    apart = attention(tokens, torch.tensor([[10.0, 180.0], [10.0, 0.0]], dtype=torch.float64))
    assert (apart[0] - apart[1]).abs().max() > 1e-3


def test_near_anchors_weigh_more() -> None:
    attention = LocationAttention(8, 4, 32, 3, 0.0)
    place = torch.tensor([[48.9, 2.3]], dtype=torch.float64)
    bias = attention._distance_bias(place)[0]
    anchors = points_of(attention.anchors.double().numpy())
    distances = haversine_km(48.9, 2.3, anchors[:, 0], anchors[:, 1])
    order = torch.from_numpy(np.argsort(distances))
    assert (bias <= 0).all()
    assert (bias[:, order].diff(dim=1) <= 1e-6).all()
    # Heads differ in reach: the last falls off much faster than the first.
    assert bias[-1].min() < 10 * bias[0].min()


def test_anchors_cover_the_sphere() -> None:
    anchors = fibonacci_sphere(128)
    assert torch.allclose(anchors.norm(dim=1), torch.ones(128, dtype=torch.float64))
    assert anchors.mean(dim=0).norm() < 0.01
    everywhere = torch.nn.functional.normalize(
        torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)).double(), dim=1
    )
    nearest = torch.rad2deg(torch.acos((everywhere @ anchors.T).amax(dim=1).clamp(max=1)))
    # 128 equal caps have a radius of 10.1 degrees.
    assert nearest.max() < 1.6 * 10.1
    names = dict(small().named_buffers())
    assert names["attention.anchors"].shape == (24, 3)
    assert "attention.anchors" not in dict(small().named_parameters())


def test_sphere_vectors_are_those_of_geo() -> None:
    given_points = torch.tensor([[0, 0], [0, 90], [90, 33], [-45, -180]], dtype=torch.float64)
    found = sphere_vectors(given_points)
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-(0.5**0.5), 0, -(0.5**0.5)]]
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("training", [False, True])
def test_a_layer_is_a_transformer_layer_over_one_token(training: bool) -> None:
    torch.manual_seed(1)
    published = nn.TransformerEncoderLayer(16, 4, 24, dropout=0.0, batch_first=True)
    ours = OneTokenLayer(16, 4, 24, 0.0)
    weights = published.state_dict()
    weights["value.weight"] = weights.pop("self_attn.in_proj_weight")[32:]
    weights["value.bias"] = weights.pop("self_attn.in_proj_bias")[32:]
    weights["out.weight"] = weights.pop("self_attn.out_proj.weight")
    weights["out.bias"] = weights.pop("self_attn.out_proj.bias")
    ours.load_state_dict(weights)
    token = torch.randn(7, 16)
    published.train(training)
    assert torch.allclose(ours.train(training)(token), published(token[:, None])[:, 0], atol=1e-6)


def test_dropout_acts_in_training_alone() -> None:
    encoder, points = small(), EDGES[:4]
    assert torch.equal(encoder(points), encoder(points))
    encoder.train()
    assert not torch.equal(encoder(points), encoder(points))


def test_attention_adds_to_the_sum_of_scales() -> None:
    full, plain = small(), small(anchors=0)
    plain.load_state_dict(full.state_dict(), strict=False)
    assert full.attention is not None
    assert not torch.allclose(full(EDGES), plain(EDGES), atol=1e-3)
    nn.init.zeros_(full.attention.out.weight)
    nn.init.zeros_(full.attention.out.bias)
    assert torch.allclose(full(EDGES), plain(EDGES))


def test_half_precision_keeps_places_apart() -> None:
    encoder = small()
    points = torch.tensor([[48.8584, 2.2945], [48.8606, 2.3376]], dtype=torch.float64)
    exact = encoder(points)
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder(points)
    apart = (exact[0] - exact[1]).norm()
    assert (half - exact).norm(dim=1).max() < 0.1 * apart
