"""The answer: what the state machine commits to, and everything needed to check it."""

from typing import Literal

from pydantic import Field, JsonValue

from agent.abstain import AnswerLoss
from agent.belief import EVEN, Status
from agent.contributions import Contribution
from agent.model_use import ModelUse
from tools.evidence import (
    Candidate,
    Evidence,
    Latitude,
    Longitude,
    Picture,
    Record,
    Rejection,
    Share,
)

LEAD_NOT_PROOF = (
    "This is a lead with a stated uncertainty, not proof: check every step before relying on it."
)


SAYS = " The driver's reason: "
"""Stands before the driver's own words in an explanation."""


class Radii(Record):
    """Distances from the answer that hold 50, 80 and 95 % of belief, in km (haversine)."""

    km_50: float = Field(gt=0)
    km_80: float = Field(gt=0)
    km_95: float = Field(gt=0)


class Alternative(Record):
    """Another place that belief still holds possible."""

    latitude: Latitude
    longitude: Longitude
    share: Share
    """Probability of this place's country or cluster under the final belief."""
    label: str


class Verdict(Record):
    """What became of one candidate."""

    evidence_id: str
    candidate: Candidate
    kept: bool
    """Whether it lies inside the answer's 95 % radius."""
    reason: str
    """Why it supports the answer, or why it was dropped."""


class Step(Record):
    """One tool call as people read it; the trace holds it whole."""

    number: int = Field(ge=1)
    call_id: str
    tool: str
    arguments: dict[str, JsonValue]
    text: str
    """What the tool told the driver, or the refusal or outage that came back instead."""
    outcome: Literal["ok", "refused", "unavailable"]
    seconds: float = Field(ge=0)
    evidence_ids: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    data: dict[str, JsonValue] = Field(default_factory=dict)
    turn: int = Field(default=0, ge=0)
    """The driver's turn that asked for it; 0 where the recipe did."""
    revision: int = Field(default=1, ge=1)
    """Of the answer it was made for."""
    trajectory: int = Field(default=0, ge=0)
    """Which of several parallel investigations; 0 where there is only one."""


class Answer(Record):
    """Where the photo was taken, how sure we are, and why; or that we cannot tell."""

    status: Status
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    radii: Radii | None = None
    within: dict[str, Share] = Field(default_factory=dict)
    """Belief within 1, 25, 200, 750 and 2500 km of the answer, by that number."""
    country: str = ""
    """ISO 3166-1 alpha-2 of the answer's coordinate; empty where undetermined or at sea."""
    country_name: str = ""
    admin1: str = ""
    place: str = ""
    """Nearest settlement, only where the 50 % radius is small enough for it to mean anything."""
    countries: dict[str, Share] = Field(default_factory=dict)
    """Belief per country, the largest, ISO 3166-1 alpha-2."""
    admin_shares: dict[str, Share] = Field(default_factory=dict)
    """Belief per first-level area, the largest, as `AT Tyrol`; see `agent.admin_shares`."""
    entropy_bits: float | None = None
    """Log2 of the area in km2 that belief is spread over; None in answers of older versions."""
    explanation: str
    """One paragraph naming the evidence ids and tool calls it rests on."""
    evidence: tuple[Evidence, ...] = ()
    evidence_ids: tuple[str, ...] = ()
    """Of `evidence`, in its order: by them explanations name it, and it is withdrawn."""
    alternatives: tuple[Alternative, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    missing: tuple[str, ...] = ()
    """What was not there that could have said more, one line each: on this machine, with its
    remedy, or in this run, where something failed."""
    steps: tuple[Step, ...] = ()
    recipe: str = "pipeline"
    driver: str = "pipeline"
    """Who decided: `pipeline`, or the model's name."""
    picked_by: str = "belief"
    """The rule that chose the coordinate, and why not the recipe's own where it could not."""
    reason: str = ""
    """Why the driver committed, in its own words; numbers that no tool reported are replaced by
    `agent.grounding.UNGROUNDED`. `explanation` quotes it."""
    model: ModelUse | None = None
    """What a model did in the run, summed up; None where none was asked."""
    revision: int = Field(default=1, ge=1)
    """Of the session's answers; later ones stand on what the person said to earlier ones."""
    withdrawn: tuple[str, ...] = ()
    """Ids of evidence that the person withdrew; it is shown without any effect."""
    photo_id: str
    photos: tuple[str, ...] = ()
    """Photos of the place, this one first."""
    photo_name: str
    claimed_latitude: Latitude | None = None
    claimed_longitude: Longitude | None = None
    """Position found in metadata; never used unless the user trusted it."""
    trusted_metadata: bool = False
    stopped_because: str
    """`committed`, or the budget that ran out."""
    budget_spent: dict[str, float] = Field(default_factory=dict)
    seconds: float = Field(ge=0)
    calibration: str = ""
    """Version of the calibration that belief was computed under; empty for none."""
    abstain: AnswerLoss = EVEN
    """What answers cost: it decided whether this one is `located`."""
    contributions: tuple[Contribution, ...] = ()
    """What each piece of evidence does to the answer, the largest first."""
    versions: dict[str, str] = Field(default_factory=dict)
    trace_path: str = ""
    caution: str = LEAD_NOT_PROOF

    @property
    def because(self) -> str:
        """The explanation without the driver's own words, which `reason` holds."""
        said = f"{SAYS}{self.reason!r}" if self.reason else ""
        return self.explanation.replace(said, "")
