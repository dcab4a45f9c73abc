"""Encoders of every family for the recipe bench, trained small, saved, and galleries made by them.

All sit on the frozen tower of `evaluation.planet_tower` and learn the photos of the gallery and of
further towns; never a query. Two of them go without a part of theirs: DualGeo without its
segmentation view, for no segmenter knows the rendered world, and cell codes without aerial tiles.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from encoders.backbones import Backbone
from encoders.families.cellcodes import CellCodesHeads
from encoders.families.siglip import SigLIPConfig, SigLIPHeads
from encoders.heads import Batch, Heads, PhotoFeatures
from encoders.saved import save_encoder
from encoders.saved_card import CARD_FILE
from evaluation.planet_families import CODE_LEVEL, FAMILIES, PROTOTYPE_LEVEL, Family
from evaluation.planet_features import AT_ONCE
from evaluation.planet_tower import Progress
from evaluation.planet_training import Budget, train_heads
from evaluation.recipe_world import RecipeWorld, WorldPhoto
from geo.cells import cell_ids
from geo.regions import country_name
from index_builder import build_gallery, open_gallery
from index_builder.cells import build_cells

TRAINED = ("g3", "transgeoclip", "dualgeo", "cellcodes")
ABLATED = ("dualgeo", "cellcodes")
CELLS = "cells"


@dataclass(frozen=True)
class Learned:
    """What encoders learn from: rows belong together, the gallery's photos first."""

    pooled: Tensor
    points: Tensor
    captions: Tensor


@dataclass(frozen=True)
class Galleries:
    """Folders of saved encoders and of galleries, by family; `cells` is a gallery of cells."""

    encoders: dict[str, Path]
    galleries: dict[str, Path]


def make_galleries(
    world: RecipeWorld, tower: Backbone, budget: Budget, progress: Progress
) -> Galleries:
    """Return the encoders and galleries of a world, made in its folder where they are missing.

    Args:
        world: drawn.
        tower: frozen.
        budget: of the training of each family.
        progress: told while features are computed and heads trained.
    """
    made_of = json.dumps([tower.fingerprint, asdict(budget)])
    done = world.folder / "encoders.json"
    families = {family.name: family for family in FAMILIES if family.name in TRAINED}
    here = Galleries(
        {name: world.folder / "encoders" / name for name in (*families, "siglip")},
        {name: world.folder / "galleries" / name for name in ("g3", "siglip", "transgeoclip",
                                                              "dualgeo", "cellcodes", CELLS)},
    )  # fmt: skip
    if done.exists() and done.read_text(encoding="utf-8") == made_of:
        return here
    learned = _learned(world, tower, progress)
    for name, folder in here.encoders.items():
        if name == "siglip":
            heads: Heads = SigLIPHeads(SigLIPConfig(backbone_width=tower.width))
        else:
            heads = _trained(families[name], world.seed, tower, learned, budget, progress)
        (folder / CARD_FILE).unlink(missing_ok=True)
        save_encoder(folder, heads, tower, made_by={"bench": "recipes", "world": world.seed})
    _build(world, here, progress)
    done.write_text(made_of, encoding="utf-8")
    return here


def _build(world: RecipeWorld, here: Galleries, progress: Progress) -> None:
    """Build a gallery by each encoder, and cells of the one with learned cells."""
    for number, (name, encoder) in enumerate(here.encoders.items(), start=1):
        # Points are compared in the gallery of the recipes that do; copies cost time.
        build_gallery(
            world.gallery_folder, here.galleries[name], encoder=encoder, resume=False,
            positions=world.gallery_folder / "positions.csv", copies=name == "g3",
        )  # fmt: skip
        progress(f"galleries of world {world.seed}", number, len(here.encoders))
    from encoders import load_encoder

    with open_gallery(here.galleries["cellcodes"]) as gallery:
        build_cells(
            gallery,
            here.galleries[CELLS],
            encoder=load_encoder(str(here.encoders["cellcodes"])),
            prototype_level=PROTOTYPE_LEVEL,
            code_level=CODE_LEVEL,
            replace=True,
        )


def _trained(
    family: Family,
    seed: int,
    tower: Backbone,
    learned: Learned,
    budget: Budget,
    progress: Progress,
) -> Heads:
    """Return heads of a family that learned a world's photos."""
    variant = "ablated" if family.name in ABLATED else "trained"
    heads = family.heads((tower.width, tower.token_width), variant, seed)
    cells = None
    if isinstance(heads, CellCodesHeads):
        points = learned.points.numpy()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            heads.set_cells(np.unique(cell_ids(points, PROTOTYPE_LEVEL)))
        cells = heads.cell_rows(points)

    def batch(rows: Tensor) -> Batch:
        return Batch(
            PhotoFeatures(learned.pooled[rows]),
            learned.points[rows],
            captions=learned.captions[rows],
            cells=None if cells is None else cells[rows],
        )

    def told(step: int, steps: int, loss: float) -> None:
        progress(f"{family.name} of world {seed}, loss {loss:.2f}", step, steps)

    train_heads(heads, len(learned.points), batch, budget, seed, told)
    heads.prepare()
    return heads


def _learned(world: RecipeWorld, tower: Backbone, progress: Progress) -> Learned:
    """Return what the tower says of photos and of their places' names."""
    photos = (*world.gallery, *world.learned)
    parts = []
    for start in range(0, len(photos), AT_ONCE):
        images = [Image.open(world.path(p)).convert("RGB") for p in photos[start : start + AT_ONCE]]
        parts.append(tower.image_features(images).pooled)
        progress(f"features of world {world.seed}", start + len(images), len(photos))
    points = [(photo.shot.latitude, photo.shot.longitude) for photo in photos]
    return Learned(
        torch.cat(parts).clone(),
        torch.tensor(points, dtype=torch.float64),
        _captions(tower, photos),
    )


def _captions(tower: Backbone, photos: Sequence[WorldPhoto]) -> Tensor:
    """Return text features of each photo's town, area and country, as G3's captions name them."""
    towns = list(dict.fromkeys(photo.town for photo in photos))
    said = [f"{town.name}, {town.admin1}, {country_name(town.country)}" for town in towns]
    parts = [
        tower.text_features(said[start : start + AT_ONCE]) for start in range(0, len(said), AT_ONCE)
    ]
    row = {town: number for number, town in enumerate(towns)}
    return torch.cat(parts)[[row[photo.town] for photo in photos]].clone()
