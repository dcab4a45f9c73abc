"""The whole comparison: which answers there are, and every rule over several sets of models."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from pydantic import Field

from evaluation.answer_panel import Panel
from evaluation.fusion import FEW, By, Crossed, Fit, Subset, cross_validate
from evaluation.fusion_scores import CONDITIONS, Comparison, compare
from tools.evidence import Record

PLANS: tuple[tuple[By, Subset], ...] = (
    ("cluster", "all"),
    ("cluster", "strongest"),
    ("cluster", "weakest"),
    ("photo", "all"),
)
SHOWN_IDS = 5
MISSING_RULE = (
    "A photo stays in every denominator. A model without a coordinate misses; rules fuse those "
    "that gave one; agreement counts a missing answer against; a photo without any is a miss for "
    "all."
)


class ModelTold(Record):
    """What a file holds of one model.

    Attributes:
        coordinates: answers with one, of `photos`.
        without: why others have none, kind of reason to number.
        places: of these, how many name a place or a country all the same.
        stated: lowest and highest confidence it states, on the file's own scale.
        confidences: answers that state one.
    """

    model: str
    photos: int = Field(ge=1)
    coordinates: int = Field(ge=0)
    without: dict[str, int]
    places: int = Field(ge=0)
    stated: tuple[float, float] | None
    confidences: int = Field(ge=0)


class FusionReport(Record):
    """Rules compared on one file of answers.

    Attributes:
        clusters: groups of photos of one author or one true coordinate.
        without_answer: photos to which no model gives a coordinate.
        unknown: answers to photos without truth, left out; `unknown_ids` the first of these.
        without_truth: rows of the truth that state no position, left out.
        missing: how missing answers count.
    """

    conditions: str
    photos: int = Field(ge=1)
    clusters: int = Field(ge=1)
    without_answer: int = Field(ge=0)
    unknown: int = Field(ge=0)
    unknown_ids: tuple[str, ...]
    without_truth: int = Field(ge=0)
    missing: str
    folds: int = Field(ge=2)
    repeats: int = Field(ge=1)
    seed: int
    models: tuple[ModelTold, ...]
    comparisons: tuple[Comparison, ...]


def plans_for(models: int, plans: Sequence[tuple[By, Subset]] = PLANS) -> list[tuple[By, Subset]]:
    """Return the plans that make sense: five of five models or fewer are all of them."""
    return [plan for plan in plans if plan[1] == "all" or models > FEW]


def study(
    panel: Panel,
    fits: Mapping[str, Fit],
    belief: str,
    *,
    folds: int = 10,
    repeats: int = 3,
    seed: int = 0,
    without_truth: int = 0,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> tuple[FusionReport, list[Crossed]]:
    """Return the comparison of all rules, and the answers behind it.

    Args:
        panel: answers beside the truth.
        fits: rules that learn, besides `evaluation.fusion_rules.RULES`.
        belief: that of `fits` with which all others are compared.
        folds: of each cross-validation.
        repeats: random splits.
        seed: of the first split.
        without_truth: rows of the truth that were left out, to be told.
        progress: told what is being done, how many folds are done, and of how many.

    Raises:
        InputError: a number of folds that the photos do not allow.
    """
    comparisons, held = [], []
    for by, subset in plans_for(len(panel.models)):
        counter = _counted(f"{subset} models, split by {by}", folds * repeats, progress)
        crossed = cross_validate(
            panel, fits, by=by, subset=subset, folds=folds, repeats=repeats, seed=seed,
            progress=partial(next, counter),
        )  # fmt: skip
        held.append(crossed)
        comparisons.append(compare(panel, crossed, belief))
    unknown = sorted({answer.image_id for answer in panel.unknown})
    report = FusionReport(
        conditions=CONDITIONS,
        photos=len(panel.photos),
        clusters=len(np.unique(panel.clusters)),
        without_answer=int((~np.isfinite(panel.km)).all(axis=1).sum()),
        unknown=len(panel.unknown),
        unknown_ids=tuple(unknown[:SHOWN_IDS]),
        without_truth=without_truth,
        missing=MISSING_RULE,
        folds=folds,
        repeats=repeats,
        seed=seed,
        models=tuple(_told(panel, column) for column in panel.ranking),
        comparisons=tuple(comparisons),
    )
    return report, held


def _counted(stage: str, total: int, progress: Callable[[str, int, int], None]) -> Iterator[None]:
    progress(stage, 0, total)
    for done in range(1, total + 1):
        progress(stage, done, total)
        yield


def _told(panel: Panel, column: int) -> ModelTold:
    answers = [photo.answers[column] for photo in panel.photos]
    without = [answer for answer in answers if answer.point is None]
    stated = [answer.confidence for answer in answers if answer.confidence is not None]
    return ModelTold(
        model=panel.models[column],
        photos=len(answers),
        coordinates=len(answers) - len(without),
        without=dict(Counter(answer.why_none.split(":")[0] for answer in without).most_common()),
        places=sum(bool(answer.place or answer.country) for answer in without),
        stated=(min(stated), max(stated)) if stated else None,
        confidences=len(stated),
    )
