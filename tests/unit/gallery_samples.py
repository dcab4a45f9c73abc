"""Painted facades seen from several places: photos whose truth is known."""

import csv
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIZE = (480, 360)


def facade(seed: int) -> Image.Image:
    """Return a wall of random blocks and strokes, 640 x 480 px: no two seeds look alike."""
    draw = np.random.default_rng(seed)
    wall = np.full((480, 640, 3), 200, np.uint8)
    for _ in range(260):
        x, y = (int(v) for v in draw.integers(0, (640, 480)))
        w, h = (int(v) for v in draw.integers(6, 60, 2))
        colour = tuple(int(v) for v in draw.integers(0, 256, 3))
        cv2.rectangle(wall, (x, y), (x + w, y + h), colour, -1)
        end = tuple(int(v) for v in draw.integers(0, (640, 480)))
        cv2.line(wall, (x, y), end, tuple(int(v) for v in draw.integers(0, 256, 3)), 1)
    noisy = wall.astype(np.int16) + draw.integers(-12, 13, wall.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def view(wall: Image.Image, step: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """Return the wall from another place: step 0 straight, others sideways and nearer."""
    corners = np.array([(0, 0), (640, 0), (640, 480), (0, 480)], np.float32)
    lean = 14.0 * step
    target = np.array(
        [
            (-6.0 * step, -lean * 0.4),
            (size[0] + lean, -3.0 * step),
            (size[0] + 0.5 * lean, size[1] + lean * 0.6),
            (-lean * 0.8, size[1] + 4.0 * step),
        ],
        np.float32,
    )
    matrix = cv2.getPerspectiveTransform(corners, target)
    return Image.fromarray(np.asarray(cv2.warpPerspective(np.asarray(wall), matrix, size)))


def write_photos(folder: Path, scenes: int = 3, views: int = 2) -> Path:
    """Write a folder of views with `positions.csv`; scene n lies at 50 + n, 8 + n degrees."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "positions.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["filename", "lat", "lon", "accuracy_km", "author"])
        for scene in range(scenes):
            for step in range(views):
                name = f"scene{scene}-{step}.jpg"
                view(facade(scene), step).save(folder / name, quality=92)
                rows.writerow([name, 50 + scene, 8 + scene, 0.05, "tester"])
    return folder
