"""A look at every photo of a dataset before it is located: can it be opened, is it a photo?

What was seen stands in `photos.jsonl` of the run's folder, a line a photo, and is not looked at
again while the file is the same.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError

from agent.side_by_side import side_by_side
from encoders.local_features import difference_hash
from encoders.photo_file import printable, read_photo_bytes
from encoders.pixels import open_photo
from evaluation.datasets import Dataset
from geo.errors import InputError
from index_builder.files import unwritable
from tools.evidence import Record, Share

if TYPE_CHECKING:
    from PIL import Image

    from encoders.photo_file import Limits
    from tools.read_text import TextReader

PHOTOS = "photos.jsonl"
THREADS = 4
_SIDE = 128
_LEVELS = 9
Tell = Callable[[str, int, int], None]


class Surveyed(Record):
    """What one look at a photo's file found.

    Attributes:
        size: of the file, in bytes.
        modified_ns: when it was last written.
        photo_id: SHA-256 of its bytes.
        pixels: SHA-256 of its decoded pixels; empty where it cannot be opened.
        uniform: share of it within 4 grey levels of one value.
        dhash: difference hash, 16 hexadecimal digits.
        read: whether its words were read for positions.
        overlay: a position that stands written on it.
        unusable: why it cannot be opened.
    """

    image_id: str
    size: int
    modified_ns: int
    photo_id: str = ""
    pixels: str = ""
    uniform: Share = 0.0
    dhash: str = Field(default="", max_length=16)
    read: bool = False
    overlay: str = ""
    unusable: str = ""


class Survey(Record):
    """What was seen of a dataset's photos.

    Attributes:
        seen: by id; photos without a file are not there.
        changed: ids whose file is another one than when it was first looked at.
    """

    seen: dict[str, Surveyed]
    changed: tuple[str, ...] = ()


def survey(
    dataset: Dataset,
    folder: Path,
    limits: "Limits",
    *,
    reader: "TextReader | None" = None,
    stop: threading.Event | None = None,
    tell: Tell = lambda *_: None,
) -> Survey:
    """Look at the photos of a dataset, several at a time.

    Args:
        dataset: whose photos.
        folder: of the run; what is seen is kept there.
        limits: of what a photo may cost.
        reader: reads what is written on them; None does not.
        stop: once set, what is not yet seen is left out.
        tell: called with what is going on, how many are done, and how many there are.

    Raises:
        InputError: the folder cannot be written to.
    """
    path = folder / PHOTOS
    former = _held(path)
    seen, waiting, changed = {}, [], []
    for truth in dataset.truths:
        if (photo := dataset.paths.get(truth.image_id)) is None:
            continue
        one = former.get(truth.image_id)
        if one is not None and _same_file(one, photo) and (one.read or reader is None):
            seen[one.image_id] = one
        else:
            waiting.append((truth.image_id, photo))
    total = len(seen) + len(waiting)
    for one in _written(path, _looked(waiting, limits, reader, stop)):
        before = former.get(one.image_id)
        if before and before.photo_id and before.photo_id != one.photo_id:
            changed.append(one.image_id)
        seen[one.image_id] = one
        tell("looking at photos", len(seen), total)
    return Survey(seen=seen, changed=tuple(changed))


def _looked(
    photos: Iterable[tuple[str, Path]],
    limits: "Limits",
    reader: "TextReader | None",
    stop: threading.Event | None,
) -> Iterator[Surveyed]:
    def look(photo: tuple[str, Path]) -> Surveyed:
        return look_at(*photo, limits, reader)

    return side_by_side(look, photos, THREADS, stop, None)


def look_at(
    image_id: str, path: Path, limits: "Limits", reader: "TextReader | None" = None
) -> Surveyed:
    """Return what a photo's file holds, or why it cannot be used."""
    size, modified_ns = _stamp(path)
    seen = Surveyed(image_id=image_id, size=size, modified_ns=modified_ns)
    try:
        data = read_photo_bytes(path, limits)
        seen = seen.model_copy(update={"photo_id": hashlib.sha256(data).hexdigest()})
        image = open_photo(data, limits).image
    except InputError as error:
        return seen.model_copy(update={"unusable": printable(str(error), 300)})
    found = {
        "pixels": hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest(),
        "uniform": uniform_share(image),
        "dhash": f"{difference_hash(image):016x}",
        "read": reader is not None,
        "overlay": written_position(image, reader) if reader else "",
    }
    return seen.model_copy(update=found)


def uniform_share(image: "Image.Image") -> float:
    """Return how much of a picture lies within 4 grey levels of one value, 0 to 1."""
    import numpy as np
    from PIL import Image

    small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    counts = np.asarray(small.histogram(), dtype=np.float64)
    windows = np.convolve(counts, np.ones(_LEVELS), mode="same")
    return float(windows.max() / counts.sum())


def written_position(image: "Image.Image", reader: "TextReader") -> str:
    """Return the first position that stands written on a picture; "" without one."""
    from geo.mentions import find_coordinates

    lines = [line.text for line in reader.read(image)]
    for text in (*lines, "\n".join(lines)):
        if found := find_coordinates(text).found:
            return printable(found[0].text, 100)
    return ""


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _same_file(one: Surveyed, path: Path) -> bool:
    return (one.size, one.modified_ns) == _stamp(path)


def _held(path: Path) -> Mapping[str, Surveyed]:
    """Return what was seen before, by id; a line that is cut off or of another version is not."""
    found = {}
    for line in path.read_bytes().split(b"\n") if path.is_file() else ():
        try:
            one = Surveyed.model_validate_json(line)
        except ValidationError:
            continue
        found[one.image_id] = one
    return found


def _written(path: Path, rows: Iterable[Surveyed]) -> Iterator[Surveyed]:
    """Yield rows and keep them; a line that was cut off before is ended first."""
    try:
        with path.open("ab") as file:
            if file.tell():
                file.write(b"\n")
            for row in rows:
                file.write(json.dumps(row.model_dump(mode="json")).encode() + b"\n")
                file.flush()
                yield row
    except OSError as error:
        raise unwritable(path, error) from None
