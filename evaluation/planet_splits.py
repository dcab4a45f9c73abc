"""Which photos of a rendered planet are learned from, and which are asked about.

Two sets: `any` in all lights and seasons, and `summer`, learned by summer days and asked about
in other light. A query is never a photo that was learned from: its view, light and season are
its own. Places come in groups, so that a figure can be told for each.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from evaluation.planet import Condition, Planet, Shot

SetName = Literal["any", "summer"]
QUERY_VIEW = 100
CALIBRATION_VIEW = 200
SUMMER_QUERIES: tuple[Condition, ...] = ("summer day", "night", "winter", "winter night")


@dataclass(frozen=True)
class Size:
    """How many places of each group there are, and photos of each."""

    dense: int = 400
    """Places with as many photos as `views`."""
    twin_groups: int = 100
    """Groups of look-alikes, two or three places each, photographed like dense ones."""
    sparse: int = 120
    """Places of sparse regions with one photo; and as many with none."""
    unseen: int = 200
    """Places without photo or tile."""
    views: int = 6
    queries: int = 2
    """Photos asked about of each place, and of each light."""


@dataclass(frozen=True)
class Group:
    """Photos of one kind, place by place."""

    name: str
    shots: tuple[Shot, ...]
    places: npt.NDArray[np.int64]
    """`[N]` row of each photo's place in `Split.places`."""


@dataclass(frozen=True)
class Split:
    """Places, and photos to learn from and to ask about."""

    places: npt.NDArray[np.float64]
    """`[P, 2]` degrees."""
    twins: npt.NDArray[np.int64]
    """`[P]` number of a place's group of look-alikes, -1 where there is none."""
    groups: tuple[Group, ...]


def split_any(planet: Planet, size: Size) -> Split:
    """Return the set of all lights and seasons, with look-alikes and sparse regions."""
    twins = [(p, n) for n, group in enumerate(planet.twins[: size.twin_groups]) for p in group]
    parts = {
        "dense": planet.places(size.dense, 1, sparse=False),
        "twin": np.asarray([point for point, _ in twins]).reshape(-1, 2),
        "sparse": planet.places(size.sparse, 2, sparse=True),
        "bare": planet.places(size.sparse, 3, sparse=True),
        "unseen": planet.places(size.unseen, 4),
    }
    rows = _rows(parts)
    numbers = np.full(sum(map(len, parts.values())), -1)
    numbers[rows["twin"]] = [number for _, number in twins]
    groups = []
    for seed, (name, places) in enumerate(parts.items()):
        learned = {"sparse": 1, "bare": 0, "unseen": 0}.get(name, size.views)
        kinds = {"train": range(learned), "query": range(QUERY_VIEW, QUERY_VIEW + size.queries)}
        if name == "dense":
            kinds["calibrate"] = range(CALIBRATION_VIEW, CALIBRATION_VIEW + 1)
        for turn, (kind, views) in enumerate(kinds.items()):
            shots = planet.shots(places, views, "any", 10 * seed + turn)
            groups.append(_group(f"{kind} {name}", shots, rows[name], len(views)))
    return Split(np.concatenate(list(parts.values())), numbers, tuple(groups))


def split_summer(planet: Planet, size: Size) -> Split:
    """Return the set that is learned by summer days and asked about in other light."""
    places = planet.places(size.dense, 1, sparse=False)
    rows = np.arange(len(places))
    shots = planet.shots(places, range(size.views), "summer day", 90)
    groups = [_group("train", shots, rows, size.views)]
    for number, condition in enumerate(SUMMER_QUERIES):
        first = QUERY_VIEW + number * size.queries
        views = range(first, first + size.queries)
        shots = planet.shots(places, views, condition, 91 + number)
        groups.append(_group(f"query {condition}", shots, rows, size.queries))
    return Split(places, np.full(len(places), -1), tuple(groups))


def split_of(name: SetName, planet: Planet, size: Size) -> Split:
    """Return a set by its name."""
    return {"any": split_any, "summer": split_summer}[name](planet, size)


def _rows(parts: dict[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[np.int64]]:
    ends = np.cumsum([len(places) for places in parts.values()])
    return {
        name: np.arange(end - len(places), end)
        for (name, places), end in zip(parts.items(), ends.tolist(), strict=True)
    }


def _group(name: str, shots: list[Shot], rows: npt.NDArray[np.int64], views: int) -> Group:
    return Group(name, tuple(shots), np.repeat(rows, views))
