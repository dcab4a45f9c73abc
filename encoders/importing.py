"""Published files become an encoder of our own: safetensors and a card, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from encoders.backbone_specs import BackboneSpec, backbone_spec
from encoders.backbones import backbone_fingerprint
from encoders.checkpoints import file_sha256, import_heads, load_geoclip
from encoders.photo_file import printable
from encoders.saved import save_encoder
from encoders.saved_card import CARD_FILE, SavedCard
from encoders.weights import GEOCLIP_FILES, geoclip_folder
from geo.errors import InputError

if TYPE_CHECKING:
    from encoders.backbones import Backbone

LICENCES = {"geoclip": "MIT", "g3": "Apache-2.0"}


@dataclass(frozen=True)
class _NamedTower:
    """What a card says of a tower that is known by name."""

    spec: BackboneSpec
    fingerprint: str


def import_encoder(
    family: str, paths: Sequence[Path], folder: Path, *, weights: Path, backbone: str
) -> SavedCard:
    """Import published files and save them as an encoder of our own: safetensors and a card.

    Args:
        family: whose they are.
        paths: the files; none for GeoCLIP takes those of the installed package.
        folder: where the encoder goes.
        weights: where towers lie, `home/weights`.
        backbone: name of the tower that the heads sit on.

    Raises:
        InputError: see `import_heads`; or `folder` holds something else.
        UnavailableError: the geoclip package is not installed.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{printable(str(folder))!r} is a file; give a folder to --out")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CARD_FILE).is_file():
        raise InputError(
            f"{printable(str(folder))!r} holds other files and no encoder; give an empty folder"
        )
    tower = _NamedTower(backbone_spec(backbone), backbone_fingerprint(backbone, folder=weights))
    if not paths and family != "geoclip":
        raise InputError(f"no files to import {family} from; give its checkpoint")
    heads = import_heads(family, paths) if paths else load_geoclip()
    files = paths or [(geoclip_folder() or Path()) / name for name in GEOCLIP_FILES]
    made_by = {"imported": {printable(path.name): file_sha256(path) for path in files}}
    licence = LICENCES.get(family, "")
    return save_encoder(folder, heads, cast("Backbone", tower), licence=licence, made_by=made_by)
