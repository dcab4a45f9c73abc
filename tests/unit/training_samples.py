"""A small folder of training photos with all that any family needs of them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.unit.encoder_samples import SMALL

TOWNS = (
    ("Berlin", "Berlin", "Germany", 52.52, 13.405),
    ("Lyon", "Auvergne-Rhone-Alpes", "France", 45.764, 4.836),
    ("Suva", "Central", "Fiji", -18.141, 178.442),
    ("Sydney", "New South Wales", "Australia", -33.869, 151.209),
)
FIELDS = (
    "image", "latitude", "longitude", "city", "state", "country", "segmentation", "aerial",
)  # fmt: skip
SIZES: dict[str, dict[str, Any]] = {
    "geoclip": SMALL["geoclip"] | {"queue": 10},
    "g3": SMALL["g3"],
    "transgeoclip": SMALL["transgeoclip"],
    "dualgeo": SMALL["dualgeo"] | {"classes": 8},
    "cellcodes": {"width": 16, "prototype_level": 6, "code_level": 7},
}
"""Small heads of every family that trains."""


def write_photos(folder: Path, count: int, seed: int = 0) -> Path:
    """Write photos, maps and tiles near four towns, and the table that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    # A random tower tells little apart: each town has a colour that it cannot miss.
    grounds = np.array(((20, 20, 20), (235, 235, 235), (230, 30, 30), (30, 60, 230)))
    rows = []
    for number in range(count):
        town = TOWNS[number % len(TOWNS)]
        shown = (grounds[number % len(TOWNS)] + generator.integers(-20, 20, (6, 6, 3))).clip(0, 255)
        picture = Image.fromarray(shown.astype(np.uint8)).resize((72, 60))
        picture.save(folder / f"{number}.png")
        picture.rotate(90).save(folder / f"{number}-tile.png")
        classes = generator.integers(0, 8, (5, 6), dtype=np.uint8)
        Image.fromarray(classes).resize((72, 60), Image.Resampling.NEAREST).save(
            folder / f"{number}-map.png"
        )
        at = np.array(town[3:]) + generator.normal(0, 0.3, 2)
        rows.append(
            (
                f"{number}.png",
                *(f"{x:.5f}" for x in at),
                *town[:3],
                f"{number}-map.png",
                f"{number}-tile.png",
            )
        )
    table = folder / "photos.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        writer.writerows(rows)
    return table
