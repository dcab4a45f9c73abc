"""TransGeoCLIP: pairwise aligned spaces, a triplet term defined for any batch, the ablation."""

from collections.abc import Iterator

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from encoders.families import family_classes
from encoders.families.transgeoclip import (
    TransGeoCLIPConfig,
    TransGeoCLIPHeads,
    hardest_triplet,
)
from encoders.heads import Batch, PhotoFeatures, unit

SMALL = {
    "backbone_width": 12, "width": 16, "location_width": 8, "features": 6, "model_width": 16,
    "attention_heads": 4, "layers": 2, "feedforward": 16, "anchors": 12, "dropout": 0.0,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Products this small are slower on two threads, far slower beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small(**changes: object) -> TransGeoCLIPHeads:
    torch.manual_seed(0)
    return TransGeoCLIPHeads(TransGeoCLIPConfig.model_validate(SMALL | changes))


def batch_of(count: int, seed: int = 1) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    latent = torch.randn(count, 12, generator=draw)
    points = torch.rand(count, 2, generator=draw, dtype=torch.float64)
    points = points * torch.tensor([160.0, 360.0]) - torch.tensor([80.0, 180.0])
    noise = torch.randn(count, 12, generator=draw)
    return Batch(PhotoFeatures(latent), points, captions=latent + 0.3 * noise)


def test_spaces_hold_what_they_promise() -> None:
    heads, batch = small().eval(), batch_of(5)
    assert batch.captions is not None
    given = {
        heads.image_spaces: heads.encode_photos(batch.photos),
        heads.location_spaces: heads.encode_points(batch.points),
        heads.text_spaces: heads.encode_captions(batch.captions),
    }
    assert heads.spaces == {"clip": 12, "text": 16, "gps": 16, "text_gps": 8}
    for names, encoded in given.items():
        assert tuple(encoded) == names
        for space, rows in encoded.items():
            assert rows.shape == (5, heads.spaces[space])
            assert torch.allclose(rows.norm(dim=1), torch.ones(5), atol=1e-6)
    assert heads.temperature == pytest.approx(54.05, abs=0.01)
    assert family_classes("transgeoclip") == (TransGeoCLIPHeads, TransGeoCLIPConfig)


def test_published_sizes_by_default() -> None:
    with torch.device("meta"):
        heads = TransGeoCLIPHeads()
    assert heads.spaces == {"clip": 768, "text": 768, "gps": 768, "text_gps": 512}
    shapes = {
        name: tuple(weight.shape) for name, weight in heads.location_encoder.named_parameters()
    }
    assert shapes["capsules.2.layers.2.linear1.weight"] == (1024, 1024)
    assert shapes["capsules.0.embed.weight"] == (1024, 512)
    assert "capsules.3.embed.weight" not in shapes
    assert "capsules.0.layers.3.out.weight" not in shapes


@pytest.mark.parametrize("location_attention", [True, False])
def test_gradient_reaches_every_parameter(location_attention: bool) -> None:
    heads = small(location_attention=location_attention)
    sum(heads.loss(heads(batch_of(6))).values(), torch.tensor(0.0)).backward()
    still = {n for n, p in heads.named_parameters() if p.grad is None or not p.grad.any()}
    # Softmax ignores what it adds to all of a row alike: the bias of the keys.
    assert still <= {"location_encoder.attention.key.bias"}


def test_ablation_has_no_attention_parameters() -> None:
    full = {name for name, _ in small().named_parameters()}
    ablated = {name for name, _ in small(location_attention=False).named_parameters()}
    gone = full - ablated
    assert ablated < full
    assert gone
    assert all(name.startswith("location_encoder.attention.") for name in gone)


@pytest.mark.parametrize("checkpointing", [True, False])
def test_loss_falls(checkpointing: bool) -> None:
    heads, batch = small(), batch_of(24)
    heads.checkpointing = checkpointing
    optimizer = torch.optim.AdamW(heads.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        terms = heads.loss(heads(batch))
        total = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append({name: float(term.detach()) for name, term in terms.items()})
    for name in ("photo_gps", "photo_text", "text_gps", "triplet"):
        assert losses[-1][name] < 0.5 * losses[0][name], name


def test_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for checkpointing in (True, False):
        heads = small()
        heads.checkpointing = checkpointing
        sum(heads.loss(heads(batch_of(6))).values(), torch.tensor(0.0)).backward()
        gradients.append([p.grad for p in heads.parameters() if p.grad is not None])
    for some, others in zip(*gradients, strict=True):
        assert torch.equal(some, others)


@pytest.mark.parametrize("checkpointing", [True, False])
def test_checkpointing_computes_layers_twice(checkpointing: bool) -> None:
    heads, calls = small(), []
    heads.checkpointing = checkpointing
    layer = heads.location_encoder.get_submodule("capsules.0.layers.1")
    layer.register_forward_pre_hook(lambda *_: calls.append(1))
    sum(heads.loss(heads(batch_of(4))).values(), torch.tensor(0.0)).backward()
    assert len(calls) == (2 if checkpointing else 1)


def rows(*values: tuple[float, ...]) -> Tensor:
    return unit(torch.tensor(values, dtype=torch.float32))


def test_triplet_takes_the_hardest_other_photo() -> None:
    anchors = rows((1, 0, 0), (0, 1, 0), (0, 0, 1))
    positives = anchors.clone()
    # Cosine of anchor 0 with photos 0, 1, 2: 1 (its own, no negative), 0.6, 0.
    negatives = rows((1, 0, 0), (0.6, 0.8, 0), (0, 0, 1))
    # Row 0: 0.5 + 0.6 - 1 = 0.1. Rows 1 and 2: hardest other 0, 0.5 - 1 < 0.
    assert float(hardest_triplet(anchors, positives, negatives)) == pytest.approx(0.1 / 3, abs=1e-6)
    opposite = hardest_triplet(anchors, -positives, negatives)
    assert float(opposite) == pytest.approx((2.1 + 1.5 + 1.5) / 3, abs=1e-6)


def test_one_example_has_no_negative() -> None:
    heads = small()
    terms = heads.loss(heads(batch_of(1)))
    assert float(terms["triplet"].detach()) == 0
    torch.stack(list(terms.values())).sum().backward()
    found = [p.grad for p in heads.parameters() if p.grad is not None]
    assert found
    assert all(torch.isfinite(gradient).all() for gradient in found)


def test_triplet_counts_half() -> None:
    heads = small()
    embedded = heads(batch_of(6))
    whole = hardest_triplet(
        embedded["caption_place"], embedded["place_caption"], unit(embedded["photo_text"][:, :8])
    )
    assert float(heads.loss(embedded)["triplet"].detach()) == pytest.approx(
        float(whole.detach()) / 2
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_width": 18}, "model_width 18"),
        ({"location_width": 10}, "location_width 10"),
        ({"width": 4}, "over width 4"),
        ({"dropout": 1.0}, "dropout"),
        ({"sigmas": ()}, "sigmas"),
        ({"anchors": 0}, "anchors"),
        ({"hidden": 12}, "hidden"),
        ({"layers": "3"}, "layers"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        TransGeoCLIPConfig.model_validate(SMALL | changes)
