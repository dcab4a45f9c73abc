"""Getting published weights: from the hub, from a mirror, or from a folder; the only downloads.

Files that are there and checked are left alone; files put there by hand are checked; what is
missing is fetched. Two processes never write the same folder.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from encoders.download import NotOnServerError, download
from encoders.partial import REJECTED, Received, Stage, Tell, Wanted, copy, digest
from encoders.photo_file import printable
from encoders.weights import RECEIPT, FileRow, file_row, published, read_receipt
from encoders.weights_table import PublishedFile, PublishedWeights
from geo.errors import InputError, UnavailableError

HUB_URL = "https://huggingface.co"

TellFile = Callable[[str, Stage, int, int], None]
"""Told the file's name, what is being done, how many bytes are done, and of how many."""


def get_weights(
    name: str,
    home: Path,
    *,
    hub_url: str = HUB_URL,
    source: str = "",
    tell: TellFile | None = None,
    wait_s: float = 1.0,
) -> list[FileRow]:
    """Get what is missing of the weights called `name`, and check what is there.

    Args:
        name: of the catalogue.
        home: the folder everything lives under.
        hub_url: base address of the hub or a mirror of its layout.
        source: take the files from here instead: a folder, the address of one, or, where there
            is one file only, that file.
        tell: told of progress.
        wait_s: before the second try where a server fails.

    Returns:
        Its files, all present.

    Raises:
        InputError: no such weights, or `source` lacks a file or has another.
        UnavailableError: unreachable, refused, stopped half-way, the wrong file, no space, or
            another process is at it.
    """
    entry = published(name)
    folder = home / "weights" / entry.name
    places = _Places(entry, hub_url, source)
    with _alone(folder):
        for file in entry.files:
            row = file_row(folder, file)
            if row.state == "present" and row.stated_by:
                continue
            told = _for_file(tell, Path(row.path).name)
            if not (Path(row.path).is_file() and _check(Path(row.path), file, told)):
                path, received = places.fetch(file, folder, told, wait_s)
                _write_receipt(path, received.sha256, received.stated_by)
        return [file_row(folder, file) for file in entry.files]


def _for_file(tell: TellFile | None, name: str) -> Tell:
    return lambda stage, done, total: tell(name, stage, done, total) if tell else None


def _check(path: Path, file: PublishedFile, tell: Tell) -> bool:
    """Check a file that was put there by hand or changed; put a wrong one aside.

    Returns:
        Whether it stays.
    """
    receipt, first = read_receipt(path), path.name == file.name
    published_sha256 = file.sha256 if first else None
    stated = published_sha256 or (receipt.sha256 if receipt else None)
    size = path.stat().st_size
    right = bool(size) and not (first and file.exact and file.size and size != file.size)
    found = digest(path, tell) if right else ""
    if not right or (stated and found != stated):
        path.replace(path.with_name(path.name + REJECTED))
        return False
    by = "published" if published_sha256 else receipt.stated_by if receipt else "nobody"
    _write_receipt(path, found, by)
    return True


def _write_receipt(path: Path, sha256: str, stated_by: str) -> None:
    stat = path.stat()
    partial = path.with_name(path.name + RECEIPT + ".new")
    partial.write_text(
        f"# {stat.st_size} bytes, changed at {stat.st_mtime_ns} ns, checksum stated by "
        f"{stated_by}\n{sha256}  {path.name}\n",
        encoding="utf-8",
    )
    partial.replace(path.with_name(path.name + RECEIPT))


class _Places:
    """Where the files of one entry come from."""

    def __init__(self, entry: PublishedWeights, hub_url: str, source: str) -> None:
        """Look at what the user named.

        Raises:
            InputError: it is neither an address nor a folder or file that is there.
        """
        self.entry = entry
        self.folder: Path | None = None
        self.url = "" if "://" not in source else source.rstrip("/")
        self.hub = f"{hub_url.rstrip('/')}/{entry.repository}/resolve/{entry.revision}"
        if source and not self.url:
            self.folder = Path(source).expanduser()
            if not self.folder.exists():
                raise InputError(
                    f"{printable(source)!r} does not exist; give a folder, a file or an https "
                    "address"
                )
            if not self.folder.is_dir() and len(entry.files) > 1:
                raise InputError(
                    f"{printable(source)!r} is one file, {entry.name} has {len(entry.files)}; give "
                    "the folder they are in"
                )

    def fetch(
        self, file: PublishedFile, folder: Path, tell: Tell, wait_s: float
    ) -> tuple[Path, Received]:
        """Get one file, under the first of its names that is there."""
        if self.folder is not None:
            return self._copied(self.folder, file, folder, tell)
        missing = None
        for name in file.names:
            wanted = self._wanted(file, name)
            for url in self._addresses(name):
                path = folder / name
                try:
                    return path, download(url, path, wanted, tell, wait_s=wait_s)
                except NotOnServerError as error:
                    missing = missing or error
        assert missing is not None
        raise missing

    def _addresses(self, name: str) -> list[str]:
        if not self.url:
            return [f"{self.hub}/{name}"]
        if self.url.endswith("/" + name):
            return [self.url]
        entry = self.entry
        layout = f"{self.url}/{entry.repository}/resolve/{entry.revision}/{name}"
        return [f"{self.url}/{name}", layout]

    def _copied(
        self, source: Path, file: PublishedFile, folder: Path, tell: Tell
    ) -> tuple[Path, Received]:
        if not source.is_dir():
            return folder / file.name, copy(
                source, folder / file.name, self._wanted(file, file.name), tell
            )
        for name in file.names:
            for found in (source / name, source / self.entry.name / name):
                if found.is_file():
                    path = folder / name
                    return path, copy(found, path, self._wanted(file, name), tell)
        raise InputError(
            f"{printable(str(source))!r} has no {' or '.join(file.names)}; give the folder that "
            f"holds the files of {self.entry.repository}"
        )

    def _wanted(self, file: PublishedFile, name: str) -> Wanted:
        if name == file.name:
            return Wanted(file.size, file.sha256, file.exact)
        return Wanted(file.size, None, exact=False)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a folder alone; the system lets go when the process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UnavailableError(
            f"cannot write to {printable(str(folder))!r} ({error.strerror}); make it writable, or "
            "set GRATICULE_HOME to another folder"
        ) from None
    try:
        if not _take(handle):
            raise UnavailableError(
                f"weights {folder.name!r} are being fetched by another process; wait for it to end",
                retryable=True,
            )
        yield
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows has other locks; there a second run only costs time
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
