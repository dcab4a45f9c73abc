"""What an encoder is: photos, places and words in, unit vectors of named spaces out.

Knows no model. Families differ in weights and preprocessing; galleries, tools, the service and
the tests only lean on what is written here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image

from geo.errors import InputError

Vectors = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]

MIN_SIDE_PX = 8
"""A photo with a shorter side shows a model nothing but its own upscaling."""
MAX_ASPECT = 10.0
"""Longer to shorter side. A model sees one square of the photo; of a longer strip, next to none."""
MAX_TEXT_LENGTH = 2_000
UNIT_TOLERANCE = 1e-3
"""Rows whose length differs more from 1 are no unit vectors; half precision differs less."""


@dataclass(frozen=True)
class EncoderCard:
    """Identity of an encoder: two encoders with one fingerprint give the same vectors."""

    name: str
    """Family, or the name its owner gave it."""
    fingerprint: str
    """SHA-256 hex over weights and preprocessing; vectors compare only under the same one."""
    spaces: Mapping[str, int] = field(default_factory=dict)
    """Dimensions of each space it encodes into."""
    licence: str = ""
    """Licence of the weights, as their publisher states it."""
    backbone: str = ""
    """Image and text tower under the heads."""
    image_spaces: tuple[str, ...] = ()
    """Spaces that photos are encoded into."""
    location_spaces: tuple[str, ...] = ()
    """Spaces that coordinates are encoded into."""
    text_spaces: tuple[str, ...] = ()
    """Spaces that texts are encoded into."""
    retrieval: tuple[str, ...] = ()
    """Image spaces whose vectors, one after the other, make the family's index vector."""
    alignment: str = ""
    """The space in which a photo and a location compare; empty where there is none."""
    temperature: float = 1.0
    """Factor on cosines of the alignment space before a softmax, as trained."""
    published: bool = False
    """Whether its weights are a publication's own, so that their accuracy is known on average."""
    family: str = ""
    """Key of `encoders.families.FAMILIES`, or `embedded`, whatever its owner named it; empty where
    it was not said."""


@runtime_checkable
class Encoder(Protocol):
    """Turns photos into vectors."""

    @property
    def card(self) -> EncoderCard:
        """Who this encoder is."""
        ...

    def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
        """Encode upright RGB photos, each on its own: no row depends on another photo.

        Returns:
            For each image space of the card, `[N, D]` float32 rows of unit Euclidean length.
            A row is all zero where the encoder sees nothing in the photo; such a photo is left
            out by its user, never compared.

        Raises:
            InputError: no photo, or one that is not RGB, too small or too long a strip.
            UnavailableError: the image tower's weights are not on this machine.
        """
        ...


@runtime_checkable
class AlignedEncoder(Encoder, Protocol):
    """Turns photos, coordinates and texts into vectors of spaces that they share."""

    def encode_locations(self, coordinates: npt.ArrayLike) -> dict[str, Vectors]:
        """Encode places, each on its own.

        Args:
            coordinates: `[N, 2]` latitude, longitude in degrees, WGS84.

        Returns:
            For each location space of the card, `[N, D]` float32 unit rows. A row is all zero
            where the encoder knows nothing of that place (cell codes outside their cells).

        Raises:
            InputError: none given, not `[N, 2]`, not finite, or out of range; or the family
                encodes no locations.
        """
        ...

    def encode_texts(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """Encode captions, each on its own: `[N, D]` float32 unit rows per text space.

        Raises:
            InputError: none given, an empty or overlong one, or the family encodes no texts.
            UnavailableError: the text tower's weights are not on this machine.
        """
        ...


def check_images(images: Sequence[Image.Image]) -> None:
    """Refuse photos that no tower can make sense of.

    Raises:
        InputError: no photo, a mode other than RGB, a side below 8 px, a strip beyond 10:1.
    """
    if not len(images):
        raise InputError("no photos to encode, at least 1 is needed; give a list of RGB photos")
    for number, image in enumerate(images):
        if not isinstance(image, Image.Image):
            raise InputError(
                f"photo {number} is a {type(image).__name__}, a PIL image is needed; open the "
                "file with encoders.pixels.open_photo"
            )
        width, height = image.size
        shown = f"photo {number} of {width:,} x {height:,} px"
        if image.mode != "RGB":
            raise InputError(
                f"photo {number} has mode {image.mode!r}, RGB is needed; open the file with "
                "encoders.pixels.open_photo, or convert it"
            )
        if min(width, height) < MIN_SIDE_PX:
            raise InputError(f"{shown} is too small, limit {MIN_SIDE_PX} px a side; give a larger")
        if max(width, height) > MAX_ASPECT * min(width, height):
            raise InputError(
                f"{shown} is too long a strip, limit {MAX_ASPECT:g}:1; crop the part that matters"
            )


def check_coordinates(coordinates: npt.ArrayLike) -> Points:
    """Return `[N, 2]` latitude, longitude in degrees as float64.

    Raises:
        InputError: none given, another shape, not finite, or out of range.
    """
    try:
        points: Points = np.asarray(coordinates, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            "coordinates are not all numbers; give [[latitude, longitude], ...] in degrees"
        ) from None
    if points.size == 0:
        raise InputError("no coordinates to encode, at least 1 is needed; give [[lat, lon], ...]")
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(
            f"coordinates have shape {points.shape}, [N, 2] is needed; give one latitude, "
            "longitude pair a row"
        )
    with np.errstate(invalid="ignore"):
        good = (np.abs(points) <= (90.0, 180.0)).all(axis=1)
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(
            f"coordinate {row} is ({points[row, 0]}, {points[row, 1]}), limits -90 to 90 and "
            "-180 to 180 degrees; leave it out or correct it"
        )
    return points


def check_texts(texts: Sequence[str]) -> list[str]:
    """Return texts that a tower can read.

    Raises:
        InputError: a bare string, none given, an empty one, or one over 2,000 characters.
    """
    if isinstance(texts, str):
        raise InputError("one string was given, a list of texts is needed; put it in a list")
    if not len(texts):
        raise InputError("no texts to encode, at least 1 is needed; give a list of captions")
    for number, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT_LENGTH:
            shown = f"{len(text)} characters" if isinstance(text, str) else type(text).__name__
            raise InputError(
                f"text {number} has {shown}, limit 1 to {MAX_TEXT_LENGTH:,} characters; correct it"
            )
    return list(texts)


def alignment_scores(
    card: EncoderCard, photos: Mapping[str, Vectors], locations: Mapping[str, Vectors]
) -> Vectors:
    """Return the cosine of every photo with every location, `[N, M]`, finite and within -1 to 1.

    The products are summed in float64, so that one does not depend on how many there are.

    Args:
        card: of the encoder that made both.
        photos: what its `encode_images` returned, N rows.
        locations: what its `encode_locations` returned, M rows. Rows of zeros score 0: drop
            them before choosing a best one.

    Raises:
        InputError: the family has no such space, a vector has the wrong width, is not finite, or
            is neither of unit length nor zero: a longer one would outdo every cosine.
    """
    if not card.alignment:
        raise InputError(
            f"encoder {card.name!r} compares no photo with a location; use geoclip, g3, "
            "transgeoclip, dualgeo or cellcodes"
        )
    left = check_vectors(card, card.alignment, photos)
    right = check_vectors(card, card.alignment, locations)
    for rows in (left, right):
        if (wrong := off_unit(rows)).any():
            raise InputError(
                f"vectors of space {card.alignment!r}: row {int(wrong.argmax())} is neither of "
                f"length 1 nor zero; encode it again with {card.name!r}, or leave it out"
            )
    cosines = left.astype(np.float64) @ right.T.astype(np.float64)
    return np.asarray(np.clip(cosines, -1.0, 1.0), np.float32)


def off_unit(rows: Vectors) -> npt.NDArray[np.bool_]:
    """Return which rows of `[N, D]` are neither of unit length nor zero; not finite ones are."""
    with np.errstate(all="ignore"):
        lengths = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1))
        sound = (np.abs(lengths - 1) <= UNIT_TOLERANCE) | (lengths == 0)
    return np.asarray(~sound, dtype=np.bool_)


def retrieval_vectors(card: EncoderCard, photos: Mapping[str, Vectors]) -> Vectors:
    """Return the family's index vectors, `[N, sum of D]`: unit vectors one after the other.

    The inner product of two of them is the sum of the cosines in each space (G3, section 2.4).

    Raises:
        InputError: a space is missing, a vector has the wrong width or is not finite.
    """
    return np.concatenate([check_vectors(card, space, photos) for space in card.retrieval], axis=1)


def check_vectors(card: EncoderCard, space: str, vectors: Mapping[str, Vectors]) -> Vectors:
    """Return the `[N, D]` vectors of one space if they can be of this encoder.

    Raises:
        InputError: the space is missing, a vector has the wrong width or is not finite.
    """
    width = card.spaces[space]
    if space not in vectors:
        raise InputError(
            f"vectors of space {space!r} are missing, there are {sorted(vectors)}; encode with "
            f"{card.name!r}"
        )
    found = vectors[space]
    if found.ndim != 2 or found.shape[1] != width:
        raise InputError(
            f"vectors of space {space!r} have shape {found.shape}, [N, {width}] is needed; "
            f"encode with {card.name!r}"
        )
    if not np.isfinite(found).all():
        raise InputError(f"vectors of space {space!r} are not finite; encode them again")
    return found
