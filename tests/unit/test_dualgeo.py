"""DualGeo: both views meet the location, a row is a photo's own, maps outlast light."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from encoders.families import family_classes
from encoders.families.dualgeo import (
    PUBLISHED_CONFIG,
    PUBLISHED_KEYS,
    DualGeoConfig,
    DualGeoHeads,
)
from encoders.heads import Batch, PhotoFeatures
from geo.errors import InputError

CLASSES = 6
SMALL: dict[str, Any] = {
    "backbone_width": 16,
    "token_width": 12,
    "width": 20,
    "location_width": 8,
    "hidden": 16,
    "features": 8,
    "classes": CLASSES,
    "segment_grid": 4,
}
EDGES = [[90.0, 180.0], [-90.0, -180.0], [0.0, 0.0], [89.999, 12.0], [-33.9, 151.2], [48.9, 2.3]]


def small_heads(**changes: Any) -> DualGeoHeads:
    torch.manual_seed(0)
    return DualGeoHeads(DualGeoConfig(**(SMALL | changes)))


def random_photos(count: int, seed: int = 0) -> PhotoFeatures:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randint(0, CLASSES, (count, 24, 24), dtype=torch.uint8, generator=generator)
    return PhotoFeatures(
        pooled=torch.randn(count, 16, generator=generator),
        tokens=torch.randn(count, 9, 12, generator=generator) * 30,
        segments=maps,
    )


def picked(photos: PhotoFeatures, rows: Tensor) -> PhotoFeatures:
    return PhotoFeatures(**{name: value[rows] for name, value in vars(photos).items()})


def random_batch(count: int = 6) -> Batch:
    return Batch(random_photos(count), torch.tensor(EDGES[:count], dtype=torch.float64))


def test_the_family_is_registered_and_says_what_it_is() -> None:
    assert family_classes("dualgeo") == (DualGeoHeads, DualGeoConfig)
    heads = small_heads()
    assert heads.needs == {"tokens", "segments"}
    assert heads.spaces == {"fused": 20, "clip": 16}
    assert heads.retrieval == ("fused", "clip")
    assert heads.alignment == "fused"
    assert heads.temperature == pytest.approx(math.exp(3.99))
    assert small_heads(patch_tokens=False).needs == {"segments"}
    assert small_heads(segments=False).needs == frozenset()


@pytest.mark.parametrize("encoder", ["patches", "resnet18"])
def test_vectors_are_unit_finite_and_a_rows_own(encoder: str) -> None:
    heads = small_heads(segment_encoder=encoder).eval()
    photos = random_photos(6)
    with torch.inference_mode():
        encoded = heads.encode_photos(photos)
        places = heads.encode_points(torch.tensor(EDGES, dtype=torch.float64))
        rows = torch.tensor([4, 0, 2])
        again = heads.encode_photos(picked(photos, rows))
        alone = heads.encode_photos(picked(photos, rows[:1]))
    for space, width in heads.spaces.items():
        assert encoded[space].shape == (6, width)
        assert encoded[space].dtype == torch.float32
        torch.testing.assert_close(encoded[space].norm(dim=1), torch.ones(6))
        torch.testing.assert_close(again[space], encoded[space][rows], atol=1e-5, rtol=0)
        torch.testing.assert_close(alone[space], encoded[space][4:5], atol=1e-5, rtol=0)
    torch.testing.assert_close(places["fused"].norm(dim=1), torch.ones(6))


def test_clip_is_the_plain_pooled_vector() -> None:
    photos = random_photos(3)
    with torch.inference_mode():
        plain = small_heads().eval().encode_photos(photos)["clip"]
    torch.testing.assert_close(plain, photos.pooled / photos.pooled.norm(dim=1, keepdim=True))


def test_map_and_tokens_move_the_fused_vector() -> None:
    heads, photos = small_heads().eval(), random_photos(2)
    assert photos.segments is not None
    assert photos.tokens is not None
    with torch.inference_mode():
        before = heads.encode_photos(photos)["fused"]
        turned = heads.encode_photos(replace(photos, segments=photos.segments.flip(1)))["fused"]
        moved = heads.encode_photos(replace(photos, tokens=photos.tokens.flip(2)))["fused"]
    assert (turned - before).abs().max() > 1e-4
    # Untrained queries hardly choose.
    assert (moved - before).abs().max() > 1e-5


def test_half_precision_features_from_a_cache() -> None:
    heads, photos = small_heads().eval(), random_photos(2)
    assert photos.tokens is not None
    half = replace(photos, pooled=photos.pooled.half(), tokens=photos.tokens.half())
    with torch.inference_mode():
        full, short = heads.encode_photos(photos), heads.encode_photos(half)
    for space in heads.spaces:
        assert short[space].dtype == torch.float32
        torch.testing.assert_close(short[space], full[space], atol=1e-2, rtol=0)


@pytest.mark.parametrize("encoder", ["patches", "resnet18"])
def test_gradient_reaches_every_weight(encoder: str) -> None:
    heads = small_heads(segment_encoder=encoder)
    sum(heads.loss(heads(random_batch())).values(), torch.zeros(())).backward()
    still = set()
    for name, weight in heads.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        if float(weight.grad.abs().max()) < 1e-7:
            still.add(name)
    # A bias on all keys alike cancels in the softmax.
    keys = {f"cross_attn_fusion.k_proj_{side}.bias" for side in ("rgb", "seg")}
    if encoder == "resnet18":  # 24 px leave one segment token, and one has nothing to choose from
        keys |= {f"cross_attn_fusion.{name}" for name in ("q_proj_rgb.weight", "q_proj_rgb.bias")}
        keys |= {"cross_attn_fusion.k_proj_seg.weight"}
    assert still <= keys


def test_the_loss_is_two_clip_losses() -> None:
    heads = small_heads()
    photo, seg, place = (torch.nn.functional.normalize(torch.randn(5, 20)) for _ in range(3))
    terms = heads.loss({"photo": photo, "segments": seg, "place": place})
    assert set(terms) == {"photo_gps", "segments_gps"}
    for name, view in (("photo_gps", photo), ("segments_gps", seg)):
        logits = math.exp(3.99) * view @ place.T
        rows = -logits.log_softmax(dim=1).diag().mean()
        columns = -logits.log_softmax(dim=0).diag().mean()
        torch.testing.assert_close(terms[name], (rows + columns) / 2)


def test_without_the_segmentation_view_only_the_photo_is_trained() -> None:
    heads, batch = small_heads(segments=False), random_batch()
    plain = replace(batch, photos=PhotoFeatures(pooled=batch.photos.pooled))
    embedded = heads(plain)
    assert set(embedded) == {"photo", "place"}
    assert set(heads.loss(embedded)) == {"photo_gps"}
    heads.loss(embedded)["photo_gps"].backward()
    assert all(weight.grad is not None for weight in heads.parameters())
    names = {name.split(".")[0] for name in heads.state_dict()}
    assert not names & {"semantic_encoder", "cross_attn_fusion", "logit_scale_seg"}


def test_photos_without_a_map_or_tokens_are_refused() -> None:
    heads, photos = small_heads().eval(), random_photos(2)
    with pytest.raises(InputError, match="without segmentation maps; give a segmenter, or a map"):
        heads.encode_photos(replace(photos, segments=None))
    with pytest.raises(InputError, match="without patch tokens"):
        heads.encode_photos(replace(photos, tokens=None))


def test_a_configuration_that_cannot_be() -> None:
    with pytest.raises(ValidationError, match="attention_heads 8 does not divide backbone_width"):
        DualGeoConfig(backbone_width=12)
    with pytest.raises(ValidationError, match="segment_encoder"):
        DualGeoConfig(segment_encoder="resnet50")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="colour"):
        DualGeoConfig(colour=1)  # type: ignore[call-arg]


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Tensors of the published module's own parts, without CLIP and the ResNet's body."""
    square = ("q_proj_rgb", "k_proj_seg", "v_proj_seg", "q_proj_seg", "k_proj_rgb", "v_proj_rgb")
    shapes: dict[str, tuple[int, ...]] = {"vision_projection_seg.weight": (768, 768)}
    for name in (*square, "output_proj_rgb", "output_proj_seg"):
        shapes[f"cross_attn_fusion.{name}.weight"] = (768, 768)
        shapes[f"cross_attn_fusion.{name}.bias"] = (768,)
    for name in ("norm_rgb", "norm_seg"):
        shapes |= {f"cross_attn_fusion.{name}.{part}": (768,) for part in ("weight", "bias")}
    layers = {"rgb_projection_else": (768, 768, 768), "seg_projection_else": (768, 768, 768)}
    layers["location_projection_else"] = (512, 512, 768)
    for name, (start, middle, end) in layers.items():
        shapes |= {f"{name}.0.weight": (middle, start), f"{name}.0.bias": (middle,)}
        shapes |= {f"{name}.2.weight": (end, middle), f"{name}.2.bias": (end,)}
    shapes |= {"semantic_encoder.projection.weight": (768, 512)}
    shapes |= {"semantic_encoder.projection.bias": (768,), "logit_scale_rgb": ()}
    shapes |= {"logit_scale_seg": (), "semantic_encoder.resnet.conv1.weight": (64, 1, 7, 7)}
    for number in range(3):
        key = f"location_encoder.LocEnc{number}"
        shapes |= {f"{key}.capsule.0.b": (256, 2), f"{key}.head.0.weight": (512, 1024)}
    return shapes


def renamed(key: str) -> str | None:
    prefix = next(prefix for prefix in PUBLISHED_KEYS if key.startswith(prefix))
    ours = PUBLISHED_KEYS[prefix]
    return None if ours is None else ours + key.removeprefix(prefix)


def test_published_tensors_have_our_names_and_shapes() -> None:
    heads = DualGeoHeads(DualGeoConfig.model_validate(PUBLISHED_CONFIG))
    ours = {name: tuple(tensor.shape) for name, tensor in heads.state_dict().items()}
    published = published_shapes()
    assert {renamed(key): shape for key, shape in published.items()}.items() <= ours.items()
    body = ("semantic_encoder.resnet.", "location_encoder.")
    assert all(key in published or key.startswith(body) for key in ours), "all are filled"
    assert renamed("semantic_encoder.resnet.fc.weight") is None
    assert renamed("semantic_encoder.features.4.0.conv1.weight") is None
    assert renamed("vision_model_rgb.post_layernorm.weight") is None


PLACES = 24
STEPS = 200


def lit_photos(maps: Tensor, looks: Tensor, light: Tensor) -> PhotoFeatures:
    """A photo of each place, each in its own light: maps stay, features are mostly light."""
    pooled = 0.3 * looks + light
    return PhotoFeatures(pooled, pooled[:, None, :12].expand(-1, 4, -1), maps)


def recall_under_new_light(segments: bool) -> tuple[float, float]:
    """Return the photo loss's fall and recall@1 of places from photos in light never seen."""
    generator = torch.Generator().manual_seed(1)
    maps = torch.randint(0, CLASSES, (PLACES, 4, 4), dtype=torch.uint8, generator=generator)
    looks = torch.randn(PLACES, 16, generator=generator)
    lights = torch.randn(STEPS + 1, PLACES, 16, generator=generator)
    points = torch.rand(PLACES, 2, generator=generator, dtype=torch.float64) * 100 - 50
    heads = small_heads(segments=segments, dropout=0.0, width=32, hidden=64, location_width=32)
    optimizer = torch.optim.AdamW(heads.parameters(), lr=3e-3)
    losses = []
    for light in lights[:STEPS]:
        terms = heads.loss(heads(Batch(lit_photos(maps, looks, light), points)))
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        losses.append(float(terms["photo_gps"].detach()))
    with torch.inference_mode():
        photos = heads.eval().encode_photos(lit_photos(maps, looks, lights[STEPS]))["fused"]
        best = (photos @ heads.encode_points(points)["fused"].T).argmax(dim=1)
    recall = float((best == torch.arange(PLACES)).float().mean())
    return sum(losses[-10:]) / sum(losses[:10]), recall


@pytest.mark.slow
def test_maps_carry_over_to_a_light_that_was_never_seen() -> None:
    fall, recall = recall_under_new_light(segments=True)
    _, without = recall_under_new_light(segments=False)
    assert fall < 0.1
    assert recall > 0.8
    assert without < recall - 0.3, (recall, without)
