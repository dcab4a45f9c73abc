"""Segmentation maps made by a model on this machine. Reads local files; downloads nothing.

Class numbers are those of the model: heads trained on one model's maps need that model's.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from PIL import Image

from encoders.label_maps import LabelMap, crop_as_photo, read_segmentation, resize_labels
from encoders.photo_file import printable
from encoders.weights_table import PUBLISHED
from geo.errors import InputError, UnavailableError

__all__ = ["LabelMap", "Segmenter", "TransformersSegmenter", "crop_as_photo", "read_segmentation"]

MAX_CLASSES = 255
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Names of a model's weights, the preferred one first; both are read without running code."""
DESCRIPTIONS = ("config.json", "preprocessor_config.json")
DEFAULT_SEGMENTER = "upernet-convnext-tiny"


@runtime_checkable
class Segmenter(Protocol):
    """Says of each pixel of a photo what it shows."""

    @property
    def name(self) -> str:
        """What the segmenter is called."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 hex over weights and preprocessing."""
        ...

    @property
    def classes(self) -> int:
        """Number of classes; those of a map are below it, or 255."""
        ...

    def segment(self, images: Sequence[Image.Image]) -> list[LabelMap]:
        """Return the `[H, W]` map of each RGB photo, at its size, each on its own."""
        ...


class TransformersSegmenter:
    """A semantic segmentation model of the `transformers` package: UPerNet, SegFormer and others.

    Reads local files alone and runs no code from them: safetensors, or a plain state dict.

    Args:
        folder: with the model's configuration, preprocessing and weights.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        UnavailableError: the folder or a file in it is not there.
    """

    def __init__(self, folder: Path, device: str = "auto") -> None:
        self.folder = folder
        self._device_name = device
        self._lock = threading.Lock()
        self._weights = _weights_in(folder)

    @property
    def name(self) -> str:
        """Name of the model's folder."""
        return self.folder.name

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 hex over weights, configuration and preprocessing."""
        from encoders.backbone_files import file_identity

        parts = [file_identity(self._weights)]
        parts += [file_identity(self.folder / name) for name in DESCRIPTIONS]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @cached_property
    def classes(self) -> int:
        """Number of classes, from the model's configuration.

        Raises:
            InputError: it cannot be read, or there are more than a map can hold.
        """
        try:
            said = json.loads((self.folder / "config.json").read_bytes())
            count = len(said["id2label"]) if "id2label" in said else int(said["num_labels"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise self._unusable("its config.json names no classes") from None
        if not 2 <= count <= MAX_CLASSES:
            raise self._unusable(f"it has {count} classes, limit 2 to {MAX_CLASSES}")
        return count

    def segment(self, images: Sequence[Image.Image]) -> list[LabelMap]:
        """Return the `[H, W]` map of each RGB photo, at its size, each on its own.

        Raises:
            InputError: the files are not of a segmentation model, or damaged.
            UnavailableError: the `transformers` package or the device is not there.
        """
        with self._lock:
            loaded = self._loaded
        return [self._segment_one(image, *loaded) for image in images]

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """The preprocessing and the model, on its device."""
        from encoders.torch_setup import choose_device, need

        self.classes  # noqa: B018  refuses a configuration before a large file is read
        device = choose_device(self._device_name)
        transformers = need("transformers")
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            with _without_progress(transformers):
                config = transformers.AutoConfig.from_pretrained(self.folder, **local)
                if getattr(config, "use_pretrained_backbone", False):
                    # Its weights are in the file; only a download would come of it.
                    config.use_pretrained_backbone = False
                processor = transformers.AutoImageProcessor.from_pretrained(self.folder, **local)
                model, report = transformers.AutoModelForSemanticSegmentation.from_pretrained(
                    self.folder,
                    config=config,
                    use_safetensors=self._weights.suffix == ".safetensors",
                    weights_only=True,
                    output_loading_info=True,
                    **local,
                )
        except Exception as error:  # whatever a damaged or foreign file makes the package raise
            raise self._unusable(printable(str(error) or type(error).__name__)) from error
        absent = sorted(report["missing_keys"]) + sorted(map(str, report["mismatched_keys"]))
        if absent:
            raise self._unusable(f"weights are missing or mis-shaped: {', '.join(absent[:5])}")
        return _whole_photo(processor), model.to(device).eval().requires_grad_(False)

    def _segment_one(self, image: Image.Image, processor: Any, model: Any) -> LabelMap:
        import torch
        from torch.nn import functional as F

        pixels = processor(images=image, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            logits = model(pixel_values=pixels.to(model.device)).logits
            # At the model's own size: at a large photo's, the logits would take gigabytes.
            fine = F.interpolate(logits.float(), pixels.shape[-2:], mode="bilinear")
            labels = fine[0].argmax(dim=0).to(torch.uint8).cpu().numpy()
        return resize_labels(labels, image.size)

    def _unusable(self, reason: str) -> InputError:
        return InputError(
            f"segmenter in {printable(str(self.folder), 500)!r} cannot be used: {reason}; get it "
            f"anew with: graticule weights get {DEFAULT_SEGMENTER}"
        )


def _weights_in(folder: Path) -> Path:
    """Return the weights in a model's folder, all of whose files are there.

    Raises:
        UnavailableError: one is missing.
    """
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    missing = [name for name in DESCRIPTIONS if not (folder / name).is_file()]
    missing += [] if weights else [" or ".join(WEIGHTS)]
    if weights is None or missing:
        raise UnavailableError(
            f"no segmenter in {printable(str(folder), 500)!r} ({', '.join(missing)} missing); run: "
            f"graticule weights get {_known(folder)}, or put the files there by hand"
        )
    return weights


def _known(folder: Path) -> str:
    """Return the name to get weights by: the folder's where it is one, else the default's."""
    names = [entry.name for entry in PUBLISHED]
    return folder.name if folder.name in names else DEFAULT_SEGMENTER


def _whole_photo(processor: Any) -> Any:
    """Return preprocessing that cuts nothing off: the map is of the whole photo."""
    for step in ("do_center_crop", "do_pad"):
        if getattr(processor, step, False):
            setattr(processor, step, False)
    return processor


@contextmanager
def _without_progress(transformers: ModuleType) -> Iterator[None]:
    """Keep the package's own progress bars off the user's terminal."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
