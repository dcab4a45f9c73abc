import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from encoders.backbone_files import SIDECAR, file_identity, tokenizer_folder
from encoders.backbone_specs import SPECS, BackboneSpec, backbone_spec
from encoders.backbones import (
    Backbone,
    backbone_fingerprint,
    build_towers,
    fill_towers,
    load_backbone,
)
from encoders.clip_layout import to_hf_clip
from encoders.families.siglip import SigLIPConfig, SigLIPHeads
from encoders.heads import Batch
from encoders.preprocess import CLIP_MEAN, CLIP_STD, Preprocessing
from encoders.torch_setup import need
from geo.errors import InputError, UnavailableError
from tests.unit.encoder_samples import TOWER, photos, tiny_backbone

open_clip = need("open_clip")

SIZES = [(640, 480), (480, 640), (1000, 100), (99, 990), (8, 8), (8, 80), (224, 224)]
SIZES += [(227, 224), (224, 231), (1023, 767), (37, 211)]
SIGLIP_TOWER: dict[str, Any] = {
    "embed_dim": 64,
    "custom_text": True,
    "init_logit_bias": -10,
    "vision_cfg": {
        "image_size": 160,
        "timm_model_name": "test_vit",
        "timm_pool": "map",
        "timm_proj": "none",
    },
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 49408,
        "width": 16,
        "heads": 2,
        "layers": 1,
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
    },
    "preprocess_cfg": {
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "resize_mode": "squash",
        "fill_color": 0,
    },
}


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return a photo with large shapes and noise, so that a shift by one pixel shows."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    noisy = smooth + generator.integers(-30, 31, (height, width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


# --- preprocessing ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
@pytest.mark.parametrize("size", SIZES)
def test_preprocessing_is_that_of_open_clip(size: tuple[int, int], mode: Any) -> None:
    image = photo(*size)
    for interpolation in ("bicubic", "bilinear"):
        published = open_clip.image_transform(
            224, False, mean=CLIP_MEAN, std=CLIP_STD, resize_mode=mode, interpolation=interpolation
        )
        ours = Preprocessing(224, resize_mode=mode, interpolation=interpolation)(image)
        assert ours.shape == (3, 224, 224)
        assert ours.dtype == np.float32
        assert np.abs(ours - published(image).numpy()).max() <= 1e-6


@pytest.mark.parametrize("size", SIZES)
def test_clips_preprocessing_is_that_of_its_published_processor(size: tuple[int, int]) -> None:
    need("transformers")
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    image = photo(*size)
    published = CLIPImageProcessorPil()(images=image, return_tensors="np")["pixel_values"][0]
    ours = SPECS["clip-vit-l-14"].preprocessing(image)
    assert np.abs(ours - published).max() <= 1e-6


def test_the_two_conventions_of_cropping_differ_by_one_pixel() -> None:
    image = photo(227, 224)
    down = Preprocessing(224, crop_rounding="down").pixels(image)
    even = Preprocessing(224, crop_rounding="half_even").pixels(image)
    assert np.array_equal(down[:, 1:], even[:, :-1])
    assert not np.array_equal(down, even)


# --- specifications --------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
def test_known_towers_are_as_open_clip_describes_them(spec: BackboneSpec) -> None:
    config = open_clip.get_model_config(spec.architecture)
    assert config["vision_cfg"]["image_size"] == spec.image_size
    tags = open_clip.list_pretrained_tags_by_model(spec.architecture)
    stated = open_clip.get_pretrained_cfg(
        spec.architecture, "openai" if "openai" in tags else "webli"
    )
    ours = spec.preprocessing
    assert (stated["mean"], stated["std"]) == (ours.mean, ours.std)
    assert (stated["interpolation"], stated["resize_mode"]) == (
        ours.interpolation,
        ours.resize_mode,
    )
    # A tower that was trained with QuickGELU is silently wrong without it.
    assert bool(stated.get("quick_gelu")) == bool(config.get("quick_gelu"))


def test_the_plain_name_of_openais_tower_would_be_wrong() -> None:
    assert SPECS["clip-vit-l-14"].architecture == "ViT-L-14-quickgelu"
    assert SPECS["clip-vit-l-14-336"].architecture == "ViT-L-14-336-quickgelu"
    quick = TOWER | {"quick_gelu": True}
    state = build_towers("tiny", TOWER, seed=1).state_dict()
    with_it = Backbone.from_config("tiny", quick, state=state)
    without = Backbone.from_config("tiny", TOWER, state=state)
    apart = with_it.image_features(photos(1)).pooled - without.image_features(photos(1)).pooled
    assert apart.abs().max() > 1e-3
    with pytest.raises(InputError, match=r"QuickGELU.*use open_clip:ViT-L-14-quickgelu"):
        backbone_spec("open_clip:ViT-L-14/openai=clip.safetensors")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "clip",
            "unknown backbone 'clip'; there is: clip-vit-l-14, clip-vit-l-14-336, siglip-b-16",
        ),
        ("open_clip:", "names no model or file"),
        ("open_clip:ViT-B-16=", "names no model or file"),
        ("open_clip:ViT-Z=f", "open_clip has no model 'ViT-Z'"),
        ("open_clip:ViT-L-14/laion9=f", "not trained as 'laion9'; there is: openai, laion400m"),
        (
            "open_clip:ViT-L-14=f",
            "differ in preprocessing or activation; say which: open_clip:ViT-L",
        ),
    ],
)
def test_a_name_that_means_no_tower_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        backbone_spec(name)


def test_any_open_clip_model_brings_its_own_preprocessing(tmp_path: Path) -> None:
    spec = backbone_spec(f"open_clip:PE-Core-B-16={tmp_path / 'pe.safetensors'}")
    assert spec.name == "open_clip:PE-Core-B-16"
    assert spec.preprocessing == Preprocessing(
        224, (0.5,) * 3, (0.5,) * 3, "bilinear", resize_mode="squash"
    )
    laion = backbone_spec("open_clip:ViT-L-14/laion2b_s32b_b82k")
    assert laion.preprocessing.mean == (0.5, 0.5, 0.5)
    with pytest.raises(UnavailableError, match=r"open_clip/ViT-L-14/laion2b_s32b_b82k/open_clip_m"):
        load_backbone("open_clip:ViT-L-14/laion2b_s32b_b82k", folder=tmp_path, device="cpu")


# --- features --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def siglip() -> Backbone:
    """Return small towers of SigLIP's kind."""
    return Backbone.from_config("tiny-siglip", SIGLIP_TOWER)


def test_features_are_open_clips_own(siglip: Backbone) -> None:
    for backbone, transform in (
        (tiny_backbone(), {"image_size": 56}),
        (siglip, {"image_size": 160, "mean": 0.5, "std": 0.5, "resize_mode": "squash"}),
    ):
        images = photos(3)
        published = open_clip.image_transform(is_train=False, **transform)
        with torch.no_grad():
            batch = torch.stack([published(image) for image in images])
            pooled = backbone.model.encode_image(batch)  # type: ignore[operator]
        found = backbone.image_features(images)
        assert found.tokens is None
        assert (found.pooled - pooled).abs().max() <= 1e-6
        both = backbone.image_features(images, tokens=True)
        assert (both.pooled - pooled).abs().max() <= 1e-6
        assert both.tokens is not None
        assert both.tokens.shape == (3, backbone.grid**2, backbone.token_width)
        assert found.pooled.shape == (3, backbone.width)
        assert found.pooled.dtype == both.tokens.dtype == torch.float32


def test_patch_tokens_are_those_after_the_last_norm() -> None:
    backbone = Backbone.from_config("tiny", TOWER, seed=1)
    images = photos(2)
    backbone.model.visual.output_tokens = True  # type: ignore[union-attr]
    with torch.no_grad():
        batch = torch.stack([backbone.preprocess(image) for image in images])
        _, tokens = backbone.model.visual(batch)  # type: ignore[operator]
    backbone.model.visual.output_tokens = False  # type: ignore[union-attr]
    found = backbone.image_features(images, tokens=True).tokens
    assert found is not None
    assert (found - tokens).abs().max() <= 1e-6


def test_patch_tokens_run_row_by_row_over_the_grid() -> None:
    backbone = tiny_backbone()
    blank = Image.new("RGB", (56, 56))
    marked = blank.copy()
    marked.paste((255, 255, 255), (6 * 8, 1 * 8, 7 * 8, 2 * 8))
    both = backbone.image_features([blank, marked], tokens=True).tokens
    assert both is not None
    change = (both[0] - both[1]).norm(dim=1)
    assert backbone.grid == 7
    assert int(change.argmax()) == 1 * 7 + 6


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_row_depends_on_its_own_photo_alone(data: st.DataObject) -> None:
    backbone, images = tiny_backbone(), photos(9)
    order = data.draw(st.permutations(range(9)).map(lambda p: p[: data.draw(st.integers(1, 9))]))
    alone = [backbone.image_features([images[one]], tokens=True) for one in order]
    together = backbone.image_features([images[one] for one in order], tokens=True)
    assert together.tokens is not None
    for row, one in enumerate(alone):
        assert one.tokens is not None
        assert (together.pooled[row] - one.pooled[0]).abs().max() <= 1e-5
        assert (together.tokens[row] - one.tokens[0]).abs().max() <= 1e-5


def test_a_row_depends_on_its_own_text_alone() -> None:
    backbone = tiny_backbone()
    texts = ["a photo of Prague", "a street", "x " * 300, "a photo of Prague"]
    together = backbone.text_features(texts)
    assert together.shape == (4, backbone.width)
    assert together.dtype == torch.float32
    for row, text in enumerate(texts):
        assert (together[row] - backbone.text_features([text])[0]).abs().max() <= 1e-5
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_a_text_is_read_up_to_the_towers_context() -> None:
    backbone = tiny_backbone()
    start = "word " * 30
    one, other = backbone.text_features([start + "paris", start + "london"])
    assert torch.equal(one, other)


def test_bfloat16_gives_float32_features_close_by() -> None:
    exact = tiny_backbone()
    rounded = Backbone.from_config("tiny", TOWER, seed=1, device="cpu", precision="bfloat16")
    assert rounded.fingerprint == exact.fingerprint
    for tokens in (False, True):
        ours = rounded.image_features(photos(2), tokens=tokens).pooled
        theirs = exact.image_features(photos(2), tokens=tokens).pooled
        assert ours.dtype == torch.float32
        assert 1e-6 < (ours - theirs).abs().max() / theirs.abs().max() < 0.05
    assert rounded.text_features(["a street"]).dtype == torch.float32


# --- towers of one's own ---------------------------------------------------------------------


def test_a_seed_gives_the_same_towers_and_leaves_the_generator_alone() -> None:
    before = torch.random.get_rng_state()
    one, again, other = (Backbone.from_config("t", TOWER, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert one.fingerprint == again.fingerprint != other.fingerprint
    assert torch.equal(one.image_features(photos(1)).pooled, again.image_features(photos(1)).pooled)
    assert not one.model.training
    assert not any(parameter.requires_grad for parameter in one.model.parameters())


def test_a_tower_comes_back_from_its_configuration_and_state(siglip: Backbone) -> None:
    config = siglip.spec.model_config_of_tower()
    assert config == SIGLIP_TOWER
    back = Backbone.from_config(siglip.spec.name, config, seed=9, state=siglip.model.state_dict())
    assert back.fingerprint == siglip.fingerprint
    assert torch.equal(
        back.image_features(photos(1)).pooled, siglip.image_features(photos(1)).pooled
    )


def test_the_fingerprint_covers_preprocessing_name_and_weights() -> None:
    base = tiny_backbone()
    state = dict(base.model.state_dict())
    squash = TOWER | {"preprocess_cfg": {"resize_mode": "squash"}}
    state["logit_scale"] = state["logit_scale"] + 1
    prints = {
        base.fingerprint,
        Backbone.from_config("tiny", squash, seed=1).fingerprint,
        Backbone.from_config("other", TOWER, seed=1).fingerprint,
        Backbone.from_config("tiny", TOWER, state=state).fingerprint,
    }
    assert len(prints) == 4
    assert all(len(bytes.fromhex(one)) == 32 for one in prints)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"embed_dim": 8},
        TOWER | {"vision_cfg": {"image_size": [56, 28], "layers": 1, "width": 8}},
        TOWER | {"vision_cfg": TOWER["vision_cfg"] | {"wings": 2}},
        TOWER | {"vision_cfg": {"image_size": 64, "timm_model_name": "no_such_model"}},
        TOWER | {"preprocess_cfg": {"mean": "grey"}},
        TOWER | {"text_cfg": {"hf_model_name": "roberta-base"}},
        TOWER | {"multimodal_cfg": {}},
        TOWER | {"vision_cfg": TOWER["vision_cfg"] | {"head_width": 0}},
        TOWER | {"preprocess_cfg": {"resize_mode": "tile"}},
        TOWER | {"preprocess_cfg": {"std": [0.5, 0.0, 0.5]}},
        TOWER | {"preprocess_cfg": {"mean": [0.5]}},
        TOWER | {"preprocess_cfg": {"size": 64}},
    ],
)
def test_a_configuration_that_is_none_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^backbone 'mine'"):
        Backbone.from_config("mine", config)


def test_weights_of_another_shape_are_listed() -> None:
    model = build_towers("tiny", TOWER)
    state = dict(model.state_dict())
    del state["visual.proj"]
    state["visual.extra"] = torch.ones(1)
    state["ln_final.bias"] = torch.ones(3)
    with pytest.raises(InputError) as caught:
        fill_towers(model, state, "tiny")
    for part in (
        "not those of backbone 'tiny'",
        "missing: visual.proj;",
        "unexpected: visual.extra;",
        "of another shape: ln_final.bias [3], not [16]",
    ):
        assert part in str(caught.value)


def test_weights_that_are_not_finite_are_refused() -> None:
    model = build_towers("tiny", TOWER)
    state = dict(model.state_dict())
    state["visual.proj"] = torch.full_like(state["visual.proj"], float("nan"))
    with pytest.raises(InputError, match=r"not finite: visual\.proj"):
        fill_towers(model, state, "tiny")


# --- files -----------------------------------------------------------------------------------

NAME = "open_clip:tiny-for-tests"


@pytest.fixture
def known_tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let open_clip know a small model by name; return where its file belongs."""
    tower = {**TOWER, "quick_gelu": True}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny-for-tests", tower)
    return tmp_path / "open_clip" / "tiny-for-tests" / "open_clip_model.safetensors"


def write(path: Path, state: dict[str, torch.Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)


def load(folder: Path, name: str = NAME) -> Backbone:
    return load_backbone(name, folder=folder, device="cpu")


@pytest.mark.parametrize("layout", ["open_clip", "hf_clip"])
def test_a_file_of_either_layout_gives_the_same_tower(
    known_tiny: Path, tmp_path: Path, layout: str
) -> None:
    made = Backbone.from_config("made", {**TOWER, "quick_gelu": True}, seed=3)
    state = dict(made.model.state_dict())
    write(known_tiny, state if layout == "open_clip" else to_hf_clip(state))
    found = load(tmp_path)
    assert torch.equal(
        found.image_features(photos(2)).pooled, made.image_features(photos(2)).pooled
    )
    assert torch.equal(found.text_features(["a street"]), made.text_features(["a street"]))
    by_path = load(tmp_path / "elsewhere", f"{NAME}={known_tiny}")
    assert by_path.fingerprint == found.fingerprint


def test_half_precision_files_become_float32(known_tiny: Path, tmp_path: Path) -> None:
    state = build_towers("made", TOWER, seed=3).state_dict()
    write(known_tiny, {name: tensor.half() for name, tensor in state.items()})
    found = load(tmp_path)
    assert {parameter.dtype for parameter in found.model.parameters()} == {torch.float32}
    assert found.image_features(photos(1)).pooled.dtype == torch.float32


def test_the_fingerprint_is_known_before_the_tower_is_loaded(
    known_tiny: Path, tmp_path: Path
) -> None:
    write(known_tiny, build_towers("made", TOWER, seed=3).state_dict())
    known = backbone_fingerprint(NAME, folder=tmp_path)
    assert load(tmp_path).fingerprint == known
    write(known_tiny, build_towers("made", TOWER, seed=4).state_dict())
    assert backbone_fingerprint(NAME, folder=tmp_path) != known


def test_a_missing_published_file_counts_as_the_published_one(tmp_path: Path) -> None:
    missing = backbone_fingerprint("clip-vit-l-14", folder=tmp_path)
    place = tmp_path / "clip-vit-l-14" / "model.safetensors"
    place.parent.mkdir()
    place.write_bytes(b"the published file")
    status = place.stat()
    published = SPECS["clip-vit-l-14"].sha256
    known = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": published}
    place.with_name(place.name + SIDECAR).write_text(json.dumps(known))
    assert backbone_fingerprint("clip-vit-l-14", folder=tmp_path) == missing
    place.write_bytes(b"another file")
    assert backbone_fingerprint("clip-vit-l-14", folder=tmp_path) != missing


@pytest.mark.parametrize("name", ["clip-vit-l-14", "siglip2-b-16"])
def test_a_missing_file_is_named_with_the_command_and_the_place(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        load(tmp_path, name)
    message = str(caught.value)
    assert f"'{name}' are not on this machine; run: graticule weights get {name}, or" in message
    assert str(tmp_path / name / SPECS[name].files[0]) in message
    assert "\n" not in message


def test_no_command_is_promised_for_a_file_that_it_cannot_get(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="on this machine; put the file at"):
        load(tmp_path, "siglip-l-16-256")


def test_a_file_cut_short_is_refused(known_tiny: Path, tmp_path: Path) -> None:
    write(known_tiny, build_towers("made", TOWER).state_dict())
    whole = known_tiny.read_bytes()
    for data in (whole[: len(whole) // 2], whole[:20], b""):
        known_tiny.write_bytes(data)
        with pytest.raises(InputError, match="open_clip_model"):
            load(tmp_path)


def test_weights_of_another_model_are_refused(known_tiny: Path, tmp_path: Path) -> None:
    write(known_tiny, {"fc.weight": torch.ones(2, 2)})
    with pytest.raises(InputError, match="not those of backbone 'open_clip:tiny-for-tests'"):
        load(tmp_path)


def test_a_gpu_that_is_missing_is_told_before_a_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UnavailableError, match="device 'cuda'"):
        load_backbone("clip-vit-l-14", folder=tmp_path, device="cuda")


def test_a_downloads_receipt_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"one")
    status = path.stat()
    said = f"# {status.st_size} bytes, changed at {status.st_mtime_ns} ns, checksum stated by hub"
    path.with_name("w.bin.sha256").write_text(f"{said}\n{'cd' * 32}  w.bin\n")
    assert file_identity(path) == "cd" * 32
    path.write_bytes(b"three")
    assert file_identity(path) == hashlib.sha256(b"three").hexdigest()


def test_a_file_is_hashed_again_only_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"one")
    assert file_identity(path) == hashlib.sha256(b"one").hexdigest()
    sidecar = path.with_name(path.name + SIDECAR)
    remembered = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(remembered | {"sha256": "ab" * 32}))
    assert file_identity(path) == "ab" * 32
    path.write_bytes(b"three")
    assert file_identity(path) == hashlib.sha256(b"three").hexdigest()
    for damaged in ("", "[]", "{", '{"sha256": 7}', "9" * 5000):
        sidecar.write_text(damaged)
        assert file_identity(path) == hashlib.sha256(b"three").hexdigest()
    with pytest.raises(InputError, match="cannot be read"):
        file_identity(tmp_path / "none")


# --- SigLIP ----------------------------------------------------------------------------------


def write_tokenizer(folder: Path) -> None:
    """Write a small tokenizer in the form of SigLIP's published one."""
    import tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    words = {"</s>": 1, "<unk>": 2, "a": 3, "street": 4, "in": 5, "prague": 6}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "</s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))


@pytest.fixture
def known_siglip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let open_clip know a small SigLIP by name, its weights written; return its folder."""
    tower = {key: value for key, value in SIGLIP_TOWER.items() if key != "preprocess_cfg"}
    text = {"hf_tokenizer_name": "hub/none", "tokenizer_kwargs": {"clean": "canonicalize"}}
    tower["text_cfg"] = SIGLIP_TOWER["text_cfg"] | text
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny-for-tests", tower)
    folder = tmp_path / "open_clip" / "tiny-for-tests"
    write(folder / "open_clip_model.safetensors", build_towers("made", tower).state_dict())
    return folder


def test_siglip_reads_texts_with_a_tokenizer_from_its_folder(
    known_siglip: Path, tmp_path: Path
) -> None:
    write_tokenizer(known_siglip)
    backbone = load(tmp_path)
    cleaned, plain, other = backbone.text_features(
        ["A  street, in Prague!", "a street in prague", "a street"]
    )
    assert torch.equal(cleaned, plain)
    assert not torch.equal(plain, other)
    numbers = torch.full((1, 16), 1)
    numbers[0, :4] = torch.tensor([3, 4, 5, 6])
    with torch.no_grad():
        expected = backbone.model.encode_text(numbers)[0]  # type: ignore[operator]
    assert (plain - expected).abs().max() <= 1e-6


def test_a_missing_tokenizer_is_named_with_the_remedy(known_siglip: Path, tmp_path: Path) -> None:
    backbone = load(tmp_path)
    assert backbone.image_features(photos(1)).pooled.shape == (1, 64)
    with pytest.raises(UnavailableError, match=r"put tokenizer.json and tokenizer_config.json int"):
        backbone.text_features(["a street"])
    with pytest.raises(UnavailableError, match="run: graticule weights get siglip2-b-16, or put"):
        tokenizer_folder(SPECS["siglip2-b-16"], tmp_path)


def test_a_damaged_tokenizer_is_refused(known_siglip: Path, tmp_path: Path) -> None:
    write_tokenizer(known_siglip)
    (known_siglip / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(InputError, match=r"^tokenizer in .* cannot be read"):
        load(tmp_path).text_features(["a street"])


def test_siglip_heads_bring_features_to_unit_length(siglip: Backbone) -> None:
    heads = SigLIPHeads(SigLIPConfig(backbone_width=siglip.width)).eval()
    assert heads.spaces == {"siglip": 64}
    assert (heads.image_spaces, heads.text_spaces, heads.retrieval) == (("siglip",),) * 3
    assert (heads.location_spaces, heads.alignment) == ((), "")
    assert list(heads.parameters()) == []
    features = siglip.image_features(photos(3))
    rows = heads.encode_photos(features)["siglip"]
    assert (rows.norm(dim=1) - 1).abs().max() <= 1e-6
    assert (rows * features.pooled).sum(1).allclose(features.pooled.norm(dim=1))
    words = heads.encode_captions(siglip.text_features(["a street"]))["siglip"]
    assert words.shape == (1, 64)
    batch = Batch(features, torch.zeros(3, 2).double())
    with pytest.raises(InputError, match="'siglip' has nothing to train"):
        heads(batch)
    with pytest.raises(InputError, match="'siglip' has nothing to train"):
        heads.loss({})
