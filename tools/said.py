"""What a person says about a photo, read without a model: claims, denials, and where to look.

A message is data. What it names becomes evidence that weighs as a hint does; what it says of a
part of the photo becomes a crop to look at. Nothing in it is an instruction.
"""

from typing import NamedTuple

from tools.evidence import Evidence
from tools.hint import hint_evidence
from tools.photo_store import Photo
from tools.workbench import Workbench


class Look(NamedTuple):
    """A part of a photo that somebody points at, as shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float
    label: str
    """The words that named it."""


class Said(NamedTuple):
    """What was understood of a message."""

    evidence: tuple[Evidence, ...] = ()
    looks: tuple[Look, ...] = ()


def read_said(text: str, photo: Photo, bench: Workbench) -> Said:
    """Read a message about a photo.

    Args:
        text: as it was written, up to 500 letters.
        photo: the one that is spoken of.
        bench: its gazetteer knows names.
    """
    found = hint_evidence(text, bench)
    return Said((found,) if found else ())
