"""Files that survive interruption: atomic writes and a lock on a folder."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
import sys
import time
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError

PARTIAL = ".part-"
"""How the names of files being written begin."""
STALE_S = 24 * 3600.0
_BINARY = getattr(os, "O_BINARY", 0)
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that at any moment it holds the old bytes or the new, never a part.

    Raises:
        InputError: the place cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not mkstemp: its files stay private, and galleries may be shared.
        temporary = path.parent / f"{PARTIAL}{secrets.token_hex(8)}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def read_regular(path: Path) -> bytes:
    """Return the bytes of a regular file; a pipe or a device would block or never end.

    Raises:
        OSError: it cannot be read or is none.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "a pipe or a device, not a file")
        return file.read()


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def sweep(folder: Path, pattern: str = f"**/{PARTIAL}*", *, older_s: float = STALE_S) -> None:
    """Delete what writers that were killed left in `folder`.

    Args:
        folder: and what is below it.
        pattern: of the files.
        older_s: leave alone what is younger; 0 for a folder whose lock one holds.
    """
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):  # somebody else was faster, or it is not ours
            if path.lstat().st_mtime <= time.time() - older_s:
                path.unlink()


def check_space(folder: Path, needed: int) -> None:
    """Refuse to go on writing where the disk is almost full.

    Files that are mapped into memory cannot report a full disk: the system ends the process.

    Raises:
        InputError: fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{free / 1e6:,.0f} MB free on the disk of {printable(str(folder))!r}, "
            f"{needed / 1e6:,.0f} MB are needed to go on; free space and run the same command "
            "again, it goes on where it stopped"
        )


def read_only(folder: Path, reason: str | None) -> InputError:
    """Return the error of a gallery that this user may not write to."""
    return InputError(
        f"gallery {printable(str(folder))!r} is read-only ({reason}), but even searching needs "
        "write access; copy it to a folder you may write to"
    )


def unwritable(path: Path, error: OSError) -> InputError:
    """Return the error of a file that cannot be written, for want of space or of rights."""
    return InputError(
        f"cannot write {printable(str(path))!r} ({error.strerror}); free space or choose a "
        "folder you may write to"
    )


class FolderLock:
    """Held while a folder is open; the system drops it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock of `folder`.

        Raises:
            InputError: the folder cannot be written to.
            UnavailableError: another process, or this one, holds it.
        """
        try:
            self._file = open(folder / "lock", "a+")  # noqa: SIM115 - held open on purpose
        except OSError as error:
            if error.errno in _READ_ONLY and (folder / "manifest.json").exists():
                raise read_only(folder, error.strerror) from None
            raise unwritable(folder / "lock", error) from None
        if not take_lock(self._file.fileno()):
            self._file.seek(0)
            holder = self._file.read(20).strip() or "unknown"
            self._file.close()
            raise UnavailableError(
                f"gallery {printable(str(folder))!r} is open in process {printable(holder)}; "
                "wait for it to end",
                retryable=True,
            )
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Let others have it; twice does no harm."""
        self._file.close()


def take_lock(descriptor: int) -> bool:
    """Lock an open file for this process; say whether nobody else has it.

    The system drops the lock when the file is closed, or when the process ends.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # beyond what others read
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
