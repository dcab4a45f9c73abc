"""Path arguments that survive file names in any bytes and leave checking to the room below."""

from pathlib import Path

import click


class ExistingPath(click.Path):
    """A path to read; whether it can be read is said by what opens it."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)


class NewFile(click.Path):
    """A file to write: its folder must exist and it must not be a folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False, writable=True)

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """Check the folder before any work is done."""
        path = Path(str(super().convert(value, param, ctx)))  # type: ignore[arg-type]
        if not path.absolute().parent.is_dir():
            self.fail(f"folder {str(path.parent)!r} does not exist; create it first", param, ctx)
        return path
