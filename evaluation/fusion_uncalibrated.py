"""Belief over several models' answers as it stands, without learning anything: the stand-in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from evaluation.fusion import Fit
from evaluation.lmm_answers import Photo, evidence_of
from evaluation.runs import Point

if TYPE_CHECKING:
    from agent.factors import Settlements

FARTHEST_KM = 20_015.0
"""Half the way around a sphere of 6371 km."""


@dataclass(frozen=True)
class RadiiAnswer:
    """A point with three radii; mass between them is read from a line in log km."""

    point: Point
    km_50: float
    km_80: float
    km_95: float

    def mass_within(self, km: float) -> float:
        """Return about how much of belief lies within so many km of the point."""
        radii = [self.km_50, self.km_80, self.km_95]
        known = [min(0.01, 0.1 * self.km_50), *radii, max(FARTHEST_KM, 2 * self.km_95)]
        return float(np.interp(np.log(km), np.log(known), [0.0, 0.5, 0.8, 0.95, 1.0]))


@dataclass
class Uncalibrated:
    """`agent.belief` over answers as evidence, each model a group of its own."""

    settlements: "Settlements"
    known: dict[tuple[str, ...], RadiiAnswer] = field(default_factory=dict)

    def fit(self, training: Sequence[Photo]) -> "Uncalibrated":
        """Return itself: nothing is learned."""
        return self

    def answer(self, photo: Photo) -> RadiiAnswer | None:
        """Return belief's point and radii; None where no model names a coordinate."""
        from agent.belief import believe, summarise

        evidence = [found for one in photo.answers if (found := evidence_of(one)) is not None]
        if not evidence:
            return None
        key = tuple(item.id for item in evidence)
        if key not in self.known:
            told = summarise(believe(evidence, self.settlements))
            point = told.latitude, told.longitude
            self.known[key] = RadiiAnswer(point, told.km_50, told.km_80, told.km_95)
        return self.known[key]


def uncalibrated(settlements: "Settlements") -> Fit:
    """Return belief as a rule that learns nothing; equal answers are believed once."""
    return Uncalibrated(settlements).fit
