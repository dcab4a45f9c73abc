"""Segmentation maps: a model from a local folder, files from anywhere, cropped as the photo."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from encoders.label_maps import UNLABELLED, LabelMap, crop_as_photo, fit_labels, read_segmentation
from encoders.preprocess import Preprocessing, ResizeMode
from encoders.segmenter import Segmenter, TransformersSegmenter
from encoders.torch_setup import need
from geo.errors import InputError, UnavailableError

CLASSES = 7


def random_photo(width: int, height: int, seed: int = 0) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SegFormer of random weights, saved as its publishers do."""
    transformers = need("transformers")
    import torch

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights") / "segformer-tiny"
    config = transformers.SegformerConfig(
        num_labels=CLASSES,
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
    )
    transformers.utils.logging.disable_progress_bar()
    model = transformers.SegformerForSemanticSegmentation(config)
    with torch.no_grad():  # random, but with something to tell apart
        model.decode_head.classifier.weight.mul_(40)
    model.save_pretrained(folder)
    transformers.SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copied"))


def test_a_local_model_segments_photos_at_their_size(tiny: Path) -> None:
    segmenter = TransformersSegmenter(tiny, device="cpu")
    assert isinstance(segmenter, Segmenter)
    assert (segmenter.name, segmenter.classes) == ("segformer-tiny", CLASSES)
    photos = [random_photo(120, 80), random_photo(37, 90, seed=1)]
    maps = segmenter.segment(photos)
    assert [one.shape for one in maps] == [(80, 120), (90, 37)]
    assert all(one.dtype == np.uint8 and one.max() < CLASSES for one in maps)
    assert len(np.unique(maps[0])) > 1, "a map of one class would prove nothing"
    np.testing.assert_array_equal(segmenter.segment(photos[1:])[0], maps[1])


def test_the_map_is_the_models_own_reading(tiny: Path) -> None:
    """Against the package's own post-processing, at the size at which both need no rescaling."""
    transformers = need("transformers")
    photo = random_photo(64, 64)
    processor = transformers.SegformerImageProcessor.from_pretrained(tiny)
    model = transformers.SegformerForSemanticSegmentation.from_pretrained(tiny).eval()
    outputs = model(**processor(images=photo, return_tensors="pt"))
    expected = processor.post_process_semantic_segmentation(outputs, target_sizes=[(64, 64)])[0]
    found = TransformersSegmenter(tiny, device="cpu").segment([photo])[0]
    np.testing.assert_array_equal(found, expected.numpy())


def test_what_the_preprocessing_would_cut_off_is_segmented_too(copied: Path) -> None:
    path = copied / "preprocessor_config.json"
    said = json.loads(path.read_text()) | {"image_processor_type": "BeitImageProcessor"}
    maps = []
    for cut in (False, True):
        crop = {"do_center_crop": cut, "crop_size": {"height": 32, "width": 32}}
        path.write_text(json.dumps(said | crop))
        maps += TransformersSegmenter(copied, device="cpu").segment([random_photo(90, 90)])
    np.testing.assert_array_equal(maps[0], maps[1])


def test_a_fingerprint_covers_weights_and_preprocessing(tiny: Path, copied: Path) -> None:
    first = TransformersSegmenter(tiny).fingerprint
    assert len(first) == 64
    assert TransformersSegmenter(copied).fingerprint == first
    path = copied / "preprocessor_config.json"
    path.write_text(path.read_text().replace("64", "96"))
    assert TransformersSegmenter(copied).fingerprint != first


def test_missing_files_are_named_with_what_gets_them(tiny: Path, copied: Path) -> None:
    with pytest.raises(UnavailableError, match="run: graticule weights get upernet-convnext-tiny"):
        TransformersSegmenter(copied.parent / "nowhere")
    with pytest.raises(UnavailableError, match="run: graticule weights get segformer-b5"):
        TransformersSegmenter(copied.parent / "segformer-b5")
    (copied / "model.safetensors").unlink()
    with pytest.raises(UnavailableError, match="safetensors or pytorch_model"):
        TransformersSegmenter(copied)


def test_a_plain_state_dict_is_read_and_a_pickled_module_is_not(copied: Path) -> None:
    import torch
    from safetensors.torch import load_file

    photo = random_photo(70, 50)
    expected = TransformersSegmenter(copied, device="cpu").segment([photo])[0]
    state = load_file(copied / "model.safetensors")
    (copied / "model.safetensors").unlink()
    torch.save(state, copied / "pytorch_model.bin")
    found = TransformersSegmenter(copied, device="cpu").segment([photo])[0]
    np.testing.assert_array_equal(found, expected)
    torch.save(torch.nn.Linear(2, 2), copied / "pytorch_model.bin")
    with pytest.raises(InputError, match="cannot be used"):
        TransformersSegmenter(copied, device="cpu").segment([photo])


def _cut_short(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def _without_classifier(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    del state["decode_head.classifier.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _more_classes(folder: Path) -> None:
    said = json.loads((folder / "config.json").read_text())
    said["id2label"] = {str(number): f"class {number}" for number in range(300)}
    said["label2id"] = {name: int(number) for number, name in said["id2label"].items()}
    (folder / "config.json").write_text(json.dumps(said))


def _not_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_cut_short, "cannot be used"),
        (_without_classifier, "missing or mis-shaped: decode_head.classifier.weight"),
        (_more_classes, "300 classes, limit 2 to 255"),
        (_not_json, "names no classes"),
    ],
)
def test_harmed_models_are_refused(copied: Path, harm: Callable[[Path], None], said: str) -> None:
    harm(copied)
    with pytest.raises(InputError, match=said) as caught:
        TransformersSegmenter(copied, device="cpu").segment([random_photo(20, 20)])
    assert "\n" not in str(caught.value)


def saved(tmp_path: Path, picture: Image.Image, name: str = "map.png", **how: Any) -> Path:
    path = tmp_path / name
    picture.save(path, **how)
    return path


def random_labels(width: int, height: int, dtype: type = np.uint8) -> npt.NDArray[Any]:
    return np.random.default_rng(0).integers(0, CLASSES, (height, width)).astype(dtype)


def test_grey_palette_and_sixteen_bit_maps_are_read(tmp_path: Path) -> None:
    labels = random_labels(30, 20)
    labels[0, 0] = UNLABELLED
    palette = Image.fromarray(labels)
    palette.putpalette([255 - value // 3 for value in range(768)])
    wide = Image.fromarray(labels.astype(np.uint16))
    assert palette.mode == "P"
    for picture in (
        Image.fromarray(labels),
        palette,
        wide,
        Image.fromarray(labels.astype(np.int32)),
    ):
        np.testing.assert_array_equal(read_segmentation(picture, (30, 20), CLASSES), labels)
    for picture in (Image.fromarray(labels), palette, wide):
        path = saved(tmp_path, picture)
        np.testing.assert_array_equal(read_segmentation(path, (30, 20), CLASSES), labels)
        np.testing.assert_array_equal(read_segmentation(path.read_bytes()), labels)


def test_maps_that_cannot_be_class_numbers(tmp_path: Path) -> None:
    wide = random_labels(30, 20, np.uint16)
    wide[3, 4] = 26_001
    with pytest.raises(InputError, match="holds class 26001, limit 0 to 255"):
        read_segmentation(saved(tmp_path, Image.fromarray(wide)))
    with pytest.raises(InputError, match="holds class -1, limit 0 to 255"):
        read_segmentation(Image.fromarray(np.full((4, 4), -1, np.int32)))
    with pytest.raises(InputError, match="mode 'RGB', one channel"):
        read_segmentation(saved(tmp_path, random_photo(30, 20)))
    with pytest.raises(InputError, match="JPEG file, whose compression changes class numbers"):
        read_segmentation(saved(tmp_path, Image.fromarray(random_labels(30, 20)), "map.jpg"))
    with pytest.raises(InputError, match=f"holds class {CLASSES - 1}, limit 0 to 4 and 255"):
        read_segmentation(Image.fromarray(random_labels(30, 20)), classes=5)
    path = saved(tmp_path, Image.fromarray(random_labels(300, 200)))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"^segmentation map '.*is cut short"):
        read_segmentation(path)
    with pytest.raises(InputError, match=r"nowhere\.png"):
        read_segmentation(tmp_path / "nowhere.png")


def test_a_smaller_map_is_scaled_without_inventing_classes() -> None:
    labels: LabelMap = np.array([[0, 6], [6, 0]], np.uint8).repeat(10, 0).repeat(15, 1)
    found = read_segmentation(Image.fromarray(labels), (61, 41))
    assert found.shape == (41, 61)
    assert set(np.unique(found)) == {0, 6}
    assert (found[:20, :30] == 0).all()
    assert (found[:20, 31:] == 6).all()


@pytest.mark.parametrize(("width", "height"), [(20, 30), (30, 30), (224, 224), (64, 40)])
def test_a_map_of_other_proportions_is_refused(width: int, height: int) -> None:
    labels = np.zeros((height, width), np.uint8)
    with pytest.raises(InputError, match=f"of {width} x {height} px does not fit a photo"):
        fit_labels(labels, (600, 400))


def position_picture(width: int, height: int) -> tuple[Image.Image, LabelMap, LabelMap]:
    """A photo whose red grows with x and whose green grows with y, and both as maps."""
    x = np.broadcast_to(np.linspace(20, 235, width), (height, width)).astype(np.uint8)
    y = np.broadcast_to(np.linspace(20, 235, height)[:, None], (height, width)).astype(np.uint8)
    return Image.fromarray(np.stack((x, y, np.full_like(x, 200)), axis=-1)), x, y


@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
@pytest.mark.parametrize("size", [(301, 203), (100, 333), (64, 64), (40, 30), (65, 64)])
def test_maps_are_cropped_as_the_tower_sees_the_photo(
    mode: ResizeMode, size: tuple[int, int]
) -> None:
    photo, x, y = position_picture(*size)
    seen = Preprocessing(64, resize_mode=mode).pixels(photo).astype(int)
    inside = seen[..., 2] > 150  # the bars of `longest` are black
    for channel, labels in ((0, x), (1, y)):
        cropped = crop_as_photo(labels, 64, mode)
        assert cropped.shape == (64, 64)
        assert (cropped[~inside] == UNLABELLED).all()
        # One pixel of the map, or of the tower, to either side.
        slack = 215 / min(labels.shape[1 - channel], 64) + 3
        assert np.abs(cropped.astype(int) - seen[..., channel])[inside].max() <= slack
        drift = (cropped.astype(int) - seen[..., channel])[inside].mean()
        assert abs(drift) < 1.5, "no shift to one side"
    assert inside.all() == (mode != "longest" or size == (64, 64))


def test_only_maps_of_class_numbers_are_cropped() -> None:
    with pytest.raises(InputError, match="type float64"):
        crop_as_photo(np.zeros((4, 4)), 8, "squash")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="shape \\(4, 4, 3\\)"):
        crop_as_photo(np.zeros((4, 4, 3), np.uint8), 8, "squash")
    with pytest.raises(InputError, match="unknown resize mode 'stretch'"):
        crop_as_photo(np.zeros((4, 4), np.uint8), 8, "stretch")
