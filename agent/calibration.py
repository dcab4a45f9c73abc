"""What was learned of how far evidence can be trusted: a versioned file that goes with a recipe.

`evaluation.calibrate` fits it from a run whose truth is known; `believe` applies it. Without one,
evidence counts as its tools weigh it.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from geo.errors import ConfigError
from tools.evidence import Candidate, Evidence, Reach, Record, Share, short_id

FORMAT = 1


class Reliability(Record):
    """How far evidence of one source can be trusted.

    Attributes:
        weight: how often it is right.
        reaches: how far the truth then lies from its candidates; empty keeps their own, `widen`
            times as wide.
    """

    weight: Share
    reaches: tuple[Reach, ...] = ()
    widen: float = Field(default=1.0, gt=0, le=1000)

    def applied(self, item: Evidence) -> Evidence:
        """Return evidence with this weight and these reaches; one that has no effect stays so."""
        if not item.weight:
            return item
        candidates = tuple(self._reaching(candidate) for candidate in item.candidates)
        return item.model_copy(update={"weight": self.weight, "candidates": candidates})

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
        sources: by `TOOL:SOURCE` (a model's name, a gallery), by tool, or by kind of evidence; the
            first of these that is there counts.
        temperature: the logarithm of what each group of evidence multiplies belief by is divided
            by it; above 1 where groups are less independent than they look.
    """

    format: Literal[1] = 1
    recipe: str
    fitted_on: str
    photos: int = Field(ge=1)
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
    named = [f"{item.tool}:{source}" for source in sorted(sources) if len(sources) == 1]
    return (*named, item.tool, item.kind)


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
