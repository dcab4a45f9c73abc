"""The rules that learn, as `graticule evaluate fuse` compares them."""

from collections.abc import Mapping

from evaluation.fusion import Fit
from evaluation.fusion_model import calibrated
from evaluation.fusion_uncalibrated import uncalibrated

BELIEF, UNCALIBRATED = "belief", "belief, uncalibrated"
REFERENCE = BELIEF
"""The belief that every other rule is compared with."""


def fits_of() -> Mapping[str, Fit]:
    """Return what fits each rule to training photos."""
    from agent.nodes import PRIOR_POPULATION
    from geo.gazetteer import Gazetteer

    with Gazetteer.open() as gazetteer:
        settlements = gazetteer.settlements(PRIOR_POPULATION)
    return {BELIEF: calibrated(settlements), UNCALIBRATED: uncalibrated(settlements)}
