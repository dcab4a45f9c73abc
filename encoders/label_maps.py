"""Segmentation maps: read from files of any origin, fitted to photos, cropped as a tower sees them.

A map is `[H, W]` uint8: the class of each pixel, 255 where it has none. Maps are only ever
scaled to the nearest pixel: between two classes there is none.
"""

from pathlib import Path
from typing import cast, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders.photo_file import Limits, describe, open_header, printable, read_photo_bytes
from encoders.preprocess import CropRounding, Preprocessing, ResizeMode
from geo.errors import InputError

LabelMap = npt.NDArray[np.uint8]

UNLABELLED = 255
"""Class number of pixels without a class, by the convention of ADE20K, Cityscapes and COCO."""
ASPECT_TOLERANCE = 0.02
"""Relative difference in proportions that rounding a map's size may cause."""
WHAT = "the segmentation map"
_LOSSY = ("JPEG", "WebP", "HEIC")


def read_segmentation(
    source: Path | bytes | Image.Image,
    size: tuple[int, int] | None = None,
    classes: int | None = None,
) -> LabelMap:
    """Read a map of class numbers made anywhere, `[H, W]` uint8.

    Args:
        source: single-channel picture of 8 or 16 bits, or one with a palette, whose entries are
            then the classes: a path, the bytes of a file, or an open picture.
        size: width and height of the photo that the map is to fit, in pixels; any if None.
        classes: numbers at or above it are refused, save 255, unlabelled; None allows all.

    Raises:
        InputError: it cannot be read, has colours, is compressed with losses, holds a number
            beyond 255 or `classes`, or has other proportions than the photo.
    """
    if isinstance(source, Image.Image):
        return _fitting(_labels_of(source, WHAT), WHAT, size, classes)
    from encoders.pixels import decoding

    label = describe(source).replace("photo", "segmentation map", 1)
    data = read_photo_bytes(source, Limits())
    with decoding(label):
        picture, kind = open_header(data, label, Limits())
        with picture:
            if kind in _LOSSY:
                raise InputError(
                    f"{label} is a {kind} file, whose compression changes class numbers; save it "
                    "as PNG"
                )
            labels = _labels_of(picture, label)
    return _fitting(labels, label, size, classes)


def _labels_of(picture: Image.Image, label: str) -> LabelMap:
    """Return the class numbers of a single-channel or palette picture."""
    if picture.mode not in ("L", "P", "I", "I;16", "I;16L", "I;16B"):
        raise InputError(
            f"{label} has mode {picture.mode!r}, one channel of class numbers is needed; save it "
            "as a grey or palette PNG"
        )
    values = np.asarray(picture)
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest > UNLABELLED:
        raise InputError(
            f"{label} holds class {highest if lowest >= 0 else lowest}, limit 0 to {UNLABELLED}; "
            "renumber its classes"
        )
    return values.astype(np.uint8)


def _fitting(
    labels: LabelMap, label: str, size: tuple[int, int] | None, classes: int | None
) -> LabelMap:
    """Refuse classes beyond the limit; return the map at the photo's size."""
    wrong = labels[(labels >= classes) & (labels != UNLABELLED)] if classes else labels[:0]
    if wrong.size:
        raise InputError(
            f"{label} holds class {int(wrong.max())}, limit 0 to {(classes or 0) - 1} and "
            f"{UNLABELLED} for unlabelled; use the segmenter that the heads were trained with, or "
            "renumber"
        )
    return labels if size is None else fit_labels(labels, size, label)


def fit_labels(labels: LabelMap, size: tuple[int, int], label: str = WHAT) -> LabelMap:
    """Return a map at a photo's size, to the nearest pixel.

    Args:
        labels: `[H, W]` class numbers.
        size: width and height of the photo, in pixels.
        label: what errors call the map.

    Raises:
        InputError: it has other proportions than the photo.
    """
    height, width = labels.shape
    ratio = (width / height) / (size[0] / size[1])
    # One pixel more or less is rounding, also of a small map.
    slack = max(ASPECT_TOLERANCE, 1 / min(width, height))
    if not 1 / (1 + slack) <= ratio <= 1 + slack:
        raise InputError(
            f"{label} of {width:,} x {height:,} px does not fit a photo of {size[0]:,} x "
            f"{size[1]:,} px, proportions may differ by {slack:.0%}; make the map from the whole "
            "photo, upright"
        )
    return resize_labels(labels, size)


def resize_labels(labels: LabelMap, size: tuple[int, int]) -> LabelMap:
    """Return `[H, W]` class numbers at another width and height, to the nearest pixel."""
    return np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))


def crop_as_photo(
    labels: LabelMap, size: int, resize_mode: str, crop_rounding: CropRounding = "half_even"
) -> LabelMap:
    """Return the `[size, size]` part of a map that the tower sees of its photo.

    Args:
        labels: `[H, W]` class numbers, of the photo's size or proportions.
        size: side of the tower's input, in pixels.
        resize_mode: of the tower; see `encoders.preprocess.Preprocessing`. What `longest` puts
            beside the photo is unlabelled.
        crop_rounding: of the tower.

    Raises:
        InputError: the map is not `[H, W]` uint8, or the mode is unknown.
    """
    if labels.ndim != 2 or labels.dtype != np.uint8 or not labels.size:
        raise InputError(
            f"a segmentation map has shape {labels.shape} and type {labels.dtype}, [H, W] uint8 "
            "is needed; read it with encoders.label_maps.read_segmentation"
        )
    if resize_mode not in get_args(ResizeMode):
        raise InputError(
            f"unknown resize mode {printable(resize_mode)!r}; there is: "
            f"{', '.join(get_args(ResizeMode))}"
        )
    mode = cast(ResizeMode, resize_mode)
    seen = Preprocessing(size, resize_mode=mode, crop_rounding=crop_rounding)
    return seen.labels(labels, UNLABELLED)
