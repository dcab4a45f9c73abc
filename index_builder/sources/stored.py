"""Photos in a folder, and in the tar and zip files that lie in it, one after the other."""

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from encoders.photo_file import Limits, printable
from index_builder.records import Rejected
from index_builder.sources.folder import is_photo_name, unread_folder
from index_builder.sources.tar_stream import TarDamage, read_members

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".zip")


@dataclass(frozen=True, slots=True)
class Stored:
    """A photo where it lies; its content is asked for before the next one, or not at all."""

    name: str
    """Path below the folder; that of a member begins with the archive's."""
    content: Callable[[], bytes | Path]
    """Raises TarDamage, OSError or ValueError where an archive is broken."""


def is_archive(name: str) -> bool:
    """Say whether a file is a tar or zip file by its name."""
    return name.lower().endswith(ARCHIVES)


def holds_archives(place: Path) -> bool:
    """Say whether a path is a tar or zip file, or a folder with one in it."""
    if not place.is_dir():
        return is_archive(place.name)
    return any(map(is_archive, os.listdir(place)))


def stored_photos(place: Path, ignore: Sequence[Path] = ()) -> Iterator[Stored | Rejected]:
    """Yield the photos below a folder and in its archives, in the order of their names' bytes.

    What lies in a folder itself comes before what lies in those below it; those of `ignore`
    are not looked into.
    An archive beside a folder of its own name has been unpacked, and is left out. A damaged
    one gives its reason after what could be read.
    """
    if not place.is_dir():
        yield from _members(place, place.name)
        return
    unread: list[OSError] = []
    skipped = {path.resolve() for path in ignore}
    for root, folders, files in os.walk(place, onerror=unread.append):
        here = Path(root)
        folders[:] = sorted(
            (f for f in folders if not f.startswith(".") and (here / f).resolve() not in skipped),
            key=os.fsencode,
        )
        for name in sorted(files, key=os.fsencode):
            label = (here / name).relative_to(place).as_posix()
            if is_photo_name(name):
                yield Stored(label, (here / name).absolute)
            elif is_archive(name) and name.partition(".")[0] not in folders:
                yield from _members(here / name, label)
    for error in unread:
        yield unread_folder(error)


def _members(path: Path, label: str) -> Iterator[Stored | Rejected]:
    """Yield the photos in an archive; what breaks it comes last, as a reason."""
    try:
        yield from _zipped(path, label) if path.suffix.lower() == ".zip" else _tarred(path, label)
    except TarDamage as error:
        yield Rejected(printable(label), str(error))
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        reason = printable(str(error), 120)
        yield Rejected(printable(label), f"damaged ({reason}); fetch this archive again")


def _tarred(path: Path, label: str) -> Iterator[Stored | Rejected]:
    for member in read_members(path):
        name = f"{label}/{member.name}"
        if not is_photo_name(member.name):
            continue
        if reason := member.refusal or _too_large(member.size):
            yield Rejected(printable(name), reason)
        else:
            yield Stored(name, member.read)


def _zipped(path: Path, label: str) -> Iterator[Stored | Rejected]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = f"{label}/{member.filename}"
            if member.is_dir() or not is_photo_name(member.filename):
                continue
            if reason := _too_large(member.file_size):
                yield Rejected(printable(name), reason)
            else:
                yield Stored(name, _reader(archive, member))


def _reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            with archive.open(member) as file:
                return file.read(member.file_size)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
            raise ValueError(str(error)) from None  # a wrong checksum, or a password

    return read


def _too_large(size: int) -> str:
    limit = Limits().max_bytes
    return f"{size:,} bytes, limit {limit:,}; scale the photo down" if size > limit else ""
