"""Where the sun stands, for many places and instants at once.

Declination and equation of time are those of NOAA's solar calculator (Meeus, Astronomical
Algorithms, 1998, chapter 25) through `astral`; from them follows the point that has the sun in
its zenith, and from that one vector the sun over any number of places. Elevations are apparent:
raised by refraction (Saemundsson, Sky and Telescope 72, 1986, at 1010 hPa and 10 degrees C), which
is what shadows follow. Azimuths are degrees clockwise from true north.

Instants are seconds since 1970-01-01T00:00Z.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geo.sphere import FloatArray, points_of

DAY_S = 86_400.0
DEGREES_AN_HOUR = 15.0
"""How fast the sun moves over the sky at most."""
_NODE_S = 21_600.0
# Declination moves 0.007 degrees a day squared at most: on lines of 6 hours it errs by 6e-5.
_JULIAN_1970, _JULIAN_2000, _CENTURY_DAYS = 2_440_587.5, 2_451_545.0, 36_525.0
_BLOCK = 16
"""Instants computed at once: 16 of 150,000 places are 20 MB."""


@dataclass(frozen=True)
class Frames:
    """Up, east and north of `N` places as unit vectors `[N, 3]` (x through 0, 0; z north)."""

    up: FloatArray
    east: FloatArray
    north: FloatArray

    @classmethod
    def of(cls, points: FloatArray) -> "Frames":
        """Return the frames of points `[N, 2]` (latitude, longitude in degrees)."""
        phi, lam = np.radians(np.asarray(points, np.float64).reshape(-1, 2)).T
        zero = np.zeros_like(phi)
        sin_phi, cos_phi, sin_lam, cos_lam = np.sin(phi), np.cos(phi), np.sin(lam), np.cos(lam)
        return cls(
            up=np.stack([cos_phi * cos_lam, cos_phi * sin_lam, sin_phi], axis=1),
            east=np.stack([-sin_lam, cos_lam, zero], axis=1),
            north=np.stack([-sin_phi * cos_lam, -sin_phi * sin_lam, cos_phi], axis=1),
        )

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Frames":
        """Return the frames of some of the places."""
        return Frames(self.up[rows], self.east[rows], self.north[rows])


@dataclass(frozen=True)
class Seen:
    """What was measured of the sun: a range of elevations, and a direction where there is one.

    Attributes:
        lowest_deg: least apparent elevation, 0 or more: what throws shadows is up.
        highest_deg: largest apparent elevation, up to 90.
        azimuth_deg: clockwise from true north; None where it was not measured.
        within_deg: how far the azimuth may be off.
    """

    lowest_deg: float = 0.0
    highest_deg: float = 90.0
    azimuth_deg: float | None = None
    within_deg: float = 0.0

    def widened(self, degrees: float) -> "Seen":
        """Return it with `degrees` more of tolerance on every side."""
        return replace(
            self,
            lowest_deg=max(0.0, self.lowest_deg - degrees),
            highest_deg=min(90.0, self.highest_deg + degrees),
            within_deg=min(180.0, self.within_deg + degrees),
        )

    def fits(self, frames: Frames, suns: FloatArray) -> NDArray[np.bool_]:
        """Return whether each sun `[T, 3]` over each place is what was measured, `[N, T]`."""
        height = frames.up @ suns.T
        low, high = np.sin(np.radians([_geometric(self.lowest_deg), _geometric(self.highest_deg)]))
        fit = height >= low
        if self.highest_deg < 90:
            fit &= height <= high
        if self.azimuth_deg is not None:
            bearing = np.radians(self.azimuth_deg)
            towards = frames.north * np.cos(bearing) + frames.east * np.sin(bearing)
            flat = np.sqrt(np.clip(1 - height**2, 0, None))
            fit &= towards @ suns.T >= np.cos(np.radians(self.within_deg)) * flat
        return np.asarray(fit, dtype=np.bool_)

    def share_of(self, frames: Frames, suns: FloatArray) -> FloatArray:
        """Return the share `[N]` of the suns `[T, 3]` that fit, for each place."""
        found = np.zeros(len(frames.up))
        for start in range(0, len(suns), _BLOCK):
            found += self.fits(frames, suns[start : start + _BLOCK]).sum(axis=1)
        return found / max(len(suns), 1)


def sun_vectors(seconds: Iterable[float] | FloatArray) -> FloatArray:
    """Return the direction of the sun from the Earth at each instant `[T]` as `[T, 3]`.

    In the axes of `geo.sphere.unit_vectors`: the point of that direction has the sun overhead.
    Against NREL's SPA (Reda and Andreas, 2004) elevations differ by less than 0.02 degrees from
    1950 to 2050.
    """
    from astral.sun import eq_of_time, sun_declination

    at = np.asarray(seconds, dtype=np.float64)
    nodes = np.arange(at.min() // _NODE_S, at.max() // _NODE_S + 2) * _NODE_S
    centuries = ((nodes / DAY_S + _JULIAN_1970 - _JULIAN_2000) / _CENTURY_DAYS).tolist()
    declination = np.interp(at, nodes, [sun_declination(century) for century in centuries])
    equation_min = np.interp(at, nodes, [eq_of_time(century) for century in centuries])
    longitude = (720.0 - at % DAY_S / 60.0 - equation_min) / 4.0
    return Frames.of(np.stack([declination, longitude], axis=1)).up


def sun_over(latitude: float, longitude: float, suns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return apparent elevation `[T]` and azimuth `[T]` in degrees at one place.

    Args:
        latitude: degrees north.
        longitude: degrees east.
        suns: `[T, 3]` from `sun_vectors`.
    """
    frame = Frames.of(np.array([[latitude, longitude]]))
    up, east, north = (suns @ axis[0] for axis in (frame.up, frame.east, frame.north))
    elevation = np.degrees(np.arctan2(up, np.hypot(east, north)))
    azimuth = np.degrees(np.arctan2(east, north)) % 360.0
    return elevation + _refraction(elevation), azimuth


def overhead(sun: FloatArray) -> tuple[float, float]:
    """Return latitude and longitude of the place that has a sun `[3]` in its zenith."""
    latitude, longitude = points_of(sun)[0].tolist()
    return latitude, longitude


def _refraction(elevation: FloatArray) -> FloatArray:
    """Return how far refraction raises true elevations in degrees; nothing under the horizon."""
    # The formula has a pole at -5.11 degrees; long before it, nothing of the sun is seen.
    above = np.maximum(elevation, -1.0)
    raised = 1.02 / 60 / np.tan(np.radians(above + 10.3 / (above + 5.11)))
    return np.where(elevation >= -1.0, raised, 0.0)


def _geometric(apparent: float) -> float:
    """Return the true elevation that is seen at an apparent one, by halving."""
    low, high = apparent - 1.0, apparent
    for _ in range(40):
        middle = (low + high) / 2
        seen = middle + float(_refraction(np.array(middle)))
        low, high = (middle, high) if seen < apparent else (low, middle)
    return high
