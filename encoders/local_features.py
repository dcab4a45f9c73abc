"""Local features of a photo: RootSIFT descriptors with positions, and its perceptual hash.

Knows one photo at a time and works in a frame whose longer side is 640 px, the size at
which the matching thresholds of `tools.compare` were measured.

Sources: SIFT, Lowe (2004); RootSIFT, Arandjelovic and Zisserman (CVPR 2012); difference
hash, N. Krawetz (2013).
"""

import io
import zipfile
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from geo.errors import InputError

WORKING_SIDE_PX = 640
MAX_KEYPOINTS = 1000
DESCRIPTOR_SCALE = 512.0
"""RootSIFT components stay below 0.5; eight bits hold them to 0.001."""
_POSITION_SCALE = 64.0
FEATURES_VERSION = 1
"""Part of every fingerprint: raise it when the same photo would give other features."""


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """Keypoints of one photo in its working frame, strongest first."""

    xy: npt.NDArray[np.float32]
    """`[N, 2]` position, px of the working frame."""
    descriptors: npt.NDArray[np.uint8]
    """`[N, 128]` RootSIFT times 512."""
    scale: npt.NDArray[np.float32]
    """`[N]` keypoint diameter, px of the working frame."""
    angle: npt.NDArray[np.float32]
    """`[N]` orientation, degrees clockwise, 0 to 360."""
    width: float
    """Width of the working frame, px; the longer side is 640."""
    height: float
    """Height of the working frame, px."""
    dhash: int
    """64-bit difference hash of the whole photo."""

    def __len__(self) -> int:
        return len(self.xy)

    def vectors(self) -> npt.NDArray[np.float32]:
        """Return the `[N, 128]` RootSIFT descriptors as unit vectors."""
        return self.descriptors.astype(np.float32) / DESCRIPTOR_SCALE


def extract_features(image: Image.Image, max_keypoints: int = MAX_KEYPOINTS) -> LocalFeatures:
    """Find at most `max_keypoints` RootSIFT features of an upright photo.

    A longer photo is shrunk to 640 px before; a shorter one keeps its pixels and only its
    coordinates are scaled, so that distances in px mean the same in every photo.
    """
    import cv2

    grey, to_working = _working_pixels(image)
    detector = cv2.SIFT.create(nfeatures=max_keypoints)
    keypoints, raw = detector.detectAndCompute(grey, None)
    found = [(*k.pt, k.size, k.angle, k.response) for k in keypoints]
    table = np.array(found, np.float32).reshape(-1, 5)
    # OpenCV returns more than asked for on ties, and in no order.
    order = np.lexsort((table[:, 0], table[:, 1], -table[:, 4]))[:max_keypoints]
    table, raw = table[order], None if raw is None else np.asarray(raw, np.float32)[order]
    return LocalFeatures(
        xy=np.ascontiguousarray(table[:, :2]) * to_working,
        descriptors=_root_sift(raw),
        scale=table[:, 2] * to_working,
        angle=table[:, 3] % 360,
        width=float(grey.shape[1]) * to_working,
        height=float(grey.shape[0]) * to_working,
        dhash=difference_hash(image),
    )


def _working_pixels(image: Image.Image) -> tuple[npt.NDArray[np.uint8], float]:
    """Return grey pixels of at most 640 px a side and the factor to the working frame."""
    longer = max(image.size)
    if longer > WORKING_SIDE_PX:
        ratio = WORKING_SIDE_PX / longer
        size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    grey = np.asarray(image.convert("L"))
    return grey, WORKING_SIDE_PX / max(grey.shape)


def _root_sift(raw: npt.NDArray[np.float32] | None) -> npt.NDArray[np.uint8]:
    """Return the square root of L1-normalised SIFT, times 512, as bytes `[N, 128]`."""
    if raw is None or not len(raw):
        return np.zeros((0, 128), np.uint8)
    total = np.maximum(raw.sum(axis=1, keepdims=True), 1e-7)
    scaled = np.rint(np.sqrt(raw / total) * DESCRIPTOR_SCALE)
    return np.asarray(scaled.clip(0, 255), np.uint8)


def difference_hash(image: Image.Image) -> int:
    """Return the 64-bit difference hash: is each of 8 x 8 cells darker than its right neighbour."""
    cells = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = (cells[:, 1:] > cells[:, :-1]).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def hash_distance(first: int, second: int) -> int:
    """Return in how many of 64 bits two difference hashes differ."""
    return (first ^ second).bit_count()


def pack_features(features: LocalFeatures) -> bytes:
    """Return the features as the bytes of an .npz file, about 136 KB for 1,000 keypoints."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        xy=np.rint(features.xy * _POSITION_SCALE).astype(np.uint16),
        descriptors=features.descriptors,
        scale=features.scale.astype(np.float16),
        angle=features.angle.astype(np.float16),
        frame=np.array([features.width, features.height], np.float32),
        dhash=np.array([features.dhash], np.uint64),
    )
    return buffer.getvalue()


def unpack_features(data: bytes) -> LocalFeatures:
    """Read what `pack_features` wrote.

    Raises:
        InputError: the bytes are not such a file, or cut short.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            width, height = (float(side) for side in stored["frame"])
            return LocalFeatures(
                xy=stored["xy"].astype(np.float32) / _POSITION_SCALE,
                descriptors=stored["descriptors"],
                scale=stored["scale"].astype(np.float32),
                angle=stored["angle"].astype(np.float32),
                width=width,
                height=height,
                dhash=int(stored["dhash"][0]),
            )
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"stored local features are damaged ({error}); delete the gallery and build it again"
        ) from None
