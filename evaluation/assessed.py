"""What each answer of a run claimed, and what was true: arrays that honesty is measured on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from evaluation.belief_scores import (
    LEVELS,
    Floats,
    confidence_from_radii,
    energy_score_km,
    log_score,
    mass_within,
    radii_row,
)
from evaluation.metrics import DISTANCES, SIGNS, Distance, Operator, errors_km
from evaluation.runs import RunRow, Truth
from geo.errors import InputError

if TYPE_CHECKING:
    from agent.belief import Belief
    from agent.calibration import Calibration
    from agent.factors import Settlements

SAME_RADII = 0.02
"""Relative difference up to which recomputed radii are those of the row."""
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Assessed:
    """Claims and outcomes of `N` photos; what a photo does not have is NaN.

    Attributes:
        image_ids: one for each photo; the same photo may come several times, from several runs.
        cluster: `[N]` number of the photo's author; photos of unknown authors are apart, but
            several answers to one photo are not.
        answered: `[N]` whether there is a coordinate.
        distance_km: `[N]` from answer to truth; infinite without an answer.
        radii_km: `[N, 3]` that the answer states for 50, 80 and 95 %.
        confidence: distance in km -> `[N]` share of belief within it of the answer.
        verbal: `[N]` the model's own word, 0 to 1.
        pit: `[N]` share of belief that lies closer to the answer than the truth does.
        log_score: `[N]` nats over an even globe, see `belief_scores`.
        energy_km: `[N]` energy score.
        from_belief: `[N]` whether confidence and PIT come from belief itself, not from the radii.
        distance: how distances are measured; those inside belief are always haversine.
        operator: whether a photo exactly at a limit is within it (`le`) or not (`lt`).
    """

    image_ids: tuple[str, ...]
    cluster: NDArray[np.intp]
    answered: NDArray[np.bool_]
    distance_km: Floats
    radii_km: Floats
    confidence: dict[float, Floats]
    verbal: Floats
    pit: Floats
    log_score: Floats
    energy_km: Floats
    from_belief: NDArray[np.bool_]
    distance: Distance = "haversine"
    operator: Operator = "le"

    def __len__(self) -> int:
        return len(self.image_ids)

    def within(self, km: float | Floats) -> NDArray[np.bool_]:
        """Return whether each answer lies within a limit of the truth, `[N]`; NaN limits: no."""
        limit = np.asarray(km, dtype=np.float64)
        inside = self.distance_km < limit if self.operator == "lt" else self.distance_km <= limit
        return np.asarray(inside & self.answered)

    def confidence_at(self, km: float) -> Floats:
        """Return confidence that each answer is within a distance, `[N]`; refuses one not made."""
        if km not in self.confidence:
            known = ", ".join(f"{one:g}" for one in self.confidence) or "none"
            raise InputError(
                f"confidence within {km:g} km was not assessed (only {known}); name it to `assess`"
            )
        return self.confidence[km]

    def conditions(self) -> str:
        """Return how distances and limits are taken, for titles and tables."""
        return f"{DISTANCES[self.distance]}, {SIGNS[self.operator]}"


@dataclass
class _Claims:
    """What belief says of each photo; filled in row by row."""

    count: int
    limits: tuple[float, ...]
    confidence: Floats = field(init=False)
    rest: Floats = field(init=False)
    known: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.confidence = np.full((self.count, len(self.limits)), np.nan)
        self.rest = np.full((self.count, 3), np.nan)
        self.known = np.zeros(self.count, dtype=np.bool_)

    def add(self, index: int, belief: "Belief", truth: Truth, row: RunRow, away: float) -> None:
        """Take belief's word for a photo if its radii are those that the row states."""
        point = _point(row)
        assert point is not None
        own = belief.radii_km(LEVELS, *point)
        if not np.allclose(own, radii_row(row.radii), rtol=SAME_RADII):
            return
        *held, closer = mass_within(belief, [*self.limits, away], *point)
        self.confidence[index] = held
        place = truth.latitude, truth.longitude
        self.rest[index] = closer, log_score(belief, *place), energy_score_km(belief, *place)
        self.known[index] = True


def assess(
    pairs: Iterable[tuple[Truth, RunRow]],
    settlements: "Settlements | None" = None,
    calibration: "Calibration | Mapping[str, Calibration] | None" = None,
    *,
    within_km: Sequence[float] = (25.0,),
    distance: Distance = "haversine",
    operator: Operator = "le",
    on_progress: Tell | None = None,
) -> Assessed:
    """Return what a run's answers claimed and what was true.

    Confidence and PIT come from belief where it can be made again: the row has evidence, and what
    follows from that under `calibration` has the radii that the row states, up to `SAME_RADII`.
    Elsewhere confidence is what the row says of belief within that distance, or, with PIT, comes
    from the radii by `confidence_from_radii`; `from_belief` tells which.

    Args:
        pairs: every truth with its row, as `Run.pairs` has them.
        settlements: the prior; None takes all from the radii, which is fast.
        calibration: the one that the run was made under; or those of a cross-validation, image
            id -> the one that has not seen it.
        within_km: distances that confidence is asked for, km, positive.
        distance: haversine on 6371 km, or geodesics of WGS84.
        operator: `le` or `lt`.
        on_progress: told of photos done, since belief takes some milliseconds each.

    Raises:
        InputError: a distance is not positive, or a choice is unknown.
    """
    limits = _limits(within_km, operator)
    held = list(pairs)
    answered = np.array([_point(row) is not None for _, row in held], dtype=np.bool_)
    away = _distances(held, answered, distance)
    radii = np.array([radii_row(row.radii) for _, row in held]).reshape(-1, 3)
    radii[~answered] = np.nan
    claims = _Claims(len(held), limits)
    if settlements is not None:
        _believe_all(claims, held, away, settlements, calibration, on_progress)
    stated = [_stated([row for _, row in held], radii, limit) for limit in limits]
    return Assessed(
        image_ids=tuple(truth.image_id for truth, _ in held),
        cluster=_clusters([truth for truth, _ in held]),
        answered=answered,
        distance_km=away,
        radii_km=radii,
        confidence={
            limit: np.where(claims.known, claims.confidence[:, column], stated[column])
            for column, limit in enumerate(limits)
        },
        verbal=_verbal(held, answered),
        pit=np.where(claims.known, claims.rest[:, 0], confidence_from_radii(radii, away)),
        log_score=claims.rest[:, 1],
        energy_km=claims.rest[:, 2],
        from_belief=claims.known,
        distance=distance,
        operator=operator,
    )


def _stated(rows: Sequence[RunRow], radii: Floats, limit: float) -> Floats:
    """Return belief within a distance as rows state it, `[N]`; from the radii where they do not."""
    own = np.array([row.within.get(f"{limit:g}", np.nan) for row in rows], dtype=np.float64)
    own[np.isnan(radii[:, 0])] = np.nan
    return np.where(np.isnan(own), confidence_from_radii(radii, limit), own)


def _limits(within_km: Sequence[float], operator: Operator) -> tuple[float, ...]:
    for limit in within_km:
        if not 0 < limit < np.inf:
            raise InputError(f"confidence within {limit!r} km: give a positive, finite distance")
    if operator not in SIGNS:
        raise InputError(f"operator {operator!r}: give one of {', '.join(get_args(Operator))}")
    return tuple(dict.fromkeys(float(limit) for limit in within_km))


def _point(row: RunRow) -> tuple[float, float] | None:
    if row.latitude is None or row.longitude is None:
        return None
    return row.latitude, row.longitude


def _distances(
    held: Sequence[tuple[Truth, RunRow]], answered: NDArray[np.bool_], distance: Distance
) -> Floats:
    """Return kilometres from answer to truth, `[N]`; infinity where there is no answer."""
    truths = [(truth.latitude, truth.longitude) for truth, _ in held]
    points = [_point(row) or (np.nan, np.nan) for _, row in held]
    shape = len(held), 2
    errors = errors_km(np.reshape(truths, shape), np.reshape(points, shape), distance)
    return np.where(answered, errors, np.inf)


def _verbal(held: Sequence[tuple[Truth, RunRow]], answered: NDArray[np.bool_]) -> Floats:
    said = [row.verbal_confidence for _, row in held]
    verbal = np.array([np.nan if one is None else one for one in said], dtype=np.float64)
    return np.where(answered, verbal, np.nan)


def _clusters(truths: Sequence[Truth]) -> NDArray[np.intp]:
    """Return the number of each photo's author, `[N]`; the author-less are one each by photo."""
    names = [(truth.author, "" if truth.author else truth.image_id) for truth in truths]
    number = {name: index for index, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names], dtype=np.intp)


def _believe_all(
    claims: _Claims,
    held: Sequence[tuple[Truth, RunRow]],
    away: Floats,
    settlements: "Settlements",
    calibration: "Calibration | Mapping[str, Calibration] | None",
    on_progress: Tell | None,
) -> None:
    from agent.belief import believe

    for index, (truth, row) in enumerate(held):
        if _point(row) is not None and row.radii is not None and row.evidence:
            under = (
                calibration.get(truth.image_id) if isinstance(calibration, Mapping) else calibration
            )
            options = {} if under is None else {"calibration": under}
            belief = believe(row.evidence, settlements, **options)
            claims.add(index, belief, truth, row, float(away[index]))
        if on_progress is not None:
            on_progress("believing", index + 1, len(held))
