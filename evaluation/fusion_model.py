"""Belief over several models' answers: what `agent.belief` makes of them once it is calibrated.

All answers are one group of evidence, since models learned from the same web err together: they
are averaged, not multiplied (a linear pool; Genest and Zidek, Statistical Science 1 (1986)), each
with the reaches that its own answers had on training photos. The temperature of the calibration
then says how much their agreement is worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.belief import Belief, believe, summarise
from agent.calibration import Calibration
from evaluation.calibrate import fit as fit_calibration
from evaluation.fusion import Fit
from evaluation.lmm_answers import Photo, evidence_of
from evaluation.runs import Point, RunRow, Truth
from tools.evidence import Evidence
from tools.opinion import GROUP

if TYPE_CHECKING:
    from agent.factors import Settlements


@dataclass(frozen=True)
class BelievedAnswer:
    """A point with its radii, and the belief behind them."""

    point: Point
    km_50: float
    km_80: float
    km_95: float
    belief: Belief

    def mass_within(self, km: float) -> float:
        """Return how much of belief lies within so many km of the point."""
        return float(self.belief.mass_within([km], *self.point)[0])


@dataclass(frozen=True)
class FusionModel:
    """Calibrated belief over models' answers."""

    settlements: "Settlements"
    calibration: Calibration

    def answer(self, photo: Photo) -> BelievedAnswer | None:
        """Return belief's point and radii; None where no model names a coordinate."""
        evidence = answers_as_evidence(photo)
        if not evidence:
            return None
        belief = believe(evidence, self.settlements, self.calibration)
        told = summarise(belief)
        point = told.latitude, told.longitude
        return BelievedAnswer(point, told.km_50, told.km_80, told.km_95, belief)


def calibrated(settlements: "Settlements", fitted_on: str = "answers of models") -> Fit:
    """Return what fits belief to training photos."""

    def fitted(training: Sequence[Photo]) -> FusionModel:
        pairs = [_pair(photo) for photo in training]
        calibration = fit_calibration(pairs, settlements, recipe="fusion", fitted_on=fitted_on)
        return FusionModel(settlements, calibration)

    return fitted


def answers_as_evidence(photo: Photo) -> list[Evidence]:
    """Return the answers that name a coordinate, as one dependent group."""
    found = (evidence_of(one) for one in photo.answers)
    return [item.model_copy(update={"group": GROUP}) for item in found if item is not None]


def _pair(photo: Photo) -> tuple[Truth, RunRow]:
    latitude, longitude = photo.truth
    truth = Truth(image_id=photo.image_id, latitude=latitude, longitude=longitude)
    row = RunRow(
        image_id=photo.image_id, status="region", evidence=tuple(answers_as_evidence(photo))
    )
    return truth, row
