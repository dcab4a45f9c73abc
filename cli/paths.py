"""Path arguments that survive file names in any bytes, and files to write checked in advance."""

import os
import tempfile
from pathlib import Path

import click

from geo.errors import InputError


class ExistingPath(click.Path):
    """A path to read; whether it can be read is said by what opens it."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, readable=False)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """Refuse the empty path, which would mean the current folder."""
        if not str(value):
            self.fail("the path is empty; give one", param, ctx)
        converted = super().convert(value, param, ctx)
        assert isinstance(converted, Path)
        return converted


class GalleryPlace(click.ParamType):  # type: ignore[type-arg]  # generic only in some versions
    """A gallery's folder, as a path, or the address of its collection in a server, as text."""

    name = "gallery"

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path | str:
        """Leave addresses as they are; `Path` would take one of two slashes away."""
        if isinstance(value, str) and value.startswith(("http://", "https://")):
            return value
        return ExistingPath().convert(value, param, ctx)


class NewFile(ExistingPath):
    """A file to write, checked before any work is done.

    Args:
        beginning: how files of this kind begin; a file that begins otherwise is not replaced.
    """

    def __init__(self, beginning: bytes) -> None:
        super().__init__()
        self.beginning = beginning

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """Refuse what cannot be written, and to overwrite something else."""
        path = super().convert(value, param, ctx)
        option = param.opts[0] if param else "path"
        shown = f"{option} {str(path)!r}"
        try:
            self._check(path, shown)
        except OSError as error:
            raise InputError(
                f"{shown} cannot be written ({error.strerror}); give a file in a folder that "
                "exists and that you may write to"
            ) from None
        return path

    def _check(self, path: Path, shown: str) -> None:
        if path.is_dir():
            raise InputError(f"{shown} is a folder; give the name of a file in it")
        if path.exists() and not path.is_file():
            raise InputError(f"{shown} is a device or a pipe; give the name of a file")
        if path.is_file():
            with path.open("r+b") as file:
                found = file.read(len(self.beginning))
            if found and found.lower() != self.beginning:
                raise InputError(
                    f"{shown} exists and is something else, which would be lost; give another name"
                )
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass  # only creating a file tells whether one can be created
