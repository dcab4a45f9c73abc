"""A process that forks builds which are to be killed, and photos that build in a moment.

Run as `python -m tests.integration.kill_samples`: it imports everything once, then reads lines
of JSON, forks a build for each and says its process id, and how it ended.
"""

import hashlib
import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders.base import EncoderCard, Vectors, check_coordinates, check_images, check_texts

SIDE = 16


class ProductEncoder:
    """Two spaces of random projections of a photo's pixels, or of a place; numpy alone.

    As in a real product of matrices, the order in which a row is summed depends on how many
    rows there are: the same photo beside others differs in its last bits.
    """

    def __init__(self) -> None:
        generator = np.random.default_rng(11)
        self._weights = generator.normal(size=(SIDE * SIDE * 3, 24)).astype(np.float32)
        self.card = EncoderCard(
            name="product",
            fingerprint=hashlib.sha256(self._weights.tobytes()).hexdigest(),
            spaces={"a": 16, "b": 8},
            image_spaces=("a", "b"),
            location_spaces=("a",),
            retrieval=("a", "b"),
            alignment="a",
        )

    def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
        check_images(images)
        pixels = np.stack([np.asarray(i.resize((SIDE, SIDE)), np.float32).ravel() for i in images])
        rows = self._product((pixels / 255 - 0.5).astype(np.float32))
        rows[[not image.getbbox() for image in images]] = 0.0  # it sees nothing in black
        return {"a": _unit(rows[:, :16]), "b": _unit(rows[:, 16:])}

    def encode_locations(self, coordinates: npt.ArrayLike) -> dict[str, Vectors]:
        points = np.deg2rad(check_coordinates(coordinates))
        waves = np.sin(points @ np.random.default_rng(3).normal(size=(2, SIDE * SIDE * 3)) * 4)
        return {"a": _unit(self._product(waves.astype(np.float32))[:, :16])}

    def encode_texts(self, texts: Sequence[str]) -> dict[str, Vectors]:
        check_texts(texts)
        return {}

    def _product(self, rows: Vectors) -> Vectors:
        step = 32 + len(rows)
        found = np.zeros((len(rows), self._weights.shape[1]), np.float32)
        for start in range(0, rows.shape[1], step):
            part = slice(start, start + step)
            found += np.einsum("ni,id->nd", rows[:, part], self._weights[part])
        return found


def _unit(rows: Vectors) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


def write_source(folder: Path, count: int) -> Path:
    """Write small photos, and among them what cannot be used: cut short, black, or twice."""
    folder.mkdir(parents=True)
    lines = ["file,lat,lon,author,country"]
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((48, 36), Image.Resampling.BICUBIC)
        if number % 97 == 5:
            image = Image.new("RGB", (48, 36))
        path = folder / f"{number:04d}.png"
        image.save(path)
        if number % 50 == 7:
            path.write_bytes(path.read_bytes()[:200])
        if number % 60 == 9:  # the same photo again: there, or far away
            path.write_bytes((folder / f"{number - 1:04d}.png").read_bytes())
        place = number - 1 if number % 120 == 9 else number
        lines.append(f"{path.name},{40 + place / 100},{2 + place / 50},a{number % 3},")
    (folder / "positions.csv").write_text("\n".join(lines))
    return folder


def build(order: dict[str, Any]) -> None:
    """Build as an order says: `source`, `out`, how many points are written at once, and so on."""
    import index_builder.adding
    import index_builder.build

    index_builder.adding.WRITE_POINTS = order.get("write", 64)
    index_builder.build.OPTIMIZE_FROM = order.get("optimize_from", 10_000)
    encoder = None if order.get("embedded") else ProductEncoder()
    index_builder.build.build_gallery(order["source"], order["out"], encoder=encoder)


def serve() -> None:
    """Fork a build for each line of standard input; say its process id and, asked, how it ended."""
    from geo.regions import country_at

    for module in ("cv2", "qdrant_edge", "index_builder.build", "index_builder.sources.folder"):
        importlib.import_module(module)  # once for all children
    country_at([(0.0, 0.0)])
    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                build(json.loads(line))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        sys.stdin.readline()  # until then its id is its own, even if it has ended
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
