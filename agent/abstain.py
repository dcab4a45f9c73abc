"""When a coordinate is worth giving: what a wrong answer costs beside what none costs.

Chow, On optimum recognition error and reject tradeoff, IEEE Trans. Information Theory 16 (1970):
with honest probabilities the least expected cost is to answer where being wrong costs less, on
average, than abstaining.
"""

from typing import Literal

from pydantic import ConfigDict, Field

from tools.evidence import Record

Rule = Literal["loss", "mode", "mean", "medoid"]
"""How belief's point is chosen, see `agent.belief_points.Belief.point`."""


class AnswerLoss(Record):
    """What an answer costs; a right coordinate costs nothing.

    Attributes:
        right_within_km: a coordinate is right within this distance.
        wrong: cost of a wrong coordinate.
        abstain: cost of giving none.
    """

    # Not strict: from the environment every number comes as text.
    model_config = ConfigDict(strict=False)

    right_within_km: float = Field(default=25.0, gt=0)
    wrong: float = Field(default=1.0, gt=0)
    abstain: float = Field(default=0.5, ge=0)

    @property
    def threshold(self) -> float:
        """Least confidence that a coordinate is better than none: P(wrong) wrong <= abstain.

        0 and below: always answer; 1: only where certain, and then it makes no difference.
        """
        return 1 - self.abstain / self.wrong

    @property
    def words(self) -> str:
        """The rule for people."""
        costs = f"a wrong coordinate costs {self.wrong:g} and none {self.abstain:g}"
        if self.threshold <= 0:
            return f"always, because {costs}"
        least, within = f"{100 * self.threshold:.3g} %", f"{self.right_within_km:g} km"
        return f"where at least {least} of belief lies within {within}, because {costs}"
