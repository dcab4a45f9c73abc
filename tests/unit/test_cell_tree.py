"""Search of cells from coarse to fine: exactly what comparing with all finds."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.base import EncoderCard
from geo.cells import cell_ids, centres, children, parents
from geo.errors import InputError
from index_builder.cell_prototypes import unit_rows
from index_builder.cell_tree import CellTree, search_cells, tree_of
from index_builder.cells import build_cells
from index_builder.points import Circle, Where
from tests.aligned_fakes import GlobeEncoder
from tests.unit.cell_samples import photo_gallery, region

Matrix = npt.NDArray[np.float32]


def codes(seed: int, parents_of: int, near: float, width: int = 8) -> tuple[np.ndarray, Matrix]:
    """Cells of two levels in several parts of the world, alike within a parent as `near` says."""
    draw = np.random.default_rng(seed)
    spots = np.column_stack(
        [draw.uniform(-80, 80, parents_of), draw.uniform(-180, 180, parents_of)]
    )
    homes = np.unique(cell_ids(spots, 10))
    cells = [child for home in homes for child in draw.choice(children([home], 13)[0], 9, False)]
    ids = np.unique(np.concatenate([np.array(cells, np.uint64), cell_ids(-spots[:2], 12)]))
    rows = draw.normal(size=(len(ids), width))
    own = parents(ids, 10)
    for home in np.unique(own):
        rows[own == home] = near * draw.normal(size=width) + (1 - near) * rows[own == home]
    return ids, unit_rows(rows)


def brute(vectors: Matrix, query: Matrix, k: int) -> npt.NDArray[np.float64]:
    return np.sort(vectors.astype(np.float64) @ query)[::-1][:k]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    homes=st.integers(1, 120),
    near=st.sampled_from([0.0, 0.6, 0.95]),
    level=st.sampled_from([None, 0, 6, 10, 12]),
    k=st.integers(1, 40),
)
def test_it_finds_what_comparing_with_all_finds(
    seed: int, homes: int, near: float, level: int | None, k: int
) -> None:
    ids, vectors = codes(seed, homes, near)
    query = unit_rows(np.random.default_rng(seed + 1).normal(size=(1, 8)))[0]
    for wanted in (query, vectors[seed % len(ids)]):
        found, cosines = CellTree.of(ids, vectors, level).search(wanted, k)
        best = brute(vectors, wanted, k)
        assert len(found) == len(set(found.tolist())) == min(k, len(ids))
        assert cosines == pytest.approx(best, abs=2e-6)
        rows = np.searchsorted(ids, found)
        assert vectors[rows] @ wanted == pytest.approx(cosines, abs=2e-6)


def test_a_search_looks_at_few_codes_where_neighbours_are_alike() -> None:
    ids, vectors = codes(0, 400, 0.97, width=32)
    tree = CellTree.of(ids, vectors, 10)
    looked = 0
    inside = CellTree._rows_inside

    def counted(self: CellTree, opened: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        nonlocal looked
        rows = inside(self, opened)
        looked += len(rows)
        return rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CellTree, "_rows_inside", counted)
        found, _ = tree.search(vectors[1234], 5)
    assert found[0] == ids[1234]
    assert looked < len(ids) / 10


def test_a_beam_opens_so_many_parents_and_no_more() -> None:
    ids, vectors = codes(3, 50, 0.5)
    tree = CellTree.of(ids, vectors, 10)
    found, _ = tree.search(vectors[7], len(ids), beam=2)
    assert len(set(parents(found, 10).tolist())) == 2
    assert ids[7] in found
    whole, _ = tree.search(vectors[7], len(ids), beam=len(ids))
    assert sorted(whole.tolist()) == ids.tolist()


def test_codes_that_cancel_out_are_found_all_the_same() -> None:
    ids = children(region(1, 12), 13)[0]
    vectors = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)
    found, cosines = CellTree.of(ids, vectors, 12).search(vectors[1], 1)
    assert found[0] == ids[1]
    assert cosines[0] == pytest.approx(1.0)


def test_equal_codes_come_in_the_order_of_cells() -> None:
    ids = region(30)
    vectors = np.tile(np.array([[0.6, 0.8]], np.float32), (30, 1))
    found, _ = CellTree.of(ids[::-1], vectors, 11).search(vectors[0], 4)
    assert found.tolist() == ids[:4].tolist()


def test_parents_hold_some_dozens_of_codes_by_default() -> None:
    tree = CellTree.of(region(4096, 15, (10.0, 10.0)), np.ones((1024, 1), np.float32))
    assert tree.level == 12
    assert len(tree.centres) == 16


def test_what_cannot_be_searched_is_refused() -> None:
    ids, vectors = codes(0, 5, 0.5)
    tree = CellTree.of(ids, vectors)
    for vector, k, beam in ((vectors[0], 0, None), (vectors[0], 3, 0), (vectors[0, :3], 3, None)):
        with pytest.raises(InputError, match="limit"):
            tree.search(vector, k, beam)
    with pytest.raises(InputError, match="1 each is needed"):
        CellTree.of(ids, vectors[:-1])
    with pytest.raises(InputError, match="no parent of level"):
        CellTree.of(ids, vectors, 20)


def test_both_searches_of_a_gallery_agree(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    ids = region(256, 12)
    points = centres(ids)
    card = GlobeEncoder().card
    wide = EncoderCard("wide", card.fingerprint, {"globe": 24}, retrieval=("globe",))

    class Wide(GlobeEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.card = wide

    rows = unit_rows(draw.normal(size=(256, 24)))
    photos = [(a, b, row, "") for (a, b), row in zip(points.tolist(), rows, strict=True)]
    with photo_gallery(tmp_path / "photos", Wide(), photos) as gallery:
        build_cells(gallery, tmp_path / "cells", prototype_level=12, code_level=13)
        with pytest.raises(InputError, match="holds photos, cells are needed"):
            search_cells(gallery, rows[0], 3)
    from index_builder import open_gallery

    with open_gallery(tmp_path / "cells") as cells:
        for query in unit_rows(draw.normal(size=(20, 24))):
            coarse = search_cells(cells, query, 10)
            flat = cells.search(query, 10, exact=True)
            assert [hit.photo for hit in coarse] == [hit.photo for hit in flat]
            assert [hit.score for hit in coarse] == pytest.approx([hit.score for hit in flat])
        assert tree_of(cells) is tree_of(cells)
        near = Where(circle=Circle(float(points[9, 0]), float(points[9, 1]), 3.0))
        inside = search_cells(cells, rows[200], 256, where=near)
        assert 1 <= len(inside) < 20
        assert inside == cells.search(rows[200], 256, where=near, exact=True)
