"""What is told coarser says nothing finer, anywhere, whatever it was made of."""

import json
import re
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.answer import Answer, Radii
from agent.case import Case, DisclosureLevel
from agent.disclosure import LEVELS, disclosed, disclosed_case, level_named, stricter
from agent.disclosure_areas import (
    CITY_REACH_KM,
    LADDER_KM,
    city_area,
    country_area,
    grid_area,
    region_area,
    rung,
    widened,
)
from agent.export import export_case
from geo.errors import InputError
from geo.sphere import haversine_km
from tests.unit.export_samples import hostile, session
from tests.unit.report_samples import located, modelled, region, undetermined
from tools.photos import PhotoStore

COARSE: tuple[DisclosureLevel, ...] = LEVELS[1:]
LATITUDES, LONGITUDES = st.floats(-90, 90), st.floats(-180, 180)
FINE = (
    "43.29", "43.30", "5.37", "43°17", "5°22", "48.85", "2.35", "10.05", "61.9", "41.9", "12.5",
    "Rue de la", "PHARMACIE", "04 91", "Port of Spain", "point-1", "gallery:marseille",
    "street corner", "Seine", "2019", "bay is too wide", "Venice", "45.44",
)  # fmt: skip
"""What the samples know of the place, in any notation that we write."""
NAMES: dict[DisclosureLevel, tuple[str, ...]] = {
    "city": ("Paris",),
    "region": ("Marseille", "Paris"),
    "country": ("Marseille", "Paris", "Provence", "Île-de-France"),
    "none": ("Marseille", "Paris", "Provence", "France", "FR"),
}


def everything(case: Case, tmp_path: Path) -> dict[str, str]:
    """Return all that is exported of a case."""
    data = export_case(case, "zip", PhotoStore(tmp_path / "photos")).data
    with zipfile.ZipFile(BytesIO(data)) as opened:
        found = {name: opened.read(name).decode() for name in opened.namelist()}
    assert {Path(name).suffix for name in found} == {
        ".html", ".md", ".json", ".geojson", ".kml", ".csv", ".txt",
    }  # fmt: skip
    return {name: told(text) for name, text in found.items()}


def told(text: str) -> str:
    """Return a page without its style, its hashes and the numbers that draw its maps."""
    text = re.sub(r"(?s)<style>.*?</style>", "", text)
    text = re.sub(r"\b[0-9a-f]{12,64}\b|\be[0-9a-f]{10}\b", "", text)
    # Circles follow from the centre and the radius that are told.
    text = re.sub(r"(?s)<LinearRing>.*?</LinearRing>", "", text)
    text = re.sub(r'(?s)"type": "(?:Multi)?Polygon",\s*"coordinates": [\[\]\s\d.,e-]*', "", text)
    return re.sub(r'(?s) (?:d|transform|x|y|style|viewBox)="[^"]*"|<svg.*?</svg>', "", text)


@pytest.mark.parametrize(
    "level", ["city", *(pytest.param(one, marks=pytest.mark.slow) for one in COARSE[1:])]
)
def test_no_finer_digit_or_name_is_left_anywhere(level: DisclosureLevel, tmp_path: Path) -> None:
    case = disclosed_case(session(), level)
    for name, text in everything(case, tmp_path).items():
        for fine in (*FINE, *NAMES[level]):
            at = re.search(rf"(?<![\w.]){re.escape(fine)}", text)
            assert at is None, (name, fine, text[max(0, at.start() - 60) : at.end() + 60])


@pytest.mark.parametrize("level", COARSE)
def test_what_a_model_wrote_is_not_passed_on(level: DisclosureLevel) -> None:
    text = disclosed(modelled(), level).model_dump_json()
    for fine in ("Venice", "45.44", "arches", "By the sea", "alert", "blue sign", "Pigalle"):
        assert fine not in text
    assert disclosed(modelled(), level).model is not None


def test_exactly_is_exactly() -> None:
    assert disclosed(located(), "exact") == located()
    assert disclosed_case(session(), "exact") == session()


@pytest.mark.parametrize("level", COARSE)
def test_two_places_of_one_area_are_told_in_the_same_bytes(level: DisclosureLevel) -> None:
    """Whatever differs inside an area, nothing that leaves us differs."""
    one = located()
    other = located(
        latitude=43.3421, longitude=5.4123, radii=Radii(km_50=0.2, km_80=0.4, km_95=1.1),
        place="Elsewhere", within={"1": 0.5}, entropy_bits=1.0, contributions=(),
        claimed_latitude=10.0, claimed_longitude=11.0, explanation="Another one.",
        photo_name="other.jpg", seconds=2.2, admin_shares={}, reason="why not", trace_path="/x/y",
        evidence=tuple(
            item.model_copy(
                update={
                    "summary": "something else",
                    "group": "g",
                    "candidates": tuple(
                        c.model_copy(update={"latitude": c.latitude + 0.02, "label": "?",
                                             "source": "gallery:x", "reference": "r"})
                        for c in item.candidates
                    ),
                }
            )
            for item in located().evidence
        ),
    )  # fmt: skip
    moved = {old.id: new for old, new in zip(one.evidence, other.evidence, strict=True)}
    verdicts = tuple(
        v.model_copy(
            update={
                "evidence_id": moved[v.evidence_id].id,
                "candidate": v.candidate.model_copy(
                    update={"longitude": v.candidate.longitude + 0.01, "label": "?"}
                ),
                "reason": "?",
            }
        )
        for v in one.verdicts
    )
    steps = tuple(
        s.model_copy(
            update={
                "text": "?", "arguments": {"q": 1}, "data": {"x": 43.3421},
                "evidence_ids": tuple(moved[i].id for i in s.evidence_ids), "pictures": (),
            }
        )
        for s in one.steps
    )  # fmt: skip
    other = other.model_copy(update={"verdicts": verdicts, "steps": steps})
    both = [disclosed(answer, level) for answer in (one, other)]
    assert both[0] == both[1]
    assert both[0].model_dump_json() == both[1].model_dump_json()


@pytest.mark.parametrize("level", ["city", "region", "country"])
@pytest.mark.parametrize(
    "answer", [located(), region(), located(latitude=-17.8, longitude=-179.99, country="FJ"),
               located(latitude=0.0, longitude=-30.0, country="", country_name="", admin1=""),
               located(latitude=64.8, longitude=-147.7, country="US", admin1="Alaska")]
)  # fmt: skip
def test_radii_still_hold_what_they_held(level: DisclosureLevel, answer: Answer) -> None:
    coarse = disclosed(answer, level)
    assert answer.radii
    assert answer.latitude is not None
    assert answer.longitude is not None
    assert coarse.radii
    assert coarse.latitude is not None
    assert coarse.longitude is not None
    apart = haversine_km(answer.latitude, answer.longitude, coarse.latitude, coarse.longitude)
    for fine, told_km in zip(
        answer.radii.model_dump().values(), coarse.radii.model_dump().values(), strict=True
    ):
        assert told_km >= min(fine + float(apart), LADDER_KM[-1])
        assert told_km in LADDER_KM


@given(LATITUDES, LONGITUDES, st.sampled_from([0.25, 4.0, 20.0]))
def test_a_cell_is_found_again_from_its_centre_and_reaches_all_of_it(
    latitude: float, longitude: float, degrees: float
) -> None:
    area = grid_area(latitude, longitude, degrees)
    assert grid_area(area.latitude, area.longitude, degrees) == area
    apart = float(haversine_km(latitude, longitude, area.latitude, area.longitude))
    assert apart <= area.reach_km


@given(LATITUDES, LONGITUDES)
def test_a_city_is_no_finer_than_twenty_kilometres(latitude: float, longitude: float) -> None:
    area = city_area(latitude, longitude)
    assert 10 < area.reach_km < CITY_REACH_KM


@given(st.floats(0.001, 20_000), st.floats(0, 20_000))
def test_widened_radii_come_from_a_short_ladder(radius: float, reach: float) -> None:
    km = widened(radius, reach)
    assert km in LADDER_KM
    assert km >= min(radius + reach, LADDER_KM[-1])
    assert rung(km) == km


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(43.26, 43.37), st.floats(5.35, 5.6)), min_size=5, max_size=9))
def test_many_answers_of_one_cell_average_to_its_centre(points: list[tuple[float, float]]) -> None:
    told_at = {
        (a.latitude, a.longitude)
        for at in points
        if city_area(*at) == city_area(43.3, 5.5)
        for a in [disclosed(located(latitude=at[0], longitude=at[1]), "city")]
    }
    assert len(told_at) <= 1


def test_every_country_has_an_area_that_holds_its_middle() -> None:
    for code in ("FR", "US", "FJ", "RU", "KI", "VA"):
        area = country_area(code)
        assert area is not None
        assert area.country == code
    assert country_area("ZZ") is None
    assert region_area("FR", "Provence", None) is None


class Towns:
    """A gazetteer of a large town, a hamlet and a far one."""

    def settlements(self) -> object:
        import numpy as np

        points = np.array([[43.297, 5.381], [43.40, 5.45], [48.857, 2.352]])
        return points, np.array([870_000, 200, 2_100_000]), ["FR", "FR", "FR"]

    def admin1_near(self, points: object, country: str) -> list[str]:
        return ["Provence", "Provence", "Paris"]

    def nearest(self, latitude: float, longitude: float, country: str, limit: int) -> object:
        from geo.gazetteer import Place

        big = Place(1, "Marseille", 43.297, 5.381, "FR", "Provence", 870_000)
        small = Place(2, "Hamlet", 43.40, 5.45, "FR", "Provence", 200)
        return [(small, 3.0), (big, 9.0)]


def test_a_city_is_called_after_its_largest_and_a_hamlet_is_not_named() -> None:
    answer = disclosed(located(place="Hamlet", admin1="Provence"), "city", Towns())  # type: ignore[arg-type]
    assert answer.place == "Marseille"
    far = located(latitude=43.55, longitude=5.45, place="Hamlet", admin1="Provence")
    assert disclosed(far, "city", Towns()).place == ""  # type: ignore[arg-type]


def test_a_region_is_told_around_the_middle_of_its_settlements() -> None:
    answer = disclosed(located(admin1="Provence"), "region", Towns())  # type: ignore[arg-type]
    assert (answer.latitude, answer.longitude, answer.admin1) == (43.3, 5.4, "Provence")
    assert answer.place == ""


def test_an_answer_that_knew_nothing_says_so_still() -> None:
    for level in ("city", "region", "country"):
        assert disclosed(undetermined(), level_named(level)).status == "undetermined"
    from agent.report_page import headline_of

    assert headline_of(disclosed(located(), "none")) == "The place is withheld"


def test_levels_only_grow_coarser() -> None:
    assert stricter("exact", "country") == "country"
    assert stricter("none", "city") == "none"
    once = disclosed_case(session(), "country")
    assert disclosed_case(once, "city") == once
    with pytest.raises(InputError, match="none of exact, city"):
        level_named("street")


def test_hostile_answers_are_told_coarser_too() -> None:
    text = disclosed(hostile(), "country").model_dump_json()
    assert "alert" not in text
    assert json.loads(text)["country"] == "FR"


def test_evidence_keeps_its_identity_over_the_answers_of_a_session() -> None:
    fine, coarse = session(), disclosed_case(session(), "country")
    before, after = (
        [[item.id for item in one.answer.evidence] for one in case.revisions]
        for case in (fine, coarse)
    )
    assert len(set(after[1]) - set(after[0])) == len(set(before[1]) - set(before[0])) == 1
    assert len(coarse.answer.withdrawn) == 1
    assert coarse.answer.withdrawn[0] in after[0]
