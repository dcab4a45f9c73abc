"""The worldwide path of a run: which encoder aligns photos with places, and which places.

Nothing is loaded here: the encoder and its places are opened when a tool first needs them.
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from encoders.weights import catalogue
from geo.errors import UnavailableError
from geo.gazetteer import Gazetteer

if TYPE_CHECKING:
    from encoders.base import AlignedEncoder, Points
    from index_builder.places import OnProgress, Places

logger = logging.getLogger(__name__)

AUTO = "auto"
"""Use GeoCLIP where everything it needs is on this machine."""
NONE = "none"
DEFAULT_ENCODER = "geoclip"
NEEDED = ("geoclip", "clip-vit-l-14")
"""Rows of the catalogue of weights that GeoCLIP needs to encode a photo."""
PLACES_POPULATION = 15_000
"""GeoNames settlements from here on are places too: 34,000, where GeoCLIP's own list is thin."""

OpenEncoder = Callable[[], "AlignedEncoder"]


def missing_weights(home: Path) -> str:
    """Return in one line what keeps worldwide search from being there; empty where it is."""
    rows = [row for row in catalogue(home) if row.name in NEEDED and not row.present]
    if not rows:
        return ""
    return "worldwide search is off: " + "; ".join(f"{row.name}: {row.remedy}" for row in rows)


def encoder_opener(
    encoder: "str | Path | AlignedEncoder | None", home: Path
) -> tuple[OpenEncoder | None, str]:
    """Return what loads the encoder, or None, and what is missing to have one.

    Args:
        encoder: `auto`; `none` or None; a family, a folder or a service's URL; or an encoder.
        home: data folder, with the weights.

    Raises:
        UnavailableError: GeoCLIP is named, and what it needs is not on this machine.
    """
    if encoder is None or encoder == NONE:
        return None, ""
    if encoder in (AUTO, DEFAULT_ENCODER):
        if (missing := missing_weights(home)) and encoder == DEFAULT_ENCODER:
            raise UnavailableError(missing)
        if missing:
            return None, missing
        encoder = DEFAULT_ENCODER
    if isinstance(encoder, str | Path):
        return partial(_load, str(encoder), home), ""
    chosen = encoder
    return lambda: chosen, ""


def _load(name: str, home: Path) -> "AlignedEncoder":
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
