"""Photos as a model sees them: small JPEGs in data URIs, made once and kept for the next turn."""

import base64
import io
import threading
from collections import OrderedDict
from dataclasses import dataclass

from PIL import Image

from tools.photo_store import PhotoStore

QUALITY = 90
LEAST_SIDE_PX = 32
"""Qwen-VL's processors refuse images under 28 px a side, their patches' size."""
MAXIMUM_BYTES = 64 * 1024 * 1024
"""Of data URIs kept in a process: about 150 photos of 1024 px."""


@dataclass(frozen=True)
class ShownPicture:
    """A photo as it is sent.

    Attributes:
        uri: `data:image/jpeg;base64,...`, without any metadata.
        size: of the photo itself, width and height in pixels; tools take boxes in these.
        shown: width and height as sent, in pixels.
    """

    uri: str
    size: tuple[int, int]
    shown: tuple[int, int]


class PictureCache:
    """The pictures sent last, by photo and size; safe to share between threads."""

    def __init__(self, maximum_bytes: int = MAXIMUM_BYTES) -> None:
        self.maximum_bytes = maximum_bytes
        self._kept: OrderedDict[tuple[str, int], ShownPicture] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def show(self, photos: PhotoStore, photo_id: str, side_px: int) -> ShownPicture:
        """Return a photo as a JPEG of at most `side_px` a side.

        Raises:
            ToolError: no such photo.
            InputError: the stored file is damaged.
        """
        key = (photo_id, side_px)  # the id is the content's hash: no store has another photo by it
        with self._lock:
            if (found := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return found
        made = encode_picture(photos.image(photo_id), side_px)
        with self._lock:
            if key not in self._kept and len(made.uri) <= self.maximum_bytes:
                self._kept[key] = made
                self._bytes += len(made.uri)
            while self._bytes > self.maximum_bytes:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= len(oldest.uri)
        return made

    @property
    def bytes(self) -> int:
        """Length of the data URIs held."""
        return self._bytes


def encode_picture(image: Image.Image, side_px: int) -> ShownPicture:
    """Return an image as a JPEG data URI of at most `side_px` a side; tiny ones are enlarged."""
    scale = min(1.0, side_px / max(image.size))
    scale = max(scale, min(LEAST_SIDE_PX / min(image.size), side_px / max(image.size)))
    shown = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if shown != image.size:
        resized = image.resize(shown, Image.Resampling.LANCZOS, reducing_gap=3.0)
    else:
        resized = image
    buffer = io.BytesIO()
    # A new image carries no metadata of the old one.
    plain = Image.frombytes("RGB", shown, resized.convert("RGB").tobytes())
    plain.save(buffer, "JPEG", quality=QUALITY)
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    return ShownPicture(uri=uri, size=image.size, shown=shown)
