"""When to answer: thresholds that follow from what a wrong answer costs, and what they come to.

Chow, On optimum recognition error and reject tradeoff, IEEE Trans. Information Theory 16 (1970):
with honest probabilities the least expected cost is to answer where being wrong costs less, on
average, than abstaining.
"""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator

from agent.abstain import AnswerLoss
from evaluation.assessed import Assessed
from evaluation.belief_scores import Floats
from evaluation.bootstrap import Interval
from evaluation.cluster_resamples import mean_interval
from tools.evidence import Record

Choice = Literal["coordinate", "region", "abstain"]
HINDSIGHT = "best threshold in hindsight"
CHOICES: tuple[Choice, ...] = ("coordinate", "region", "abstain")


class Loss(AnswerLoss):
    """What an answer costs, a region among them; a wrong region costs what a wrong coordinate does.

    Attributes:
        region_within_km: a region is right within this distance; None offers no regions.
        region: cost of a right region: it says less than a coordinate.
    """

    model_config = ConfigDict(strict=True)

    abstain: float = Field(default=0.3, ge=0)
    region_within_km: float | None = Field(default=None, gt=0)
    region: float = Field(default=0.15, ge=0)

    @model_validator(mode="after")
    def _regions_are_larger_and_cheaper(self) -> Self:
        if self.region_within_km is None:
            return self
        if self.region_within_km <= self.right_within_km:
            raise ValueError(
                f"a region of {self.region_within_km:g} km is no larger than a right coordinate, "
                f"{self.right_within_km:g} km; give more"
            )
        if self.region > self.wrong:
            raise ValueError(
                f"a right region costs {self.region:g}, a wrong one {self.wrong:g}; give less"
            )
        return self

    @property
    def limits_km(self) -> tuple[float, ...]:
        """Distances that confidence is needed for."""
        region = self.region_within_km
        return (self.right_within_km,) if region is None else (self.right_within_km, region)

    @property
    def region_threshold(self) -> float | None:
        """Least confidence that a region is better than abstaining; None without regions.

        Above 1 where a right region costs as much as abstaining: none is ever given.
        """
        if self.region_within_km is None or self.wrong == self.region:
            return None
        return (self.wrong - self.abstain) / (self.wrong - self.region)


class Policy(Record):
    """What one way to decide costs on a run.

    Attributes:
        cost: mean over all photos; one without an answer costs what abstaining does.
        interval: 95 %, authors resampled.
        given: how many photos got what.
        wrong: how many of the coordinates and regions given were wrong.
        hindsight: whether it was chosen with the truth at hand: a bound, not a way to decide.
    """

    name: str
    cost: float | None
    interval: Interval | None
    given: dict[Choice, int]
    wrong: int = Field(ge=0)
    hindsight: bool = False


class Abstention(Record):
    """The stated loss, the thresholds that follow from it, and what they come to on a run.

    Attributes:
        stated_cost: mean cost that confidence itself expects of the rule; far from what it really
            costs, confidence is dishonest.
        saved: mean cost of the better of always and never answering, less that of the rule.
        hindsight_threshold: the threshold that would have cost the least on this very run.
    """

    loss: Loss
    threshold: float
    region_threshold: float | None
    stated_cost: float | None
    policies: tuple[Policy, ...]
    saved: float | None
    saved_interval: Interval | None
    hindsight_threshold: float | None


def decide(loss: Loss, confidence: Floats, region: Floats | None = None) -> NDArray[np.intp]:
    """Return the choice of least expected cost, `[N]` indices into `CHOICES`.

    Args:
        loss: what answers cost.
        confidence: `[N]` that the coordinate is right; NaN where there is none: abstain.
        region: `[N]` that the region is right; None or NaN offers none.

    Equal costs go to the more cautious choice.
    """
    expected = np.stack(_expected(loss, confidence, region)[::-1])
    return np.asarray(2 - np.argmin(expected, axis=0), dtype=np.intp)


def _expected(loss: Loss, confidence: Floats, region: Floats | None) -> list[Floats]:
    coordinate = np.where(np.isnan(confidence), np.inf, (1 - confidence) * loss.wrong)
    held = np.full(len(confidence), np.nan) if region is None else region
    area = np.where(np.isnan(held), np.inf, held * loss.region + (1 - held) * loss.wrong)
    return [coordinate, area, np.full(len(confidence), loss.abstain)]


def abstention(assessed: Assessed, loss: Loss) -> Abstention:
    """Return what the rule of a stated loss costs on a run, beside always and never answering.

    Args:
        assessed: with confidence within the loss's `limits_km`.
        loss: as stated.

    Raises:
        InputError: confidence within one of its distances was not assessed.
    """
    known = [assessed.confidence_at(km) for km in loss.limits_km]
    confidence, *others = (np.where(assessed.answered, one, np.nan) for one in known)
    region = others[0] if others else None
    right = _right(assessed, loss)
    costs = _costs(right, loss)
    rule = decide(loss, confidence, region)
    always, never = np.where(assessed.answered, 0, 2), np.full(len(assessed), 2)
    otherwise = decide(loss, np.full(len(rule), np.nan), region)
    best, threshold = _hindsight(confidence, otherwise, costs)
    named = {"rule": rule, "always answer": always, "never answer": never, HINDSIGHT: best}
    policies = tuple(
        _policy(name, chosen, costs, right, assessed.cluster) for name, chosen in named.items()
    )
    plain = min((always, never), key=lambda one: float(_picked(costs, one).sum()))
    saved = _picked(costs, plain) - _picked(costs, rule)
    stated = _picked(np.stack(_expected(loss, confidence, region)), rule)
    return Abstention(
        loss=loss,
        threshold=loss.threshold,
        region_threshold=loss.region_threshold,
        stated_cost=float(stated.mean()) if len(stated) else None,
        policies=policies,
        saved=float(saved.mean()) if len(saved) else None,
        saved_interval=mean_interval(saved, assessed.cluster),
        hindsight_threshold=threshold,
    )


def _right(assessed: Assessed, loss: Loss) -> NDArray[np.bool_]:
    """Return whether the coordinate, and the region, of each photo is right, `[2, N]`."""
    limits = loss.right_within_km, loss.region_within_km or np.inf
    return np.stack([assessed.within(limit) for limit in limits])


def _costs(right: NDArray[np.bool_], loss: Loss) -> Floats:
    """Return what each choice costs for each photo, `[3, N]`."""
    coordinate = np.where(right[0], 0.0, loss.wrong)
    region = np.where(right[1], loss.region, loss.wrong)
    return np.stack([coordinate, region, np.full(right.shape[1], loss.abstain)])


def _picked(costs: Floats, chosen: NDArray[np.intp]) -> Floats:
    picked: Floats = costs[chosen, np.arange(len(chosen))]
    return picked


def _policy(
    name: str,
    chosen: NDArray[np.intp],
    costs: Floats,
    right: NDArray[np.bool_],
    cluster: NDArray[np.intp],
) -> Policy:
    picked = _picked(costs, chosen)
    counts = np.bincount(chosen, minlength=len(CHOICES)).tolist()
    missed = (chosen == 0) & ~right[0] | (chosen == 1) & ~right[1]
    return Policy(
        name=name,
        cost=float(picked.mean()) if len(picked) else None,
        interval=None if name == HINDSIGHT else mean_interval(picked, cluster),
        given=dict(zip(CHOICES, counts, strict=True)),
        wrong=int(missed.sum()),
        hindsight=name == HINDSIGHT,
    )


def _hindsight(
    confidence: Floats, otherwise: NDArray[np.intp], costs: Floats
) -> tuple[NDArray[np.intp], float | None]:
    """Return the choices under the threshold that costs least on these photos, and it.

    Args:
        confidence: `[N]` that the coordinate is right; NaN is never answered.
        otherwise: `[N]` the choice below the threshold.
        costs: `[3, N]`.

    None is the threshold that answers nothing.
    """
    gain = _picked(costs, otherwise) - costs[0]
    has = np.isfinite(confidence)
    levels, group = np.unique(-confidence[has], return_inverse=True)
    reached = np.cumsum(np.bincount(group, weights=gain[has], minlength=len(levels)))
    if not len(levels) or reached.max() <= 0:
        return otherwise, None
    threshold = float(-levels[int(np.argmax(reached))])
    return np.where(has & (confidence >= threshold), 0, otherwise), threshold
