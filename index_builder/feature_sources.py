"""What is computed of each training photo: pooled features, tokens, captions, maps, tiles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from encoders.base import check_images
from encoders.heads import Need
from encoders.pixels import open_photo
from geo.errors import InputError
from index_builder.feature_store import ArraySpec, FeatureStore
from index_builder.training_data import Example, file_key, text_key

if TYPE_CHECKING:
    from encoders.backbones import Backbone

_HALF_MAX = float(np.finfo(np.float16).max)
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass
class FeatureSource:
    """One store and how its rows are made."""

    kind: str
    store: FeatureStore
    key: Callable[[Example], int]
    load: Callable[[Example], Any]
    encode: Callable[[Sequence[Any]], Arrays]
    text: bool = False


def feature_sources(
    needs: frozenset[Need], backbone: "Backbone", folder: Path, classes: int | None
) -> list[FeatureSource]:
    """Return what makes the features that a family needs, kept below `folder`.

    Args:
        needs: of the family.
        backbone: frozen.
        folder: of this backbone's features.
        classes: limit of the numbers in segmentation maps.
    """
    pooled = {"pooled": ArraySpec((backbone.width,), "float32")}
    photos = FeatureStore(folder / "photos", pooled)

    def encode(images: Sequence[Image.Image]) -> Arrays:
        return {"pooled": _numpy(backbone.image_features(images).pooled)}

    found = []
    if "tokens" in needs:
        found.append(_token_source(backbone, folder, pooled))
    else:
        found.append(FeatureSource("photos", photos, _photo_key, _load_photo, encode))
    if "segments" in needs:
        found.append(_segment_source(backbone, folder, classes))
    if "captions" in needs:
        texts = FeatureStore(folder / "captions", pooled)
        found.append(
            FeatureSource(
                "captions",
                texts,
                lambda one: text_key(one.caption.encode()),
                lambda one: one.caption,
                lambda captions: {"pooled": _numpy(backbone.text_features(captions))},
                text=True,
            )
        )
    if "aerial" in needs:
        found.append(FeatureSource("aerial", photos, _aerial_key, _load_aerial, encode))
    return found


def _token_source(
    backbone: "Backbone", folder: Path, pooled: Mapping[str, ArraySpec]
) -> FeatureSource:
    tokens = ArraySpec((backbone.grid**2, backbone.token_width), "float16")
    store = FeatureStore(folder / "tokens", {**pooled, "tokens": tokens})

    def encode(images: Sequence[Image.Image]) -> Arrays:
        found = backbone.image_features(images, tokens=True)
        assert found.tokens is not None
        half = _numpy(found.tokens).clip(-_HALF_MAX, _HALF_MAX).astype(np.float16)
        return {"pooled": _numpy(found.pooled), "tokens": half}

    return FeatureSource("tokens", store, _photo_key, _load_photo, encode)


def _segment_source(backbone: "Backbone", folder: Path, classes: int | None) -> FeatureSource:
    from encoders.label_maps import crop_as_photo, read_segmentation

    seen = backbone.spec.preprocessing
    side = seen.image_size

    def load(one: Example) -> npt.NDArray[np.uint8]:
        assert one.segmentation is not None
        # Only the upright photo says whether the map is of the whole of it.
        labels = read_segmentation(one.segmentation, open_photo(one.photo).image.size, classes)
        return crop_as_photo(labels, side, seen.resize_mode, seen.crop_rounding)

    store = FeatureStore(folder / "segments", {"segments": ArraySpec((side, side), "uint8")})
    return FeatureSource(
        "segments",
        store,
        # What was checked is part of what was made.
        lambda one: text_key(f"{_path_key(one.segmentation)} {_photo_key(one)} {classes}".encode()),
        load,
        lambda maps: {"segments": np.stack(maps)},
    )


def _path_key(path: Path | None) -> int:
    assert path is not None
    return file_key(path)


def _photo_key(one: Example) -> int:
    return file_key(one.photo)


def _aerial_key(one: Example) -> int:
    return _path_key(one.aerial)


def _load_photo(one: Example) -> Image.Image:
    return _load(one.photo)


def _load_aerial(one: Example) -> Image.Image:
    assert one.aerial is not None
    return _load(one.aerial)


def _load(path: Path) -> Image.Image:
    image = open_photo(path).image
    try:
        check_images([image])
    except InputError as error:
        raise InputError(str(error).removeprefix("photo 0 ")) from None
    return image


def _numpy(tensor: Tensor) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = tensor.float().cpu().numpy()
    return found
