"""Where sessions are kept: LangGraph's checkpoints and store, in SQLite or PostgreSQL.

Checkpoints are compressed: each holds the whole state again, most of which the one before had.
"""

import fcntl
import os
import sqlite3
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agent.checkpoints import RECORDS
from geo.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.store.base import BaseStore

SUFFIX = "+zlib"
STORAGE_ERRORS = ("sqlite3", "psycopg")
"""Modules whose errors tell of a full disk or a server that went away."""
BUSY_S = 30.0
"""How long another process may hold the file before a write gives up."""


class CompressedSerializer:
    """LangGraph's own serializer, which knows our records, and zlib after it."""

    def __init__(self) -> None:
        from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

        self._plain = JsonPlusSerializer(allowed_msgpack_modules=RECORDS)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return the type and the compressed bytes of an object."""
        kind, data = self._plain.dumps_typed(obj)
        return kind + SUFFIX, zlib.compress(data, 6)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the object; one that was written uncompressed is read, too."""
        kind, packed = data
        if kind.endswith(SUFFIX):
            kind, packed = kind.removesuffix(SUFFIX), zlib.decompress(packed)
        return self._plain.loads_typed((kind, packed))


class SessionLock(Protocol):
    """Held by who writes to a session."""

    def close(self) -> None:
        """Let others write."""
        ...


@dataclass(frozen=True)
class FileLock:
    """An open file that no other process has locked."""

    descriptor: int

    def close(self) -> None:
        """Let others write."""
        os.close(self.descriptor)


@dataclass(frozen=True)
class SessionStore:
    """Checkpoints, and beside them what is known of sessions.

    Attributes:
        saver: LangGraph's checkpointer.
        items: LangGraph's key-value store.
        lock: returns a session's lock, or None where somebody else writes to it; it ends with the
            process, however that ends.
        close: puts all of it away.
    """

    saver: "BaseCheckpointSaver[Any]"
    items: "BaseStore"
    lock: Callable[[str], "SessionLock | None"]
    close: Callable[[], None]


def open_store(url: str, home: Path) -> SessionStore:
    """Open the store of sessions.

    Args:
        url: `postgresql://USER@HOST/DATABASE`; empty for `sessions.sqlite` in the home folder.
        home: see `agent.settings.Settings.home`.

    Raises:
        InputError: the address is of neither kind.
        UnavailableError: the file or the server cannot be used, or the extra is not installed.
    """
    if not url:
        return _sqlite(home / "sessions.sqlite")
    if url.startswith(("postgresql://", "postgres://")):
        return _postgres(url)
    scheme = url.partition("://")[0]
    raise InputError(
        f"sessions cannot be kept in {scheme!r:.40}; give postgresql://USER@HOST/DATABASE, or "
        "leave GRATICULE_SESSIONS_URL empty for a file"
    )


def _sqlite(path: Path) -> SessionStore:
    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.store.sqlite import SqliteStore

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connections = [
            sqlite3.connect(path, BUSY_S, 0, level, check_same_thread=False)
            for level in ("DEFERRED", None)
        ]
        for connection in connections:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")  # with WAL, whole after a crash
        saver = SqliteSaver(connections[0], serde=CompressedSerializer())
        saver.setup()
        store = SqliteStore(connections[1])
        store.setup()
    except (OSError, sqlite3.Error) as error:
        raise UnavailableError(
            f"sessions cannot be kept in {str(path)!r} ({error}); free the disk, or set "
            "GRATICULE_HOME"
        ) from None

    def close() -> None:
        for connection in connections:
            connection.close()

    return SessionStore(saver, store, partial(_file_lock, path.parent / "sessions"), close)


def _file_lock(root: Path, session_id: str) -> FileLock | None:
    folder = root / session_id
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return FileLock(descriptor)


def _postgres(url: str) -> SessionStore:
    try:
        from langgraph.checkpoint.postgres import PostgresSaver
        from langgraph.store.postgres import PostgresStore
        from psycopg import Connection, Error
        from psycopg.rows import DictRow, dict_row
        from psycopg_pool import ConnectionPool
    except ImportError as error:
        raise UnavailableError(
            f"package {error.name!r} is not installed; run pip install 'graticule[postgres]'"
        ) from None
    given = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: ConnectionPool[Connection[DictRow]] = ConnectionPool(
        url, min_size=1, max_size=20, open=False, kwargs=given, timeout=BUSY_S
    )
    try:
        pool.open(wait=True, timeout=BUSY_S)
        saver = PostgresSaver(pool, serde=CompressedSerializer())
        saver.setup()
        store = PostgresStore(pool)
        store.setup()
    except Error as error:
        pool.close()
        where = url.rpartition("@")[2]
        raise UnavailableError(
            f"no sessions at postgresql://{where} ({error}); start it, or correct "
            "GRATICULE_SESSIONS_URL",
            retryable=True,
        ) from None

    def lock(session_id: str) -> SessionLock | None:
        # A connection of its own: the server lets go of the lock where that ends.
        held = Connection.connect(url, autocommit=True)
        told = held.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [session_id])
        row = told.fetchone()
        if row and row[0]:
            return held
        held.close()
        return None

    return SessionStore(saver, store, lock, pool.close)
