"""Recorded runs of many shapes, for what reads traces: each call records one and tells its file."""

import atexit
import random
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

from langchain_core.messages import AIMessage, HumanMessage
from pydantic import JsonValue

from agent.asking import ContextOverflowError, ModelUnavailableError
from agent.budget import Budget
from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.session_records import SessionOptions
from agent.sessions import Sessions
from agent.settings import Settings
from agent.state import InputState
from geo.errors import UnavailableError
from tests.fakes import BlankReader, FakeGazetteer, calling
from tests.unit.photo_samples import encoded, picture
from tests.unit.session_samples import Steady, quick_sessions
from tests.unit.test_agentic import PRIOR, Model, commit

PHOTOS = [encoded(picture(120 + 8 * seed, 80, seed=seed)) for seed in range(4)]
TOWNS = ("48.2, 16.37", "41.9, 12.5", "Testdorf", "-33.87, 151.21", "35.68, 139.69")
REGION: dict[str, JsonValue] = {
    "type": "Polygon",
    "coordinates": [[[5.0, 45.0], [15.0, 45.0], [15.0, 55.0], [5.0, 55.0], [5.0, 45.0]]],
}


class KilledError(BaseException):
    """Ends a run's thread as a kill would: nothing is told any more."""


def finding(chance: random.Random) -> AIMessage:
    """Return a turn that looks something up."""
    name = chance.choice(("Testdorf", "Elsewhere", "Nowhere"))
    looks: list[tuple[str, dict[str, JsonValue]]] = [
        ("find_place", {"name": name, "limit": chance.randint(1, 9)})
    ]
    if chance.random() < 0.5:
        box = {"left": 0.1, "top": 0.1, "right": round(chance.uniform(0.3, 0.9), 3), "bottom": 0.8}
        looks.append(("zoom", {"photo_id": "x", **box}))
    return calling(*looks, text=chance.choice(("", "Let me look.", "<think>hm</think>So.")))


def model(chance: random.Random) -> Model:
    """Return a model of changing manners: it looks, errs, fails, and commits."""
    odd: list[Any] = [
        AIMessage("I think it is at 48.1374° N, 11.5755° E."),
        AIMessage(""),
        AIMessage('```json\n{"name": "find_place", "arguments": {"name": "Testdorf"}}\n```'),
        calling(("find_place", {"nome": "Testdorf"})),
        calling(("fly_there", {"value": 1})),
        ModelUnavailableError("the server does not answer"),
        ContextOverflowError("8,192 tokens at most"),
        AIMessage("", additional_kwargs={"reasoning_content": "very long"}),
    ]
    turns = [finding(chance) for _ in range(chance.randint(0, 2))]
    turns += chance.sample(odd, chance.randint(0, 2))
    chance.shuffle(turns)
    nowhere = '{"latitude": 0.0, "longitude": 0.0}'
    return Model(*turns, commit, prior=PRIOR if chance.random() < 0.8 else nowhere)


def model_sessions(home: Path, settlements: Settlements, chance: random.Random) -> Sessions:
    """Return sessions that a scripted model drives."""
    return driven_sessions(home, settlements, lambda: model(chance))


def driven_sessions(
    home: Path, settlements: Settlements, made: Callable[[], Model], **options: Any
) -> Sessions:
    """Return sessions that the model drives which is made for each set of options."""
    settings = Settings(home=home)

    def make(given: SessionOptions) -> Geolocator:
        one = Geolocator(
            model=made().chat, settings=settings, encoder=None, recipe="agentic", analyst=True,
            without=given.without, trajectories=given.trajectories, **options,
        )  # fmt: skip
        one.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        one.bench.reader = BlankReader()
        return one

    return Sessions(settings, Geolocators(settings, make=make))


def scripted(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """A run of a foreign driver."""
    with quick_sessions(home, settlements, Steady(chance.randint(1, 4))) as sessions:
        info = sessions.create(chance.choice(PHOTOS))
        sessions.send(info.id, chance.choice(("", *TOWNS))).wait(30)
        return sessions.trace_path(info.id)


def pipeline(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """A run without a session, of the pipeline driver."""
    return _located(home, settlements, chance, recipe="pipeline")


def agentic(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """A run without a session, of a model; sometimes on a short budget."""
    steps = chance.choice((2, 3, 12))
    return _located(
        home, settlements, chance, recipe="agentic", model=model(chance).chat,
        budget=Budget(steps=steps, tool_calls=chance.choice((1, 3, 40))),
    )  # fmt: skip


def trajectories(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """Several investigations in parallel, and the model as their judge."""
    return _located(
        home, settlements, chance, recipe="agentic", model=model(chance).chat,
        trajectories=chance.randint(2, 4),
    )  # fmt: skip


def _located(home: Path, settlements: Settlements, chance: random.Random, **options: Any) -> Path:
    settings, trace = Settings(home=home), home / "trace.jsonl"
    with Geolocator(settings=settings, encoder=None, **options) as geolocator:
        geolocator.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        geolocator.bench.reader = BlankReader()
        hint = chance.choice(("", *TOWNS))
        if chance.random() < 0.5:
            geolocator.locate(chance.choice(PHOTOS), hint=hint, trace=trace)
        else:
            list(geolocator.stream(chance.choice(PHOTOS), hint=hint, trace=trace))
    return trace


def follow_ups(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """A session of several revisions: words, another photo, a region, evidence withdrawn."""
    quick = chance.random() < 0.5
    opened = (
        quick_sessions(home, settlements) if quick else model_sessions(home, settlements, chance)
    )
    with opened as sessions:
        count = None if quick else chance.choice((None, 2))
        info = sessions.create(PHOTOS[0], options=SessionOptions(trajectories=count))
        sessions.send(info.id, chance.choice(("", *TOWNS))).wait(30)
        for said in chance.sample(range(5), chance.randint(1, 4)):
            _say(sessions, info.id, said, chance)
        return sessions.trace_path(info.id)


def _say(sessions: Sessions, session: str, said: int, chance: random.Random) -> None:
    answer = sessions.answer(session)
    evidence = [item.id for item in answer.evidence] if answer else []
    if said == 0:
        sessions.send(session, chance.choice(TOWNS)).wait(30)
    elif said == 1:
        sessions.send(session, "It is in Germany", photos=[PHOTOS[1]]).wait(30)
    elif said == 2:
        sessions.send(session, region=REGION).wait(30)
    elif said == 3 and evidence:
        one = chance.choice(evidence)
        sessions.send(session, withdraw=[one]).wait(30)
        if chance.random() < 0.5:
            sessions.send(session, restore=[one]).wait(30)
    else:
        sessions.send(session, "look at the sign top left").wait(30)


def questions(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """A model that asks the analyst, who answers on another day, or not at all."""
    question: dict[str, JsonValue] = {"question": "Did you take it?", "options": ["yes", "no"]}

    def asking() -> Model:
        return Model(finding(chance), calling(("ask_analyst", question)), commit)

    with driven_sessions(home, settlements, asking) as sessions:
        info = sessions.create(PHOTOS[2])
        sessions.send(info.id).wait(30)
        assert sessions.get(info.id).status == "waiting"
    with driven_sessions(home, settlements, lambda: Model(commit)) as later:
        if chance.random() < 0.7:
            later.resume(info.id, chance.choice((None, "48.2, 16.37", "no idea"))).wait(30)
        later.send(info.id, chance.choice(TOWNS)).wait(30)
        return later.trace_path(info.id)


def stopped(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """A run that is stopped, and goes on in another process."""
    driver = Steady(chance.randint(2, 4), threading.Event())
    assert driver.gate
    with quick_sessions(home, settlements, driver) as sessions:
        info = sessions.create(PHOTOS[0])
        run = sessions.send(info.id)
        assert driver.began.wait(20)
        run.stop()
        driver.gate.set()
        run.wait(30)
    with quick_sessions(home, settlements, Steady(3)) as later:
        later.resume(info.id).wait(30)
        return later.trace_path(info.id)


class Doomed(Steady):
    """A driver that is killed in a turn."""

    def __init__(self, turn: int) -> None:
        super().__init__(3)
        self.doom = turn

    def decide(self, state: Any, left: Any) -> Any:
        if self.turns == self.doom:
            raise KilledError
        return super().decide(state, left)


def killed(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """A run that is killed inside a node, or between a node's end and its checkpoint."""
    with quick_sessions(home, settlements, Doomed(chance.randint(0, 3))) as sessions:
        info = sessions.create(PHOTOS[1])
        if chance.random() < 0.5:
            _lose_a_checkpoint(sessions, chance.randint(2, 7))
        sessions.send(info.id, chance.choice(TOWNS)).wait(30)
    with quick_sessions(home, settlements, Steady(3)) as later:
        if later.snapshot(info.id).next:
            later.resume(info.id).wait(30)
        later.send(info.id, "It is in Germany").wait(30)
        return later.trace_path(info.id)


def _lose_a_checkpoint(sessions: Sessions, number: int) -> None:
    saver, put = sessions.store.saver, sessions.store.saver.put
    left = iter(range(number))

    def losing(*args: Any, **kwargs: Any) -> Any:
        if next(left, None) is None:
            raise KilledError
        return put(*args, **kwargs)

    saver.put = losing  # type: ignore[method-assign]


def forked(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """A branch from somewhere in a session of two revisions."""
    with quick_sessions(home, settlements, Steady(2)) as sessions:
        info = sessions.create(PHOTOS[3])
        sessions.send(info.id).wait(30)
        sessions.send(info.id, chance.choice(TOWNS)).wait(30)
        moments = [one for one in sessions.history(info.id) if one.events]
        moment = chance.choice(moments)
        options = SessionOptions(without=("measure_distance",)) if chance.random() < 0 else None
        branch = sessions.fork(info.id, moment.checkpoint_id, options=options)
        if moment.next:
            sessions.resume(branch.id).wait(30)
        if not moment.next or chance.random() < 0.5:
            sessions.send(branch.id, "It is in Germany").wait(30)
        return sessions.trace_path(branch.id)


def rewound(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """A session that goes on from an earlier step of its own, and then from its end."""
    with quick_sessions(home, settlements, Steady(2)) as sessions:
        info = sessions.create(PHOTOS[3])
        sessions.send(info.id, chance.choice(TOWNS)).wait(30)
        sessions.send(info.id, "It is in Germany").wait(30)
        moments = [one for one in sessions.history(info.id) if one.events and one.next]
        moment = chance.choice(moments)
        sessions.run(info.id, None, checkpoint_id=moment.checkpoint_id).wait(30)
        sessions.send(info.id, chance.choice(TOWNS)).wait(30)
        return sessions.trace_path(info.id)


def repeated(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """Photos that come with the first one, again, or cut out of it."""
    whole = picture(320, 240, seed=chance.randint(5, 9))
    cut = encoded(whole.crop((60, 40, 220, 180)))
    with quick_sessions(home, settlements) as sessions:
        info = sessions.create(encoded(whole))
        views = [cut] if chance.random() < 0.5 else []
        sessions.send(info.id, chance.choice(("", *TOWNS)), photos=views, region=REGION).wait(30)
        again = chance.choice((encoded(whole.resize((160, 120))), cut, PHOTOS[1]))
        sessions.send(info.id, "the same place", photos=[again]).wait(30)
        return sessions.trace_path(info.id)


def jumping(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """A session that returns to any step of any of its lines, and a branch from one of them."""
    with quick_sessions(home, settlements, Steady(2)) as sessions:
        info = sessions.create(PHOTOS[3])
        sessions.send(info.id, chance.choice(TOWNS)).wait(30)
        for _ in range(chance.randint(1, 3)):
            moment = chance.choice([one for one in sessions.history(info.id) if one.events])
            asked = None if moment.next else saying(chance.choice(TOWNS))
            sessions.run(info.id, asked, checkpoint_id=moment.checkpoint_id).wait(30)
        moment = chance.choice([one for one in sessions.history(info.id) if one.events])
        branch = sessions.fork(info.id, moment.checkpoint_id)
        if moment.next:
            sessions.resume(branch.id).wait(30)
        sessions.send(branch.id, "It is in Germany").wait(30)
        return sessions.trace_path(branch.id)


def saying(*texts: str, **more: Any) -> InputState:
    """Return an input of LangGraph's, as its clients send it."""
    told: dict[str, Any] = {"messages": [HumanMessage(one) for one in texts], **more}
    return cast(InputState, told)


def raw(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """Runs as LangGraph's clients begin them: bare inputs, several messages, halts before nodes."""
    with quick_sessions(home, settlements, Steady(chance.randint(1, 2))) as sessions:
        info = sessions.create()
        photo, other = (sessions.photos.add(one).id for one in PHOTOS[:2])
        trusted = chance.random() < 0.5
        asked = InputState(photo_id=photo, hint=chance.choice(TOWNS), trust_metadata=trusted)
        sessions.run(info.id, asked).wait(30)
        before = chance.choice(("decide", "prime", "conclude", "follow_up"))
        halts = {"interrupt_before": [before]} if chance.random() < 0.5 else {}
        said = saying("It is in Germany", "look at the sign top left", trust_metadata=trusted)
        sessions.run(info.id, said, limits=halts).wait(30)
        if sessions.snapshot(info.id).next:
            sessions.run(info.id, None).wait(30)
        sessions.run(info.id, saying("not Spain", views=[other])).wait(30)
        return sessions.trace_path(info.id)


class Failing(Steady):
    """A driver that fails in a turn."""

    def decide(self, state: Any, left: Any) -> Any:
        if self.turns == self.looks - 1:
            self.turns += 1
            raise UnavailableError("the driver is out")
        return super().decide(state, left)


def failed(home: Path, settlements: Settlements, chance: random.Random) -> Path:
    """A run that fails, and one that goes on with what it left."""
    with quick_sessions(home, settlements, Failing(chance.randint(2, 3))) as sessions:
        info = sessions.create(PHOTOS[0])
        with suppress(UnavailableError):
            sessions.send(info.id, chance.choice(("", *TOWNS))).wait(30)
        assert sessions.get(info.id).status == "error"
        sessions.resume(info.id).wait(30)
        sessions.send(info.id, chance.choice(TOWNS)).wait(30)
        return sessions.trace_path(info.id)


SHAPES = (
    scripted, pipeline, agentic, trajectories, follow_ups, questions, stopped, killed, forked,
    rewound, repeated, jumping, raw, failed,
)  # fmt: skip


def record(number: int, home: Path, settlements: Settlements) -> Path:
    """Record the run of a number, of the shape and the chances that follow from it."""
    home.mkdir(parents=True, exist_ok=True)
    return SHAPES[number % len(SHAPES)](home, settlements, random.Random(number))


@cache
def _homes() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="graticule-recorded-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


_RECORDED: dict[int, Path] = {}


def recorded_once(number: int, settlements: Settlements) -> Path:
    """Return the run of a number, recorded once in this process; for reading alone."""
    if number not in _RECORDED:
        _RECORDED[number] = record(number, _homes() / str(number), settlements)
    return _RECORDED[number]
