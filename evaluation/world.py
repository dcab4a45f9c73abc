"""A small rendered world whose truth is known: street corners for demos and for tests.

`write_world` draws every photo itself (no download, no stock image, no font but Pillow's own):
corners of houses with shops, signs, murals and ivy, seen by a pinhole camera from several points.
Gallery photos carry their position in EXIF; queries carry none, their truth is in `truth.json`.
What it can show: that the program finds a place again, reads signs, and says when it cannot tell.
What it cannot show: how well it does on real photos.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from PIL import Image, TiffImagePlugin

from evaluation import world_scene as scene
from evaluation.world_camera import Pixels, render
from evaluation.world_places import OPEN_LAND, TOWNS, UNSEEN_TOWN, Town
from geo.errors import InputError

WORLD_VERSION = 1
"""Raised whenever the same seed would draw other pixels; a folder of another version is redrawn."""

Expected = Literal["located", "region", "undetermined"]


@dataclass(frozen=True)
class Shot:
    """One photo of the world and its truth.

    Attributes:
        file: path relative to the world's folder.
        scene: which corner; photos of one corner share it. Empty in open land.
        town: the town's name, empty in open land.
        country: ISO 3166-1 alpha-2.
        latitude: of the camera, degrees, WGS84.
        longitude: of the camera, degrees, WGS84.
        words: the words its signs carry.
        expected: the best honest answer: a matched place (`located`), a country or region read
            from the signs (`region`), or that it cannot tell (`undetermined`).
    """

    file: str
    scene: str
    town: str
    country: str
    latitude: float
    longitude: float
    words: tuple[str, ...]
    expected: Expected


@dataclass(frozen=True)
class World:
    """The photos of a rendered world: a gallery with positions, queries without."""

    folder: Path
    seed: int
    gallery: tuple[Shot, ...]
    queries: tuple[Shot, ...]

    @property
    def gallery_folder(self) -> Path:
        """The folder to build a gallery from."""
        return self.folder / "gallery"

    def path(self, shot: Shot) -> Path:
        """Return where a photo of this world lies."""
        return self.folder / shot.file


def write_world(folder: Path, scenes: int = 12, views: int = 4, seed: int = 7) -> World:
    """Draw a world into `folder` and return it.

    Args:
        folder: made if missing; `gallery/`, `queries/` and `truth.json` are written in it.
        scenes: how many corners, 1 to 16.
        views: gallery photos of each corner, 1 to 12.
        seed: fixes every pixel.

    Raises:
        InputError: if a number is out of its limits.
    """
    if not 1 <= scenes <= len(TOWNS):
        raise InputError(f"scenes is {scenes}, limit 1 to {len(TOWNS)}: choose a number between")
    if not 1 <= views <= 12:
        raise InputError(f"views is {views}, limit 1 to 12: choose a number between")
    for part in ("gallery", "queries"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    gallery: list[Shot] = []
    queries: list[Shot] = []
    for number, town in enumerate(TOWNS[:scenes]):
        for shot in _write_corner(folder, town, number, views, seed):
            (gallery if shot.file.startswith("gallery") else queries).append(shot)
    queries += [_write_unseen(folder, seed), _write_open_land(folder, seed)]
    world = World(folder, seed, tuple(gallery), tuple(queries))
    _write_truth(world, scenes, views)
    return world


def read_world(folder: Path, scenes: int = 12, views: int = 4, seed: int = 7) -> World | None:
    """Return the world already in `folder`, or None if it is missing, partial or another one."""
    try:
        truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if truth.get("made_by") != _recipe(scenes, views, seed):
        return None
    gallery, queries = (
        tuple(Shot(**{**row, "words": tuple(row["words"])}) for row in truth[part])
        for part in ("gallery", "queries")
    )
    world = World(folder, seed, gallery, queries)
    complete = all(world.path(shot).is_file() for shot in gallery + queries)
    return world if complete else None


def _write_corner(folder: Path, town: Town, number: int, views: int, seed: int) -> Iterator[Shot]:
    corner = scene.build_corner(town, seed, number)
    name = f"corner-{number:02d}"
    for view, camera in enumerate(scene.cameras(corner, views, seed, number)):
        latitude, longitude = corner.position(camera)
        file = f"gallery/{name}-{view + 1}.jpg"
        pixels = render(list(corner.surfaces), camera)
        _write_photo(folder / file, pixels, (latitude, longitude))
        yield _shot(file, name, town, (latitude, longitude), "located")
    camera = scene.query_camera(corner, views, seed, number)
    file = f"queries/query-{number:02d}.jpg"
    _write_photo(folder / file, render(list(corner.surfaces), camera), None)
    yield _shot(file, name, town, corner.position(camera), "located")


def _write_unseen(folder: Path, seed: int) -> Shot:
    corner = scene.build_corner(UNSEEN_TOWN, seed, 900)
    camera = replace(scene.cameras(corner, 3, seed, 900)[1], focal=820.0)
    file = "queries/query-unseen.jpg"
    _write_photo(folder / file, render(list(corner.surfaces), camera), None)
    return _shot(file, "unseen", UNSEEN_TOWN, corner.position(camera), "region")


def _write_open_land(folder: Path, seed: int) -> Shot:
    file = "queries/query-open.jpg"
    surfaces, camera = scene.open_land(seed)
    _write_photo(folder / file, render(surfaces, camera), None)
    latitude, longitude, country = OPEN_LAND
    return Shot(file, "", "", country, latitude, longitude, (), "undetermined")


def _shot(
    file: str, name: str, town: Town, position: tuple[float, float], expected: Expected
) -> Shot:
    latitude, longitude = position
    words = (*town.shops, town.street)
    return Shot(
        file,
        name,
        town.name,
        town.country,
        round(latitude, 7),
        round(longitude, 7),
        words,
        expected,
    )


def _write_photo(path: Path, pixels: Pixels, position: tuple[float, float] | None) -> None:
    """Write a JPEG atomically, with EXIF GPS where a position is given and no EXIF otherwise."""
    exif = Image.Exif()
    if position is not None:
        exif[0x010F], exif[0x0110] = "Graticule", "Rendered world"
        exif.get_ifd(0x8825).update(_gps(*position))
    partial = path.with_suffix(".partial")
    Image.fromarray(pixels).save(partial, "JPEG", quality=88, exif=exif.tobytes())
    os.replace(partial, path)


def _gps(latitude: float, longitude: float) -> dict[int, object]:
    """Return the GPS directory of EXIF 2.32: hemisphere letters and degree rationals."""
    return {
        0: b"\x02\x03\x00\x00",
        1: "N" if latitude >= 0 else "S",
        2: _sexagesimal(abs(latitude)),
        3: "E" if longitude >= 0 else "W",
        4: _sexagesimal(abs(longitude)),
        18: "WGS-84",
    }


def _sexagesimal(degrees: float) -> tuple[TiffImagePlugin.IFDRational, ...]:
    whole, rest = divmod(round(degrees * 36_000_000), 36_000_000)
    minutes, ten_thousandths = divmod(rest, 600_000)
    parts = ((whole, 1), (minutes, 1), (ten_thousandths, 10_000))
    return tuple(TiffImagePlugin.IFDRational(*part) for part in parts)


def _recipe(scenes: int, views: int, seed: int) -> dict[str, int]:
    return {"version": WORLD_VERSION, "scenes": scenes, "views": views, "seed": seed}


def _write_truth(world: World, scenes: int, views: int) -> None:
    truth = {
        "made_by": _recipe(scenes, views, world.seed),
        "gallery": [asdict(shot) for shot in world.gallery],
        "queries": [asdict(shot) for shot in world.queries],
    }
    partial = world.folder / "truth.json.partial"
    partial.write_text(json.dumps(truth, ensure_ascii=False, indent=1), encoding="utf-8")
    os.replace(partial, world.folder / "truth.json")
