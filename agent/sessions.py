"""Sessions: checkpointed threads that can be followed, stopped, resumed, forked and compared.

A session is a folder `sessions/ID` with the trace, and what LangGraph keeps of it (see
`agent.session_store`). Photos lie in the photo store, where sessions share them.
"""

import contextlib
import json
import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from langchain_core.messages import HumanMessage
from langgraph.types import Command, StreamMode
from pydantic import JsonValue

from agent.geolocator import Geolocator, check_hint
from agent.geolocators import Geolocators
from agent.report_page import headline_of
from agent.session_past import SessionPast
from agent.session_records import SessionInfo
from agent.session_run import Asked, SessionRun
from agent.session_shelf import now
from agent.session_store import SessionLock, SessionStore
from agent.settings import Settings
from agent.state import InputState, spoken
from agent.trace import Trace
from encoders.photo_file import printable
from geo.errors import InputError
from tools.drawn import drawn_evidence
from tools.photos import Photo

logger = logging.getLogger(__name__)
ENDED_KEPT = 64
"""Runs of this process that may still be followed after their end."""


class Sessions(SessionPast):
    """All sessions of one home folder or one PostgreSQL database.

    Args:
        settings: where sessions, photos and traces are kept.
        geolocators: makes what locates, for a session's options; by default as the settings say.
        store: opened already; by default as the settings say.
    """

    def __init__(
        self,
        settings: Settings,
        geolocators: Geolocators | None = None,
        store: SessionStore | None = None,
    ) -> None:
        super().__init__(settings, geolocators, store)
        self.observers: list[Callable[[SessionRun], object]] = []
        """Called with each run before it starts, such as to count it."""
        self._runs: dict[str, SessionRun] = {}
        self._lock = threading.Lock()

    def send(
        self,
        session_id: str,
        text: str = "",
        *,
        photos: Sequence[Path | str | bytes | Photo] = (),
        region: dict[str, JsonValue] | None = None,
        withdraw: Sequence[str] = (),
        restore: Sequence[str] = (),
        modes: Sequence[StreamMode] = (),
    ) -> SessionRun:
        """Say something in a session and have it answer, in a run that goes on by itself.

        The first message locates the photo, its text is the hint. Later ones are follow-ups.

        Args:
            session_id: whose.
            text: what the person says.
            photos: paths, bytes, or photos of the store. Of a session without a photo the first is
                the one to locate; all others are further views of the place.
            region: GeoJSON polygon where the photo was taken, or with the property `inside` false
                was not.
            withdraw: ids of evidence that shall not count any more.
            restore: ids of evidence that shall count again.
            modes: of LangGraph's streaming, kept in the run's parts.

        Raises:
            InputError: nothing is said, there is no photo, or one cannot be used, the region is
                none, or there is no such evidence.
            SessionBusyError: the session is running.
        """
        check_hint(text)
        if region:
            drawn_evidence(region)
        info = self.get(session_id)
        held = [self.held_photo(one) for one in photos]
        ids = tuple(one.id for one in held)
        if not info.photos and not ids:
            raise InputError("no photo in this session yet; send one")
        if info.status == "waiting" and not (ids or region or withdraw or restore):
            return self.resume(session_id, text, modes=modes)
        first = info.revision == 0 and info.status in ("new", "error") and not withdraw
        if first and not info.photos:
            info = info.model_copy(update={"photos": ids[:1], "name": info.name or held[0].name})
            ids = ids[1:]
        # All of it, whatever is said: an input keeps the values of the one before.
        asked = InputState(
            photo_id=info.photos[0], views=list(ids), region=region, withdraw=list(withdraw),
            restore=list(restore), trust_metadata=info.options.trust_metadata,
        )  # fmt: skip
        if first:
            asked["hint"] = text
        elif not (text.strip() or ids or region or withdraw or restore):
            raise InputError("nothing is said; write a message, or give a photo or a region")
        elif text.strip():
            asked["messages"] = [HumanMessage(text, id=str(uuid.uuid4()))]
        self._check_held(session_id, (*withdraw, *restore))
        info = info.model_copy(update={"photos": tuple(dict.fromkeys((*info.photos, *ids)))})
        return self.run(session_id, asked, info=info, modes=modes)

    def _check_held(self, session_id: str, named: Sequence[str]) -> None:
        """Refuse evidence that the session does not hold."""
        if not named:
            return
        held = {item.id for item in self.snapshot(session_id).values.get("evidence") or ()}
        if unknown := [one for one in named if one not in held]:
            raise InputError(
                f"there is no evidence {printable(unknown[0], 40)!r} in session {session_id}; it "
                f"holds {', '.join(sorted(held)) or 'none'}"
            )

    def resume(
        self, session_id: str, reply: object = None, *, modes: Sequence[StreamMode] = ()
    ) -> SessionRun:
        """Go on: answer the question that a session waits with, or go on where it stopped.

        Args:
            session_id: whose.
            reply: text, or Agent Inbox's `HumanResponse`; None says that there is none.
            modes: see `send`.

        Raises:
            InputError: there is nothing to go on with.
            SessionBusyError: it is running.
        """
        info = self.get(session_id)
        if info.status == "waiting":
            given = {"type": "ignore"} if reply is None else reply
            return self.run(session_id, Command(resume=given), modes=modes)
        if not self.snapshot(session_id).next:
            raise InputError(
                f"session {session_id} has nothing to go on with: it is {info.status}; send a "
                "message instead"
            )
        return self.run(session_id, None, modes=modes)

    def run(
        self,
        session_id: str,
        asked: Asked,
        *,
        info: SessionInfo | None = None,
        said: dict[str, JsonValue] | None = None,
        checkpoint_id: str = "",
        modes: Sequence[StreamMode] = (),
        run_id: str = "",
        limits: dict[str, Any] | None = None,
    ) -> SessionRun:
        """Run the graph of a session with an input of LangGraph's; `send` and `resume` come here.

        Args:
            session_id: whose.
            asked: input, `Command`, or None to go on.
            info: what is known of it from now on.
            said: what the person said, for the trace, where the input does not tell it.
            checkpoint_id: where to go on instead of the latest checkpoint; branches off inside
                the session.
            modes: see `send`.
            run_id: a new UUID by default.
            limits: further arguments of the graph's stream, such as `interrupt_before`.

        Raises:
            SessionBusyError: it is running.
        """
        info = info or self.get(session_id)
        geolocator = self.geolocators.get(info.options)
        lock = self._locked(session_id)
        trace = None
        try:
            config = self._config(session_id, geolocator, checkpoint_id)
            trace = Trace(self.trace_path(session_id), onward=True)
            self._write(info.model_copy(update={"status": "busy", "error": "", "updated": now()}))
            run = SessionRun(
                run_id or str(uuid.uuid4()), session_id, self.graph(geolocator), asked, config,
                trace, modes=modes, limits=limits, ended=lambda run: self._ended(run, lock),
            )  # fmt: skip
            if said is None and isinstance(asked, dict):
                said = message_of(asked, first=not info.revision)
            self._begin(run, geolocator, asked, said, checkpoint_id)
        except BaseException:
            if trace is not None:
                trace.close()
            lock.close()
            raise
        with self._lock:
            self._forget()
            self._runs[session_id] = run
        for observe in self.observers:
            observe(run)
        return run.start()

    def _begin(
        self,
        run: SessionRun,
        geolocator: Geolocator,
        asked: Asked,
        said: dict[str, JsonValue] | None,
        checkpoint_id: str,
    ) -> None:
        """Note in the trace how a run investigates, and what it begins with."""
        told: dict[str, JsonValue] = {"session": run.session_id, "run": run.id}
        step: JsonValue = -1
        if checkpoint_id or not isinstance(asked, dict):
            metadata = self.snapshot(run.session_id, checkpoint_id).metadata or {}
            step = metadata.get("step", -1)
        if checkpoint_id:
            told |= {"checkpoint": checkpoint_id, "step": step}
        run.tell("setup", {**geolocator.setup(), **told})
        if said is not None:
            run.tell("message", said)
        elif isinstance(asked, Command):
            run.tell("reply", {"reply": _plain(asked.resume)})
        else:
            run.tell("resumed", {"step": step, "checkpoint": checkpoint_id})

    def _forget(self) -> None:
        """Let go of the oldest runs that have ended."""
        ended = [key for key, run in self._runs.items() if run.status != "busy"]
        for key in ended[: max(0, len(ended) - ENDED_KEPT)]:
            del self._runs[key]

    def running(self, session_id: str) -> SessionRun | None:
        """Return the run that goes on in this process, or the latest one that ended here."""
        return self._runs.get(session_id)

    def stop(self, session_id: str) -> bool:
        """Have the run stop after its present step; whether one was going on in this process."""
        run = self.running(session_id)
        if run is None or run.status != "busy":
            return False
        run.stop()
        return True

    def stop_all(self, why: str) -> list[SessionRun]:
        """Ask all runs of this process to stop, and return those that were going on."""
        going = [run for run in list(self._runs.values()) if run.status == "busy"]
        for run in going:
            run.stop(why)
        return going

    def close(self) -> None:
        """Have runs stop, wait for them, and put everything away."""
        for run in self.stop_all("the program ends"):
            with contextlib.suppress(Exception):
                run.wait(30)
        self.geolocators.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ended(self, run: SessionRun, lock: SessionLock) -> None:
        """Note what became of a run, and let others write."""
        try:
            update: dict[str, Any] = {"status": run.status}
            if run.photos:
                held = self._read(run.session_id).photos
                update["photos"] = tuple(dict.fromkeys((*run.photos, *held)))
            if run.answer is not None:
                update |= {"revision": run.answer.revision, "headline": headline_of(run.answer)}
            if run.error is not None:
                update["error"] = printable(str(run.error), 500)
            self._change(run.session_id, update)
        except Exception:  # of SQLite, PostgreSQL, the disk: the trace and checkpoints have it all
            logger.exception("what became of session %s could not be noted", run.session_id)
        finally:
            lock.close()


def message_of(asked: InputState, *, first: bool) -> dict[str, JsonValue]:
    """Return what a person says with an input, for the trace; pixels are in the store.

    Args:
        asked: the input.
        first: whether its photo is new; later inputs name it again.
    """
    messages = asked.get("messages") or []
    photo = asked.get("photo_id") if first else None
    photos = [one for one in (photo, *(asked.get("views") or ())) if one]
    return {
        "text": "\n".join([*filter(None, [asked.get("hint")]), *spoken(messages)]),
        "photos": [*photos],
        "region": asked.get("region"),
        "withdraw": [*(asked.get("withdraw") or ())],
        "restore": [*(asked.get("restore") or ())],
        "trust_metadata": bool(asked.get("trust_metadata")),
    }


def _plain(reply: object) -> JsonValue:
    """Return a reply as JSON for the trace."""
    found: JsonValue = json.loads(json.dumps(reply, default=str))
    return found
