"""Fresh heads ready to train, and what cell codes need besides: their tables of cells."""

import json

import numpy as np
import torch
from pydantic import ValidationError
from torch import nn

from encoders.families import family_classes
from encoders.families.cellcodes import CellCodesHeads
from encoders.heads import Heads
from encoders.photo_file import printable
from geo.cells import cell_ids
from geo.errors import ConfigError, InputError
from index_builder.cached_features import CachedFeatures
from index_builder.feature_store import Rows
from index_builder.train_settings import TrainSettings

_AT_ONCE = 1024
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fresh_heads(settings: TrainSettings, width: int, token_width: int) -> Heads:
    """Return a family's heads with weights drawn from the settings' seed, on the CPU.

    Args:
        settings: family, sizes, seed.
        width: of the backbone's pooled features.
        token_width: of its patch tokens.

    Raises:
        ConfigError: a size or switch of the heads is wrong.
    """
    heads_class, config_class = family_classes(settings.family)
    sizes = settings.heads | {"backbone_width": width, "token_width": token_width}
    try:
        config = config_class.model_validate_json(json.dumps(sizes))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or settings.family
        raise ConfigError(
            f"setting heads.{printable(name, 60)}: {first['msg']}; correct it"
        ) from None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        heads = heads_class(config)
    if settings.checkpointing:
        if not hasattr(heads, "checkpointing"):
            raise ConfigError(
                f"family {settings.family!r} is too small to save memory by checkpointing; leave "
                "it off"
            )
        # A module's attributes are typed as tensors and modules alone.
        heads.checkpointing = True  # type: ignore[assignment]
    return heads


def check_processes(heads: Heads, processes: int, batch: int) -> None:
    """Refuse what several processes cannot do as one would.

    Raises:
        ConfigError: a batch that they cannot share, or a layer that looks across a batch.
    """
    if batch % processes:
        raise ConfigError(
            f"batch {batch} cannot be shared by {processes} processes; choose a multiple of "
            f"{processes}, at most the number of training photos"
        )
    if processes > 1 and any(isinstance(module, _BATCH_NORMS) for module in heads.modules()):
        raise ConfigError(
            f"{processes} processes would each normalise over their own share of a batch in "
            f"{heads.family!r} as configured; train in 1 process, or choose segment_encoder patches"
        )


def set_cells(heads: Heads, features: CachedFeatures, training: Rows, seed: int) -> None:
    """Give cell codes one prototype for each cell with a training photo; others need nothing.

    Photos held out that lie elsewhere get row -1.
    """
    if not isinstance(heads, CellCodesHeads):
        return
    points = features.points[training]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        heads.set_cells(np.unique(cell_ids(points, heads.config.prototype_level)))
    features.cells = heads.cell_rows(features.points).numpy()


@torch.no_grad()
def set_codes(heads: Heads, features: CachedFeatures, held_out: Rows) -> None:
    """Put the tiles of all photos' cells in place and calibrate kappa; others need nothing.

    Tiles of cells whose photos are held out are used too: they show the ground, not the photo.
    Kappa is chosen on photos held out, for prototypes know the others.
    """
    if not isinstance(heads, CellCodesHeads) or not heads.config.aerial:
        return
    ids, first = np.unique(cell_ids(features.points, heads.config.code_level), return_index=True)
    device = heads.kappa.device
    tiles = []
    for start in range(0, len(first), _AT_ONCE):
        aerial = features.batch(first[start : start + _AT_ONCE]).aerial
        assert aerial is not None
        tiles.append(heads.encode_aerial(aerial.to(device)))
    heads.set_codes(ids, torch.cat(tiles))
    if not len(held_out):
        return
    ground = [
        heads.encode_photos(features.batch(held_out[i : i + _AT_ONCE]).to(device).photos)["cell"]
        for i in range(0, len(held_out), _AT_ONCE)
    ]
    own = cell_ids(features.points[held_out], heads.config.code_level)
    try:
        heads.calibrate(torch.cat(ground), own)
    except InputError:  # no photo held out lies in a cell with a code
        heads.kappa.fill_(1.0)
