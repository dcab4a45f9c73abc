"""The page of an evaluation: its numbers are those of the metrics, foreign text stays text."""

import html
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cli.evaluate_report import report as command
from cli.paths import NewFile
from evaluation.metrics import THRESHOLDS_KM, errors_km, geoscores, within
from evaluation.published import BENCHMARKS, PUBLISHED, benchmark_of, published_for
from evaluation.report import render_evaluation, write_evaluation
from evaluation.report_curves import GRID_KM
from evaluation.report_page import EvaluationPage, plain
from evaluation.report_photos import thumbnail, worst_cases, worst_indices
from evaluation.report_run import ShownRun, read_shown
from evaluation.report_world import MOST_DOTS, error_map
from evaluation.runs import Run
from geo.errors import ConfigError, InputError
from tests.unit.evaluated_samples import write_run
from tests.unit.test_report import Reader

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
OVERRIDE = "\u202egpj.exe\u2066"
DATA = next(
    (
        parent / "shared" / "data"
        for parent in Path(__file__).resolve().parents
        if (parent / "shared" / "data" / "predictions").is_dir()
    ),
    None,
)


def hostile_id(number: int) -> str:
    return f"../{SCRIPT}{OVERRIDE}$x^{{{number}}}"


def shown(*folders: Path, truth: Path | None = None) -> tuple[ShownRun, ...]:
    return read_shown(folders, truth, distance="haversine", operator="le")


def text_of(page: str) -> str:
    return " ".join(Reader(page).text.split())


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("runs")
    first = write_run(place / "first", 80, dataset="somewhere")
    return first, write_run(place / "second", 80, recipe="g3", seed=2, reached=70)


@pytest.fixture(scope="module")
def page_of_two(two: tuple[Path, Path]) -> str:
    return render_evaluation(shown(*two))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("hostile") / "run"
    write_run(
        folder, 12, name=hostile_id, recipe=SCRIPT, dataset=OVERRIDE + SCRIPT, reason=SCRIPT,
        answered=0.5,
    )  # fmt: skip
    return render_evaluation(shown(folder))


def test_the_numbers_are_those_of_the_metrics(two: tuple[Path, Path], page_of_two: str) -> None:
    text = text_of(page_of_two)
    for folder in two:
        pairs = list(Run.read(folder).pairs())
        truths = np.array([(truth.latitude, truth.longitude) for truth, _ in pairs])
        nothing = (np.nan, np.nan)
        answers = np.array(
            [
                (row.latitude, row.longitude) if row.latitude is not None else nothing
                for _, row in pairs
            ],
            dtype=float,
        )
        errors = errors_km(truths, answers, "haversine")
        for threshold, share in zip(
            THRESHOLDS_KM, within(errors, THRESHOLDS_KM, "le").mean(axis=0), strict=True
        ):
            assert f"within {threshold:g} km{100 * share:.1f} %" in text
        assert f"median error{np.nanmedian(errors):,.1f} km" in text
        assert f"GeoScore, of 5,000{geoscores(errors).mean():,.0f}" in text
        answered = int(np.isfinite(errors).sum())
        assert f"answered{100 * answered / 80:.1f} %{answered} of 80 photos" in text


def test_a_run_that_is_not_finished_says_so(page_of_two: str) -> None:
    assert "Not complete. Run B: 10 of 80 photos were not reached" in text_of(page_of_two)
    assert "Run A:" not in page_of_two


def test_runs_are_held_against_the_first(two: tuple[Path, Path], page_of_two: str) -> None:
    from evaluation.compare import compare

    found = compare(*two, worst=0)
    for one in found.differences:
        assert f"{one.value:+,.2f}" in page_of_two
        assert f"won {one.won}, lost {one.lost}" in page_of_two


def test_runs_over_other_photos_are_not_paired(two: tuple[Path, Path], tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", 9)
    page = EvaluationPage(shown(two[0], other))
    assert page.groups[0].differences == ()


def test_the_curve_has_the_intervals_of_the_table(two: tuple[Path, Path]) -> None:
    (run,) = shown(two[0])
    for one in run.score.accuracies:
        place = int(np.flatnonzero(one.threshold_km == GRID_KM)[0])
        assert one.clustered
        assert one.value is not None
        assert 100 * run.curve.share[place] == pytest.approx(one.value)
        assert 100 * run.curve.low[place] == pytest.approx(one.clustered.low)
        assert 100 * run.curve.high[place] == pytest.approx(one.clustered.high)


def test_foreign_text_stays_text(hostile: str) -> None:
    assert "<script" not in hostile.lower()
    assert not re.search(r"<img[^>]*onerror", hostile)
    assert not set(OVERRIDE) & set("\u202e\u2066") & set(hostile)
    assert html.escape("<script>alert(1)</script>") in hostile
    assert "⟨U+202E⟩" in hostile


@pytest.mark.parametrize("which", ["hostile", "page_of_two"])
def test_the_page_refers_to_nothing_outside_itself(
    which: str, request: pytest.FixtureRequest
) -> None:
    page = Reader(request.getfixturevalue(which))
    for address in page.addresses:
        assert address.startswith(("data:", "#")), address
        assert not address.startswith("#") or address[1:] in page.ids
    assert len(page.ids) == len(set(page.ids))
    assert not re.findall(r"url\((?!\s*[\"']?(?:data:|#))", page.styles)
    assert not {"script", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    policies = [value for name, value in page.attributes if value.startswith("default-src")]
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    ]


def test_tables_and_pictures_can_be_read_aloud(page_of_two: str) -> None:
    tables = re.findall(r"<table>.*?</table>", page_of_two, re.DOTALL)
    assert tables
    for table in tables:
        assert "<caption>" in table
        assert 'scope="col"' in table
        assert 'scope="row"' in table
    for drawing in re.findall(r'<svg class="plot[^>]*>', page_of_two):
        assert re.search(r'role="img" aria-label="[^"]{20,}"', drawing)


def test_the_page_knows_no_folder_of_the_machine(two: tuple[Path, Path], page_of_two: str) -> None:
    assert str(two[0].parent) not in page_of_two
    assert "/home/somebody" not in page_of_two
    assert "…/mp16" in page_of_two
    assert "graticule evaluate report first second --out report.html" in page_of_two


def test_precautions_are_told_apart(page_of_two: str) -> None:
    found = re.findall(r'<li><span class="([a-z-]+)">.*?<bdi>(.*?)</bdi>', page_of_two)
    assert {name: fate for fate, name in found} == {
        "pixels": "taken", "file names": "taken", "overlays": "not-taken",
        "galleries": "noted", "dataset": "noted",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("photos", "options"), [(1, {"answered": 1.0}), (5, {"answered": 0.0}), (5, {"reached": 0})],
    ids=["one photo", "no answers", "nothing reached"],
)  # fmt: skip
def test_small_and_empty_runs_have_a_page(
    photos: int, options: dict[str, float], tmp_path: Path
) -> None:
    write_run(tmp_path / "run", photos, **options)  # type: ignore[arg-type]
    text = text_of(render_evaluation(shown(tmp_path / "run")))
    if photos == 1:
        assert "The answer farthest from the truth" in text
        return
    assert "No photo has an answer." in text
    assert "median error–" in text
    assert "answered0.0 %0 of 5 photos" in text
    reason = "not reached" if "reached" in options else "the photo cannot be read"
    assert f"{reason}5photo-00000.jpg" in text


def test_worst_answers_are_the_farthest(two: tuple[Path, Path]) -> None:
    (run,) = shown(two[0])
    worst = worst_indices(run)
    answered = run.errors[np.isfinite(run.errors)]
    assert run.errors[worst].tolist() == sorted(answered.tolist(), reverse=True)[:20]


def test_thumbnails_come_from_the_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for path in (tmp_path / "secret.jpg", folder / "sub" / "one.jpg"):
        Image.new("RGB", (900, 600), "teal").save(path)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff not a photo")
    (folder / "way.jpg").symlink_to(tmp_path / "secret.jpg")
    uri = thumbnail(folder, "sub/one")
    assert uri.startswith("data:image/jpeg;base64,")
    assert len(uri) < 20_000
    for name in ("../secret.jpg", str(tmp_path / "secret.jpg"), "way.jpg", "broken", "gone", "\0"):
        assert thumbnail(folder, name) == ""


def test_a_trace_is_linked_only_beside_the_page(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 4, answered=1.0)
    (folder / "traces").mkdir()
    (folder / "traces" / "15.jsonl").write_text("{}")
    (run,) = shown(folder)
    beside = worst_cases(run, None, tmp_path / "page.html")
    assert {case.link for case in beside} == {"./run/traces/15.jsonl"}
    elsewhere = worst_cases(run, None, tmp_path / "other" / "page.html")
    assert {case.link for case in elsewhere} == {""}
    assert {case.trace for case in elsewhere} == {"traces/15.jsonl"}


def test_published_rows_stand_beside_their_benchmark_alone() -> None:
    assert benchmark_of("Im2GPS-3k") == BENCHMARKS["im2gps3k"]
    assert benchmark_of("OSV-5M test") == BENCHMARKS["osv5m"]
    assert benchmark_of("my im2gps3k") is None
    found = published_for("im2gps3k", 2997)
    assert {row.benchmark for row in found.rows} == {"im2gps3k"}
    assert [row.open_web for row in found.rows] == sorted(row.open_web for row in found.rows)
    assert "differ" in found.note
    assert published_for("im2gps3k", 300).rows == ()
    assert "300 of the 2,997" in published_for("im2gps3k", 300).note
    assert "they are of 2,997" in published_for("im2gps3k", 2900).note.lower()
    assert published_for("holiday", 2997).rows == ()


def test_published_figures_rise_with_the_distance() -> None:
    assert len(PUBLISHED) > 50
    assert len({(row.system, row.benchmark) for row in PUBLISHED}) == len(PUBLISHED)
    for row in PUBLISHED:
        known = [one for one in row.accuracies if one is not None]
        assert known
        assert known == sorted(known), row
        assert row.benchmark in BENCHMARKS
        assert row.source


def test_dots_that_coincide_are_drawn_once_and_that_is_told() -> None:
    generator = np.random.default_rng(3)
    many = np.column_stack(
        (generator.uniform(-60, 70, 30_000), generator.uniform(-180, 180, 30_000))
    )
    error = 10 ** generator.uniform(-1, 4, 30_000)
    error[:100] = np.inf
    found = error_map(many, error, [])
    assert found.drawn == MOST_DOTS == sum(layer.path.count("M") for layer in found.layers)
    assert sum(band.photos for band in found.bands) == 30_000
    assert found.bands[-1].photos == 100
    assert error_map(np.zeros((50, 2)), np.ones(50), []).drawn == 1
    assert error_map(np.empty((0, 2)), np.empty(0), []).drawn == 0


def test_a_line_over_the_antimeridian_is_lifted_there() -> None:
    def lines(truth: tuple[float, float], answer: tuple[float, float]) -> str:
        worst = [(np.array(truth), np.array(answer))]
        return error_map(np.array([truth]), np.array([9000.0]), worst).lines

    assert lines((10.0, 170.0), (10.0, -150.0)).count("M") == 2
    assert lines((10.0, 20.0), (40.0, 90.0)).count("M") == 1
    assert lines((10.0, 20.0), (10.0, 20.0)) == ""


def test_a_table_needs_truth_and_a_run_none(two: tuple[Path, Path], tmp_path: Path) -> None:
    table, truth = tmp_path / "answers.csv", tmp_path / "truth.csv"
    table.write_text("image_id,latitude,longitude\na,48.9,2.4\nb,text,1\n")
    truth.write_text("image_id,latitude,longitude\na,48.85,2.35\nb,10,10\nc,20,20\n")
    (run,) = shown(table, truth=truth)
    assert run.score.answered == 1
    text = text_of(render_evaluation([run]))
    assert "no prediction1c" in text
    assert "graticule evaluate score answers.csv truth.csv --distance" in text
    with pytest.raises(InputError, match="--truth"):
        shown(table)
    with pytest.raises(InputError, match="leave it out"):
        shown(two[0], truth=truth)
    with pytest.raises(InputError, match="1 to 6"):
        shown(*[two[0]] * 7)


def test_without_matplotlib_the_remedy_is_named(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"graticule\[evaluation\]"):
        write_evaluation(shown(two[0]), tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_values_of_a_manifest_are_short() -> None:
    assert plain(True) == "yes"
    assert plain({"steps": 8, "where": "/home/me/x/y.bin"}) == "steps: 8; where: …/y.bin"
    assert plain("/") == "/"
    assert len(plain("x" * 1000)) < 410


@pytest.fixture
def run_command() -> Callable[..., tuple[str, BaseException | None]]:
    def invoke(*arguments: object) -> tuple[str, BaseException | None]:
        done = CliRunner().invoke(command, [str(one) for one in arguments])
        return done.output, done.exception

    return invoke


def test_the_command_writes_beside_its_run_and_replaces_only_pages(
    tmp_path: Path, run_command: Callable[..., tuple[str, BaseException | None]]
) -> None:
    folder = write_run(tmp_path / "run", 3, answered=0.0)
    output, error = run_command(folder)
    assert error is None
    assert "1 run" in output
    assert (folder / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    again = NewFile(b"<!doctype html").convert(folder / "report.html", None, None)
    assert again == folder / "report.html"
    (tmp_path / "notes.txt").write_text("precious")
    _, error = run_command(folder, "--out", tmp_path / "notes.txt")
    assert isinstance(error, InputError)
    assert (tmp_path / "notes.txt").read_text() == "precious"
    _, error = run_command(folder, folder)
    assert isinstance(error, InputError)
    assert "--out" in str(error)


@pytest.mark.skipif(DATA is None, reason="needs shared/data, which is not on this machine")
def test_the_published_predictions_stand_beside_the_published_rows() -> None:
    assert DATA
    table = DATA / "predictions" / "im2gps_isn.csv"
    text = text_of(render_evaluation(shown(table, truth=DATA / "benchmarks" / "im2gps.csv")))
    for figure in ("16.9", "43.0", "51.9", "66.7", "80.2"):
        assert f"km{figure} %" in text
    assert "ISNs ECCV 2018, measured16.8843.0451.9066.6780.17" in text


@pytest.mark.slow
def test_the_largest_benchmark_gives_a_small_page_soon(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 25_600, dataset="yfcc26k")
    began = time.monotonic()
    size = write_evaluation(shown(folder), tmp_path / "page.html")
    assert size < 5_000_000
    assert time.monotonic() - began < 20
    assert "of 25,600 dots are drawn" in (tmp_path / "page.html").read_text("utf-8")
