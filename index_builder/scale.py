"""The same build on Ray Data: parts of a source read, decoded and encoded by several workers.

A worker takes one part of the source at a time and does with it what `index_builder.adding` does
with all of them; what comes of it reaches the one writer in the source's order. The gallery is
therefore the one that a build without workers makes, bit for bit. A worker that dies is started
again with its part; a build that was killed goes on with what is not there yet.
"""

import logging
import os
import pickle
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from encoders import load_encoder
from encoders.base import AlignedEncoder, Encoder
from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError
from index_builder.adding import Adding, Chunk, Item, chunks
from index_builder.build import BuildReport, build_gallery
from index_builder.build_report import OnProgress
from index_builder.encoding import ChunkEncoder, compute_alone
from index_builder.flow import ahead, closed, in_order
from index_builder.gallery import Gallery
from index_builder.gallery_photo import GalleryPhoto
from index_builder.manifest import Kind, StoreSettings
from index_builder.points import IndexSettings
from index_builder.ray_session import LOCAL, Crew, import_ray, quietly, session
from index_builder.records import Record, Source
from index_builder.sampling import SamplePerCell

if TYPE_CHECKING:
    import ray.data

Ids = npt.NDArray[np.bytes_]
"""The first 16 bytes of ids, sorted: what a gallery holds, small enough to give every worker."""
RESULT_BYTES = 4_000_000
"""What a worker gathers before it hands it over; more would wait in memory, and be lost with it."""
DEATHS = 4
"""A worker that dies more often is not started again: its photos kill it."""


def build_gallery_on_ray(
    source: Path | str | Source,
    out: Path | str,
    *,
    encoder: "str | Path | AlignedEncoder | None" = None,
    workers: int = 2,
    address: str = LOCAL,
    positions: Path | str | None = None,
    progress: OnProgress | None = None,
    resume: bool = True,
    sample: SamplePerCell | None = None,
    copies: bool = True,
    index: IndexSettings | None = None,
    store: StoreSettings | None = None,
    api_key: str | None = None,
) -> BuildReport:
    """Build a gallery as `index_builder.build.build_gallery` does, by several workers.

    Args:
        source: as there; it is divided into its parts, so one part keeps one worker busy.
        out: as there; on this machine, which alone writes.
        encoder: as there; a name is loaded by each worker, on its own GPU where there are any.
        workers: at once, each with a processor core and, where the machines have that many, a GPU.
        address: of a Ray cluster that runs already; by default one is started on this machine's
            loopback, and ended.
        positions: as there.
        progress: as there.
        resume: as there.
        sample: as there.
        copies: as there.
        index: as there.
        store: as there.
        api_key: as there.

    Raises:
        InputError: as there; or no worker at all was asked for.
        UnavailableError: as there; or Ray is not installed, or workers die again and again.
    """
    if workers < 1:
        raise InputError(f"{workers} workers, at least 1 is needed; give more")
    import_ray()
    by_name = encoder is None or isinstance(encoder, str | Path)

    class OnRay(AddingOnRay):
        crew = Crew(workers, address, by_name)

    return build_gallery(
        source,
        out,
        encoder=encoder,
        positions=positions,
        progress=progress,
        resume=resume,
        sample=sample,
        copies=copies,
        index=index,
        store=store,
        api_key=api_key,
        adding=OnRay,
    )


class AddingOnRay(Adding):
    """Writes into a gallery what workers read, decode and encode."""

    crew: Crew

    def run(self, source: Source, limit: int | None = None) -> None:
        """See `Adding.run`.

        Raises:
            InputError: as there, or a limit was given: how many records parts have is not known.
            UnavailableError: as there, or a worker died too often.
        """
        if limit is not None:
            raise InputError(f"limit of {limit} records with workers; leave out one of the two")
        self._partly_built = len(self.gallery) > 0
        known = present_ids(self.gallery, self._has_files) if self._partly_built else None
        share = Share.of(self.chunk_encoder, self.gallery, self.crew, known)
        with session(self.crew) as ray, closing(encoded(ray, source, share, self.crew)) as found:
            for chunk in found:
                self._write(chunk)
        self._flush()


def present_ids(gallery: Gallery, has_files: Any) -> Ids:
    """Return what a gallery holds whole: the point, and the files that belong to it."""
    there = (point.id for point in gallery.store.scan())
    found = [bytes.fromhex(one[:32]) for one in there if has_files(one)]
    return np.sort(np.array(found, dtype="S16"))


@dataclass(frozen=True)
class Share:
    """What every worker is given."""

    encoder: bytes | str
    """Pickled, or what `load_encoder` takes."""
    fingerprint: str
    copies: bool
    kind: Kind
    folder: Path
    known: Ids | None
    threads: int

    @classmethod
    def of(cls, own: ChunkEncoder, gallery: Gallery, crew: Crew, known: Ids | None) -> "Share":
        """Describe the work that `own` would do here.

        Raises:
            InputError: the encoder cannot be sent to workers.
        """
        load = gallery.manifest.encoder.load
        sent: bytes | str = load
        if not crew.by_name or load == "embedded":
            sent = _pickled(own.encoder)
        here = crew.workers if crew.address == LOCAL else 1
        threads = max(1, (os.cpu_count() or 1) // here) + 1
        fingerprint = own.encoder.card.fingerprint
        return cls(sent, fingerprint, own.copies, own.kind, gallery.folder, known, threads)


def _pickled(encoder: Encoder) -> bytes:
    from ray import cloudpickle

    try:
        found: bytes = cloudpickle.dumps(encoder)  # type: ignore[no-untyped-call]  # Ray's own
    except (TypeError, pickle.PicklingError, AttributeError) as error:
        raise InputError(
            f"encoder {encoder.card.name!r} cannot be sent to workers ({printable(str(error))}); "
            "give the name or folder that it is loaded from"
        ) from None
    return found


class Worker(Adding):
    """All of a build but the writing, of one part at a time; lives in a process of its own."""

    def __init__(self, share: Mapping[str, Any]) -> None:
        work = cast(Share, share["share"])
        self._known = work.known
        self._partly_built = work.known is not None
        encoder = _loaded(work)
        self.threads = work.threads
        self.chunk_encoder = ChunkEncoder(
            encoder, copies=work.copies, kind=work.kind, folder=work.folder
        )

    def __call__(self, row: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
        """Yield the chunks of a part as they are done; an error of the user's as the last."""
        try:
            for chunk in self._chunks(pickle.loads(row["part"])):  # noqa: S301 - our own
                yield {"chunk": pickle.dumps([_slim(item) for item in chunk]), "error": b""}
        except (InputError, UnavailableError) as error:
            yield {"chunk": b"", "error": pickle.dumps(error)}

    def _chunks(self, part: Source) -> Iterator[Chunk]:
        with ThreadPoolExecutor(self.threads, "decode") as pool:
            read = ahead(chunks(part), 1)
            prepared = ahead(self._prepared(read, pool), 1)
            done = in_order(prepared, self._encode, workers=1, ready=compute_alone)
            with closed(read, prepared, done):
                yield from done

    def _there(self, ids: Sequence[str]) -> dict[str, GalleryPhoto]:
        assert self._known is not None
        asked = np.array([bytes.fromhex(one[:32]) for one in ids], dtype="S16")
        at = np.minimum(np.searchsorted(self._known, asked), max(0, len(self._known) - 1))
        same = self._known[at] == asked if len(self._known) else np.zeros(len(ids), bool)
        nothing = cast(GalleryPhoto, None)  # whoever asks wants to know only which are there
        return {one: nothing for one, there in zip(ids, same, strict=True) if there}

    def _has_files(self, photo_id: str) -> bool:
        return True  # what lacks files is not among the ids that were given


def _loaded(share: Share) -> Encoder:
    if isinstance(share.encoder, bytes):
        from ray import cloudpickle

        return cast(Encoder, cloudpickle.loads(share.encoder))
    encoder = load_encoder(share.encoder)
    if encoder.card.fingerprint != share.fingerprint:
        raise InputError(
            f"encoder {share.encoder!r} on a worker is {encoder.card.fingerprint[:8]}, here it is "
            f"{share.fingerprint[:8]}; put the same weights on all machines"
        )
    return encoder


def _slim(item: Item) -> Item:
    """Return an item without the file's bytes, which have served."""
    if isinstance(item.record, Record) and isinstance(item.record.content, bytes):
        item.record = replace(item.record, content=b"")
    return item


def encoded(ray: Any, source: Source, share: Share, crew: Crew) -> Generator[Chunk]:
    """Yield the chunks of a source in its order, done by workers.

    Raises:
        InputError: a part cannot be read, or the encoder refuses all of a chunk.
        UnavailableError: the encoder's service does not answer, or a worker died too often.
    """
    parts = [{"part": ray.cloudpickle.dumps(part)} for part in source.parts()]
    with quietly():
        rows = iter(_plan(ray, parts, share, crew).iter_rows())
    while True:
        try:
            with quietly():
                row = next(rows, None)
        except ray.exceptions.RayError as error:
            raise UnavailableError(
                f"workers ended {DEATHS} times at the same photos, most likely out of memory "
                f"({type(error).__name__}); take fewer workers, then run the same command again, "
                "it goes on where it stopped"
            ) from None
        if row is None:
            return
        if row["error"]:
            raise pickle.loads(row["error"])  # noqa: S301 - our own workers'
        yield pickle.loads(row["chunk"])  # noqa: S301


def _plan(
    ray: Any, parts: Sequence[Mapping[str, bytes]], share: Share, crew: Crew
) -> "ray.data.Dataset":
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = RESULT_BYTES
    context.execution_options.preserve_order = True  # the first record of a content is kept
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    crew_size = min(crew.workers, max(1, len(parts)))
    gpus = int(ray.cluster_resources().get("GPU", 0))
    dataset = ray.data.from_items(list(parts), override_num_blocks=max(1, len(parts)))
    return dataset.flat_map(  # type: ignore[no-any-return]  # `ray` is imported late
        Worker,
        fn_constructor_args=({"share": share},),
        compute=ray.data.ActorPoolStrategy(size=crew_size),
        num_cpus=1,
        num_gpus=1 if gpus >= crew_size else None,
        max_restarts=DEATHS - 1,
        max_task_retries=DEATHS - 1,
    )
