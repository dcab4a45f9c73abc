"""What a person says about a photo, read without a model: claims, denials, and where to look.

A message is data. What it claims or denies becomes evidence that weighs as surely as it was said;
what it says of a part of the photo becomes a crop to look at. Nothing in it is an instruction, and
what is not understood has no effect and is said.
"""

from typing import NamedTuple

from geo.written_pairs import NULL_ISLAND
from tools.evidence import Evidence
from tools.hint import as_coordinate
from tools.photo_store import Photo
from tools.said_denials import spaced
from tools.said_evidence import evidence_of
from tools.said_grammar import read_claims
from tools.said_looks import Look, find_looks
from tools.said_names import mark_names
from tools.workbench import Workbench

__all__ = ["Look", "Said", "read_said", "read_words"]

MOST_NOTES = 4


class Said(NamedTuple):
    """What was understood of a message."""

    evidence: tuple[Evidence, ...] = ()
    looks: tuple[Look, ...] = ()
    notes: tuple[str, ...] = ()
    """What has no effect, one sentence each."""


def read_said(text: str, photo: Photo, bench: Workbench) -> Said:
    """Read a message about a photo.

    Args:
        text: as it was written, up to 500 letters.
        photo: the one that is spoken of.
        bench: its gazetteer knows names.
    """
    seen = find_looks(text, photo.width, photo.height)
    said = read_words(seen.rest, bench)
    return said._replace(looks=seen.looks, notes=(*seen.refused, *said.notes)[:MOST_NOTES])


def read_words(text: str, bench: Workbench) -> Said:
    """Read what words say about a place, and nothing of where on the photo they point.

    Args:
        text: as it was written, up to 500 letters.
        bench: its gazetteer knows names.
    """
    if (point := as_coordinate(text)) is not None:
        known = (point.candidates[0].latitude, point.candidates[0].longitude) != (0, 0)
        return Said((point,)) if known else Said(notes=(f"{text[:80]!r}: {NULL_ISLAND}.",))
    plain = "".join(" " if 0xE000 <= ord(letter) <= 0xF8FF else letter for letter in text)
    marked = mark_names(spaced(plain), bench.gazetteer)
    read = read_claims(marked)
    return Said(tuple(evidence_of(read.claims, bench)), (), tuple(read.unread[:MOST_NOTES]))
