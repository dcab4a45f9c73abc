"""A machine whose nodes run as ever, on what was recorded instead of models and tools."""

import contextvars
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from pydantic import JsonValue

from agent.abstain import AnswerLoss
from agent.assembly import assemble
from agent.budget import Budget
from agent.calibration import Calibration
from agent.drivers import Driver
from agent.graph import NODES
from agent.guessing import Short
from agent.listening import TRAJECTORY, listening, tell
from agent.model_settings import ModelSettings
from agent.model_use import hear_again
from agent.nodes import Machine
from agent.recipes import Recipe
from agent.replay_playback import Playback
from agent.replay_record import Data, Node
from agent.replay_stand_ins import (
    RecordedAsker,
    RecordedClient,
    RecordedDriver,
    RecordedTools,
    recorded_gallery,
)
from agent.settings import Settings
from agent.state import State
from agent.toolbox import make_tools
from agent.trace import EventKind
from geo.errors import UnavailableError
from geo.gazetteer import Gazetteer
from tools.photo_store import PhotoStore
from tools.same_picture import Sameness
from tools.workbench import Workbench

RELATED = "find_related_places"


@dataclass(frozen=True)
class ReplayMachine(Machine):
    """A machine that takes time from the record and is held to it, node by node."""

    playback: Playback | None = None
    version: str = ""
    """Of the calibration."""

    @property
    def calibrated_by(self) -> str:
        """Version of the calibration: that of the whole one, whose photos the record leaves out."""
        return self.version

    def _told(self, state: State, short: Short, began: float) -> dict[str, Any]:
        then = self._playing.result_of(short.step.tool)
        seconds = float(str(then.get("seconds", short.step.seconds)))
        step = short.step.model_copy(update={"seconds": seconds})
        return super()._told(state, replace(short, step=step), began)

    @property
    def _playing(self) -> Playback:
        assert self.playback is not None
        return self.playback

    def _played(self, name: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run a node on the record, and return its update with the times of the record."""
        playback = self._playing
        if TRAJECTORY.get():  # the node around it is compared as a whole
            return self._timed(name, run())
        node = playback.enter(name)
        if node is None:
            return run()
        told: list[tuple[EventKind, Data]] = []

        def listen(kind: EventKind, data: Data) -> None:
            told.append((kind, data))
            outer.run(tell, kind, data)

        outer = contextvars.copy_context()
        with listening(listen):
            update = run()
        hear_again([(event.kind, event.data) for event in node.events])
        playback.compare(node, told)
        return self._timed(name, update)

    def _timed(self, name: str, update: dict[str, Any]) -> dict[str, Any]:
        spent = self._playing.spent(name, update.get("spent"))
        if spent is None:
            return update
        update = {**update, "spent": spent}
        if (answer := update.get("answer")) is not None:
            budget = {key: float(value) for key, value in spent.model_dump().items()}
            told = {"seconds": spent.seconds, "budget_spent": budget}
            update["answer"] = answer.model_copy(update=told)
        return update


def _playing(name: str) -> Callable[[ReplayMachine, Any], dict[str, Any]]:
    plain = getattr(Machine, name)

    def node(self: ReplayMachine, state: Any) -> dict[str, Any]:
        return self._played(name, lambda: plain(self, state))

    node.__name__, node.__doc__ = name, plain.__doc__
    return node


for _name in NODES:
    setattr(ReplayMachine, _name, _playing(_name))


def machine_of(
    setup: Data,
    playback: Playback,
    photos: PhotoStore,
    open_gazetteer: Callable[[], Gazetteer] = Gazetteer.open,
) -> ReplayMachine:
    """Return the machine that a `setup` event describes.

    Args:
        setup: the event's data.
        playback: what is played back.
        photos: that the trace names.
        open_gazetteer: local data, which a replay may use.
    """
    setup = copy.deepcopy(setup)
    bench = _bench(setup, playback, photos, open_gazetteer)
    given, driver = cast(Data, setup["model"]), cast(Data, setup["driver"])
    asker = _asker(given, photos, playback) if given else None
    own: Driver | None = None
    if driver["kind"] == "own":
        own = RecordedDriver(str(driver["name"]), driver["converses"] is True, playback)
    recipe = Recipe.model_validate_json(json.dumps(setup["recipe"]))
    calibration = cast(Data | None, setup["calibration"])
    settings = _settings(setup)
    analyst, offered = setup["analyst"] is True, cast(dict[str, JsonValue], setup["tools"])
    tools = make_tools(bench, settings, analyst=analyst)
    made = assemble(
        bench, settings, recipe, asker,
        budget=Budget.model_validate_json(json.dumps(setup["budget"])),
        trajectories=int(str(setup["trajectories"])),
        analyst=analyst,
        calibration=_content(calibration) if calibration else None,
        without=[tool.name for tool in tools if tool.name not in offered],
    )  # fmt: skip
    known = {field.name: getattr(made, field.name) for field in fields(Machine)}
    known |= {"driver": own or made.driver, "run_calls": RecordedTools(playback)}
    version = str(calibration["version"]) if calibration else ""
    return ReplayMachine(**known, playback=playback, version=version)


def _content(calibration: Data) -> Calibration:
    return Calibration.model_validate_json(json.dumps(calibration["content"]))


def _asker(given: Data, photos: PhotoStore, playback: Playback) -> RecordedAsker:
    name = str(given["name"])
    settings = ModelSettings.model_validate(given)
    return RecordedAsker(RecordedClient(name, playback), settings, photos, playback=playback)


def _settings(setup: Data) -> Settings:
    """Return settings that no environment has a say in."""
    related = "https://recorded.invalid" if RELATED in cast(Data, setup["tools"]) else ""
    return Settings.model_construct(
        home=Path("replay"),
        geocoder="offline",
        geocoder_url="",
        geocoder_contact="",
        overpass_url=related,
        abstain=AnswerLoss.model_validate_json(json.dumps(setup["abstain"])),
    )


def _bench(
    setup: Data,
    playback: Playback,
    photos: PhotoStore,
    open_gazetteer: Callable[[], Gazetteer],
) -> Workbench:
    galleries = [recorded_gallery(one) for one in cast(list[Data], setup["galleries"])]
    bench = Workbench(photos=photos, galleries=tuple(galleries), open_gazetteer=open_gazetteer)
    bench.same_as = lambda photo_id, _others, _photos: cast(
        tuple[Sameness, str], playback.repeats(photo_id)
    )
    bench.missing = tuple(str(one) for one in cast(list[JsonValue], setup["missing"]))
    if setup["encoder"] is True:
        encoder = cast(Any, RecordedEncoder(playback))
        bench.open_encoder = lambda: encoder
    return bench


@dataclass
class RecordedEncoder:
    """Says what the encoder said of itself when the run began."""

    playback: Playback

    @property
    def card(self) -> Any:
        """Name and fingerprint; None where there was no encoder.

        Raises:
            UnavailableError: it could not be reached then.
        """
        told = _encoder_of(self.playback.now("the encoder"))
        if "unavailable" in told:
            raise UnavailableError(str(told["unavailable"]))
        return SimpleNamespace(**told) if told else None


def _encoder_of(node: Node) -> Data:
    found = (event.data["encoder"] for event in node.events if event.kind == "photo")
    return cast(Data, next(found, {}))
