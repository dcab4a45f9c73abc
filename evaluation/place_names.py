"""Are prediction and truth in the same country, area or town? By names, not by distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.tables import Truths
from geo.sphere import FloatArray

NameKind = Literal["country", "admin1", "city"]
KINDS: tuple[NameKind, ...] = ("country", "admin1", "city")


@dataclass(frozen=True)
class Matches:
    """Which photos are named right.

    Attributes:
        right: `[N]` 1 where the names agree; 0 elsewhere, and where there is no answer.
        known: `[N]` 1 where the truth has such a name: the denominator.
    """

    right: FloatArray
    known: FloatArray


def matches(kind: NameKind, truths: Truths, points: FloatArray) -> Matches:
    """Compare names of the truth with those of predicted points `[N, 2]`, NaN for no answer.

    Countries are those that the truth states, by code or name in any language, and where it states
    none the country of its point (`geo.regions.country_at`); a prediction's is that of its point.
    Areas and towns agree where the settlements of the gazetteer nearest to both points are of the
    same area, or are the same, or where the truth's own name is that of the predicted point's.

    Raises:
        UnavailableError: the gazetteer is missing and cannot be built (areas and towns).
    """
    answered: NDArray[np.bool_] = np.isfinite(points.sum(axis=1))
    if kind == "country":
        return _countries(truths, points, answered)
    return _settled(kind, truths, points, answered)


def country_codes_of(truths: Truths) -> list[str]:
    """Return the ISO 3166-1 alpha-2 code of the country of each photo; "" at sea."""
    from geo.regions import country_at
    from index_builder.countries import country_code

    codes = [country_code(name) if name else "" for name in truths.named("country") or ()]
    unsure = [n for n in range(len(truths.ids)) if not codes or not codes[n]]
    codes = codes or [""] * len(truths.ids)
    for n, code in zip(unsure, country_at(truths.points[unsure]), strict=True):
        codes[n] = code
    return codes


def _countries(truths: Truths, points: FloatArray, answered: NDArray[np.bool_]) -> Matches:
    from geo.regions import country_at

    true = np.array(country_codes_of(truths), dtype=object)
    found = np.full(len(true), None, dtype=object)
    found[answered] = country_at(points[answered])
    known = true != ""
    return Matches(((found == true) & known).astype(float), known.astype(float))


def _settled(
    kind: NameKind, truths: Truths, points: FloatArray, answered: NDArray[np.bool_]
) -> Matches:
    from geo.gazetteer import Gazetteer
    from geo.names import fold

    stated: Sequence[str] | None = truths.named(kind)
    with Gazetteer.open() as gazetteer:
        right = []
        for n, sure in enumerate(answered.tolist()):
            if not sure:
                right.append(False)
                continue
            (ours, _), *_ = gazetteer.nearest(*points[n].tolist())
            (true, _), *_ = gazetteer.nearest(*truths.points[n].tolist())
            if kind == "city":
                same, name = ours.geoname_id == true.geoname_id, ours.name
            else:
                same, name = (ours.country, ours.admin1) == (true.country, true.admin1), ours.admin1
            own = stated[n] if stated else ""
            right.append(same or bool(own and name and fold(own) == fold(name)))
    known = np.array([bool(name) for name in stated] if stated else [True] * len(right))
    return Matches((np.array(right) & known).astype(float), known.astype(float))
