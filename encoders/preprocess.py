"""A photo as a tower sees it: resized, cropped, normalised, exactly as its weights were published.

Pillow and numpy alone. Two conventions of centre cropping are in use, which differ by one pixel
where the part to cut off is odd: OpenAI and open_clip round half to even, the `transformers`
package cuts the smaller half off first.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

ResizeMode = Literal["shortest", "squash", "longest"]
Interpolation = Literal["bicubic", "bilinear"]
CropRounding = Literal["half_even", "down"]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
MAX_IMAGE_SIZE = 4096
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Preprocessing:
    """How a photo becomes a tower's input."""

    image_size: int = 224
    """Side of the square input, in pixels."""
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    interpolation: Interpolation = "bicubic"
    resize_mode: ResizeMode = "shortest"
    """`shortest` fills the square and cuts the rest off; `squash` gives up the aspect ratio;
    `longest` shows the whole photo between bars of black."""
    crop_rounding: CropRounding = "half_even"

    def __post_init__(self) -> None:
        """Refuse what would only show in a feature.

        Raises:
            ValueError: a value out of range, or a mode that is not known.
        """
        for name, value, known in (
            ("interpolation", self.interpolation, get_args(Interpolation)),
            ("resize_mode", self.resize_mode, get_args(ResizeMode)),
            ("crop_rounding", self.crop_rounding, get_args(CropRounding)),
        ):
            if value not in known:
                raise ValueError(f"{name} {value!r} is not one of {', '.join(known)}")
        if not 1 <= self.image_size <= MAX_IMAGE_SIZE:
            raise ValueError(f"image_size {self.image_size} is not from 1 to {MAX_IMAGE_SIZE}")
        if len(self.mean) != 3 or not np.isfinite(self.mean).all():
            raise ValueError(f"mean {self.mean} is not three numbers")
        if len(self.std) != 3 or not all(0 < one < np.inf for one in self.std):
            raise ValueError(f"std {self.std} is not three positive numbers")

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Return the `[S, S, 3]` pixels that the tower sees of an RGB photo."""
        size = self.image_size
        resized = image.resize(
            self._resized(image.width, image.height), _FILTERS[self.interpolation]
        )
        left = self._offset(resized.width - size)
        top = self._offset(resized.height - size)
        # Beyond the picture, Pillow crops black.
        return np.asarray(resized.crop((left, top, left + size, top + size)))

    def labels(self, classes: npt.NDArray[np.uint8], beyond: int) -> npt.NDArray[np.uint8]:
        """Return the `[S, S]` class numbers of what the tower sees, to the nearest pixel.

        Args:
            classes: `[H, W]`, of a photo or in its proportions.
            beyond: class of what lies outside the photo.
        """
        size = self.image_size
        picture = Image.fromarray(classes)
        resized = picture.resize(
            self._resized(picture.width, picture.height), Image.Resampling.NEAREST
        )
        seen = Image.new("L", (size, size), beyond)
        seen.paste(
            resized, (-self._offset(resized.width - size), -self._offset(resized.height - size))
        )
        return np.asarray(seen)

    def __call__(self, image: Image.Image) -> npt.NDArray[np.float32]:
        """Return the `[3, S, S]` normalised input for an RGB photo."""
        scaled = self.pixels(image).astype(np.float32) / np.float32(255)
        normal = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1))

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        size = self.image_size
        if self.resize_mode == "squash":
            return size, size
        if self.resize_mode == "longest":
            ratio = max(width, height) / size
            return max(1, round(width / ratio)), max(1, round(height / ratio))
        if width <= height:
            return size, int(size * height / width)
        return int(size * width / height), size

    def _offset(self, beyond: int) -> int:
        """Return how much of `beyond` pixels to cut off left or above; padding is negative."""
        if beyond < 0:
            return -(-beyond // 2)
        return beyond // 2 if self.crop_rounding == "down" else round(beyond / 2)
