"""An encoder whose space is the globe itself: a photo's colour says where it was taken."""

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders.base import EncoderCard, Vectors, check_coordinates, check_images, check_texts
from geo import sphere
from geo.errors import UnavailableError

WIDTH = 4


class GlobeEncoder:
    """Unit vectors from the middle of the Earth; implements `AlignedEncoder`.

    Args:
        temperature: factor on cosines; at 20,000 a place 70 km off has a third of the best's share.
        name: two names are two encoders, and give other vectors.
        blind_from: latitude from which it knows nothing.
        pause_s: taken for each call that encodes places.
        tower: whether it can encode photos.
        texts: whether it reads texts: `LATITUDE, LONGITUDE`, and nothing in any other.
    """

    def __init__(
        self,
        *,
        temperature: float = 20_000.0,
        name: str = "globe",
        blind_from: float = 91.0,
        pause_s: float = 0.0,
        tower: bool = True,
        texts: bool = False,
    ) -> None:
        self.blind_from, self.pause_s, self.tower = blind_from, pause_s, tower
        self.places_encoded = self.photos_encoded = 0
        self._shift = float(name != "globe")
        stated = f"{name} {temperature} {blind_from}"
        self.card = EncoderCard(
            name=name,
            fingerprint=hashlib.sha256(stated.encode()).hexdigest(),
            spaces={"globe": WIDTH},
            image_spaces=("globe",),
            location_spaces=("globe",),
            text_spaces=("globe",) if texts else (),
            retrieval=("globe",),
            alignment="globe",
            temperature=temperature,
            published=True,
        )

    def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
        check_images(images)
        if not self.tower:
            raise UnavailableError("tower of 'globe' is missing; graticule weights get globe")
        self.photos_encoded += len(images)
        points = [place_of(image) for image in images]
        rows = self._rows(np.array(points))
        rows[[not image.getbbox() for image in images]] = 0.0
        return {"globe": rows}

    def encode_locations(self, coordinates: npt.ArrayLike) -> dict[str, Vectors]:
        points = check_coordinates(coordinates)
        time.sleep(self.pause_s)
        self.places_encoded += len(points)
        rows = self._rows(points)
        rows[np.abs(points[:, 0]) >= self.blind_from] = 0.0
        return {"globe": rows}

    def encode_texts(self, texts: Sequence[str]) -> dict[str, Vectors]:
        read = [re.findall(r"-?\d+(?:\.\d+)?", text) for text in check_texts(texts)]
        if not self.card.text_spaces:
            return {}
        points = [
            (float(found[0]), float(found[1])) if len(found) > 1 else (0, 0) for found in read
        ]
        rows = self._rows(np.array(points, dtype=np.float64))
        rows[[len(found) < 2 for found in read]] = 0.0
        return {"globe": rows}

    def _rows(self, points: npt.NDArray[np.float64]) -> Vectors:
        rows = np.zeros((len(points), WIDTH), dtype=np.float32)
        rows[:, :3] = sphere.unit_vectors(points)
        return np.roll(rows, int(self._shift), axis=1)


def place_of(image: Image.Image) -> tuple[float, float]:
    """Return where a photo of one colour was taken: red is latitude, green longitude."""
    red, green, _ = image.convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return red / 255 * 180 - 90, green / 255 * 360 - 180


def photo_of(latitude: float, longitude: float) -> Image.Image:
    """Return a photo that `place_of` places within half a degree or so."""
    red, green = round((latitude + 90) / 180 * 255), round((longitude + 180) / 360 * 255)
    return Image.new("RGB", (64, 64), (red, green, 128))


def write_coloured_photos(folder: Path, places: Mapping[str, tuple[float, float]]) -> Path:
    """Write `photo_of` each place, named NAME.png and by NAME's photographer, with positions."""
    folder.mkdir(parents=True)
    rows = ["file,latitude,longitude,author"]
    for name, place in places.items():
        photo_of(*place).save(folder / f"{name}.png")
        rows.append(f"{name}.png,{place[0]},{place[1]},{name}'s photographer")
    (folder / "positions.csv").write_text("\n".join(rows))
    return folder
