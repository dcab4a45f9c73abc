"""A small frozen tower for the rendered planet, in the role that CLIP has for real photos.

It is pre-trained on photos and captions of another planet: captions speak of climate, trees,
light, furniture and landmarks, never of a place. So it knows what things are called and nothing
of where they are. It imitates CLIP's role, and nothing more: no figure reached with it says
anything of figures with CLIP. Source of the loss: CLIP (Radford et al., ICML 2021).
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from encoders.backbones import Backbone, build_towers
from encoders.heads import contrastive, unit
from encoders.preprocess import Preprocessing
from encoders.torch_setup import need
from evaluation.planet import PLANET_VERSION, Planet
from evaluation.planet_training import schedule

TOWER_NAME = "planet-vit"
CONTEXT = 48
BETAS = (0.9, 0.98)
WEIGHT_DECAY = 0.1
Progress = Callable[[str, int, int], None]
"""What is told of progress: of what, how many are done, of how many."""


@dataclass(frozen=True)
class TowerRecipe:
    """How a tower is built and pre-trained."""

    planet: int = 900
    """Seed of the planet whose photos it sees; another than is tested on."""
    photos: int = 10_000
    steps: int = 1_200
    batch: int = 128
    lr: float = 1e-3
    side: int = 64
    patch: int = 16
    width: int = 128
    layers: int = 3
    text_width: int = 64
    text_layers: int = 1
    seed: int = 0

    @property
    def config(self) -> dict[str, Any]:
        """As open_clip's `model_configs` have it."""
        return {
            "embed_dim": self.width,
            "vision_cfg": {
                "image_size": self.side,
                "layers": self.layers,
                "width": self.width,
                "head_width": 32,
                "patch_size": self.patch,
                "pool_type": "avg",
            },
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": 49408,
                "width": self.text_width,
                "heads": self.text_width // 32,
                "layers": self.text_layers,
            },
        }

    def identity(self) -> str:
        """Return a short name of everything that decides the weights."""
        parts = json.dumps([asdict(self), self.config, PLANET_VERSION], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


def load_tower(recipe: TowerRecipe, folder: Path, progress: Progress) -> Backbone:
    """Return the frozen tower, pre-trained now unless that was done before.

    Args:
        recipe: how.
        folder: where its weights are kept, one file a recipe.
        progress: told while it trains.

    Raises:
        InputError: the file kept is not a tower of this recipe.
    """
    from safetensors.torch import load_file, save_file

    path = folder / f"tower-{recipe.identity()}.safetensors"
    if not path.exists():
        state = pretrain(recipe, progress)
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file({key: value.contiguous() for key, value in state.items()}, partial)
        partial.replace(path)
    return Backbone.from_config(TOWER_NAME, recipe.config, state=load_file(path), device="cpu")


def pretrain(recipe: TowerRecipe, progress: Progress) -> dict[str, Tensor]:
    """Return weights trained on photos and captions of the recipe's planet."""
    photos, captions = _pairs(recipe, progress)
    model = build_towers(TOWER_NAME, recipe.config, seed=recipe.seed)
    model.train()
    # Fixed random word vectors do for a few hundred words, and half the time went into them.
    model.token_embedding.requires_grad_(False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=recipe.lr, betas=BETAS, weight_decay=WEIGHT_DECAY)
    order = np.random.default_rng([recipe.seed, 20])
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.lr * schedule(step, recipe.steps)
        rows = torch.from_numpy(order.choice(len(photos), min(recipe.batch, len(photos)), False))
        loss = _pair_loss(model, prepared(photos[rows]), captions[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        progress(f"tower, loss {loss.item():.2f}", step + 1, recipe.steps)
    return {key: value.detach() for key, value in model.state_dict().items()}


def _pairs(recipe: TowerRecipe, progress: Progress) -> tuple[Tensor, Tensor]:
    """Return photos `[N, S, S, 3]` and token numbers of captions `[N, context]`."""
    planet = Planet(recipe.planet, side=recipe.side)
    places = planet.places(recipe.photos, seed=recipe.seed)
    shots = planet.shots(places, range(1), "any", seed=recipe.seed)
    photos, captions = np.empty((len(shots), recipe.side, recipe.side, 3), np.uint8), []
    for number, shot in enumerate(shots):
        look = planet.see(shot)
        photos[number] = look.photo
        captions.append(look.caption)
        progress("photos for the tower", number + 1, len(shots))
    tokens = need("open_clip").SimpleTokenizer(context_length=CONTEXT)(captions)
    return torch.from_numpy(photos), tokens


def prepared(photos: Tensor) -> Tensor:
    """Return `[N, 3, S, S]` float32 input of a tower for `[N, S, S, 3]` photos of its size."""
    spec = Preprocessing(photos.shape[1])
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    pixels = photos.float() / 255
    return ((pixels - mean) / std).permute(0, 3, 1, 2).contiguous()


def _pair_loss(model: nn.Module, photos: Tensor, tokens: Tensor) -> Tensor:
    # torch types what a module holds as tensor or module, its methods too.
    seen = unit(model.encode_image(photos))  # type: ignore[operator]
    said = unit(model.encode_text(tokens))  # type: ignore[operator]
    return contrastive(seen, said, model.logit_scale)  # type: ignore[arg-type]
