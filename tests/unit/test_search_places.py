"""`search_places`: what is found, what is merged, and how far belief may follow it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agent.belief import Belief, believe, summarise
from agent.factors import Settlements
from encoders.base import Points
from geo import sphere
from index_builder.places import PlaceHits, Places, open_places
from tests.aligned_fakes import GlobeEncoder, photo_of, place_of
from tests.fakes import FakeGazetteer
from tools.evidence import Candidate, Evidence, ToolError, ToolOutcome
from tools.photos import PhotoStore
from tools.places import (
    HALF_WITHIN_KM,
    REACHES,
    SEARCH_WEIGHT,
    UNMEASURED_WEIGHT,
    evidence_group,
    make_search_places,
    merge_hits,
)
from tools.workbench import Workbench

PUBLISHED = {1: 0.141, 25: 0.345, 200: 0.507, 750: 0.697, 2500: 0.838}
"""GeoCLIP on IM2GPS3k, Vivanco Cepeda et al., NeurIPS 2023, table 1."""
PARIS, LYON, SYDNEY = (48.857, 2.352), (45.764, 4.836), (-33.869, 151.209)


def bench_with(
    encoder: GlobeEncoder, points: list[tuple[float, float]], home: Path, settlements: Settlements
) -> Workbench:
    return Workbench(
        photos=PhotoStore(home / "photos"),
        open_gazetteer=lambda: FakeGazetteer(settlements),
        open_encoder=lambda: encoder,
        open_places=lambda one: open_places(one, points, home),
    )


def search(
    bench: Workbench, photo: Image.Image, limit: int = 8, **region: Any
) -> tuple[str, ToolOutcome]:
    photo_id = bench.photos.add_image(photo, "photo").id
    call = {"name": "search_places", "id": "c1", "type": "tool_call"}
    args = {"photo_id": photo_id, "limit": limit, **region}
    message = make_search_places(bench).invoke({**call, "args": args})
    assert isinstance(message.artifact, ToolOutcome)
    return str(message.content), message.artifact


def around(point: tuple[float, float], *away_km: float) -> list[tuple[float, float]]:
    ends = sphere.destination(*point, 90.0, np.array(away_km))
    return [(float(a), float(b)) for a, b in ends]


def test_the_place_most_like_the_photo_comes_first(
    tmp_path: Path, settlements: Settlements
) -> None:
    photo = photo_of(*PARIS)
    here = place_of(photo)
    encoder = GlobeEncoder(temperature=200.0)
    bench = bench_with(encoder, [SYDNEY, *around(here, 0.0, 500.0), LYON], tmp_path, settlements)
    text, outcome = search(bench, photo)
    (evidence,) = outcome.evidence
    best = evidence.candidates[0]
    assert (best.latitude, best.longitude) == pytest.approx(here)
    assert (best.kind, best.source, best.label) == ("compared_place", "places", "near Testdorf, FR")
    assert best.country == "FR"
    assert sum(c.score for c in evidence.candidates) == pytest.approx(1.0)
    assert (evidence.kind, evidence.weight) == ("alignment", SEARCH_WEIGHT)
    assert evidence.id in text
    scores = [c.score for c in evidence.candidates]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 4
    assert search(bench, photo, limit=2)[1].evidence[0].candidates[1].rank == 2


def test_an_encoder_that_nobody_measured_says_little(
    tmp_path: Path, settlements: Settlements
) -> None:
    encoder = GlobeEncoder()
    encoder.card = replace(encoder.card, published=False)
    bench = bench_with(encoder, [SYDNEY, LYON], tmp_path, settlements)
    _, outcome = search(bench, photo_of(*PARIS))
    (evidence,) = outcome.evidence
    assert evidence.weight == UNMEASURED_WEIGHT < SEARCH_WEIGHT / 4
    assert "never measured" in evidence.summary


def test_one_photo_is_encoded_once_for_all_tools(tmp_path: Path, settlements: Settlements) -> None:
    encoder = GlobeEncoder()
    bench = bench_with(encoder, [PARIS, SYDNEY], tmp_path, settlements)
    search(bench, photo_of(*PARIS))
    search(bench, photo_of(*PARIS), limit=1)
    assert encoder.photos_encoded == 1


def found_at(points: Points, probabilities: list[float]) -> tuple[Places, PlaceHits]:
    encoder = GlobeEncoder()
    rows = encoder.encode_locations(points)["globe"]
    places = Places(encoder.card, points, np.arange(len(points)), rows)
    share = np.array(probabilities)
    return places, PlaceHits(np.arange(len(points)), share.astype(np.float32), share)


def test_places_that_lie_together_are_one_candidate() -> None:
    near = around((0.0, 179.9), 0.0, 20.0, 40.0)  # across the antimeridian
    points = np.array([near[0], PARIS, near[1], near[2]])
    clusters = merge_hits(*found_at(points, [0.4, 0.3, 0.2, 0.1]))
    assert [(c.index, c.members) for c in clusters] == [(0, 2), (1, 1), (3, 1)]
    assert [c.probability for c in clusters] == pytest.approx([0.6, 0.3, 0.1])


def test_many_weak_hits_outweigh_one_strong() -> None:
    points = np.array([SYDNEY, *around(PARIS, 0.0, 5.0, 10.0)])
    clusters = merge_hits(*found_at(points, [0.3, 0.25, 0.2, 0.15]))
    assert [c.index for c in clusters] == [1, 0]


def test_a_photo_in_which_nothing_is_seen_gives_no_evidence(
    tmp_path: Path, settlements: Settlements
) -> None:
    bench = bench_with(GlobeEncoder(), [PARIS], tmp_path, settlements)
    text, outcome = search(bench, Image.new("RGB", (64, 64), "black"))
    assert outcome.evidence == ()
    assert "sees nothing" in text


def test_without_places_it_refuses(tmp_path: Path) -> None:
    bench = Workbench(photos=PhotoStore(tmp_path))
    with pytest.raises(ToolError, match="no gallery of places"):
        search(bench, photo_of(*PARIS))


BERLIN, MARSEILLE = (52.52, 13.405), (43.296, 5.37)
EUROPE = [PARIS, LYON, MARSEILLE, BERLIN, SYDNEY]


def test_inside_countries_probabilities_sum_to_one_and_presuppose_them(
    tmp_path: Path, settlements: Settlements
) -> None:
    bench = bench_with(GlobeEncoder(temperature=20.0), EUROPE, tmp_path, settlements)
    text, outcome = search(bench, photo_of(*SYDNEY), countries=["FR"])
    (evidence,) = outcome.evidence
    assert evidence.given_countries == ("FR",)
    assert {c.country for c in evidence.candidates} == {"FR"}
    assert outcome.data["probability_of_all_returned"] == pytest.approx(1.0)
    assert (outcome.data["places"], outcome.data["region"]) == (3, "in FR")
    assert float(str(outcome.data["probability_of_region"])) < 1e-6
    assert evidence.weight == pytest.approx(UNMEASURED_WEIGHT)
    assert "where in FR, not whether" in text
    assert evidence.group != evidence_group(GlobeEncoder(temperature=20.0).card)


def test_countries_in_any_order_are_the_same_question(
    tmp_path: Path, settlements: Settlements
) -> None:
    bench = bench_with(GlobeEncoder(temperature=20.0), EUROPE, tmp_path, settlements)
    first = search(bench, photo_of(*LYON), countries=["FR", "DE"])
    assert first == search(bench, photo_of(*LYON), countries=["DE", "FR", "DE"])
    alone = search(bench, photo_of(*LYON), countries=["DE"])[1].evidence
    assert [one.given_countries for one in first[1].evidence] == [("DE",), ("FR",)]
    # Asked for twice, in two lists: one group, averaged.
    assert first[1].evidence[0].group == alone[0].group


def test_inside_a_circle_nothing_weighs(tmp_path: Path, settlements: Settlements) -> None:
    bench = bench_with(GlobeEncoder(temperature=20.0), EUROPE, tmp_path, settlements)
    circle: dict[str, Any] = {"near_latitude": 46.0, "near_longitude": 4.0, "within_km": 320.0}
    text, outcome = search(bench, photo_of(*SYDNEY), **circle)
    (evidence,) = outcome.evidence
    assert {c.latitude for c in evidence.candidates} == {LYON[0], MARSEILLE[0]}
    assert sum(c.score for c in evidence.candidates) == pytest.approx(1.0)
    assert evidence.weight == 0
    assert "within 320 km of 46.0000, 4.0000" in text
    nothing = believe([], settlements)
    assert np.array_equal(believe([evidence], settlements).mass, nothing.mass)


def test_a_region_without_places_or_half_a_circle_is_refused(
    tmp_path: Path, settlements: Settlements
) -> None:
    bench = bench_with(GlobeEncoder(), EUROPE, tmp_path, settlements)
    with pytest.raises(ToolError, match="widen the region"):
        search(bench, photo_of(*PARIS), countries=["FJ"])
    with pytest.raises(ToolError, match="three or none"):
        search(bench, photo_of(*PARIS), within_km=5.0)
    with pytest.raises(ToolError, match="GB"):
        search(bench, photo_of(*PARIS), countries=["UK"])


def shares(items: list[Evidence], settlements: Settlements) -> dict[str, float]:
    return believe(items, settlements).country_shares


def test_a_presupposed_country_gains_nothing(tmp_path: Path, settlements: Settlements) -> None:
    """The photo is of Sydney; asking for France and Germany must not make it French or German."""
    bench = bench_with(GlobeEncoder(temperature=20.0), EUROPE, tmp_path, settlements)
    photo = photo_of(*SYDNEY)
    limited = list(search(bench, photo, countries=["FR", "DE"])[1].evidence)
    before, after = shares([], settlements), shares(limited, settlements)
    for code in ("FR", "DE"):
        assert after[code] <= before[code] + 0.005
    world = list(search(bench, photo)[1].evidence)
    before, after = shares(world, settlements), shares([*world, *limited], settlements)
    for code in ("FR", "DE"):
        assert after[code] <= before[code] + 0.005
    assert after["AU"] == pytest.approx(before["AU"], abs=0.02)
    # Were the same candidates not said to be presupposed, France would gain.
    naive = [one.model_copy(update={"given_countries": ()}) for one in limited]
    assert shares(naive, settlements)["FR"] > shares([], settlements)["FR"] + 0.01


def test_where_in_a_country_follows_what_was_found_there(
    tmp_path: Path, settlements: Settlements
) -> None:
    photo = photo_of(*MARSEILLE)
    bench = bench_with(GlobeEncoder(), [PARIS, MARSEILLE, SYDNEY], tmp_path, settlements)
    (limited,) = search(bench, photo, countries=["FR"])[1].evidence
    # As it would weigh if the search of the world had looked elsewhere.
    limited = limited.model_copy(update={"weight": UNMEASURED_WEIGHT})
    in_france = lone_country("FR", 0.9)
    before = held_within(believe([in_france], settlements), MARSEILLE, 200)
    after = held_within(believe([in_france, limited], settlements), MARSEILLE, 200)
    assert after > before + 0.02


def test_what_the_search_of_the_world_says_already_does_not_count_twice(
    tmp_path: Path, settlements: Settlements
) -> None:
    bench = bench_with(GlobeEncoder(temperature=300.0), EUROPE, tmp_path, settlements)
    photo = photo_of(*LYON)
    world = list(search(bench, photo)[1].evidence)
    limited = list(search(bench, photo, countries=["FR"])[1].evidence)
    assert limited[0].weight == 0
    # At its full weight the same opinion would count twice.
    before = shares(world, settlements)["FR"]
    full = [one.model_copy(update={"weight": UNMEASURED_WEIGHT}) for one in limited]
    assert shares([*world, *full], settlements)["FR"] > before + 0.1
    assert shares([*world, *limited], settlements)["FR"] == pytest.approx(before)


def lone_country(code: str, share: float) -> Evidence:
    return Evidence(
        tool="look_up_clue", kind="text", summary="a language", countries={code: share},
        weight=0.9, group="text",
    )  # fmt: skip


def lone_hit(latitude: float, longitude: float) -> Evidence:
    candidate = Candidate(
        latitude=latitude,
        longitude=longitude,
        radius_km=HALF_WITHIN_KM,
        reaches=REACHES,
        score=1.0,
        rank=1,
        source="places",
        kind="compared_place",
    )
    return Evidence(
        tool="search_places",
        kind="alignment",
        summary="a lone hit",
        candidates=(candidate,),
        weight=SEARCH_WEIGHT,
        group=evidence_group(GlobeEncoder().card),
    )


def held_within(belief: Belief, point: tuple[float, float], km: float) -> float:
    away = sphere.haversine_km(belief.points[:, 0], belief.points[:, 1], *point)
    return float(belief.mass[away <= km].sum())


@pytest.mark.parametrize("place", [LYON, (20.0, -40.0)], ids=["in Europe", "at sea"])
def test_a_lone_hit_leaves_belief_the_published_accuracy(
    settlements: Settlements, place: tuple[float, float]
) -> None:
    belief = believe([lone_hit(*place)], settlements)
    prior = believe([], settlements)
    for km, share in PUBLISHED.items():
        # The prior of these few towns has more near Lyon than the world has near its photos.
        beyond = (1 - SEARCH_WEIGHT) * held_within(prior, place, km)
        assert held_within(belief, place, km) - beyond == pytest.approx(share, abs=0.03)
    assert summarise(belief).status != "located"


def test_half_within_is_the_median_of_the_reaches() -> None:
    r = HALF_WITHIN_KM
    held = sum(reach.share * r**2 / (r**2 + reach.radius_km**2) for reach in REACHES)
    assert held == pytest.approx(0.5, abs=0.005)
    assert sum(reach.share for reach in REACHES) == pytest.approx(1.0)
