"""What a geolocator opens before it can locate anything: galleries, tables of places."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.recipes import Recipe
from agent.settings import Settings
from encoders.photo_file import printable
from geo.errors import GeolocationError, InputError, UnavailableError

if TYPE_CHECKING:
    from encoders.base import Points
    from index_builder.gallery import Gallery


def open_galleries(
    galleries: "Sequence[Path | str | Gallery]", settings: Settings
) -> "tuple[tuple[Gallery, ...], list[Gallery]]":
    """Open galleries, each once.

    Returns:
        All of them, and those that were opened here and are to be closed.

    Raises:
        InputError: a gallery does not exist or cannot be read; those opened before are closed.
        UnavailableError: one is locked by another process, or its server is away.
    """
    from index_builder import open_gallery

    held: list[Gallery] = []
    mine: list[Gallery] = []
    named: set[Path | str] = set()
    api_key = settings.qdrant_api_key.get_secret_value() or None
    try:
        for gallery in galleries:
            if isinstance(gallery, Path | str):
                remote = str(gallery).startswith(("http://", "https://"))
                place = str(gallery) if remote else Path(gallery).resolve()
                if place in named:
                    continue  # named twice; its lock would refuse us
                named.add(place)
                gallery = open_gallery(gallery, api_key=api_key)
                mine.append(gallery)
            held.append(gallery)
    except GeolocationError:
        for one in mine:
            one.close()
        raise
    return tuple(held), mine


def places_of(table: Path, opener: object, missing: str) -> "Points":
    """Read a user's table of places, which only an encoder can search.

    Raises:
        InputError: it is no table of coordinates, or there is no encoder.
        UnavailableError: the encoder that was meant is not here; `missing` says why.
    """
    from index_builder.coordinates import read_coordinates

    if opener is None and missing:
        raise UnavailableError(f"places {printable(str(table))!r} cannot be searched: {missing}")
    if opener is None:
        raise InputError(
            f"places {printable(str(table))!r} cannot be searched without an encoder; choose one"
        )
    return read_coordinates(table)


def check_trajectories(recipe: Recipe, asked: int | None) -> None:
    """Refuse several investigations where there is nothing that a model investigates.

    Raises:
        InputError: see above.
    """
    if (asked or 1) > 1 and not (recipe.loop and recipe.uses_model):
        raise InputError(
            f"{asked} trajectories asked for, limit 1 with recipe {recipe.name!r}, in which no "
            "model calls tools; leave them out, or use recipe 'agentic'"
        )
