"""Whole meshes of S2 cells are the cells that the S2 library knows one by one."""

import numpy as np
import pytest

from geo import cells, sphere
from geo.quads import Quads, quads_at

RNG = np.random.default_rng(3)


def anywhere(count: int) -> sphere.FloatArray:
    found = RNG.normal(size=(count, 3))
    unit: sphere.FloatArray = found / np.linalg.norm(found, axis=1)[:, None]
    return np.concatenate([unit, np.eye(3), -np.eye(3)])


@pytest.mark.parametrize("level", [0, 1, 5, 6, 7, 12, 20])
def test_cells_are_those_of_the_library(level: int) -> None:
    unit = anywhere(200)
    ours, theirs = quads_at(unit, level), cells.cell_ids(sphere.points_of(unit), level)
    expected = sphere.unit_vectors(cells.centres(theirs))
    assert np.abs(ours.unit_vectors() - expected).max() < 1e-12
    assert ours.area_km2() == pytest.approx(cells.area_km2(theirs), rel=1e-4)


def test_children_cover_their_parent() -> None:
    whole = Quads.globe()
    for _ in range(4):
        finer = whole.children()
        assert finer.area_km2().reshape(-1, 4).sum(axis=1) == pytest.approx(whole.area_km2())
        back = quads_at(finer.unit_vectors(), int(whole.level[0]))
        assert (whole.find(back).reshape(-1, 4) == np.arange(len(whole))[:, None]).all()
        whole = finer
    assert whole.area_km2().sum() == pytest.approx(4 * np.pi * sphere.EARTH_RADIUS_KM**2)


def test_a_cell_that_is_not_there_is_not_found() -> None:
    cell = quads_at(anywhere(0)[:1], 3)
    assert Quads.globe().children().children().children().find(cell)[0] >= 0
    none = cell.taken(np.zeros(1, dtype=np.bool_))
    assert none.find(cell).tolist() == [-1]
