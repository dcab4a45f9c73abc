"""Rules that fuse several models' answers, each judged on photos that it did not learn from.

Cross-validation in two ways: `cluster` never splits photos of one author or one true coordinate,
because who has seen one of them has seen the others; `photo` draws photo by photo, and is kinder.
Everything that a rule knows of the models (who is strong, who is among the five strongest, what a
fitted belief holds) comes from the training folds of that split.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation.answer_panel import Panel, away_km
from evaluation.fusion_rules import RULES, Rule, Votes, agreement
from evaluation.lmm_answers import Photo
from evaluation.runs import Point
from geo.errors import InputError
from geo.sphere import FloatArray

By = Literal["cluster", "photo"]
Subset = Literal["all", "strongest", "weakest"]
FEW = 5
"""Models of the sets `strongest` and `weakest`."""
RIGHT_KM = 25.0
"""An answer counts as right within this distance where confidence is judged."""
NOWHERE = (np.nan, np.nan)


class Answered(Protocol):
    """A fused answer with its honesty."""

    @property
    def point(self) -> Point:
        """Latitude, longitude in degrees."""

    @property
    def km_50(self) -> float:
        """Radius that holds half of the belief; the others likewise."""

    @property
    def km_80(self) -> float: ...  # noqa: D102

    @property
    def km_95(self) -> float: ...  # noqa: D102

    @property
    def mass_within(self) -> Callable[[float], float]:
        """Share of belief within so many km of the point."""


class Fitted(Protocol):
    """What has learned from training photos."""

    def answer(self, photo: Photo) -> Answered | None:
        """Return the fused answer; the truth of the photo is not to be looked at."""


Fit = Callable[[Sequence[Photo]], Fitted]


@dataclass(frozen=True)
class Outcome:
    """What one rule answers, over `S` repeats of the split and `P` photos.

    Attributes:
        points: `[S, P, 2]` latitude, longitude in degrees; NaN for no answer.
        radii_km: `[S, P, 3]` that hold 50, 80 and 95 %; NaN where a rule has none.
        confidence: `[S, P]` that the answer is right within `RIGHT_KM`; NaN likewise.
    """

    points: FloatArray
    radii_km: FloatArray
    confidence: FloatArray

    def km(self, truth: FloatArray) -> FloatArray:
        """Return distances `[S, P]` to the truth `[P, 2]` (haversine, 6371 km), inf for none."""
        return away_km(self.points, truth)


@dataclass
class Crossed:
    """All rules over one way of splitting and one set of models.

    Attributes:
        outcomes: rule to what it answers.
        agreement: `[S, P]` share of the models asked in the main 50 km cluster; 0 without answer.
        stated: name of a stated confidence to `[S, P]`, NaN for none.
        oracle_km: `[S, P]` distance of the nearest answer of any model, inf for none.
        hindsight: the best model of the set over all photos.
    """

    by: By
    subset: Subset
    outcomes: dict[str, Outcome]
    agreement: FloatArray
    stated: dict[str, FloatArray]
    oracle_km: FloatArray
    hindsight: str
    models: int = 0
    chosen: dict[str, int] = field(default_factory=dict)
    """Model to the number of training sets on which it was the strongest."""


def folds_of(clusters: NDArray[np.intp], folds: int, seed: int, by: By) -> NDArray[np.intp]:
    """Return the fold of each photo `[P]`; sizes differ as little as whole clusters allow.

    Raises:
        InputError: fewer than 2 folds, or more than there are photos or clusters.
    """
    units = clusters if by == "cluster" else np.arange(len(clusters))
    names, row, sizes = np.unique(units, return_inverse=True, return_counts=True)
    if not 2 <= folds <= len(names):
        what = "groups of photos of one place or author" if by == "cluster" else "photos"
        raise InputError(
            f"{folds!r} folds of {len(names):,} {what}: give from 2 to as many folds as there are"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    held, fold = np.zeros(folds, dtype=np.intp), np.empty(len(names), dtype=np.intp)
    for unit in order:
        fold[unit] = int(np.argmin(held))
        held[fold[unit]] += sizes[unit]
    return fold[row]


def members(ranking: Sequence[int], subset: Subset) -> list[int]:
    """Return the columns of a set of models, the strongest first."""
    return list({"all": ranking, "strongest": ranking[:FEW], "weakest": ranking[-FEW:]}[subset])


def cross_validate(
    panel: Panel,
    fits: Mapping[str, Fit],
    *,
    by: By = "cluster",
    subset: Subset = "all",
    folds: int = 10,
    repeats: int = 3,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> Crossed:
    """Return what every rule answers to photos that it has not learned from.

    Args:
        panel: answers beside the truth.
        fits: further rules that learn, such as a fitted belief.
        by: what is never split between training and test.
        subset: models that vote, chosen on the training folds each time.
        folds: of each repeat.
        repeats: number of random splits.
        seed: of the first; the others follow.
        progress: called after every fold.

    Raises:
        InputError: a number of folds that the photos do not allow; no repeat.
    """
    if repeats < 1:
        raise InputError(f"{repeats!r} repeats: give at least 1")
    crossed = _empty(panel, [*RULES, *fits], repeats, by, subset)
    for repeat in range(repeats):
        fold = folds_of(panel.clusters, folds, seed + repeat, by)
        for number in range(folds):
            test = np.flatnonzero(fold == number)
            _one_fold(panel, fits, crossed, repeat, test)
            progress()
    return crossed


def _empty(panel: Panel, names: Sequence[str], repeats: int, by: By, subset: Subset) -> Crossed:
    shape = repeats, len(panel.photos)
    columns = members(panel.ranking, subset)
    return Crossed(
        by,
        subset,
        {
            name: Outcome(
                np.full((*shape, 2), np.nan), np.full((*shape, 3), np.nan), np.full(shape, np.nan)
            )
            for name in names
        },
        np.zeros(shape),
        {name: np.full(shape, np.nan) for name in STATED},
        np.full(shape, np.inf),
        panel.models[columns[0]],
        len(columns),
    )


def _one_fold(
    panel: Panel, fits: Mapping[str, Fit], crossed: Crossed, repeat: int, test: NDArray[np.intp]
) -> None:
    training = panel.rows(np.setdiff1d(np.arange(len(panel.photos)), test))
    chosen = members(training.ranking, crossed.subset)
    best = panel.models[chosen[0]]
    crossed.chosen[best] = crossed.chosen.get(best, 0) + 1
    weights = training.strengths[chosen]
    ranked = panel.columns(chosen)
    crossed.oracle_km[repeat, test] = ranked.km[test].min(axis=1)
    for row in test:
        votes = _votes(ranked, int(row), weights)
        if len(votes.points):
            _vote(votes, crossed, repeat, int(row))
    named = sorted(chosen, key=lambda j: panel.models[j])
    asked, learned = panel.columns(named), training.columns(named)
    for name, fit in fits.items():
        fitted = fit(learned.photos)
        for row in test:
            _answer(fitted, asked.photos[row], crossed.outcomes[name], repeat, int(row))


def _votes(ranked: Panel, row: int, weights: FloatArray) -> Votes:
    given = np.flatnonzero(np.isfinite(ranked.points[row, :, 0]))
    return Votes(
        ranked.points[row, given],
        weights[given],
        ranked.stated[row, given],
        tuple(ranked.models[j] for j in given),
        len(ranked.models),
        ranked.photos[row].answers[0].point,
    )


STATED: Mapping[str, Callable[[Votes], float]] = {
    "stated by the best model": lambda votes: float(votes.stated[0]) if votes.best else np.nan,
    "highest stated": lambda votes: _over(np.fmax.reduce, votes.stated),
    "mean stated": lambda votes: _over(np.nanmean, votes.stated),
}
"""Confidences that are read from what models say of themselves."""


def _over(reduce: Callable[[FloatArray], float], stated: FloatArray) -> float:
    return float(reduce(stated)) if np.isfinite(stated).any() else np.nan


def _vote(votes: Votes, crossed: Crossed, repeat: int, row: int) -> None:
    for name, rule in RULES.items():
        crossed.outcomes[name].points[repeat, row] = _checked(rule, votes)
    crossed.agreement[repeat, row] = agreement(votes)
    for name, read in STATED.items():
        crossed.stated[name][repeat, row] = read(votes)


def _checked(rule: Rule, votes: Votes) -> Point:
    return rule(votes) or NOWHERE


def _answer(fitted: Fitted, photo: Photo, outcome: Outcome, repeat: int, row: int) -> None:
    fused = None if photo.silent else fitted.answer(photo)
    if fused is None:
        return
    outcome.points[repeat, row] = fused.point
    outcome.radii_km[repeat, row] = fused.km_50, fused.km_80, fused.km_95
    outcome.confidence[repeat, row] = fused.mass_within(RIGHT_KM)
