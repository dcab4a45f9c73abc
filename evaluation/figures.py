"""Figures as records: each with what it is of, and how far it can be trusted."""

from typing import Literal

from pydantic import Field

from evaluation.bootstrap import Interval
from evaluation.place_names import NameKind
from tools.evidence import Record


class Figure(Record):
    """A figure and how much it would differ on other photos.

    Attributes:
        value: None where there is none, as the mean distance of no answers.
        photos: over how many.
        naive: bootstrap over photos; None where nothing was resampled.
        clustered: bootstrap over authors with all their photos, the one to trust.
    """

    value: float | None
    unit: Literal["percent", "km", "points"]
    photos: int = Field(ge=0)
    naive: Interval | None = None
    clustered: Interval | None = None


class Within(Figure):
    """The share of all photos within a distance."""

    threshold_km: float
    hits: int = Field(ge=0)


class Named(Figure):
    """The share of photos whose country, area or town is right, of those that have one."""

    kind: NameKind
    hits: int = Field(ge=0)


class Spent(Record):
    """What predictions took.

    Attributes:
        seconds: in all, of `timed` photos.
        tokens: in all, of `counted` photos.
        cost: of the tokens at `price` for a million.
    """

    seconds: float | None = None
    timed: int = 0
    tokens: int | None = None
    counted: int = 0
    price: float | None = None
    cost: float | None = None


class Slice(Record):
    """The photos of one label."""

    label: str
    photos: int
    answered: int
    accuracies: tuple[Within, ...]
    median_km: float | None
    geoscore: float


def scaled(interval: Interval | None, scale: float) -> Interval | None:
    """Return an interval in another unit."""
    if interval is None or scale == 1.0:
        return interval
    ends = ("standard_error", "low", "high")
    return interval.model_copy(update={end: scale * getattr(interval, end) for end in ends})
