"""The card of an encoder in a folder, `card.json`: what it is, without loading it, or torch."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from encoders.photo_file import printable
from geo.errors import InputError

FORMAT_VERSION = 1
CARD_FILE = "card.json"
MAX_CARD_BYTES = 1_000_000


class SavedBackbone(BaseModel):
    """Which tower a saved encoder sits on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    fingerprint: str
    model: dict[str, Any] | None = None
    """Architecture of a tower saved beside the heads; None for one that is known by name."""


class SavedCard(BaseModel):
    """What `card.json` says."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["graticule-encoder"] = "graticule-encoder"
    version: int = FORMAT_VERSION
    name: str
    family: str
    config: dict[str, Any]
    backbone: SavedBackbone
    licence: str = ""
    heads_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    probe: dict[str, list[float]] = Field(default_factory=dict)
    """First numbers of what fixed inputs encode to, for each space and kind of input."""
    made_by: dict[str, Any] = Field(default_factory=dict)
    """How it was made: training settings, or the file it was imported from."""


def read_card(folder: Path) -> SavedCard:
    """Read and check `card.json`.

    Raises:
        InputError: no such folder, no encoder in it, or one of another format.
    """
    shown = repr(printable(str(folder)))
    try:
        data = (folder / CARD_FILE).read_bytes()[: MAX_CARD_BYTES + 1]
    except OSError as error:
        raise InputError(
            f"{shown} holds no encoder ({error.strerror}: {CARD_FILE}); give the folder that "
            "`graticule train` or `graticule weights import` wrote"
        ) from None
    try:
        stated = json.loads(data)
        if isinstance(stated, dict) and stated.get("version", FORMAT_VERSION) != FORMAT_VERSION:
            version = printable(repr(stated["version"]), 40)
            raise InputError(
                f"encoder {shown} has format {version}, this version reads {FORMAT_VERSION}; "
                "train or import it again"
            )
        return SavedCard.model_validate(stated)
    except (ValidationError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"card of encoder {shown} is damaged; train or import it again") from None
