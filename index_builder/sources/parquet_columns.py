"""Which columns of a parquet file hold the photo, its position and its name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.positions import POSITION_COLUMNS

if TYPE_CHECKING:
    from pyarrow import DataType, Schema

IMAGE_COLUMNS = ("image", "photo", "picture", "img", "jpg", "jpeg", "png", "image_bytes", "bytes")
PATH_COLUMNS = ("image_path", "file_name", "filename", "file", "path")
ID_COLUMNS = ("id", "image_id", "photo_id", "key", "__key__")
SPLIT_COLUMN = "split"


@dataclass(frozen=True)
class ImageColumns:
    """Which columns of a file are read, by what they mean."""

    image: str
    """Struct, binary or path."""
    id: str
    """Column of names; empty where there is none, and so is `split`."""
    split: str
    fields: tuple[str, ...]
    """Columns that state the position."""

    @property
    def wanted(self) -> list[str]:
        """Every column that is read, once."""
        names = (self.image, self.id, self.split, *self.fields)
        return [name for name in dict.fromkeys(names) if name]


def image_columns(schema: "Schema", label: str) -> ImageColumns:
    """Return which columns to read.

    Raises:
        InputError: there is no photo, latitude or longitude.
    """
    by_name = {name.strip().lower(): name for name in reversed(schema.names)}
    present = {field: _first(by_name, names) for field, names in POSITION_COLUMNS.items()}
    image = _image_column(schema, by_name)
    missing = [
        f"{field} (or {', '.join(POSITION_COLUMNS[field][1:])})"
        for field in ("latitude", "longitude")
        if not present[field]
    ]
    if not image:
        missing.append("image (a struct of bytes and path, bytes, or a path)")
    if missing:
        shown = printable(", ".join(schema.names)) or "none"
        raise InputError(
            f"parquet file {printable(label)!r} lacks the column {'; '.join(missing)}; it has: "
            f"{shown}; rename or add columns"
        )
    columns = ImageColumns(
        image,
        _first(by_name, ID_COLUMNS),
        by_name.get(SPLIT_COLUMN, ""),
        tuple(name for name in present.values() if name and name != image),
    )
    if twice := [name for name in columns.wanted if schema.names.count(name) > 1]:
        shown = printable(", ".join(twice))
        raise InputError(
            f"parquet file {printable(label)!r} has several columns {shown}; rename all but one"
        )
    return columns


def _first(by_name: dict[str, str], names: Sequence[str]) -> str:
    return next((by_name[name] for name in names if name in by_name), "")


def _image_column(schema: "Schema", by_name: dict[str, str]) -> str:
    """Return the photo's column: the usual names first, then any that holds bytes and path."""
    for name in IMAGE_COLUMNS:
        if name in by_name and _holds_photos(schema.field(by_name[name]).type):
            return by_name[name]
    for name in schema.names:
        if _is_image_struct(schema.field(name).type):
            return str(name)
    for name in PATH_COLUMNS:
        if name in by_name and _is_text(schema.field(by_name[name]).type):
            return by_name[name]
    return ""


def _holds_photos(kind: "DataType") -> bool:
    return _is_image_struct(kind) or _is_bytes(kind) or _is_text(kind)


def _is_image_struct(kind: "DataType") -> bool:
    from pyarrow import types

    if not types.is_struct(kind):
        return False
    names = {kind.field(index).name for index in range(kind.num_fields)}
    return "bytes" in names and _is_bytes(kind.field("bytes").type)


def _is_bytes(kind: "DataType") -> bool:
    from pyarrow import types

    tests = (types.is_binary, types.is_large_binary, types.is_binary_view)
    return any(test(kind) for test in (*tests, types.is_fixed_size_binary))


def _is_text(kind: "DataType") -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(
        test(kind) for test in (types.is_string, types.is_large_string, types.is_string_view)
    )
