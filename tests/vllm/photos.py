"""Fifty small photos of the rendered world and of plain colours, and galleries around them."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tests.aligned_fakes import photo_of, write_coloured_photos

if TYPE_CHECKING:
    from encoders.base import AlignedEncoder
    from index_builder.gallery import Gallery

COUNT = 50
SCENES = 8
SIDE_PX = 256


def write_photos(folder: Path) -> list[Path]:
    """Write the photos and return their paths, rendered corners first."""
    from evaluation.world import write_world

    world = write_world(folder / "world", scenes=SCENES, views=1)
    drawn = [world.path(shot) for shot in (*world.queries, *world.gallery)]
    for path in drawn:  # small, and without a position
        with Image.open(path) as opened:
            small = opened.convert("RGB")
        small.thumbnail((SIDE_PX, SIDE_PX))
        small.save(path)
    generator = np.random.default_rng(5)
    for number in range(COUNT - len(drawn)):
        path = folder / f"colour-{number:02d}.png"
        photo_of(*generator.uniform((-60, -170), (70, 170))).save(path)
        drawn.append(path)
    assert len(set(drawn)) == COUNT
    return drawn


def make_gallery(folder: Path, encoder: "AlignedEncoder") -> "Gallery":
    """Build a gallery of 40 coloured photos, each of another place."""
    from index_builder import build_gallery, open_gallery

    generator = np.random.default_rng(9)
    points = generator.uniform((-60, -170), (70, 170), (40, 2)).round(4)
    places = {f"p{number:02d}": (lat, lon) for number, (lat, lon) in enumerate(points.tolist())}
    write_coloured_photos(folder / "photos", places)
    build_gallery(folder / "photos", folder / "gallery", encoder=encoder)
    return open_gallery(folder / "gallery")
