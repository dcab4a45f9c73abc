"""`run_dataset`: one recipe over one dataset, into a folder that can be gone on with.

The folder is that of `evaluation.runs`, with `photos.jsonl` (what was seen of the photos before)
and `near.jsonl` (what galleries hold of them) beside it.
"""

import contextlib
import json
import logging
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from agent.answer import Answer
from agent.batch import writable
from agent.batch_settings import settings_of
from agent.recipes import Recipe
from agent.side_by_side import (
    CONCURRENCY,
    End,
    OnProgress,
    Tally,
    check_concurrency,
    journaled,
    side_by_side,
)
from encoders.photo_file import printable
from evaluation.datasets import Dataset
from evaluation.protocol import Neutrals
from evaluation.row_log import RowLog
from evaluation.run_setup import Options, Prepared, prepare
from evaluation.runs import MANIFEST, ROWS, TRACES, RunManifest, RunRow
from evaluation.stages import stages_of, verbal_confidence_of
from evaluation.survey import Tell
from geo.errors import GeolocationError, InputError, UnavailableError
from index_builder.build_report import kind_of
from index_builder.files import write_atomically

if TYPE_CHECKING:
    from agent.geolocator import Geolocator

logger = logging.getLogger(__name__)
MAX_REASON_LENGTH = 1000


@dataclass(frozen=True)
class RunReport:
    """What came of a run, or of the part of it that was done.

    Attributes:
        folder: where it is.
        photos: of the dataset, as they count.
        counts: rows by status, those of earlier runs included.
        kept: rows of earlier runs.
        reasons: why photos of this run failed, and how many.
        told: what people should hear before they read a figure.
        seconds: of wall clock.
    """

    folder: Path
    photos: int
    counts: Mapping[str, int]
    kept: int
    reasons: Mapping[str, int]
    told: tuple[str, ...]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every photo has a row."""
        return sum(self.counts.values()) >= self.photos


def run_dataset(
    geolocator: "Geolocator",
    dataset: Dataset,
    folder: Path,
    *,
    concurrency: int = CONCURRENCY,
    retry_failed: bool = False,
    limit: int | None = None,
    without_placeholders: bool = False,
    read_overlays: bool = False,
    accept_cells: bool = False,
    stated: Mapping[str, JsonValue] | None = None,
    stop: threading.Event | None = None,
    grace_s: float | None = None,
    on_progress: OnProgress | None = None,
    tell: Tell = lambda *_: None,
) -> RunReport:
    """Locate every photo of a dataset and write a row for each, failures included.

    Photos are given as neutral copies under neutral names, never with their metadata, and
    galleries are searched without the photographers and near duplicates of the dataset; what was
    done stands in the manifest's `protocol`. Photos that have a row are not located again.

    Args:
        geolocator: asked from several threads; its galleries are put back afterwards. A
            calibration that it applies is refused where that knows these photos.
        dataset: see `evaluation.datasets`.
        folder: of the run; made where it is missing, gone on with where it holds this run.
        concurrency: photos located at the same time.
        retry_failed: locate again what failed in an earlier run.
        limit: locate only its first photos.
        without_placeholders: leave placeholder photos out of the denominator.
        read_overlays: read what is written on photos and list those that show a position.
        accept_cells: search galleries of cells, which nothing can be taken out of.
        stated: what else shapes the answers, for the manifest; see `settings_of`.
        stop: once set, no photo is begun.
        grace_s: how long photos that are being located may then still take; None waits for them.
        on_progress: called after each row, in the caller's thread.
        tell: called with what is going on before photos are located, how much of it is done,
            and how much there is.

    Raises:
        InputError: the folder cannot be used, or holds something else.
        ConfigError: it holds a run of another dataset or under other settings (more photos may
            be added); a gallery of cells; or the calibration was fitted on this dataset.
        UnavailableError: another run writes there, or nothing can be located for now. Rows that
            are done are kept.
    """
    check_concurrency(concurrency)
    stop = stop or threading.Event()
    began = time.monotonic()
    options = Options(limit, without_placeholders, read_overlays, accept_cells)
    settings = settings_of(geolocator, trust_metadata=False, **(stated or {}))
    _check_folder(folder)
    writable(folder / TRACES)
    galleries = geolocator.bench.galleries
    with RowLog(folder / ROWS) as log, _copies(dataset, folder, geolocator) as copies:
        try:
            prepared = prepare(
                geolocator, dataset, folder, settings, options, copies, stop, tell, log
            )
            if stop.is_set():
                return _report(folder, prepared, Tally(0, None), Counter(), began)
            _begin(folder, prepared.manifest)
            geolocator.bench.galleries = prepared.galleries
            worker = _Worker(geolocator, copies, log, folder, geolocator.recipe, retry_failed)
            tally = Tally(len(prepared.manifest.truths), on_progress)
            ids = [truth.image_id for truth in prepared.manifest.truths]
            tell("locating", 0, len(ids))
            ends = side_by_side(worker, ids, concurrency, stop, grace_s)
            reasons = _gather(ends, log, stop, tally)
        finally:
            geolocator.bench.galleries = galleries
    return _report(folder, prepared, tally, reasons, began)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else: a run would be lost among it."""
    try:
        held = sorted(os.listdir(folder)) if folder.exists() else []
    except OSError as error:
        raise InputError(
            f"{printable(os.fsencode(folder))!r} cannot be used ({error.strerror}); give another "
            "--out"
        ) from None
    if held and not {MANIFEST, ROWS} & set(held):
        raise InputError(
            f"{printable(os.fsencode(folder))!r} holds {printable(held[0])!r} and no run; give an "
            "empty folder, or that of a run"
        )
    writable(folder)


@contextlib.contextmanager
def _copies(
    dataset: Dataset, folder: Path, geolocator: "Geolocator"
) -> Generator[Neutrals, None, None]:
    place = folder / ".neutral"
    shutil.rmtree(place, ignore_errors=True)  # of a run that was killed
    try:
        yield Neutrals(dataset, place, geolocator.bench.photos.limits)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _begin(folder: Path, manifest: RunManifest) -> None:
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=False)
    write_atomically(folder / MANIFEST, (text + "\n").encode())


def _gather(
    ends: "Generator[End[str, RunRow], None, None]",
    log: RowLog,
    stop: threading.Event,
    tally: Tally,
) -> Counter[str]:
    reasons: Counter[str] = Counter()
    with contextlib.closing(journaled(ends, log.brief, log.append, stop)) as rows:
        for row, kept in rows:
            if row.reason:
                reasons[kind_of(row.reason)] += 1
            tally.count(row, kept)
    return reasons


def _report(
    folder: Path, prepared: Prepared, tally: Tally, reasons: Mapping[str, int], began: float
) -> RunReport:
    return RunReport(
        folder=folder,
        photos=len(prepared.manifest.truths),
        counts=dict(tally.counts),
        kept=tally.kept,
        reasons=dict(reasons),
        told=prepared.told,
        seconds=time.monotonic() - began,
    )


@dataclass
class _Worker:
    """Locates one photo by its id; called from several threads."""

    geolocator: "Geolocator"
    copies: Neutrals
    log: RowLog
    folder: Path
    recipe: Recipe
    retry_failed: bool
    _stamp: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f"))

    def __call__(self, image_id: str) -> End[str, RunRow]:
        """Return the row of a photo, whatever happens."""
        if self.log.holds(image_id, failed=not self.retry_failed):
            return End(image_id, None)
        trace = self.folder / TRACES / f"{self.copies.name(image_id)}-{self._stamp}.jsonl"
        try:
            with self.copies(image_id) as photo:
                answer = self.geolocator.locate(photo, trust_metadata=False, trace=trace)
            return End(image_id, answered_row(image_id, answer, self.recipe, self._relative(trace)))
        except Exception as error:
            if not isinstance(error, GeolocationError):
                logger.exception("photo %r", image_id)
            outage = error if isinstance(error, UnavailableError) else None
            return End(image_id, self._failed(image_id, error, trace), outage)

    def _failed(self, image_id: str, error: Exception, trace: Path) -> RunRow:
        text = printable(str(error), MAX_REASON_LENGTH)
        return RunRow(
            image_id=image_id,
            status="failed",
            reason=f"{type(error).__name__}: {text}",
            trace_path=self._relative(trace) if trace.is_file() else "",
        )

    def _relative(self, trace: Path) -> str:
        """Return where a trace is in the run's folder, which may be moved."""
        return trace.relative_to(self.folder).as_posix()


def answered_row(image_id: str, answer: Answer, recipe: Recipe, trace_path: str = "") -> RunRow:
    """Return the row of a photo that has an answer, under its id in the dataset."""
    return RunRow(
        image_id=image_id,
        latitude=answer.latitude,
        longitude=answer.longitude,
        status=answer.status,
        radii=answer.radii,
        within=answer.within,
        country=answer.country,
        admin1=answer.admin1,
        place=answer.place,
        countries=answer.countries,
        verbal_confidence=verbal_confidence_of(answer),
        seconds=answer.seconds,
        tokens=int(answer.budget_spent.get("tokens", 0)),
        stages=stages_of(answer, recipe),
        evidence=answer.evidence,
        trace_path=trace_path,
    )
