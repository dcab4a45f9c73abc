"""What every page of ours shares: templates that escape, and files written whole or not at all."""

import os
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from agent import report_format as fmt
from geo.errors import InputError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from jinja2 import Environment

TEMPLATES = "templates"


def environment(rooms: Sequence[str] = ("agent",)) -> "Environment":
    """Return the templates of some rooms, escaping and strict; the first that has a file counts."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folders = [resources.files(room) / TEMPLATES for room in rooms]
    made = Environment(
        loader=FunctionLoader(lambda name: _text(folders, name)),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=fmt.finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("distance", "area", "square_km", "percent", "duration", "pretty"):
        made.filters[name] = getattr(fmt, name)
    return made


def _text(folders: "Sequence[Traversable]", name: str) -> str | None:
    found = (folder / name for folder in folders)
    return next((file.read_text("utf-8") for file in found if file.is_file()), None)


def write_page(page: str, path: Path, option: str = "--report") -> None:
    """Write a page, whole or not at all; an existing file is replaced.

    Raises:
        InputError: the file cannot be written there; names `option` as what to change.
    """
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".report-") as folder:
            draft = Path(folder) / path.name
            draft.write_bytes(page.encode("utf-8"))
            os.replace(draft, path)
    except OSError as error:
        raise InputError(
            f"report {str(path)!r} cannot be written ({error.strerror}): "
            f"give {option} a file in a folder you may write to"
        ) from error
