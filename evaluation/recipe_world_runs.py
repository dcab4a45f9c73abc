"""Running recipes over a rendered world: the real Geolocator, galleries and tools, row by row.

Every run is a folder as `evaluation.runs` has it, so that metrics, ledger and calibration read it;
what was answered is not asked again.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import tools.read_text
import tools.retrieve
from agent.budget import Budget
from agent.geolocator import Geolocator
from agent.model_settings import ModelSettings
from agent.pipeline import PipelineDriver
from agent.recipes import Recipe
from agent.settings import Settings
from encoders import load_encoder
from encoders.local_features import LocalFeatures
from evaluation.recipe_world import RecipeWorld
from evaluation.recipe_world_analyst import SimulatedAnalyst
from evaluation.recipe_world_variants import Variant, acts, encoder_of, galleries_of, recipe_of
from evaluation.run import answered_row
from evaluation.runs import ROWS, Run, RunManifest, RunRow, Truth, changed, write_manifest
from geo.errors import GeolocationError, InputError
from geo.gazetteer import Gazetteer
from index_builder import open_gallery
from tools.matching import PairMatch, verify_pair
from tools.read_text import TextLine, TextReader

if TYPE_CHECKING:
    from PIL import Image

    from encoders.base import AlignedEncoder
    from evaluation.planet_tower import Progress
    from evaluation.recipe_world_encoders import Galleries
    from index_builder.gallery import Gallery

UNLIMITED = Budget(steps=40, tool_calls=200, tokens=10_000_000, seconds=3_600)
"""On a loaded machine the answers must be the same."""


class RememberingReader(TextReader):
    """Reads every photo once and keeps its lines in a file: ablations read them a dozen times.

    Args:
        path: JSON file; made when the first photo was read.
        reader: reads what is not in it.
    """

    def __init__(self, path: Path, reader: TextReader) -> None:
        self._path, self._reader = path, reader
        self._held: dict[str, list[object]] = {}
        if path.exists():
            self._held = json.loads(path.read_text(encoding="utf-8"))

    def read(self, image: "Image.Image") -> list[TextLine]:
        """Return the lines on a photo; see `TextReader.read`."""
        key = hashlib.sha256(image.tobytes()).hexdigest()
        if key not in self._held:
            lines = self._reader.read(image)
            self._held[key] = [line.model_dump(mode="json") for line in lines]
            partial = self._path.with_suffix(".partial")
            partial.write_text(json.dumps(self._held), encoding="utf-8")
            partial.replace(self._path)
        return [TextLine.model_validate_json(json.dumps(row)) for row in self._held[key]]


class RememberedPairs:
    """Compares two photos point by point once, however many recipes ask."""

    def __init__(self) -> None:
        self._held: dict[tuple[bytes, bytes], PairMatch] = {}

    def __call__(self, a: LocalFeatures, b: LocalFeatures) -> PairMatch:
        """Return what `tools.matching.verify_pair` does."""
        key = _digest(a), _digest(b)
        if key not in self._held:
            self._held[key] = verify_pair(a, b)
        return self._held[key]


def _digest(features: LocalFeatures) -> bytes:
    return hashlib.sha256(features.xy.tobytes() + features.descriptors.tobytes()).digest()


class KeptGazetteer(Gazetteer):
    """A gazetteer that outlives the Geolocators that use it, and the prior that rests on it."""

    def close(self) -> None:
        """Stay open."""


@dataclass
class Opened:
    """A world with its galleries and encoders open; each loads when it is first needed.

    Attributes:
        home: of what Geolocators keep; nobody else's.
    """

    world: RecipeWorld
    made: "Galleries"
    gazetteer: Gazetteer
    reader: TextReader
    stack: ExitStack
    home: Path
    pairs: RememberedPairs = field(default_factory=RememberedPairs)
    _galleries: "dict[str, Gallery]" = field(default_factory=dict)
    _encoders: "dict[str, AlignedEncoder]" = field(default_factory=dict)

    def gallery(self, name: str) -> "Gallery":
        """Return a gallery by its name."""
        if name not in self._galleries:
            gallery = self.stack.enter_context(open_gallery(self.made.galleries[name]))
            # A copy's points are the same each time, and finding them is most of a run's time.
            vars(gallery)["features"] = lru_cache(maxsize=None)(gallery.features)
            self._galleries[name] = gallery
        return self._galleries[name]

    def encoder(self, family: str) -> "AlignedEncoder":
        """Return a family's encoder."""
        if family not in self._encoders:
            self._encoders[family] = load_encoder(str(self.made.encoders[family]))
        return self._encoders[family]

    @contextmanager
    def geolocator(
        self, variant: Variant, analyst: SimulatedAnalyst | None
    ) -> Iterator[tuple[Geolocator, Recipe]]:
        """Open what a variant locates photos with; also its recipe."""
        settings = Settings(home=self.home, budget=UNLIMITED)
        galleries = [self.gallery(name) for name in galleries_of(variant)]
        encoder = self.encoder(encoder_of(variant))
        # No analyst is no model, whatever the environment has.
        model = analyst or ModelSettings()
        names = self._tool_names(galleries, encoder, settings) if variant.without else []
        recipe = recipe_of(variant, names)
        driver = PipelineDriver(recipe.tools) if variant.without and not analyst else None
        with patch.object(tools.retrieve, "verify_pair", self.pairs), Geolocator(
            galleries, recipe=recipe, model=model, settings=settings, encoder=encoder,
            driver=driver,
        ) as made:  # fmt: skip
            made.bench.open_gazetteer = lambda: self.gazetteer
            made.bench.reader = self.reader
            yield made, recipe

    def _tool_names(
        self, galleries: "list[Gallery]", encoder: "AlignedEncoder", settings: Settings
    ) -> list[str]:
        with Geolocator(
            galleries, recipe="pipeline", model=ModelSettings(), settings=settings, encoder=encoder
        ) as made:
            return [tool.name for tool in made.tools]


def run_variant(
    opened: Opened,
    variant: Variant,
    folder: Path,
    made_of: str,
    progress: "Progress",
    *,
    part: slice = slice(None),
    whole: Run | None = None,
) -> Run:
    """Return the run of a variant over a world's queries, gone on with where it stopped.

    Args:
        opened: the world.
        variant: what is run.
        folder: of this run.
        made_of: short name of everything else that decides its rows.
        progress: told of every photo.
        part: of the queries.
        whole: of an ablation, the run with everything there: what the tool had no part in is said
            again.

    Raises:
        InputError: the folder holds another run.
    """
    world = opened.world
    truths, queries = world.truths[part], world.queries[part]
    manifest = RunManifest(
        recipe=variant.name,
        dataset=f"rendered world {world.seed}",
        photos=len(queries),
        truths=truths,
        protocol={"queries": "other views of gallery places, and towns in no gallery"},
        settings={
            "model": f"simulated-{variant.profile}" if variant.profile else "none",
            "without": variant.without,
            "made_of": made_of,
        },
    )
    held = _begun(folder, manifest)
    left = [
        (number, truth, world.path(photo))
        for number, (truth, photo) in enumerate(zip(truths, queries, strict=True))
        if truth.image_id not in held.rows
    ]
    if not left:
        return held
    analyst = None
    if variant.profile:
        analyst = SimulatedAnalyst.of(variant.profile, world.seed, opened.gazetteer)
    with opened.geolocator(variant, analyst) as (geolocator, recipe), _rows(folder) as add:
        for number, truth, path in left:
            before = whole.rows.get(truth.image_id) if whole else None
            if before is not None and not acts(variant, before, number):
                add(before.model_copy(update={"seconds": 0.0, "tokens": 0}))
                continue
            if analyst is not None:
                analyst.look_at(truth)
            add(_row(geolocator, recipe, truth, path))
            progress(f"{variant.name}, world {world.seed}", number + 1, len(queries))
    return Run.read(folder)


def joined(parts: Sequence[Run]) -> Run:
    """Return the runs of a world's parts as one."""
    truths = tuple(truth for part in parts for truth in part.manifest.truths)
    manifest = parts[0].manifest.model_copy(update={"truths": truths, "photos": len(truths)})
    return Run(manifest=manifest, rows={k: row for part in parts for k, row in part.rows.items()})


def _begun(folder: Path, manifest: RunManifest) -> Run:
    if not (folder / "run.json").exists():
        write_manifest(folder, manifest)
    held = Run.read(folder)
    if told := changed(held.manifest, manifest):
        raise InputError(f"{str(folder)!r} holds another run ({', '.join(told)} differ); delete it")
    return held


@contextmanager
def _rows(folder: Path) -> Iterator[Callable[[RunRow], None]]:
    """Append rows one by one, each flushed; what a stop cut off is ended first."""
    path = folder / ROWS
    whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
    if not whole:
        lines = path.read_bytes().split(b"\n")
        path.write_bytes(b"".join(line + b"\n" for line in lines[:-1]))
    with path.open("a", encoding="utf-8") as file:

        def add(row: RunRow) -> None:
            file.write(row.model_dump_json() + "\n")
            file.flush()

        yield add


def _row(geolocator: Geolocator, recipe: Recipe, truth: Truth, path: Path) -> RunRow:
    """Locate one photo; a failure is a row, too."""
    with tempfile.TemporaryDirectory() as scratch:  # some thousand traces that nobody reads
        try:
            answer = geolocator.locate(path, trace=Path(scratch) / "trace.jsonl")
        except GeolocationError as error:
            return RunRow(image_id=truth.image_id, status="failed", reason=str(error)[:500])
    return answered_row(truth.image_id, answer, recipe)


def reader_digest() -> str:
    """Return a short name of the code that reads text."""
    folder = Path(tools.read_text.__file__).parent
    names = ("read_text", "recognizer", "tesseract", "scripts", "overlays")
    digest = hashlib.sha256()
    for name in names:
        digest.update((folder / f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]
