"""Test splits: photos that measure a system must not be in what it searches."""

import re
from collections.abc import Iterable
from pathlib import Path

from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.rows import first_line
from index_builder.sources.headers import table_format

_TEST_FILE = re.compile(r"test([-_.].*)?", re.IGNORECASE)
_SHARDS = (".parquet", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".zip")


def refuse_test_split(paths: Iterable[Path]) -> None:
    """Refuse paths that are marked as a test split.

    Such are shards and archives called `test`, `test-...` or in a folder `test`, OSV-5M's
    `test.csv`, and its `images/test` with all below.

    Raises:
        InputError: there is one; the message says how to go on.
    """
    for path in paths:
        if why := _marked(path):
            raise InputError(
                f"{printable(str(path))!r} is {why}: photos of a test split in a gallery answer "
                "for themselves; name the training split, or take it with include_test "
                "(--include-test)"
            )


def _marked(path: Path) -> str:
    place = path.absolute()
    if place.name.lower().endswith(_SHARDS):
        if _TEST_FILE.fullmatch(place.name) or place.parent.name.lower() == "test":
            return "a shard of a test split"
    elif is_test_images(place):
        return "the images of OSV-5M's test split"
    elif _TEST_FILE.fullmatch(place.name) and place.is_file() and _is_osv5m(place):
        return "the table of OSV-5M's test split"
    return ""


def is_test_images(place: Path) -> bool:
    """Say whether a path lies in `images/test` of a data set with `train.csv` or `test.csv`."""
    for folder in (place, *place.parents):
        if folder.name == "test" and folder.parent.name == "images":
            root = folder.parent.parent
            return any((root / name).is_file() for name in ("train.csv", "test.csv"))
    return False


def _is_osv5m(table: Path) -> bool:
    return table_format(first_line(table)) == "osv5m"
