"""A model's guess: where, how far off, and what it saw; nothing here reads raw text."""

from pydantic import Field

from agent.asking import Problem
from tools.evidence import Latitude, Longitude, Record, Rejection, Share


class CropBox(Record):
    """Where in the photo a clue is, as shares of its width and height."""

    left: Share
    top: Share
    right: Share
    bottom: Share


class Clue(Record):
    """One thing seen that speaks for the guess."""

    what: str = Field(max_length=300)
    box: CropBox | None = None


class Guess(Record):
    """Where a model says that a photo was taken.

    A coordinate, or at least the name of a place or country; all of it unverified.
    """

    latitude: Latitude | None = None
    longitude: Longitude | None = None
    radius_km: float | None = Field(default=None, gt=0, le=20_015)
    """Distance that holds the truth half of the time, as the model says."""
    place: str = Field(default="", max_length=200)
    country: str = Field(default="", max_length=100)
    """As the model writes it: a name or a code."""
    confidence: Share | None = None
    clues: tuple[Clue, ...] = ()
    reason: str = Field(default="", max_length=2000)


class ReadGuess(Record):
    """What could be read from a reply.

    Attributes:
        guess: None where the reply holds neither a coordinate nor a place.
        rejected: coordinates that were named and are none, and why.
        problems: what was wrong with the form, and what was done about it.
    """

    guess: Guess | None = None
    rejected: tuple[Rejection, ...] = ()
    problems: tuple[Problem, ...] = ()
