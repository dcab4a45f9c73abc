"""Where the sun stood over one place, and whether that is what was measured."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from pydantic import JsonValue

from geo.sphere import FloatArray
from tools.sun_band import PLACE_STEP_S, Span
from tools.sun_sky import DEGREES_AN_HOUR, Frames, Seen, sun_over, sun_vectors
from tools.sun_zones import offsets_s, zones_of


@dataclass(frozen=True)
class PlaceReport:
    """The sun over one place at the start of a span, and how much of the span fits.

    Attributes:
        latitude: degrees north.
        longitude: degrees east.
        zone: the time zone by which clock times were read; empty where they had an offset.
        elevation_deg: apparent, negative under the horizon.
        azimuth_deg: clockwise from true north.
        highest_deg: the largest elevation within the span.
        share: of the span that fits what was measured; None where nothing was.
        fits_at: the instant that fits first, ISO 8601 in UTC; empty where none does.
        instant: whether the span is a single instant.
    """

    latitude: float
    longitude: float
    zone: str
    elevation_deg: float
    azimuth_deg: float
    highest_deg: float
    share: float | None
    fits_at: str
    instant: bool

    @property
    def length_ratio(self) -> float | None:
        """Height of an object over the length of its shadow; None without a shadow."""
        return math.tan(math.radians(self.elevation_deg)) if 0 < self.elevation_deg < 90 else None

    def text(self) -> str:
        """Return what was found, in words."""
        zone = f" ({self.zone})" if self.zone else ""
        said = f"At {self.latitude:.4f}, {self.longitude:.4f}{zone} the sun "
        at_start = "" if self.instant else " at the start"
        if self.length_ratio is None:
            said += (
                f"was {-self.elevation_deg:.1f} degrees under the horizon{at_start}: no shadows."
            )
        else:
            shadow = (self.azimuth_deg + 180) % 360
            said += (
                f"was {self.elevation_deg:.1f} degrees high{at_start}, azimuth "
                f"{self.azimuth_deg:.1f}; shadows fell towards {shadow:.1f} "
                f"and were {1 / self.length_ratio:.3g} times as long as things are high "
                f"(length_ratio {self.length_ratio:.3g})."
            )
        if not self.instant:
            said += f" At most it was {self.highest_deg:.1f} degrees high in that span."
        return said + self._verdict()

    def _verdict(self) -> str:
        if self.share is None:
            return ""
        if self.share == 0:
            return " This place does not fit what was measured."
        if self.instant:
            return " This place fits what was measured."
        return f" This place fits {self.share:.2%} of that span, first at {self.fits_at}."

    def data(self) -> dict[str, JsonValue]:
        """Return it as JSON for the trace."""
        ratio = self.length_ratio
        return {
            "latitude": self.latitude,
            "longitude": self.longitude,
            "zone": self.zone,
            "elevation_deg": round(self.elevation_deg, 3),
            "azimuth_deg": round(self.azimuth_deg, 3),
            "shadow_bearing_deg": round((self.azimuth_deg + 180) % 360, 3),
            "length_ratio": None if ratio is None else round(ratio, 5),
            "highest_deg": round(self.highest_deg, 3),
            "fits": None if self.share is None else self.share > 0,
            "fitting_share": None if self.share is None else round(self.share, 6),
            "fits_at": self.fits_at,
        }


def report_at(latitude: float, longitude: float, span: Span, seen: Seen | None) -> PlaceReport:
    """Return where the sun stood over a place, looked at every minute of a span."""
    minutes = span.minutes()
    zone = _zone(latitude, longitude) if span.local else ""
    utc = minutes - offsets_s(zone, minutes) if zone else minutes
    suns = sun_vectors(utc)
    elevation, azimuth = sun_over(latitude, longitude, suns)
    instant = span.start_s == span.end_s
    fit = None
    if seen:
        half = 0.0 if instant else DEGREES_AN_HOUR * PLACE_STEP_S / 3600 / 2
        frame = Frames.of(np.array([[latitude, longitude]]))
        fit = seen.widened(half).fits(frame, suns)[0]
    return PlaceReport(
        latitude=latitude,
        longitude=longitude,
        zone=zone,
        elevation_deg=float(elevation[0]),
        azimuth_deg=float(azimuth[0]),
        highest_deg=float(elevation.max()),
        share=None if fit is None else float(fit.mean()),
        fits_at=_iso(utc[fit]) if fit is not None and fit.any() else "",
        instant=instant,
    )


def _zone(latitude: float, longitude: float) -> str:
    from geo.regions import country_at

    point = np.array([[latitude, longitude]])
    return str(zones_of(point, np.asarray(country_at(point), dtype=np.str_))[0])


def _iso(seconds: FloatArray) -> str:
    return datetime.fromtimestamp(float(seconds[0]), UTC).strftime("%Y-%m-%dT%H:%MZ")
