"""TopoJSON is decoded, unwrapped at the antimeridian and closed at the pole."""

from typing import Any

import numpy as np
import pytest
import shapely

from geo.data import make_countries as make


def _topology(ring: list[list[int]], name: str, numeric: str | None) -> dict[str, Any]:
    """One feature whose only arc is `ring`, in whole degrees east of -180 and north of -90."""
    deltas = np.diff(np.array([[0, 0], *ring]), axis=0).tolist()
    feature = {"type": "Polygon", "arcs": [[0]], "properties": {"name": name}}
    if numeric:
        feature["id"] = numeric
    return {
        "transform": {"scale": [1.0, 1.0], "translate": [-180.0, -90.0]},
        "arcs": [deltas],
        "objects": {"countries": {"geometries": [feature]}},
    }


def _only(topology: dict[str, Any]) -> dict[str, Any]:
    countries = make.read_countries(topology, drawn_by_hand={})
    return countries


def test_arcs_are_summed_and_scaled_and_reversed() -> None:
    arcs = make.decode_arcs(
        {"transform": {"scale": [0.5, 2.0], "translate": [10, 20]}, "arcs": [[[0, 0], [2, 1]]]}
    )
    assert arcs[0].tolist() == [[10, 20], [11, 22]]
    assert make.join_arcs([~0], arcs).tolist() == [[11, 22], [10, 20]]


def test_a_ring_over_the_antimeridian_is_cut_not_smeared() -> None:
    ring = [[355, 100], [5, 100], [5, 110], [355, 110], [355, 100]]
    fiji = _only(_topology(ring, "Fiji", "242"))["FJ"]
    assert fiji.area == pytest.approx(100)
    assert not fiji.intersects(shapely.Point(0, 15))
    assert fiji.bounds == (-180, 10, 180, 20)


def test_a_ring_around_the_pole_is_closed_there() -> None:
    ring = [[0, 20], [90, 20], [180, 20], [270, 20], [0, 20]]
    antarctica = _only(_topology(ring, "Antarctica", "010"))["AQ"]
    assert antarctica.area == pytest.approx(360 * 20)
    assert antarctica.bounds == (-180, -90, 180, -70)


def test_territories_with_their_own_code_are_split_off() -> None:
    ring = [[126, 92], [128, 92], [128, 95], [126, 95], [126, 92]]
    topology = _topology(ring, "Norway", "578")
    with pytest.raises(SystemExit, match="no part of 'Norway'"):
        make.read_countries(topology)
    assert make.split_feature("Ghana", "GH", shapely.box(0, 5, 1, 6))[0][0] == "GH"
    parts = make.split_feature(
        "Russia", "RU", shapely.union(_crimea(), shapely.box(60, 60, 70, 70))
    )
    assert {code for code, _ in parts} == {"RU", "UA"}


def _crimea() -> shapely.Polygon:
    return shapely.box(33, 45, 35, 46)


def test_features_without_a_code_need_a_decision() -> None:
    ring = [[126, 92], [128, 92], [128, 95], [126, 95], [126, 92]]
    with pytest.raises(SystemExit, match="'Atlantis'"):
        _only(_topology(ring, "Atlantis", None))
    assert _only(_topology(ring, "Scarborough Reef", None)) == {}
    assert list(_only(_topology(ring, "Kosovo", None))) == ["XK"]


def test_cells_are_whole_inside_and_touched_on_the_edge() -> None:
    square = shapely.MultiPolygon([shapely.box(10, 10, 11, 11)])
    found = make.cells_touched(square)
    inside = sum(size * size for _, _, size, whole in found if whole)
    edge = [(row, column) for row, column, _, whole in found if not whole]
    assert inside == 8 * 8
    # Its edges lie on cells' edges, so the cells on both sides are asked.
    assert len(edge) == 12 * 12 - 8 * 8


def test_usage_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert make.main([]) == 2
    assert "npm pack world-atlas" in capsys.readouterr().err
