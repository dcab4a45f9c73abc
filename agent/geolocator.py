"""`Geolocator`: the state machine as a Python object, sync, async and streaming."""

import asyncio
import json
import logging
import os
import threading
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, StreamMode
from pydantic import JsonValue

from agent.answer import Answer
from agent.asker import make_asker
from agent.assembly import assemble
from agent.availability import check_recipe, recipe_encoder, searched
from agent.budget import Budget
from agent.calls import load_libraries
from agent.drivers import Driver
from agent.graph import Graph, compile_graph, run_config
from agent.listening import listening
from agent.model_settings import ModelSettings
from agent.nodes import PRIOR_POPULATION
from agent.recipes import Recipe, find_recipe
from agent.resources import check_trajectories, open_galleries, places_of
from agent.run_setup import setup_of
from agent.settings import Settings, load_settings
from agent.state import InputState
from agent.stored_calibrations import Named, chosen_calibration
from agent.trace import Event, Trace
from agent.worldwide import AUTO, Load, encoder_opener, load_named, open_worldwide
from encoders.photo_file import printable
from geo.errors import GeolocationError, InputError, UnavailableError
from tools.photos import PhotoStore
from tools.workbench import Workbench

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from encoders.base import AlignedEncoder
    from index_builder.gallery import Gallery
    from index_builder.places import OnProgress, Places

logger = logging.getLogger(__name__)
Photo = Path | str | bytes
MAX_HINT_LENGTH = 500
MAX_PATH_LENGTH = 4096
SESSIONS = 128
"""Photos of one event loop that are located at the same time; most wait for a model."""
Ask = Callable[[str, Sequence[str]], str | None]


class Geolocator:
    """Locates photos; keeps galleries, models and the gazetteer open between them.

    Args:
        galleries: folders of galleries, addresses of Qdrant collections, or open ones (closed
            with this object only if it opened them).
        recipe: a recipe or the name of one, see `agent.recipes`; `auto` is `agentic` where a
            model is configured and `pipeline` where none is. By default the settings'.
        model: a LangChain chat model, or the settings of one; the settings' by default.
        driver: decides in the loop instead of the recipe's own.
        settings: from the environment by default.
        budget: overrides the settings' and the recipe's budget.
        trajectories: how many investigations run in parallel; the recipe's by default.
        ask: asked with a question and its options when the model wants to know something; returns
            the reply, or None. Without it nobody is there and the model is not offered to ask.
        analyst: whoever runs `graph` answers its interrupts, so the model may ask; see
            `agent.make_graph`.
        encoder: aligns photos with places, for worldwide search: a family, the folder of a saved
            one, the URL of a service, or an encoder; `auto` is GeoCLIP where its weights are on
            this machine, None or `none` does without.
        places: CSV of further places to search, beside GeoCLIP's and GeoNames settlements.
        calibration: how far evidence can be trusted: a file, a calibration, or `none`; by default
            the settings', or the one stored with the recipe.
        without: names of tools that are not offered.
        load: loads encoders by name, and keeps them; by default they are loaded for this object
            and closed with it.

    Raises:
        ConfigError: the calibration cannot be read, or is another recipe's.
        InputError: there is no such recipe; a gallery does not exist, is empty or was built by
            another encoder; or `places` is no list of coordinates, or comes without an encoder.
        UnavailableError: a gallery is locked by another process; an encoder was named whose
            published weights are not on this machine; or the recipe lacks something: the message
            says what, how to get it, and which recipe works without.
    """

    def __init__(
        self,
        galleries: "Sequence[Path | str | Gallery]" = (),
        *,
        recipe: Recipe | str = "",
        model: "BaseChatModel | ModelSettings | None" = None,
        driver: Driver | None = None,
        settings: Settings | None = None,
        budget: Budget | None = None,
        trajectories: int | None = None,
        ask: Ask | None = None,
        analyst: bool = False,
        encoder: "str | Path | AlignedEncoder | None" = AUTO,
        places: Path | str | None = None,
        calibration: Named = None,
        without: Sequence[str] = (),
        load: "Load | None" = None,
    ) -> None:
        self.settings = settings or load_settings()
        self._runs, self._closed, self._counting = 0, False, threading.Lock()
        self._pool = ThreadPoolExecutor(SESSIONS, thread_name_prefix="graticule")
        self.bench = Workbench(photos=PhotoStore(self.settings.photos))
        self.bench.galleries, self._opened = open_galleries(
            galleries or self.settings.galleries, self.settings
        )
        self._place_progress: OnProgress | None = None
        try:
            self.asker = make_asker(model or self.settings.model, self.bench.photos)
            self.recipe = self._chosen(recipe, driver, encoder)
            named = self.settings.calibration if calibration is None else calibration
            self.calibration = chosen_calibration(named, self.recipe.name, self.settings.home)
            left_out: tuple[str, ...] = ()
            if driver is None:
                check_trajectories(self.recipe, trajectories)
                self.bench.galleries, left_out = searched(self.recipe, self.bench.galleries)
            self._use(recipe_encoder(self.recipe, self.bench.galleries, encoder), places, load)
            self.bench.missing += left_out
        except GeolocationError:
            self.close()
            raise
        if self.settings.telemetry.endpoint:
            from agent.span_export import follow_runs

            follow_runs(self.settings.telemetry)
        self._ask = ask
        self.budget = budget or self.recipe.budget or self.settings.budget
        self.machine = assemble(
            self.bench,
            self.settings,
            self.recipe,
            self.asker,
            driver=driver,
            budget=self.budget,
            trajectories=trajectories,
            analyst=ask is not None or analyst,
            calibration=self.calibration,
            without=without,
        )
        self.tools = self.machine.tools
        self.graph = self.compiled(InMemorySaver() if ask else None)

    def _chosen(
        self,
        recipe: Recipe | str,
        driver: Driver | None,
        encoder: "str | Path | AlignedEncoder | None",
    ) -> Recipe:
        """Return the recipe that was asked for, if everything it needs is here."""
        has_model = self.asker is not None
        if isinstance(recipe, str):
            recipe = find_recipe(recipe or self.settings.recipe, has_model=has_model)
        if driver is None:  # a driver of one's own knows what it needs
            check_recipe(
                recipe,
                has_model=has_model,
                galleries=self.bench.galleries,
                encoder=encoder,
                home=self.settings.home,
            )
        point = self.settings.point
        return recipe.model_copy(update={"point": point}) if point else recipe

    def _use(
        self,
        encoder: "str | Path | AlignedEncoder | None",
        places: Path | str | None,
        load: "Load | None",
    ) -> None:
        """Have places searched with an encoder; it loads when it is first needed."""
        opener, missing = encoder_opener(encoder, self.settings.home, load)
        self.bench.open_encoder, self.bench.open_places = opener, self._open_places
        self.bench.owns_encoder = isinstance(encoder, str | Path)
        self.bench.shares_encoders = load is not None
        self.bench.load_encoder = lambda name: (load or load_named)(name, self.settings.home)
        self.bench.missing = (missing,) if missing else ()
        self._more_places = None if places is None else places_of(Path(places), opener, missing)

    def compiled(
        self, checkpointer: "BaseCheckpointSaver[str] | None" = None, *, asynchronous: bool = False
    ) -> Graph:
        """Return the state machine as a LangGraph graph; see `agent.graph.compile_graph`."""
        return compile_graph(self.machine, checkpointer, asynchronous=asynchronous)

    def setup(self) -> dict[str, JsonValue]:
        """Return what shapes runs beside the photo, for the trace: no keys, no addresses."""
        return setup_of(self.machine)

    def locate(
        self,
        photo: Photo,
        *,
        hint: str = "",
        trust_metadata: bool = False,
        trace: Path | None = None,
    ) -> Answer:
        """Locate a photo.

        Args:
            photo: path or bytes of an image.
            hint: what is known about the place already; weighed, not obeyed.
            trust_metadata: let a position found in metadata count as evidence.
            trace: file for the trace; by default one under the settings' `traces` folder.

        Raises:
            InputError: the photo or the hint cannot be used.
            UnavailableError: something needed to answer at all is missing.
        """
        answer = None
        for event in self._events(photo, hint, trust_metadata, trace, live=False):
            if event.kind == "answer":
                answer = answer_of(event)
        assert answer is not None, "a run ends with an answer or an exception"
        return answer

    def stream(
        self,
        photo: Photo,
        *,
        hint: str = "",
        trust_metadata: bool = False,
        trace: Path | None = None,
    ) -> Iterator[Event]:
        """Yield the events of a run as they happen; the last one is the answer.

        Raises:
            InputError: the photo or the hint cannot be used.
        """
        return self._events(photo, hint, trust_metadata, trace, live=True)

    def _events(
        self, photo: Photo, hint: str, trust_metadata: bool, trace: Path | None, *, live: bool
    ) -> Generator[Event, None, None]:
        """Yield the events of a run, all of them as they happen only where it is followed live."""
        check_hint(hint)
        held = self.bench.photos.add(Path(photo) if isinstance(photo, str) else photo)
        start = InputState(photo_id=held.id, hint=hint, trust_metadata=trust_metadata)
        path = trace or self._trace_path(held.id)
        with self._counted(), Trace(path) as chain:
            yield chain.append("setup", self.setup())
            try:
                with nullcontext() if live else listening(chain.write):
                    answer = yield from self._run(start, chain, live)
            except GeolocationError as error:
                yield chain.append("error", {"type": type(error).__name__, "message": str(error)})
                raise
            answer = answer.model_copy(
                update={"trace_path": printable(os.fsencode(path), MAX_PATH_LENGTH)}
            )
            yield chain.append("answer", json.loads(answer.model_dump_json()))

    def _run(self, start: InputState, chain: Trace, live: bool) -> Generator[Event, None, Answer]:
        """Yield the events of the graph, return the answer it ends with.

        What nodes announce is yielded where the run is followed live; it goes straight to the
        trace otherwise.
        """
        config = run_config(self.budget.steps)
        config["configurable"] = {"thread_id": uuid.uuid4().hex}
        answer: Answer | None = None
        asked: InputState | Command[object] | None = start
        modes: list[StreamMode] = ["custom", "values"] if live else ["values"]
        while asked is not None:
            parts = self.graph.stream(asked, config, stream_mode=modes, version="v2")
            asked = None
            for part in parts:
                if part["type"] == "custom":
                    yield chain.append(part["data"]["kind"], part["data"]["data"])
                elif part["type"] == "values":
                    answer = part["data"].get("answer")
                    if waiting := part["interrupts"]:
                        yield chain.append("question", waiting[0].value["action_request"])
                        reply = self._reply(waiting[0].value)
                        # LangGraph takes no bare None for a reply.
                        said: JsonValue = {"type": "ignore"} if reply is None else reply
                        yield chain.append("reply", {"reply": said})
                        asked = Command(resume=said)
        assert answer is not None, "the graph ends in conclude"
        return answer

    def _reply(self, payload: dict[str, Any]) -> str | None:
        """Return what the analyst says; nothing where asking them fails."""
        assert self._ask is not None, "a question is asked only where somebody is there"
        args = payload["action_request"]["args"]
        try:
            return self._ask(str(args["question"]), list(args.get("options") or []))
        except (OSError, EOFError) as error:
            logger.warning("the analyst could not be asked: %s", error)
            return None

    async def alocate(
        self,
        photo: Photo,
        *,
        hint: str = "",
        trust_metadata: bool = False,
        trace: Path | None = None,
    ) -> Answer:
        """Locate a photo without blocking the event loop; see `locate`."""
        self._check_open()  # its threads may be gone
        run = partial(self.locate, photo, hint=hint, trust_metadata=trust_metadata, trace=trace)
        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    async def astream(
        self,
        photo: Photo,
        *,
        hint: str = "",
        trust_metadata: bool = False,
        trace: Path | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of a run without blocking the event loop; see `stream`."""
        self._check_open()
        events = self._events(photo, hint, trust_metadata, trace, live=True)
        loop = asyncio.get_running_loop()
        try:
            while (event := await loop.run_in_executor(self._pool, next, events, None)) is not None:
                yield event
        finally:
            # Left early, it ends with its node's reply: that is not waited for on the event loop.
            threading.Thread(target=_end, args=(events,), name="graticule-end").start()

    def prepare_places(self, progress: "OnProgress | None" = None) -> None:
        """Load the encoder, and embed its places where they are not on disk.

        Nothing happens without an encoder, or where the recipe searches no places.

        Args:
            progress: called with (done, total) while places are embedded.

        Raises:
            InputError: the encoder or the table of places cannot be used.
            UnavailableError: the encoder cannot be loaded or reached now.
        """
        if not (self.recipe.loop or "search_places" in self.recipe.prime):
            return
        self._place_progress = progress
        try:
            _ = self.bench.places
        finally:
            self._place_progress = None

    def warm(self) -> None:
        """Load models and data now, so that the first photo does not wait for them.

        What every photo needs comes first; a photo that arrives meanwhile waits for no more.
        """
        from tools import clues

        load_libraries()
        warming = threading.Thread(target=self.bench.reader.warm, name="reader")
        warming.start()
        self.bench.gazetteer.settlements(PRIOR_POPULATION)
        try:
            self.prepare_places()
        except UnavailableError as error:
            logger.warning("no worldwide search: %s", error)
        warming.join()
        clues.warm()

    def close(self) -> None:
        """Take no more photos, and close what this object opened once the last run has ended."""
        with self._counting:
            self._closed = True
            busy = self._runs > 0
        if not busy:
            self._release()

    def _release(self) -> None:
        self._pool.shutdown(wait=False)
        self.bench.close()
        while self._opened:
            self._opened.pop().close()

    def _check_open(self) -> None:
        if self._closed:
            raise InputError("this Geolocator is closed; make another one")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a run, so that what it uses is not closed under it."""
        with self._counting:
            self._check_open()
            self._runs += 1
        try:
            yield
        finally:
            with self._counting:
                self._runs -= 1
                last = self._closed and self._runs == 0
            if last:
                self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open_places(self, encoder: "AlignedEncoder") -> "Places":
        home, gazetteer = self.settings.home, self.bench.gazetteer
        return open_worldwide(encoder, home, gazetteer, self._more_places, self._place_progress)

    def _trace_path(self, photo_id: str) -> Path:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        return self.settings.traces / f"{stamp}-{photo_id[:12]}.jsonl"


def _end(events: Generator[Event, None, None]) -> None:
    """End a run that nobody follows any more; one that is in a step ends after it."""
    with suppress(ValueError):  # it runs in another thread, which is about to drop it
        events.close()


def check_hint(hint: str) -> None:
    """Refuse a hint that is too long or no text.

    Raises:
        InputError: see above.
    """
    if len(hint) > MAX_HINT_LENGTH:
        raise InputError(
            f"hint of {len(hint):,} characters, limit {MAX_HINT_LENGTH}; say it in fewer words"
        )
    try:
        hint.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"hint '{printable(hint, 80)}' is not valid UTF-8; type it again"
        ) from None


def answer_of(event: Event) -> Answer:
    """Return the answer that an `answer` event carries."""
    return Answer.model_validate_json(json.dumps(event.data))
