"""What a gallery says about itself: the checked contents of `manifest.json`."""

import json
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)

from encoders.base import EncoderCard
from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.files import read_regular
from index_builder.points import IndexSettings

FORMAT_VERSION = 2
BUILD = "graticule gallery build SOURCE"
Kind = Literal["photos", "places", "cells"]


class EncoderIdentity(BaseModel):
    """The encoder a gallery was built with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    fingerprint: str
    spaces: dict[str, PositiveInt] = Field(min_length=1)
    """The spaces its vectors live in, and their lengths."""
    retrieval: tuple[str, ...] = ()
    """Spaces whose cosines a search sums, by the family's own rule."""
    licence: str = ""
    backbone: str = ""
    """Image tower and text tower; the fingerprint covers them and their preprocessing."""
    load: str = "embedded"
    """What `encoders.load_encoder` was given: a name, a folder or an address."""
    family: str = ""
    """Family of the encoder, whatever its name; empty in galleries older than this field."""

    @classmethod
    def of(
        cls, card: EncoderCard, load: str = "embedded", spaces: tuple[str, ...] = ()
    ) -> "EncoderIdentity":
        """Return the identity a card states.

        Args:
            card: of the encoder.
            load: see above.
            spaces: those that the gallery keeps; by default all that photos are encoded into.
        """
        kept = spaces or card.image_spaces or tuple(card.spaces)
        return cls(
            name=card.name,
            fingerprint=card.fingerprint,
            spaces={space: card.spaces[space] for space in kept},
            retrieval=tuple(s for s in card.retrieval if s in kept) or kept[:1],
            licence=card.licence,
            backbone=card.backbone,
            load=load,
            family=card.family,
        )


class StoreSettings(BaseModel):
    """Where the points are: beside the manifest, or in a collection of a Qdrant server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = ""
    """Of the server or of any node of the cluster; empty for Qdrant Edge in the folder."""
    collection: str = ""
    shards: PositiveInt = 1
    """Parts that a cluster spreads over its nodes."""
    replicas: PositiveInt = 1
    """Copies of each part."""


class Counts(BaseModel):
    """How many points a gallery holds, by what they say of themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: dict[str, NonNegativeInt] = Field(default_factory=dict)
    countries: dict[str, NonNegativeInt] = Field(default_factory=dict)
    """By ISO 3166-1 alpha-2; "" counts those at sea."""
    licences: dict[str, NonNegativeInt] = Field(default_factory=dict)


class Manifest(BaseModel):
    """What `manifest.json` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["graticule-gallery"] = "graticule-gallery"
    version: int = FORMAT_VERSION
    kind: Kind = "photos"
    encoder: EncoderIdentity
    store: StoreSettings = StoreSettings()
    index: IndexSettings = IndexSettings()
    photos: int = 0
    """How many points there are, whatever the kind."""
    counts: Counts = Counts()
    rejected: int = 0
    """Records the last build could not use; `rejects.jsonl` says why."""
    created: datetime
    updated: datetime
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """Of the build: small copies or none, levels of cells, and the like."""


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
