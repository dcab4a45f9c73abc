"""The path of a photo through CLIP, beside `transformers` and the public `geoclip` package."""

import gc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from encoders.backbone_specs import SPECS
from encoders.backbones import Backbone, load_backbone
from encoders.checkpoints import load_geoclip
from encoders.clip_layout import to_open_clip
from encoders.torch_setup import need

LIMIT = 1e-5
TINY: dict[str, Any] = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 56, "layers": 3, "width": 32, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
TEXTS = ["A photo taken in Prague, Czechia.", "a street", "long " * 40]
SIZES = [(640, 480), (300, 500), (900, 120), (227, 224), (64, 400)]


def drawn(width: int, height: int, seed: int) -> Image.Image:
    """Return a photo of a horizon, a sun and noise."""
    generator = np.random.default_rng(seed)
    noise = generator.normal(0, 12, (height, width, 3))
    picture = Image.new("RGB", (width, height), tuple(generator.integers(90, 250, 3).tolist()))
    pen = ImageDraw.Draw(picture)
    horizon, radius = height * generator.uniform(0.4, 0.7), min(width, height) / 6
    pen.rectangle((0, horizon, width, height), tuple(generator.integers(20, 160, 3).tolist()))
    x = width * generator.uniform(0.2, 0.8)
    pen.ellipse((x - radius, 0, x + radius, 2 * radius), (250, 220, 90))
    return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))


def photos() -> list[Image.Image]:
    return [drawn(*size, seed) for seed, size in enumerate(SIZES)]


def published_processor(size: int) -> Any:
    """Return the processor that CLIP was published with in `transformers`, on Pillow.

    The package's default on torchvision rounds the resized picture otherwise: 2 grey levels at
    most, in 1 % of the values.
    """
    need("transformers")
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    square = {"height": size, "width": size}
    return CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size=square)


@pytest.fixture(scope="module")
def tiny_hf() -> Any:
    """Return a small random CLIP of the `transformers` package."""
    need("transformers")
    from transformers import CLIPConfig, CLIPModel

    config = CLIPConfig(
        projection_dim=24,
        vision_config={
            "hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 3,
            "num_attention_heads": 4, "patch_size": 8, "image_size": 56,
        },
        text_config={
            "hidden_size": 16, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "vocab_size": 49408, "max_position_embeddings": 20,
            "eos_token_id": 2, "bos_token_id": 0, "pad_token_id": 1,
        },
    )  # fmt: skip
    model: Any = CLIPModel(config)
    model.eval().requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(2)
        for tensor in model.parameters():
            # As drawn by the package, every block would be close to doing nothing.
            tensor.normal_(0, 0.25) if tensor.ndim > 1 else tensor.add_(
                torch.randn_like(tensor) / 5
            )
    return model


def ours_of(hf: Any, config: dict[str, Any]) -> Backbone:
    state = to_open_clip(hf.state_dict())
    return Backbone.from_config("tiny", config, state=state, device="cpu")


def projected(output: Any) -> Tensor:
    """Return the projected features, which newer releases wrap."""
    found: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return found


def test_photos_get_the_features_of_transformers(tiny_hf: Any) -> None:
    backbone, images = ours_of(tiny_hf, TINY), photos()
    pixels = published_processor(56)(images=images, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        theirs = projected(tiny_hf.get_image_features(pixel_values=pixels))
        last = tiny_hf.vision_model(pixel_values=pixels).last_hidden_state
        tokens = tiny_hf.vision_model.post_layernorm(last[:, 1:])
    found = backbone.image_features(images, tokens=True)
    assert (found.pooled - theirs).abs().max() <= LIMIT
    assert found.tokens is not None
    assert (found.tokens - tokens).abs().max() <= LIMIT
    assert theirs.std(dim=0).min() > 0.01


def test_texts_get_the_features_of_transformers(tiny_hf: Any) -> None:
    backbone = ours_of(tiny_hf, TINY)
    numbers = need("open_clip").SimpleTokenizer(context_length=20)(TEXTS)
    with torch.no_grad():
        theirs = projected(tiny_hf.get_text_features(input_ids=numbers))
    found = backbone.text_features(TEXTS)
    assert (found - theirs).abs().max() <= LIMIT
    assert theirs.std(dim=0).min() > 0.01


def test_the_wrong_activation_would_show(tiny_hf: Any) -> None:
    right, wrong = ours_of(tiny_hf, TINY), ours_of(tiny_hf, TINY | {"quick_gelu": False})
    images = photos()[:1]
    apart = right.image_features(images).pooled - wrong.image_features(images).pooled
    assert apart.abs().max() > 100 * LIMIT


def test_the_default_processor_of_transformers_differs_by_two_grey_levels() -> None:
    need("transformers")
    from transformers import CLIPImageProcessor

    how = SPECS["clip-vit-l-14"].preprocessing
    for image in photos():
        theirs = CLIPImageProcessor()(images=image, return_tensors="pt")["pixel_values"][0]
        levels = np.abs(how(image) - theirs.numpy()) * 255 * np.array(how.std)[:, None, None]
        assert levels.max() < 2.01
        assert (levels > 0.01).mean() < 0.02


@pytest.fixture
def public() -> Any:
    """Return the public package's model: published heads, a random CLIP ViT-L/14."""
    need("transformers")
    with warnings.catch_warnings():
        # Its import adds filters of its own and compiles with TorchScript.
        warnings.filterwarnings("ignore", message=".*torch.jit.script.*is deprecated")
        import geoclip

        model = geoclip.GeoCLIP(from_pretrained=False, clip_pretrained=False)
    model.weights_folder = f"{Path(geoclip.__file__).parent}/model/weights"
    model._load_weights()
    model.image_encoder.image_processor = published_processor(224)
    return model.eval().requires_grad_(False)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_path_of_a_photo_is_that_of_the_public_package(
    public: Any, tmp_path: Path
) -> None:
    images = photos()
    places = torch.tensor([[50.09, 14.42], [-33.86, 151.21], [0.0, 0.0], [64.1, -21.9]])
    with torch.no_grad():
        pixels = [public.image_encoder.preprocess_image(image) for image in images]
        features = [public.image_encoder(one) for one in pixels]
        vectors = F.normalize(torch.cat(features), dim=1)
        logits = public(pixels[0], places)
    file = tmp_path / "clip-vit-l-14" / "model.safetensors"
    file.parent.mkdir()
    try:
        # As transformers saves it: the file that `graticule weights get` would bring.
        save_file(public.image_encoder.CLIP.state_dict(), file)
        del public.image_encoder
        gc.collect()
        backbone = load_backbone("clip-vit-l-14", folder=tmp_path, device="cpu")
    finally:
        file.unlink()
    heads = load_geoclip().eval().requires_grad_(False)
    heads.prepare()
    found = heads.encode_photos(backbone.image_features(images))["gps"]
    assert (found - vectors).abs().max() <= LIMIT
    scores = heads.temperature * found[:1] @ heads.encode_points(places.double())["gps"].T
    assert (scores - logits).abs().max() <= 40 * LIMIT
    assert vectors.std(dim=0).max() > 100 * LIMIT
