"""What a check of a gallery may find: the list of faults, how grave each is and what to do."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from pydantic import BaseModel

from encoders.photo_file import printable

Level = Literal["wrong", "doubtful"]
_AGAIN = "remove it with `graticule gallery remove --id` and build its source again"
_WHOLE = "run the build of its source again; if that does not help, delete the gallery and build it"


class Fault(NamedTuple):
    """A kind of fault."""

    level: Level
    """`wrong` is damage; `doubtful` may be right, and somebody should look."""
    what: str
    remedy: str


FAULTS: dict[str, Fault] = {
    "vectors-missing": Fault("wrong", "points lack a vector of some space", _AGAIN),
    "vectors-finite": Fault("wrong", "vectors hold NaN or infinity", _AGAIN),
    "vectors-length": Fault("wrong", "vectors are not of unit length", _AGAIN),
    "vectors-digest": Fault("wrong", "vectors are not those that were written", _AGAIN),
    "payload": Fault("wrong", "payloads are not valid", _AGAIN),
    "ids": Fault("wrong", "ids are repeated or not their point's", _AGAIN),
    "lookup": Fault("wrong", "points cannot be found by their id", _WHOLE),
    "counts": Fault("wrong", "counts of the manifest are not those of the store", _WHOLE),
    "copies": Fault("wrong", "small copies are missing, damaged or not those written", _AGAIN),
    "features": Fault("wrong", "local features are missing or damaged", _AGAIN),
    "removal": Fault(
        "wrong",
        "points of a removal that was stopped are still there in part",
        "run the same `graticule gallery remove` again",
    ),
    "originals": Fault(
        "wrong",
        "original photos are not those that were indexed",
        "find out which is right; to index the new ones, build their source again",
    ),
    "originals-missing": Fault(
        "doubtful", "original photos are not in the folder", "give the folder that was indexed"
    ),
    "files": Fault(
        "doubtful",
        "files belong to no point",
        "a stopped build leaves some: run it again; otherwise delete them",
    ),
    "same-vectors": Fault(
        "doubtful",
        "points share their vectors with another one elsewhere",
        "look at both; remove the one whose position is wrong",
    ),
    "look-alikes": Fault(
        "doubtful",
        "pairs of photos look the same but lie apart",
        "look at both; remove the one whose position is wrong",
    ),
    "one-coordinate": Fault(
        "doubtful",
        "coordinates hold suspiciously many photos: a town's centre, or no position at all",
        "remove those photos, or give them an accuracy_km that says so",
    ),
    "country": Fault(
        "doubtful",
        "photos lie in another country than they say",
        "look at a few; are latitude and longitude swapped, or a sign missing?",
    ),
}
"""By name, in the order they are told."""


class Finding(BaseModel):
    """One kind of fault that was found."""

    check: str
    level: Level
    count: int
    what: str
    example: str
    remedy: str

    def line(self) -> str:
        """Return it on one line."""
        shown = f", for example {self.example}" if self.example else ""
        return f"{self.level}: {self.count:,} {self.what}{shown}; {self.remedy}"


class Tally:
    """Counts of faults, each with its first example."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.examples: dict[str, str] = {}

    def add(self, check: str, example: str, count: int = 1) -> None:
        """Count a fault.

        Args:
            check: a key of `FAULTS`.
            example: what it is about, foreign text and all.
            count: how many.
        """
        assert check in FAULTS
        if count:
            self.counts[check] = self.counts.get(check, 0) + count
            self.examples.setdefault(check, printable(example, 300))

    def findings(self) -> list[Finding]:
        """Return what was found, the wrong before the doubtful."""
        order: Iterable[str] = (check for check in FAULTS if check in self.counts)
        return [
            Finding(
                check=check,
                level=FAULTS[check].level,
                count=self.counts[check],
                what=FAULTS[check].what,
                example=self.examples[check],
                remedy=FAULTS[check].remedy,
            )
            for check in sorted(order, key=lambda check: FAULTS[check].level, reverse=True)
        ]
