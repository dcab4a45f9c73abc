"""Photos or coordinates into a gallery: each once, resumable at any moment, nothing silently lost.

A reader, decoders, encoders and the writer work at the same time, chunk after chunk, each a little
ahead of the next: memory stays the same whatever the source's size. What is done is known from
the store and the files themselves. The same source gives the same gallery, bit for bit, however
often its build was killed: a record is always encoded beside the same others.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from encoders import load_encoder
from encoders.base import AlignedEncoder, Encoder, EncoderCard
from geo.errors import InputError
from index_builder.adding import Adding
from index_builder.build_report import BuildReport, Clock, OnProgress, Progress, Rejects, Unused
from index_builder.build_target import (
    check_settings,
    check_target,
    discard,
    locked,
    new_manifest,
    opened,
)
from index_builder.codebook import fitted_encoder
from index_builder.encoding import ChunkEncoder, spaces_of
from index_builder.gallery import Gallery
from index_builder.gallery_opening import check_encoder, load_codebook_encoder
from index_builder.manifest import Kind, Manifest, StoreSettings, shown_path
from index_builder.points import IndexSettings
from index_builder.records import Record, Source, nothing_usable
from index_builder.sampling import SampledSource, SamplePerCell

__all__ = ["BuildReport", "Progress", "SamplePerCell", "build_gallery"]

OPTIMIZE_FROM = 10_000
"""Points from which the index is brought up to date at the end of a build."""
MAX_THREADS = 8


def build_gallery(
    source: Path | str | Source,
    out: Path | str,
    *,
    encoder: "str | Path | AlignedEncoder | None" = None,
    positions: Path | str | None = None,
    progress: OnProgress | None = None,
    resume: bool = True,
    limit: int | None = None,
    sample: SamplePerCell | None = None,
    copies: bool = True,
    index: IndexSettings | None = None,
    store: StoreSettings | None = None,
    api_key: str | None = None,
    adding: type[Adding] = Adding,
) -> BuildReport:
    """Put every geotagged photo of a source into the gallery at `out`, making it if needed.

    Photos already there are skipped, those whose source corrected their position or metadata are
    updated; a build that was interrupted, even killed, goes on where it stopped, and gives the
    gallery that an undisturbed one gives. What could not be used is counted in the report and
    named in `rejects.jsonl`.

    Args:
        source: what `index_builder.sources.open_source` opens, or a source. Coordinates without
            photos make a gallery of places.
        out: folder of the gallery; its manifest and small copies stay there where `store` is a
            server.
        encoder: an aligned encoder, or what `encoders.load_encoder` takes. By default that of the
            gallery, for a new one `embedded`, whose codebook is fitted first.
        positions: table of positions, for a folder of photos.
        progress: told of every photo.
        resume: False discards what the gallery holds and builds it anew.
        limit: take only the first so many records.
        sample: take a balanced subset.
        copies: keep a small copy of each photo, to show and verify what matched.
        index: how a new gallery keeps its vectors.
        store: where a new gallery keeps its points; in the folder by default.
        api_key: of the Qdrant server.
        adding: who reads, decodes, encodes and writes; `index_builder.scale` has workers do it.

    Raises:
        InputError: nothing usable in the source; `out` is something else than a gallery, or one
            of another encoder, kind or settings; the disk is full.
        UnavailableError: another process has the gallery open, a server does not answer, or
            weights are missing.
    """
    started = time.monotonic()
    target = Path(out)
    plan = _Plan(target, check_target(target, resume=resume), copies, index, store, api_key)
    records = _source(source, positions, target, sample, progress)
    plan.kind = kind_of(records)
    load, known_encoder = plan.encoder(encoder)
    total = records.count() or 0
    with locked(target, anew=not resume, api_key=api_key) as lock:
        threads = min(MAX_THREADS, (os.cpu_count() or 1) + 1)
        ready = known_encoder or fitted_encoder(
            target, records, copies=copies, threads=threads, progress=progress
        )
        with opened(target, plan.manifest, lock, ready, plan.new(ready, load), api_key) as gallery:
            kept = bool(gallery.manifest.settings.get("copies", True))
            chunk_encoder = ChunkEncoder(ready, copies=kept, kind=plan.kind, folder=target)
            with Rejects(target) as rejects:
                clock = Clock("adding", min(total, limit or total), progress)
                work = adding(gallery, chunk_encoder, rejects, clock, threads)
                work.run(records, limit)
                if plan.manifest or len(gallery):
                    rejects.complete()
            _finish(gallery, rejects.count, _settings(sample, limit), progress)
            photos = len(gallery)
        if not work.added + work.updated + work.skipped:
            if not photos:
                discard(target)
            first = rejects.examples[0] if rejects.examples else None
            raise nothing_usable(records.name, rejects.count, first)
    return BuildReport(
        path=target,
        added=work.added,
        updated=work.updated,
        skipped=work.skipped,
        rejected=rejects.count,
        reasons=rejects.reasons,
        examples=tuple(rejects.examples),
        rejects_path=rejects.path,
        seconds=time.monotonic() - started,
        photos=photos,
    )


def _source(
    source: Path | str | Source,
    positions: Path | str | None,
    target: Path,
    sample: SamplePerCell | None,
    progress: OnProgress | None,
) -> Source:
    """Return what was given as a source, opened, of which only the sample is taken."""
    if isinstance(source, Path | str):
        from index_builder.sources import open_source

        table = None if positions is None else Path(positions)
        source = open_source(source, positions=table, ignore=[target])
    if sample is None:
        return source
    return SampledSource(source, sample, Clock("sampling", source.count() or 0, progress).step)


def kind_of(source: Source) -> Kind:
    """Return what a gallery of this source holds, by its first record.

    Raises:
        InputError: it has no record.
    """
    unused = Unused()
    for one in source:
        if isinstance(one, Record):
            return "places" if one.content is None else "photos"
        unused.add(one)
    raise nothing_usable(source.name, unused.count, unused.first)


@dataclass
class _Plan:
    """What is to be built, and whether what is there agrees."""

    target: Path
    manifest: Manifest | None
    """Of the gallery that is to grow."""
    copies: bool
    index: IndexSettings | None
    store: StoreSettings | None
    api_key: str | None
    kind: Kind = "photos"

    def encoder(self, given: "str | Path | AlignedEncoder | None") -> tuple[str, Encoder | None]:
        """Return how the encoder is loaded, and it; None where it has to be fitted first.

        Raises:
            InputError: no such encoder, another than the gallery's, or none for this kind.
            UnavailableError: its weights are not on this machine.
        """
        built = self.manifest.encoder if self.manifest else None
        if self.manifest:
            check_settings(
                self.target, self.manifest, self.kind, self.copies, self.index, self.store
            )
        given = given or (built.load if built else "embedded")
        if not isinstance(given, str | Path):
            spaces_of(given, self.kind)
            return given.card.name, given
        name = str(Path(given).resolve()) if Path(given).is_dir() else str(given)
        if name != "embedded":
            loaded = load_encoder(name)
            spaces_of(loaded, self.kind)
            return name, loaded
        if self.kind == "places":
            raise InputError(
                "encoder 'embedded' knows photos, the source gives coordinates alone; give an "
                "encoder of locations: --encoder geoclip"
            )
        if built is None:
            return name, None
        if built.name != name and built.load != name:
            check_encoder(shown_path(self.target), self._grown, EncoderCard(name, ""))
        return name, load_codebook_encoder(self.target)

    @property
    def _grown(self) -> Manifest:
        assert self.manifest
        return self.manifest

    def new(self, encoder: Encoder, load: str) -> Manifest:
        """Return the manifest of a gallery to be made."""
        return new_manifest(
            encoder, load, self.kind, copies=self.copies, index=self.index, store=self.store
        )


def _settings(sample: SamplePerCell | None, limit: int | None) -> dict[str, JsonValue]:
    """Return what the manifest says of the subset that was taken."""
    taken: dict[str, JsonValue] = {"sample": None, "limit": limit}
    if sample:
        taken["sample"] = {"records_per_cell": sample.records, "level": sample.level}
    return taken


def _finish(
    gallery: Gallery,
    rejected: int,
    settings: dict[str, JsonValue],
    progress: OnProgress | None,
) -> None:
    """Bring index and manifest up to date."""
    count = len(gallery)
    stated = gallery.manifest.settings
    if count >= OPTIMIZE_FROM and stated.get("optimized") != count:
        if progress:
            progress(Progress("optimizing", 0, 0, 0.0, None))
        gallery.store.optimize()
        settings = {**settings, "optimized": count}
    merged = {**stated, **settings}
    update = {"settings": {key: value for key, value in merged.items() if value is not None}}
    gallery.manifest = gallery.manifest.model_copy(update=update)
    gallery.write_manifest(rejected)
