"""Rules that make one answer of several models' answers: published ones and plain ones.

A rule sees one photo at a time, and of other photos only how accurate each model was on them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evaluation.runs import Point
from geo.sphere import FloatArray, medoid_index
from tools.clustering import Clustering, DualGeoRanking, dualgeo_rule, robust_clusters


@dataclass(frozen=True)
class Votes:
    """The answers to one photo, of the `N` models that gave a coordinate, the strongest first.

    Attributes:
        points: `[N, 2]` latitude, longitude in degrees.
        weights: `[N]` accuracy of each model on the training photos.
        stated: `[N]` confidence as the model states it, NaN for none.
        models: their names.
        asked: how many models were asked.
        best: what the strongest of all models asked says; None where it gave no coordinate.
    """

    points: FloatArray
    weights: FloatArray
    stated: FloatArray
    models: tuple[str, ...]
    asked: int
    best: Point | None

    @cached_property
    def clustering(self) -> Clustering:
        """Where answers agree within 50 km, by `tools.clustering.robust_clusters`."""
        return robust_clusters(self.points, self.weights.tolist(), self.models)

    @cached_property
    def dualgeo(self) -> DualGeoRanking:
        """What DualGeo's rule makes of the answers."""
        return dualgeo_rule(self.points)


Rule = Callable[[Votes], Point | None]


def best_single(votes: Votes) -> Point | None:
    """Return what the strongest model says, and nothing where it gave no coordinate."""
    return votes.best


def strongest(votes: Votes) -> Point | None:
    """Return the answer of the strongest model that gave one."""
    return _point(votes.points[0])


def medoid(votes: Votes) -> Point | None:
    """Return the answer with the least total distance to all others; ties to the strongest."""
    return _point(votes.points[medoid_index(votes.points)])


def weighted_medoid(votes: Votes) -> Point | None:
    """Return the medoid under the models' training accuracies."""
    weights = votes.weights if votes.weights.sum() > 0 else None
    return _point(votes.points[medoid_index(votes.points, weights)])


def cluster_medoid(votes: Votes) -> Point | None:
    """Return the medoid of the largest 50 km cluster; the strongest answer where none agree."""
    return _point(votes.points[votes.clustering.best])


def dualgeo(votes: Votes) -> Point | None:
    """Return the first of DualGeo's ranking (arXiv 2604.25533): the nearest to its centre."""
    return _point(votes.points[votes.dualgeo.order[0]])


def dualgeo_centre(votes: Votes) -> Point | None:
    """Return DualGeo's centre itself, an arithmetic mean that no model may have named."""
    latitude, longitude = votes.dualgeo.centre
    return latitude, longitude


def mean(votes: Votes) -> Point | None:
    """Return the arithmetic mean of latitudes and longitudes, wrong at the antimeridian."""
    return _point(votes.points.mean(axis=0))


def most_confident(votes: Votes) -> Point | None:
    """Return the answer with the highest stated confidence; ties to the strongest model."""
    stated = np.where(np.isnan(votes.stated), -np.inf, votes.stated)
    return _point(votes.points[int(np.argmax(stated))])


RULES: Mapping[str, Rule] = {
    "best model": best_single,
    "best model, else the next": strongest,
    "medoid": medoid,
    "weighted medoid": weighted_medoid,
    "medoid of the largest cluster": cluster_medoid,
    "DualGeo": dualgeo,
    "DualGeo, its centre": dualgeo_centre,
    "arithmetic mean": mean,
    "verbal confidence": most_confident,
}
"""All of them follow from the answers and the models' training accuracies alone."""


def agreement(votes: Votes) -> float:
    """Return the share of all models asked that are in the largest 50 km cluster.

    A missing answer counts against; where no two agree, one of them does.
    """
    clusters = votes.clustering.clusters
    return (len(clusters[0].members) if clusters else 1) / votes.asked


def _point(point: FloatArray) -> Point:
    return float(point[0]), float(point[1])
