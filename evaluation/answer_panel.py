"""Several models' answers beside the truth: one row for each photo, one column for each model."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evaluation.lmm_answers import ModelAnswer, Photo, models_of
from evaluation.metrics import THRESHOLDS_KM
from evaluation.tables import Truths
from geo.errors import InputError
from geo.sphere import FloatArray, haversine_km

SAME_DIGITS = 5
"""True coordinates closer than 1e-5 degree, a metre, are one place."""
SHOWN = 3


@dataclass(frozen=True)
class Panel:
    """Photos with the answers of the same models, `P` rows and `M` columns.

    Attributes:
        photos: each with one answer for each model, in the order of `models`.
        unknown: answers to photos that the truth does not name; they are left out.
        unasked: answers that the file does not hold, (photo, model) each.
    """

    photos: tuple[Photo, ...]
    models: tuple[str, ...]
    unknown: tuple[ModelAnswer, ...] = ()
    unasked: tuple[tuple[str, str], ...] = ()

    @cached_property
    def points(self) -> FloatArray:
        """Latitude and longitude in degrees, `[P, M, 2]`; NaN where there is no answer."""
        nothing = (np.nan, np.nan)
        rows = [[answer.point or nothing for answer in photo.answers] for photo in self.photos]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.models), 2)

    @cached_property
    def stated(self) -> FloatArray:
        """Stated confidence `[P, M]`, NaN where there is none or no coordinate."""
        rows = [
            [np.nan if one.confidence is None or one.point is None else one.confidence
             for one in photo.answers]
            for photo in self.photos
        ]  # fmt: skip
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.models))

    @cached_property
    def truth(self) -> FloatArray:
        """True latitude and longitude in degrees, `[P, 2]`."""
        return np.array([photo.truth for photo in self.photos], dtype=np.float64).reshape(-1, 2)

    @cached_property
    def clusters(self) -> NDArray[np.intp]:
        """Cluster of each photo, `[P]`."""
        return np.array([photo.cluster for photo in self.photos], dtype=np.intp)

    @cached_property
    def km(self) -> FloatArray:
        """Haversine distance (6371 km) of each answer from the truth, `[P, M]`; inf for none."""
        return away_km(self.points, self.truth[:, None, :])

    @cached_property
    def strengths(self) -> FloatArray:
        """Accuracy of each model `[M]`, mean of the five thresholds; a missing answer misses."""
        within = self.km[:, :, None] <= THRESHOLDS_KM
        return np.asarray(within.mean(axis=(0, 2)), dtype=np.float64)

    @property
    def ranking(self) -> list[int]:
        """Columns, the most accurate model first; ties go by name."""
        return sorted(range(len(self.models)), key=lambda j: (-self.strengths[j], self.models[j]))

    def rows(self, indices: Sequence[int] | NDArray[np.intp]) -> "Panel":
        """Return the panel of some photos."""
        return replace(self, photos=tuple(self.photos[int(i)] for i in indices))

    def columns(self, indices: Sequence[int]) -> "Panel":
        """Return the panel of some models, in the order given."""
        photos = tuple(
            replace(photo, answers=tuple(photo.answers[j] for j in indices))
            for photo in self.photos
        )
        return replace(self, photos=photos, models=tuple(self.models[j] for j in indices))


def away_km(points: FloatArray, truth: FloatArray) -> FloatArray:
    """Return haversine distances of points `[..., 2]` from true ones, broadcast; inf for NaN."""
    points, truth = np.broadcast_arrays(points, truth)
    given = np.isfinite(points).all(axis=-1)
    km = np.full(given.shape, np.inf)
    km[given] = haversine_km(*points[given].T, *truth[given].T)
    return km


def panel_of(answers: Sequence[ModelAnswer], truths: Truths, models: Sequence[str] = ()) -> Panel:
    """Return answers beside the truth, in the order of the truth.

    Args:
        answers: of any models; those to photos without truth are kept apart as `unknown`.
        truths: a photo without any answer stays, as one that every model misses.
        models: those to take; all by default.

    Raises:
        InputError: a model has no answer in the file, no answer is to a photo with truth, or no
            answer has a coordinate.
    """
    names = _chosen(models, models_of(answers))
    known = dict.fromkeys(truths.ids)
    asked = [answer for answer in answers if answer.model in names]
    held = {(one.image_id, one.model): one for one in asked if one.image_id in known}
    unknown = tuple(answer for answer in asked if answer.image_id not in known)
    _refuse_nothing(held, unknown, truths)
    photos = tuple(
        Photo(
            image_id,
            tuple(held.get((image_id, name)) or _unasked(image_id, name) for name in names),
            (float(point[0]), float(point[1])),
            int(cluster),
        )
        for image_id, point, cluster in zip(
            truths.ids, truths.points, clusters_of(truths), strict=True
        )
    )
    unasked = tuple((i, name) for i in known for name in names if (i, name) not in held)
    return Panel(photos, names, unknown, unasked)


def clusters_of(truths: Truths) -> NDArray[np.intp]:
    """Return a number for each photo `[P]`, shared by those of one author or one coordinate.

    Who shares with one that shares is in too: the connected components.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(truths.ids)
    places = [tuple(place) for place in np.round(truths.points, SAME_DIGITS).tolist()]
    links = [(row, place) for row, place in enumerate(places)]
    links += [(row, (author,)) for row, author in enumerate(truths.authors) if author]
    number = {key: count + i for i, key in enumerate(dict.fromkeys(key for _, key in links))}
    rows, ends = [row for row, _ in links], [number[key] for _, key in links]
    size = count + len(number)
    table = coo_array((np.ones(len(rows)), (rows, ends)), shape=(size, size))
    labels = connected_components(table, directed=False)[1][:count]
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)


def _chosen(wanted: Sequence[str], held: tuple[str, ...]) -> tuple[str, ...]:
    absent = [name for name in wanted if name not in held]
    if absent:
        raise InputError(
            f"no answer of model {absent[0][:80]!r}: the file holds {', '.join(held)[:600]}"
        )
    return tuple(sorted(set(wanted))) or held


def _refuse_nothing(
    held: dict[tuple[str, str], ModelAnswer], unknown: Sequence[ModelAnswer], truths: Truths
) -> None:
    if not held:
        ids = ", ".join(repr(answer.image_id[:60]) for answer in unknown[:SHOWN])
        raise InputError(
            f"none of the {len(truths.ids):,} photos with truth has an answer; answers are to "
            f"{ids}, ...: give the truth of the photos that were answered"
        )
    if not any(answer.point for answer in held.values()):
        reasons = Counter(answer.why_none for answer in held.values()).most_common(1)
        raise InputError(
            f"none of {len(held):,} answers has a coordinate (most often: {reasons[0][0][:120]}): "
            "there is nothing to fuse"
        )


def _unasked(image_id: str, model: str) -> ModelAnswer:
    return ModelAnswer(image_id=image_id, model=model, why_none="not in the file")
