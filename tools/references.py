"""Gallery photos as references for a model: coordinates with place names, never pixels.

Turns what `search_similar_photos` and `search_dissimilar_photos` found into the texts of the
prompt `references`. Coordinates in a prompt follow Img2Loc and G3 (Zhou et al., SIGIR 2024; Jia et
al., NeurIPS 2024); place names and the spread are added, because digits alone tell a model little.
Everything but `name_places` is a pure function of what was found.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue, ValidationError

from encoders.photo_file import printable
from tools.clustering import EPS_KM, MIN_SAMPLES, TOP, dualgeo_rule, robust_clusters
from tools.evidence import Latitude, Longitude, Record
from tools.proposed import SAME_DIGITS as SAME_DIGITS
from tools.proposed import place_key

if TYPE_CHECKING:
    from tools.clustering import Cluster, Clustering
    from tools.workbench import Workbench

CLUSTERS_SHOWN = 5
"""Of which the distances between the first `DISTANCES_SHOWN` are told."""
DISTANCES_SHOWN = 3


class Reference(Record):
    """One gallery photo, as a model is told of it."""

    latitude: Latitude
    longitude: Longitude
    place: str = ""
    """Such as `near Paris, FR`; empty until it was named."""
    similarity: float
    rank: int
    """In what was found, 1 for the first."""


def hits_of(
    steps_data: Iterable[Mapping[str, JsonValue]], *, apart_from: str = "", repeats: bool = False
) -> list[Reference]:
    """Return the photos that gallery searches found, in their order, each place once.

    Galleries of one encoder are merged by similarity; between encoders, whose similarities do not
    compare, they take turns. Whatever is no place, (0, 0) included, is left out.

    Args:
        steps_data: `data` of calls of `search_similar_photos`, or of `search_dissimilar_photos`;
            not of both at once.
        apart_from: id of a photo to leave out: none is a reference of itself.
        repeats: several photos of one place count as often as they are.
    """
    found: dict[str, list[tuple[float, int, Reference]]] = {}
    for gallery in _galleries(steps_data):
        sign = 1 if gallery.get("dissimilar") else -1
        encoder = gallery.get("encoder")
        name = str(encoder.get("fingerprint")) if isinstance(encoder, dict) else ""
        rows = gallery.get("hits")
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and apart_from and row.get("id") == apart_from:
                continue
            if (one := _reference(row)) is not None:
                held = found.setdefault(name, [])
                held.append((sign * one.similarity, len(held), one))
    ordered = [[one for _, _, one in sorted(held, key=lambda r: r[:2])] for held in found.values()]
    turns = [one for turn in zip_longest(*ordered) for one in turn if one is not None]
    return _ranked(turns if repeats else deduplicate(turns))


def _galleries(steps_data: Iterable[Mapping[str, JsonValue]]) -> Iterable[Mapping[str, JsonValue]]:
    for data in steps_data:
        galleries = data.get("galleries")
        for gallery in galleries if isinstance(galleries, list) else ():
            if isinstance(gallery, dict):
                yield gallery


def _reference(row: JsonValue) -> Reference | None:
    """Return a hit as a reference, or None where it names no place."""
    if not isinstance(row, dict):
        return None
    try:
        one = Reference.model_validate(
            {"latitude": row.get("latitude"), "longitude": row.get("longitude"),
             "similarity": row.get("similarity"), "rank": 0}
        )  # fmt: skip
    except ValidationError:
        return None
    return None if _place(one) == (0, 0) else one


def _ranked(references: Sequence[Reference]) -> list[Reference]:
    return [one.model_copy(update={"rank": rank}) for rank, one in enumerate(references, start=1)]


def deduplicate(references: Iterable[Reference]) -> list[Reference]:
    """Return the first reference of each coordinate, in their order."""
    first: dict[tuple[float, float], Reference] = {}
    for one in references:
        first.setdefault(_place(one), one)
    return list(first.values())


def without(references: Iterable[Reference], others: Iterable[Reference]) -> list[Reference]:
    """Return the references whose coordinates no other one has."""
    taken = {_place(one) for one in others}
    return [one for one in references if _place(one) not in taken]


def _place(one: Reference) -> tuple[float, float]:
    return place_key(one.latitude, one.longitude)


def name_places(bench: "Workbench", references: Sequence[Reference]) -> list[Reference]:
    """Return references with the name of what is near each."""
    from geo.regions import country_at
    from tools.places import place_name

    countries = country_at([(one.latitude, one.longitude) for one in references])
    return [
        one.model_copy(
            update={"place": printable(place_name(bench, one.latitude, one.longitude, code), 120)}
        )
        for one, code in zip(references, countries, strict=True)
    ]


def reference_lines(references: Sequence[Reference]) -> str:
    """Return a line each, such as `3. 48.8584, 2.2945 (near Paris, FR)`, numbered as given.

    Four decimals are 11 m. What the list does not have, it has no line for.
    """
    return "\n".join(
        f"{number}. {one.latitude:.4f}, {one.longitude:.4f}"
        + (f" ({one.place})" if one.place else "")
        for number, one in enumerate(references, start=1)
    )


def spread_text(references: Sequence[Reference], eps_km: float = EPS_KM) -> str:
    """Return in words where references lie together, and how far apart.

    Args:
        references: the best first.
        eps_km: those are together of which each has another within so many km.
    """
    count = len(references)
    if count < MIN_SAMPLES:
        return "Only one reference." if count else "No references."
    clusters = _agreeing(references, eps_km).clusters
    if not clusters:
        return f"No two of {count} within {eps_km:g} km of each other."
    shown = clusters[:CLUSTERS_SHOWN]
    parts = [f"{len(one.members)} {_near(references[one.medoid])}" for one in shown]
    parts[0] = parts[0].replace(" ", f" of {count} ", 1)
    rest = count - sum(len(one.members) for one in shown)
    more = f"; {rest} elsewhere" if rest else ""
    head = f"Together (each within {eps_km:g} km of another): {'; '.join(parts)}{more}."
    return " ".join([head, *_distances(references, shown[:DISTANCES_SHOWN])])


def _distances(references: Sequence[Reference], clusters: Sequence["Cluster"]) -> list[str]:
    from geo.sphere import distance_km

    middles = [references[one.medoid] for one in clusters]
    pairs = [(a, b) for i, a in enumerate(middles) for b in middles[i + 1 :]]
    apart = [float(distance_km(a.latitude, a.longitude, b.latitude, b.longitude)) for a, b in pairs]
    if len(pairs) == 1:
        return [f"The two are {apart[0]:,.0f} km apart."]
    return [
        f"From {_near(a)} to {_near(b)}: {far:,.0f} km."
        for (a, b), far in zip(pairs, apart, strict=True)
    ]


def _near(one: Reference) -> str:
    return one.place or f"at {one.latitude:.2f}, {one.longitude:.2f}"


def rerank(
    references: Sequence[Reference],
    rule: Literal["robust", "dualgeo"],
    eps_km: float = EPS_KM,
    top: int = TOP,
) -> list[Reference]:
    """Return all references, the first `top` of them ordered by where they agree.

    Args:
        references: the most similar first.
        rule: `dualgeo`, the published rule: by distance to the middle of the largest cluster, of
            the first 20 at most; `robust`: the members of the largest cluster first, then of the
            next, each in the given order, then what is in none.
        eps_km: those are together of which each has another within so many km.
        top: how many take part; the others follow as they were.
    """
    first, rest = list(references[:top]), list(references[top:])
    if not first:
        return []
    if rule == "dualgeo":
        first, rest = first[:TOP], [*first[TOP:], *rest]
        order = list(dualgeo_rule(_points(first), eps_km).order)
    else:
        order = _robust_order(first, eps_km)
    return [*(first[i] for i in order), *rest]


def _robust_order(references: Sequence[Reference], eps_km: float) -> list[int]:
    """Return indices by clusters, each in the given order, then what is in none."""
    found = _agreeing(references, eps_km)
    order: list[int] = []
    for cluster in found.clusters:
        again = [one for one, first in found.duplicates.items() if first in cluster.members]
        order += sorted((*cluster.members, *again))
    return order + [index for index in range(len(references)) if index not in order]


def _agreeing(references: Sequence[Reference], eps_km: float) -> "Clustering":
    """Return clusters of references, each of which counts the more the better it ranks."""
    votes = [1 / rank for rank in range(1, len(references) + 1)]
    return robust_clusters(_points(references), scores=votes, eps_km=eps_km)


def _points(references: Sequence[Reference]) -> list[tuple[float, float]]:
    return [(one.latitude, one.longitude) for one in references]
