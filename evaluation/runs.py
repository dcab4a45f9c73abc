"""A run: one recipe over one dataset, in a folder; what every figure is computed from.

`run.json` is the manifest, `rows.jsonl` one `RunRow` a line, one for every photo of the dataset,
failures included, and `traces/` the traces. Rows are appended and flushed one by one, so a run can
be stopped at any moment and gone on with; the last row of an id counts.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, JsonValue, ValidationError

from agent.answer import Radii
from geo.errors import InputError
from tools.evidence import Evidence, Latitude, Longitude, Record, Share

MANIFEST, ROWS, TRACES = "run.json", "rows.jsonl", "traces"
StageName = Literal["retrieval", "clustering", "generation", "verification", "final"]
STAGES: tuple[StageName, ...] = (
    "retrieval", "clustering", "generation", "verification", "final",
)  # fmt: skip
Point = tuple[Latitude, Longitude]


class Truth(Record):
    """Where a photo was taken, and whose it is.

    Attributes:
        image_id: unique in its dataset.
        author: photographer; empty where unknown, and then a cluster of its own.
        slices: labels to tell results apart by: `category`, `country`, `admin1`, `city`.
    """

    image_id: str = Field(min_length=1)
    latitude: Latitude
    longitude: Longitude
    author: str = ""
    slices: dict[str, str] = Field(default_factory=dict)


class RunRow(Record):
    """What became of one photo.

    Attributes:
        latitude: of the answer; None where there is none, which counts as a miss everywhere.
        status: `failed` where there is no answer at all, and `reason` says why.
        within: belief within 1, 25, 200, 750 and 2500 km of the answer, by that number.
        countries: belief by ISO 3166-1 alpha-2 code, the largest.
        verbal_confidence: the driving model's own, 0 to 1, as it said it.
        stages: points that each stage of the run put forward, best first; a stage that the run
            did not have is absent. `final` is the answer's point alone.
        evidence: all of it, for calibration.
    """

    image_id: str
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    status: Literal["located", "region", "undetermined", "failed"]
    reason: str = ""
    radii: Radii | None = None
    within: dict[str, Share] = Field(default_factory=dict)
    country: str = ""
    admin1: str = ""
    place: str = ""
    countries: dict[str, Share] = Field(default_factory=dict)
    verbal_confidence: Share | None = None
    seconds: float = Field(default=0.0, ge=0)
    tokens: int = Field(default=0, ge=0)
    stages: dict[StageName, tuple[Point, ...]] = Field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    trace_path: str = ""


class RunManifest(Record):
    """What a run is of: everything that shapes its rows.

    Attributes:
        protocol: the precautions of the dataset that were taken, name to what was done.
        settings: recipe, model, galleries and their fingerprints, budgets.
    """

    format: Literal[1] = 1
    recipe: str
    dataset: str
    photos: int = Field(ge=1)
    truths: tuple[Truth, ...]
    protocol: dict[str, JsonValue] = Field(default_factory=dict)
    settings: dict[str, JsonValue] = Field(default_factory=dict)


class Run(Record):
    """A run as read: its manifest, and a row for every truth.

    Photos that were not reached yet have none; `complete` tells.
    """

    manifest: RunManifest
    rows: dict[str, RunRow]

    @property
    def complete(self) -> bool:
        """Whether every photo has a row."""
        return all(truth.image_id in self.rows for truth in self.manifest.truths)

    def pairs(self) -> Iterator[tuple[Truth, RunRow]]:
        """Yield every truth with its row, in the manifest's order; what is missing has failed."""
        for truth in self.manifest.truths:
            missing = RunRow(image_id=truth.image_id, status="failed", reason="not reached")
            yield truth, self.rows.get(truth.image_id, missing)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the run in a folder.

        Raises:
            InputError: there is none; a row is damaged (a cut last line is left out), or is of a
                photo that the manifest does not name.
        """
        manifest = read_manifest(folder)
        known = {truth.image_id for truth in manifest.truths}
        rows = {}
        path = folder / ROWS
        lines = path.read_bytes().split(b"\n") if path.exists() else []
        for number, line in enumerate(lines, start=1):
            if not line:
                continue
            try:
                row = RunRow.model_validate_json(line)
            except ValidationError as error:
                if number == len(lines):  # a stop cut it: it has no end of line
                    continue
                raise InputError(
                    f"line {number} of {str(path)!r} is no row of a run: "
                    f"{error.errors()[0]['msg']}; delete that line and run it again"
                ) from None
            if row.image_id not in known:
                raise InputError(
                    f"line {number} of {str(path)!r} is of photo {row.image_id!r:.80}, which is "
                    f"none of the {len(known):,} of the run; delete that line"
                )
            rows[row.image_id] = row
        return cls(manifest=manifest, rows=rows)


def read_manifest(folder: Path) -> RunManifest:
    """Return what the run in a folder is of.

    Raises:
        InputError: there is none, or it is of another format.
    """
    path = folder / MANIFEST
    try:
        return RunManifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"{str(folder)!r} holds no run ({error.strerror}: {MANIFEST}); make one with "
            "`graticule evaluate run`"
        ) from None
    except ValidationError as error:
        raise InputError(
            f"{str(path)!r} is no manifest of a run: {error.errors()[0]['msg']}; run it again"
        ) from None


def write_manifest(folder: Path, manifest: RunManifest) -> None:
    """Begin a run in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def changed(held: RunManifest, wanted: RunManifest) -> Mapping[str, tuple[JsonValue, JsonValue]]:
    """Return what differs between two manifests, name to both values; empty if one goes on."""
    ours, theirs = (json.loads(one.model_dump_json()) for one in (held, wanted))
    ours |= ours.pop("settings")
    theirs |= theirs.pop("settings")
    names = sorted(ours.keys() | theirs.keys())
    return {
        name: (ours.get(name), theirs.get(name))
        for name in names
        if ours.get(name) != theirs.get(name)
    }
