"""Forty photos of known places, galleries of every family, and the published rules in numpy."""

import io
import itertools
import json
import re
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from langchain_core.messages import AIMessage, BaseMessage
from PIL import Image

from agent.answer import Answer
from agent.factors import Settlements
from agent.geolocator import Geolocator, answer_of
from agent.replay import replay
from agent.settings import Settings
from agent.trace import Event
from encoders.model import FamilyEncoder
from geo.cells import cell_ids
from index_builder import build_gallery, open_gallery
from index_builder.gallery import Gallery
from tests.fakes import FakeGazetteer, ScriptedChat
from tests.unit.encoder_samples import photos, tiny_encoder
from tools.photos import PhotoStore

Floats = npt.NDArray[np.float64]
Place = tuple[float, float]
COUNT = 40
FAMILIES = ("g3", "transgeoclip", "dualgeo", "siglip", "cellcodes")
BERLIN, PARIS = (52.52, 13.405), (48.857, 2.352)
_LINE = re.compile(r"^(\d+)\. (-?\d+\.\d{4}), (-?\d+\.\d{4})", re.MULTILINE)
_UNLIKE = "look least like it"


def places() -> list[Place]:
    """Return where the photos were taken: two towns of several photos, two at one place."""
    draw = np.random.default_rng(11)
    far = draw.uniform((-50, -160), (65, 160), (COUNT, 2)).round(4)
    near = draw.uniform(-0.15, 0.15, (COUNT, 2)).round(4)
    found = [tuple(one) for one in far.tolist()]
    for number in range(0, COUNT, 5):
        found[number] = tuple((np.array(BERLIN) + near[number]).round(4).tolist())
    for number in range(1, COUNT, 8):
        found[number] = tuple((np.array(PARIS) + near[number]).round(4).tolist())
    found[3] = found[2]
    return found


def encoder_of(family: str) -> FamilyEncoder:
    """Return the tiny encoder of a family; DualGeo's without maps, which a segmenter would draw."""
    encoder = tiny_encoder(family, **({"segments": False} if family == "dualgeo" else {}))
    if family == "cellcodes":
        import torch

        from encoders.families.cellcodes import CellCodesHeads

        assert isinstance(encoder.heads, CellCodesHeads)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(6)
            encoder.heads.set_cells(
                np.unique(cell_ids(places(), encoder.heads.config.prototype_level))
            )
    return encoder


def write_world(folder: Path, count: int = COUNT) -> Path:
    """Write the first photos and their positions."""
    folder.mkdir(parents=True)
    rows = ["file,latitude,longitude"]
    for number, (image, place) in enumerate(zip(photos(count, seed=4), places(), strict=False)):
        image.save(folder / f"{number:02d}.png")
        rows.append(f"{number:02d}.png,{place[0]},{place[1]}")
    (folder / "positions.csv").write_text("\n".join(rows))
    return folder


@cache
def query() -> Image.Image:
    """Return the photo to locate, which no gallery has, with the pixels that the store keeps."""
    buffer = io.BytesIO()
    original().save(buffer, "PNG")
    with tempfile.TemporaryDirectory() as folder:
        store = PhotoStore(Path(folder))
        return store.image(store.add(buffer.getvalue()).id)


def original() -> Image.Image:
    """Return the same photo as its file has it."""
    return photos(1, seed=77)[0]


class World(NamedTuple):
    """Photos of a gallery, in no order that matters."""

    folder: Path
    gallery: Path
    encoder: FamilyEncoder

    @property
    def images(self) -> list[Image.Image]:
        return [Image.open(path).convert("RGB") for path in sorted(self.folder.glob("*.png"))]

    def alike(self, photo: Image.Image) -> list[Place]:
        """Return all places by the sum of cosines over the family's index spaces, best first."""
        card = self.encoder.card
        ours = self.encoder.encode_images([photo])
        theirs = self.encoder.encode_images(self.images)
        scores = sum(cosines(theirs[space], ours[space][0]) for space in card.retrieval)
        known = places()
        return [known[number] for number in np.argsort(-np.asarray(scores), kind="stable")]

    def best_aligned(self, photo: Image.Image, pool: Sequence[Place]) -> Place:
        """Return G3's choice: the largest cosine of photo and place in the alignment space."""
        space = self.encoder.card.alignment
        ours = self.encoder.encode_images([photo])[space][0]
        theirs = self.encoder.encode_locations(np.array(pool))[space]
        return pool[int(np.argmax(cosines(theirs, ours)))]


def cosines(rows: npt.ArrayLike, vector: npt.ArrayLike) -> Floats:
    """Return the cosine of each row with a vector."""
    a, b = np.asarray(rows, np.float64), np.asarray(vector, np.float64)
    found: Floats = a @ b / np.linalg.norm(a, axis=1) / np.linalg.norm(b)
    return found


def make_world(folder: Path, family: str, count: int = COUNT) -> World:
    """Build a gallery of the first photos with a family's encoder."""
    photos_in = write_world(folder / "photos", count)
    encoder = encoder_of(family)
    build_gallery(photos_in, folder / f"{family}-town", encoder=encoder)
    return World(photos_in, folder / f"{family}-town", encoder)


def unique(found: Sequence[Place]) -> list[Place]:
    """Return each place once."""
    return list(dict.fromkeys(found))


def shown(found: Sequence[Place]) -> list[Place]:
    """Return places as a prompt writes them."""
    return [(float(f"{lat:.4f}"), float(f"{lon:.4f}")) for lat, lon in found]


class Listed(NamedTuple):
    """The references of one prompt."""

    similar: list[Place]
    dissimilar: list[Place]


def listed(text: str) -> Listed:
    """Return the references that a prompt names, in their order."""
    alike, _, unlike = text.partition(_UNLIKE)
    return Listed(_places_in(alike), _places_in(unlike))


def _places_in(text: str) -> list[Place]:
    lines = [match.groups() for match in _LINE.finditer(text)]
    assert [int(line[0]) for line in lines] == list(range(1, len(lines) + 1))
    return [(float(line[1]), float(line[2])) for line in lines]


def says(latitude: object, longitude: object, place: str = "") -> str:
    """Return an answer as a model writes it."""
    return json.dumps(
        {"latitude": latitude, "longitude": longitude, "radius_km": 50, "place": place,
         "country": ""}
    )  # fmt: skip


@dataclass
class Model:
    """Gives short answers from a list, over again from its start; every other question fails."""

    answers: Sequence[str]
    chat: ScriptedChat = field(init=False)
    _turn: Any = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.chat = ScriptedChat(replies=[self._reply])
        self._turn = itertools.cycle(self.answers)

    def _reply(self, messages: Sequence[BaseMessage], given: dict[str, Any]) -> AIMessage:
        assert not given.get("tools"), "a single-shot recipe offers no tools"
        with self._lock:
            return AIMessage(next(self._turn))

    @property
    def prompts(self) -> list[str]:
        """Return the text of each request, in no order."""
        return [text_of(messages[-1]) for messages in self.chat.asked]


def text_of(message: BaseMessage) -> str:
    """Return the text parts of a message."""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(b["text"] for b in message.content if isinstance(b, dict) and "text" in b)


class Ran(NamedTuple):
    """A run and what it was asked."""

    answer: Answer
    events: list[Event]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.kind == kind]

    def notices(self) -> str:
        return "\n".join(data["text"] for data in self.of_kind("notice"))


Run = Callable[..., Ran]


def run_recipe(
    recipe: str,
    settings: Settings,
    settlements: Settlements,
    *,
    galleries: Sequence[Path] = (),
    photo: Image.Image | Path | None = None,
    hint: str = "",
    **options: Any,
) -> Ran:
    """Locate a photo by a recipe, with a small gazetteer."""
    opened: list[Gallery] = [open_gallery(path) for path in galleries]
    settings.home.mkdir(parents=True, exist_ok=True)
    path = photo if isinstance(photo, Path) else settings.home / "query.png"
    if not isinstance(photo, Path):
        (photo or original()).save(path)
    try:
        with Geolocator(opened, recipe=recipe, settings=settings, **options) as geolocator:
            geolocator.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
            events = list(geolocator.stream(path, hint=hint))
    finally:
        for gallery in opened:
            gallery.close()
    ran = Ran(answer_of(events[-1]), events)
    assert_replays(Path(ran.answer.trace_path), settlements)
    return ran


def assert_replays(trace: Path, settlements: Settlements) -> None:
    """Fail where a replay, which has neither galleries nor encoders, comes to another answer."""
    found = replay(trace, open_gazetteer=lambda: FakeGazetteer(settlements))
    assert found.identical, (found.diverged[:3], [one.differs[:5] for one in found.answers])
