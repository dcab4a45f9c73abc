"""One run, or one table of predictions, as the report shows it: read, paired, measured once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from encoders.photo_file import printable
from evaluation.bootstrap import author_clusters, resample
from evaluation.measured import LEVEL
from evaluation.metrics import Distance, Operator, errors_km, within
from evaluation.pairing import Paired, pair
from evaluation.report_curves import GRID_KM, Curve
from evaluation.report_svg import MOST_RUNS
from evaluation.runs import MANIFEST, ROWS, Run, RunRow
from evaluation.scoring import RESAMPLES, SEED, Score, score
from evaluation.tables import (
    Predictions,
    Truths,
    is_run,
    predictions_of,
    read_predictions,
    read_truths,
    truths_of,
)
from geo.errors import InputError
from geo.sphere import FloatArray

if TYPE_CHECKING:
    from evaluation.assessed import Assessed

BY_AUTHOR = "photos of the same author"
SLICES = ("category", "country", BY_AUTHOR)
_AUTHOR_BINS = ((1, "1"), (5, "2 to 5"), (20, "6 to 20"), (10**9, "more than 20"))


@dataclass(frozen=True)
class ShownRun:
    """One run on the page.

    Attributes:
        number: from 0; its letter and colour follow from it.
        name: of its folder or file, without the way there.
        recipe: what located the photos.
        dataset: what they are of.
        paired: answers beside the truth.
        predictions: as read.
        run: where it is one; None for a table.
        folder: of the run.
        truth_name: file of the truth of a table; empty for a run.
        dates: when its files were last written, UTC; what to what.
        distance: how distances are measured, as `operator` says how limits are.
    """

    number: int
    name: str
    recipe: str
    dataset: str
    paired: Paired
    predictions: Predictions
    run: Run | None
    folder: Path | None
    truth_name: str
    dates: dict[str, str]
    distance: Distance
    operator: Operator

    @property
    def letter(self) -> str:
        """What plots call it."""
        return chr(ord("A") + self.number)

    @property
    def anchor(self) -> str:
        """Prefix of its ids on the page."""
        return f"run-{self.letter.lower()}"

    @property
    def truths(self) -> Truths:
        """Where the photos were taken."""
        return self.paired.truths

    @cached_property
    def errors(self) -> FloatArray:
        """Distances `[N]` in km; NaN where there is no answer."""
        return errors_km(self.truths.points, self.paired.points, self.distance)

    @property
    def aligned(self) -> Predictions:
        """Its answers to exactly the photos of the truth."""
        return replace(
            self.predictions,
            ids=self.truths.ids,
            points=self.paired.points,
            seconds=self.paired.seconds,
            tokens=self.paired.tokens,
            truths=None,
        )

    @cached_property
    def slices(self) -> tuple[str, ...]:
        """Columns that results are told apart by; one that has a single label tells nothing."""
        there = [name for name in SLICES if name in self.truths.columns or name == "country"]
        if not any(self.truths.authors):
            there = [name for name in there if name != BY_AUTHOR]
        return tuple(there)

    @cached_property
    def score(self) -> Score:
        """Every figure, as `graticule evaluate score` gives them."""
        return score(
            self.predictions,
            self.truths,
            distance=self.distance,
            operator=self.operator,
            slices=self.slices,
        )

    @cached_property
    def curve(self) -> Curve:
        """The error curve; its intervals are the clustered ones of `score` at the thresholds."""
        hits = within(self.errors, GRID_KM.tolist(), self.operator)
        order = np.lexsort((np.array(self.truths.authors), self.errors))
        drawn = resample(
            np.column_stack((np.ones(len(hits)), hits))[order],
            author_clusters(self.truths.authors, order)[order],
            resamples=RESAMPLES,
            seed=SEED,
        ).sums
        tail = 50 * (1 - LEVEL)
        low, high = np.percentile(drawn[:, 1:] / drawn[:, :1], (tail, 100 - tail), axis=0)
        return Curve(self.number, hits.mean(axis=0), low, high)

    @cached_property
    def rows(self) -> dict[str, RunRow]:
        """What the run wrote of each photo; empty for a table."""
        return self.run.rows if self.run else {}

    @property
    def not_reached(self) -> int:
        """Photos that the run has no row for."""
        return len(self.truths.ids) - len(self.rows) if self.run else 0

    @cached_property
    def assessed(self) -> "Assessed | None":
        """Claims and outcomes; None where no answer states radii."""
        if self.run is None or not any(row.radii for row in self.rows.values()):
            return None
        from evaluation.assessed import assess

        return assess(self.run.pairs(), distance=self.distance, operator=self.operator)


def read_shown(
    paths: Sequence[Path], truth: Path | None, *, distance: Distance, operator: Operator
) -> tuple[ShownRun, ...]:
    """Read what a page is to show.

    Args:
        paths: folders of runs, or tables of predictions.
        truth: table of the truth, for tables of predictions.
        distance: `haversine` or `wgs84`.
        operator: `le` or `lt`.

    Raises:
        InputError: too many, one twice, a table without truth, truth without a table, or a run or
            table that cannot be read.
    """
    if not 1 <= len(paths) <= MOST_RUNS:
        raise InputError(
            f"{len(paths)} runs for one page: give 1 to {MOST_RUNS}, or make several pages"
        )
    tables = [path for path in paths if not is_run(path)]
    if tables and truth is None:
        raise InputError(
            f"{printable(str(tables[0]))!r} is no folder of a run, and a table of predictions "
            "needs the truth: give --truth TABLE, or the folder of a run"
        )
    if truth is not None and not tables:
        raise InputError("--truth is for tables of predictions; a run knows its own: leave it out")
    known = read_truths(truth) if truth is not None else None
    shown = []
    for number, path in enumerate(paths):
        read = _of_run(number, path, distance, operator) if is_run(path) else None
        if read is None:
            assert known is not None
            assert truth is not None
            read = _of_table(number, path, known, truth.name, distance, operator)
        shown.append(read)
    return tuple(shown)


def _of_run(number: int, path: Path, distance: Distance, operator: Operator) -> ShownRun:
    run = Run.read(path)
    if not run.manifest.truths:
        raise InputError(f"the run in {printable(str(path))!r} has 0 photos; there is no report")
    name = path.resolve().name
    truths, predictions = _with_authors(truths_of(run, name)), predictions_of(run, name)
    dates = {"begun": _date(path / MANIFEST), "last photo": _date(path / ROWS)}
    return ShownRun(
        number, name, run.manifest.recipe, run.manifest.dataset, pair(predictions, truths),
        predictions, run, path, "", dates, distance, operator,
    )  # fmt: skip


def _of_table(
    number: int,
    path: Path,
    truths: Truths,
    truth_name: str,
    distance: Distance,
    operator: Operator,
) -> ShownRun:
    predictions, truths = read_predictions(path), _with_authors(truths)
    return ShownRun(
        number, path.name, predictions.name, truths.name, pair(predictions, truths),
        predictions, None, None, truth_name, {"table written": _date(path)}, distance, operator,
    )  # fmt: skip


def _with_authors(truths: Truths) -> Truths:
    """Add the column that tells photos apart by how many their author has."""
    counts = Counter(truths.authors)
    labels = tuple(
        next(word for most, word in _AUTHOR_BINS if counts[author] <= most) if author else ""
        for author in truths.authors
    )
    return replace(truths, columns={**truths.columns, BY_AUTHOR: labels})


def _date(path: Path) -> str:
    """Return when a file was last written, UTC; empty where there is none."""
    if not path.is_file():
        return ""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")
