"""Does it find photos it was not trained on? Retrieval in the alignment space, before and after."""

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from encoders.heads import Heads
from geo.sphere import distance_km
from index_builder.cached_features import CachedFeatures
from index_builder.feature_store import Rows
from index_builder.train_heads import set_codes
from index_builder.train_settings import Split

MAX_PHOTOS = 2_000
MAX_CANDIDATES = 100_000
"""What is compared at most, the first of a fixed order; more takes minutes and says the same."""
_AT_ONCE = 256


def split_rows(
    points: npt.NDArray[np.float64], share: float, split: Split, seed: int
) -> tuple[Rows, Rows]:
    """Return the rows to train on and the rows held out, each in ascending order.

    Args:
        points: `[N, 2]` latitude, longitude in degrees.
        share: to hold out, of the photos.
        split: `random` photos, or `spatial`: whole squares of one degree, until there are
            enough. Two rows at least remain to train on.
        seed: of the choice.
    """
    generator, wanted = np.random.default_rng([seed, 7]), round(share * len(points))
    if split == "random":
        chosen = generator.permutation(len(points))[:wanted]
    else:
        squares = np.floor(points[:, 0]) * 1000 + np.floor(points[:, 1])
        _, square, counts = np.unique(squares, return_inverse=True, return_counts=True)
        order = generator.permutation(len(counts))
        enough = int(np.searchsorted(np.cumsum(counts[order]), wanted)) + 1 if wanted else 0
        chosen = np.flatnonzero(np.isin(square, order[:enough]))
    held = np.sort(chosen[: max(0, len(points) - 2)]).astype(np.int64)
    return np.setdiff1d(np.arange(len(points)), held), held


def validate(
    heads: Heads, features: CachedFeatures, training: Rows, held_out: Rows
) -> dict[str, float | int | str]:
    """Return how well photos held out find their place in the family's alignment space.

    Returns:
        `photos` compared; `own_location_nearest`, the share whose own location is the nearest of
        theirs all (locations encoded alike count as one); `median_km` between a photo and the
        nearest of the `candidates`, locations of training photos. Empty where none is held out.
    """
    if not len(held_out):
        return {}
    copied = copy.deepcopy(heads).eval()
    device = next(copied.parameters()).device
    set_codes(copied, features, held_out)
    held, candidates = held_out[:MAX_PHOTOS], _some(training, MAX_CANDIDATES)
    photos = _photo_vectors(copied, features, held, device)
    places = _location_vectors(copied, features, held, device)
    known = _location_vectors(copied, features, candidates, device)
    right, errors = 0, []
    for start in range(0, len(held), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        among = _cosines(photos[part], places)
        own = among[torch.arange(len(among)), torch.arange(start, start + len(among))]
        right += int(((own >= among.max(dim=1).values) & own.isfinite()).sum())
        nearest = _cosines(photos[part], known).argmax(dim=1).numpy()
        truth, found = features.points[held[part]], features.points[candidates[nearest]]
        errors.append(distance_km(*truth.T, *found.T))
    return {
        "photos": len(held),
        "own_location_nearest": right / len(held),
        "median_km": float(np.median(np.concatenate(errors))),
        "candidates": len(candidates),
    }


def _some(rows: Rows, most: int) -> Rows:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(7).permutation(rows)[:most])


def _cosines(photos: Tensor, places: Tensor) -> Tensor:
    """Cosines `[N, M]`; of places that the encoder knows nothing of, minus infinity."""
    unknown = places.abs().sum(dim=1) == 0
    return (photos @ places.T).masked_fill(unknown, -torch.inf)


@torch.no_grad()
def _photo_vectors(
    heads: Heads, features: CachedFeatures, rows: Rows, device: torch.device
) -> Tensor:
    return torch.cat(
        [
            heads.encode_photos(features.batch(rows[i : i + _AT_ONCE]).to(device).photos)[
                heads.alignment
            ].cpu()
            for i in range(0, len(rows), _AT_ONCE)
        ]
    )


@torch.no_grad()
def _location_vectors(
    heads: Heads, features: CachedFeatures, rows: Rows, device: torch.device
) -> Tensor:
    points = torch.from_numpy(features.points[rows])
    return torch.cat(
        [heads.encode_points(part.to(device))[heads.alignment].cpu() for part in points.split(2048)]
    )
