"""Where encoders come from: published weights, folders of our own, a service.

Loads heads; the image tower follows when a photo comes. Nothing is downloaded.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from encoders.backbones import Backbone
    from encoders.base import AlignedEncoder
    from encoders.heads import Heads
    from encoders.model import FamilyEncoder
    from encoders.saved_card import SavedCard
    from encoders.segmenter import Segmenter

CLIP = "clip-vit-l-14"
SIGLIP = "siglip2-so400m-16-384"
"""The tower of `siglip` where none is named."""
SEGMENTER = "upernet-convnext-tiny"
"""Makes segmentation maps where no other segmenter is given."""
NAMES = ("geoclip", "g3", "siglip")
"""Encoders that load by name alone, besides `embedded`; others are folders or services."""


def load_aligned(
    name: str, *, weights: Path, device: str = "auto", segmenter: "Segmenter | None" = None
) -> "AlignedEncoder":
    """Return an encoder by name, folder or address; see `encoders.load_encoder`."""
    if name.startswith(("http://", "https://")):
        from encoders.client import RemoteEncoder

        return RemoteEncoder(name)
    if name == "geoclip":
        return _geoclip(weights, device)
    if name == "g3":
        return _g3(weights, device)
    if name.startswith("siglip"):
        return _siglip(SIGLIP if name == "siglip" else name, weights, device)
    folder = Path(name)
    if folder.is_dir():
        return load_saved(folder, weights=weights, device=device, segmenter=segmenter)
    raise _unknown(name)


def _unknown(name: str) -> InputError:
    from encoders.families import FAMILIES

    shown = repr(printable(name))
    if name in FAMILIES:
        return InputError(
            f"family {shown} has no published weights; train it with `graticule train {name}` "
            "and give the folder"
        )
    return InputError(
        f"unknown encoder {shown}; there is: embedded, {', '.join(NAMES)}, the folder of a "
        "trained or imported one, or the http address of a service"
    )


def _geoclip(weights: Path, device: str) -> "FamilyEncoder":
    from encoders.checkpoints import load_geoclip

    return _assembled(load_geoclip(), CLIP, weights, device, licence="MIT")


def _g3(weights: Path, device: str) -> "FamilyEncoder":
    from encoders.checkpoints import import_heads

    path = weights / "g3" / "g3.pth"
    if not path.is_file():
        raise UnavailableError(
            f"g3's weights are not on this machine; run: graticule weights get g3, or put the "
            f"file at {printable(str(path))!r}"
        )
    return _assembled(import_heads("g3", [path]), CLIP, weights, device, licence="Apache-2.0")


def _siglip(tower: str, weights: Path, device: str) -> "FamilyEncoder":
    from encoders.backbone_specs import backbone_spec
    from encoders.families.siglip import SigLIPConfig, SigLIPHeads
    from encoders.torch_setup import need

    spec = backbone_spec(tower)
    width = need("open_clip").get_model_config(spec.architecture)["embed_dim"]
    heads = SigLIPHeads(SigLIPConfig(backbone_width=width))
    return _assembled(heads, tower, weights, device, licence=spec.licence, name=tower)


def _assembled(
    heads: "Heads", tower: str, weights: Path, device: str, *, licence: str, name: str = ""
) -> "FamilyEncoder":
    """Put published heads over a backbone that is known by name."""
    from encoders.backbones import backbone_fingerprint, load_backbone
    from encoders.model import FamilyEncoder
    from encoders.torch_setup import choose_device

    return FamilyEncoder(
        heads,
        partial(load_backbone, tower, folder=weights, device=device),
        backbone_name=tower,
        backbone_fingerprint=backbone_fingerprint(tower, folder=weights),
        name=name,
        licence=licence,
        published=True,
        device=choose_device(device),
    )


def load_saved(
    folder: Path, *, weights: Path, device: str = "auto", segmenter: "Segmenter | None" = None
) -> "FamilyEncoder":
    """Return an encoder that `graticule train` or `graticule weights import` wrote.

    Args:
        folder: with `card.json`.
        weights: folder with a folder for each published backbone.
        device: see `encoders.torch_setup.choose_device`.
        segmenter: for families that look at segmentation maps; the one among the weights by
            default.

    Raises:
        InputError: no encoder, a damaged one, or another backbone than it was made on.
    """
    from encoders.backbones import backbone_fingerprint
    from encoders.model import FamilyEncoder
    from encoders.saved import load_heads
    from encoders.saved_card import read_card
    from encoders.torch_setup import choose_device

    card = read_card(folder)
    heads = load_heads(folder, card)
    if card.backbone.model is None:
        try:
            here = backbone_fingerprint(card.backbone.name, folder=weights)
        except UnavailableError:  # coordinates need no tower; the first photo will ask for it
            here = card.backbone.fingerprint
        if here != card.backbone.fingerprint:
            raise InputError(
                f"encoder {printable(str(folder))!r} was made on backbone "
                f"{card.backbone.name}:{card.backbone.fingerprint[:10]}, here is {here[:10]}; "
                "get the published weights, or train it again"
            )
    return FamilyEncoder(
        heads,
        _tower_of(folder, card, weights, device),
        backbone_name=card.backbone.name,
        backbone_fingerprint=card.backbone.fingerprint,
        name=card.name,
        licence=card.licence,
        device=choose_device(device),
        segmenter=segmenter or _default_segmenter(heads, weights, device),
    )


def _default_segmenter(heads: "Heads", weights: Path, device: str) -> "Segmenter | None":
    """Return the segmenter that lies among the weights, for heads that look at its maps."""
    from encoders.segmenter import TransformersSegmenter

    folder = weights / SEGMENTER
    if "segments" not in heads.needs or not folder.is_dir():
        return None
    return TransformersSegmenter(folder, device)


def _tower_of(
    folder: Path, card: "SavedCard", weights: Path, device: str
) -> "Callable[[], Backbone]":
    from encoders.backbones import Backbone, load_backbone
    from encoders.checkpoints import read_state
    from encoders.saved import TOWER_FILE

    model = card.backbone.model
    if model is None:
        return partial(load_backbone, card.backbone.name, folder=weights, device=device)

    def load() -> "Backbone":
        state = read_state(folder / TOWER_FILE)
        loaded = Backbone.from_config(card.backbone.name, model, state=state, device=device)
        if loaded.fingerprint != card.backbone.fingerprint:
            raise InputError(
                f"tower of encoder {printable(str(folder))!r} is not its card's; copy all files "
                "together again"
            )
        return loaded

    return load
