"""What trained heads reach on a planet's queries: shares in percent, medians in kilometres."""

from collections.abc import Callable

import torch
from torch import Tensor

from encoders.heads import Heads, PhotoFeatures
from evaluation.planet_features import Observed, take
from geo.sphere import EARTH_RADIUS_KM

SAME_KM = 1.0
REGION_KM = 750.0
AT_ONCE = 512
Scores = dict[str, float]


@torch.no_grad()
def encoded(heads: Heads, photos: PhotoFeatures) -> dict[str, Tensor]:
    """Return the vectors of photos in every image space of the heads, in inference mode."""
    heads.eval()
    parts = [
        heads.encode_photos(take(photos, slice(start, start + AT_ONCE)))
        for start in range(0, len(photos.pooled), AT_ONCE)
    ]
    return {space: torch.cat([part[space] for part in parts]) for space in heads.image_spaces}


def index_vectors(heads: Heads, photos: PhotoFeatures) -> Tensor:
    """Return the family's retrieval vectors `[N, sum of D]`."""
    found = encoded(heads, photos)
    return torch.cat([found[space] for space in heads.retrieval], dim=1)


def plain_vectors(photos: PhotoFeatures) -> Tensor:
    """Return the tower's own vectors, of unit length."""
    return torch.nn.functional.normalize(photos.pooled, dim=1)


def retrieval_scores(
    seen: Observed,
    vectors: Callable[[PhotoFeatures], Tensor],
    gallery: tuple[str, ...],
    queries: tuple[str, ...],
) -> Scores:
    """Return how often the most similar photo of the gallery is of the query's place.

    Also how often it lies within 750 km, and its median distance.
    """
    places = seen.places(gallery)
    similar = vectors(seen.features(queries)) @ vectors(seen.features(gallery)).T
    found = places[similar.argmax(dim=1)]
    return {f"retrieved {k}": v for k, v in _distances(seen, found, queries).items()}


@torch.no_grad()
def alignment_scores(seen: Observed, heads: Heads, queries: tuple[str, ...]) -> Scores:
    """Return how often the best of all places' coordinates is the query's own, and how far off."""
    places = _placed(seen, heads)
    found = (encoded(heads, seen.features(queries))[heads.alignment] @ places.T).argmax(dim=1)
    return {f"aligned {k}": v for k, v in _distances(seen, found, queries).items()}


@torch.no_grad()
def twin_scores(seen: Observed, heads: Heads, gallery: str, queries: str) -> Scores:
    """Return how often a look-alike is told from its likes: by its location, by its photos.

    The candidates are the two or three places of its group alone; drawing lots gives `chance`.
    """
    numbers = torch.from_numpy(seen.split.twins)
    own = seen.places((queries,))
    like = numbers[own][:, None] == numbers[None, :]
    vectors = encoded(heads, seen.features((queries,)))[heads.alignment]
    aligned = (vectors @ _placed(seen, heads).T).masked_fill(~like, -torch.inf).argmax(dim=1)
    asked, kept = (index_vectors(heads, seen.features((name,))) for name in (queries, gallery))
    rows = seen.places((gallery,))
    similar = (asked @ kept.T).masked_fill(~like[:, rows], -torch.inf).argmax(dim=1)
    return {
        "twin aligned %": _percent(aligned == own),
        "twin retrieved %": _percent(rows[similar] == own),
        "twin chance %": 100 * float((1 / like.sum(dim=1)).mean()),
    }


def apart_km(one: Tensor, other: Tensor) -> Tensor:
    """Return great-circle distances of `[N, 2]` degrees, pair by pair."""
    a, b = torch.deg2rad(one), torch.deg2rad(other)
    half = (a - b) / 2
    inside = torch.sin(half[:, 0]) ** 2
    inside = inside + torch.cos(a[:, 0]) * torch.cos(b[:, 0]) * torch.sin(half[:, 1]) ** 2
    return 2 * EARTH_RADIUS_KM * torch.asin(inside.clamp(0, 1).sqrt())


def _placed(seen: Observed, heads: Heads) -> Tensor:
    heads.eval()
    return heads.encode_points(torch.from_numpy(seen.split.places))[heads.alignment]


def _distances(seen: Observed, found: Tensor, queries: tuple[str, ...]) -> Scores:
    far = apart_km(seen.points(found), seen.points(seen.places(queries)))
    return {
        "@1 %": _percent(far < SAME_KM),
        "750 km %": _percent(far < REGION_KM),
        "median km": float(far.median()),
    }


def _percent(hits: Tensor) -> float:
    return 100 * float(hits.double().mean())
