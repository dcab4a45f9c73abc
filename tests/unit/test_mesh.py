"""The mesh covers the globe once and is fine where kernels are."""

import numpy as np
import pytest

from agent.factors import CandidateGroup, Kernels, Prior, Settlements
from agent.mesh import mesh_of
from geo import sphere
from tools.evidence import Candidate, Evidence

EARTH = 4 * np.pi * sphere.EARTH_RADIUS_KM**2


@pytest.mark.parametrize("radius_km", [0.02, 0.2, 5.0, 300.0, 5000.0])
@pytest.mark.parametrize("point", [(48.1, 11.6), (90.0, 0.0), (-16.8, 180.0), (0.0, 45.0)])
def test_one_kernel_is_seen_well(point: tuple[float, float], radius_km: float) -> None:
    unit = sphere.unit_vectors([point])
    mesh = mesh_of(unit, np.array([radius_km]), np.ones(1))
    area, centres = mesh.area_km2(), mesh.unit_vectors()
    assert area.sum() == pytest.approx(EARTH, rel=1e-5)
    assert len(mesh) < 600
    away = sphere.EARTH_RADIUS_KM * np.linalg.norm(centres - unit, axis=1)
    density = (1 + (away / radius_km) ** 2) ** -2 / (np.pi * radius_km**2)
    density *= 1 + (radius_km / 2 / sphere.EARTH_RADIUS_KM) ** 2
    assert density @ area == pytest.approx(1.0, abs=0.06)
    within = away < radius_km * 2
    assert density[within] @ area[within] == pytest.approx(0.8, abs=0.1)


def test_order_and_repetition_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-80, 80, 20), rng.uniform(-180, 180, 20)])
    unit, radius, share = sphere.unit_vectors(points), rng.uniform(0.1, 50, 20), np.full(20, 0.05)
    turn = rng.permutation(np.repeat(np.arange(20), 2))
    one, other = mesh_of(unit, radius, share), mesh_of(unit[turn], radius[turn], share[turn])
    assert sorted(map(tuple, one.unit_vectors().tolist())) == sorted(
        map(tuple, other.unit_vectors().tolist())
    )


def test_a_cell_candidate_has_most_of_its_mass_in_its_cell(settlements: Settlements) -> None:
    from geo.cells import cell_ids, centres, tokens

    (cell,) = cell_ids([[48.1, 11.6]], 9)
    latitude, longitude = centres([cell])[0].tolist()
    one = Candidate(
        latitude=latitude, longitude=longitude, radius_km=6.0, score=1.0, rank=1,
        source="gallery:cells", kind="cell", reference=tokens([cell])[0],
    )  # fmt: skip
    said = Evidence(
        tool="search_cells", kind="alignment", summary="", candidates=(one,), weight=0.5, group="c"
    )
    group = CandidateGroup([said], Prior(settlements))
    kernels = Kernels.of([group])
    mesh = mesh_of(kernels.unit, kernels.radius_km, kernels.share)
    mass = kernels.density(mesh.unit_vectors())[:, 0] * mesh.area_km2()
    inside = cell_ids(sphere.points_of(mesh.unit_vectors()), 9) == cell
    assert mass.sum() == pytest.approx(1.0, abs=0.1)
    assert mass[inside].sum() > 0.8
