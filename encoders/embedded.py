"""The encoder that needs no download: VLAD over RootSIFT with a codebook fitted on the spot.

It says which photos of a gallery look alike enough to be worth comparing point by point. It
knows nothing of the world: no vector of it may be turned into a coordinate.

Sources: VLAD, Jegou et al. (CVPR 2010); intra-normalisation, Arandjelovic and Zisserman
(CVPR 2013); power law, Jegou et al. (TPAMI 2012); half whitening, i.e. principal components
divided by the fourth root of their variance.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders.base import EncoderCard, Vectors
from encoders.local_features import (
    FEATURES_VERSION,
    MAX_KEYPOINTS,
    WORKING_SIDE_PX,
    LocalFeatures,
    extract_features,
)
from geo.errors import InputError

SPACE = "vlad"
WORDS = 64
DESCRIPTORS_PER_PHOTO = 200
MAX_FIT_DESCRIPTORS = 60_000
PCA_MIN_PHOTOS = 1000
PCA_DIMENSIONS = 512
_SEED = 7


@dataclass(frozen=True, eq=False)
class Codebook:
    """Visual words, and a projection where enough photos were there to fit one."""

    words: Vectors
    """`[K, 128]` centres in RootSIFT space."""
    mean: Vectors | None = None
    """`[K * 128]` mean VLAD; None without a projection."""
    projection: Vectors | None = None
    """`[K * 128, D]` half-whitened principal components."""

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the arrays and everything else that shapes a vector."""
        recipe = (
            f"vlad intra power 0.5 features {FEATURES_VERSION} {WORKING_SIDE_PX} px {MAX_KEYPOINTS}"
        )
        digest = hashlib.sha256(recipe.encode())
        for array in (self.words, self.mean, self.projection):
            digest.update(b"|" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self.words.size if self.projection is None else self.projection.shape[1]

    def pack(self) -> bytes:
        """Return the codebook as the bytes of an .npz file."""
        arrays = {"words": self.words}
        if self.mean is not None and self.projection is not None:
            arrays |= {"mean": self.mean, "projection": self.projection}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def unpack(cls, data: bytes) -> "Codebook":
        """Read what `pack` wrote.

        Raises:
            InputError: the bytes are not a codebook.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                return cls(stored["words"], stored.get("mean"), stored.get("projection"))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"codebook is damaged ({error}); delete the gallery and build it again"
            ) from None


class EmbeddedEncoder:
    """VLAD of RootSIFT under one codebook."""

    def __init__(self, codebook: Codebook) -> None:
        self.codebook = codebook

    @cached_property
    def card(self) -> EncoderCard:
        """Name, fingerprint, and the one space `vlad`."""
        return EncoderCard(
            name="embedded",
            fingerprint=self.codebook.fingerprint,
            spaces={SPACE: self.codebook.dimensions},
            licence="fitted on the gallery's own photos",
            family="embedded",
        )

    def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
        """Encode upright RGB photos to `{"vlad": [N, D]}`; see `Encoder.encode_images`."""
        return self.encode_features([extract_features(image) for image in images])

    def encode_features(self, features: Sequence[LocalFeatures]) -> dict[str, Vectors]:
        """Encode photos whose local features are known already to `{"vlad": [N, D]}`."""
        rows = [vlad(one, self.codebook) for one in features]
        return {SPACE: np.stack(rows) if rows else np.zeros((0, self.codebook.dimensions), "f4")}


def vlad(features: LocalFeatures, codebook: Codebook) -> Vectors:
    """Return the `[D]` unit vector of one photo; zeros where it has no features."""
    raw = _raw_vlad(features, codebook.words)
    if codebook.mean is None or codebook.projection is None or not raw.any():
        return raw
    centred: Vectors = raw - codebook.mean
    return _unit(centred @ codebook.projection)


def _raw_vlad(features: LocalFeatures, words: Vectors) -> Vectors:
    """Sum residuals to the nearest word, normalise per word, take signed roots: `[K * 128]`."""
    vectors = features.vectors()
    nearest = np.argmax(vectors @ words.T - 0.5 * (words**2).sum(axis=1), axis=1)
    sums = np.zeros_like(words)
    np.add.at(sums, nearest, vectors - words[nearest])
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    sums /= np.where(norms > 0, norms, 1)
    return _unit((np.sign(sums) * np.sqrt(np.abs(sums))).ravel())


def _unit(vector: Vectors) -> Vectors:
    length = float(np.linalg.norm(vector))
    return (vector / length if length > 0 else vector).astype(np.float32)


def fit_codebook(photos: Iterable[LocalFeatures], words: int = WORDS) -> Codebook:
    """Fit visual words by k-means, and a projection from 1,000 photos on.

    The same photos in the same order give the same codebook.

    Raises:
        InputError: the photos have fewer descriptors than words.
    """
    import cv2

    known = [one for one in photos if len(one)]
    each = max(1, min(DESCRIPTORS_PER_PHOTO, MAX_FIT_DESCRIPTORS // max(1, len(known))))
    generator = np.random.default_rng(_SEED)
    sample = [one.vectors()[_pick(len(one), each, generator)] for one in known]
    descriptors = np.concatenate(sample) if sample else np.zeros((0, 128), np.float32)
    if len(descriptors) < words:
        raise InputError(
            f"the photos show {len(descriptors)} local features, {words} are needed to fit a "
            "codebook; add photos with more detail"
        )
    cv2.setRNGSeed(_SEED)
    stop = (cv2.TERM_CRITERIA_MAX_ITER + cv2.TERM_CRITERIA_EPS, 25, 1e-4)
    start, labels = cv2.KMEANS_PP_CENTERS, np.zeros((len(descriptors), 1), np.int32)
    _, _, centres = cv2.kmeans(descriptors, words, labels, stop, 1, start)
    book = Codebook(np.asarray(centres, np.float32))
    return _with_projection(book, known) if len(known) >= PCA_MIN_PHOTOS else book


def _pick(count: int, limit: int, generator: np.random.Generator) -> npt.NDArray[np.intp]:
    return np.sort(generator.permutation(count)[:limit])


def _with_projection(book: Codebook, photos: Sequence[LocalFeatures]) -> Codebook:
    """Add half-whitened principal components fitted on the VLAD of the photos."""
    rows = np.stack([_raw_vlad(one, book.words) for one in photos])
    mean = rows.mean(axis=0)
    centred = rows - mean
    # The Gram matrix is smaller than the covariance: photos are fewer than dimensions.
    values, left = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    keep = np.argsort(values)[::-1][: min(PCA_DIMENSIONS, len(photos) - 1)]
    singular = np.sqrt(np.maximum(values[keep], 1e-12))
    axes = centred.T @ left[:, keep] / singular
    half_whitening = (singular**2 / len(photos)) ** -0.25
    return Codebook(book.words, mean.astype("f4"), (axes * half_whitening).astype("f4"))
