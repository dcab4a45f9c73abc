"""Records into an open gallery, in chunks that flow through threads: read, decode, encode, write.

The reader and the decoders work ahead of the encoders, these ahead of the writer, which is the
caller's own thread. Points are written after the files that belong to them, so that a point is
proof that all of it is there.
"""

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from index_builder.build_report import Clock, Rejects
from index_builder.encoding import (
    CHUNK,
    ChunkEncoder,
    Encoded,
    Prepared,
    compute_alone,
    copy_path,
    encode_threads,
    features_path,
    stated,
    write_files,
)
from index_builder.files import check_space
from index_builder.flow import ahead, closed, in_order
from index_builder.gallery import Gallery
from index_builder.gallery_photo import GalleryPhoto, photo_of
from index_builder.points import Vector
from index_builder.records import Record, Rejected, Source
from index_builder.removal_note import REMOVED, read_removed
from index_builder.sampling import under_name
from index_builder.settling import MetIds, verdict

WRITE_POINTS = 256
"""Points written at once: each time the disk takes some 20 ms, in which no other thread runs."""
WRITE_S = 5.0
"""Nor is finished work kept from the disk for longer."""
SPACE_BYTES = 200_000_000
"""What must be free on the disk: the store lengthens its files by 32 MiB at a time."""
_REJECTS_HELD = 1_000
_CHUNKS_READ = 2


@dataclass
class Item:
    """A record on its way through the build."""

    record: Record | None
    rejected: Rejected | None = None
    id: str = ""
    prepared: Prepared | None = None
    encoded: Encoded | None = None
    met: bool = False
    """Whether the source gave the same content before."""

    def take(self, found: Prepared | Rejected) -> None:
        """Remember what came of decoding it."""
        if isinstance(found, Rejected):
            self.rejected = found
        else:
            self.prepared, self.id = found, found.id
            self.record = found.record


Chunk = list[Item]


def chunks(source: Source, limit: int | None = None) -> Generator[Chunk]:
    """Yield a source's records by `CHUNK`, never across its parts, and its rejects among them.

    Args:
        source: read once.
        limit: stop after this many records.
    """
    left = limit
    for part in source.parts():
        chunk: Chunk = []
        records = 0
        for one in part:
            if isinstance(one, Rejected):
                chunk.append(Item(None, one))
                if len(chunk) - records >= _REJECTS_HELD:
                    yield [item for item in chunk if item.rejected]
                    chunk = [item for item in chunk if not item.rejected]
                continue
            chunk.append(Item(one if one.position.source else under_name(one, part.name)))
            records += 1
            left = None if left is None else left - 1
            if records == CHUNK or left == 0:
                yield chunk
                chunk, records = [], 0
            if left == 0:
                return
        if chunk:
            yield chunk


@dataclass
class Adding:
    """One build's writing into a gallery, and what it counted."""

    gallery: Gallery
    chunk_encoder: ChunkEncoder
    rejects: Rejects
    clock: Clock
    threads: int
    """That read and decode."""
    added: int = 0
    updated: int = 0
    skipped: int = 0
    _pending: dict[str, tuple[GalleryPhoto, dict[str, Vector]]] = field(default_factory=dict)
    _files: list[Prepared] = field(default_factory=list)
    _uncounted: int = 0
    _written_at: float = field(default_factory=time.monotonic)
    _met: MetIds = field(default_factory=MetIds)
    _removed: frozenset[str] = frozenset()
    """Ids of photos that were removed from the gallery, and stay out."""
    _store: threading.Lock = field(default_factory=threading.Lock)
    """Decoders ask the store what is there while the writer writes to it."""

    def run(self, source: Source, limit: int | None = None) -> None:
        """Add what the gallery lacks of a source.

        Args:
            source: of the records.
            limit: stop after this many.

        Raises:
            InputError: the source cannot be read, or the gallery cannot be written.
            UnavailableError: the encoder's or the points' server does not answer.
        """
        self._partly_built = len(self.gallery) > 0
        self._removed = read_removed(self.gallery.folder)
        encoder = self.chunk_encoder.encoder
        with ThreadPoolExecutor(self.threads, "decode") as pool:
            read = ahead(chunks(source, limit), _CHUNKS_READ)
            prepared = ahead(self._prepared(read, pool), 1)
            encoded = in_order(
                prepared, self._encode, workers=encode_threads(encoder), ready=compute_alone
            )
            with closed(read, prepared, encoded):
                for chunk in encoded:
                    self._write(chunk)
        self._flush()

    def _prepared(self, read: Iterator[Chunk], pool: ThreadPoolExecutor) -> Generator[Chunk]:
        for chunk in read:
            items = [item for item in chunk if item.record]
            if not self._partly_built:
                self._decode(items, pool)
            elif missing := self._missing(items, pool):
                self._decode(missing, pool)
                self._refuse_misplaced(missing)
                if any(item.prepared for item in missing):  # encoded beside the same others
                    others = [item for item in items if not (item.prepared or item.rejected)]
                    self._decode(others, pool)
            yield chunk

    def _decode(self, items: Sequence[Item], pool: ThreadPoolExecutor) -> None:
        records = [item.record for item in items if item.record]
        for item, found in zip(items, pool.map(self.chunk_encoder.prepare, records), strict=True):
            item.take(found)

    def _missing(self, items: Sequence[Item], pool: ThreadPoolExecutor) -> list[Item]:
        """Return the records whose point or files the gallery lacks."""
        records = [item.record for item in items if item.record]
        for item, found in zip(items, pool.map(self.chunk_encoder.identify, records), strict=True):
            if isinstance(found, Rejected):
                item.rejected = found
            else:
                item.id = found
        self._refuse_removed(items)
        there = self._there([item.id for item in items if item.id])
        asked = [item for item in items if item.id and not item.rejected]
        return [i for i in asked if not (i.id in there and self._has_files(i.id))]

    def _refuse_removed(self, items: Sequence[Item]) -> None:
        """Reject what was removed from the gallery."""
        for item in items:
            if item.id in self._removed and item.record and not item.rejected:
                item.rejected = Rejected(
                    item.record.name,
                    f"was removed from this gallery; take its line out of {REMOVED} to let it in",
                )

    def _there(self, ids: Sequence[str]) -> dict[str, GalleryPhoto]:
        with self._store:
            found = self.gallery.store.get(ids) if ids else []
        return {point.id: photo_of(point.payload) for point in found}

    def _has_files(self, photo_id: str) -> bool:
        folder, one = self.gallery.folder, self.chunk_encoder
        if one.kind == "places":
            return True
        if one.copies and not copy_path(folder, photo_id).is_file():
            return False
        return not one.describes or features_path(folder, photo_id).is_file()

    def _refuse_misplaced(self, items: Sequence[Item]) -> None:
        """Drop what has no place, so that a chunk is not encoded again for its sake alone."""
        from index_builder.countries import placed

        decoded = [item for item in items if item.prepared]
        records = [item.prepared.record for item in decoded if item.prepared]
        for item, place in zip(decoded, placed(records), strict=True):
            if isinstance(place, Rejected):
                item.rejected, item.prepared = place, None

    def _encode(self, chunk: Chunk) -> Chunk:
        batch = [item for item in chunk if item.prepared]
        prepared = [item.prepared for item in batch if item.prepared]
        if not prepared:
            return chunk
        for item, one, found in zip(
            batch, prepared, self.chunk_encoder.encode(prepared), strict=True
        ):
            item.prepared = replace(one, image=None)  # its pixels have served
            if isinstance(found, Rejected):
                item.rejected = found
            else:
                item.encoded = found
        return chunk

    def _write(self, chunk: Chunk) -> None:
        """Settle each record in turn; write what gathered."""
        self._refuse_removed(chunk)
        good = [item for item in chunk if not item.rejected]
        for item in good:
            item.met = self._met.add(item.id)
        asked = [item.id for item in good if self._partly_built or item.met]
        there = self._there(asked)
        for item in chunk:
            self._uncounted += 1
            if item.rejected:
                self.rejects.add(item.rejected)
            else:
                self._settle(item, there)
        due = time.monotonic() > self._written_at + WRITE_S
        if due or max(len(self._pending), self._uncounted) >= WRITE_POINTS:
            self._flush()

    def _settle(self, item: Item, there: dict[str, GalleryPhoto]) -> None:
        """Decide on one record: add, update, skip, or refuse it as a contradiction."""
        pending = self._pending.get(item.id)
        known = pending[0] if pending else there.get(item.id)
        if known is None or (item.encoded and not pending and not self._has_files(item.id)):
            assert item.encoded  # what was there a moment ago, the lock keeps there
            assert item.prepared
            self._pending[item.id] = item.encoded
            self._files.append(item.prepared)
            self.added += 1
            return
        assert item.record
        found = verdict(item.record, known, met=item.met)
        if found == "update":
            self._update(item.record, known)
        elif found == "skip":
            self.skipped += 1
        else:
            self.rejects.add(found)

    def _update(self, record: Record, known: GalleryPhoto) -> None:
        """Replace what the gallery says of a photo; its vectors stay."""
        from index_builder.countries import placed

        (place,) = placed([record])
        if isinstance(place, Rejected):
            self.rejects.add(place)
            return
        with self._store:
            (point,) = self.gallery.store.get([known.id], with_vectors=True)
        photo = known.model_copy(update=stated(record, place[1]))
        self._pending[known.id] = (photo, dict(point.vectors))
        self.updated += 1

    def _flush(self) -> None:
        """Write what is pending: files first, then the points."""
        if self._pending:
            check_space(self.gallery.folder, SPACE_BYTES)
            write_files(self.gallery.folder, self._files)
            with self._store:
                self.gallery.add(list(self._pending.values()))
        self._pending, self._files = {}, []
        for _ in range(self._uncounted):
            self.clock.step()
        self._uncounted, self._written_at = 0, time.monotonic()
