"""Models whose answers are drawn, so that which rule must win is known."""

from collections.abc import Sequence

import numpy as np

from evaluation.answer_panel import Panel, panel_of
from evaluation.lmm_answers import ModelAnswer, Photo
from evaluation.runs import Point
from evaluation.tables import Truths
from geo import sphere


def truths(count: int, *, seed: int = 0, per_place: int = 1) -> Truths:
    """Return places all over the land's latitudes, each photographed so many times."""
    generator = np.random.default_rng(seed)
    places = generator.uniform((-60, -180), (70, 180), (-(-count // per_place), 2))
    points = np.repeat(places, per_place, axis=0)[:count]
    ids = tuple(f"p{number:03d}" for number in range(count))
    return Truths("drawn", ids, points, ("",) * count)


def near(points: np.ndarray, km: float, generator: np.random.Generator) -> np.ndarray:
    """Return points about so many km away, in all directions."""
    bearing = generator.uniform(0, 360, len(points))
    away = generator.uniform(0, km, len(points))
    return sphere.destination(points[:, 0], points[:, 1], bearing, away)


def answers_of(
    model: str, ids: Sequence[str], points: np.ndarray, stated: Sequence[float] | None = None
) -> list[ModelAnswer]:
    """Return answers of one model; NaN is an answer without a coordinate."""
    given = [None if np.isnan(point).any() else (point[0], point[1]) for point in points.tolist()]
    words = stated if stated is not None else [3.0] * len(given)
    return [
        ModelAnswer(
            image_id=image_id, model=model, point=point, confidence=float(word),
            why_none="" if point else "declines to answer",
        )
        for image_id, point, word in zip(ids, given, words, strict=True)
    ]  # fmt: skip


def drawn_panel(
    rights: dict[str, float], count: int = 60, *, seed: int = 0, per_place: int = 1
) -> Panel:
    """Return models that are within 5 km with these probabilities, else anywhere."""
    where = truths(count, seed=seed, per_place=per_place)
    generator = np.random.default_rng(seed + 1)
    answers = []
    for model, right in rights.items():
        anywhere = generator.uniform((-60, -180), (70, 180), (count, 2))
        hit = generator.uniform(size=count) < right
        points = np.where(hit[:, None], near(where.points, 5, generator), anywhere)
        answers += answers_of(model, where.ids, points, np.where(hit, 5.0, 2.0).tolist())
    return panel_of(answers, where)


class Honest:
    """An answer at a point, whose belief has the radii and the mass it is given."""

    def __init__(self, point: Point, km_50: float, share: float = 0.5) -> None:
        self.point, self.km_50, self.km_80, self.km_95 = point, km_50, 2 * km_50, 19**0.5 * km_50
        self.share = share

    def mass_within(self, km: float) -> float:
        """Return the same share at any distance."""
        return self.share


class First:
    """A fitted rule that repeats the first model."""

    def answer(self, photo: Photo) -> Honest | None:
        """Return the first model's answer, half of belief within 10 km."""
        one = photo.answers[0]
        return Honest(one.point, 10.0, (one.confidence or 0.0) / 5) if one.point else None
