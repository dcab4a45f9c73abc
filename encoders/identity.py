"""What an encoder is by its name or its folder alone; nothing is loaded, torch neither."""

from pathlib import Path
from typing import NamedTuple

from encoders.families import FAMILIES
from encoders.loading import CLIP, SEGMENTER, SIGLIP
from encoders.saved_card import CARD_FILE, read_card

PUBLISHED_FAMILIES = {"geoclip": ("geoclip", CLIP), "g3": ("g3", CLIP), "siglip": (SIGLIP,)}
"""Families with published weights -> names of these in the catalogue of weights."""
EMBEDDED = "embedded"


class EncoderIs(NamedTuple):
    """What can be told of an encoder before it is loaded."""

    family: str
    """Key of `FAMILIES`, or `embedded`; empty where only loading it would tell."""
    weights: tuple[str, ...] = ()
    """Names in the catalogue of weights that it needs besides its own folder."""
    name: str = ""
    """What its folder's card calls it; empty for one that is known by name."""
    torch: bool = True
    """Whether it computes in this process with torch."""


def tell_encoder(load: str | Path) -> EncoderIs:
    """Return what an encoder is that `encoders.load_encoder` would load by this.

    Args:
        load: a name, the folder of a saved encoder, or the address of a service.

    Raises:
        InputError: a folder whose card is damaged, or of another format.
    """
    name = str(load)
    if name.startswith(("http://", "https://")):
        return EncoderIs("", torch=False)
    if name == EMBEDDED:
        return EncoderIs(EMBEDDED, torch=False)
    if name in PUBLISHED_FAMILIES:
        return EncoderIs(name, PUBLISHED_FAMILIES[name])
    if name.startswith("siglip"):
        return EncoderIs("siglip", (name,))
    if not (Path(name) / CARD_FILE).is_file():
        return EncoderIs("")
    return _saved(Path(name))


def _saved(folder: Path) -> EncoderIs:
    card = read_card(folder)
    family = card.family if card.family in FAMILIES else ""
    tower = () if card.backbone.model else (card.backbone.name,)
    looks_at_maps = family == "dualgeo" and card.config.get("segments", True)
    return EncoderIs(family, (*tower, *((SEGMENTER,) if looks_at_maps else ())), card.name)
