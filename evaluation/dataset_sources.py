"""Truth from a table, a folder or metadata, and the photo of each row, found by its id.

A row has a usable truth or is left out with its reason; nothing is repaired. A photo that is not
there is not left out: its row stays, and counts as a miss.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from encoders.photo_file import printable
from evaluation.runs import Truth
from geo.errors import InputError
from index_builder.positions import POSITION_COLUMNS, Position, check_position, degrees, shown_at
from index_builder.records import Rejected
from index_builder.rows import Cells, Columns, Table, is_json, json_rows
from index_builder.sources.folder import FolderSource, photo_files
from index_builder.sources.stored import holds_archives

IDS = ("image_id", "img_id", "photo_id", "id")
PATHS = (
    *("path", "file", "filename", "file_name", "image_path", "image_file", "img_file"),
    *("image", "photo", "img", "name"),
)
AUTHORS = (
    *POSITION_COLUMNS["author"],
    *("user_id", "userid", "owner_id", "nsid", "creator_id"),
)
SLICES = {
    "category": ("category", "scene", "kind"),
    "country": POSITION_COLUMNS["country"],
    "admin1": ("admin1", *POSITION_COLUMNS["region"]),
    "city": POSITION_COLUMNS["city"],
    "label_radius_km": POSITION_COLUMNS["accuracy_km"],
}
"""Label that results are told apart by -> columns that it is read from, best first."""
COLUMNS = Columns(
    {
        "id": IDS,
        "path": PATHS,
        "latitude": POSITION_COLUMNS["latitude"],
        "longitude": POSITION_COLUMNS["longitude"],
        "author": AUTHORS,
        **SLICES,
    },
    required=("latitude", "longitude"),
)
MAX_ID_LENGTH = 500


@dataclass
class Found:
    """Truths as read, and where their photos are.

    Attributes:
        truths: in the order of the source, each id once.
        paths: photo of each id that has one.
        missing: why an id has none.
        left_out: (id or row, reason) of what has no usable truth.
    """

    truths: list[Truth] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def read_table(table: Path, images: Path) -> Found:
    """Return the truths of a CSV, TSV, JSON or JSON lines, with their photos below a folder.

    Columns: an id (`image_id`, `img_id`, `id`) or a path (`path`, `file`, `image`), or both;
    `latitude` or `lat`; `longitude`, `lon` or `lng`. Optional: an author, and what `SLICES` names.

    Raises:
        InputError: the table cannot be read, is not UTF-8 or lacks a column; an id stands at two
            positions; no row has a usable truth; or not a single photo is there.
    """
    shown = repr(printable(os.fsencode(table)))
    found, photos = Found(), Images(images)
    held: dict[str, tuple[float, float]] = {}
    for number, cells in enumerate(_rows(table), start=1):
        image_id = _id_of(cells)
        try:
            truth = _truth(image_id, cells)
        except InputError as error:
            found.left_out.append((image_id or f"row {number:,}", str(error)))
            continue
        here = (truth.latitude, truth.longitude)
        if (first := held.setdefault(image_id, here)) != here:
            raise InputError(
                f"{image_id!r} is listed in {shown} at {shown_at(*first)} and at "
                f"{shown_at(*here)}; keep the right row"
            )
        if len(found.truths) == len(held):
            found.left_out.append((image_id, "listed twice at the same position; counted once"))
            continue
        found.truths.append(truth)
        _place(found, photos, image_id, cells)
    _check(found, shown, images)
    return found


def _rows(table: Path) -> Iterator[Cells]:
    what = "table of truth"
    if is_json(table):
        return json_rows(table, COLUMNS, what)
    rows = Table(table, COLUMNS, what)
    known = {name.strip().lower() for name in rows.header}
    if not known & {*IDS, *PATHS}:
        raise InputError(
            f"{what} {printable(os.fsencode(table))!r} has no column that names photos; call one "
            f"{', '.join(IDS[:2])} or {PATHS[0]}; it has: {printable(', '.join(rows.header))}"
        )
    return (cells for _, cells in rows)


def _id_of(cells: Cells) -> str:
    stated = cells.get("id") or cells.get("path", "").replace("\\", "/").removeprefix("./")
    return printable(stated, MAX_ID_LENGTH)


def _truth(image_id: str, cells: Cells) -> Truth:
    if not image_id:
        raise InputError("it names no photo")
    latitude, longitude = (_angle(name, cells[name]) for name in ("latitude", "longitude"))
    check_position(latitude, longitude)
    return Truth(
        image_id=image_id,
        latitude=latitude,
        longitude=longitude,
        author=_word(cells.get("author", "")),
        slices={name: text for name in SLICES if (text := _word(cells.get(name, "")))},
    )


def _angle(name: str, text: str) -> float:
    if not text or text.lower() in ("nan", "none", "null"):
        raise InputError(f"no {name}")
    return degrees(name, text)


def _word(text: str) -> str:
    """Return a cell as words; `nan` is how some programs write nothing."""
    return printable(text) if text and text.lower() != "nan" else ""


def _place(found: Found, photos: "Images", image_id: str, cells: Cells) -> None:
    try:
        found.paths[image_id] = photos.find(cells.get("path", ""), cells.get("id", ""))
    except InputError as error:
        found.missing[image_id] = str(error)


def _check(found: Found, shown: str, images: Path) -> None:
    if not found.truths:
        raise InputError(f"no row of {shown} has a usable truth; {_example(found)}")
    if not found.paths:
        packed = images.is_dir() and holds_archives(images)
        remedy = "unpack the archives in it" if packed else "give --images FOLDER that holds them"
        raise InputError(
            f"none of the {len(found.truths):,} photos of {shown} is in "
            f"{printable(os.fsencode(images))!r}, the first {found.truths[0].image_id!r}; {remedy}"
        )


def _example(found: Found) -> str:
    """Return why a first row cannot be used; or that there is none."""
    if not found.left_out:
        return "it is empty"
    name, reason = found.left_out[0]
    return f"for example {name!r}: {reason}"


class Images:
    """Finds photos in a folder by what a table calls them.

    A path from the folder first, then the file of that name anywhere below it, then one of that
    stem: `45/77/3228511372.jpg` is found as such, as `45_77_3228511372.jpg`, as
    `3228511372.jpg` and as `3228511372.png`. A name that two files share names neither.

    Args:
        folder: searched through once, when the first photo does not lie where its path says.

    Raises:
        InputError: no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(
                f"{printable(os.fsencode(folder))!r} is no folder of photos; give --images FOLDER"
            )
        self._folder = folder

    def find(self, *names: str) -> Path:
        """Return the file of the first of these names that there is one of.

        Raises:
            InputError: there is none, or several share the name.
        """
        stated = [name.replace("\\", "/") for name in names if name]
        for name in stated:
            path = self._folder / name
            if _is_file(path):
                return path
        for name in stated:
            for key in _keys(name):
                match self._files.get(key, []):
                    case [path]:
                        return path
                    case [first, second, *_]:
                        raise InputError(
                            f"{first.relative_to(self._folder)} and "
                            f"{second.relative_to(self._folder)} are both called {key!r}"
                        )
        raise InputError(f"no file {' or '.join(map(repr, stated))} among the photos")

    @cached_property
    def _files(self) -> Mapping[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for path, _ in photo_files(self._folder):
            found[path.name].append(path)
            found[f"{path.stem}.*"].append(path)
        return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a zero byte
        return False


def _keys(name: str) -> Iterator[str]:
    path = PurePosixPath(name)
    yield name.replace("/", "_")
    yield path.name
    yield f"{path.stem}.*"
    yield f"{path.name}.*"  # an id without an ending may hold a full stop


def read_folder(folder: Path) -> Found:
    """Return the photos of a folder whose positions stand beside them or in their metadata.

    Raises:
        InputError: no folder, or none of its photos has a position.
    """
    return _gathered(FolderSource(folder), repr(printable(os.fsencode(folder))))


def _gathered(source: FolderSource, shown: str) -> Found:
    found = Found()
    for record in source:
        if isinstance(record, Rejected):
            found.left_out.append((record.name, record.reason))
        elif isinstance(record.content, Path):
            found.truths.append(_of_position(record.name, record.position))
            found.paths[record.name] = record.content
    if not found.truths:
        raise InputError(
            f"no photo in {shown} has a known position, {_example(found)}; give --truth CSV"
        )
    return found


def _of_position(name: str, position: Position) -> Truth:
    radius = position.accuracy_km
    stated = {
        "country": position.country,
        "admin1": position.region,
        "city": position.city,
        "label_radius_km": "" if radius is None else f"{radius:g}",
    }
    return Truth(
        image_id=name,
        latitude=position.latitude,
        longitude=position.longitude,
        author=position.author,
        slices={label: text for label, text in stated.items() if text},
    )


def reasons_of(left_out: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return how often each reason comes; numbers and quoted values do not tell them apart."""
    from index_builder.build_report import kind_of

    counts: dict[str, int] = defaultdict(int)
    for _, reason in left_out:
        counts[kind_of(reason)] += 1
    return dict(counts)
