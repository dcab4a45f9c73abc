"""What fused answers come to: accuracy, paired differences, coverage, curves, tables, pictures."""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from agent.factors import Settlements
from cli.evaluate_fuse import fuse
from cli.fusion_table import print_fusion
from cli.main import main
from evaluation import fusion_confidence, fusion_fits
from evaluation.answer_panel import Panel, panel_of
from evaluation.fusion import Fit, cross_validate
from evaluation.fusion_plots import draw_fusion
from evaluation.fusion_scores import EACH, HINDSIGHT, ORACLE, Comparison, RuleScore, compare
from evaluation.fusion_study import FusionReport, plans_for, study
from evaluation.fusion_uncalibrated import uncalibrated
from evaluation.lmm_answers import Photo
from geo import sphere
from geo.errors import InputError
from tests.unit.fusion_samples import First, Honest, answers_of, drawn_panel, truths

FITS: dict[str, Fit] = {"first": lambda training: First()}
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def rule(comparison: Comparison, name: str) -> RuleScore:
    return next(one for one in comparison.rules if one.name == name)


def shares(comparison: Comparison, name: str) -> list[float]:
    return [figure.value for figure in rule(comparison, name).accuracy.values()]


def one_model(away_km: Sequence[float], stated: Sequence[float] | None = None) -> Panel:
    """Return a model that is so far off, photo by photo; NaN is no answer."""
    where = truths(len(away_km))
    km = np.nan_to_num(np.array(away_km))
    points = sphere.destination(where.points[:, 0], where.points[:, 1], 90.0, km)
    points[np.isnan(away_km)] = np.nan
    return panel_of(answers_of("m", where.ids, points, stated), where)


def compared(panel: Panel, repeats: int = 1) -> Comparison:
    return compare(panel, cross_validate(panel, FITS, folds=2, repeats=repeats), "first")


def test_accuracy_counts_missing_answers_as_misses() -> None:
    found = compared(one_model([0.5, 20, 20, 150, 700, 2400, 9000, np.nan]))
    assert shares(found, "first") == [1 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8]
    first = rule(found, "first")
    assert first.answered == 7 / 8
    assert first.minus_belief is None
    assert first.kind == "belief"
    apart = rule(found, "best model").minus_belief
    assert apart
    assert all((one.value, one.standard_error) == (0, 0) for one in apart.values())
    error = first.accuracy["25"].standard_error
    assert error == pytest.approx((3 / 8 * 5 / 8 / 8) ** 0.5, rel=0.1)


def test_photos_of_one_place_do_not_pass_for_independent() -> None:
    lone = drawn_panel({"a": 0.5}, 40, per_place=1)
    four = drawn_panel({"a": 0.5}, 40, per_place=4)
    # All photos of a place are right or none is.
    alike = tuple(four.photos[row - row % 4] for row in range(40))
    found = [compared(Panel(photos, ("a",))) for photos in (lone.photos, alike)]
    errors = [rule(one, "first").accuracy["25"].standard_error for one in found]
    assert errors[1] == pytest.approx(2 * errors[0], rel=0.35)


def test_repeats_do_not_pass_for_photos() -> None:
    panel = drawn_panel({"a": 0.5, "b": 0.5}, 30)
    once, thrice = compared(panel), compared(panel, repeats=3)
    errors = [rule(one, "first").accuracy["25"].standard_error for one in (once, thrice)]
    assert errors[0] == errors[1]
    assert rule(thrice, "best model").range["25"][0] <= shares(thrice, "best model")[1]


def test_who_knows_the_truth_is_told_apart_and_never_worse() -> None:
    panel = drawn_panel({"a": 0.6, "b": 0.5, "c": 0.4}, 40)
    found = compared(panel)
    singles = np.array([shares(found, model) for model in panel.models])
    assert shares(found, EACH) == singles.max(axis=0).tolist()
    assert all(np.array(shares(found, ORACLE)) >= singles.max(axis=0))
    assert shares(found, HINDSIGHT) in singles.tolist()
    assert {one.name for one in found.rules if one.kind == "hindsight"} == {EACH, ORACLE, HINDSIGHT}


class Known:
    """Radii of 10, 20 and 44 km; sure where it is told to be."""

    def __init__(self, sure: dict[str, float]) -> None:
        self.sure = sure

    def answer(self, photo: Photo) -> Honest | None:
        point = photo.answers[0].point
        return Honest(point, 10.0, self.sure[photo.image_id]) if point else None


def test_coverage_of_radii() -> None:
    panel = one_model([5, 5, 15, 15, 30, 30, 100, np.nan])
    found = {one.nominal: one for one in compared(panel).coverage}
    assert [found[level].coverage.value for level in (0.5, 0.8, 0.95)] == pytest.approx(
        [2 / 7, 4 / 7, 6 / 7]
    )
    assert found[0.8].median_km == 20
    assert found[0.8].coverage.standard_error > 0


def test_confidence_that_orders_perfectly_and_one_that_says_nothing() -> None:
    away = [5.0] * 10 + [500.0] * 10
    panel = one_model(away, stated=[5.0] * 20)
    sure = {photo.image_id: 1.0 - km / 1000 for photo, km in zip(panel.photos, away, strict=True)}
    crossed = cross_validate(panel, {"known": lambda training: Known(sure)}, folds=2, repeats=1)
    found = {(one.name, one.ranks): one for one in compare(panel, crossed, "known").signals}
    perfect, silent = found["belief", "known"], found["stated by the best model", "best model"]
    assert perfect.aurc.value == pytest.approx(sum(k / (10 + k) for k in range(1, 11)) / 20)
    assert silent.aurc.value == pytest.approx(0.5)
    assert silent.minus_belief
    assert silent.minus_belief.value == pytest.approx(0.5 - perfect.aurc.value)
    assert perfect.risk_at == {"0.25": 0, "0.5": 0, "0.75": pytest.approx(1 / 3), "1": 0.5}
    assert silent.belief_below == 1


def test_agreement_tells_right_from_wrong() -> None:
    panel = drawn_panel({f"m{n}": 0.6 for n in range(5)}, 60)
    found = compared(panel).agreement
    assert sum(one.photos for one in found) == 60
    assert found[-1].cluster_medoid == 1
    assert found[0].cluster_medoid < 0.5


@pytest.fixture(autouse=True, scope="module")
def _few_resamples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fusion_confidence, "CURVE_RESAMPLES", 20)
        yield


@pytest.fixture(scope="module")
def studied() -> tuple[Panel, FusionReport, list[object]]:
    panel = drawn_panel({f"m{n}": 0.3 + n / 10 for n in range(6)}, 18)
    told: list[tuple[str, int, int]] = []
    report, crossed = study(
        panel, FITS, "first", folds=3, repeats=1, progress=lambda *now: told.append(now)
    )
    assert len(told) == 4 * 4
    assert told[-1][1:] == (3, 3)
    return panel, report, list(crossed)


def test_a_report_is_data(studied: tuple[Panel, FusionReport, list[object]]) -> None:
    _, report, _ = studied
    assert FusionReport.model_validate_json(report.model_dump_json()) == report
    assert [(one.by, one.subset) for one in report.comparisons] == plans_for(6)
    assert plans_for(5) == [("cluster", "all"), ("photo", "all")]
    assert {one.coordinates for one in report.models} == {18}


def test_a_report_is_printed(studied: tuple[Panel, FusionReport, list[object]]) -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    print_fusion(studied[1], console)
    shown = console.export_text()
    for word in ("DualGeo", "oracle", "one standard error", "haversine (6371 km), <=", "Risk"):
        assert word in shown
    assert all(len(line) <= 100 for line in shown.splitlines())


def test_pictures(studied: tuple[Panel, FusionReport, list[object]], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    panel, report, crossed = studied
    paths = draw_fusion(panel, report, crossed, tmp_path / "plots")  # type: ignore[arg-type]
    assert [path.name for path in paths] == ["fusion-accuracy.svg", "fusion-risk-coverage.svg"]
    assert all(path.read_bytes().startswith(b"<?xml") for path in paths)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot hold pictures"):
        draw_fusion(panel, report, crossed, tmp_path / "file")  # type: ignore[arg-type]


@pytest.fixture
def tables(
    tmp_path: Path, settlements: Settlements, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """Two models on eight photos, as tables; the command believes in a small world."""
    fits = {fusion_fits.REFERENCE: uncalibrated(settlements)}
    monkeypatch.setattr(fusion_fits, "fits_of", lambda: fits)
    monkeypatch.setattr("cli.progress.prepare_gazetteer", lambda *, quiet: None)
    points, _, _ = settlements
    answers = ["image_id,model,latitude,longitude,confidence"]
    truth = ["image_id,latitude,longitude"]
    for number, (latitude, longitude) in enumerate(points[:8].tolist()):
        truth.append(f"p{number},{latitude},{longitude}")
        answers.append(f"p{number},good,{latitude},{longitude + 0.01},5")
        answers.append(f"p{number},bad,{-latitude},{longitude},4")
    answers.append("p9,bad,1,2,3")
    paths = tmp_path / "answers.csv", tmp_path / "truth.csv"
    for path, lines in zip(paths, (answers, truth), strict=True):
        path.write_text("\n".join(lines) + "\n")
    return paths


def test_the_command_prints_json(tables: tuple[Path, Path]) -> None:
    arguments = [*map(str, tables), "--folds", "2", "--repeats", "1", "--json"]
    shown = CliRunner().invoke(fuse, arguments, catch_exceptions=False)
    assert shown.exit_code == 0
    report = json.loads(shown.stdout)
    assert (report["photos"], report["unknown"], report["unknown_ids"]) == (8, 1, ["p9"])
    rules = {one["name"]: one for one in report["comparisons"][0]["rules"]}
    assert rules["best model"]["accuracy"]["1"]["value"] == 1
    assert rules["bad"]["accuracy"]["2500"]["value"] == 0


def test_the_command_prints_tables(tables: tuple[Path, Path]) -> None:
    shown = CliRunner().invoke(fuse, [*map(str, tables), "--folds", "2", "--repeats", "1"])
    assert shown.exit_code == 0
    assert "answers to photos without truth, left out: 1 (p9, ...)" in shown.stdout


def test_one_model_and_its_belief(tables: tuple[Path, Path]) -> None:
    arguments = ["--folds", "2", "--repeats", "1", "--models", "good"]
    shown = CliRunner().invoke(fuse, [*map(str, tables), *arguments])
    assert shown.exit_code == 0
    assert "One model" in shown.stdout


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--models", "best"], "no answer of model 'best'"),
        (["--folds", "9"], "9 folds of 8 groups"),
    ],
)
def test_what_the_command_refuses(
    tables: tuple[Path, Path], more: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "fuse", *map(str, tables), *more]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.slow
def test_on_published_answers_many_models_beat_the_plain_mean() -> None:
    answers, truth = SHARED / "predictions/lmm_answers.jsonl", SHARED / "benchmarks/lmm_photos.csv"
    if not answers.is_file():
        pytest.skip("no predictions/lmm_answers.jsonl: raw answers to measure on are not at hand")
    from evaluation.lmm_answers import read_answers
    from evaluation.tables import read_truths

    panel = panel_of(read_answers(answers), read_truths(truth))
    assert (len(panel.photos), len(panel.models), panel.clusters.max() + 1) == (143, 10, 115)
    found = compare(panel, cross_validate(panel, FITS, repeats=1), "first")
    # As published on other photos: a cluster helps at 25 km, a mean of everything costs 1 km.
    assert shares(found, "DualGeo")[1] > shares(found, "best model")[1]
    assert shares(found, "DualGeo, its centre")[0] < shares(found, "best model")[0]
    assert found.agreement[-1].cluster_medoid > 0.9 > 0.3 > found.agreement[0].cluster_medoid


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_calibrated_belief_on_published_answers() -> None:
    """Belief beats the best single model, DualGeo's rule and the medoid, and its radii hold."""
    answers, truth = SHARED / "predictions/lmm_answers.jsonl", SHARED / "benchmarks/lmm_photos.csv"
    if not answers.is_file():
        pytest.skip("no predictions/lmm_answers.jsonl: raw answers to measure on are not at hand")
    from evaluation.lmm_answers import read_answers
    from evaluation.tables import read_truths

    panel = panel_of(read_answers(answers), read_truths(truth))
    fits = {fusion_fits.BELIEF: fusion_fits.fits_of()[fusion_fits.BELIEF]}
    found = compare(panel, cross_validate(panel, fits, repeats=1), fusion_fits.BELIEF)
    belief = rule(found, fusion_fits.BELIEF).accuracy
    for name in ("best model", HINDSIGHT, EACH):
        best = rule(found, name).accuracy
        assert belief["25"].value > best["25"].value
        for km, figure in best.items():
            assert belief[km].value >= figure.value - figure.standard_error
    for name in ("DualGeo", "medoid"):
        ours, theirs = shares(found, fusion_fits.BELIEF), shares(found, name)
        assert ours[0] >= theirs[0]
        assert ours[1] >= theirs[1]
    for radius in found.coverage:
        assert radius.coverage.value == pytest.approx(radius.nominal, abs=0.05)
    words = [one for one in found.signals if one.name == "stated" and one.ranks in panel.models]
    assert len(words) == 10
    assert all(one.minus_belief is not None and one.minus_belief.value > 0 for one in words)
