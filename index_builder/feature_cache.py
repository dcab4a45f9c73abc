"""What a frozen backbone says of training photos: computed once, kept, mapped from disk.

The backbone never changes while heads are trained, so that its features are computed one time
and every epoch after that reads arrays. Rows are kept per backbone and found by what they were
made from: a changed file or another backbone gets rows of its own.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from encoders.heads import Need
from geo.errors import InputError
from index_builder.cached_features import CachedFeatures
from index_builder.feature_sources import Arrays, FeatureSource, feature_sources
from index_builder.feature_store import ArraySpec, FeatureStore
from index_builder.records import Rejected
from index_builder.train_progress import Clock, OnProgress
from index_builder.training_data import Example

if TYPE_CHECKING:
    from encoders.backbones import Backbone

BATCH = 16
"""Photos decoded and encoded at once; a second lot is decoded meanwhile."""
COMMIT_S = 2.0
"""What a kill may cost at most, besides the batch at hand."""
_THREADS = 2


def cache_features(
    examples: Sequence[Example],
    needs: frozenset[Need],
    backbone: "Backbone",
    root: Path,
    *,
    classes: int | None = None,
    progress: OnProgress | None = None,
) -> tuple[CachedFeatures, list[Example], list[Rejected]]:
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
    sources = feature_sources(needs, backbone, root / backbone.fingerprint[:16], classes)
    keys: dict[str, npt.NDArray[np.uint64]] = {}
    reasons: dict[int, str] = {}
    for source in sources:
        keys[source.kind] = _keys(source, examples, reasons)
        _fill(source, examples, keys[source.kind], reasons, progress)
    kept = [number for number in range(len(examples)) if number not in reasons]
    rows = {s.kind: s.store.rows_of(keys[s.kind][kept]) for s in sources}
    points = np.array([(examples[i].latitude, examples[i].longitude) for i in kept], np.float64)
    stores = {s.kind: (s.store.folder, _bare(s.store.arrays)) for s in sources}
    rejected = [Rejected(examples[i].name, reasons[i]) for i in sorted(reasons)]
    features = CachedFeatures(points.reshape(-1, 2), rows, stores)
    return features, [examples[i] for i in kept], rejected


def _bare(arrays: Mapping[str, ArraySpec]) -> dict[str, ArraySpec]:
    return {name: spec for name, spec in arrays.items() if name != "keys"}


def _keys(
    source: FeatureSource, examples: Sequence[Example], reasons: dict[int, str]
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
    source: FeatureSource,
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
    source: FeatureSource,
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
    source: FeatureSource,
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

        ahead = start(lots[0])
        for lot, upcoming in zip(lots, [*lots[1:], None], strict=True):
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
