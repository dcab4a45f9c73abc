"""A family's heads over a backbone, as an encoder: photos, coordinates and words to vectors.

Knows the protocol of `encoders.base` and devices. The image tower is loaded when the first photo
or text comes: coordinates never need it.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from encoders.base import (
    EncoderCard,
    Vectors,
    check_coordinates,
    check_images,
    check_texts,
)
from encoders.heads import Heads, PhotoFeatures
from encoders.location import CHUNK
from geo.errors import InputError
from geo.sphere import map_order

if TYPE_CHECKING:
    from encoders.backbones import Backbone
    from encoders.segmenter import Segmenter

IMAGE_BATCH = 16
"""Photos that pass through the tower at once."""
LabelMap = npt.NDArray[np.uint8]


class FamilyEncoder:
    """An `AlignedEncoder` made of a backbone and one family's heads.

    Args:
        heads: with their weights in place; moved to `device` and prepared for inference.
        load_backbone: gives the backbone when it is first needed.
        backbone_name: of that backbone, for the card.
        backbone_fingerprint: of that backbone's weights and preprocessing, known unloaded.
        name: of the encoder; the family's by default.
        licence: of the heads' weights.
        published: whether these weights are a publication's own.
        device: where the heads compute; the backbone has its own.
        segmenter: makes segmentation maps for families that look at them.
    """

    def __init__(
        self,
        heads: Heads,
        load_backbone: "Callable[[], Backbone]",
        *,
        backbone_name: str,
        backbone_fingerprint: str,
        name: str = "",
        licence: str = "",
        published: bool = False,
        device: torch.device | None = None,
        segmenter: "Segmenter | None" = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.heads = heads.to(self.device).eval().requires_grad_(False)
        self.heads.prepare()
        self.segmenter = segmenter
        self._check_segmenter()
        self._load_backbone = load_backbone
        self._lock = threading.Lock()
        self._name = name or heads.family
        self._licence = licence
        self._published = published
        self._backbone_name = backbone_name
        self._backbone_fingerprint = backbone_fingerprint

    @cached_property
    def card(self) -> EncoderCard:
        """Who this is; the fingerprint covers heads, backbone, preprocessing and segmenter."""
        heads = self.heads
        return EncoderCard(
            name=self._name,
            fingerprint=self._fingerprint(),
            spaces=dict(heads.spaces),
            licence=self._licence,
            backbone=self._backbone_name,
            image_spaces=heads.image_spaces,
            location_spaces=heads.location_spaces,
            text_spaces=heads.text_spaces,
            retrieval=heads.retrieval,
            alignment=heads.alignment,
            temperature=round(heads.temperature, 4),
            published=self._published,
            family=heads.family,
        )

    def _fingerprint(self) -> str:
        segmenter = self.segmenter.fingerprint if self.segmenter else ""
        parts = [self.heads.family, self.heads.config.model_dump_json()]
        parts += [heads_digest(self.heads), self._backbone_fingerprint, segmenter]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @cached_property
    def _loaded_backbone(self) -> "Backbone":
        return self._load_backbone()

    @property
    def backbone(self) -> "Backbone":
        """The tower, loaded now if it was not.

        Raises:
            UnavailableError: its weights are not on this machine.
        """
        with self._lock:
            return self._loaded_backbone

    def encode_images(
        self, images: Sequence[Image.Image], segmentations: Sequence[LabelMap] | None = None
    ) -> dict[str, Vectors]:
        """Encode upright RGB photos; see `Encoder.encode_images`.

        Args:
            images: the photos.
            segmentations: for families that look at them, one `[H, W]` map of class numbers a
                photo; made by the segmenter otherwise.

        Raises:
            InputError: see `check_images`; or the family needs maps and there is no segmenter.
            UnavailableError: the tower's weights are not on this machine.
        """
        check_images(images)
        if segmentations is not None and len(segmentations) != len(images):
            raise InputError(
                f"{len(segmentations)} segmentation maps for {len(images)} photos; give one each"
            )
        chunks = []
        for start in range(0, len(images), IMAGE_BATCH):
            part = slice(start, start + IMAGE_BATCH)
            maps = segmentations[part] if segmentations is not None else None
            features = self.photo_features(images[part], maps)
            with torch.inference_mode():
                chunks.append(self.heads.encode_photos(features))
        return _joined(chunks)

    def as_seen(self, image: Image.Image) -> Image.Image:
        """Return the smallest photo that encodes to the same vectors, bit for bit.

        It is what the tower sees of an RGB photo: whoever waits for the encoder with many photos
        holds little of each, and the work of preparing them is done. A family that looks at
        segmentation maps needs the whole photo.

        Raises:
            UnavailableError: the tower's weights are not on this machine.
        """
        preprocessing = self.backbone.spec.preprocessing
        if "segments" in self.heads.needs:
            return image
        return Image.fromarray(preprocessing.pixels(image))

    def _check_segmenter(self) -> None:
        known = getattr(self.heads.config, "classes", None)
        if self.segmenter and known is not None and self.segmenter.classes != known:
            raise InputError(
                f"segmenter {self.segmenter.name!r} tells {self.segmenter.classes} classes apart, "
                f"these heads know {known}; load the one they were trained with"
            )

    def photo_features(
        self, images: Sequence[Image.Image], segmentations: Sequence[LabelMap] | None = None
    ) -> PhotoFeatures:
        """Return what the heads see of at most a batch of photos, on their device."""
        needs = self.heads.needs
        found = self.backbone.image_features(images, tokens="tokens" in needs)
        segments = self._segments(images, segmentations) if "segments" in needs else None
        return PhotoFeatures(
            pooled=found.pooled.to(self.device),
            tokens=found.tokens.to(self.device) if found.tokens is not None else None,
            segments=segments,
        )

    def _segments(
        self, images: Sequence[Image.Image], segmentations: Sequence[LabelMap] | None
    ) -> Tensor:
        from encoders.label_maps import UNLABELLED, fit_labels

        if segmentations is None:
            if self.segmenter is None:
                raise InputError(
                    f"encoder {self._name!r} looks at segmentation maps and has no segmenter; run: "
                    "graticule weights get upernet-convnext-tiny, or give maps or another segmenter"
                )
            segmentations = self.segmenter.segment(images)
        fitted = [fit_labels(m, i.size) for m, i in zip(segmentations, images, strict=True)]
        labels = self.backbone.spec.preprocessing.labels
        cropped = [labels(one, beyond=UNLABELLED) for one in fitted]
        return torch.from_numpy(np.stack(cropped)).to(self.device)

    def encode_locations(self, coordinates: npt.ArrayLike) -> dict[str, Vectors]:
        """Encode `[N, 2]` latitude, longitude; see `AlignedEncoder.encode_locations`."""
        points = check_coordinates(coordinates)
        if not self.heads.location_spaces:
            raise InputError(f"encoder {self._name!r} encodes no locations; use another family")
        distinct, rows = np.unique(points, axis=0, return_inverse=True)
        order = map_order(distinct)
        chunks = self._encode_chunks(torch.from_numpy(distinct[order]).split(CHUNK))
        back = np.argsort(order)[rows.ravel()]
        return {space: vectors[back] for space, vectors in _joined(chunks).items()}

    def _encode_chunks(self, chunks: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """Encode chunks of places; on a CPU each in one thread.

        Threads that share small products mostly wait for each other, worst on a busy machine.
        """

        def encode(points: Tensor) -> dict[str, Tensor]:
            with torch.inference_mode():
                return self.heads.encode_points(points.to(self.device))

        threads = torch.get_num_threads()
        if self.device.type != "cpu" or threads == 1 or len(chunks) == 1:
            return [encode(chunk) for chunk in chunks]
        alone = partial(torch.set_num_threads, 1)
        try:
            with ThreadPoolExecutor(threads, "places", initializer=alone) as pool:
                return list(pool.map(encode, chunks))
        finally:
            torch.set_num_threads(threads)  # the number is not all of it a thread's own

    def encode_texts(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """Encode captions; see `AlignedEncoder.encode_texts`."""
        checked = check_texts(texts)
        if not self.heads.text_spaces:
            raise InputError(f"encoder {self._name!r} encodes no texts; use g3 or transgeoclip")
        chunks = []
        for start in range(0, len(checked), IMAGE_BATCH):
            features = self.backbone.text_features(checked[start : start + IMAGE_BATCH])
            with torch.inference_mode():
                chunks.append(self.heads.encode_captions(features.to(self.device)))
        return _joined(chunks)


def heads_digest(heads: Heads) -> str:
    """Return the SHA-256 over names, shapes and values of every weight of the heads."""
    digest = hashlib.sha256()
    for name, tensor in sorted(heads.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array)
    return digest.hexdigest()


def _joined(chunks: Iterable[dict[str, Tensor]]) -> dict[str, Vectors]:
    rows = list(chunks)
    return {
        space: torch.cat([chunk[space] for chunk in rows]).float().cpu().numpy()
        for space in rows[0]
    }
