"""The world of the recipe bench: rendered photos at real coordinates, whose truth is known.

What stands at a place is drawn by `evaluation.planet`, whose climate and countries are its own.
Where the places are is real: towns of the gazetteer, drawn as belief's prior draws them (by the
square root of their population), so that prior, borders, place names and domains hold. Some
photos carry a sign with the town's name and a web address, some of those a sign from elsewhere.
It shows what the whole loop does where the truth is known; it says nothing of real photos.
"""

import csv
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from evaluation.planet import PLANET_VERSION, Condition, Planet, Shot
from evaluation.planet_geography import KEY
from evaluation.recipe_world_signs import board
from evaluation.runs import Truth
from geo import sphere
from geo.gazetteer import Gazetteer

if TYPE_CHECKING:
    from evaluation.planet_tower import Progress

RECIPE_WORLD_VERSION = 1
"""Raised whenever the same seed would draw other pixels or other places."""
POPULATION = 5_000
"""Of the smallest towns, as the support of belief's prior."""
PEOPLE_PER_KM2 = 1_500.0
QUERY_VIEW = 100
FIRST_PLANET = 500
"""Planets from here on: none that a family or the tower was looked at on."""
CONDITION: Condition = "summer day"
"""Of every photo: in all lights and seasons so small a tower hardly knows a place again."""

Array = npt.NDArray[np.float64]
Sign = Literal["none", "true", "misleading"]


@dataclass(frozen=True)
class WorldSize:
    """How much of a world there is."""

    known: int = 160
    """Towns with photos in the gallery."""
    views: int = 4
    """Photos of each."""
    learned: int = 300
    """Further towns that encoders learn from, which no gallery holds."""
    learned_views: int = 3
    queries: int = 30
    known_share: float = 0.6
    """Of the queries, of a place in the gallery; the others are of towns never seen."""
    side: int = 224
    signs: float = 0.3
    misleading: float = 0.15
    """Of the signs."""


@dataclass(frozen=True)
class Town:
    """A town and the photographed place in it."""

    name: str
    admin1: str
    country: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class WorldPhoto:
    """One photo: where it is, which town, and whether its sign can be trusted."""

    file: str
    town: Town
    shot: Shot
    sign: Sign
    words: tuple[str, ...]


@dataclass(frozen=True)
class RecipeWorld:
    """Photos of a gallery, photos that encoders learn from besides, and queries."""

    folder: Path
    seed: int
    gallery: tuple[WorldPhoto, ...]
    learned: tuple[WorldPhoto, ...]
    queries: tuple[WorldPhoto, ...]

    @property
    def gallery_folder(self) -> Path:
        """What a gallery is built from: photos and `positions.csv`."""
        return self.folder / "gallery"

    @property
    def truths(self) -> tuple[Truth, ...]:
        """Where the queries were taken; each photo has an author of its own."""
        known = {photo.town for photo in self.gallery}
        return tuple(
            Truth(
                image_id=Path(photo.file).stem,
                latitude=photo.shot.latitude,
                longitude=photo.shot.longitude,
                slices={
                    "place": "known" if photo.town in known else "unseen",
                    "sign": photo.sign,
                    "country": photo.town.country,
                },
            )
            for photo in self.queries
        )

    def path(self, photo: WorldPhoto) -> Path:
        """Return where a photo lies."""
        return self.folder / photo.file


def make_world(
    folder: Path, seed: int, size: WorldSize, gazetteer: Gazetteer, progress: "Progress"
) -> RecipeWorld:
    """Return the world of a seed, drawn into `folder` where it is not there already.

    Args:
        folder: of this world alone.
        seed: fixes towns, pixels and signs.
        size: how much of it.
        gazetteer: whose towns.
        progress: told while photos are drawn.
    """
    planet = Planet(FIRST_PLANET + seed, side=size.side)
    world = _planned(folder, seed, size, planet, gazetteer)
    done = folder / "world.json"
    made_of = {"version": RECIPE_WORLD_VERSION, "planet": PLANET_VERSION, "seed": seed}
    text = json.dumps(made_of | asdict(size), sort_keys=True)
    if done.exists() and done.read_text(encoding="utf-8") == text:
        return world
    photos = (*world.gallery, *world.learned, *world.queries)
    for number, photo in enumerate(photos, start=1):
        path = world.path(photo)
        if done.exists() or not path.exists():  # of another world, or not drawn yet
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_bytes(_png(draw(planet, photo)))
            partial.replace(path)
        progress(f"photos of world {seed}", number, len(photos))
    _write_positions(world)
    done.write_text(text, encoding="utf-8")
    return world


def draw(planet: Planet, photo: WorldPhoto) -> Image.Image:
    """Return a photo of the world."""
    image = Image.fromarray(planet.see(photo.shot).photo)
    key = [planet.seed, photo.shot.view, *(round(90 * KEY + KEY * x) % 2**32 for x in _at(photo))]
    return board(image, photo.words, np.random.default_rng(key)) if photo.words else image


def _at(photo: WorldPhoto) -> tuple[float, float]:
    return photo.shot.latitude, photo.shot.longitude


def _planned(
    folder: Path, seed: int, size: WorldSize, planet: Planet, gazetteer: Gazetteer
) -> RecipeWorld:
    """Return everything but the pixels."""
    draws = np.random.default_rng([seed, 30])
    unseen = round(size.queries * (1 - size.known_share))
    towns = _towns(draws, size.known + size.learned + unseen, gazetteer)
    known, rest = towns[: size.known], towns[size.known :]
    learned, bare = rest[: size.learned], rest[size.learned :]
    asked = [known[n % len(known)] for n in range(size.queries - unseen)] + bare

    def photos(part: str, of: list[Town], views: range, salt: int) -> tuple[WorldPhoto, ...]:
        points = np.array([(town.latitude, town.longitude) for town in of]).reshape(-1, 2)
        shots = planet.shots(points, views, CONDITION, salt)
        each = [town for town in of for _ in views]
        return tuple(
            WorldPhoto(f"{part}/{part}-{n:04d}.png", town, shot, *_sign(draws, town, towns, size))
            for n, (town, shot) in enumerate(zip(each, shots, strict=True))
        )

    return RecipeWorld(
        folder,
        seed,
        photos("gallery", known, range(size.views), 31),
        photos("learned", learned, range(size.learned_views), 32),
        photos("query", asked, range(QUERY_VIEW, QUERY_VIEW + 1), 33),
    )


def _towns(draws: np.random.Generator, count: int, gazetteer: Gazetteer) -> list[Town]:
    """Return different towns, drawn by the square root of their population, in drawn order."""
    points, population, countries = gazetteer.settlements(POPULATION)
    weight = np.sqrt(population)
    rows = draws.choice(len(points), count, replace=False, p=weight / weight.sum())
    found = []
    for row in rows.tolist():
        # Photos are taken all over a town: evenly over the disc that its people fill.
        reach = np.sqrt(population[row] / PEOPLE_PER_KM2 / np.pi * draws.uniform())
        centre = float(points[row, 0]), float(points[row, 1])
        bearing = np.array([draws.uniform(0, 360)])
        where = sphere.destination(centre[0], centre[1], bearing, np.array([reach])).reshape(2)
        latitude, longitude = (np.round(where * KEY) / KEY).tolist()
        ((place, _),) = gazetteer.nearest(centre[0], centre[1], country=countries[row], limit=1)
        found.append(Town(place.name, place.admin1, countries[row], latitude, longitude))
    return found


def _sign(
    draws: np.random.Generator, town: Town, towns: list[Town], size: WorldSize
) -> tuple[Sign, tuple[str, ...]]:
    """Return what kind of sign a photo has, and its lines."""
    there, lies, other = draws.uniform(), draws.uniform(), int(draws.integers(len(towns)))
    if there >= size.signs:
        return "none", ()
    if lies >= size.misleading or towns[other].country == town.country:
        return "true", _lines(town)
    return "misleading", _lines(towns[other])


def _lines(town: Town) -> tuple[str, ...]:
    domain = {"GB": "co.uk"}.get(town.country, town.country.lower())
    word = "".join(letter for letter in town.name.lower() if letter.isascii() and letter.isalpha())
    return town.name, f"www.{word or 'hotel'}.{domain}"


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _write_positions(world: RecipeWorld) -> None:
    with (world.gallery_folder / "positions.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "latitude", "longitude"))
        for photo in world.gallery:
            rows.writerow((Path(photo.file).name, photo.shot.latitude, photo.shot.longitude))
