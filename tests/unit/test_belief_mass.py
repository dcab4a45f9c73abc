"""The masses of belief are those of the formula that it stands for, integrated another way.

The other way knows no cells: places are drawn from the kernels and from the even globe, and weighed
by the formula over the density they were drawn from (importance sampling).
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from agent import mesh
from agent.belief import believe, summarise, weigh
from agent.contributions import contributions
from agent.factors import Floats, Prior, Settlements, prior_of
from geo import sphere
from geo.regions import country_at
from tools.evidence import Candidate, Evidence

EARTH_KM2 = 4 * np.pi * sphere.EARTH_RADIUS_KM**2
DRAWN = 40_000
WITHIN_KM = (1.0, 5.0, 25.0, 200.0, 1000.0)
Spot = tuple[float, float, float, float]
"""Latitude, longitude, radius in km and weight of a group of one candidate."""


def piece(spot: Spot, name: str, **more: object) -> Evidence:
    one = Candidate.model_validate(
        {
            "latitude": spot[0], "longitude": spot[1], "radius_km": spot[2], "score": 1.0,
            "rank": 1, "source": "test", "kind": "photo", **more,
        }
    )  # fmt: skip
    return Evidence(
        tool="test", kind="match", summary=name, candidates=(one,), weight=spot[3], group=name
    )


def drawn(spots: list[Spot], count: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Return places `[N, 3]` and the density they are drawn from, per km2."""
    generator = np.random.default_rng(seed)
    each = [generator.normal(size=(count, 3))]
    each[0] /= np.linalg.norm(each[0], axis=1)[:, None]
    for latitude, longitude, radius_km, _ in spots:
        least = 1 / (1 + 4 * sphere.EARTH_RADIUS_KM**2 / radius_km**2)
        chord_2 = radius_km**2 * (1 / (1 - generator.uniform(size=count) * (1 - least)) - 1)
        cosine = np.clip(1 - chord_2 / (2 * sphere.EARTH_RADIUS_KM**2), -1, 1)
        centre = sphere.unit_vectors([[latitude, longitude]])[0]
        across = np.cross(each[0], centre)
        across /= np.linalg.norm(across, axis=1)[:, None]
        each.append(cosine[:, None] * centre + np.sqrt(1 - cosine**2)[:, None] * across)
    unit = np.concatenate(each)
    density = sum((kernel(unit, spot) for spot in spots), start=np.full(len(unit), 1 / EARTH_KM2))
    return unit, density / (len(spots) + 1)


def kernel(unit: Floats, spot: Spot) -> Floats:
    centre, radius_2 = sphere.unit_vectors([spot[:2]])[0], spot[2] ** 2
    chord_2 = sphere.EARTH_RADIUS_KM**2 * np.square(unit - centre).sum(axis=1)
    whole = np.pi * radius_2 / (1 + radius_2 / (4 * sphere.EARTH_RADIUS_KM**2))
    return np.asarray((1 + chord_2 / radius_2) ** -2 / whole, dtype=np.float64)


def sampled(spots: list[Spot], prior: Prior, power: float) -> tuple[Floats, Floats, Floats, float]:
    """Return places, their unnormalised masses, those of settlements, and the sum of all."""
    unit, density = drawn(spots, DRAWN)
    photos = prior.density(unit)
    factor = np.ones(len(unit))
    for spot in spots:
        factor *= (1 - spot[3] + spot[3] * kernel(unit, spot) / photos) ** power
    alone = math.prod((1 - spot[3]) ** power for spot in spots)
    mass = photos * (factor - alone) / density / (len(spots) + 1) / DRAWN
    settled = prior.mass * alone
    return unit, mass, settled, float(mass.sum() + settled.sum())


CASES: dict[str, list[Spot]] = {
    "one": [(48.1, 11.6, 0.5, 0.8)],
    "two that agree": [(48.1, 11.6, 5.0, 0.5), (48.13, 11.6, 5.0, 0.4)],
    "two that differ": [(48.1, 11.6, 5.0, 0.5), (-33.9, 18.4, 20.0, 0.6)],
    "five": [(48.1, 11.6, 25.0, 0.5), (48.3, 11.9, 25.0, 0.4), (47.9, 11.4, 5.0, 0.3),
             (-33.9, 18.4, 2.0, 0.6), (35.0, 139.0, 300.0, 0.5)],
    "edge of a face": [(20.0, 45.0, 3.0, 0.7), (20.05, 45.02, 3.0, 0.3)],
    "corner of a face": [(35.26439, 45.0, 3.0, 0.7), (35.3, 45.02, 30.0, 0.3)],
    "pole": [(90.0, 0.0, 10.0, 0.7), (89.9, 170.0, 10.0, 0.3)],
    "antimeridian": [(-16.8, 179.99, 4.0, 0.7), (-16.8, -179.97, 4.0, 0.4)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "temperature"),
    [*((name, 1.0) for name in CASES), ("two that differ", 0.5), ("two that differ", 2.0)],
)
def test_masses_are_those_of_the_formula(
    name: str, temperature: float, settlements: Settlements
) -> None:
    compare(CASES[name], temperature, settlements)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.5, 2.0])
@pytest.mark.parametrize("name", list(CASES))
def test_masses_are_those_of_the_formula_at_every_temperature(
    name: str, temperature: float, settlements: Settlements
) -> None:
    compare(CASES[name], temperature, settlements)


def compare(spots: list[Spot], temperature: float, settlements: Settlements) -> None:
    """Compare masses in all, around the first spots, and in the foremost countries."""
    prior = prior_of(settlements)
    items = [piece(spot, f"g{n}") for n, spot in enumerate(spots)]
    belief = weigh(items, settlements).belief(temperature)
    spread_km = np.sqrt(prior.spread_km2)
    unit, mass, settled, whole = sampled(spots, prior, 1 / temperature)
    ours = belief.mass[len(prior.mass) :].sum()
    assert ours == pytest.approx(mass.sum() / whole, abs=0.02)
    places, held = sphere.points_of(unit), np.concatenate([mass, settled]) / whole
    for spot in spots[:2]:
        towns = np.hypot(sphere.haversine_km(*spot[:2], *prior.points.T), spread_km)
        away = np.concatenate([sphere.haversine_km(*spot[:2], *places.T), towns])
        expected = [held[away <= km].sum() for km in WITHIN_KM]
        found = belief.mass_within(WITHIN_KM, *spot[:2])
        assert found == pytest.approx(expected, abs=0.03)
    codes = np.array([*country_at(places[::5]), *prior.countries])
    thinned = np.concatenate([mass[::5] * (mass.sum() / mass[::5].sum()), settled]) / whole
    for code, share in list(belief.country_shares.items())[:3]:
        assert share == pytest.approx(thinned[codes == code].sum(), abs=0.03)


ODD: dict[str, list[Evidence]] = {
    "empty": [],
    "one candidate": [piece((48.1, 11.6, 1.0, 0.9), "a")],
    "no weight at all": [piece((48.1, 11.6, 1.0, 0.0), f"g{n}") for n in range(3)],
    "no score at all": [piece((48.1, 11.6, 1.0, 0.9), "a", score=0.0)],
    "all identical": [piece((48.1, 11.6, 1.0, 0.9), f"g{n}") for n in range(20)],
    "antipodal halves": [
        piece((48.1, 11.6, 1.0, 0.9), "a"), piece((-48.1, -168.4, 1.0, 0.9), "b")
    ],
    "both poles": [piece((90.0, 0.0, 1.0, 0.9), "a"), piece((-90.0, 0.0, 1.0, 0.9), "b")],
    "narrower than an atom": [piece((48.1, 11.6, 1e-200, 1.0), f"g{n}") for n in range(20)],
    "wider than the globe": [piece((48.1, 11.6, 1e9, 1.0), f"g{n}") for n in range(3)],
    "a cell": [piece((48.1, 11.6, 6.0, 0.9), "a", kind="cell", reference="479e75")],
    "a cell that is none": [piece((48.1, 11.6, 6.0, 0.9), "a", kind="cell", reference="?")],
}  # fmt: skip


@pytest.mark.parametrize("name", list(ODD))
def test_everything_that_can_be_asked_has_a_defined_result(
    name: str, settlements: Settlements
) -> None:
    belief = believe(ODD[name], settlements)
    assert np.isfinite(belief.mass).all()
    assert (belief.mass >= 0).all()
    assert belief.mass.sum() == pytest.approx(1)
    points = [belief.point(rule) for rule in ("loss", "mode", "mean", "medoid")]
    for latitude, longitude in points:
        assert -90 <= latitude <= 90
        assert -180 <= longitude <= 180
    told = summarise(belief)
    assert 0 < told.km_50 <= told.km_80 <= told.km_95 <= 20_100
    assert np.isfinite(belief.entropy_bits)
    shares = belief.mass_within([0.0, 1.0, 1000.0, 20_100.0], *points[0])
    assert (np.diff(shares) >= 0).all()
    assert shares[-1] == pytest.approx(1)
    each = contributions(
        ODD[name], belief, points[0], told.km_50, lambda rest: believe(rest, settlements)
    )
    assert len(each) == len({item.id for item in ODD[name] if item.weight})
    assert all(np.isfinite([one.bits, one.moved_km]).all() for one in each)
    if name == "no weight at all":
        assert np.array_equal(belief.mass, believe([], settlements).mass)


def test_what_is_kept_from_earlier_beliefs_changes_no_bit(settlements: Settlements) -> None:
    radii = (0.2, 3.0, 40.0, 500.0, 0.5, 60.0)
    items = [piece((13.0 * n - 40, 50.0 * n - 170, r, 0.3), f"g{r}") for n, r in enumerate(radii)]
    warm = [believe(items[:n], settlements) for n in range(len(items) + 1)]
    for n, before in enumerate(warm):
        mesh.forget()
        after = believe(items[:n], settlements)
        assert np.array_equal(after.mass, before.mass)
        assert np.array_equal(after.points, before.points)
        assert np.array_equal(after.patches.country, before.patches.country)
        assert summarise(after) == summarise(before)


def test_what_is_kept_is_bounded_and_threads_share_it(
    settlements: Settlements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh, "_kept", mesh.Kept(most=3_000))
    cases = [[piece((float(n), 10.0 * n, 2.0, 0.5), f"g{n}")] for n in range(16)] * 4
    with ThreadPoolExecutor(64) as pool:
        together = list(pool.map(lambda items: summarise(believe(items, settlements)), cases))
    assert mesh._kept.size <= 3_000
    assert together == [summarise(believe(items, settlements)) for items in cases]
