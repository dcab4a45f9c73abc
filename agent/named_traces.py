"""A trace by its file, by the case file that holds it, or by the session whose it is."""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Return the trace of a case file, for as long as this lasts; any other file as it is.

    Raises:
        InputError: the case file was changed, or holds no trace.
    """
    if not (path.is_file() and zipfile.is_zipfile(path)):
        yield path
        return
    from agent.case_file import extract_trace

    with tempfile.TemporaryDirectory(prefix="trace-") as folder:
        yield extract_trace(path, Path(folder))


def trace_named(path: Path) -> Path:
    """Return the file of a trace.

    Args:
        path: a file, or a session: its name, its id or how that begins.

    Raises:
        InputError: it is neither.
    """
    named = str(path)
    if path.exists() or path.is_symlink():
        return path
    if "/" in named or named.endswith(".jsonl"):
        raise InputError(
            f"there is no trace {printable(named, 400)!r}; check the path, or give a session"
        )
    return _of_session(named)


def _of_session(named: str) -> Path:
    from agent.session_records import UnknownSessionError
    from agent.sessions import Sessions
    from agent.settings import load_settings

    with Sessions(load_settings()) as sessions:
        try:
            found = sessions.trace_path(sessions.find(named).id)
        except UnknownSessionError as error:
            shown = printable(named, 400)
            raise InputError(f"{shown!r} is no file (check the path), and {error}") from None
    if not found.exists():
        raise InputError(f"session {printable(named, 60)!r} has not run yet; it has no trace")
    return found
