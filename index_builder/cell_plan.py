"""What a build of cells is asked for, checked, and the digest that tells one from another."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from encoders import load_encoder
from encoders.base import Encoder
from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.cell_kappa import Kappa
from index_builder.cell_prototypes import Survey, Tell
from index_builder.gallery import Gallery
from index_builder.gallery_opening import check_encoder

PROTOTYPE_LEVEL, CODE_LEVEL = 15, 16
"""The published levels: about 281 and 140 m a side."""
FINEST = 24
MOST_FINER = 6
"""Levels between prototypes and codes at most, as in `cellcodes`."""
CELL_SPACE = "cell"
"""The space of `cellcodes`, which has learned prototypes."""


@dataclass(frozen=True)
class Plan:
    """What is asked for, checked; see `index_builder.cells.build_cells`."""

    gallery: Gallery
    out: Path
    space: str
    prototype_level: int
    code_level: int
    encoder: Encoder | None
    kappa: float | None
    min_photos: int
    tell: Tell

    @property
    def learned(self) -> bool:
        """Whether prototypes come from the encoder's own table."""
        return self.space == CELL_SPACE and self.encoder is not None


def planned(
    gallery: Gallery,
    out: Path,
    space: str,
    encoder: Encoder | None,
    tiled: bool,
    progress: Tell | None,
    *,
    prototype_level: int,
    code_level: int,
    kappa: float | None,
    min_photos: int,
) -> Plan:
    """Check what is asked for, and load the encoder where one is needed.

    Args:
        gallery: see `index_builder.cells.build_cells`, as for the others.
        out: see there.
        space: see there.
        encoder: see there.
        tiled: whether there are aerial tiles.
        progress: see there.
        prototype_level: see there.
        code_level: see there.
        kappa: see there.
        min_photos: see there.

    Raises:
        InputError: no gallery of photos, another encoder's, or something out of range.
        UnavailableError: the encoder is not on this machine.
    """
    made = gallery.manifest.encoder
    if gallery.manifest.kind != "photos":
        raise InputError(
            f"gallery {gallery.name!r} holds {gallery.manifest.kind}, photos are needed; give a "
            "gallery that `graticule gallery build` made"
        )
    space = space or (made.retrieval or tuple(made.spaces))[0]
    if space not in made.spaces:
        raise InputError(
            f"gallery {gallery.name!r} has the spaces {', '.join(made.spaces)}, not "
            f"{printable(space)!r}; choose one of them"
        )
    check_levels(prototype_level, code_level)
    if kappa is not None and not 0 <= kappa <= 1e6:
        raise InputError(f"kappa {kappa:g}, limits 0 to 1,000,000; give another factor, or none")
    if min_photos < 1:
        raise InputError(f"min_photos {min_photos}, limit 1 or more; give a whole number there")
    if encoder is None and (tiled or space == CELL_SPACE):
        encoder = gallery.codebook_encoder or load_encoder(made.load)
    if encoder is not None:
        check_encoder(repr(gallery.name), gallery.manifest, encoder.card)
    tell = progress or (lambda stage, done, total: None)
    return Plan(gallery, out, space, prototype_level, code_level, encoder, kappa, min_photos, tell)


def check_levels(prototype_level: int, code_level: int) -> None:
    """Refuse levels that make no cells of a place.

    Raises:
        InputError: outside 0 to 24, or codes coarser or more than 6 finer than prototypes.
    """
    if not 0 <= prototype_level <= FINEST:
        raise InputError(
            f"level {prototype_level} of prototypes, limits 0 to {FINEST}; 15 is about 281 m a side"
        )
    if not prototype_level <= code_level <= min(prototype_level + MOST_FINER, FINEST):
        raise InputError(
            f"level {code_level} of codes, limits {prototype_level} (that of prototypes) to "
            f"{min(prototype_level + MOST_FINER, FINEST)}; give one between"
        )


def width_km(level: int) -> float:
    """Return about the most that a cell of a level measures from corner to corner, km."""
    return float(2.0**-level * 15_536)


def made_from(plan: Plan, found: Survey, tiles_sha256: str) -> str:
    """Return a digest of all that the cells follow from."""
    parts = [
        1, plan.gallery.manifest.encoder.fingerprint, plan.space, found.sha256, tiles_sha256,
        plan.prototype_level, plan.code_level, plan.kappa, plan.min_photos, plan.learned,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def settings_of(plan: Plan, found: Survey, kappa: Kappa) -> dict[str, JsonValue]:
    """Return what the manifest says of a build, besides what came of it."""
    return {
        "space": plan.space,
        "prototype_level": plan.prototype_level,
        "code_level": plan.code_level,
        "prototypes_by": "learned" if plan.learned else "averaged",
        "min_photos": plan.min_photos,
        "kappa": dict(vars(kappa)),
        "gallery": plan.gallery.name,
        "gallery_sha256": found.sha256,
        "photos": len(found.numbers),
        "left_out": found.left_out,
    }
