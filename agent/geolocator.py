"""`Geolocator`: the state machine as a Python object, sync, async and streaming."""

import asyncio
import json
import logging
import os
import threading
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from agent.answer import Answer
from agent.budget import Budget
from agent.calls import load_libraries
from agent.drivers import Driver
from agent.graph import make_graph, run_config
from agent.nodes import PRIOR_POPULATION, Machine
from agent.pipeline import PipelineDriver
from agent.settings import Settings, load_settings
from agent.state import InputState
from agent.toolbox import make_tools
from agent.trace import Event, Trace
from agent.worldwide import AUTO, encoder_opener, load_named, open_worldwide
from encoders.photo_file import printable
from geo.errors import GeolocationError, InputError, UnavailableError
from tools.photos import PhotoStore
from tools.workbench import Workbench

if TYPE_CHECKING:
    from encoders.base import AlignedEncoder, Points
    from index_builder.gallery import Gallery
    from index_builder.places import OnProgress, Places

logger = logging.getLogger(__name__)
Photo = Path | str | bytes
MAX_HINT_LENGTH = 500
MAX_PATH_LENGTH = 4096


class Geolocator:
    """Locates photos; keeps galleries, models and the gazetteer open between them.

    Args:
        galleries: folders of galleries, addresses of Qdrant collections, or open ones (closed
            with this object only if it opened them).
        driver: who decides; the `pipeline` driver by default, which needs no model.
        settings: from the environment by default.
        budget: overrides the settings' budget.
        encoder: aligns photos with places, for worldwide search: a family, the folder of a saved
            one, the URL of a service, or an encoder; `auto` is GeoCLIP where its weights are on
            this machine, None or `none` does without.
        places: CSV of further places to search, beside GeoCLIP's and GeoNames settlements.

    Raises:
        InputError: a gallery does not exist, is empty or was built by another encoder; or
            `places` is no list of coordinates, or comes without an encoder.
        UnavailableError: a gallery is locked by another process; or an encoder was named whose
            published weights are not on this machine.
    """

    def __init__(
        self,
        galleries: "Sequence[Path | str | Gallery]" = (),
        *,
        driver: Driver | None = None,
        settings: Settings | None = None,
        budget: Budget | None = None,
        encoder: "str | Path | AlignedEncoder | None" = AUTO,
        places: Path | str | None = None,
    ) -> None:
        self.settings = settings or load_settings()
        self._opened: list[Gallery] = []
        self.bench = Workbench(photos=PhotoStore(self.settings.photos))
        opener, missing = encoder_opener(encoder, self.settings.home)
        self.bench.open_encoder, self.bench.open_places = opener, self._open_places
        self.bench.owns_encoder = isinstance(encoder, str | Path)
        self.bench.load_encoder = partial(load_named, home=self.settings.home)
        self.bench.missing = (missing,) if missing else ()
        self._more_places = None if places is None else _places_of(Path(places), opener, missing)
        self._place_progress: OnProgress | None = None
        self.bench.galleries = self._open(galleries)
        self.tools = make_tools(self.bench, self.settings)
        self.budget = budget or self.settings.budget
        driver = driver or PipelineDriver([tool.name for tool in self.tools])
        self.graph = make_graph(Machine(self.bench, self.tools, driver, self.budget))

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
        for event in self.stream(photo, hint=hint, trust_metadata=trust_metadata, trace=trace):
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
        _check_hint(hint)
        held = self.bench.photos.add(Path(photo) if isinstance(photo, str) else photo)
        start = InputState(photo_id=held.id, hint=hint, trust_metadata=trust_metadata)
        path = trace or self._trace_path(held.id)
        with Trace(path) as chain:
            try:
                answer = yield from self._run(start, chain)
            except GeolocationError as error:
                yield chain.append("error", {"type": type(error).__name__, "message": str(error)})
                raise
            answer = answer.model_copy(
                update={"trace_path": printable(os.fsencode(path), MAX_PATH_LENGTH)}
            )
            yield chain.append("answer", json.loads(answer.model_dump_json()))

    def _run(self, start: InputState, chain: Trace) -> Generator[Event, None, Answer]:
        """Yield the events of the graph, return the answer it ends with."""
        answer: Answer | None = None
        parts = self.graph.stream(
            start,
            run_config(self.budget.steps),
            stream_mode=["custom", "values"],
            version="v2",
        )
        for part in parts:
            if part["type"] == "custom":
                yield chain.append(part["data"]["kind"], part["data"]["data"])
            elif part["type"] == "values":
                answer = part["data"].get("answer")
        assert answer is not None, "the graph ends in conclude"
        return answer

    async def alocate(
        self,
        photo: Photo,
        *,
        hint: str = "",
        trust_metadata: bool = False,
        trace: Path | None = None,
    ) -> Answer:
        """Locate a photo without blocking the event loop; see `locate`."""
        return await asyncio.to_thread(
            self.locate, photo, hint=hint, trust_metadata=trust_metadata, trace=trace
        )

    async def astream(
        self,
        photo: Photo,
        *,
        hint: str = "",
        trust_metadata: bool = False,
        trace: Path | None = None,
    ) -> AsyncIterator[Event]:
        """Yield the events of a run without blocking the event loop; see `stream`."""
        events = self.stream(photo, hint=hint, trust_metadata=trust_metadata, trace=trace)
        while (event := await asyncio.to_thread(next, events, None)) is not None:
            yield event

    def prepare_places(self, progress: "OnProgress | None" = None) -> None:
        """Load the encoder, and embed its places where they are not on disk; without, do nothing.

        Args:
            progress: called with (done, total) while places are embedded.

        Raises:
            InputError: the encoder or the table of places cannot be used.
            UnavailableError: the encoder cannot be loaded or reached now.
        """
        self._place_progress = progress
        try:
            _ = self.bench.places
        finally:
            self._place_progress = None

    def warm(self) -> None:
        """Load models and data now, so that the first photo does not wait for them."""
        from tools import clues

        load_libraries()
        warming = threading.Thread(target=self.bench.reader.warm, name="reader")
        warming.start()
        clues.warm()
        self.bench.gazetteer.settlements(PRIOR_POPULATION)
        try:
            self.prepare_places()
        except UnavailableError as error:
            logger.warning("no worldwide search: %s", error)
        warming.join()

    def close(self) -> None:
        """Close what this object opened."""
        self.bench.close()
        while self._opened:
            self._opened.pop().close()

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

    def _open(self, galleries: "Sequence[Path | str | Gallery]") -> "tuple[Gallery, ...]":
        from index_builder import open_gallery

        held = []
        opened: set[Path | str] = set()
        api_key = self.settings.qdrant_api_key.get_secret_value() or None
        try:
            for gallery in galleries:
                if isinstance(gallery, Path | str):
                    remote = str(gallery).startswith(("http://", "https://"))
                    place = str(gallery) if remote else Path(gallery).resolve()
                    if place in opened:
                        continue  # named twice; its lock would refuse us
                    opened.add(place)
                    gallery = open_gallery(gallery, api_key=api_key)
                    self._opened.append(gallery)
                held.append(gallery)
        except GeolocationError:
            self.close()
            raise
        return tuple(held)

    def _trace_path(self, photo_id: str) -> Path:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        return self.settings.traces / f"{stamp}-{photo_id[:12]}.jsonl"


def _places_of(table: Path, opener: object, missing: str) -> "Points":
    """Read a user's table of places, which only an encoder can search."""
    from index_builder.coordinates import read_coordinates

    if opener is None and missing:
        raise UnavailableError(f"places {printable(str(table))!r} cannot be searched: {missing}")
    if opener is None:
        raise InputError(
            f"places {printable(str(table))!r} cannot be searched without an encoder; choose one"
        )
    return read_coordinates(table)


def _check_hint(hint: str) -> None:
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
