"""The families: published ways to align photos, places and words, each over a frozen backbone."""

import importlib
from typing import TYPE_CHECKING

from geo.errors import InputError

if TYPE_CHECKING:
    from encoders.heads import Heads, HeadsConfig

FAMILIES = {
    "geoclip": ("encoders.families.geoclip", "GeoCLIPHeads", "GeoCLIPConfig"),
    "g3": ("encoders.families.g3", "G3Heads", "G3Config"),
    "transgeoclip": ("encoders.families.transgeoclip", "TransGeoCLIPHeads", "TransGeoCLIPConfig"),
    "dualgeo": ("encoders.families.dualgeo", "DualGeoHeads", "DualGeoConfig"),
    "siglip": ("encoders.families.siglip", "SigLIPHeads", "SigLIPConfig"),
    "cellcodes": ("encoders.families.cellcodes", "CellCodesHeads", "CellCodesConfig"),
}
"""Name -> module, heads, configuration; imported on use, for torch is heavy."""


def family_classes(name: str) -> "tuple[type[Heads], type[HeadsConfig]]":
    """Return the heads and the configuration of a family.

    Raises:
        InputError: no family of that name.
    """
    if name not in FAMILIES:
        raise InputError(f"unknown family {name!r}; there is: {', '.join(FAMILIES)}")
    module, heads, config = FAMILIES[name]
    loaded = importlib.import_module(module)
    return getattr(loaded, heads), getattr(loaded, config)
