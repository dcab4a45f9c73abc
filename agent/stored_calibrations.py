"""Which calibration a run applies: the one that is named, or the one stored with its recipe."""

import os
from collections.abc import Iterator
from pathlib import Path

from agent.calibration import Calibration, read_calibration, write_calibration
from encoders.photo_file import printable
from geo.errors import ConfigError

NONE = "none"
"""Named instead of a file, it takes evidence at its word."""
Named = Path | str | Calibration | None


def stored_path(home: Path, recipe: str) -> Path:
    """Return the file of the calibration that goes with a recipe, whether it is there or not."""
    return home / "calibrations" / f"{recipe}.json"


def chosen_calibration(named: Named, recipe: str, home: Path) -> Calibration | None:
    """Return the calibration that a run applies; None takes evidence at its word.

    Args:
        named: one, its file, or `none`; None takes the one stored with the recipe, if there is one.
        recipe: name of the recipe that runs.
        home: data folder.

    Raises:
        ConfigError: it cannot be read, or was fitted on runs of another recipe.
    """
    if isinstance(named, Calibration):
        return _fitting(named, recipe, "calibration")
    if named is None:
        named = stored_path(home, recipe)
        if not os.path.lexists(named):
            return None
    elif str(named) == NONE:
        return None
    return _fitting(read_calibration(Path(named)), recipe, f"calibration {_shown(named)},")


def _fitting(found: Calibration, recipe: str, what: str) -> Calibration:
    if found.recipe == recipe:
        return found
    raise ConfigError(
        f"{what} {found.version}, was fitted on runs of recipe {found.recipe!r}, and recipe "
        f"{recipe!r} runs; fit one with `graticule evaluate calibrate RUN` on a run of it, or "
        "switch it off with --calibration none"
    )


def install_calibration(calibration: Calibration, home: Path) -> Path:
    """Store a calibration with its recipe, in place of a former one, and return its file."""
    path = stored_path(home, calibration.recipe)
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    write_calibration(calibration, beside)
    beside.replace(path)
    return path


def stored_calibrations(home: Path) -> Iterator[Path]:
    """Yield the files of all stored calibrations, in the order of their recipes."""
    yield from sorted((home / "calibrations").glob("*.json"))


def in_words(calibration: Calibration | None) -> str:
    """Return a calibration in a few words."""
    if calibration is None:
        return "none: evidence counts as its tools weigh it"
    fitted = f"{calibration.photos:,} photos of {printable(calibration.fitted_on, 80)!r}"
    return f"{calibration.version}, fitted on {fitted}"


def _shown(path: Path | str) -> str:
    return repr(printable(os.fsencode(path), 4096))
