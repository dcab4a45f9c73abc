"""Pictures of the report: small JPEG copies as data URIs, so that the page needs no other file."""

import base64
import io
from typing import Protocol

from PIL import Image

from geo.errors import GeolocationError
from tools.evidence import Box

PHOTO_PX, CROP_PX = 1400, 280
PICTURES_BYTES = 1_200_000
"""What all pictures of the steps may take together; more pictures are made smaller."""


class PhotoSource(Protocol):
    """Where pixels come from: `tools.photos.PhotoStore`, or anything with the same `image`."""

    def image(self, photo_id: str) -> Image.Image:
        """Return the picture kept under `photo_id`, RGB; raises an error of ours if it is gone."""
        ...


def load(photos: PhotoSource, photo_id: str) -> Image.Image | None:
    """Return a picture, or None where the store no longer has it: a report must survive that."""
    try:
        return photos.image(photo_id).convert("RGB")
    except (GeolocationError, OSError):
        return None


def data_uri(image: Image.Image, longest_px: int, limit_bytes: int = 450_000) -> str:
    """Return a JPEG `data:` URI no larger than `longest_px` a side and about `limit_bytes`."""
    small = image.copy()
    small.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    encoded = _jpeg(small, quality=82)
    for quality in (70, 55, 40):
        if len(encoded) <= limit_bytes:
            break
        encoded = _jpeg(small, quality)
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode("ascii")


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
    return buffer.getvalue()


def crop_uri(image: Image.Image, box: Box) -> str:
    """Return what lies in the box, with a little around it, as a small `data:` URI.

    Empty where the box lies outside the photo.
    """
    margin = max(4, (box.right - box.left + box.bottom - box.top) // 16)
    left, top = max(box.left - margin, 0), max(box.top - margin, 0)
    right, bottom = min(box.right + margin, image.width), min(box.bottom + margin, image.height)
    if right <= left or bottom <= top:
        return ""
    return data_uri(image.crop((left, top, right, bottom)), CROP_PX, limit_bytes=24_000)


def picture_size(count: int) -> tuple[int, int]:
    """Return the longest side in pixels and the bytes each of `count` pictures may take."""
    longest_px = 1200 if count <= 4 else 900 if count <= 10 else 640
    return longest_px, PICTURES_BYTES // max(count, 4)
