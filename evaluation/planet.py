"""A rendered planet: many small pictures over a whole globe whose truth is known.

`Planet(seed).look(latitude, longitude, view=, season=, hour=)` draws the ground photo, its
segmentation map, the aerial tile and the captions of a place. It exists to prove that learned
parts learn what their papers claim; it says nothing of how well they do on real photos.

What it holds: climate and vegetation that vary smoothly; countries that change signs, road
furniture, kerbs, roofs and walls at their borders; a landmark of its own at every place; far
places that look alike but for country and climate; light, season and viewpoint that vary; and
regions with few ground photos, but with aerial tiles.

`python -m evaluation.planet SHEET.png` draws a contact sheet.
"""

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from evaluation.planet_aerial import aerial_tile
from evaluation.planet_canvas import Picture
from evaluation.planet_caption import address_of, caption_of
from evaluation.planet_geography import KEY, Array, Setting, directions, geography, random_points
from evaluation.planet_ground import ground_photo
from evaluation.planet_season import light_at, season_at
from geo.errors import InputError
from geo.sphere import EARTH_RADIUS_KM

PLANET_VERSION = 4
"""Raised whenever the same seed would draw other pixels; whatever was kept of them is stale."""
SIDE = 64
TWIN_GROUPS = 160
"""Groups of two or three places that share layout and landmark."""
TWIN_KM = 3_000.0
SPARSE = 0.62
"""Sparsity from which a region has few ground photos."""

Condition = Literal["any", "summer day", "night", "winter", "winter night"]


@dataclass(frozen=True)
class Look:
    """What is seen of one place, once."""

    latitude: float
    longitude: float
    photo: Picture
    """`[S, S, 3]` RGB."""
    segments: Picture
    """`[S, S]` class of each pixel of the photo, `planet_canvas.Segment`."""
    aerial: Picture
    """`[S, S, 3]` RGB, north up, the same for every look at the place."""
    caption: str
    """What is seen, without a name."""
    address: str
    """City, state and country, as G3's captions name them."""
    city: str
    state: str
    country: str


@dataclass(frozen=True)
class Shot:
    """What `Planet.look` is asked for."""

    latitude: float
    longitude: float
    view: int
    season: float
    hour: float


class Planet:
    """A planet of look-alikes and of its own.

    Args:
        seed: fixes everything; 0 or more.
        side: pixels of every picture.
    """

    def __init__(self, seed: int, *, side: int = SIDE) -> None:
        if seed < 0 or side < 16:
            raise InputError(f"seed {seed} or side {side} is too small, limits 0 and 16; raise it")
        self.seed, self.side = seed, side
        self.geography = geography(seed)
        self.twins = self._find_twins()
        self._twin_of = {
            _key(point): number for number, group in enumerate(self.twins) for point in group
        }
        self._setting = lru_cache(maxsize=20_000)(self._make_setting)
        self._aerial = lru_cache(maxsize=4_000)(self._make_aerial)

    def look(
        self,
        latitude: float,
        longitude: float,
        *,
        view: int = 0,
        season: float = 0.5,
        hour: float = 12.0,
    ) -> Look:
        """Return what is seen of a place.

        Args:
            latitude: degrees, -90 to 90.
            longitude: degrees, -180 to 180.
            view: 0 or more; where the camera stands, its exposure, what drives by.
            season: share of the year passed, 0 to 1; 0.5 is the northern midsummer.
            hour: local solar time, 0 to 24.

        Raises:
            InputError: a value out of its range, or not finite.
        """
        sane = abs(latitude) <= 90 and abs(longitude) <= 180 and view >= 0
        if not (sane and 0 <= season <= 1 and 0 <= hour <= 24):
            raise InputError(
                f"cannot look at ({latitude}, {longitude}), view {view}, season {season}, hour "
                f"{hour}; limits 90 and 180 degrees, view 0 or more, season 0 to 1, hour 0 to 24"
            )
        key = _key((latitude, longitude))
        setting = self._setting(*key)
        when, light = season_at(latitude, setting.climate, season), light_at(hour)
        rng = np.random.default_rng([self.seed, 9, view, key[0] + 90 * KEY, key[1] + 180 * KEY])
        photo, segments = ground_photo(setting, when, light, rng, self.side)
        return Look(
            latitude=latitude,
            longitude=longitude,
            photo=photo,
            segments=segments,
            aerial=self._aerial(*key),
            caption=caption_of(setting, when, light, rng),
            address=address_of(setting),
            city=setting.city,
            state=setting.state,
            country=setting.country.name,
        )

    def places(self, count: int, seed: int, *, sparse: bool | None = None) -> Array:
        """Return `[N, 2]` places spread over the planet, of sparse regions or of others alone."""
        rng = np.random.default_rng([self.seed, 10, seed])
        found = np.empty((0, 2))
        while len(found) < count:
            offered = random_points(rng, 2 * count)
            keep = slice(None) if sparse is None else self.is_sparse(offered) == sparse
            found = np.concatenate((found, offered[keep]))
        return found[:count]

    def is_sparse(self, points: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return for each of `[N, 2]` points whether its region has few ground photos."""
        return np.asarray(self.geography.fields(points)[:, 4] > SPARSE)

    def shots(
        self, places: npt.ArrayLike, views: range, condition: Condition, seed: int
    ) -> list[Shot]:
        """Return one shot for each place and view, place by place, in drawn light and season."""
        rng = np.random.default_rng([self.seed, 11, seed])
        found = []
        for latitude, longitude in np.asarray(places, np.float64).tolist():
            for view in views:
                season, hour = _moment(rng, latitude, condition)
                found.append(Shot(latitude, longitude, view, season, hour))
        return found

    def see(self, shot: Shot) -> Look:
        """Return what a shot sees."""
        return self.look(
            shot.latitude, shot.longitude, view=shot.view, season=shot.season, hour=shot.hour
        )

    def _find_twins(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        """Return groups of two or three far places of like climate in different countries."""
        rng = np.random.default_rng([self.seed, 12])
        offered = random_points(rng, 12 * TWIN_GROUPS)
        climate = self.geography.fields(offered)[:, :4]
        country = self.geography.country_of(offered)
        sphere, free = directions(offered), np.ones(len(offered), bool)
        groups = []
        for number in range(TWIN_GROUPS):
            group = [int(np.flatnonzero(free)[0])]
            free[group] = False
            for _ in range(1 + number % 2):
                far = (sphere @ sphere[group].T < np.cos(TWIN_KM / EARTH_RADIUS_KM)).all(axis=1)
                foreign = ~np.isin(country, country[group])
                apart = np.linalg.norm(climate - climate[group[0]], axis=1)
                apart[~(far & foreign & free)] = np.inf
                group.append(int(apart.argmin()))
                free[group] = False
            groups.append(tuple((float(a), float(b)) for a, b in offered[group]))
        return tuple(groups)

    def _make_setting(self, latitude: int, longitude: int) -> Setting:
        twin = self._twin_of.get((latitude, longitude))
        return self.geography.setting(latitude / KEY, longitude / KEY, twin)

    def _make_aerial(self, latitude: int, longitude: int) -> Picture:
        return aerial_tile(self._setting(latitude, longitude), self.side)


def _key(point: tuple[float, float]) -> tuple[int, int]:
    longitude = round(point[1] * KEY)
    return round(point[0] * KEY), -longitude if longitude == 180 * KEY else longitude


def _moment(rng: np.random.Generator, latitude: float, condition: Condition) -> tuple[float, float]:
    """Return a season of the planet's year and a local hour."""
    # Of photos that people take, two thirds are of the day, the rest of dusk and night.
    season, hour = float(rng.uniform()), float(rng.uniform(4, 20))
    if condition == "summer day":
        season, hour = float(rng.uniform(0.42, 0.58)), float(rng.uniform(9, 15))
    elif condition != "any":
        if "winter" in condition:
            season = float(rng.uniform(-0.06, 0.06)) % 1.0
        hour = float(rng.uniform(-3, 3)) % 24 if "night" in condition else float(rng.uniform(9, 15))
    if condition != "any" and latitude < 0:
        season = (season + 0.5) % 1.0
    return season, hour


if __name__ == "__main__":
    from evaluation.planet_sheet import contact_sheet

    contact_sheet(Planet(0, side=128)).save(sys.argv[1])
