"""What becomes of a record whose content a gallery knows already, or met in the same source.

Deterministic: the first record of a content is kept, whatever was interrupted.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from geo.sphere import distance_km
from index_builder.encoding import stated
from index_builder.gallery_photo import GalleryPhoto
from index_builder.records import Record, Rejected

SAME_PLACE_KM = 0.1
"""Two positions of one photo as near as this are the same, unless accuracies allow for more."""
_RECENT = 65_536


def verdict(
    record: Record, known: GalleryPhoto, *, met: bool
) -> Literal["skip", "update"] | Rejected:
    """Say what becomes of a record whose content is known.

    Args:
        record: of the source.
        known: what the gallery says of that content.
        met: whether the source gave the same content before, in this build.

    Returns:
        `update` where the gallery has it from this very record, which has been corrected; why it
        is refused where two records put one photo in two places.
    """
    at = record.position
    own = not met and (known.name, known.source) == (record.name, at.source)
    if own:
        says = stated(record, known.country)
        return "skip" if all(getattr(known, k) == v for k, v in says.items()) else "update"
    apart = float(distance_km(at.latitude, at.longitude, known.latitude, known.longitude))
    tolerance = max(SAME_PLACE_KM, at.accuracy_km or 0.0, known.accuracy_km or 0.0)
    if apart <= tolerance:
        return "skip"
    return Rejected(
        record.name,
        f"the same content as {known.name!r} of source {known.source!r}, which says "
        f"{known.latitude:.5f}, {known.longitude:.5f}; here it is {at.latitude:.5f}, "
        f"{at.longitude:.5f}, {apart:,.1f} km away, limit {tolerance:g} km; correct one of them",
    )


class MetIds:
    """The ids that a build came by: 8 bytes each, a hundred million fit in a gigabyte."""

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._runs: list[npt.NDArray[np.uint64]] = []

    def add(self, photo_id: str) -> bool:
        """Remember an id; return whether it was known."""
        number = int(photo_id[:16], 16)
        if number in self._recent or any(_holds(run, number) for run in self._runs):
            return True
        self._recent.add(number)
        if len(self._recent) >= _RECENT:
            self._merge()
        return False

    def _merge(self) -> None:
        """Sort what is recent into a run; join runs so that few are left, each half the former."""
        run = np.sort(np.fromiter(self._recent, np.uint64, len(self._recent)))
        self._recent.clear()
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]))
        self._runs.append(run)


def _holds(run: npt.NDArray[np.uint64], number: int) -> bool:
    place = int(np.searchsorted(run, np.uint64(number)))
    return place < len(run) and int(run[place]) == number
