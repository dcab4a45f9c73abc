"""What was learned of how far evidence can be trusted: a versioned file that goes with a recipe.

`evaluation.calibrate` fits it from a run whose truth is known; `believe` applies it. Without one,
evidence counts as its tools weigh it.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from geo.errors import ConfigError
from tools.evidence import Candidate, Evidence, Reach, Record, short_id

FORMAT = 1
MOST_WEIGHT = 0.999
"""No evidence makes anything impossible."""


class Reliability(Record):
    """How far evidence of one source can be trusted.

    Attributes:
        odds: its weight's odds are multiplied by it, so that what weighs more still does.
        reaches: how far the truth then lies from its candidates; empty keeps their own, `widen`
            times as wide.
        pieces: how many pieces of evidence this was learned from.
    """

    odds: float = Field(default=1.0, gt=0, le=1e6)
    reaches: tuple[Reach, ...] = ()
    widen: float = Field(default=1.0, gt=0, le=1000)
    pieces: int = Field(default=0, ge=0)

    def weight(self, weight: float) -> float:
        """Return the weight of evidence that its tool gave this one, at most `MOST_WEIGHT`."""
        capped = min(weight, MOST_WEIGHT)
        odds = self.odds * capped / (1 - capped)
        return min(odds / (1 + odds), MOST_WEIGHT)

    def applied(self, item: Evidence) -> Evidence:
        """Return evidence with this weight and these reaches; one that has no effect stays so."""
        if not item.weight:
            return item
        candidates = tuple(self._reaching(candidate) for candidate in item.candidates)
        return item.model_copy(
            update={"weight": self.weight(item.weight), "candidates": candidates}
        )

    def _reaching(self, candidate: Candidate) -> Candidate:
        reaches = self.reaches or tuple(
            reach.model_copy(update={"radius_km": reach.radius_km * self.widen})
            for reach in candidate.reaches
        )
        radius_km = candidate.radius_km * self.widen
        return candidate.model_copy(update={"reaches": reaches, "radius_km": radius_km})


class Calibration(Record):
    """Reliabilities by source, and a temperature for what they come to together.

    Attributes:
        recipe: the recipe of the run that it was fitted on; it fits no other.
        fitted_on: name of the dataset.
        photos: how many of its photos had a say.
        marks: by which it is known to have seen a photo (`evaluation.protocol.photo_marks`).
        sources: by `TOOL/KIND/SOURCE` (a model's name, a gallery), by `TOOL/KIND`, or by kind of
            evidence; the first of these that is there counts.
        temperature: the logarithm of what each group of evidence multiplies belief by is divided
            by it; above 1 where groups are less independent than they look, below where pieces
            that are averaged within a group agree by more than chance.
    """

    format: Literal[1] = 1
    recipe: str
    fitted_on: str
    photos: int = Field(ge=1)
    marks: tuple[str, ...] = ()
    sources: dict[str, Reliability] = Field(default_factory=dict)
    temperature: float = Field(default=1.0, gt=0, le=100)

    @property
    def version(self) -> str:
        """Short identity of its content."""
        return short_id(self.model_dump(mode="json"), prefix="k")

    def applied(self, item: Evidence) -> Evidence:
        """Return evidence as this calibration weighs it; what it does not know stays as it is."""
        for key in keys_of(item):
            if key in self.sources:
                return self.sources[key].applied(item)
        return item


def keys_of(item: Evidence) -> tuple[str, ...]:
    """Return the names that a calibration may know evidence by, the most specific first."""
    sources = {candidate.source for candidate in item.candidates}
    tool = f"{item.tool}/{item.kind}"
    named = [f"{tool}/{source}" for source in sources] if len(sources) == 1 else []
    return (*named, tool, item.kind)


def read_calibration(path: Path) -> Calibration:
    """Return the calibration in a file.

    Raises:
        ConfigError: there is none, or it is of another format.
    """
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"calibration {str(path)!r} cannot be read ({error.strerror}); make one with "
            "`graticule evaluate calibrate`"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"calibration {str(path)!r} is not of format {FORMAT}: {where}: {first['msg']}; fit it "
            "again with `graticule evaluate calibrate`"
        ) from None


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration, with its version, for people to compare."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(calibration.model_dump(mode="json"), indent=1, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
