"""Which encoder weights there are, where they live and what is present. Downloads nothing.

A file that was checked once has `FILE.sha256` beside it (`sha256sum -c` reads it too) with its
size and time of change: looking again is instant, and a file that changed since is noticed.
`encoders.fetch` gets what is missing.
"""

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, cast

from pydantic import BaseModel, ConfigDict

from encoders.photo_file import printable
from encoders.weights_table import PUBLISHED, PublishedFile, PublishedWeights
from geo.errors import InputError, UnavailableError

State = Literal["present", "missing", "incomplete", "damaged"]
StatedBy = Literal["published", "hub", "nobody", ""]
GEOCLIP_FILES = (
    "image_encoder_mlp_weights.pth",
    "location_encoder_weights.pth",
    "logit_scale_weights.pth",
)
GEOCLIP_BYTES = 41_745_707
GEOCLIP_REMEDY = "pip install 'graticule[encoders]' brings the geoclip package"
RECEIPT = ".sha256"
MAX_RECEIPT_BYTES = 4096
_RECEIPT = re.compile(
    r"# (\d{1,20}) bytes, changed at (\d{1,20}) ns, checksum stated by (published|hub|nobody)\n"
    r"([0-9a-f]{64})  .+\n"
)


class FileRow(BaseModel):
    """One file of an encoder's weights.

    Attributes:
        path: where it is, or is looked for.
        state: `damaged` where it has not the size or the checksum it must have, or changed
            since it was checked.
        size: bytes on disk now, of a partial file too.
        sha256: what it was found to have; empty where it was not checked.
        stated_by: whose checksum it was compared with; `nobody` where none was stated.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    path: str
    state: State
    size: int
    sha256: str = ""
    stated_by: StatedBy = ""


class WeightRow(BaseModel):
    """One encoder's weights.

    Attributes:
        name: what an encoder is loaded by.
        present: whether it can be loaded on this machine now.
        state: of its files together.
        size: of the files, as people write it; `no file` where none is needed.
        licence: of the weights.
        purpose: what it is for.
        path: where it is, or where it is looked for.
        remedy: what to do to have it; empty where it is present.
        checksum: what the files are, or will be, compared with.
        source: repository and revision on the hub.
        files: each of them.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: str
    present: bool
    state: State
    size: str
    licence: str
    purpose: str
    path: str
    remedy: str = ""
    checksum: str = ""
    source: str = ""
    files: tuple[FileRow, ...] = ()


class Receipt(NamedTuple):
    """What `FILE.sha256` says."""

    size: int
    time_ns: int
    stated_by: StatedBy
    sha256: str


def catalogue(home: Path) -> list[WeightRow]:
    """Return every encoder this version knows, with what is present under `home`; instant."""
    return [_embedded(), _geoclip_heads(), *(_row(one, home) for one in PUBLISHED)]


def weights_folder(name: str, home: Path) -> Path:
    """Return where the weights called `name` are, or are looked for.

    Raises:
        InputError: there are none of that name, or they need no file.
        UnavailableError: a package that brings them is not installed.
    """
    if name != "geoclip":
        return home / "weights" / published(name).name
    folder = geoclip_folder()
    if folder is None:
        raise UnavailableError(f"weights 'geoclip' are not here; {GEOCLIP_REMEDY}")
    return folder


def published(name: str) -> PublishedWeights:
    """Return the entry of the table.

    Raises:
        InputError: there is none of that name.
    """
    for one in PUBLISHED:
        if one.name == name:
            return one
    if name == "embedded":
        raise InputError("weights 'embedded' need no file; a gallery holds its own codebook")
    if name == "geoclip":
        raise InputError(f"weights 'geoclip' are not downloaded; {GEOCLIP_REMEDY}")
    names = ", ".join(one.name for one in PUBLISHED)
    raise InputError(f"unknown weights {printable(name, 60)!r}; there is: {names}")


def file_row(folder: Path, file: PublishedFile) -> FileRow:
    """Look at one file, without reading it."""
    paths = [folder / name for name in file.names]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        for one in paths:
            partial = one.with_name(one.name + ".partial")
            if partial.is_file():
                return FileRow(path=str(one), state="incomplete", size=partial.stat().st_size)
        return FileRow(path=str(paths[0]), state="missing", size=0)
    stat, receipt = path.stat(), read_receipt(path)
    first = path == paths[0]
    row = FileRow(path=str(path), state="present", size=stat.st_size)
    damaged = row.model_copy(update={"state": "damaged"})
    if not row.size or (first and file.exact and file.size and row.size != file.size):
        return damaged
    if receipt is None:
        return row
    if (stat.st_size, stat.st_mtime_ns) != (receipt.size, receipt.time_ns):
        return damaged
    if first and file.sha256 and file.sha256 != receipt.sha256:
        return damaged
    return row.model_copy(update={"sha256": receipt.sha256, "stated_by": receipt.stated_by})


def read_receipt(path: Path) -> Receipt | None:
    """Return what stands beside a file that was checked; None where it was not."""
    try:
        with path.with_name(path.name + RECEIPT).open("rb") as file:
            found = _RECEIPT.fullmatch(file.read(MAX_RECEIPT_BYTES).decode())
    except (OSError, UnicodeDecodeError):
        return None
    if found is None:
        return None
    return Receipt(int(found[1]), int(found[2]), cast(StatedBy, found[3]), found[4])


def _embedded() -> WeightRow:
    return WeightRow(
        name="embedded",
        present=True,
        state="present",
        size="no file",
        licence="Apache-2.0",
        purpose="RootSIFT + VLAD: finds the same scene in your gallery, or abstains",
        path="",
    )


def geoclip_folder() -> Path | None:
    """Return the weights of the installed geoclip package, without importing it."""
    # find_spec of a top-level package does not import it.
    spec = importlib.util.find_spec("geoclip")
    folder = Path(spec.origin).parent / "model" / "weights" if spec and spec.origin else None
    return folder if folder and (folder / GEOCLIP_FILES[1]).is_file() else None


def _geoclip_heads() -> WeightRow:
    folder = geoclip_folder()
    return WeightRow(
        name="geoclip",
        present=folder is not None,
        state="missing" if folder is None else "present",
        size=human_size(GEOCLIP_BYTES),
        licence="MIT",
        purpose="location encoder and photo head of GeoCLIP; comes with a package",
        path=str(folder or ""),
        remedy=GEOCLIP_REMEDY if folder is None else "",
    )


def _row(entry: PublishedWeights, home: Path) -> WeightRow:
    folder = home / "weights" / entry.name
    files = tuple(file_row(folder, file) for file in entry.files)
    state = _together(files)
    return WeightRow(
        name=entry.name,
        present=state == "present",
        state=state,
        size=_size(entry),
        licence=entry.licence,
        purpose=entry.purpose,
        path=str(folder / entry.files[0].name if len(files) == 1 else folder),
        remedy=_remedy(entry, folder, files),
        checksum=_checksum(entry, files, state),
        source=f"{entry.repository}@{entry.revision}",
        files=files,
    )


def _together(files: Sequence[FileRow]) -> State:
    states = {file.state for file in files}
    if len(states) == 1:
        return states.pop()
    return "damaged" if "damaged" in states else "incomplete"


def _remedy(entry: PublishedWeights, folder: Path, files: Sequence[FileRow]) -> str:
    get = f"graticule weights get {entry.name}"
    for row, file in zip(files, entry.files, strict=True):
        if row.state == "damaged":
            known = file.exact and file.size and row.size != file.size
            why = f"has {row.size:,} bytes, not {file.size:,}" if known else "changed since checked"
            return f"{Path(row.path).name} {why if row.size else 'is empty'}; run: {get}"
    if all(row.state == "present" for row in files):
        return ""
    if any(row.state != "missing" for row in files):
        done = human_size(sum(row.size for row in files))
        return f"{done} are here in {str(folder)!r}; to go on, run: {get}"
    names = ", ".join(file.name for file in entry.files)
    return f"run: {get}; or put {names} into {str(folder)!r}"


def _checksum(entry: PublishedWeights, files: Sequence[FileRow], state: State) -> str:
    """Say in a few words what stands behind the files."""
    if state == "present":
        if any(not file.stated_by for file in files):
            return f"not checked; graticule weights get {entry.name} does it"
        by = {file.stated_by for file in files}
        said = "published checksum" if "published" in by else "checksum that the hub stated"
        return f"checked: {said}" if by != {"nobody"} else "recorded; nobody states a checksum"
    main = max(entry.files, key=lambda file: file.size)
    return "published" if main.sha256 else "the hub's own"


def _size(entry: PublishedWeights) -> str:
    exact = all(file.exact for file in entry.files)
    return ("" if exact else "~") + human_size(entry.size)


def human_size(size: int) -> str:
    """Return bytes as people write them: `1.7 GB`, `41.7 MB`, `240 MB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.{0 if size >= 100 * unit else 1}f} {name}"
    return f"{size} B"
