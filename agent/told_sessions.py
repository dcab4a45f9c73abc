"""Sessions as faces see them: everything that they read is told no finer than the settings allow.

One choke point instead of a filter in every route: a face that holds `told(sessions)` cannot tell
more, whatever it does with it. What is stored stays exact. Where everything may be told it is the
sessions themselves.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from langgraph.types import StateSnapshot, StreamMode
from pydantic import JsonValue

from agent.answer import Answer
from agent.geolocator import Geolocator
from agent.graph import Graph
from agent.report_page import headline_of
from agent.session_records import Assessment, Moment, SessionInfo, SessionOptions
from agent.session_run import Asked, SessionRun
from agent.session_shelf import MOST_LISTED
from agent.sessions import Sessions
from agent.telling import WITHHELD_MODES, Teller
from agent.told_photos import ToldPhotos
from agent.told_runs import ToldGraph, ToldRun
from agent.trace import Event
from geo.errors import GeolocationError, InputError
from geo.gazetteer import Gazetteer
from tools.photo_store import Photo

HEADLINES = 200
"""Listed at once with where each was taken; of longer lists the rest says that it has answered."""
MOST_HEADLINES = 10_000
_FILE_NAME = re.compile(r"(?i)\.(jpe?g|png|webp|hei[cf]|avif|tiff?|gif|bmp|jxl)\b")


def told(sessions: Sessions) -> Sessions:
    """Return sessions that tell no finer than their settings allow; always the same ones."""
    if sessions.settings.disclosure == "exact" or isinstance(sessions, ToldSessions):
        return sessions
    held = vars(sessions)
    if "_told" not in held:
        held["_told"] = ToldSessions(sessions)
    found = held["_told"]
    assert isinstance(found, ToldSessions)
    return found


def exact(sessions: Sessions) -> Sessions:
    """Return the sessions behind `told`: for what coarsens by itself, such as exports."""
    return sessions.behind if isinstance(sessions, ToldSessions) else sessions


class ToldSessions(Sessions):
    """See `told`; every public name of `Sessions` is one of these.

    A model may not ask back in sessions that begin here: its questions name places in any words.

    Args:
        behind: the exact ones, which whoever made them closes.
    """

    def __init__(self, behind: Sessions) -> None:
        self.behind = behind
        self.settings, self.store = behind.settings, behind.store
        self.geolocators, self.observers = behind.geolocators, behind.observers
        self.teller = Teller(behind.settings.disclosure, self._gazetteer, behind.answers)
        self.photos = ToldPhotos(behind.photos, self._of_sessions)
        self._headlines: dict[tuple[str, int, str], str] = {}

    def _gazetteer(self) -> Gazetteer:
        return self.geolocators.get(SessionOptions()).bench.gazetteer

    def _of_sessions(self) -> Iterator[str]:
        return (photo for info in self.behind.search() for photo in info.photos)

    # What is known of sessions

    def create(
        self,
        photo: Path | str | bytes | Photo | None = None,
        *,
        name: str = "",
        options: SessionOptions | None = None,
        session_id: str = "",
        metadata: dict[str, JsonValue] | None = None,
    ) -> SessionInfo:
        """Begin a session; see `Sessions.create`."""
        options = _unasking(options or SessionOptions())
        return self._info(
            self.behind.create(
                self.held_photo(photo) if photo else None,
                name=name,
                options=options,
                session_id=session_id,
                metadata=metadata,
            )
        )

    def held_photo(self, photo: Path | str | bytes | Photo) -> Photo:
        """Return a photo of the store, whole, for what is stored."""
        found = super().held_photo(photo)
        return self.behind.photos.get(self.photos.get(found.id).id)

    def get(self, session_id: str) -> SessionInfo:
        """Return what is known of a session; see `Sessions.get`."""
        return self._info(self.behind.get(session_id))

    def find(self, prefix: str) -> SessionInfo:
        """Return the session whose id begins so, or whose name is this; see `Sessions.find`."""
        return self._info(self.behind.find(prefix))

    def search(
        self, query: str = "", limit: int = MOST_LISTED, offset: int = 0
    ) -> list[SessionInfo]:
        """Return sessions, the latest first, whose name or id holds the words of a query."""
        words = query.casefold().split()
        found = [
            row for row in self.behind.search()
            if all(word in f"{self._name(row)} {row.id}".casefold() for word in words)
        ] if words else self.behind.search()  # fmt: skip
        rows = found[offset : offset + limit]
        return [self._info(row, at < HEADLINES) for at, row in enumerate(rows)]

    def _info(self, info: SessionInfo, read: bool = True) -> SessionInfo:
        error = f"the run failed; {self.teller.words}" if info.error else ""
        changed = {
            "headline": self._headline(info, read), "name": self._name(info), "error": error
        }  # fmt: skip
        return info.model_copy(update=changed)

    def _name(self, info: SessionInfo) -> str:
        """Return a session's name; one that is its file's may tell the place."""
        name = info.name
        if not name or not info.photos:
            return name
        of_file = ""
        with contextlib.suppress(GeolocationError):
            of_file = self.behind.photos.get(info.photos[0]).name
        if _FILE_NAME.search(name) or (of_file and of_file in name):
            return f"photo {info.photos[0][:8]}"
        return name

    def _headline(self, info: SessionInfo, read: bool) -> str:
        """Return the headline of the latest answer as it is told."""
        if not info.headline:
            return ""
        key = (info.id, info.revision, info.headline)
        if key not in self._headlines:
            if not read:
                return f"Answered; {self.teller.words}"
            answer = self.answer(info.id)
            made = headline_of(answer) if answer else ""
            while len(self._headlines) >= MOST_HEADLINES:
                self._headlines.pop(next(iter(self._headlines)), None)
            self._headlines[key] = made
        return self._headlines[key]

    def update(
        self,
        session_id: str,
        *,
        name: str | None = None,
        options: SessionOptions | None = None,
        metadata: dict[str, JsonValue] | None = None,
    ) -> SessionInfo:
        """Rename a session, or change how it investigates; see `Sessions.update`."""
        options = _unasking(options) if options else None
        return self._info(
            self.behind.update(session_id, name=name, options=options, metadata=metadata)
        )

    def delete(self, session_id: str) -> None:
        """Delete a session; see `Sessions.delete`."""
        self.behind.delete(session_id)

    def assess(self, session_id: str, assessment: Assessment) -> Assessment:
        """Keep an analyst's verdict and notes; see `Sessions.assess`."""
        return self.behind.assess(session_id, assessment)

    def assessments(self, session_id: str) -> list[Assessment]:
        """Return the verdicts of a session; notes and positions are withheld."""
        return [
            Assessment(verdict=one.verdict, revision=one.revision, at=one.at)
            for one in self.behind.assessments(session_id)
        ]

    def folder(self, session_id: str) -> Path:
        """Return the session's folder, for whoever does not tell what lies there."""
        return self.behind.folder(session_id)

    def trace_path(self, session_id: str) -> Path:
        """Return where the trace lies, for whoever does not tell what it holds."""
        return self.behind.trace_path(session_id)

    # What runs

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
        """Say something in a session; see `Sessions.send`. Evidence goes by its told ids."""
        self._check(modes)
        info = self.behind.get(session_id)
        if info.options.ask and info.status != "waiting":
            self.behind.update(session_id, options=_unasking(info.options))
        return self._run(
            self.behind.send(
                session_id, text, photos=[self.held_photo(one) for one in photos],
                region=region, modes=modes,
                withdraw=self._named(session_id, withdraw),
                restore=self._named(session_id, restore),
            )
        )  # fmt: skip

    def resume(
        self, session_id: str, reply: object = None, *, modes: Sequence[StreamMode] = ()
    ) -> SessionRun:
        """Go on with a session; see `Sessions.resume`."""
        self._check(modes)
        return self._run(self.behind.resume(session_id, reply, modes=modes))

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
        """Run the graph of a session; see `Sessions.run`.

        Raises:
            InputError: a stream mode cannot be told coarser.
        """
        self._check(modes)
        if isinstance(asked, dict):
            asked = asked.copy()
            if named := asked.get("withdraw"):
                asked["withdraw"] = self._named(session_id, named)
            if named := asked.get("restore"):
                asked["restore"] = self._named(session_id, named)
        return self._run(
            self.behind.run(
                session_id, asked, info=self._kept(session_id, info), said=said,
                checkpoint_id=checkpoint_id, modes=modes, run_id=run_id, limits=limits,
            )
        )  # fmt: skip

    def _check(self, modes: Sequence[StreamMode]) -> None:
        if refused := WITHHELD_MODES.intersection(modes):
            raise InputError(
                f"stream mode {min(refused)}: {self.teller.words}; ask for values, updates, "
                "messages or custom"
            )

    def _named(self, session_id: str, given: Sequence[str]) -> list[str]:
        """Return the ids of evidence that was told under others.

        Raises:
            InputError: nothing was told under one of them.
        """
        known = self.teller.names(session_id) if given else {}
        if unknown := [one for one in given if one not in known]:
            raise InputError(
                f"there is no evidence {unknown[0][:40]!r} in the answers of session {session_id}"
            )
        return [known[one] for one in given]

    def _kept(self, session_id: str, info: SessionInfo | None) -> SessionInfo:
        """Return what a face makes known of a session, and what it was not told as it is."""
        held = self.behind.get(session_id)
        if info is None:
            info = self._info(held)
        name = held.name if info.name == self._name(held) else info.name
        if not name and info.photos:
            with contextlib.suppress(GeolocationError):
                name = self.behind.photos.get(info.photos[0]).name
        options = info.options if held.status == "waiting" else _unasking(info.options)
        return info.model_copy(
            update={"headline": held.headline, "error": held.error, "name": name,
                    "options": options}
        )  # fmt: skip

    def _run(self, run: SessionRun) -> SessionRun:
        return cast(SessionRun, ToldRun(run, self.teller))

    def running(self, session_id: str) -> SessionRun | None:
        """Return the run that goes on in this process; see `Sessions.running`."""
        found = self.behind.running(session_id)
        return self._run(found) if found else None

    def stop(self, session_id: str) -> bool:
        """Have a run stop; see `Sessions.stop`."""
        return self.behind.stop(session_id)

    def stop_all(self, why: str) -> list[SessionRun]:
        """Have all runs stop; see `Sessions.stop_all`."""
        return [self._run(run) for run in self.behind.stop_all(why)]

    def close(self) -> None:
        """Close the sessions behind."""
        self.behind.close()

    # What was found

    def graph(self, geolocator: Geolocator) -> Graph:
        """Return a graph whose states are told; it does not run."""
        return cast(Graph, ToldGraph(self.behind.graph(geolocator), self.teller))

    def snapshot(self, session_id: str, checkpoint_id: str = "") -> StateSnapshot:
        """Return a state as it may be told; see `Sessions.snapshot`."""
        return self.teller.snapshot(session_id, self.behind.snapshot(session_id, checkpoint_id))

    def answer(self, session_id: str, revision: int = 0) -> Answer | None:
        """Return an answer as it may be told; see `Sessions.answer`."""
        found = self.behind.answer(session_id, revision)
        return self.teller.answer(session_id, found) if found else None

    def answers(self, session_id: str) -> Iterator[Answer]:
        """Yield the answers of a session as they may be told."""
        for found in self.behind.answers(session_id):
            yield self.teller.answer(session_id, found)

    def events(self, session_id: str, after: int = 0) -> Iterator[Event]:
        """Yield what may be told of a session's events."""
        for event in self.behind.events(session_id, after):
            if (found := self.teller.event(session_id, event)) is not None:
                yield found

    def history(self, session_id: str) -> list[Moment]:
        """Return the moments of a session, which tell names and counts alone."""
        return self.behind.history(session_id)

    def fork(
        self,
        session_id: str,
        checkpoint_id: str = "",
        *,
        name: str = "",
        options: SessionOptions | None = None,
    ) -> SessionInfo:
        """Branch off a session; see `Sessions.fork`."""
        options = _unasking(options or self.behind.get(session_id).options)
        return self._info(self.behind.fork(session_id, checkpoint_id, name=name, options=options))


def _unasking(options: SessionOptions) -> SessionOptions:
    return options.model_copy(update={"ask": False})
