"""Photos into local features and small copies, kept in the gallery folder as they come."""

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from encoders.local_features import LocalFeatures, extract_features, pack_features, unpack_features
from encoders.pixels import open_photo
from geo.errors import InputError
from index_builder.files import read_regular, write_atomically
from index_builder.sources import PhotoRecord, RejectedPhoto

MIN_FEATURES = 20
"""A photo with fewer can never be verified."""
COPY_SIDE_PX = 800
_BATCH = 16
_THREADS = 2


def describe(
    target: Path, records: Sequence[PhotoRecord], step: Callable[[], None]
) -> list[tuple[PhotoRecord, LocalFeatures | RejectedPhoto]]:
    """Return each record with its local features, or with why it has none.

    Args:
        target: folder of the gallery; features and small copies are kept in it, and found
            again where an earlier build left them.
        records: photos to describe.
        step: called after each photo.
    """
    found: list[tuple[PhotoRecord, LocalFeatures | RejectedPhoto]] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for chunk in chunks(records, _BATCH):
            for record, result in zip(
                chunk, pool.map(lambda r: _features(target, r), chunk), strict=True
            ):
                found.append((record, result))
                step()
    return found


def chunks(records: Sequence[PhotoRecord], size: int) -> Iterator[Sequence[PhotoRecord]]:
    """Yield the records some at a time, so that an interruption loses little."""
    for start in range(0, len(records), size):
        yield records[start : start + size]


def _features(target: Path, record: PhotoRecord) -> LocalFeatures | RejectedPhoto:
    """Return the local features of a photo, kept from before or computed now."""
    kept = target / "features" / record.id[:2] / f"{record.id}.npz"
    copy = target / "photos" / record.id[:2] / f"{record.id}.jpg"
    if copy.is_file():
        with contextlib.suppress(OSError, InputError):  # missing or damaged: made anew
            return unpack_features(read_regular(kept))
    try:
        image = open_photo(record.path).image
    except InputError as error:
        return RejectedPhoto(record.name, str(error))
    features = extract_features(image)
    if len(features) < MIN_FEATURES:
        return RejectedPhoto(
            record.name,
            f"shows {len(features)} local features, at least {MIN_FEATURES} are needed to "
            "recognise it; leave it out",
        )
    write_atomically(copy, _small_copy(image))
    write_atomically(kept, pack_features(features))
    return unpack_features(pack_features(features))


def _small_copy(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail((COPY_SIDE_PX, COPY_SIDE_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
