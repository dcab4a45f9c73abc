"""How good predictions are: every figure with what it is of, and how far it can be trusted."""

from collections.abc import Collection, Sequence

from pydantic import Field

from evaluation.figures import Figure, Named, Slice, Spent, Within
from evaluation.measured import LEVEL, Measured, spent
from evaluation.metrics import THRESHOLDS_KM, Distance, Operator, checked_thresholds
from evaluation.pairing import Points, pair, predictions_from, truths_from
from evaluation.place_names import KINDS, NameKind
from evaluation.tables import Predictions, Truths
from geo.errors import InputError
from tools.evidence import Record

RESAMPLES = 2000
SEED = 20180914


class Score(Record):
    """Everything that predictions come to; `graticule evaluate score --json` prints it.

    Attributes:
        distance: `haversine` (sphere of 6371 km) or `wgs84` (geodesic on the ellipsoid).
        operator: `le`, within means distance <= threshold; or `lt`, distance < threshold.
        photos: of the truth, the denominator of every accuracy and of the GeoScore.
        answered: of these, how many have a prediction that is a position.
        failures: the others: misses at every threshold.
        failure_reasons: why, to how many.
        unknown: predictions of photos that the truth does not know, left out.
        truth_missing: photos of the truth without a position, left out.
        authors: known ones; 0 where the truth names none, and then photos stand for themselves.
        resamples: of each bootstrap; 0 where none was done. `level` is that of its intervals.
        accuracies: in rising order of their thresholds.
        mean_km: over answered photos, as `median_km`.
        geoscore: mean over all photos of 5000 exp(-distance / 1492.7 km), a failure scoring 0.
        slices: by column of the truth.
        notes: what was left out or looks odd.
    """

    predictions: str
    truth: str
    distance: Distance
    operator: Operator
    photos: int = Field(ge=1)
    answered: int = Field(ge=0)
    failures: int = Field(ge=0)
    failure_reasons: dict[str, int] = Field(default_factory=dict)
    unknown: int = Field(default=0, ge=0)
    truth_missing: int = Field(default=0, ge=0)
    authors: int = Field(ge=0)
    resamples: int = Field(ge=0)
    seed: int
    level: float = LEVEL
    answered_percent: float
    accuracies: tuple[Within, ...]
    mean_km: Figure
    median_km: Figure
    geoscore: Figure
    names: tuple[Named, ...] = ()
    spent: Spent = Field(default_factory=Spent)
    slices: dict[str, tuple[Slice, ...]] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


def score(
    predictions: Points | Predictions,
    truth: Points | Truths | None = None,
    *,
    distance: Distance = "haversine",
    operator: Operator = "le",
    thresholds_km: Sequence[float] = THRESHOLDS_KM,
    bootstrap: int = RESAMPLES,
    seed: int = SEED,
    authors: Sequence[str] | None = None,
    names: Collection[NameKind] | None = None,
    slices: Sequence[str] = (),
    price: float | None = None,
    strict: bool = False,
) -> Score:
    """Score predictions against the truth; a photo without an answer is a miss, and stays in.

    The order of photos makes no difference, nor does the turn of a longitude.

    Args:
        predictions: a table (CSV, TSV, JSON, JSON lines, parquet) with the columns image_id,
            latitude and longitude, or a run's folder, by its path; or points by id, None for no
            answer; or points `[N, 2]` in the order of the truth, NaN for no answer.
        truth: likewise; its columns author, country and any others are used where they are. A run
            knows its own.
        distance: `haversine` (sphere of 6371 km) or `wgs84` (geodesic).
        operator: `le` counts distance <= threshold, `lt` distance < threshold.
        thresholds_km: of the accuracies.
        bootstrap: resamples for the intervals, over photos and over authors; 0 for none.
        seed: of the resamples.
        authors: `[N]` of truth that is given as points.
        names: which names to compare: `country`, `admin1`, `city` (these two look up settlements);
            by default the country where the truth states one.
        slices: columns of the truth to score each label of.
        price: of a million tokens, in any currency.
        strict: refuse tables that are not of exactly the same photos.

    Raises:
        InputError: a table cannot be used (see `evaluation.tables`), or an argument is out of
            range.
    """
    found = predictions_from(predictions)
    known = found.truths if truth is None else truths_from(truth, authors)
    if known is None:
        raise InputError(
            f"{found.name!r:.80} is no run, which knows its truth: give the truth, too"
        )
    paired = pair(found, known, strict=strict)
    thresholds = checked_thresholds(thresholds_km)
    if price is not None and not 0 <= price < float("inf"):
        raise InputError(f"price {price!r} of a million tokens: give 0 or more")
    kinds = _kinds(names, known)
    measured = Measured(paired, thresholds, distance, operator, kinds)
    measured.resample(bootstrap, seed)
    answered = int(measured.answered.sum())
    return Score(
        predictions=found.name,
        truth=known.name,
        distance=distance,
        operator=operator,
        photos=len(known.ids),
        answered=answered,
        failures=len(known.ids) - answered,
        failure_reasons=dict(paired.reasons),
        unknown=len(paired.unknown),
        truth_missing=len(known.missing),
        authors=len({*known.authors} - {""}),
        resamples=bootstrap,
        seed=seed,
        answered_percent=100 * answered / len(known.ids),
        accuracies=measured.accuracies(),
        mean_km=measured.mean(),
        median_km=measured.median(),
        geoscore=measured.geoscore(),
        names=measured.named(),
        spent=spent(paired, price),
        slices={column: measured.sliced(column, bootstrap, seed) for column in slices},
        notes=paired.notes,
    )


def _kinds(names: Collection[NameKind] | None, truths: Truths) -> tuple[NameKind, ...]:
    """Return which names to compare, each once."""
    if names is None:
        return ("country",) if truths.named("country") else ()
    if wrong := [name for name in names if name not in KINDS]:
        raise InputError(f"no name {wrong[0]!r:.80} to compare; give one of {', '.join(KINDS)}")
    return tuple(dict.fromkeys(names))
