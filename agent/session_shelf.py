"""The shelf of sessions: what is known of each, who may write to it, what analysts made of it."""

import contextlib
import json
import re
import shutil
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from agent.session_records import (
    Assessment,
    SessionBusyError,
    SessionInfo,
    SessionOptions,
    UnknownSessionError,
)
from agent.session_store import SessionLock, SessionStore, open_store
from agent.settings import Settings
from encoders.photo_file import printable
from geo.errors import InputError
from tools.photos import Photo, PhotoStore

SESSIONS, ASSESSMENTS = ("sessions",), ("assessments",)
"""Namespaces of LangGraph's store."""
MOST_LISTED = 100_000
LONGEST_NAME = 200
LOCK_TRIES, LOCK_WAIT_S = 5, 0.02
"""Who only looks whether a session runs holds its lock for a moment, too."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class SessionShelf:
    """Sessions as they lie there, whether or not they run.

    Args:
        settings: where sessions, photos and traces are kept.
        store: opened already; by default as the settings say.
    """

    def __init__(self, settings: Settings, store: SessionStore | None = None) -> None:
        self.settings = settings
        self.photos = PhotoStore(settings.photos)
        self._changing = threading.RLock()
        self.store = store or open_store(settings.sessions_url.get_secret_value(), settings.home)

    def create(
        self,
        photo: Path | str | bytes | Photo | None = None,
        *,
        name: str = "",
        options: SessionOptions | None = None,
        session_id: str = "",
        metadata: dict[str, JsonValue] | None = None,
    ) -> SessionInfo:
        """Begin a session, with a photo or without one yet.

        Args:
            photo: path or bytes of an image, or a photo of the store; `send` locates it.
            name: for people; the photo's name by default.
            options: how its runs investigate.
            session_id: a UUID; a new one by default.
            metadata: a client's own.

        Raises:
            InputError: the photo cannot be used, or the id is taken or no UUID.
        """
        session_id = session_id or str(uuid.uuid4())
        if not _ID.fullmatch(session_id):
            raise InputError(
                f"session id {session_id!r:.80} is no UUID in lower case; leave it out"
            )
        if self.store.items.get(SESSIONS, session_id) is not None:
            raise InputError(f"there is a session {session_id} already; leave the id out")
        held = self.held_photo(photo) if photo else None
        created = now()
        info = SessionInfo(
            id=session_id,
            name=printable(name or (held.name if held else ""), LONGEST_NAME),
            created=created,
            updated=created,
            photos=(held.id,) if held else (),
            options=options or SessionOptions(),
            metadata=metadata or {},
        )
        self._write(info)
        return info

    def held_photo(self, photo: Path | str | bytes | Photo) -> Photo:
        """Return a photo of the store, where it is put if it is not there yet.

        Raises:
            InputError: it cannot be used.
        """
        if isinstance(photo, Photo):
            return photo
        return self.photos.add(Path(photo) if isinstance(photo, str) else photo)

    def get(self, session_id: str) -> SessionInfo:
        """Return what is known of a session.

        Raises:
            UnknownSessionError: there is none of this id.
        """
        return self._seen(self._read(session_id))

    def _read(self, session_id: str) -> SessionInfo:
        """Return what is written of a session, which may be left from a process that is gone."""
        item = self.store.items.get(SESSIONS, session_id)
        if item is None:
            raise UnknownSessionError(
                f"there is no session {printable(session_id, 60)!r}; `graticule sessions list` "
                "shows those there are"
            )
        return SessionInfo.model_validate_json(json.dumps(item.value))

    def find(self, prefix: str) -> SessionInfo:
        """Return the session whose id begins so, or whose name is this.

        Raises:
            UnknownSessionError: there is none, or several.
        """
        if _ID.fullmatch(prefix):
            return self.get(prefix)
        found = [one for one in self.search() if one.id.startswith(prefix) or one.name == prefix]
        if len(found) == 1:
            return found[0]
        told = f"{len(found)} sessions fit" if found else "there is no session"
        raise UnknownSessionError(
            f"{told} {printable(prefix, 60)!r}; give an id that `graticule sessions list` shows"
        )

    def search(
        self, query: str = "", limit: int = MOST_LISTED, offset: int = 0
    ) -> list[SessionInfo]:
        """Return sessions, the latest first.

        Args:
            query: words, all of which occur in name, headline or id.
            limit: at most so many.
            offset: of the first.
        """
        items = self.store.items.search(SESSIONS, limit=MOST_LISTED)
        rows = [SessionInfo.model_validate_json(json.dumps(item.value)) for item in items]
        words = query.casefold().split()
        found = [
            row for row in rows
            if all(word in f"{row.name} {row.headline} {row.id}".casefold() for word in words)
        ]  # fmt: skip
        found.sort(key=lambda row: row.updated, reverse=True)
        return [self._seen(row) for row in found[offset : offset + limit]]

    def update(
        self,
        session_id: str,
        *,
        name: str | None = None,
        options: SessionOptions | None = None,
        metadata: dict[str, JsonValue] | None = None,
    ) -> SessionInfo:
        """Rename a session, or change how its next runs investigate.

        Raises:
            UnknownSessionError: there is none of this id.
        """
        changed = {"name": None if name is None else printable(name, LONGEST_NAME),
                   "options": options, "metadata": metadata}  # fmt: skip
        given = {key: value for key, value in changed.items() if value is not None}
        return self._change(session_id, given)

    def delete(self, session_id: str) -> None:
        """Delete a session: checkpoints, trace, and the photos that no other session has.

        Raises:
            UnknownSessionError: there is none of this id.
            SessionBusyError: it is running.
        """
        info = self.get(session_id)
        with contextlib.closing(self._locked(session_id)):
            self.store.saver.delete_thread(session_id)
            self.store.items.delete(SESSIONS, session_id)
            self.store.items.delete(ASSESSMENTS, session_id)
            shutil.rmtree(self.folder(session_id), ignore_errors=True)
        others = {photo for one in self.search() for photo in one.photos}
        for photo in info.photos:
            if photo not in others:
                self.photos.remove(photo)

    def assess(self, session_id: str, assessment: Assessment) -> Assessment:
        """Keep an analyst's verdict and notes with a session; later ones join earlier ones.

        Args:
            session_id: whose.
            assessment: of the latest answer where it names no revision.

        Raises:
            InputError: there is no such revision yet.
        """
        latest = self.get(session_id).revision
        if assessment.revision > latest:
            raise InputError(
                f"session {session_id} has {latest} answers, not {assessment.revision}; leave the "
                "revision out for the latest"
            )
        named = {"revision": assessment.revision or latest, "at": assessment.at or now()}
        dated = assessment.model_copy(update=named)
        held = [*self.assessments(session_id), dated]
        rows: dict[str, Any] = {"rows": [one.model_dump(mode="json") for one in held]}
        self.store.items.put(ASSESSMENTS, session_id, rows)
        return dated

    def assessments(self, session_id: str) -> list[Assessment]:
        """Return the verdicts and notes of a session, first to latest."""
        item = self.store.items.get(ASSESSMENTS, session_id)
        rows = item.value["rows"] if item else []
        return [Assessment.model_validate_json(json.dumps(row)) for row in rows]

    def folder(self, session_id: str) -> Path:
        """Return the session's folder, which may not exist yet."""
        return self.settings.home / "sessions" / session_id

    def trace_path(self, session_id: str) -> Path:
        """Return where the session's trace lies."""
        return self.folder(session_id) / "trace.jsonl"

    def _seen(self, info: SessionInfo) -> SessionInfo:
        """Return what is known of a session; one whose process was killed has stopped."""
        if info.status == "busy" and not self._is_written(info.id):
            return info.model_copy(update={"status": "stopped"})
        return info

    def _change(self, session_id: str, update: dict[str, Any]) -> SessionInfo:
        """Change what is known of a session; nobody else here does at the same time."""
        with self._changing:
            info = self._read(session_id).model_copy(update={**update, "updated": now()})
            self._write(info)
        return self._seen(info)

    def _write(self, info: SessionInfo) -> None:
        self.store.items.put(SESSIONS, info.id, info.model_dump(mode="json"))

    def _locked(self, session_id: str) -> SessionLock:
        """Return the lock of a session; closing it lets others write.

        Raises:
            SessionBusyError: somebody else holds it.
        """
        for _ in range(LOCK_TRIES):
            if (lock := self.store.lock(session_id)) is not None:
                return lock
            time.sleep(LOCK_WAIT_S)
        raise SessionBusyError(
            f"session {session_id} is running; wait for it or stop it first", retryable=True
        )

    def _is_written(self, session_id: str) -> bool:
        if (lock := self.store.lock(session_id)) is None:
            return True
        lock.close()
        return False


def now() -> str:
    """Return the time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
