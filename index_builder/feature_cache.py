"""What a frozen backbone says of training photos: computed once, kept, mapped from disk.

The backbone never changes while heads are trained, so that its features are computed one time
and every epoch after that reads arrays. Rows are kept per backbone and found by what they were
made from: a changed file or another backbone gets rows of its own.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from encoders.base import check_images
from encoders.heads import Batch, Need, PhotoFeatures
from encoders.pixels import open_photo
from geo.errors import InputError
from index_builder.feature_store import ArraySpec, FeatureStore, Rows
from index_builder.sources import RejectedPhoto
from index_builder.training_data import Example, file_key, text_key

if TYPE_CHECKING:
    from encoders.backbones import Backbone

BATCH = 16
"""Photos decoded and encoded at once; a second lot is decoded meanwhile."""
COMMIT_S = 2.0
"""What a kill may cost at most, besides the batch at hand."""
_THREADS = 2
_HALF_MAX = float(np.finfo(np.float16).max)
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Progress:
    """How far a long stage is."""

    stage: str
    done: int
    total: int
    per_s: float
    """Of what is counted: photos, captions, or steps."""
    remaining_s: float
    note: str = ""


OnProgress = Callable[[Progress], None]


@dataclass
class Clock:
    """Counts one stage and tells the caller."""

    stage: str
    total: int
    tell: OnProgress | None
    done: int = 0
    fresh: int = 0
    """Of `done`, what this run did: the rate goes by it."""
    started: float = field(default_factory=time.monotonic)

    def step(self, count: int = 1, *, skipped: bool = False, note: str = "") -> None:
        """Count on."""
        self.done += count
        self.fresh += 0 if skipped else count
        if self.tell:
            rate = self.fresh / max(time.monotonic() - self.started, 1e-6)
            left = (self.total - self.done) / rate if rate else 0.0
            self.tell(Progress(self.stage, self.done, self.total, rate, left, note))


@dataclass
class _Source:
    """One store and how its rows are made."""

    kind: str
    store: FeatureStore
    key: Callable[[Example], int]
    load: Callable[[Example], Any]
    encode: Callable[[Sequence[Any]], Arrays]
    text: bool = False


class CachedFeatures:
    """Features of N examples, on disk; small enough to be sent to another process.

    Args:
        points: `[N, 2]` latitude, longitude in degrees.
        rows: of each kind, the store's row of each example.
        stores: of each kind, folder and arrays.
        cells: row of each example's cell in the table of prototypes.
    """

    def __init__(
        self,
        points: npt.NDArray[np.float64],
        rows: Mapping[str, Rows],
        stores: Mapping[str, tuple[Path, Mapping[str, ArraySpec]]],
        cells: Rows | None = None,
    ) -> None:
        self.points, self.rows, self.stores, self.cells = points, dict(rows), dict(stores), cells
        self._open: dict[str, FeatureStore] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def __len__(self) -> int:
        return len(self.points)

    def batch(self, indices: Rows) -> Batch:
        """Return the examples with those numbers `[B]`, in that order, on the CPU."""
        photos = PhotoFeatures(
            pooled=self._tensor(self._photos, "pooled", indices),
            tokens=self._tensor("tokens", "tokens", indices) if "tokens" in self.rows else None,
            segments=self._kept("segments", indices),
        )
        cells = None if self.cells is None else torch.from_numpy(self.cells[indices])
        return Batch(
            photos=photos,
            points=torch.from_numpy(self.points[indices]),
            captions=self._kept("captions", indices),
            aerial=self._kept("aerial", indices),
            cells=cells,
        )

    @property
    def _photos(self) -> str:
        return "tokens" if "tokens" in self.rows else "photos"

    def _kept(self, kind: str, indices: Rows) -> Tensor | None:
        array = "segments" if kind == "segments" else "pooled"
        return self._tensor(kind, array, indices) if kind in self.rows else None

    def _tensor(self, kind: str, array: str, indices: Rows) -> Tensor:
        if kind not in self._open:
            self._open[kind] = FeatureStore(*self.stores[kind])
        found = torch.from_numpy(self._open[kind].read(array, self.rows[kind][indices]))
        return found.float() if found.dtype == torch.float16 else found


def cache_features(
    examples: Sequence[Example],
    needs: frozenset[Need],
    backbone: "Backbone",
    root: Path,
    *,
    classes: int | None = None,
    progress: OnProgress | None = None,
) -> tuple[CachedFeatures, list[Example], list[RejectedPhoto]]:
    """Compute what is missing of the examples' features; resumes after a kill at any moment.

    Args:
        examples: photos and what belongs to them.
        needs: of the family.
        backbone: frozen.
        root: folder of all features; every backbone has its own below it.
        classes: limit of the numbers in segmentation maps.
        progress: called after every batch.

    Returns:
        The features, the examples they are of, and the examples that have none, with reasons.

    Raises:
        UnavailableError: the disk is full, or another process writes the same features.
    """
    sources = _sources(needs, backbone, root / backbone.fingerprint[:16], classes)
    keys: dict[str, npt.NDArray[np.uint64]] = {}
    reasons: dict[int, str] = {}
    for source in sources:
        keys[source.kind] = _keys(source, examples, reasons)
        _fill(source, examples, keys[source.kind], reasons, progress)
    kept = [number for number in range(len(examples)) if number not in reasons]
    rows = {s.kind: s.store.rows_of(keys[s.kind][kept]) for s in sources}
    points = np.array([(examples[i].latitude, examples[i].longitude) for i in kept], np.float64)
    stores = {s.kind: (s.store.folder, _bare(s.store.arrays)) for s in sources}
    rejected = [RejectedPhoto(examples[i].name, reasons[i]) for i in sorted(reasons)]
    features = CachedFeatures(points.reshape(-1, 2), rows, stores)
    return features, [examples[i] for i in kept], rejected


def _bare(arrays: Mapping[str, ArraySpec]) -> dict[str, ArraySpec]:
    return {name: spec for name, spec in arrays.items() if name != "keys"}


def _sources(
    needs: frozenset[Need], backbone: "Backbone", folder: Path, classes: int | None
) -> list[_Source]:
    pooled = {"pooled": ArraySpec((backbone.width,), "float32")}
    photos = FeatureStore(folder / "photos", pooled)

    def encode(images: Sequence[Image.Image]) -> Arrays:
        return {"pooled": _numpy(backbone.image_features(images).pooled)}

    found = []
    if "tokens" in needs:
        found.append(_token_source(backbone, folder, pooled))
    else:
        found.append(_Source("photos", photos, _photo_key, _load_photo, encode))
    if "segments" in needs:
        found.append(_segment_source(backbone, folder, classes))
    if "captions" in needs:
        texts = FeatureStore(folder / "captions", pooled)
        found.append(
            _Source(
                "captions",
                texts,
                lambda one: text_key(one.caption.encode()),
                lambda one: one.caption,
                lambda captions: {"pooled": _numpy(backbone.text_features(captions))},
                text=True,
            )
        )
    if "aerial" in needs:
        found.append(_Source("aerial", photos, _aerial_key, _load_aerial, encode))
    return found


def _token_source(backbone: "Backbone", folder: Path, pooled: Mapping[str, ArraySpec]) -> _Source:
    tokens = ArraySpec((backbone.grid**2, backbone.token_width), "float16")
    store = FeatureStore(folder / "tokens", {**pooled, "tokens": tokens})

    def encode(images: Sequence[Image.Image]) -> Arrays:
        found = backbone.image_features(images, tokens=True)
        assert found.tokens is not None
        half = _numpy(found.tokens).clip(-_HALF_MAX, _HALF_MAX).astype(np.float16)
        return {"pooled": _numpy(found.pooled), "tokens": half}

    return _Source("tokens", store, _photo_key, _load_photo, encode)


def _segment_source(backbone: "Backbone", folder: Path, classes: int | None) -> _Source:
    from encoders.segmenter import crop_as_photo

    spec = backbone.spec
    side = spec.image_size

    def load(one: Example) -> npt.NDArray[np.uint8]:
        assert one.segmentation is not None
        labels = read_labels(one.segmentation, classes)
        return crop_as_photo(labels, side, spec.resize_mode)

    store = FeatureStore(folder / "segments", {"segments": ArraySpec((side, side), "uint8")})
    return _Source(
        "segments",
        store,
        # A limit on classes is part of what was checked.
        lambda one: text_key(f"{_path_key(one.segmentation)} {classes}".encode()),
        load,
        lambda maps: {"segments": np.stack(maps)},
    )


def read_labels(path: Path, classes: int | None = None) -> npt.NDArray[np.uint8]:
    """Read a segmentation map, `[H, W]` class numbers, from an 8-bit grey or palette PNG.

    Raises:
        InputError: it cannot be read, has colours, or holds a class beyond the limit.
    """
    from encoders.photo_file import Limits, describe, open_header, read_photo_bytes
    from encoders.pixels import decoding

    data = read_photo_bytes(path, Limits())
    with decoding(describe(path)):
        picture, _ = open_header(data, describe(path), Limits())
        with picture:
            if picture.mode not in ("L", "P"):
                raise InputError(
                    f"segmentation map {describe(path)} has mode {picture.mode!r}; save class "
                    "numbers as an 8-bit grey or palette PNG"
                )
            labels = np.asarray(picture, np.uint8)
    wrong = labels[(labels >= classes) & (labels != 255)] if classes else labels[:0]
    if wrong.size:
        raise InputError(
            f"segmentation map {describe(path)} holds class {int(wrong.max())}, limit 0 to "
            f"{(classes or 0) - 1} and 255 for unlabelled; raise classes, or map them"
        )
    return labels


def _path_key(path: Path | None) -> int:
    assert path is not None
    return file_key(path)


def _photo_key(one: Example) -> int:
    return file_key(one.photo)


def _aerial_key(one: Example) -> int:
    return _path_key(one.aerial)


def _load_photo(one: Example) -> Image.Image:
    return _load(one.photo)


def _load_aerial(one: Example) -> Image.Image:
    assert one.aerial is not None
    return _load(one.aerial)


def _load(path: Path) -> Image.Image:
    image = open_photo(path).image
    try:
        check_images([image])
    except InputError as error:
        raise InputError(str(error).removeprefix("photo 0 ")) from None
    return image


def _numpy(tensor: Tensor) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = tensor.float().cpu().numpy()
    return found


def _keys(
    source: _Source, examples: Sequence[Example], reasons: dict[int, str]
) -> npt.NDArray[np.uint64]:
    """Return the key of each example `[N]`; those without one get a reason."""
    keys = np.zeros(len(examples), np.uint64)
    for number, example in enumerate(examples):
        if number not in reasons:
            try:
                keys[number] = source.key(example)
            except InputError as error:
                reasons[number] = str(error)
    return keys


def _fill(
    source: _Source,
    examples: Sequence[Example],
    keys: npt.NDArray[np.uint64],
    reasons: dict[int, str],
    progress: OnProgress | None,
) -> None:
    """Compute the rows that are missing, and give a reason to examples that get none."""
    store = source.store
    first: dict[int, int] = {}
    for number, key in enumerate(keys.tolist()):
        if number not in reasons:
            first.setdefault(key, number)
    clock = Clock(f"encoding {source.kind}", len(first), progress)
    wanted = np.fromiter(first, np.uint64, len(first))
    if (store.rows_of(wanted) >= 0).all():
        clock.step(len(first), skipped=True)
        return
    lock = store.lock()
    failed: dict[int, str] = {}
    try:
        fresh = FeatureStore(store.folder, _bare(store.arrays))  # grown before we had the lock?
        _encode(source, fresh, [examples[i] for i in first.values()], wanted, failed, clock)
    finally:
        lock.release()
    source.store = fresh
    for number, key in enumerate(keys.tolist()):
        if number not in reasons and key in failed:
            reasons[number] = failed[key]


def _encode(
    source: _Source,
    store: FeatureStore,
    examples: Sequence[Example],
    keys: npt.NDArray[np.uint64],
    failed: dict[int, str],
    clock: Clock,
) -> None:
    """Append the missing rows of distinct examples in fixed lots, decoding one lot ahead.

    Lots are fixed so that a resumed run encodes in the same batches as an unbroken one: a
    product's last bits depend on its batch.
    """
    missing = store.rows_of(keys) < 0
    committed = time.monotonic()
    for lot, loaded in _loaded(source, examples, missing, failed, keys):
        clock.step(int((~missing[lot]).sum()), skipped=True)
        if loaded:
            values = source.encode([value for _, value in loaded])
            _append(store, [int(keys[i]) for i, _ in loaded], values, failed)
            if time.monotonic() - committed > COMMIT_S:
                store.commit()
                committed = time.monotonic()
        clock.step(int(missing[lot].sum()))
    store.commit()


def _append(
    store: FeatureStore, keys: Sequence[int], values: Arrays, failed: dict[int, str]
) -> None:
    good = np.ones(len(keys), bool)
    for array in values.values():
        if array.dtype != np.uint8:
            good &= np.isfinite(array).reshape(len(keys), -1).all(axis=1)
    for key in (key for key, fine in zip(keys, good, strict=True) if not fine):
        failed[key] = "the backbone gives features that are not finite"
    kept = [key for key, fine in zip(keys, good, strict=True) if fine]
    store.append(kept, {name: array[good] for name, array in values.items()})


def _loaded(
    source: _Source,
    examples: Sequence[Example],
    missing: npt.NDArray[np.bool_],
    failed: dict[int, str],
    keys: npt.NDArray[np.uint64],
) -> Iterator[tuple[slice, list[tuple[int, Any]]]]:
    """Yield each lot with what of it could be loaded, by number; the next is being loaded."""
    lots = [slice(i, min(i + BATCH, len(examples))) for i in range(0, len(examples), BATCH)]
    with ThreadPoolExecutor(_THREADS) as pool:

        def start(lot: slice) -> list[tuple[int, Future[Any]]]:
            todo = (i for i in range(lot.start, lot.stop) if missing[i])
            return [(i, pool.submit(source.load, examples[i])) for i in todo]

        following: Iterable[slice] = lots[1:]
        ahead = start(lots[0])
        for lot, upcoming in zip(lots, [*following, None], strict=True):
            current, ahead = ahead, start(upcoming) if upcoming else []
            yield lot, list(_results(current, failed, keys))


def _results(
    futures: Sequence[tuple[int, "Future[Any]"]],
    failed: dict[int, str],
    keys: npt.NDArray[np.uint64],
) -> Iterator[tuple[int, Any]]:
    for number, future in futures:
        try:
            yield number, future.result()
        except InputError as error:
            failed[int(keys[number])] = str(error)


def digest_of(features: CachedFeatures, examples: Sequence[Example]) -> str:
    """Return the SHA-256 over everything that training reads of the data, in its order."""
    digest = hashlib.sha256(features.points.tobytes())
    for kind, rows in sorted(features.rows.items()):
        store = FeatureStore(*features.stores[kind])
        digest.update(kind.encode() + store.read("keys", rows).tobytes())
    if features.cells is not None:
        digest.update(features.cells.tobytes())
    digest.update(str(len(examples)).encode())
    return digest.hexdigest()
