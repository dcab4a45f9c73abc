"""What sessions went through: states, answers, events, the moments they can be forked at."""

import json
from collections.abc import Iterator

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot
from pydantic import JsonValue

from agent.answer import Answer
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.graph import Graph, run_config
from agent.report_page import headline_of
from agent.session_fork import copied_checkpoints, copied_trace
from agent.session_moments import Past
from agent.session_records import Moment, SessionInfo, SessionOptions, UnknownSessionError
from agent.session_shelf import SessionShelf
from agent.session_store import SessionStore
from agent.settings import Settings
from agent.trace import Event, read_trace
from geo.errors import InputError


class SessionPast(SessionShelf):
    """Sessions as they went until now, and branches off them.

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
        past = Past(self.events(session_id))
        return [past.moment(one) for one in self.graph(geolocator).get_state_history(config)]

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
            InputError: the branch cannot investigate so.
            UnavailableError: something that its recipe needs is missing.
        """
        parent, at = self.get(session_id), self.snapshot(session_id, checkpoint_id)
        if at.created_at is None:
            raise UnknownSessionError(
                f"session {session_id} has not begun; there is nothing to fork"
            )
        self.geolocators.get(options or parent.options)  # what cannot run leaves no branch behind
        where = str(at.config["configurable"]["checkpoint_id"])
        moment = Past(self.events(session_id)).moment(at)
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

    def _config(
        self, session_id: str, geolocator: Geolocator, checkpoint_id: str = ""
    ) -> RunnableConfig:
        config = run_config(geolocator.budget.steps)
        config["configurable"] = {"thread_id": session_id, "checkpoint_ns": ""}
        if checkpoint_id:
            config["configurable"]["checkpoint_id"] = checkpoint_id
        return config
