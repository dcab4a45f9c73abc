"""rapidocr, the recogniser of lines: detection, orientation and reading of Latin and CJK.

Knows how to drive rapidocr with the models in its wheel (PP-OCR), offline.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geo.errors import UnavailableError

THREADS = 2
BOX_CONFIDENCE = 0.4
"""Where the detector is this sure there is text, it is read; its own default is 0.5."""

Pixels = NDArray[np.uint8]


class Recognizer(Protocol):
    """What reads lines from pixels `[H, W, 3]` BGR: text, confidence, corner points `[4, 2]`."""

    def __call__(self, pixels: Pixels) -> list[tuple[str, float, NDArray[np.float32]]]:
        """Return the lines found, in any order."""

    def detect(self, pixels: Pixels) -> list[NDArray[np.float32]]:
        """Return the corner points `[4, 2]` of every line there seems to be, read or not."""


class RapidRecognizer:
    """rapidocr with its bundled models, loaded on first use; never downloads anything."""

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = threads
        self._engine: Callable[..., Any] | None = None

    def __call__(self, pixels: Pixels) -> list[tuple[str, float, NDArray[np.float32]]]:
        """Return every line of `[H, W, 3]` BGR pixels, however unsure.

        Raises:
            UnavailableError: rapidocr or one of its models is missing.
        """
        engine = self._engine = self._engine or _load_engine(self._threads)
        result = engine(pixels, use_cls=True, use_rec=True)
        if getattr(result, "txts", None) is None or result.boxes is None:
            return []
        found = zip(result.txts, result.scores, result.boxes, strict=True)
        return [(str(text), float(score), np.asarray(box)) for text, score, box in found]

    def detect(self, pixels: Pixels) -> list[NDArray[np.float32]]:
        """Return where there is text, read or not: corner points `[4, 2]` of each line."""
        engine = self._engine = self._engine or _load_engine(self._threads)
        boxes = getattr(engine(pixels, use_cls=False, use_rec=False), "boxes", None)
        return [] if boxes is None else [np.asarray(box, dtype=np.float32) for box in boxes]


def _load_engine(threads: int) -> Callable[..., Any]:
    try:
        import rapidocr
    except ImportError as error:
        raise UnavailableError(
            f"text cannot be read: rapidocr does not load ({error}); pip install rapidocr"
        ) from error
    models = Path(rapidocr.__file__).parent / "models"
    # Naming the files keeps rapidocr from asking its model hub for anything.
    names = {"Det": "*_det_*.onnx", "Cls": "*_cls_*.onnx", "Rec": "*_rec_*.onnx"}
    parameters: dict[str, object] = {
        "Global.log_level": "critical",
        "Global.text_score": 0.0,
        "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "Det.box_thresh": BOX_CONFIDENCE,
    }
    for part, pattern in names.items():
        present = sorted(models.glob(pattern))
        if not present:
            raise UnavailableError(
                f"rapidocr's model {pattern} is not in {models}; reinstall rapidocr>=3.8"
            )
        parameters[f"{part}.model_path"] = str(present[0])
    engine: Callable[..., Any] = rapidocr.RapidOCR(params=parameters)
    return engine
