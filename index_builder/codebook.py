"""The codebook of a gallery, fitted on a sample of its own photos before the first is added.

The sample is the photos with the smallest ids: the same whatever the order of the source. Three
readings of the source, none of which keeps more than the sample.
"""

import heapq
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from encoders import load_encoder
from encoders.embedded import PCA_MIN_PHOTOS, EmbeddedEncoder, fit_codebook
from encoders.local_features import LocalFeatures
from geo.errors import InputError
from index_builder.build_report import Clock, OnProgress, Unused
from index_builder.encoding import CHUNK, Prepared, describe, write_files
from index_builder.files import write_atomically
from index_builder.gallery_opening import load_codebook_encoder
from index_builder.records import Record, Rejected, Source, content_id, nothing_usable

FIT_PHOTOS = PCA_MIN_PHOTOS + 200


def fitted_encoder(
    target: Path, source: Source, *, copies: bool, threads: int, progress: OnProgress | None
) -> EmbeddedEncoder:
    """Return the encoder `embedded` of the gallery in `target`, fitted where none is kept.

    Args:
        target: of the gallery; codebook, features and small copies of the sample are kept in it.
        source: of the photos.
        copies: whether the gallery keeps small copies.
        threads: that read and decode.
        progress: told of stages `reading` and `describing`.

    Raises:
        InputError: no photo of the source can be used.
    """
    if (target / "codebook.npz").exists():
        return load_codebook_encoder(target)
    with ThreadPoolExecutor(threads, "describe") as pool:
        unused = Unused()
        sample = _sample(source, pool, unused, Clock("reading", source.count() or 0, progress))
        clock = Clock("describing", len(sample), progress)
        usable: dict[str, LocalFeatures] = {}
        records = _numbered(source, set(sample.values()))
        while some := list(islice(records, CHUNK)):
            found = list(pool.map(lambda r: _described(target, r, copies=copies), some))
            for one in found:
                if isinstance(one, Rejected):
                    unused.add(one)
                elif one.features is not None:
                    usable[one.id] = one.features
                    write_files(target, [one])
                clock.step()
    if not usable:
        raise nothing_usable(source.name, unused.count, unused.first)
    book = fit_codebook([usable[photo_id] for photo_id in sorted(usable)])
    write_atomically(target / "codebook.npz", book.pack())
    return load_encoder("embedded", codebook=book)


def _sample(
    source: Source, pool: ThreadPoolExecutor, unused: Unused, clock: Clock
) -> dict[str, int]:
    """Return the smallest ids of the source's photos, each with the number of its record."""
    chosen: dict[str, int] = {}
    largest: list[tuple[int, str]] = []
    records = enumerate(_records(source, unused))
    while some := list(islice(records, CHUNK)):
        ids = pool.map(_id, (record for _, record in some))
        for (number, _), photo_id in zip(some, ids, strict=True):
            clock.step()
            if isinstance(photo_id, Rejected):
                unused.add(photo_id)
            elif photo_id not in chosen:
                chosen[photo_id] = number
                heapq.heappush(largest, (-int(photo_id, 16), photo_id))
                if len(chosen) > FIT_PHOTOS:
                    del chosen[heapq.heappop(largest)[1]]
    return chosen


def _records(source: Source, unused: Unused) -> Iterator[Record]:
    for one in source:
        if isinstance(one, Record):
            yield one
        else:
            unused.add(one)


def _id(record: Record) -> str | Rejected:
    try:
        return content_id(record.read())
    except InputError as error:
        return Rejected(record.name, str(error))


def _numbered(source: Source, numbers: set[int]) -> Iterator[Record]:
    last = max(numbers, default=-1)
    for number, record in enumerate(_records(source, Unused())):
        if number > last:
            return
        if number in numbers:
            yield record


def _described(target: Path, record: Record, *, copies: bool) -> Prepared | Rejected:
    try:
        data = record.read()
        return describe(record, content_id(data), data, copies=copies, folder=target)
    except InputError as error:
        return Rejected(record.name, str(error))
