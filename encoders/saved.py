"""An encoder in a folder: `heads.safetensors`, `card.json`, and small towers beside them.

The card says what the weights are, which backbone they sit on, and a few numbers that they must
give again: a file that was swapped, cut or read on another architecture does not load.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from torch import Tensor

from encoders.families import family_classes
from encoders.heads import Heads, PhotoFeatures
from encoders.photo_file import printable
from encoders.saved_card import CARD_FILE, SavedBackbone, SavedCard
from geo.errors import InputError

if TYPE_CHECKING:
    from encoders.backbones import Backbone

HEADS_FILE, TOWER_FILE = "heads.safetensors", "tower.safetensors"
PROBE_POINTS = ((48.8584, 2.2945), (-33.8568, 151.2153), (90.0, 0.0), (-90.0, 180.0), (0.0, -180.0))
"""Places every card's probe encodes: two cities, both poles, the antimeridian."""
PROBE_NUMBERS = 8
PROBE_TOLERANCE = 1e-4


def save_encoder(
    folder: Path,
    heads: Heads,
    backbone: "Backbone",
    *,
    name: str = "",
    licence: str = "",
    made_by: dict[str, Any] | None = None,
) -> SavedCard:
    """Write heads and card into `folder`, and the tower too where it has no published name.

    The card comes last: a folder without one is not an encoder.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD_FILE).unlink(missing_ok=True)
    _write(folder / HEADS_FILE, lambda path: save_file(_plain(heads.state_dict()), path))
    model = backbone.spec.model_config_of_tower()
    if model is not None:
        state = _plain(backbone.model.state_dict())
        _write(folder / TOWER_FILE, lambda path: save_file(state, path))
    heads.eval()
    card = SavedCard(
        name=name or heads.family,
        family=heads.family,
        config=heads.config.model_dump(mode="json"),
        backbone=SavedBackbone(
            name=backbone.spec.name, fingerprint=backbone.fingerprint, model=model
        ),
        licence=licence,
        heads_sha256=_sha256(folder / HEADS_FILE),
        probe=probe(heads),
        made_by=made_by or {},
    )
    text = card.model_dump_json(indent=1)
    _write(folder / CARD_FILE, lambda path: path.write_text(text, encoding="utf-8"))
    return card


def load_heads(folder: Path, card: SavedCard) -> Heads:
    """Return the heads of a saved encoder, checked against their card.

    Raises:
        InputError: the file is missing, damaged, not the card's, or fails the numeric check.
    """
    from encoders.checkpoints import fit_keys, read_state

    shown = repr(printable(str(folder)))
    path = folder / HEADS_FILE
    if not path.is_file():
        raise InputError(f"encoder {shown} lacks {HEADS_FILE}; train or import it again")
    if (found := _sha256(path)) != card.heads_sha256:
        raise InputError(
            f"card of encoder {shown} does not match its weights: SHA-256 {found[:12]}, the card "
            f"says {card.heads_sha256[:12]}; copy both files together again"
        )
    heads_class, config_class = family_classes(card.family)
    try:
        config = config_class.model_validate_json(json.dumps(card.config))
    except ValidationError as error:
        raise InputError(
            f"card of encoder {shown} has a configuration that {card.family} does not know "
            f"({error.errors()[0]['msg']}); train or import it again"
        ) from None
    heads = heads_class(config)
    if heads.state_dict():  # SigLIP has no weights of its own
        fit_keys(heads, read_state(path))
    check_probe(heads.eval(), card, shown)
    return heads


def check_probe(heads: Heads, card: SavedCard, shown: str) -> None:
    """Compare what fixed inputs encode to with the numbers on the card.

    Raises:
        InputError: they differ.
    """
    now = probe(heads)
    for key, numbers in card.probe.items():
        got = now.get(key, [])
        apart = max((abs(a - b) for a, b in zip(got, numbers, strict=False)), default=0.0)
        if len(got) != len(numbers) or not apart <= PROBE_TOLERANCE:
            raise InputError(
                f"encoder {shown} gives other numbers than its card for {key} (apart by "
                f"{apart:.2g}, limit {PROBE_TOLERANCE:g}); the weights or the code changed: "
                "train or import it again"
            )


def probe(heads: Heads) -> dict[str, list[float]]:
    """Return the first numbers of what fixed inputs encode to, for each kind and space."""
    config = heads.config
    waves = torch.sin(torch.arange(2 * config.backbone_width).reshape(2, -1) * 0.37)
    tokens = segments = None
    if "tokens" in heads.needs:
        tokens = torch.cos(torch.arange(2 * 49 * config.token_width).reshape(2, 49, -1) * 0.11)
    if "segments" in heads.needs:
        segments = (torch.arange(2 * 56 * 56).reshape(2, 56, 56) // 97 % 5).to(torch.uint8)
    device = next((p.device for p in heads.parameters()), torch.device("cpu"))
    photos = PhotoFeatures(
        waves.to(device),
        tokens if tokens is None else tokens.to(device),
        segments if segments is None else segments.to(device),
    )
    with torch.inference_mode():
        found = {f"photo {s}": v for s, v in heads.encode_photos(photos).items()}
        if heads.location_spaces:
            points = torch.tensor(PROBE_POINTS, dtype=torch.float64, device=device)
            found |= {f"place {s}": v for s, v in heads.encode_points(points).items()}
        if heads.text_spaces:
            encoded = heads.encode_captions(waves.to(device))
            found |= {f"text {s}": v for s, v in encoded.items()}
    return {
        key: [round(float(x), 7) for x in rows[:, :PROBE_NUMBERS].flatten().cpu()]
        for key, rows in found.items()
    }


def _plain(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors so that none shares memory, which safetensors refuses."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}


def _write(path: Path, write: Any) -> None:
    partial = path.with_name(path.name + ".partial")
    write(partial)
    partial.chmod(0o644)  # safetensors keeps its files to their owner
    partial.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
