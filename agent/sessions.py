"""Sessions: checkpointed threads that can be followed, stopped, resumed, forked and compared.

A session is a folder `sessions/ID` with the trace, and what LangGraph keeps of it (see
`agent.session_store`). Photos lie in the photo store, where sessions share them.
"""

import contextlib
import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateSnapshot, StreamMode
from pydantic import JsonValue

from agent.answer import Answer
from agent.geolocator import Geolocator, check_hint
from agent.geolocators import Geolocators
from agent.graph import Graph, run_config
from agent.report_page import headline_of
from agent.session_fork import copied_checkpoints, copied_trace
from agent.session_records import Moment, SessionInfo, SessionOptions, UnknownSessionError
from agent.session_run import Asked, SessionRun
from agent.session_shelf import SessionShelf, now
from agent.session_store import SessionLock, SessionStore
from agent.settings import Settings
from agent.state import InputState, spoken
from agent.trace import Event, Trace, read_trace
from encoders.photo_file import printable
from geo.errors import InputError
from tools.drawn import drawn_evidence
from tools.photos import Photo

logger = logging.getLogger(__name__)
ENDED_KEPT = 64
"""Runs of this process that may still be followed after their end."""


class Sessions(SessionShelf):
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
        super().__init__(settings, store)
        self.geolocators = geolocators or Geolocators(settings)
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
        elif isinstance(asked, dict):
            run.tell("message", message_of(asked))
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

    def graph(self, geolocator: Geolocator) -> Graph:
        """Return a geolocator's graph with the checkpoints of these sessions."""
        return self.geolocators.graph(geolocator, self.store.saver)

    def snapshot(self, session_id: str, checkpoint_id: str = "") -> StateSnapshot:
        """Return LangGraph's state of a session, the latest or that of a checkpoint.

        Raises:
            UnknownSessionError: there is no such session or checkpoint.
        """
        geolocator = self.geolocators.get(self.get(session_id).options)
        config = self._config(session_id, geolocator, checkpoint_id)
        found = self.graph(geolocator).get_state(config)
        if checkpoint_id and found.created_at is None:
            raise UnknownSessionError(
                f"session {session_id} has no checkpoint {checkpoint_id!r:.60}; its history lists "
                "those there are"
            )
        return found

    def answer(self, session_id: str, revision: int = 0) -> Answer | None:
        """Return the latest answer, or that of a revision; None before the first.

        Raises:
            InputError: there is no such revision.
        """
        found = list(self.answers(session_id))
        if not revision:
            return found[-1] if found else None
        # A run that went on from an earlier checkpoint may have answered the same revision again.
        named = [answer for answer in found if answer.revision == revision]
        if not named:
            known = sorted({answer.revision for answer in found})
            raise InputError(
                f"session {session_id} has no answer {revision}, but {known or 'none yet'}; leave "
                "the revision out for the latest"
            )
        return named[-1]

    def answers(self, session_id: str) -> Iterator[Answer]:
        """Yield the answers of a session, first to latest."""
        for event in self.events(session_id):
            if event.kind == "answer":
                yield Answer.model_validate_json(json.dumps(event.data))

    def events(self, session_id: str, after: int = 0) -> Iterator[Event]:
        """Yield the events of a session's trace that are written by now.

        Args:
            session_id: whose.
            after: number of the last event that is known already.
        """
        self.get(session_id)
        path = self.trace_path(session_id)
        if path.exists() and path.stat().st_size:
            for event in read_trace(path):
                if event.number > after:
                    yield event

    def history(self, session_id: str) -> list[Moment]:
        """Return the moments of a session that it can be forked from, the latest first."""
        geolocator = self.geolocators.get(self.get(session_id).options)
        config = self._config(session_id, geolocator)
        ends = self._node_ends(session_id)
        return [_moment(one, ends) for one in self.graph(geolocator).get_state_history(config)]

    def fork(
        self,
        session_id: str,
        checkpoint_id: str = "",
        *,
        name: str = "",
        options: SessionOptions | None = None,
    ) -> SessionInfo:
        """Branch off a session at a checkpoint: a new session with the same past.

        Args:
            session_id: whose.
            checkpoint_id: where; the latest by default.
            name: of the branch.
            options: how the branch investigates; as before by default.

        Returns:
            The branch. `resume` has it go on from there where nodes were to run, `send` says
            something else.

        Raises:
            UnknownSessionError: there is no such session or checkpoint.
        """
        parent, at = self.get(session_id), self.snapshot(session_id, checkpoint_id)
        if at.created_at is None:
            raise UnknownSessionError(
                f"session {session_id} has not begun; there is nothing to fork"
            )
        where = str(at.config["configurable"]["checkpoint_id"])
        moment = _moment(at, self._node_ends(session_id))
        branch = self.create(
            name=name or f"{parent.name} (branch)", options=options or parent.options
        )
        copied_checkpoints(self.store.saver, session_id, branch.id, where)
        told: dict[str, JsonValue] = {
            "session": session_id, "checkpoint": where, "events": moment.events,
            "options": (options or parent.options).model_dump(mode="json"),
        }  # fmt: skip
        copied_trace(self.trace_path(session_id), self.trace_path(branch.id), moment.events, told)
        answer = at.values.get("answer")
        branch = branch.model_copy(
            update={
                "photos": tuple(at.values.get("photos") or parent.photos),
                "parent": session_id,
                "parent_checkpoint": where,
                "status": "stopped" if at.next else "idle",
                "revision": moment.revision,
                "headline": headline_of(answer) if answer else "",
            }
        )
        self._write(branch)
        return branch

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

    def _config(
        self, session_id: str, geolocator: Geolocator, checkpoint_id: str = ""
    ) -> RunnableConfig:
        config = run_config(geolocator.budget.steps)
        config["configurable"] = {"thread_id": session_id, "checkpoint_ns": ""}
        if checkpoint_id:
            config["configurable"]["checkpoint_id"] = checkpoint_id
        return config

    def _ended(self, run: SessionRun, lock: SessionLock) -> None:
        """Note what became of a run, and let others write."""
        try:
            update: dict[str, Any] = {"status": run.status}
            if run.photos:
                held = self.get(run.session_id).photos
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

    def _node_ends(self, session_id: str) -> list[tuple[int, int]]:
        """Return (step of the graph, number of the event) where nodes ended.

        The answer belongs to the node that concluded it.
        """
        ends: list[tuple[int, int]] = []
        for event in self.events(session_id):
            if event.kind == "node":
                ends.append((int(str(event.data["step"])), event.number))
            elif event.kind == "answer" and ends:
                ends[-1] = (ends[-1][0], event.number)
        return ends


def _moment(at: StateSnapshot, ends: Sequence[tuple[int, int]]) -> Moment:
    step = int((at.metadata or {}).get("step", -1))
    answer = at.values.get("answer")
    parent = at.parent_config or {}
    return Moment(
        checkpoint_id=str(at.config["configurable"]["checkpoint_id"]),
        parent_id=str(parent.get("configurable", {}).get("checkpoint_id", "")),
        step=step,
        next=at.next,
        at=at.created_at or "",
        steps=len(at.values.get("steps") or ()),
        evidence=len(at.values.get("evidence") or ()),
        revision=answer.revision if answer else 0,
        events=max((number for ended, number in ends if ended <= step), default=0),
    )


def message_of(asked: InputState) -> dict[str, JsonValue]:
    """Return what a person says with an input, for the trace; pixels are in the store."""
    messages = asked.get("messages") or []
    photos = [one for one in (asked.get("photo_id"), *(asked.get("views") or ())) if one]
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
