"""Exports of a case: other programs read them, and nothing in them runs."""

import csv
import io
import json
import re
import shutil
import subprocess
import warnings
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import geojson
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import shape

from agent.answer import Answer, Radii
from agent.case import Case, case_of_answer, case_of_trace
from agent.export import FORMATS, export_case, file_name, format_named
from agent.export_csv import csv_of, table
from agent.export_geojson import geojson_of
from agent.export_kml import kml_of
from agent.export_markdown import escaped, markdown_of
from geo.errors import InputError
from tests.unit.export_samples import (
    NASTY,
    SESSION,
    first,
    hostile,
    many,
    session,
    write_trace,
)
from tests.unit.report_samples import located, modelled, region, undetermined
from tools.photos import PhotoStore

CASES = {
    "session": session(),
    "hostile": case_of_answer(hostile()),
    "antimeridian": case_of_answer(region()),
    "undetermined": case_of_answer(undetermined()),
    "model": case_of_answer(modelled()),
}
KML = "{http://www.opengis.net/kml/2.2}"


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def features(case: Case) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(geojson_of(case))["features"]
    return found


def of_role(case: Case, role: str) -> list[dict[str, Any]]:
    return [one for one in features(case) if one["properties"]["role"] == role]


# GeoJSON


def test_geojson_is_valid_and_its_areas_are_cut_oriented_and_whole(case: Case) -> None:
    read = geojson.loads(geojson_of(case))
    assert isinstance(read, geojson.FeatureCollection)
    assert read.is_valid
    for feature in read.features:
        if feature.geometry is None:
            continue
        area = shape(feature.geometry)
        assert area.is_valid, feature.properties
        assert area.bounds[0] >= -180
        assert area.bounds[2] <= 180
        for part in shapely.get_parts(area):
            if part.geom_type == "Polygon":
                assert part.exterior.is_ccw, "RFC 7946, 3.1.6: the right-hand rule"
                assert all(not hole.is_ccw for hole in part.interiors)


@pytest.mark.parametrize(
    ("latitude", "longitude", "km"),
    [(-17.8, 179.9, 300.0), (89.9, 0.0, 500.0), (0.0, 0.0, 0.005), (10.0, 20.0, 19_000.0),
     (-90.0, 0.0, 50.0), (0.0, 180.0, 20_015.0)],
)  # fmt: skip
def test_circles_hold_what_lies_within_them(latitude: float, longitude: float, km: float) -> None:
    from geo.sphere import destination

    radii = Radii(km_50=km / 4, km_80=km / 2, km_95=km)
    case = case_of_answer(located(latitude=latitude, longitude=longitude, radii=radii))
    widest = next(
        shape(one["geometry"])
        for one in of_role(case, "circle")
        if one["properties"]["belief_percent"] == 95
    )
    assert widest.is_valid
    for bearing in (10.0, 100.0, 190.0, 280.0):
        for share, inside in ((0.97, True), (1.03, False)):
            if km * share < 20_000:
                at = destination(latitude, longitude, bearing, km * share)
                y, x = at.reshape(2).tolist()
                assert widest.intersects(shapely.Point(x, y)) is inside or km > 19_500


def test_every_candidate_is_there_with_its_fate_and_the_claim_stays_apart() -> None:
    case = session()
    rows = of_role(case, "candidate")
    assert [one["properties"]["reason"] for one in rows] == [
        one.reason for one in case.answer.verdicts
    ]
    assert [one["properties"]["kept"] for one in rows] == [True, True, False, False]
    (claimed,) = of_role(case, "claimed_position")
    assert claimed["geometry"]["coordinates"] == [12.5, 41.9]
    assert claimed["properties"]["used"] is False
    (answer,) = of_role(case, "answer")
    assert answer["geometry"]["coordinates"] == [5.37012, 43.29931]
    assert "not proof" in answer["properties"]["caution"]
    drawn = of_role(case, "drawn_region")
    assert [one["properties"]["inside"] for one in drawn] == [True, False]


def test_an_answer_without_a_place_has_no_point() -> None:
    (answer, *_) = features(case_of_answer(undetermined()))
    assert answer["geometry"] is None
    assert answer["properties"]["status"] == "undetermined"


def test_a_drawn_region_over_the_antimeridian_is_cut() -> None:
    over = {"type": "Polygon", "coordinates": [[[178, -20], [184, -20], [184, -15], [178, -15],
                                                [178, -20]]]}  # fmt: skip
    case = session()
    said = case.revisions[1].said[0].model_copy(update={"region": over})
    last = case.revisions[1].model_copy(update={"said": (said,)})
    (drawn,) = of_role(case.model_copy(update={"revisions": (last,)}), "drawn_region")
    area = shape(drawn["geometry"])
    assert area.geom_type == "MultiPolygon"
    assert area.area == pytest.approx(30)


@pytest.mark.parametrize(
    "region",
    [{}, {"type": "Point", "coordinates": [1, 2]}, {"type": "Polygon", "coordinates": []},
     {"type": "Polygon", "coordinates": [[["a", "b"]]]}, {"type": "Polygon", "coordinates": 7},
     {"type": "Feature", "geometry": None}],
)  # fmt: skip
def test_what_is_no_region_is_left_out(region: Any) -> None:
    case = session()
    said = case.revisions[1].said[0].model_copy(update={"region": region})
    last = case.revisions[1].model_copy(update={"said": (said,)})
    assert of_role(case.model_copy(update={"revisions": (last,)}), "drawn_region") == []


# KML


def test_kml_is_read_by_fastkml_and_loads_nothing(case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that lxml would make it prettier
        from fastkml import Document, Folder, kml

    written = kml_of(case)
    read = kml.KML.from_string(written.decode().partition("?>")[2], strict=True)
    (document,) = read.features
    assert isinstance(document, Document)
    folders = [one for one in document.features if isinstance(one, Folder)]
    shown = [one for one in features(case) if one["geometry"]]
    assert sum(len(folder.features) for folder in folders) == len(shown)
    assert b"<href" not in written
    assert b"<script" not in written


def test_kml_keeps_to_the_schema_of_ogc(case: Case) -> None:
    etree = pytest.importorskip("lxml.etree")
    schema = resources.files("fastkml") / "schema" / "ogckml22.xsd"
    with resources.as_file(schema) as path:
        etree.XMLSchema(etree.parse(str(path))).assertValid(etree.fromstring(kml_of(case)))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("ogr2ogr"), reason="no ogr2ogr on PATH: install gdal-bin")
def test_ogr2ogr_reads_both(case: Case, tmp_path: Path) -> None:
    for name, data in (("a.kml", kml_of(case)), ("a.geojson", geojson_of(case))):
        (tmp_path / name).write_bytes(data)
        target = tmp_path / f"{name}.csv"
        subprocess.run(
            ["ogr2ogr", "-f", "CSV", str(target), str(tmp_path / name)],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        assert target.exists()


def test_kml_gives_names_back_as_they_are_and_shows_no_html() -> None:
    root = ET.fromstring(kml_of(case_of_answer(hostile())))
    names = [one.text or "" for one in root.iter(f"{KML}name")]
    assert "5 <script>alert(1)</script>" in names
    assert any("]]><x>" in name for name in names)
    assert any("a & b < c" in name for name in names)
    for one in root.iter(f"{KML}description"):
        shown = (one.text or "").replace("<br/>", "")
        assert "<" not in shown, "programs show it as HTML"
        assert "$[" not in shown, "programs put data in its place"


@given(st.text())
def test_any_name_makes_kml_that_can_be_read(name: str) -> None:
    answer = undetermined(photo_name=name, explanation=name, country_name=name)
    ET.fromstring(kml_of(case_of_answer(answer)))


# CSV


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))


def test_csv_holds_all_answers_and_candidates() -> None:
    case = session()
    read = rows(csv_of(case))
    answers = [row for row in read if row["record"] == "answer"]
    assert [row["place"] for row in answers] == ["Paris", "Marseille"]
    assert float(answers[1]["latitude"]) == 43.29931
    candidates = [row for row in read if row["record"] == "candidate"]
    assert [row["status"] for row in candidates] == ["kept", "kept", "dropped", "dropped"]
    assert float(candidates[0]["distance_km"]) == 0.0
    assert [row["record"] for row in read][-1] == "claimed_position"


def test_csv_begins_no_formula_and_breaks_no_row() -> None:
    data = csv_of(case_of_answer(hostile()))
    read = rows(data)
    assert len(read) == 1 + 4 + len(NASTY) + 1 + 1
    assert data.endswith(b"\r\n")
    for row in read:
        for name, text in row.items():
            if name in ("latitude", "longitude"):
                float(text)
            else:
                assert not text.lstrip().startswith(("=", "+", "-", "@", "\t", "\r")), text


@given(st.text())
def test_any_text_comes_back_from_csv_without_a_formula(text: str) -> None:
    written = table(["a", "b"], [{"a": text, "b": 1}]).decode()
    _, (back, _) = csv.reader(io.StringIO(written, newline=""), strict=True)
    assert not back.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))
    assert "\x00" not in back
    assert "\u202e" not in back


# Markdown


class Tags(HTMLParser):
    """Collects the elements of a page and where they lead."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.leads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.leads += [value or "" for name, value in attrs if name in ("href", "src")]


def rendered(text: str) -> Tags:
    from markdown_it import MarkdownIt

    page = Tags()
    page.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    return page


def test_markdown_shows_hostile_text_as_text() -> None:
    page = rendered(markdown_of(case_of_answer(hostile())).decode())
    ours = {"h1", "h2", "p", "blockquote", "strong", "table", "thead", "tbody", "tr", "th", "td",
            "ul", "li"}  # fmt: skip
    assert page.tags <= ours
    assert page.leads == []


@given(st.text(alphabet="<>&*_`[]()!#|~\\\n:@hp/w.x-+1=\"'$^ "))
def test_any_text_is_escaped_in_markdown(text: str) -> None:
    assert rendered(f"- x {escaped(text)}\n").tags <= {"ul", "li"}


def test_markdown_says_what_was_said_and_judged() -> None:
    text = markdown_of(session()).decode()
    assert "Withdrew" in text
    assert "taken on a trip in 2019" in text
    assert "**wrong** by A\\. Analyst" in text
    assert "not proof" in text
    assert "Claimed by the file, not inferred" in text


# All of them


def test_a_trace_alone_is_enough(tmp_path: Path) -> None:
    trace = write_trace(session(), tmp_path / "trace.jsonl")
    case = case_of_trace(trace)
    assert [one.answer for one in case.revisions] == [one.answer for one in session().revisions]
    assert case.revisions[1].said == session().revisions[1].said
    assert case.session == SESSION
    store = PhotoStore(tmp_path / "photos")
    for kind in FORMATS:
        made = export_case(case, kind, store, trace)
        assert made.data
        assert re.fullmatch(r"[a-z0-9.-]+", made.name)
    assert export_case(case, "trace", store, trace).data == trace.read_bytes()
    answer = Answer.model_validate_json(export_case(case, "json", store).data)
    assert answer == case.answer


def test_an_edited_trace_is_not_exported(tmp_path: Path) -> None:
    trace = write_trace(session(), tmp_path / "trace.jsonl")
    trace.write_bytes(trace.read_bytes().replace(b"43.29931", b"43.29932"))
    with pytest.raises(InputError, match="was edited"):
        case_of_trace(trace)


def test_an_earlier_revision_is_told_as_it_was() -> None:
    case = session().until(1)
    assert case.answer == first()
    assert [one.revision for one in case.assessments] == [1]
    with pytest.raises(InputError, match="no revision 7; there are 1, 2"):
        session().until(7)


def test_names_are_safe_whatever_a_session_is_called() -> None:
    case = session(session="../../etc/passwd\r\nX: y")
    assert file_name(case, "html") == "graticule-answer-2.html"
    with pytest.raises(InputError, match="none of html, geojson"):
        format_named("../x")


@pytest.mark.slow
def test_ten_thousand_candidates_are_all_there() -> None:
    case = case_of_answer(many(10_000))
    assert len(of_role(case, "candidate")) == 10_000
    assert len(rows(csv_of(case))) == 10_003
    assert kml_of(case).count(b"<Placemark>") == 10_006
