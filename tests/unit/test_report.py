"""The report: self-contained, honest in every status, nothing in it can disguise itself."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent import report_format as fmt
from agent.answer import Answer, Step, Verdict
from agent.report import render_report, write_report
from agent.report_page import Page
from agent.report_pictures import crop_uri
from geo.errors import InputError
from tests.unit.report_samples import (
    PHOTO,
    DrawnPhotos,
    candidate,
    located,
    region,
    undetermined,
)
from tools.evidence import Box, Evidence, Picture, Rejection

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
OVERRIDE = "\u202egpj.exe\u2066"


class Reader(HTMLParser):
    """Collects what a page refers to, its ids and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.styles = ""
        self.text = ""
        self._in_style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._in_style = tag == "style"
        for name, value in attrs:
            self.attributes.append((name, value or ""))
            if name == "id":
                self.ids.append(value or "")
            elif name == "style":
                self.styles += value or ""
            elif name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
                self.addresses.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles += data
        else:
            self.text += data


def read(answer: Answer) -> Reader:
    return Reader(render_report(answer, DrawnPhotos()))


@pytest.mark.parametrize("answer", [located(), region(), undetermined()], ids=lambda a: a.status)
def test_the_page_refers_to_nothing_outside_itself(answer: Answer) -> None:
    page = read(answer)
    assert page.addresses
    for address in page.addresses:
        assert address.startswith(("data:", "#")), address
    assert "@import" not in page.styles
    assert not re.findall(r"url\((?!\s*[\"']?(?:data:|#))", page.styles)
    assert not {"script", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_the_page_forbids_itself_every_connection() -> None:
    content = dict(read(located()).attributes)["content"]
    page = read(located())
    policies = [value for name, value in page.attributes if value.startswith("default-src")]
    assert content
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    ]


@pytest.mark.parametrize("answer", [located(), region(), undetermined()], ids=lambda a: a.status)
def test_every_link_leads_somewhere_and_ids_are_unique(answer: Answer) -> None:
    page = read(answer)
    assert len(page.ids) == len(set(page.ids))
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids


def test_a_located_answer_states_coordinate_radii_place_and_caution() -> None:
    text = read(located()).text
    for part in (
        "Located",
        "Near Marseille, Provence-Alpes-Côte d'Azur, France",
        "43.29931, 5.37012",
        "geo:43.29931,5.37012;u=900",
        "120 m",
        "300 m",
        "900 m",
        located().caution,
    ):
        assert part in text


def test_a_region_is_called_a_region_and_countries_are_shaded() -> None:
    page = render_report(region(), DrawnPhotos())
    assert "Region only" in page
    assert "Probably in Fiji" in page
    assert page.count('class="believed"') >= 3
    assert "the evidence points to one place" not in page.lower()


@pytest.mark.parametrize(
    ("answer", "headline"),
    [
        (located(place=""), "In Provence-Alpes-Côte d'Azur, France"),
        (located(place="", admin1="", country="", country_name=""), "At sea or nameless"),
        (region(countries={"FJ": 0.51, "NZ": 0.48}), "Perhaps in Fiji, one of several"),
        (region(country="", country_name=""), "A region, not a place"),
    ],
)
def test_the_headline_claims_no_more_than_belief_does(answer: Answer, headline: str) -> None:
    assert Page(answer, DrawnPhotos()).headline == headline


def test_an_undetermined_answer_gives_no_coordinate_and_no_map() -> None:
    page = read(undetermined())
    assert "Cannot tell" in page.text
    assert "We cannot tell where this photo was taken" in page.text
    assert "geo:" not in page.text
    assert "Coordinate" not in page.text
    assert "maps" not in page.ids


def test_an_undetermined_answer_with_belief_shades_countries_without_a_point() -> None:
    page = render_report(undetermined(countries={"FR": 0.2, "BE": 0.2, "CN": 0.004}), DrawnPhotos())
    assert page.count('class="believed"') == 2
    assert 'class="mark answer"' not in page


def test_every_candidate_is_listed_with_its_reason_and_rejected_values_too() -> None:
    text = read(located()).text
    for verdict in located().verdicts:
        assert verdict.reason in text
        assert verdict.candidate.label in text
    assert "Null Island is what a missing position looks like" in text


def test_every_step_is_told_with_its_arguments_outcome_and_data() -> None:
    page = read(located())
    for step in located().steps:
        assert f"step-{step.number}" in page.ids
        assert step.text in page.text
    assert "refused" in page.text
    assert '"confidence": 0.98' in page.text


def test_evidence_is_framed_on_the_photo_and_linked_to_its_step() -> None:
    answer = located()
    page = render_report(answer, DrawnPhotos())
    sign = answer.evidence[1]
    assert f'href="#{sign.id}"' in page
    assert f'id="{sign.id}"' in page
    assert "left:37.500%;top:61.856%;width:22.500%;height:6.560%" in page
    assert '<a href="#step-2">' in page
    assert f'<a class="id" href="#{sign.id}">{sign.id}</a>' in page, "ids in the explanation"


def test_tool_calls_named_in_the_explanation_are_links() -> None:
    page = render_report(
        located(explanation="It matches (call_match, call_matches)."), DrawnPhotos()
    )
    assert '<a class="id" href="#step-5">call_match</a>, call_matches).' in page


def test_a_coordinate_has_no_more_digits_than_its_radius_deserves() -> None:
    assert Page(region(), DrawnPhotos()).notations["Decimal degrees"] == "-17.80, 179.40"
    assert [fmt.digits_for(km) for km in (0.005, 0.12, 3.0, 800.0)] == [6, 5, 3, 2]


def test_the_same_evidence_twice_keeps_ids_unique() -> None:
    answer = located()
    page = read(located(evidence=(*answer.evidence, answer.evidence[0])))
    assert len(page.ids) == len(set(page.ids))


def test_a_claimed_position_is_set_apart_and_drawn_only_if_there_is_one() -> None:
    claimed = render_report(located(), DrawnPhotos())
    assert "Claimed by the file, not used." in claimed
    assert 'class="mark claimed"' in claimed
    trusted = render_report(located(trusted_metadata=True), DrawnPhotos())
    assert "used because the analyst trusted it" in trusted
    assert "not used" not in trusted
    silent = render_report(located(claimed_latitude=None, claimed_longitude=None), DrawnPhotos())
    assert "The file claims no position." in silent
    assert 'class="mark claimed"' not in silent


def hostile() -> Answer:
    """An answer whose every text tries to be markup."""
    base = located()
    match = Evidence(
        tool=SCRIPT,
        kind="match",
        summary=SCRIPT,
        candidates=(candidate(43.3, 5.37, 1, 0.9, SCRIPT),),
        weight=0.5,
        group=SCRIPT,
        call_id=SCRIPT,
    )
    step = Step(
        number=1,
        call_id=SCRIPT,
        tool=SCRIPT,
        arguments={SCRIPT: SCRIPT, "list": [SCRIPT]},
        text=SCRIPT,
        outcome="ok",
        seconds=0.1,
        evidence_ids=(match.id, SCRIPT),
        pictures=(
            Picture(photo_id=SCRIPT, caption=SCRIPT),
            Picture(photo_id=PHOTO, caption=SCRIPT),
        ),
        data={SCRIPT: [SCRIPT, {"inner": SCRIPT}]},
    )
    verdict = Verdict(
        evidence_id=match.id, candidate=match.candidates[0], kept=False, reason=SCRIPT
    )
    changes = dict.fromkeys(
        ("place", "admin1", "country_name", "photo_name", "trace_path", "stopped_because"), SCRIPT
    )
    return base.model_copy(
        update={
            **changes,
            "explanation": f"{SCRIPT} {match.id} {SCRIPT}",
            "evidence": (match,),
            "steps": (step,),
            "verdicts": (verdict,),
            "rejected": (Rejection(value=SCRIPT, reason=SCRIPT),),
            "alternatives": (base.alternatives[0].model_copy(update={"label": SCRIPT}),),
            "versions": {SCRIPT: SCRIPT},
            "budget_spent": {SCRIPT: 1.0},
            "caution": SCRIPT,
        }
    )


def test_markup_in_any_text_stays_text() -> None:
    markup = render_report(hostile(), DrawnPhotos())
    assert "<script" not in markup
    assert "<img src=x" not in markup
    page = Reader(markup)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.text.count(SCRIPT) >= 20
    for address in page.addresses:
        assert address.startswith(("data:", "#"))


def test_texts_cannot_reorder_the_line_they_stand_in() -> None:
    answer = located()
    sign = answer.evidence[1].model_copy(update={"summary": f"“{OVERRIDE}”"})
    page = render_report(
        located(evidence=(sign,), photo_name=OVERRIDE, explanation=OVERRIDE), DrawnPhotos()
    )
    assert not re.findall("[\u202a-\u202e\u2066-\u2069]", page)
    assert "<bdi>“⟨U+202E⟩gpj.exe⟨U+2066⟩”</bdi>" in page


def test_a_file_name_that_is_not_utf8_can_be_reported(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(located(photo_name="caf\udce9.jpg"), DrawnPhotos(), path)
    assert "caf⟨U+DCE9⟩.jpg" in path.read_text("utf-8")


def test_right_to_left_and_joined_scripts_survive() -> None:
    text = "می‌خواهم שלום नमस्ते 東京"
    assert text in render_report(located(place=text), DrawnPhotos())


def test_pictures_that_are_gone_are_named_not_fatal() -> None:
    page = render_report(located(photo_id="d" * 64), DrawnPhotos())
    assert "The photo is no longer in the photo store." in page
    assert "This picture is no longer in the photo store" in page


class NoisePhotos:
    """A photo store whose every picture is as hard to compress as a picture can be."""

    def image(self, photo_id: str) -> Image.Image:
        noise = np.random.default_rng(1).integers(0, 256, (1500, 2000, 3), dtype=np.uint8)
        return Image.fromarray(noise)


def test_a_page_with_many_pictures_stays_under_three_megabytes() -> None:
    answer = located()
    boxed = answer.evidence[1]
    boxes = tuple(
        boxed.model_copy(
            update={"group": str(n), "box": Box(left=n, top=n, right=n + 300, bottom=n + 90)}
        )
        for n in range(20)
    )
    pictures = tuple(Picture(photo_id=f"{n:064x}", caption=str(n)) for n in range(8))
    step = answer.steps[4].model_copy(update={"pictures": pictures})
    page = render_report(located(evidence=boxes, steps=(step,)), NoisePhotos())
    assert len(page.encode()) < 3_000_000


def test_the_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(located(), DrawnPhotos(), path)
    assert path.read_text("utf-8").rstrip().endswith("</html>")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_does_not_exist_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_report(undetermined(), DrawnPhotos(), tmp_path / "missing" / "report.html")


def test_a_failed_write_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(InputError):
        write_report(undetermined(), DrawnPhotos(), tmp_path / "report.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_importing_the_report_loads_nothing_heavy() -> None:
    code = (
        "import sys, agent.report\n"
        "heavy = {'jinja2', 'shapely', 'cv2', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("km", "text"),
    [(0.012, "12 m"), (0.3, "300 m"), (1.0, "1.0 km"), (9.96, "10 km"), (2345.0, "2,340 km")],
)
def test_distances_are_written_with_the_digits_they_deserve(km: float, text: str) -> None:
    assert fmt.distance(km) == text


def test_areas_never_exceed_the_earth() -> None:
    assert fmt.area(20_020.0) == "510 million km²"
    assert fmt.area(1.0) == "3.1 km²"


def test_shares_at_the_ends_are_not_rounded_to_certainty() -> None:
    assert [fmt.percent(share) for share in (0, 0.004, 0.5, 0.996, 1)] == [
        "0 %",
        "< 1 %",
        "50 %",
        "> 99 %",
        "100 %",
    ]


def test_long_data_is_cut_with_a_note() -> None:
    text = fmt.pretty({"long": "x" * (2 * fmt.LONGEST_DATA)})
    assert len(text) < fmt.LONGEST_DATA + 100
    assert "the trace holds them" in text


def test_a_box_outside_the_photo_gives_no_crop() -> None:
    image = Image.new("RGB", (100, 100))
    assert crop_uri(image, Box(left=400, top=400, right=500, bottom=500)) == ""
    assert crop_uri(image, Box(left=90, top=90, right=500, bottom=500)).startswith("data:image")
