"""What the page of an evaluation shows, computed once and without any HTML."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from markupsafe import Markup
from pydantic import JsonValue

from evaluation import report_extras as extras
from evaluation.metrics import DISTANCES, SIGNS
from evaluation.published import Comparison, published_for
from evaluation.report_curves import error_curves
from evaluation.report_photos import (
    Failure,
    WorstCase,
    failures,
    unreached,
    worst_cases,
    worst_indices,
)
from evaluation.report_run import ShownRun
from evaluation.report_world import ErrorMap, error_map

if TYPE_CHECKING:
    from evaluation.compare import Comparison as Paired
    from evaluation.coverage import Coverage
    from evaluation.figures import Slice
    from evaluation.ledger import Ledger

MOST_LABELS = 20
LONGEST_SETTING = 400
Fate = Literal["taken", "not taken", "noted"]
FATES: tuple[Fate, ...] = ("taken", "not taken", "noted")
FACTS = ("dataset", "limit")
"""What a manifest's `protocol` states beside precautions."""
IMPOSSIBLE = ("photographers",)
"""What it states where a precaution could not be taken."""
SMALL_SLICE = 20


class Precaution(NamedTuple):
    """What was done, or was not, so that nothing but pixels could tell where a photo is.

    Attributes:
        fate: `taken`, `not taken`, or `noted` where it is no precaution.
    """

    name: str
    fate: Fate
    told: str


@dataclass(frozen=True)
class SliceTable:
    """Results by the labels of one column; `left_out` labels of `left_photos` are not shown."""

    name: str
    rows: "tuple[Slice, ...]"
    left_out: int
    left_photos: int


class RunPage:
    """One run's sections."""

    def __init__(self, shown: ShownRun, photos: Path | None, page: Path | None) -> None:
        self.shown = shown
        self.score = shown.score
        self.photos_given = photos is not None
        self._photos, self._page = photos, page

    @property
    def coverage(self) -> "tuple[Coverage, ...]":
        """Coverage of the 50, 80 and 95 % radii; empty where no answer states radii."""
        return self.honesty.coverage if self.honesty else ()

    @cached_property
    def honesty(self) -> extras.Honesty | None:
        """How honest radii and confidences are."""
        return extras.honesty(self.shown)

    @cached_property
    def honesty_plots(self) -> tuple[Markup, ...]:
        """Pictures of it."""
        return extras.honesty_plots(self.shown)

    @cached_property
    def ledger(self) -> "Ledger | None":
        """Where photos were won and lost."""
        return extras.ledger(self.shown)

    @property
    def ledger_plot(self) -> Markup:
        """A picture of it."""
        return extras.ledger_plot(self.shown, self.ledger) if self.ledger else Markup("")

    @cached_property
    def statuses(self) -> dict[str, int]:
        """How many photos got which kind of answer; empty for a table."""
        if self.shown.run is None:
            return {}
        found = [row.status for _, row in self.shown.run.pairs()]
        return {
            status: found.count(status)
            for status in ("located", "region", "undetermined", "failed")
        }

    @cached_property
    def map(self) -> ErrorMap:
        """The map of errors."""
        shown = self.shown
        worst = [
            (shown.truths.points[place], shown.paired.points[place])
            for place in worst_indices(shown)
        ]
        return error_map(shown.truths.points, np.nan_to_num(shown.errors, nan=np.inf), worst)

    @cached_property
    def worst(self) -> tuple[WorstCase, ...]:
        """The answers that are farthest off."""
        return worst_cases(self.shown, self._photos, self._page)

    @property
    def without_picture(self) -> int:
        """How many of them have no thumbnail."""
        return unreached(self.worst)

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """Why photos have no answer."""
        return failures(self.shown)

    @cached_property
    def slices(self) -> tuple[SliceTable, ...]:
        """Results by label, where there is more than one."""
        return tuple(
            _sliced(name, rows) for name, rows in self.score.slices.items() if len(rows) > 1
        )

    @cached_property
    def precautions(self) -> tuple[Precaution, ...]:
        """Those of the run's protocol, taken ones first."""
        held = self.shown.run.manifest.protocol if self.shown.run else {}
        found = [
            Precaution(_words(name), _fate(name, value), plain(value))
            for name, value in held.items()
        ]
        return tuple(sorted(found, key=lambda one: FATES.index(one.fate)))

    @property
    def settings(self) -> dict[str, str]:
        """Settings of the run, as text without the ways to folders of the machine."""
        held = self.shown.run.manifest.settings if self.shown.run else {}
        return {_words(name): plain(value) for name, value in held.items()}


class Group:
    """The runs over one dataset: what may stand side by side."""

    def __init__(self, number: int, runs: Sequence[RunPage]) -> None:
        self.number, self.runs = number, tuple(runs)
        first = runs[0].shown
        self.dataset = first.dataset
        self.photos = len(first.truths.ids)

    @cached_property
    def published(self) -> Comparison:
        """What others published on it."""
        return published_for(self.dataset, max(len(run.shown.truths.ids) for run in self.runs))

    @cached_property
    def curves(self) -> Markup:
        """The error curves."""
        return error_curves(
            [run.shown.curve for run in self.runs],
            self.published.rows,
            f"curves-{self.number}",
            "Share of photos answered within each distance; the table above has the figures at "
            "the five thresholds",
        )

    @cached_property
    def differences(self) -> "tuple[tuple[ShownRun, Paired], ...]":
        """Paired differences of each run to the first."""
        return extras.differences([run.shown for run in self.runs])


class EvaluationPage:
    """Everything the template shows, under the names it uses."""

    def __init__(
        self, runs: Sequence[ShownRun], photos: Path | None = None, page: Path | None = None
    ) -> None:
        self.runs = tuple(RunPage(shown, photos, page) for shown in runs)
        self.distance, self.operator = runs[0].distance, runs[0].operator

    @property
    def title(self) -> str:
        """What the page is of."""
        datasets = list(dict.fromkeys(run.shown.dataset for run in self.runs))
        of = ", ".join(datasets)
        if len(self.runs) == 1:
            return f"{self.runs[0].shown.recipe} on {of}"
        return f"{len(self.runs)} runs on {of}"

    @property
    def conditions(self) -> tuple[str, ...]:
        """How everything on the page was measured."""
        score = self.runs[0].score
        return (
            f"Distances: {DISTANCES[self.distance]}.",
            f"Within a threshold means distance {SIGNS[self.operator]} threshold; a photo without "
            "an answer is within none and stays in the denominator.",
            f"Intervals: {100 * score.level:.0f} %, {score.resamples:,} resamples of whole "
            "authors with all their photos; a photo of an unknown author stands for itself.",
            "GeoScore: the mean of 5000 × exp(−distance / 1492.7 km) over all photos.",
        )

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The runs by dataset."""
        datasets = dict.fromkeys(run.shown.dataset for run in self.runs)
        return tuple(
            Group(number, [run for run in self.runs if run.shown.dataset == dataset])
            for number, dataset in enumerate(datasets)
        )

    @property
    def commands(self) -> tuple[str, ...]:
        """What makes this page again; folders and files by their names alone."""
        names = [run.shown.name for run in self.runs]
        tables = [run.shown.truth_name for run in self.runs if run.shown.truth_name]
        end = f"--distance {self.distance} --operator {self.operator}"
        said = [
            f"graticule evaluate score {_quoted(name)} {_quoted(truth)} {end}".replace(" '' ", " ")
            for name, truth in ((run.shown.name, run.shown.truth_name) for run in self.runs)
        ]
        truth = f" --truth {_quoted(tables[0])}" if tables else ""
        whole = " ".join(map(_quoted, names))
        return (*said, f"graticule evaluate report {whole}{truth} --out report.html {end}")


def _sliced(name: str, rows: "Sequence[Slice]") -> SliceTable:
    left = rows[MOST_LABELS:]
    return SliceTable(name, tuple(rows[:MOST_LABELS]), len(left), sum(row.photos for row in left))


def _quoted(text: str) -> str:
    return shlex.quote(text)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _fate(name: str, value: JsonValue) -> Fate:
    if name in FACTS or (name == "galleries" and value == "none"):
        return "noted"
    if isinstance(value, dict) and isinstance(taken := value.get("taken"), bool):
        return "taken" if taken else "not taken"
    if name in IMPOSSIBLE or not value:
        return "not taken"
    return "not taken" if isinstance(value, str) and value.startswith("not ") else "taken"


def plain(value: JsonValue) -> str:
    """Write a value of a manifest for people: short, and without ways to folders of a machine."""
    value = _unplaced(value)
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    text = value if isinstance(value, str) else _listed(value)
    return text if len(text) <= LONGEST_SETTING else f"{text[:LONGEST_SETTING]} …"


def _listed(value: JsonValue) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{_words(name)}: {plain(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(plain(one) for one in value) or "none"
    return json.dumps(value)


def _unplaced(value: JsonValue) -> JsonValue:
    if isinstance(value, str) and re.match(r"(/|~/|[A-Za-z]:\\).*[/\\]", value):
        return "…/" + re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    return value
