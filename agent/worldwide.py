"""The worldwide path of a run: which encoder aligns photos with places, and which places.

Nothing is loaded here: the encoder and its places are opened when a tool first needs them.
"""

import importlib.util
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from encoders.identity import tell_encoder
from encoders.weights import WeightRow, catalogue
from geo.errors import InputError, UnavailableError
from geo.gazetteer import Gazetteer

if TYPE_CHECKING:
    from encoders.base import AlignedEncoder, Points
    from index_builder.places import OnProgress, Places

logger = logging.getLogger(__name__)

AUTO = "auto"
"""Use GeoCLIP where everything it needs is on this machine."""
NONE = "none"
DEFAULT_ENCODER = "geoclip"
CLIP = "clip-vit-l-14"
NEEDED = {DEFAULT_ENCODER: (DEFAULT_ENCODER, CLIP), "g3": ("g3", CLIP)}
"""Rows of the catalogue of weights that an encoder needs to encode a photo."""
PACKAGES = ("torch", "open_clip")
PLACES_POPULATION = 15_000
"""GeoNames settlements from here on are places too: 34,000, where GeoCLIP's own list is thin."""

OpenEncoder = Callable[[], "AlignedEncoder"]
Load = Callable[[str, Path], "AlignedEncoder"]
"""Returns an encoder by name, folder or address, with the weights of a data folder."""


def missing_rows(encoder: str, home: Path) -> list[WeightRow]:
    """Return what an encoder, `auto` among them, lacks of the catalogue of weights."""
    needed = tell_encoder(DEFAULT_ENCODER if encoder == AUTO else encoder).weights
    return [row for row in catalogue(home) if row.name in needed and not row.present]


def what_is_missing(encoder: str, home: Path) -> str:
    """Return in one line what keeps an encoder from being there; empty where nothing does."""
    if any(importlib.util.find_spec(package) is None for package in PACKAGES):
        return "worldwide search is off: it needs torch; pip install 'graticule[encoders]'"
    lacking = [f"{row.name} ({row.size}), {row.remedy}" for row in missing_rows(encoder, home)]
    return f"worldwide search is off: it needs {'; and '.join(lacking)}" if lacking else ""


def encoder_opener(
    encoder: "str | Path | AlignedEncoder | None", home: Path, load: "Load | None" = None
) -> tuple[OpenEncoder | None, str]:
    """Return what loads the encoder, or None, and what is missing to have one.

    Args:
        encoder: `auto`; `none` or None; a family, a folder or a service's URL; or an encoder.
        home: data folder, with the weights.
        load: loads one by name; `load_named` by default.

    Raises:
        InputError: the name is empty.
        UnavailableError: one is named whose published weights are not on this machine.
    """
    if encoder is None or encoder == NONE:
        return None, ""
    if encoder == "":
        raise InputError("the encoder's name is empty; give one, auto or none")
    if isinstance(encoder, str) and encoder in (AUTO, *NEEDED):
        missing = what_is_missing(encoder, home)
        if missing and encoder == AUTO:
            return None, missing
        if missing:
            raise UnavailableError(missing)
        encoder = DEFAULT_ENCODER if encoder == AUTO else encoder
    if isinstance(encoder, str | Path):
        return partial(load or load_named, str(encoder), home), ""
    chosen = encoder
    return lambda: chosen, ""


def load_named(name: str, home: Path) -> "AlignedEncoder":
    """Return an encoder by name, folder or address, with the weights of a data folder."""
    from encoders import load_encoder

    return load_encoder(name, weights=home / "weights")


def open_worldwide(
    encoder: "AlignedEncoder",
    home: Path,
    gazetteer: Gazetteer,
    more: "Points | None" = None,
    progress: "OnProgress | None" = None,
) -> "Places":
    """Open the places that photos are compared with, embedding those that are not on disk.

    Args:
        encoder: that embeds them.
        home: data folder.
        gazetteer: gives the settlements.
        more: `[M, 2]` a user's own places, added to the others.
        progress: called with (done, total) while places are embedded.

    Raises:
        UnavailableError: the encoder or the disk fails, or another process embeds these places.
    """
    from index_builder.places import open_places

    return open_places(encoder, world_coordinates(gazetteer, more), home, progress)


def world_coordinates(gazetteer: Gazetteer, more: "Points | None" = None) -> "Points":
    """Return GeoCLIP's places, GeoNames settlements and a user's own, `[N, 2]`."""
    from index_builder.coordinates import geoclip_coordinates, joined_coordinates

    settled, _, _ = gazetteer.settlements(PLACES_POPULATION)
    lists = [settled] if more is None else [settled, more]
    try:
        return joined_coordinates(geoclip_coordinates(), *lists)
    except UnavailableError as error:  # an encoder behind a URL needs no geoclip package here
        logger.warning("%s; searching settlements alone", error)
        return joined_coordinates(*lists)
