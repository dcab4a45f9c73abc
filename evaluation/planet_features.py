"""What the frozen tower says of a planet's photos, tiles and captions: computed once, kept."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from encoders.backbones import Backbone
from encoders.heads import Batch, PhotoFeatures
from evaluation.planet import PLANET_VERSION, Planet
from evaluation.planet_splits import Group, SetName, Size, Split, split_of
from evaluation.planet_tower import Progress

AT_ONCE = 64
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Observed:
    """Features of one set of one planet.

    Attributes:
        split: places and photos.
        photos: of each group by name; tokens and maps in the `summer` set alone.
        captions: `[P, W]` text features of each place's city, state and country.
        aerial: `[P, W]` pooled features of each place's tile; empty in the `summer` set.
    """

    split: Split
    photos: dict[str, PhotoFeatures]
    captions: Tensor
    aerial: Tensor

    def group(self, name: str) -> Group:
        """Return a group by name."""
        return next(group for group in self.split.groups if group.name == name)

    def places(self, names: tuple[str, ...]) -> Tensor:
        """Return the place of each photo of some groups, `[N]`."""
        return torch.from_numpy(np.concatenate([self.group(name).places for name in names]))

    def features(self, names: tuple[str, ...]) -> PhotoFeatures:
        """Return the features of some groups, one after the other."""
        parts = [self.photos[name] for name in names]
        pooled = torch.cat([part.pooled for part in parts])
        return PhotoFeatures(
            pooled, *(_joined([getattr(p, f) for p in parts]) for f in _FIELDS[1:])
        )

    def points(self, places: Tensor) -> Tensor:
        """Return `[N, 2]` float64 degrees of places."""
        return torch.from_numpy(self.split.places)[places]

    def batch(self, photos: PhotoFeatures, places: Tensor, rows: Tensor, cells: Tensor) -> Batch:
        """Return the training examples of some rows; `cells` is empty where none are used."""
        chosen = places[rows]
        return Batch(
            take(photos, rows),
            self.points(chosen),
            captions=self.captions[chosen],
            aerial=self.aerial[chosen] if len(self.aerial) else None,
            cells=cells[rows] if len(cells) else None,
        )


_FIELDS = ("pooled", "tokens", "segments")


def take(photos: PhotoFeatures, rows: Tensor | slice) -> PhotoFeatures:
    """Return some rows of features, tokens in single precision."""
    found = {name: getattr(photos, name) for name in _FIELDS}
    tokens = found["tokens"]
    return PhotoFeatures(
        photos.pooled[rows],
        None if tokens is None else tokens[rows].float(),
        None if photos.segments is None else photos.segments[rows],
    )


def observe(
    name: SetName, seed: int, size: Size, tower: Backbone, folder: Path, progress: Progress
) -> Observed:
    """Return the features of a set, from `folder` where they were kept.

    Args:
        name: which set.
        seed: of the planet.
        size: how many places and photos.
        tower: frozen.
        folder: where features are kept, one file a set.
        progress: told while photos are drawn and encoded.
    """
    from safetensors.torch import load_file, save_file

    planet = Planet(seed, side=tower.spec.image_size)
    split = split_of(name, planet, size)
    parts = [name, seed, asdict(size), tower.fingerprint, PLANET_VERSION]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    path = folder / f"features-{name}-{seed}-{key}.safetensors"
    if not path.exists():
        found = _encode(name, planet, split, tower, progress)
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file(found, partial)
        partial.replace(path)
    kept = load_file(path)
    photos = {
        group.name: PhotoFeatures(
            kept[f"{group.name}/pooled"], *(kept.get(f"{group.name}/{f}") for f in _FIELDS[1:])
        )
        for group in split.groups
    }
    return Observed(split, photos, kept["captions"], kept["aerial"])


def _encode(
    name: SetName, planet: Planet, split: Split, tower: Backbone, progress: Progress
) -> Tensors:
    """Return everything that is kept of a set, by name."""
    found: Tensors = {}
    total, done = sum(len(group.shots) for group in split.groups), 0
    detailed = name == "summer"
    for group in split.groups:
        parts: dict[str, list[Tensor]] = {field: [] for field in _FIELDS}
        for photos, maps in _pictures(planet, group):
            features = tower.image_features(photos, tokens=detailed)
            parts["pooled"].append(features.pooled)
            if detailed:
                assert features.tokens is not None
                parts["tokens"].append(features.tokens.half())
                parts["segments"].append(maps)
            done += len(photos)
            progress(f"photos of planet {planet.seed}, {name}", done, total)
        empty = torch.zeros(0, tower.width)
        found[f"{group.name}/pooled"] = torch.cat([empty, *parts["pooled"]])
        for field in ("tokens", "segments"):
            if parts[field]:
                found[f"{group.name}/{field}"] = torch.cat(parts[field])
    looks = [planet.look(*point) for point in split.places.tolist()]
    found["captions"] = _chunked(tower.text_features, [look.address for look in looks])
    tiles = [] if detailed else [Image.fromarray(look.aerial) for look in looks]
    found["aerial"] = _chunked(lambda part: tower.image_features(part).pooled, tiles)
    return found


def _pictures(planet: Planet, group: Group) -> Iterator[tuple[list[Image.Image], Tensor]]:
    for start in range(0, len(group.shots), AT_ONCE):
        looks = [planet.see(shot) for shot in group.shots[start : start + AT_ONCE]]
        maps = torch.from_numpy(np.stack([look.segments for look in looks]))
        yield [Image.fromarray(look.photo) for look in looks], maps


def _chunked(encode: Any, items: list[Any]) -> Tensor:
    parts = [encode(items[start : start + AT_ONCE]) for start in range(0, len(items), AT_ONCE)]
    return torch.cat(parts).clone() if parts else torch.zeros(0)


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    there = [part for part in parts if part is not None]
    return torch.cat(there) if there else None
