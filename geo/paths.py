"""Where Graticule keeps what it builds or downloads: one folder, movable by GRATICULE_HOME."""

import os
from pathlib import Path

from platformdirs import user_cache_path

from geo.errors import UnavailableError


def home() -> Path:
    """Return the folder of built and downloaded data, creating it if it is missing.

    Raises:
        UnavailableError: the folder cannot be created.
    """
    configured = os.environ.get("GRATICULE_HOME", "")
    folder = Path(configured).expanduser() if configured else user_cache_path("graticule")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(
            f"cannot create the data folder {folder} ({error.strerror}); "
            "set GRATICULE_HOME to a folder that can be written"
        ) from error
    return folder
