"""The sun over places and instants, the band of land that fits, and `check_sun`."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel

from agent.belief import believe
from agent.factors import Settlements
from tests.fakes import FakeGazetteer
from tests.unit.sun_samples import SPA
from tools.evidence import ToolError, ToolOutcome
from tools.photos import PhotoStore
from tools.sun import WEIGHT, make_check_sun
from tools.sun_band import INSTANTS, Places, Span, country_shares, fitting, land
from tools.sun_sky import Frames, Seen, overhead, sun_over, sun_vectors
from tools.sun_zones import offsets_s, zones_of
from tools.workbench import Workbench

PARIS = {"at_latitude": 48.857, "at_longitude": 2.352}
SUMMER = "2023-06-21T12:30Z"
"""The sun is 63.5 degrees high over Paris and 199.7 degrees round from north."""


@pytest.fixture
def bench(tmp_path: Path, settlements: Settlements) -> Workbench:
    return Workbench(PhotoStore(tmp_path), open_gazetteer=lambda: FakeGazetteer(settlements))


def check(bench: Workbench, **arguments: object) -> tuple[str, ToolOutcome]:
    call = {"name": "check_sun", "args": arguments, "id": "c1", "type": "tool_call"}
    message = make_check_sun(bench).invoke(call)
    return message.content, message.artifact


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def far_from(some: float, other: float) -> float:
    return abs((some - other + 180) % 360 - 180)


def test_the_sun_stands_where_an_independent_implementation_has_it() -> None:
    assert len(SPA) > 60
    for latitude, longitude, when, elevation, azimuth in SPA:
        ours = sun_over(latitude, longitude, sun_vectors([seconds(when)]))
        assert ours[0][0] == pytest.approx(elevation, abs=0.02), (latitude, longitude, when)
        # Near the zenith a direction is worth less than its degrees say.
        off = far_from(ours[1][0], azimuth) * np.cos(np.radians(elevation))
        assert off < 0.02, (latitude, longitude, when)


def test_many_instants_at_once_are_each_as_if_alone() -> None:
    whens = sorted(seconds(row[2]) for row in SPA)
    together = sun_vectors([*whens, whens[0] + 1234.5])
    alone = np.concatenate([sun_vectors([when]) for when in [*whens, whens[0] + 1234.5]])
    # Between the first and the last lie a hundred years of straight lines of six hours.
    assert np.degrees(np.abs(together - alone)).max() < 1e-9


def test_the_sun_is_overhead_at_its_own_point() -> None:
    sun = sun_vectors([seconds("2024-03-20T12:07:00Z")])
    latitude, longitude = overhead(sun[0])
    assert abs(latitude) < 0.2  # equinox
    assert sun_over(latitude, longitude, sun)[0][0] == pytest.approx(90, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    when=st.floats(seconds("1900-01-01T00:00Z"), seconds("2099-12-31T00:00Z")),
    off=st.floats(0.0, 1.5),
)
def test_what_is_seen_at_a_place_fits_there_and_elsewhere_not(
    latitude: float, longitude: float, when: float, off: float
) -> None:
    suns = sun_vectors([when])
    (elevation,), (azimuth,) = sun_over(latitude, longitude, suns)
    frame = Frames.of(np.array([[latitude, longitude]]))
    seen = Seen(max(0.0, elevation - 0.1), min(90.0, elevation + 0.1), azimuth, 1.0)
    if elevation > 0:
        assert seen.fits(frame, suns).all()
    if 0 < elevation < 87:
        high = Seen(min(elevation + 0.2 + off, 90), 90.0)
        turned = Seen(0, 90, (azimuth + 2 + off) % 360, 1.0)
        assert not high.fits(frame, suns).any()
        assert not turned.fits(frame, suns).any()
    if elevation < 0:  # no shadow without sun, whatever was measured
        assert not Seen().fits(frame, suns).any()


def test_the_antimeridian_is_no_edge() -> None:
    suns = sun_vectors([seconds("2024-01-10T00:00Z")])
    east, west = (sun_over(-17.0, longitude, suns) for longitude in (180.0, -180.0))
    assert east[0][0] == pytest.approx(west[0][0], abs=1e-9)
    span = Span(seconds("2024-01-10T00:00Z"), seconds("2024-01-10T00:00Z"))
    both = Places(np.array([[-17, 179.99], [-17, -179.99]]), np.ones(2) / 2, np.array(["FJ"] * 2))
    height = east[0][0]
    assert fitting(both, span, Seen(height - 0.5, height + 0.5)).tolist() == [1, 1]


def test_the_band_of_land_is_a_ring_around_the_point_overhead() -> None:
    when = seconds(SUMMER)
    shares = fitting(land().places, Span(when, when), Seen(44.0, 46.0))
    points = land().places.points[shares > 0]
    sun = overhead(sun_vectors([when])[0])
    zenith = np.degrees(np.arccos(Frames.of(points).up @ Frames.of(np.array([sun])).up[0]))
    assert 43.9 < zenith.min() < zenith.max() < 46.1
    # All that land and no other: a spherical zone of 2 degrees is 1.2 % of the globe.
    assert 0.005 < land().places.weights[shares > 0].sum() < 0.04


def test_land_is_land() -> None:
    share = len(land().cells) / (360 * 720)
    assert 0.3 < share < 0.36  # cells crowd towards Antarctica; by area it is 29 %
    assert land().places.weights.sum() == pytest.approx(1)


def test_a_span_gives_each_place_the_share_of_time_that_fits() -> None:
    start = seconds("2023-06-21T00:00Z")
    places = Places(
        np.array([[48.857, 2.352], [-80.0, 0.0]]), np.ones(2) / 2, np.array(["FR", "AQ"])
    )
    up = fitting(places, Span(start, start + 86_400), Seen())
    # Sunrise 03:47, sunset 19:58 UTC that day (almanac): 16 h 11 min.
    assert up[0] == pytest.approx(16.18 / 24, abs=0.01)
    assert up[1] == 0  # polar night


def test_a_long_span_meets_all_hours_of_the_day() -> None:
    places = Places(np.array([[0.0, 20.0]]), np.ones(1), np.array(["CD"]))
    # As many days as instants: equal steps would meet one hour of the day alone.
    start = seconds("2023-01-01T00:00Z")
    days = Span(start, start + INSTANTS * 86_400)
    # Half of all time is day at the equator, whatever the season.
    assert fitting(places, days, Seen())[0] == pytest.approx(0.5, abs=0.015)
    instants = days.instants()
    assert days.start_s <= instants.min() < instants.max() <= days.end_s
    assert len(np.unique(instants // 3600 % 24)) == 24


def test_clocks_follow_the_zones_of_countries() -> None:
    points = np.array([[39.47, 75.99], [40.4, -3.7], [0.0, -30.0], [46.0, 179.9]])
    zones = zones_of(points, np.array(["CN", "ES", "", ""]))
    assert zones[1] == "Europe/Madrid"
    hours = [
        offsets_s(str(zone), np.array([seconds("2023-07-01T12:00Z")]))[0] / 3600 for zone in zones
    ]
    assert hours[1:] == [2, -2, 12]
    assert hours[0] in (6, 8)  # Kashgar: Xinjiang time or Beijing's, never the nautical 5
    winter = offsets_s("Europe/Madrid", np.array([seconds("2023-01-01T12:00Z")]))
    assert winter[0] == 3600


def test_a_local_clock_is_read_in_each_place_s_own_zone(bench: Workbench) -> None:
    local = check(bench, start="2023-06-21T14:30", local=True, **PARIS)[1].data["at"]
    utc = check(bench, start=SUMMER, **PARIS)[1].data["at"]
    assert isinstance(local, dict)
    assert isinstance(utc, dict)
    assert local["zone"] == "Europe/Paris"
    assert local["elevation_deg"] == utc["elevation_deg"] == pytest.approx(63.5, abs=0.1)


def test_a_local_clock_leaves_one_band_in_every_zone(bench: Workbench) -> None:
    _, outcome = check(bench, start="2023-06-21T14:30", local=True, elevation_deg=63.5)
    assert {"FR", "DE"} & outcome.evidence[0].countries.keys()
    assert outcome.data["local"] is True


def test_a_place_without_a_measurement_is_told_and_is_no_evidence(bench: Workbench) -> None:
    text, outcome = check(bench, start=SUMMER, **PARIS)
    at = outcome.data["at"]
    assert isinstance(at, dict)
    assert at["azimuth_deg"] == pytest.approx(199.7, abs=0.1)
    assert at["shadow_bearing_deg"] == pytest.approx(19.7, abs=0.1)
    assert at["length_ratio"] == pytest.approx(np.tan(np.radians(63.5)), abs=0.02)
    assert at["fits"] is None
    assert "63.5 degrees high" in text
    assert (outcome.evidence, outcome.pictures) == ((), ())


def test_night_throws_no_shadows(bench: Workbench) -> None:
    text, outcome = check(bench, start="2023-06-21T23:59Z", elevation_deg=5, **PARIS)
    at = outcome.data["at"]
    assert isinstance(at, dict)
    assert "no shadows" in text
    assert at["length_ratio"] is None
    assert at["fits"] is False


@pytest.mark.parametrize(
    "measured",
    [
        {"elevation_deg": 63.5},
        {"length_ratio": 2.0057},
        {"elevation_deg": 63.5, "shadow_bearing_deg": 19.7},
        {"sun_azimuth_deg": 199.7},
    ],
)
def test_what_was_measured_is_evidence_of_countries(
    bench: Workbench, measured: dict[str, float]
) -> None:
    text, outcome = check(bench, start=SUMMER, **measured, **PARIS)
    (evidence,) = outcome.evidence
    assert evidence.weight == WEIGHT < 0.5
    assert evidence.group == "sun"
    assert evidence.countries["FR"] > 0.1
    assert "AU" not in evidence.countries  # night there
    assert sum(evidence.countries.values()) == pytest.approx(1, abs=1e-6)
    assert "This place fits" in text
    assert evidence.id in text


def test_countries_share_as_belief_s_own_prior_does(
    bench: Workbench, settlements: Settlements
) -> None:
    _, outcome = check(bench, start=SUMMER, elevation_deg=45, elevation_tolerance_deg=45)
    believed = believe(outcome.evidence, settlements).country_shares
    prior = believe((), settlements).country_shares
    shares = outcome.evidence[0].countries
    # By day in Europe, by night in Fiji and Australia: belief moves from them by the weight,
    # and not at all between countries that all have the sun.
    night = sum(prior[code] for code in ("AU", "FJ"))
    assert sum(believed[code] for code in ("AU", "FJ")) == pytest.approx(night * (1 - WEIGHT))
    assert shares["FR"] / shares["DE"] == pytest.approx(prior["FR"] / prior["DE"])


def test_the_map_shows_the_band_and_where_the_sun_is_overhead(bench: Workbench) -> None:
    _, outcome = check(bench, start=SUMMER, elevation_deg=63.5, **PARIS)
    (picture,) = outcome.pictures
    with Image.open(bench.photos.path(picture.photo_id)) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    band = (pixels[..., 0] > 120) & (pixels[..., 1] < 60) & (pixels[..., 2] < 70)
    rows, columns = np.nonzero(band[84 : 84 + 720])
    latitude, longitude = 90 - rows / 4, columns / 4 - 180
    assert len(rows) > 3000
    in_france = (abs(latitude - 46.8) < 1.5) & (abs(longitude - 2.5) < 2)
    assert in_france.sum() > 60
    assert not ((longitude > 60) | (longitude < -70)).any()
    yellow = (pixels[..., 0] > 230) & (abs(pixels[..., 1] - 190) < 25) & (pixels[..., 2] < 60)
    sun_rows, sun_columns = np.nonzero(yellow[84 : 84 + 720])
    assert 90 - sun_rows.mean() / 4 == pytest.approx(23.4, abs=1)
    assert sun_columns.mean() / 4 - 180 == pytest.approx(-7.0, abs=1)


def test_nothing_that_fits_is_said_with_likely_slips(bench: Workbench) -> None:
    text, outcome = check(bench, start="2023-06-21T23:30Z", elevation_deg=89.5)
    assert outcome.evidence == ()
    assert "fits no land" in text
    assert "12 hours later or earlier" in text


def test_the_shadow_taken_for_the_sun_is_pointed_out(bench: Workbench) -> None:
    # The sun is over the Pacific: Australia sees it in the east, and open sea in the west.
    when = {"start": "2023-12-22T00:05Z", "elevation_deg": 45, "elevation_tolerance_deg": 1}
    text, outcome = check(bench, **when, sun_azimuth_deg=275, bearing_tolerance_deg=4)
    assert outcome.evidence == ()
    assert outcome.data["land_share"] == 0
    assert "opposite direction (shadow for sun)" in text
    assert check(bench, **when, shadow_bearing_deg=275)[1].data["land_share"] != 0


def test_towns_nowhere_near_are_no_evidence(bench: Workbench) -> None:
    # Midnight sun, low over Antarctica's summer: no town of the small world sees it so.
    text, outcome = check(
        bench, start="2023-12-22T00:00Z", elevation_deg=30, sun_azimuth_deg=0.0,
        bearing_tolerance_deg=20, elevation_tolerance_deg=1,
    )  # fmt: skip
    assert outcome.evidence == ()
    assert outcome.data["land_share"] != 0
    assert "no evidence" in text


def test_shares_of_no_place_are_none() -> None:
    places = Places(np.array([[0.0, 0.0]]), np.ones(1), np.array(["GH"]))
    assert country_shares(places, np.zeros(1)) == {}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"start": "2023-06-21T12:30", "elevation_deg": 45}, "lacks its offset"),
        ({"start": SUMMER, "local": True, "elevation_deg": 45}, "has an offset and local"),
        ({"start": "2023-02-30T12:30Z", "elevation_deg": 45}, "no date and time"),
        ({"start": "2023-06-21T25:30Z", "elevation_deg": 45}, "no date and time"),
        ({"start": "1723-06-21T12:30Z", "elevation_deg": 45}, "years 1826 to 2100"),
        ({"start": SUMMER, "end": "2023-06-20T12:30Z", "elevation_deg": 45}, "before start"),
        ({"start": SUMMER, "end": "2024-06-30T12:30Z", "elevation_deg": 45}, "limit 366"),
        ({"start": SUMMER}, "nothing to compare"),
        ({"start": SUMMER, "elevation_deg": 45, "length_ratio": 1}, "give one of them"),
        ({"start": SUMMER, "sun_azimuth_deg": 9, "shadow_bearing_deg": 9}, "give one of them"),
        ({"start": SUMMER, "at_latitude": 9.0}, "give both or none"),
    ],
)
def test_what_cannot_be_read_is_refused(
    bench: Workbench, arguments: dict[str, object], reason: str
) -> None:
    with pytest.raises(ToolError, match=reason):
        check(bench, **arguments)


@pytest.mark.parametrize(
    "wrong",
    [
        {"elevation_deg": 91},
        {"elevation_deg": -1},
        {"elevation_deg": float("nan")},
        {"length_ratio": 0},
        {"elevation_tolerance_deg": 0.1},
        {"bearing_tolerance_deg": 100},
        {"sun_azimuth_deg": 361},
        {"at_latitude": 91},
        {"start": "yesterday at noon!"},
        {"start": SUMMER + "\n"},
        {"elevation": 45},
    ],
)
def test_arguments_outside_their_limits_are_refused(wrong: dict[str, object]) -> None:
    schema = make_check_sun(Workbench(PhotoStore(Path("unused")))).args_schema
    assert isinstance(schema, type)
    assert issubclass(schema, BaseModel)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        schema.model_validate({"start": SUMMER, **wrong})
