"""The families on a rendered planet: what is trained, what is left out, what is asked.

Each family is put to the question that its paper answers with its own part. The ablation is the
family's own switch; nothing else differs, and neither variant is tuned.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from encoders.families import family_classes
from encoders.heads import Heads
from evaluation.planet_canvas import Segment
from evaluation.planet_features import Observed
from evaluation.planet_scores import (
    Scores,
    alignment_scores,
    index_vectors,
    plain_vectors,
    retrieval_scores,
    twin_scores,
)
from evaluation.planet_splits import SUMMER_QUERIES, SetName
from evaluation.planet_training import Budget, train_heads
from geo.cells import cell_ids, levels, parents

PROTOTYPE_LEVEL = 5
"""About 290 km a side: of the places of the bench, about one each."""
CODE_LEVEL = 6
_DENSE = ("train dense", "train twin")
_KNOWN = ("query dense", "query twin")
_UNSEEN = ("query unseen",)
_CELLS = ("train dense", "train sparse")


@dataclass(frozen=True)
class Claim:
    """What a paper says of a part, as a figure of the bench."""

    says: str
    figure: str


@dataclass(frozen=True)
class Family:
    """One family on the bench.

    Attributes:
        name: of the family.
        data: the set it is trained on.
        learns: groups of photos it is trained on; they are its gallery too.
        config: small sizes; the backbone's widths are added.
        ablation: what is changed in the configuration for the ablated variant.
        without: the ablated variant in words.
        figures: columns of its block, in order.
        claims: what its paper argues for, measured as trained minus ablated.
        ask: returns the scores of heads, trained or not.
        set_up: puts into fresh heads what comes from data; returns the cell of each example.
    """

    name: str
    data: SetName
    learns: tuple[str, ...]
    config: Mapping[str, Any]
    ablation: Mapping[str, Any]
    without: str
    figures: tuple[str, ...]
    claims: tuple[Claim, ...]
    ask: Callable[[Heads, Observed], Scores]
    set_up: Callable[[Heads, Observed, Tensor], Tensor] = lambda *_: torch.empty(0)

    def heads(self, tower_widths: tuple[int, int], variant: str, seed: int) -> Heads:
        """Return fresh heads of a variant, drawn from a seed."""
        made, config = family_classes(self.name)
        changes = self.ablation if variant == "ablated" else {}
        backbone_width, token_width = tower_widths
        sizes = {"backbone_width": backbone_width, "token_width": token_width}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return made(config(**{**sizes, **self.config, **changes}))


def run_variant(
    family: Family,
    variant: str,
    seed: int,
    seen: Observed,
    tower_widths: tuple[int, int],
    budget: Budget,
    progress: Callable[[int, int, float], None],
) -> Scores:
    """Return the scores of one variant: `untrained`, `trained`, `ablated`, or the plain `tower`."""
    if variant == "tower":
        return _tower_scores(family, seen)
    heads = family.heads(tower_widths, variant, seed)
    photos, places = seen.features(family.learns), seen.places(family.learns)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        cells = family.set_up(heads, seen, places)
    if variant != "untrained":
        train_heads(
            heads,
            len(places),
            lambda rows: seen.batch(photos, places, rows, cells),
            budget,
            seed,
            progress,
        )
    heads.prepare()
    return family.ask(heads, seen)


def _tower_scores(family: Family, seen: Observed) -> Scores:
    if family.data == "any":
        return retrieval_scores(seen, plain_vectors, family.learns, _KNOWN)
    return _in_each_light(seen, plain_vectors)


def _known_scores(heads: Heads, seen: Observed) -> Scores:
    """Score photos of known places in new views, and photos of places never seen."""

    def vectors(photos: Any) -> Tensor:
        return index_vectors(heads, photos)

    known = retrieval_scores(seen, vectors, _DENSE, _KNOWN) | alignment_scores(seen, heads, _KNOWN)
    unseen = retrieval_scores(seen, vectors, _DENSE, _UNSEEN)
    unseen |= alignment_scores(seen, heads, _UNSEEN)
    return known | {f"unseen {figure}": value for figure, value in unseen.items()}


def _twin_scores(heads: Heads, seen: Observed) -> Scores:
    return _known_scores(heads, seen) | twin_scores(seen, heads, "train twin", "query twin")


def _in_each_light(seen: Observed, vectors: Callable[[Any], Tensor]) -> Scores:
    found: Scores = {}
    for condition in SUMMER_QUERIES:
        scores = retrieval_scores(seen, vectors, ("train",), (f"query {condition}",))
        found |= {f"{condition} {figure}": value for figure, value in scores.items()}
    return found


def _light_scores(heads: Heads, seen: Observed) -> Scores:
    found = _in_each_light(seen, lambda photos: index_vectors(heads, photos))
    for condition in SUMMER_QUERIES:
        scores = alignment_scores(seen, heads, (f"query {condition}",))
        found |= {f"{condition} {figure}": value for figure, value in scores.items()}
    for kind in ("retrieved @1 %", "aligned @1 %"):
        found[f"changed {kind}"] = float(
            np.mean([found[f"{c} {kind}"] for c in SUMMER_QUERIES[1:]])
        )
    return found


def _set_cells(heads: Any, seen: Observed, places: Tensor) -> Tensor:
    """Give prototypes to the cells of the training photos; return each photo's row."""
    points = seen.points(places).numpy()
    heads.set_cells(np.unique(cell_ids(points, PROTOTYPE_LEVEL)))
    rows: Tensor = heads.cell_rows(points)
    return rows


def _cell_scores(heads: Any, seen: Observed) -> Scores:
    """Score how often the best code is of the photo's own prototype cell, 290 km wide."""
    heads.eval()
    with torch.no_grad():
        if heads.config.aerial:
            _set_tiles(heads, seen)
        ids, codes = heads.code_table()
        codes = codes.detach()
    found = {}
    groups = {"dense": "query dense", "one photo": "query sparse", "no photo": "query bare"}
    best = parents(ids, PROTOTYPE_LEVEL) if len(ids) else ids
    for name, group in groups.items():
        own = cell_ids(seen.points(seen.places((group,))).numpy(), PROTOTYPE_LEVEL)
        vectors = index_vectors(heads, seen.features((group,)))
        nearest = best[(vectors @ codes.T).argmax(dim=1).numpy()]
        found[f"{name} cell@1 %"] = 100 * float((nearest == own).mean())
    if heads.config.aerial:
        found["kappa"] = float(heads.kappa)
    return found


@torch.no_grad()
def _set_tiles(heads: Any, seen: Observed) -> None:
    """Put the tiles of all places but unseen ones in place, one a cell, and calibrate kappa."""
    known = seen.split.places[: int(seen.group("query unseen").places.min())]
    ids, first = np.unique(cell_ids(known, CODE_LEVEL), return_index=True)
    assert (levels(ids) == CODE_LEVEL).all()
    heads.set_codes(ids, heads.encode_aerial(seen.aerial[torch.from_numpy(first)]))
    asked = ("calibrate dense",)
    own = cell_ids(seen.points(seen.places(asked)).numpy(), CODE_LEVEL)
    heads.calibrate(index_vectors(heads, seen.features(asked)), own)


_SMALL = {"width": 128, "hidden": 256, "features": 128}
_KNOWN_FIGURES = ("aligned @1 %", "aligned median km", "retrieved @1 %", "unseen aligned 750 km %")

FAMILIES: tuple[Family, ...] = (
    Family(
        "geoclip",
        "any",
        _DENSE,
        {**_SMALL, "queue": 512},
        {"sigmas": (1.0,)},
        "one scale (sigma 1)",
        (*_KNOWN_FIGURES, "unseen aligned median km"),
        (Claim("three scales of frequencies place photos finer than one", "aligned @1 %"),),
        _known_scores,
    ),
    Family(
        "g3",
        "any",
        _DENSE,
        {**_SMALL, "location_width": 128},
        {"text": False},
        "without text",
        (*_KNOWN_FIGURES, "unseen retrieved 750 km %"),
        (
            Claim("captions of city, state, country make retrieval better", "retrieved @1 %"),
            Claim("the same where no photo of the place is known", "unseen retrieved 750 km %"),
        ),
        _known_scores,
    ),
    Family(
        "transgeoclip",
        "any",
        _DENSE,
        {
            **{"width": 128, "location_width": 128, "features": 128, "model_width": 128},
            **{"attention_heads": 4, "layers": 2, "feedforward": 256, "anchors": 128},
        },
        {"location_attention": False},
        "without location attention",
        (*_KNOWN_FIGURES, "twin aligned %", "twin retrieved %", "twin chance %"),
        (
            Claim("location attention tells look-alikes apart", "twin aligned %"),
            Claim("and helps overall", "aligned @1 %"),
        ),
        _twin_scores,
    ),
    Family(
        "dualgeo",
        "summer",
        ("train",),
        {**_SMALL, "location_width": 128, "classes": len(Segment), "attention_heads": 4},
        {"segments": False},
        "without segmentation view",
        (
            *(f"{condition} retrieved @1 %" for condition in SUMMER_QUERIES),
            "summer day aligned @1 %",
            "changed aligned @1 %",
            "changed retrieved @1 %",
        ),
        (
            Claim(
                "segmentation keeps retrieval through light and season", "changed retrieved @1 %"
            ),
            Claim("and alignment with locations", "changed aligned @1 %"),
        ),
        _light_scores,
    ),
    Family(
        "cellcodes",
        "any",
        _CELLS,
        {"width": 128, "prototype_level": PROTOTYPE_LEVEL, "code_level": CODE_LEVEL},
        {"aerial": False},
        "without aerial tiles",
        ("dense cell@1 %", "one photo cell@1 %", "no photo cell@1 %", "kappa"),
        (
            Claim("tiles help where there is one ground photo", "one photo cell@1 %"),
            Claim(
                "and where there is none (there, chance is all that is left without tiles)",
                "no photo cell@1 %",
            ),
        ),
        _cell_scores,
        _set_cells,
    ),
)
