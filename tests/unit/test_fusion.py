"""Fusion: a photo's row depends on that photo alone; class ids are categories."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from encoders.fusion import (
    CrossAttentionFusion,
    PatchSegments,
    ResNet18Segments,
    class_shares,
)
from encoders.label_maps import UNLABELLED
from geo.errors import InputError

WIDTH = 16
HEADS = 4


def random_fusion() -> CrossAttentionFusion:
    torch.manual_seed(0)
    return CrossAttentionFusion(WIDTH, HEADS).eval()


def published_view(fusion: CrossAttentionFusion, rgb: Tensor, seg: Tensor) -> Tensor:
    """The published arithmetic, `[B, W]` and `[B, W]` to `[B, W]`: heads first, then photos."""

    def heads(vectors: Tensor) -> Tensor:
        return vectors.reshape(len(vectors), HEADS, WIDTH // HEADS).permute(1, 0, 2)

    query, key = heads(fusion.q_proj_rgb(rgb)), heads(fusion.k_proj_seg(seg))
    value = heads(fusion.v_proj_seg(seg))
    weights = (query @ key.mT / (WIDTH // HEADS) ** 0.5).softmax(dim=-1)
    assert weights.shape == (HEADS, len(rgb), len(rgb)), "photos attend to photos"
    mixed = (weights @ value).permute(1, 0, 2).reshape(len(rgb), WIDTH)
    out: Tensor = fusion.norm_rgb(rgb + fusion.output_proj_rgb(mixed))
    return out


def test_the_published_view_changes_with_the_batch_and_ours_does_not() -> None:
    fusion = random_fusion()
    rgb, seg = torch.randn(6, WIDTH), torch.randn(6, WIDTH)
    alone = published_view(fusion, rgb[:1], seg[:1])[0]
    crowd = published_view(fusion, rgb, seg)[0]
    assert (alone - crowd).abs().max() > 1e-2
    ours_alone, _ = fusion(rgb[:1], None, seg[:1, None])
    ours_crowd, _ = fusion(rgb, None, seg[:, None])
    torch.testing.assert_close(ours_alone[0], ours_crowd[0], atol=1e-6, rtol=0)


def test_with_one_token_a_side_ours_is_the_published_module_at_batch_one() -> None:
    fusion = random_fusion()
    rgb, seg = torch.randn(6, WIDTH), torch.randn(6, WIDTH)
    ours, _ = fusion(rgb, None, seg[:, None])
    rows = [published_view(fusion, rgb[i : i + 1], seg[i : i + 1])[0] for i in range(6)]
    torch.testing.assert_close(ours, torch.stack(rows), atol=1e-6, rtol=0)


def test_at_batch_one_the_published_attention_ignores_its_queries() -> None:
    fusion = random_fusion()
    rgb, seg = torch.randn(1, WIDTH), torch.randn(1, WIDTH)
    before = published_view(fusion, rgb, seg)
    with torch.no_grad():
        fusion.q_proj_rgb.weight.mul_(-3)
    torch.testing.assert_close(published_view(fusion, rgb, seg), before)
    tokens = torch.randn(1, 5, WIDTH)
    moved, _ = fusion(rgb, None, tokens)
    with torch.no_grad():
        fusion.q_proj_rgb.weight.mul_(-3)
    assert (fusion(rgb, None, tokens)[0] - moved).abs().max() > 1e-3, "ours has a choice"


def test_order_of_photos_and_of_segments_does_not_matter() -> None:
    fusion = random_fusion()
    pooled, tokens = torch.randn(4, WIDTH), torch.randn(4, 9, WIDTH)
    segments = torch.randn(4, 7, WIDTH)
    rgb, seg = fusion(pooled, tokens, segments)
    turned = fusion(pooled.flip(0), tokens.flip(0), segments.flip(0))
    torch.testing.assert_close(turned[0].flip(0), rgb, atol=1e-6, rtol=0)
    torch.testing.assert_close(turned[1].flip(0), seg, atol=1e-6, rtol=0)
    shuffled = fusion(pooled, tokens.flip(1), segments.flip(1))
    torch.testing.assert_close(shuffled[0], rgb, atol=1e-5, rtol=0)


def test_both_sides_hear_the_other() -> None:
    fusion = random_fusion()
    given = [
        torch.randn(1, *shape).requires_grad_() for shape in ((WIDTH,), (9, WIDTH), (7, WIDTH))
    ]
    # One component: the squares of a normalised row always sum to the same.
    for number, side in enumerate(fusion(*given)):
        grads = torch.autograd.grad(side[0, 0], given, retain_graph=True)
        assert all(float(grad.abs().max()) > 1e-5 for grad in grads), number


def test_where_nothing_is_learned_the_plain_vector_remains() -> None:
    fusion = random_fusion()
    for layer in (fusion.output_proj_rgb, fusion.output_proj_seg):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    pooled = torch.randn(3, WIDTH)
    rgb, _ = fusion(pooled, torch.randn(3, 9, WIDTH), torch.randn(3, 7, WIDTH))
    torch.testing.assert_close(rgb, F.layer_norm(pooled, (WIDTH,)))


def test_heads_that_do_not_divide_the_width() -> None:
    with pytest.raises(InputError, match="5 attention heads do not divide a width of 16"):
        CrossAttentionFusion(16, 5)


def test_class_shares_are_counted_by_hand() -> None:
    labels = torch.zeros(2, 4, 4, dtype=torch.uint8)
    labels[0, :2, 2:] = 1  # upper right patch
    labels[0, 3, 3] = UNLABELLED  # one of four pixels, lower right
    shares = class_shares(labels, classes=2, grid=2)
    assert shares.shape == (2, 4, 3)
    assert shares[0].tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0.75, 0, 0.25]]
    assert shares[1].tolist() == [[1, 0, 0]] * 4


@pytest.mark.parametrize(("side", "grid"), [(7, 3), (5, 5), (224, 8), (10, 4)])
def test_every_pixel_counts_once_where_patches_do_not_divide_the_side(side: int, grid: int) -> None:
    labels = torch.randint(0, 3, (2, side, side), dtype=torch.uint8)
    shares = class_shares(labels, classes=3, grid=grid)
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, grid * grid))
    rows = torch.bincount(torch.arange(side) * grid // side).float()
    pixels = torch.outer(rows, rows).flatten()[:, None]
    expected = torch.bincount(labels[0].flatten().long(), minlength=4).float()
    torch.testing.assert_close((shares[0] * pixels).sum(0), expected)


@pytest.mark.parametrize("wrong", [3, 254])
def test_a_class_beyond_the_classes_is_refused(wrong: int) -> None:
    labels = torch.zeros(1, 4, 4, dtype=torch.uint8)
    labels[0, 1, 1] = wrong
    with pytest.raises(InputError, match=f"class {wrong}, limit 0 to 2"):
        class_shares(labels, classes=3, grid=2)


def test_a_map_smaller_than_its_grid_is_refused() -> None:
    with pytest.raises(InputError, match="3 x 3 px"):
        class_shares(torch.zeros(1, 3, 3, dtype=torch.uint8), classes=2, grid=4)


def test_names_of_classes_carry_no_order_but_places_do() -> None:
    torch.manual_seed(0)
    encoder = PatchSegments(classes=3, width=8, grid=2)
    labels = torch.randint(0, 3, (1, 8, 8), dtype=torch.uint8)
    renamed = (labels + 1) % 3
    before = encoder(labels)
    with torch.no_grad():
        encoder.embedding[:3] = encoder.embedding[[2, 0, 1]]
    torch.testing.assert_close(encoder(renamed), before)
    turned = encoder(labels).view(1, 2, 2, 8).flip(1).flatten(1, 2)
    assert (encoder(labels.flip(1)) - turned).abs().max() > 1e-3


def test_resnet_gives_a_token_for_each_position_of_its_last_map() -> None:
    torch.manual_seed(0)
    encoder = ResNet18Segments(WIDTH).eval()
    labels = torch.randint(0, 150, (2, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        tokens = encoder(labels)
        features = labels[:, None].float() / 255
        resnet = encoder.resnet
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            features = getattr(resnet, name)(features)
        assert features.shape == (2, 512, 2, 2)
        expected = encoder.projection(features.permute(0, 2, 3, 1).reshape(2, 4, 512))
        torch.testing.assert_close(tokens, expected)
        torch.testing.assert_close(encoder(labels[:1]), tokens[:1], atol=1e-5, rtol=0)
    names = {name.split(".")[1] for name in encoder.state_dict() if name.startswith("resnet.")}
    assert names == {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}
