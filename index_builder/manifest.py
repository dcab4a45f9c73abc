"""What a gallery says about itself: the checked contents of `manifest.json`."""

import json
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PositiveInt, ValidationError

from encoders.base import EncoderCard
from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.files import read_regular

FORMAT_VERSION = 1
BUILD = "graticule gallery build PHOTO_FOLDER"


class EncoderIdentity(BaseModel):
    """The encoder a gallery was built with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    fingerprint: str
    spaces: dict[str, PositiveInt] = Field(min_length=1, max_length=1)
    """The one space its vectors live in, and their length."""
    licence: str = ""

    @classmethod
    def of(cls, card: EncoderCard) -> "EncoderIdentity":
        """Return the identity a card states."""
        return cls(
            name=card.name,
            fingerprint=card.fingerprint,
            spaces=dict(card.spaces),
            licence=card.licence,
        )


class Manifest(BaseModel):
    """What `manifest.json` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["graticule-gallery"] = "graticule-gallery"
    version: int = FORMAT_VERSION
    encoder: EncoderIdentity
    photos: int = 0
    rejected: int = 0
    """Files the last build could not use; `rejects.jsonl` says why."""
    created: datetime
    updated: datetime
    settings: dict[str, JsonValue] = Field(default_factory=dict)


def check_format(folder: Path) -> dict[str, JsonValue]:
    """Return what `manifest.json` states, if it is one of a gallery of whatever version.

    Raises:
        InputError: no such folder, or no gallery in it.
    """
    shown = shown_path(folder)
    try:
        if not folder.exists():
            raise InputError(f"no gallery at {shown}; check the path or make one with: {BUILD}")
        stated = json.loads(read_regular(folder / "manifest.json"))
    except InputError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        state = "an unfinished gallery" if (folder / "features").is_dir() else "not a gallery"
        raise InputError(f"{shown} is {state}; make one with: {BUILD}") from None
    except OSError as error:
        raise InputError(
            f"cannot read the manifest of gallery {shown} ({error.strerror}); check access, or "
            f"delete the gallery and build it again: {BUILD}"
        ) from None
    except (ValueError, RecursionError):  # no JSON, or nested or long beyond all reason
        raise damaged(shown) from None
    if not isinstance(stated, dict) or stated.get("format") != "graticule-gallery":
        raise InputError(f"{shown} is not a gallery; make one with: {BUILD}")
    return stated


def read_manifest(folder: Path) -> Manifest:
    """Read and check `manifest.json`.

    Raises:
        InputError: no such folder, no gallery in it, or one of another format.
    """
    stated, shown = check_format(folder), shown_path(folder)
    version = stated.get("version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"gallery {shown} has format {printable(repr(version), 40)}, this version reads "
            f"{FORMAT_VERSION}; delete it and build it again: {BUILD}"
        )
    try:
        return Manifest.model_validate_json(json.dumps(stated))
    except (ValidationError, RecursionError):
        raise damaged(shown) from None


def damaged(shown: str) -> InputError:
    """Return the error of a manifest that contradicts itself or the gallery."""
    return InputError(
        f"manifest of gallery {shown} is damaged; delete it and build it again: {BUILD}"
    )


def shown_path(folder: Path) -> str:
    """Return a path as messages show it: quoted, printable."""
    return repr(printable(str(folder)))
