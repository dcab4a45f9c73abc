"""A contact sheet of a rendered planet: what people would rather look at."""

import numpy as np
from PIL import Image

from evaluation.planet import Planet
from evaluation.planet_canvas import Picture, Segment

SEGMENT_COLOURS = np.asarray(
    [
        (150, 190, 230),
        (120, 120, 150),
        (150, 180, 110),
        (90, 90, 95),
        (250, 250, 250),
        (200, 120, 120),
        (220, 200, 170),
        (170, 70, 50),
        (60, 60, 120),
        (50, 120, 60),
        (110, 80, 50),
        (250, 200, 40),
        (200, 60, 180),
        (40, 200, 200),
    ],
    np.uint8,
)
assert len(SEGMENT_COLOURS) == len(Segment)
_LIGHTS = ((0.5, 12.0), (0.02, 12.0), (0.8, 17.8), (0.5, 0.5))
GAP = 4


def contact_sheet(planet: Planet, places: int = 9) -> Image.Image:
    """Return a sheet with a row for each place: four lights, the map, the tile.

    The first two rows are look-alikes of one another.
    """
    points = [*planet.twins[0][:2], *map(tuple, planet.places(max(places - 2, 0), 5).tolist())]
    rows = [_row(planet, latitude, longitude) for latitude, longitude in points[:places]]
    return Image.fromarray(_stack(rows, axis=0))


def _row(planet: Planet, latitude: float, longitude: float) -> Picture:
    shift = 0.5 if latitude < 0 else 0.0
    looks = [
        planet.look(latitude, longitude, view=view, season=(season + shift) % 1, hour=hour)
        for view, (season, hour) in enumerate(_LIGHTS)
    ]
    last = [SEGMENT_COLOURS[looks[0].segments], looks[0].aerial]
    return _stack([look.photo for look in looks] + last, axis=1)


def _stack(pictures: list[Picture], axis: int) -> Picture:
    padding = [(0, GAP) if a == axis else (0, 0) for a in range(3)]
    padded = [np.pad(p, padding, constant_values=255) for p in pictures]
    return np.asarray(np.concatenate(padded, axis=axis), np.uint8)
