"""Debian's tesseract as a reader of scripts that the bundled recogniser cannot read.

Knows the command line of tesseract and which script each language pack writes. The product
works without it; nothing is installed or downloaded.
"""

import functools
import logging
import shutil
import subprocess
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tools.scripts import script_counts

logger = logging.getLogger(__name__)

RawLine = tuple[str, float, NDArray[np.float32]]
"""Text, confidence 0 to 1, corner points `[4, 2]` in pixels."""

SCRIPT_OF_PACK = {
    "rus": "Cyrillic", "ukr": "Cyrillic", "bul": "Cyrillic", "srp": "Cyrillic",
    "ara": "Arabic", "fas": "Arabic", "urd": "Arabic", "heb": "Hebrew", "tha": "Thai",
    "ell": "Greek", "kor": "Hangul", "hin": "Devanagari", "ben": "Bengali", "tam": "Tamil",
    "tel": "Telugu", "kan": "Kannada", "mal": "Malayalam", "guj": "Gujarati", "pan": "Gurmukhi",
    "sin": "Sinhala", "khm": "Khmer", "lao": "Lao", "mya": "Myanmar", "kat": "Georgian",
    "hye": "Armenian", "amh": "Ethiopic",
}  # fmt: skip
"""Packs by the script they write (tesseract-ocr/langdata); Latin and CJK are rapidocr's."""

SUSPECT_CONFIDENCE = 0.75
"""rapidocr reads letters it does not know as other letters, less surely than this."""
FOREIGN_CONFIDENCE = 0.95
"""The same on a photo where some letters are surely of another script."""
SPARSE_LETTERS = 0.4
"""Letters and digits per line height of length; less means that some were left out."""
KNOWN_SCRIPTS = frozenset({"Latin", "Han", "Hiragana", "Katakana"})
MAX_CROPS = 6
MAX_PACKS = 8
CROP_HEIGHT_PX = 48
MARGIN_PX = 16
TIMEOUT_S = 4.0
MIN_LETTERS = 4
OWN_SHARE = 0.75
"""Letters of the pack's script among all characters of a line worth keeping."""
MIN_CONFIDENCE = 0.6


@functools.cache
def installed_languages(command: str = "tesseract") -> tuple[str, ...]:
    """Return the language packs of the installed tesseract; empty without one."""
    path = shutil.which(command)
    if path is None:
        return ()
    try:
        listing = subprocess.run(  # noqa: S603  # fixed arguments, no shell
            [path, "--list-langs"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("tesseract does not answer, doing without: %s", error)
        return ()
    return tuple(sorted(line.strip() for line in listing.stdout.splitlines()[1:] if line.strip()))


class ScriptReader:
    """Reads lines of other scripts with tesseract, one pack per script, where installed."""

    def __init__(self, command: str = "tesseract") -> None:
        self._command = command

    @functools.cached_property
    def packs(self) -> tuple[str, ...]:
        """The installed packs that are used, one per script."""
        chosen: dict[str, str] = {}
        for pack in SCRIPT_OF_PACK:
            if pack in installed_languages(self._command):
                chosen.setdefault(SCRIPT_OF_PACK[pack], pack)
        return tuple(chosen.values())[:MAX_PACKS]

    def replace(self, pixels: NDArray[np.uint8], lines: Sequence[RawLine]) -> list[RawLine]:
        """Return `lines` with those of another script read anew.

        Args:
            pixels: the photo, `[H, W, 3]` BGR.
            lines: what the first reader made of it.
        """
        suspects = _suspects(lines)
        if not suspects or not self.packs:
            return list(lines)
        crops = [_crop(pixels, lines[index][2]) for index in suspects]
        sheet = _sheet(crops)
        readings = [self._read(sheet, len(crops), pack) for pack in self._likely_packs(lines)]
        # One photo, one script: packs see their own letters in anything.
        best = max(readings, key=_evidence, default={})
        replaced = list(lines)
        for row, (text, score) in best.items():
            replaced[suspects[row]] = (text, score, lines[suspects[row]][2])
        return replaced

    def _likely_packs(self, lines: Sequence[RawLine]) -> tuple[str, ...]:
        """Return the packs of the scripts that already show on a photo, else all of them."""
        shown = {script for text, _, _ in lines for script in script_counts(text)} - KNOWN_SCRIPTS
        chosen = tuple(pack for pack in self.packs if SCRIPT_OF_PACK[pack] in shown)
        return chosen or self.packs

    def _read(self, sheet: NDArray[np.uint8], rows: int, pack: str) -> dict[int, tuple[str, float]]:
        """Return text and confidence by row of the sheet, where it is of the pack's script."""
        words: dict[int, list[tuple[int, str, float]]] = {}
        for left, middle, text, score in self._words(sheet, pack):
            row = int(middle // (CROP_HEIGHT_PX + MARGIN_PX))
            if 0 <= row < rows:
                words.setdefault(row, []).append((left, text, score))
        found: dict[int, tuple[str, float]] = {}
        for row, parts in words.items():
            rightward = SCRIPT_OF_PACK[pack] not in ("Arabic", "Hebrew")
            text = " ".join(part[1] for part in sorted(parts, reverse=not rightward))
            score = float(np.mean([part[2] for part in parts]))
            own = script_counts(text).get(SCRIPT_OF_PACK[pack], 0)
            written = sum(not character.isspace() for character in text)
            if own >= MIN_LETTERS and own >= OWN_SHARE * written and score >= MIN_CONFIDENCE:
                found[row] = (text, score)
        return found

    def _words(self, sheet: NDArray[np.uint8], pack: str) -> list[tuple[int, float, str, float]]:
        """Run tesseract once: left edge, vertical middle, text and confidence of each word."""
        import cv2

        path = shutil.which(self._command)
        encoded, png = cv2.imencode(".png", sheet)
        if path is None or not encoded:
            return []
        try:
            ran = subprocess.run(  # noqa: S603  # fixed arguments, no shell; pixels on stdin
                [path, "stdin", "stdout", "-l", pack, "--psm", "6", "tsv"],
                input=png.tobytes(),
                capture_output=True,
                timeout=TIMEOUT_S,
                check=True,
                env={"OMP_THREAD_LIMIT": "1", "LC_ALL": "C"},
            )
        except (OSError, subprocess.SubprocessError) as error:
            logger.warning("tesseract failed on %s, doing without: %s", pack, error)
            return []
        return parse_tsv(ran.stdout.decode("utf-8", "replace"))


def _evidence(reading: dict[int, tuple[str, float]]) -> float:
    """Return how much a pack has read: its letters, by how sure it is of each."""
    return sum(score * sum(c.isalpha() for c in text) for text, score in reading.values())


def parse_tsv(table: str) -> list[tuple[int, float, str, float]]:
    """Return left edge, vertical middle, text and confidence (0 to 1) of each word of a TSV."""
    words = []
    for line in table.splitlines()[1:]:
        fields = line.split("\t")
        if len(fields) != 12 or not fields[11].strip():
            continue
        try:
            left, top, height = int(fields[6]), int(fields[7]), int(fields[9])
            score = float(fields[10]) / 100
        except ValueError:
            continue
        if score > 0:
            words.append((left, top + height / 2, fields[11].strip(), min(1.0, score)))
    return words


def _suspects(lines: Sequence[RawLine]) -> list[int]:
    """Return the indices of lines that may be of a script the first reader does not know.

    It reads unknown letters as others with less confidence, or leaves most of them out.
    """
    chosen = []
    foreign = any(set(script_counts(text)) - KNOWN_SCRIPTS for text, _, _ in lines)
    for index, (text, score, box) in enumerate(lines):
        width, height = _extent(box)
        expected = width / height
        sparse = expected > 3 and sum(c.isalnum() for c in text) < SPARSE_LETTERS * expected
        unsure = score < (FOREIGN_CONFIDENCE if foreign else SUSPECT_CONFIDENCE)
        if expected > 1.2 and (sparse or unsure or set(script_counts(text)) - KNOWN_SCRIPTS):
            chosen.append(index)
    largest = sorted(chosen, key=lambda i: -float(np.prod(_extent(lines[i][2]))))[:MAX_CROPS]
    return sorted(largest)


def _extent(box: NDArray[np.float32]) -> tuple[float, float]:
    """Return the length of a line's box along and across its text, pixels."""
    sides = np.linalg.norm(box - np.roll(box, -1, axis=0), axis=1)
    return max(float(sides[0]), float(sides[2]), 1.0), max(float(sides[1]), float(sides[3]), 1.0)


def _crop(pixels: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Cut a line out, straightened, as `[CROP_HEIGHT_PX, W]` grey, dark letters on light."""
    import cv2

    width, height = _extent(box)
    target_width = int(np.clip(width * CROP_HEIGHT_PX / height, 8, 2000))
    corners = np.array(
        [[0, 0], [target_width, 0], [target_width, CROP_HEIGHT_PX], [0, CROP_HEIGHT_PX]],
        dtype=np.float32,
    )
    matrix = cv2.getPerspectiveTransform(box.astype(np.float32), corners)
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_BGR2GRAY)
    cut = cv2.warpPerspective(
        grey, matrix, (target_width, CROP_HEIGHT_PX), flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    cut = (cut - cut.min()) * (255.0 / max(1, int(cut.max()) - int(cut.min())))
    edge = np.concatenate([cut[0], cut[-1], cut[:, 0], cut[:, -1]])
    light = cut if np.median(edge) >= 128 else 255 - cut
    return np.asarray(light, dtype=np.uint8)


def _sheet(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Stack the crops on white, one row each, so that one run reads them all."""
    pitch = CROP_HEIGHT_PX + MARGIN_PX
    width = max(crop.shape[1] for crop in crops) + 2 * MARGIN_PX
    sheet = np.full((pitch * len(crops) + MARGIN_PX, width), 255, dtype=np.uint8)
    for row, crop in enumerate(crops):
        top = row * pitch + MARGIN_PX // 2
        sheet[top : top + CROP_HEIGHT_PX, MARGIN_PX : MARGIN_PX + crop.shape[1]] = crop
    return sheet
