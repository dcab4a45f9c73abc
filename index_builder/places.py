"""A gallery of places: coordinates embedded once, kept on disk, searched with a photo's vector.

The search compares the photo with every place, in float32 and without an index: it is exact,
and for 100,000 places of 512 numbers as fast as memory is read, 7 ms on two cores. Coarser
copies were measured (half precision 3 ms, 8 bits 2 ms) and left out: with an exact second pass
they are more than twice the code for what nobody waits for.

On disk, under `home/places/KEY`: `vectors.f32`, rows one after the other in the order of
`map_order`, and `card.json`, written last: places without a card are a build that was
interrupted, and go on where it stopped. Vectors of encoders and lists that are no longer asked for
are removed after `KEPT_DAYS`.
"""

import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from encoders.base import AlignedEncoder, EncoderCard, Points, Vectors, check_coordinates
from encoders.base import check_vectors as check_encoded
from encoders.photo_file import printable
from geo.errors import GeolocationError, InputError, UnavailableError
from geo.sphere import map_order
from index_builder.files import FolderLock, write_atomically

logger = logging.getLogger(__name__)

FORMAT_VERSION = 2
CHUNK = 8192
"""Places embedded between two steps of progress; a killed build loses at most so many."""
VECTORS_FILE, CARD_FILE = "vectors.f32", "card.json"
KEPT_DAYS = 90.0
"""Vectors that nobody opened for so long are removed when others are embedded."""
SAME_VECTOR = 1e-3
"""Rows of one encoder on two machines differ less; those of two encoders, far more."""
Indices = npt.NDArray[np.intp]
OnProgress = Callable[[int, int], None]
"""Told how many places are embedded, of how many."""


class PlacesCard(BaseModel):
    """What `card.json` says of the vectors beside it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: Literal["graticule-places"] = "graticule-places"
    version: int = FORMAT_VERSION
    encoder: str
    fingerprint: str
    space: str
    places: int
    dimensions: int
    unknown: int
    """How many places the encoder knows nothing of: rows of zeros, never found."""
    coordinates_sha256: str
    vectors_digest: str


class PlaceHits(NamedTuple):
    """The places most similar to a photo, the best first, `K` of them."""

    indices: Indices
    """`[K]` rows of `Places.coordinates`."""
    cosines: Vectors
    """`[K]` float32."""
    probabilities: Points
    """`[K]` softmax at the encoder's temperature over all places searched, not these alone."""
    searched: int = 0
    """How many places were searched."""
    inside: float = 1.0
    """Share of the softmax over all places that belongs to those searched."""


class Places:
    """Coordinates and their vectors in the space where photos and locations compare.

    Args:
        card: of the encoder that made the vectors.
        coordinates: `[N, 2]` latitude, longitude in degrees.
        order: `[N]` rows of `coordinates` that the vectors belong to.
        vectors: `[N, D]` float32 unit rows, or zeros where the encoder knows nothing.
        unknown: how many rows are zeros.
    """

    def __init__(
        self,
        card: EncoderCard,
        coordinates: Points,
        order: Indices,
        vectors: Vectors,
        unknown: int = 0,
    ) -> None:
        self.card = card
        self.coordinates = coordinates
        self._order = order
        self._vectors = vectors
        self._unknown = order[~vectors.any(axis=1)] if unknown else order[:0]

    def __len__(self) -> int:
        return len(self.coordinates)

    def search(
        self, vector: Vectors, k: int, among: npt.NDArray[np.bool_] | None = None
    ) -> PlaceHits:
        """Return the `k` places with the largest cosines; of equal ones, the first listed.

        Args:
            vector: `[D]`, a photo's unit vector in the alignment space.
            k: how many, 1 or more; fewer come back where there are fewer.
            among: `[N]`, which rows of `coordinates` to search; all where it is None.

        Raises:
            InputError: the vector has another width, is not finite or all zero, or `k` is below 1.
        """
        wanted = np.ascontiguousarray(vector, dtype=np.float32)
        if wanted.shape != self._vectors.shape[1:]:
            raise InputError(
                f"photo vector has shape {wanted.shape}, [{self._vectors.shape[1]}] is needed; "
                f"encode the photo with {self.card.name!r}"
            )
        if not (np.isfinite(wanted).all() and wanted.any()):
            raise InputError("photo vector is zero or not finite; the encoder saw nothing in it")
        if k < 1:
            raise InputError(f"{k} places asked for, limit 1 or more; ask for more")
        cosines = np.empty(len(self), dtype=np.float32)
        cosines[self._order] = self._vectors @ wanted
        cosines[self._unknown] = -np.inf
        searched = len(self) - len(self._unknown)
        best, total = _softmax_sum(cosines, self.card.temperature)
        inside = 1.0
        if among is not None:
            whole = self.card.temperature * best + np.log(total)
            cosines[~among] = -np.inf
            searched = int(np.isfinite(cosines).sum())
            if not searched:
                return PlaceHits(largest(cosines, 0), cosines[:0], np.zeros(0), 0, 0.0)
            best, total = _softmax_sum(cosines, self.card.temperature)
            inside = float(np.exp(self.card.temperature * best + np.log(total) - whole))
        top = largest(cosines, min(k, searched))
        shares = np.exp(np.float32(self.card.temperature) * (cosines[top] - np.float32(best)))
        return PlaceHits(
            top, cosines[top], shares.astype(np.float64) / total, searched, min(1.0, inside)
        )


def _softmax_sum(cosines: Vectors, temperature: float) -> tuple[float, float]:
    """Return the largest cosine, and the sum of `exp(temperature * (cosine - largest))`."""
    best = cosines.max()
    powers = np.exp(np.float32(temperature) * (cosines - best))
    return float(best), float(powers.sum(dtype=np.float64))


def largest(values: Vectors, k: int) -> Indices:
    """Return the indices of the `k` largest of `[N]` values, descending; ties by index."""
    if k < 1:
        return np.array([], dtype=np.intp)
    least = np.partition(values, len(values) - k)[len(values) - k]
    among = np.flatnonzero(values >= least)
    return among[np.lexsort((among, -values[among]))][:k]


def open_places(
    encoder: AlignedEncoder,
    coordinates: npt.ArrayLike,
    home: Path,
    progress: OnProgress | None = None,
) -> Places:
    """Open the places gallery of an encoder and a list of coordinates, embedding it if needed.

    What is there already is used, after a check of every row's bits; what was interrupted goes
    on where it stopped; what is damaged or not the encoder's is embedded anew, with a warning in
    the log.

    Args:
        encoder: embeds the places that are not on disk.
        coordinates: `[N, 2]` latitude, longitude in degrees.
        home: data folder; the gallery lives in `places/KEY` under it.
        progress: called while places are embedded.

    Raises:
        InputError: bad coordinates, or the encoder compares no photo with a location.
        UnavailableError: the encoder or the disk fails, or another process is embedding these.
    """
    card, points = encoder.card, check_coordinates(coordinates)
    if not card.alignment:
        raise InputError(
            f"encoder {card.name!r} compares no photo with a location; choose another, or none"
        )
    folder = home / "places" / places_key(card, points)
    try:
        found = _stored(folder, card, points)
        return found if isinstance(found, Places) else _embedded(folder, encoder, points, progress)
    except OSError as error:
        raise UnavailableError(
            f"cannot keep embedded places in {printable(str(folder))!r} ({error.strerror}); free "
            f"{len(points) * card.spaces[card.alignment] * 4 / 1e6:,.0f} MB, or set GRATICULE_HOME"
        ) from None


def places_key(card: EncoderCard, coordinates: Points) -> str:
    """Return the name of the folder that belongs to an encoder and a list of coordinates."""
    parts = [FORMAT_VERSION, card.fingerprint, card.alignment, _sha256(coordinates)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _stored(folder: Path, card: EncoderCard, points: Points) -> Places | str:
    """Return the gallery on disk, or why it cannot be trusted; nothing where there is none."""
    if not (folder / CARD_FILE).is_file():
        return ""
    try:
        stated = PlacesCard.model_validate_json((folder / CARD_FILE).read_bytes())
    except ValidationError:
        return "the card is damaged"
    if stated != _card(card, points, stated.unknown, stated.vectors_digest):
        return "the card speaks of other places"
    shape = (len(points), card.spaces[card.alignment])
    path = folder / VECTORS_FILE
    if not path.is_file() or path.stat().st_size != shape[0] * shape[1] * 4:
        return "the vectors are missing or cut"
    vectors = np.asarray(np.memmap(path, dtype=np.float32, mode="r", shape=shape))
    if digest(vectors) != stated.vectors_digest:
        return "the vectors are not those that the card speaks of"
    with contextlib.suppress(OSError):  # a home that is only read is swept by nobody
        os.utime(path)
    return Places(card, points, map_order(points), vectors, stated.unknown)


def _embedded(
    folder: Path, encoder: AlignedEncoder, points: Points, progress: OnProgress | None
) -> Places:
    """Embed the places that are missing, write the card, and open what came of it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder)
    try:
        # Who held the lock before us may have finished.
        found = _stored(folder, encoder.card, points)
        if isinstance(found, Places):
            return found
        if found:
            logger.warning("places in %s: %s; embedding them anew", printable(str(folder)), found)
            (folder / CARD_FILE).unlink()
            (folder / VECTORS_FILE).unlink(missing_ok=True)
        _embed_missing(folder / VECTORS_FILE, encoder, points, progress)
        shape = (len(points), encoder.card.spaces[encoder.card.alignment])
        vectors = np.asarray(np.memmap(folder / VECTORS_FILE, np.float32, "r", shape=shape))
        unknown = int((~vectors.any(axis=1)).sum())
        if unknown == len(vectors):
            raise InputError(
                f"encoder {encoder.card.name!r} knows none of {len(points):,} places; give others"
            )
        card = _card(encoder.card, points, unknown, digest(vectors))
        write_atomically(folder / CARD_FILE, card.model_dump_json(indent=1).encode())
    finally:
        lock.release()
    sweep_places(folder.parent, keep=folder)
    return Places(encoder.card, points, map_order(points), vectors, unknown)


def sweep_places(parent: Path, keep: Path) -> int:
    """Remove vectors that were not opened for `KEPT_DAYS`; say how many bytes that freed.

    Each under its own lock, the card first: who finds a folder without one embeds anew. The lock
    files stay, so that no two processes ever hold different ones; a folder in use is left alone.

    Args:
        parent: the folder of all places galleries, `home/places`.
        keep: the one that was just made.
    """
    freed = 0
    for folder in sorted(parent.iterdir()):
        vectors = folder / VECTORS_FILE
        if folder == keep or folder.is_symlink() or not _forgotten(vectors):
            continue
        with contextlib.suppress(OSError, GeolocationError):  # in use, or not ours to remove
            lock = FolderLock(folder)
            try:
                if _forgotten(vectors):  # who held the lock before us may have used it
                    size = vectors.stat().st_size
                    (folder / CARD_FILE).unlink(missing_ok=True)
                    vectors.unlink()
                    freed += size
                    logger.info("places in %s: not used, removed", printable(str(folder)))
            finally:
                lock.release()
    return freed


def _forgotten(vectors: Path) -> bool:
    try:
        return time.time() - vectors.stat().st_mtime > KEPT_DAYS * 86_400
    except OSError:
        return False


def _embed_missing(
    path: Path, encoder: AlignedEncoder, points: Points, progress: OnProgress | None
) -> None:
    """Append the rows that a former build did not write."""
    card, points = encoder.card, points[map_order(points)]
    done = _resumable(path, encoder, points)
    with path.open("ab") as file:
        file.truncate(done * card.spaces[card.alignment] * 4)
        while done < len(points):
            part = points[done : done + CHUNK]
            rows = check_encoded(card, card.alignment, encoder.encode_locations(part))
            if len(rows) != len(part):
                raise UnavailableError(
                    f"encoder {card.name!r} gave {len(rows)} vectors for {len(part)} places; "
                    "check the service it runs in"
                )
            file.write(np.ascontiguousarray(rows, dtype=np.float32).tobytes())
            file.flush()
            os.fsync(file.fileno())  # a power cut then leaves no hole before the end
            done += len(part)
            if progress:
                progress(done, len(points))


def _resumable(path: Path, encoder: AlignedEncoder, points: Points) -> int:
    """Return how many rows of an interrupted build can be kept: whole chunks, if they are ours."""
    width = encoder.card.spaces[encoder.card.alignment]
    rows = path.stat().st_size // (4 * width) if path.exists() else 0
    done = min(rows, len(points)) // CHUNK * CHUNK
    if not done:
        return 0
    held = np.memmap(path, dtype=np.float32, mode="r", shape=(done, width))
    probes = [0, done - 1]
    again = encoder.encode_locations(points[probes])[encoder.card.alignment]
    if np.abs(held[probes] - again).max() <= SAME_VECTOR:  # false for NaN
        return done
    logger.warning("places in %s: not this encoder's; embedding anew", printable(str(path.parent)))
    return 0


def _card(card: EncoderCard, points: Points, unknown: int, vectors_digest: str) -> PlacesCard:
    return PlacesCard(
        encoder=card.name,
        fingerprint=card.fingerprint,
        space=card.alignment,
        places=len(points),
        dimensions=card.spaces[card.alignment],
        unknown=unknown,
        coordinates_sha256=_sha256(points),
        vectors_digest=vectors_digest,
    )


def _sha256(points: Points) -> str:
    return hashlib.sha256(np.ascontiguousarray(points, dtype="<f8").tobytes()).hexdigest()


def digest(vectors: Vectors) -> str:
    """Return the SHA-256 over the sum of each row's bits, `[N, D]` float32.

    A row that differs in one bit, a block of zeros, rows in another order: each gives another
    digest. It guards against damage, at the speed of memory; it is no signature.
    """
    words = vectors.view(np.uint64 if vectors.shape[1] % 2 == 0 else np.uint32)
    sums = np.add.reduce(words, axis=1, dtype=np.uint64)
    return hashlib.sha256(sums.astype("<u8").tobytes()).hexdigest()
