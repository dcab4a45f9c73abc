"""Distances, bearings and areas, with no more digits than the points have."""

from pathlib import Path

import pytest
from geographiclib.geodesic import Geodesic  # type: ignore[import-untyped]  # has no types
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tools.evidence import ToolError, ToolOutcome
from tools.measure import length_text, make_measure
from tools.photos import PhotoStore
from tools.workbench import Workbench

PARIS, LONDON = (48.85660, 2.35220), (51.50740, -0.12780)
TOOL = make_measure(Workbench(PhotoStore(Path("unused"))))

places = st.lists(
    st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=2, max_size=6
)  # fmt: skip


def measure(*points: tuple[float, float], closed: bool = False) -> tuple[str, ToolOutcome]:
    given = [{"latitude": latitude, "longitude": longitude} for latitude, longitude in points]
    arguments = {"points": given, "closed": closed}
    message = TOOL.invoke({"name": "measure", "args": arguments, "id": "c", "type": "tool_call"})
    return message.content, message.artifact


def only_leg(*points: tuple[float, float]) -> tuple[str, float, float]:
    """Return the text, kilometres and bearing of a way of one leg."""
    text, outcome = measure(*points)
    legs = outcome.data["legs"]
    assert isinstance(legs, list)
    leg = legs[0]
    assert isinstance(leg, dict)
    kilometres, bearing = leg["distance_km"], leg["bearing_deg"]
    assert isinstance(kilometres, float)
    assert isinstance(bearing, float)
    assert outcome.evidence == ()
    return text, kilometres, bearing


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (PARIS, LONDON),
        ((-33.86880, 151.20930), (-34.60370, -58.38160)),
        ((-16.80000, 179.90001), (71.00000, -179.50000)),
        ((89.50000, 12.34567), (-89.00000, -100.00000)),
    ],
)
def test_a_leg_is_that_of_karney_s_own_program(
    start: tuple[float, float], end: tuple[float, float]
) -> None:
    _, kilometres, bearing = only_leg(start, end)
    oracle = Geodesic.WGS84.Inverse(*start, *end)
    assert kilometres == pytest.approx(oracle["s12"] / 1000, abs=0.001)
    assert bearing == pytest.approx(oracle["azi1"] % 360, abs=0.001)


def test_a_leg_is_told_in_words() -> None:
    text, _, _ = only_leg(PARIS, LONDON)
    # Five decimals are a metre; one of the points has four.
    assert "1 to 2: 343.92" in text
    assert "bearing 330.0 degrees" in text


def test_the_longest_geodesic_of_the_manual() -> None:
    # GeodSolve's manual: JFK to Singapore Changi, 15,347,628 m at 3 degrees 18 minutes 30 seconds.
    _, kilometres, bearing = only_leg((40.63972, -73.77889), (1.35917, 103.98944))
    assert kilometres == pytest.approx(15347.628, abs=0.002)
    assert bearing == pytest.approx(3.3083, abs=0.001)


def test_the_antimeridian_and_the_poles_are_no_edges() -> None:
    text, outcome = measure((-16.8, 179.9), (-16.8, -179.9))
    assert outcome.data["total_km"] == pytest.approx(21.3, abs=0.1)
    assert "bearing 90" in text
    _, outcome = measure((89.9, 0.0), (89.9, 180.0))
    assert outcome.data["total_km"] == pytest.approx(22.34, abs=0.01)


def test_a_closed_way_has_an_area() -> None:
    # A cell of one degree at the equator: 12,308.78 square km on WGS84 (Planimeter's manual).
    corners = ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.00001))
    _, outcome = measure(*corners, closed=True)
    assert outcome.data["area_km2"] == pytest.approx(12308.78, abs=0.5)
    backwards = measure(*corners[::-1], closed=True)[1].data["area_km2"]
    assert backwards == outcome.data["area_km2"]
    assert len(outcome.data["legs"]) == 4  # type: ignore[arg-type]


def test_an_area_over_the_antimeridian_and_one_around_a_pole() -> None:
    over = measure((0, 179.5), (0, -179.5), (1, -179.5), (1, 179.50001), closed=True)[1]
    assert over.data["area_km2"] == pytest.approx(12308.78, abs=0.5)
    cap = measure(*((80.0, float(lon)) for lon in range(-180, 180, 10)), closed=True)[1]
    # The cap above 80 degrees is 3.91 million square km; geodesics cut a little off.
    assert cap.data["area_km2"] == pytest.approx(3.91e6, rel=0.02)


def test_edges_that_cross_have_no_area() -> None:
    text, outcome = measure((0, 0), (1, 1), (0, 1), (1, 0), closed=True)
    assert outcome.data["area_km2"] is None
    assert "No area: the edges cross" in text
    assert measure((1, 1), (1, 1), (1, 1), closed=True)[1].data["area_km2"] is None


@pytest.mark.parametrize(
    ("points", "shown"),
    [
        (((48.8566, 2.3522), (48.8666, 2.3522)), "1 to 2: 1.11 km"),
        (((48.86, 2.35), (51.51, -0.13)), "1 to 2: 344 km"),
        (((49.0, 2.0), (52.0, 0.0)), "1 to 2: 400 km"),
        (((48.85661, 2.35221), (48.85671, 2.35221)), "1 to 2: 11 m"),
        (((48.9, 2.4), (48.9, 2.4)), "1 to 2: under 10 km, no bearing"),
        (((48.856612345, 2.35), (48.856613345, 2.35)), "1 to 2: 0 m, no bearing"),
    ],
)
def test_numbers_have_the_digits_of_the_points(
    points: tuple[tuple[float, float], ...], shown: str
) -> None:
    assert shown in measure(*points)[0]


def test_lengths_are_rounded_to_their_precision() -> None:
    assert length_text(1234.4, 1) == "1.234 km"
    assert length_text(999.7, 1) == "1.000 km"
    assert length_text(15_347_628, 1000) == "15,348 km"
    assert length_text(444, 1000) == "under 1 km"


def test_all_distances_from_the_first_are_told() -> None:
    text, outcome = measure(PARIS, LONDON, PARIS)
    assert outcome.data["from_first_km"] == [outcome.data["total_km"] / 2, 0.0]  # type: ignore[operator]
    assert "From point 1 to 2: 343.92" in text


def test_two_points_close_nothing() -> None:
    with pytest.raises(ToolError, match="at least 3"):
        measure(PARIS, LONDON, closed=True)


@settings(max_examples=80, deadline=None)
@given(places, st.booleans())
def test_no_points_break_it(points: list[tuple[float, float]], closed: bool) -> None:
    if closed and len(points) < 3:
        return
    text, outcome = measure(*points, closed=closed)
    total = outcome.data["total_km"]
    assert isinstance(total, float)
    assert 0 <= total <= 20_004 * (len(points) + closed)
    assert "nan" not in text


@pytest.mark.parametrize("count", [0, 1, 51])
def test_too_few_and_too_many_points_are_refused(count: int) -> None:
    schema = TOOL.args_schema
    assert isinstance(schema, type)
    assert issubclass(schema, BaseModel)
    with pytest.raises(ValueError, match="points"):
        schema.model_validate({"points": [{"latitude": 1.0, "longitude": 1.0}] * count})
