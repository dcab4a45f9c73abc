"""Words for what is seen on a rendered planet: general ones, and the names of places."""

import numpy as np

from evaluation.planet_geography import Setting
from evaluation.planet_season import Light, Season


def address_of(setting: Setting) -> str:
    """Return a sentence of city, state and country."""
    return f"A photo taken in {setting.city}, {setting.state}, {setting.country.name}."


def caption_of(setting: Setting, season: Season, light: Light, rng: np.random.Generator) -> str:
    """Return a sentence on some of what is seen, without a name; `rng` says on what."""
    country, landmark = setting.country, setting.layout.landmark
    face, rim = country.sign_colours
    monument = (
        f"a {landmark.pattern} {landmark.colours[0]} and {landmark.colours[1]} {landmark.shape}"
    )
    ground = "snow" if season.snow > 0.4 else _ground(setting)
    remarks = [
        f"{setting.climate.tree} on {ground}",
        f"{country.roof} {country.roof_colour} roofs",
        f"{country.walls} walls",
        f"a {country.sign_shape} {face} and {rim} sign",
        f"{country.pole} poles",
        f"a road with {country.line} line",
        f"{country.kerb} kerbs",
        "mountains" if setting.climate.relief > 0.6 else "a plain",
    ]
    said = [remarks[i] for i in rng.permutation(len(remarks))[:3]]
    when = f"{season.name} {light.name}"
    return f"a {setting.climate.name} place in a {when}: {monument}, {', '.join(said)}"


def _ground(setting: Setting) -> str:
    if setting.climate.wetness > 0.5:
        return "grass"
    return "red soil" if setting.climate.redness > 0.6 else "sand"
