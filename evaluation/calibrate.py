"""Fitting a calibration: how wide, how reliable and how independent evidence really is.

For every source (`agent.calibration.keys_of`) with truths:

* The truth of a photo has the density `w f + (1 - w) p` under one piece of evidence, with the prior
  `p`. The shares of the scales in `f` and the odds of `w` are those of the largest posterior:
  expectation and maximisation in turn (Dempster, Laird and Rubin, JRSS B 39 (1977)). A source's
  prior is what its tool shows, a tool's what its kind shows: what was seen a few times stays near.
* Evidence that only repeats what other evidence proposed is left as it is: `verify_locations`, and
  all comparisons with places where belief's points on unseen photos are better for it.
* Where a candidate's own radius says how large a place is, it is kept and widened by one factor.
* The temperature then makes the stated radii hold what they state: least squares of the share of
  belief nearer than the truth against an even distribution, over the photos of the fit.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agent.belief import Belief, Weighed, believe, summarise, weigh
from agent.calibration import MOST_WEIGHT, Calibration, Reliability, keys_of
from agent.factors import CountryGroup, Floats, Prior, prior_of
from agent.ratings import score
from evaluation.protocol import photo_marks
from evaluation.runs import RunRow, Truth
from geo import sphere
from geo.regions import country_at
from tools.evidence import CandidateKind, Evidence, Reach

if TYPE_CHECKING:
    from agent.factors import Settlements

Pair = tuple[Truth, RunRow]

SCALES_KM = np.array([0.15, 0.6, 2.5, 10.0, 40.0, 160.0, 640.0, 2500.0])
"""Median distances whose mixture a source's error is described by."""
WIDENINGS = 2.0 ** np.arange(-3, 7)
SIZED: frozenset[CandidateKind] = frozenset({"place", "cell", "hint", "claimed_position"})
"""Candidates whose radius says how large the place is."""
PRIOR_PIECES = 10.0
"""How many pieces of evidence the parent's word counts for."""
ODDS = np.exp(np.linspace(-5, 5, 81))
ODDS_SPREAD = 1.0
"""Standard deviation of a source's log odds around its parent's."""
LEAST_SHARE = 0.003
"""A scale with less is left out."""
ROUNDS = 40
TEMPERATURES = (0.4, 2.5)
LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
STEPS = 6
"""Temperatures tried, one more."""
DOUBT = 0.3
"""What a log temperature of 1 costs beside the mean squared error of `LEVELS`, times the photos:
chance alone makes about 0.15, and temperatures within a factor of two need no strong proof."""
REPEATING = frozenset({"verify_locations"})
"""Tools that only weigh what others proposed: how often that is right says nothing of their own
worth, and they keep their weight."""
INNER_FOLDS = 6
MOST_PHOTOS = 400
"""Photos that the temperature is fitted on, evenly among all."""


def fit(
    pairs: Sequence[Pair], settlements: "Settlements", *, recipe: str, fitted_on: str
) -> Calibration:
    """Return the calibration that a run with known truth shows.

    Args:
        pairs: truths and rows with their evidence; rows without evidence have no say.
        settlements: the prior.
        recipe: of the run.
        fitted_on: name of the dataset.
    """
    prior = prior_of(settlements)
    used = [pair for pair in pairs if _counted(pair[1])]
    base = Calibration(
        recipe=recipe,
        fitted_on=fitted_on,
        photos=max(1, len({truth.image_id for truth, _ in used})),
        marks=tuple(sorted(photo_marks(truth for truth, _ in used))),
    )
    tried = [_fitted(base, used, prior, settlements, left_out) for left_out in _left_out(used)]
    return max(tried, key=lambda one: one[0])[1]


def _left_out(pairs: Sequence[Pair]) -> list[frozenset[str]]:
    """Return the sets of tools to leave as they are: what only repeats, and all of its kind too.

    What an encoder finds alike, places that it ranks and candidates that it compares rest on the
    same vectors: alone, how often they are right is what they are worth; together they repeat.
    """
    compared = frozenset(
        item.tool
        for _, row in pairs
        for item in _counted(row)
        if any(one.kind == "compared_place" for one in item.candidates)
    )
    return [REPEATING, REPEATING | compared] if compared - REPEATING else [REPEATING]


def _fitted(
    base: Calibration,
    used: Sequence[Pair],
    prior: Prior,
    settlements: "Settlements",
    left_out: frozenset[str],
) -> tuple[float, Calibration]:
    """Return a calibration, and the mean score of its points on photos that sources had not seen.

    The temperature is that of those photos, too.
    """
    fold = _folds([truth for truth, _ in used], INNER_FOLDS)
    others = [
        base.model_copy(update={"sources": _sources(_taken(used, fold != one), prior, left_out)})
        for one in range(INNER_FOLDS)
    ]
    step = max(1, len(used) // MOST_PHOTOS)
    held = [
        (truth, weigh(row.evidence, settlements, others[one]))
        for (truth, row), one in list(zip(used, fold.tolist(), strict=True))[::step]
    ]
    temperature = _temperature(held)
    scores = [_score(truth, weighed.belief(temperature)) for truth, weighed in held]
    fitted = {"sources": _sources(used, prior, left_out), "temperature": temperature}
    return float(np.mean(scores or [0.0])), base.model_copy(update=fitted)


def _score(truth: Truth, belief: Belief) -> float:
    """Return what belief's point is worth under the loss that it was chosen by, 0 to 1."""
    away = sphere.haversine_km(*belief.centre, truth.latitude, truth.longitude)
    return float(score(np.asarray(away)))


def cross_validated(
    pairs: Sequence[Pair],
    settlements: "Settlements",
    *,
    recipe: str,
    fitted_on: str,
    folds: int,
) -> list[RunRow]:
    """Return every row, believed again under a calibration that has not seen its photo.

    Folds never split photos of one id, one author or one true coordinate. A published rule's point
    is belief's here: what is judged is belief.
    """
    fold = _folds([truth for truth, _ in pairs], folds)
    rows = [row for _, row in pairs]
    for held_out in range(folds):
        training = _taken(pairs, fold != held_out)
        calibration = fit(training, settlements, recipe=recipe, fitted_on=fitted_on)
        for index in np.flatnonzero(fold == held_out):
            rows[index] = believed_again(rows[index], settlements, calibration)
    return rows


def believed_again(row: RunRow, settlements: "Settlements", calibration: Calibration) -> RunRow:
    """Return a row with the point, radii and confidences of belief under a calibration."""
    from agent.answer import Radii
    from agent.ratings import LOSS_SCALES_KM

    if row.latitude is None or not _counted(row):
        return row
    belief = believe(row.evidence, settlements, calibration)
    told = summarise(belief)
    shares = belief.mass_within(LOSS_SCALES_KM, told.latitude, told.longitude).tolist()
    named = {f"{km:g}": share for km, share in zip(LOSS_SCALES_KM, shares, strict=True)}
    update = {
        "latitude": told.latitude,
        "longitude": told.longitude,
        "radii": Radii(km_50=told.km_50, km_80=told.km_80, km_95=told.km_95),
        "within": named,
        "countries": told.countries,
        "stages": row.stages | {"final": ((told.latitude, told.longitude),)},
    }
    return row.model_copy(update=update)


def _taken(pairs: Sequence[Pair], rows: NDArray[np.bool_]) -> list[Pair]:
    return [pairs[index] for index in np.flatnonzero(rows).tolist()]


def _counted(row: RunRow) -> list[Evidence]:
    """Return the evidence of a row that has an effect."""
    held = {item.id: item for item in row.evidence if item.weight > 0}
    return [item for item in held.values() if item.candidates or item.countries]


def _folds(truths: Sequence[Truth], folds: int) -> NDArray[np.intp]:
    """Return the fold of each truth: the largest clusters first, to the smallest fold."""
    cluster: dict[tuple[str, str], int] = {}
    parent = list(range(len(truths)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for index, truth in enumerate(truths):
        place = f"{truth.latitude:.5f},{truth.longitude:.5f}"
        names = [("id", truth.image_id), ("place", place)]
        names += [("author", truth.author)] if truth.author else []
        for name in names:
            parent[root(index)] = root(cluster.setdefault(name, index))
    roots = np.array([root(index) for index in range(len(truths))], dtype=np.intp)
    groups, sizes = np.unique(roots, return_counts=True)
    # A fixed shuffle, so that neighbours in the table are not neighbours in a fold.
    order = np.random.default_rng(0).permutation(len(groups))
    order = order[np.argsort(-sizes[order], kind="stable")]
    fold, filled = np.empty(len(truths), dtype=np.intp), np.zeros(folds)
    for group in order:
        chosen = int(np.argmin(filled))
        filled[chosen] += sizes[group]
        fold[roots == groups[group]] = chosen
    return fold


@dataclass(frozen=True)
class _Piece:
    """One piece of evidence beside its truth: densities at the truth, per km2.

    Attributes:
        absolute: `[S]` under each of `SCALES_KM`, averaged over its candidates.
        relative: `[W]` under each of `WIDENINGS`.
        prior: of the prior.
    """

    weight: float
    absolute: Floats
    relative: Floats
    prior: float
    sized: bool


def _sources(
    pairs: Sequence[Pair], prior: Prior, left_out: frozenset[str]
) -> dict[str, Reliability]:
    """Return the reliability of every source, of every tool, and of every kind."""
    said = [(truth, item) for truth, row in pairs for item in _counted(row)]
    said = [(truth, item) for truth, item in said if item.tool not in left_out]
    pieces: dict[tuple[str, ...], list[_Piece]] = {}
    unit = sphere.unit_vectors([(truth.latitude, truth.longitude) for truth, _ in said])
    density = prior.density(unit)
    codes = country_at([(t.latitude, t.longitude) for t, _ in said])
    for (truth, item), here, code in zip(said, density.tolist(), codes, strict=True):
        pieces.setdefault(keys_of(item), []).append(_piece(truth, item, here, code, prior))
    found: dict[str, Reliability] = {}
    for depth in (1, 2, 3):  # of kinds, of tools, of sources
        nodes: dict[str, list[_Piece]] = {}
        parents: dict[str, str] = {}
        for keys, held in pieces.items():
            if len(keys) >= depth:
                nodes.setdefault(keys[-depth], []).extend(held)
                parents[keys[-depth]] = keys[-depth + 1] if depth > 1 else ""
        for name, held in nodes.items():
            found[name] = _reliability(held, found.get(parents[name]))
    return dict(sorted(found.items()))


def _piece(truth: Truth, item: Evidence, prior: float, code: str, of: Prior) -> _Piece:
    """Return what evidence says of its truth."""
    if not item.candidates:
        alone = item.model_copy(update={"weight": MOST_WEIGHT})
        ratio = float(CountryGroup([alone], of).ratio(np.array([code]))[0])
        same = np.full(1, max(ratio, 1e-9) * prior)
        return _Piece(item.weight, same, same, prior, True)
    votes = np.array([max(one.score, 1e-6) for one in item.candidates])
    points = np.array([(one.latitude, one.longitude) for one in item.candidates])
    away = sphere.haversine_km(points[:, 0], points[:, 1], truth.latitude, truth.longitude)
    own = np.array([one.radius_km for one in item.candidates])
    share = votes / votes.sum()
    absolute = share @ _kernel(away[:, None], SCALES_KM[None])
    relative = share @ _kernel(away[:, None], own[:, None] * WIDENINGS[None])
    sized = all(one.kind in SIZED for one in item.candidates)
    return _Piece(item.weight, absolute, relative, prior, sized)


def _kernel(away_km: Floats, radius_km: Floats) -> Floats:
    return np.asarray((1 + (away_km / radius_km) ** 2) ** -2 / (np.pi * radius_km**2))


def _reliability(pieces: Sequence[_Piece], parent: Reliability | None) -> Reliability:
    """Return what a source's pieces show, starting from what is known of its parent."""
    weight = np.minimum([one.weight for one in pieces], MOST_WEIGHT)
    prior = np.array([one.prior for one in pieces])
    before = np.log(parent.odds) if parent else 0.0
    if all(one.sized for one in pieces):
        odds, widen = _widened(pieces, weight, prior, before, parent)
        return Reliability(odds=odds, widen=widen, pieces=len(pieces))
    table = np.stack([one.absolute for one in pieces if len(one.absolute) == len(SCALES_KM)])
    kept = np.array([len(one.absolute) == len(SCALES_KM) for one in pieces])
    weight, prior = weight[kept], prior[kept]
    start = _shares_of(parent)
    shares, odds = start, float(np.exp(before))
    counts = PRIOR_PIECES * start if parent else np.zeros(len(SCALES_KM))
    for _ in range(ROUNDS):
        right = table * shares
        now = _weighed(odds, weight)
        total = now * right.sum(axis=1) + (1 - now) * prior
        counted = (now[:, None] * right / total[:, None]).sum(axis=0) + counts
        shares = counted / counted.sum()
        odds = _odds(table @ shares, weight, prior, before)
    return Reliability(odds=odds, reaches=_reaches(shares), pieces=len(pieces))


def _widened(
    pieces: Sequence[_Piece],
    weight: Floats,
    prior: Floats,
    before: float,
    parent: Reliability | None,
) -> tuple[float, float]:
    """Return the odds and the widening of the largest posterior."""
    width = min(len(one.relative) for one in pieces)
    if width == 1:  # of countries: there is nothing to widen
        return _odds(np.array([one.relative[0] for one in pieces]), weight, prior, before), 1.0
    table = np.stack([one.relative for one in pieces if len(one.relative) == width])
    near = np.log(WIDENINGS / (parent.widen if parent else 1.0))
    best = (-np.inf, 1.0, 1.0)
    for column, widen in enumerate(WIDENINGS.tolist()):
        odds = _odds(table[:, column], weight, prior, before)
        value = _posterior(np.array([odds]), table[:, column], weight, prior, before)[0]
        best = max(best, (value - 0.5 * near[column] ** 2, odds, widen))
    return best[1], best[2]


def _weighed(odds: float | Floats, weight: Floats) -> Floats:
    """Return weights whose odds are multiplied."""
    multiplied = odds * weight / (1 - weight)
    return np.asarray(np.minimum(multiplied / (1 + multiplied), MOST_WEIGHT))


def _posterior(odds: Floats, right: Floats, weight: Floats, prior: Floats, before: float) -> Floats:
    """Return the logarithm of the posterior of each of `[O]` odds."""
    now = _weighed(odds[:, None], weight[None])
    said = np.log(now * right + (1 - now) * prior).sum(axis=1)
    return np.asarray(said - 0.5 * ((np.log(odds) - before) / ODDS_SPREAD) ** 2)


def _odds(right: Floats, weight: Floats, prior: Floats, before: float) -> float:
    """Return the odds of the largest posterior."""
    return float(ODDS[np.argmax(_posterior(ODDS, right, weight, prior, before))])


def _shares_of(parent: Reliability | None) -> Floats:
    """Return the shares of `SCALES_KM` that a parent has; even ones without."""
    if parent is None or not parent.reaches:
        return np.full(len(SCALES_KM), 1 / len(SCALES_KM))
    held = {reach.radius_km: reach.share for reach in parent.reaches}
    shares = np.array([held.get(scale, 0.0) for scale in SCALES_KM.tolist()]) + 1e-4
    return np.asarray(shares / shares.sum())


def _reaches(shares: Floats) -> tuple[Reach, ...]:
    kept = np.where(shares >= LEAST_SHARE, shares, 0.0)
    kept /= kept.sum()
    pairs = zip(SCALES_KM.tolist(), kept.tolist(), strict=True)
    return tuple(Reach(radius_km=km, share=share) for km, share in pairs if share)


def _temperature(held: Sequence[tuple[Truth, Weighed]]) -> float:
    """Return the temperature under which belief's radii hold what they state, by golden section."""
    if not held:
        return 1.0
    low, high = np.log(TEMPERATURES)
    golden = (np.sqrt(5) - 1) / 2
    tried: dict[float, float] = {}

    def missed(at: float) -> float:
        if at not in tried:
            tried[at] = _missed(held, float(np.exp(at))) + DOUBT / len(held) * at**2
        return tried[at]

    left, right = high - golden * (high - low), low + golden * (high - low)
    for _ in range(STEPS):
        if missed(left) <= missed(right):
            high, right = right, left
            left = high - golden * (high - low)
        else:
            low, left = left, right
            right = low + golden * (high - low)
    return float(np.exp(min(tried, key=lambda at: (tried[at], abs(at)))))


def _missed(held: Sequence[tuple[Truth, Weighed]], temperature: float) -> float:
    """Return how far the shares of belief nearer than the truth are from an even distribution."""
    nearer = np.fromiter(_nearer(held, temperature), dtype=np.float64)
    covered = (nearer[:, None] <= LEVELS).mean(axis=0)
    return float(((covered - LEVELS) ** 2).mean())


def _nearer(held: Sequence[tuple[Truth, Weighed]], temperature: float) -> Iterator[float]:
    """Yield, for each photo, the share of belief nearer to the answer than the truth is."""

    def one(pair: tuple[Truth, Weighed]) -> float:
        truth, weighed = pair
        belief = weighed.belief(temperature)
        away = sphere.haversine_km(*belief.centre, truth.latitude, truth.longitude)
        return float(belief.mass_within([float(away)], *belief.centre)[0])

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(one, held)
