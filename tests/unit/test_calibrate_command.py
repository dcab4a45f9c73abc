"""`graticule evaluate calibrate` as a user meets it."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.calibration import Calibration, Reliability, read_calibration
from agent.factors import Settlements
from cli.main import main
from evaluation import calibrating
from evaluation.runs import ROWS, RunManifest, RunRow, write_manifest
from tests.unit.honesty_samples import Pair, drawn_run, radii
from tools.evidence import Candidate, Evidence


def with_evidence(pair: Pair) -> Pair:
    truth, row = pair
    if row.latitude is None or row.longitude is None:
        return pair
    candidate = Candidate(
        latitude=row.latitude, longitude=row.longitude, radius_km=5.0, score=1.0, rank=1,
        source="gallery:test", kind="photo",
    )  # fmt: skip
    item = Evidence(
        tool="search_similar_photos", kind="match", summary="a match", candidates=(candidate,),
        weight=0.9, group="retrieval",
    )  # fmt: skip
    return truth, row.model_copy(update={"evidence": (item,)})


def write_run(folder: Path, pairs: Sequence[Pair], **changes: str) -> Path:
    named = {"recipe": "pipeline", "dataset": "towns"} | changes
    manifest = RunManifest(**named, photos=len(pairs), truths=tuple(truth for truth, _ in pairs))  # type: ignore[arg-type]
    write_manifest(folder, manifest)
    rows = "".join(row.model_dump_json() + "\n" for _, row in map(with_evidence, pairs))
    (folder / ROWS).write_text(rows, encoding="utf-8")
    return folder


class FakeFit:
    """Widens all radii four times; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, object]] = []
        self.ids: list[str] = []

    def fit(self, pairs: Sequence[Pair], settlements: Settlements, **named: str) -> Calibration:
        self.asked.append(named | {"pairs": len(pairs)})
        self.ids = [truth.image_id for truth, _ in pairs]
        sources = {"match": Reliability(odds=0.5, widen=4.0)}
        return Calibration(photos=len(pairs), sources=sources, **named)  # type: ignore[arg-type]

    def cross_validated(
        self, pairs: Sequence[Pair], settlements: Settlements, **named: object
    ) -> list[RunRow]:
        self.asked.append(named)
        return [
            row.model_copy(update={"radii": radii(row.radii.km_50 * 4)}) if row.radii else row
            for _, row in pairs
        ]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, settlements: Settlements) -> FakeFit:
    fake = FakeFit()
    monkeypatch.setattr(calibrating, "fit", fake.fit)
    monkeypatch.setattr(calibrating, "cross_validated", fake.cross_validated)
    monkeypatch.setattr("cli.evaluate_calibrate._settlements", lambda quiet: settlements)
    return fake


def calibrate(*words: object) -> int:
    return main(["evaluate", "calibrate", *map(str, words)])


def test_it_reports_before_and_after_and_writes_the_file(
    tmp_path: Path, fake: FakeFit, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", drawn_run(120, stated=0.25, failed=3, authors=40))
    out = tmp_path / "new.json"
    assert calibrate(run, "--out", out, "--folds", 4, "--plots", tmp_path / "plots") == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "pipeline on towns: 123 answers to judge, 3 of them missing" in told.out
    assert "haversine on a sphere of 6371 km, <=" in told.out
    assert "neither its photo, nor its author, nor its place (4 folds)" in told.out
    assert "3 answers state no radii" in told.out
    assert "Judge it on other photos" in told.out
    assert f"graticule locate --calibration {out} PHOTO" in told.out
    assert all(len(line) <= 100 for line in told.out.splitlines() if str(tmp_path) not in line)
    assert read_calibration(out).fitted_on == "towns"
    assert read_calibration(out).version in told.out
    named = {"recipe": "pipeline", "fitted_on": "towns"}
    assert fake.asked == [named | {"folds": 4}, named | {"pairs": 123}]
    assert len(list((tmp_path / "plots").glob("*/*.svg"))) == 8
    assert calibrate(run, "--out", out) == 0  # its own file may be written again


def test_json_holds_it_all(
    tmp_path: Path, fake: FakeFit, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", drawn_run(60, stated=0.25))
    options = ["--json", "--within-km", 200, "--abstain-loss", 0.4, "--operator", "lt"]
    assert calibrate(run, "--out", tmp_path / "new.json", *options) == 0
    found = json.loads(capsys.readouterr().out)
    before, after = (found[name]["honesty"]["coverage"][1]["share"] for name in ("before", "after"))
    assert before < 0.4
    assert 0.65 < after < 0.95
    assert found["after"]["honesty"]["within_km"] == 200
    assert found["after"]["honesty"]["conditions"].endswith("<")
    assert found["after"]["abstention"]["threshold"] == pytest.approx(0.6)
    assert "only 60 photos with evidence, under 100" in found["warnings"][0]
    assert found["version"].startswith("k")


def test_runs_of_one_recipe_are_pooled(
    tmp_path: Path, fake: FakeFit, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = drawn_run(15)
    first = write_run(tmp_path / "a", pairs)
    again = write_run(tmp_path / "b", pairs)
    assert calibrate(first, again, "--out", tmp_path / "new.json") == 2
    said = capsys.readouterr().err
    assert "15 photos with truth and evidence, of 15 in all" in said  # seeds are no new photos
    assert "at least 20; run more photos" in said
    # Other photos of the same names, as in folders of 1.jpg, 2.jpg and so on.
    other = write_run(tmp_path / "c", drawn_run(15, seed=1), dataset="villages")
    assert calibrate(first, other, "--out", tmp_path / "new.json", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fitted_on"] == "towns + villages"
    assert found["photos"] == 30
    assert fake.ids == [truth.image_id for truth, _ in pairs] * 2  # by which a photo is known


def test_photos_without_evidence_say_nothing(
    tmp_path: Path, fake: FakeFit, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", drawn_run(19, failed=50))
    assert calibrate(run, "--out", tmp_path / "new.json") == 2
    assert "19 photos with truth and evidence, of 69 in all" in capsys.readouterr().err
    assert not (tmp_path / "new.json").exists()
    assert fake.asked == []


def test_photos_not_reached_are_told(
    tmp_path: Path, fake: FakeFit, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", drawn_run(120))
    rows = (run / ROWS).read_text().splitlines(keepends=True)
    (run / ROWS).write_text("".join(rows[:110]))
    assert calibrate(run, "--out", tmp_path / "new.json") == 0
    assert "10 photos were not reached" in capsys.readouterr().err


def test_what_does_not_go_together_is_refused(
    tmp_path: Path, fake: FakeFit, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", drawn_run(30))
    other = write_run(tmp_path / "other", drawn_run(30), recipe="agentic")
    out = tmp_path / "new.json"
    assert calibrate(run, other, "--out", out) == 2
    assert "2 recipes in these runs ('pipeline', 'agentic')" in capsys.readouterr().err
    assert calibrate(run, tmp_path / "." / "run", "--out", out) == 2
    assert "is given twice" in capsys.readouterr().err
    assert calibrate(tmp_path / "nothing", "--out", out) == 2
    assert "holds no run" in capsys.readouterr().err
    out.write_text('{"mine": 1}')
    assert calibrate(run, "--out", out) == 2
    assert "something else, which would be lost" in capsys.readouterr().err
    assert calibrate(run, "--within-km", 0, "--out", tmp_path / "x.json") == 2
    assert calibrate(run, "--folds", 1, "--out", tmp_path / "x.json") == 2


def test_pictures_that_cannot_be_drawn_are_told_before_the_work(
    tmp_path: Path,
    fake: FakeFit,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = write_run(tmp_path / "run", drawn_run(30))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert calibrate(run, "--out", tmp_path / "new.json", "--plots", tmp_path / "plots") == 2
    assert "pip install 'graticule[evaluation]'" in capsys.readouterr().err
    assert fake.asked == []


def test_names_of_others_are_printed_as_text(
    tmp_path: Path, fake: FakeFit, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", drawn_run(30, verbal=False), dataset="\x1b[2Jtowns")
    assert calibrate(run, "--out", tmp_path / "new.json") == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "no answer has one" in told


def test_installed_it_goes_with_its_recipe(
    tmp_path: Path,
    fake: FakeFit,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRATICULE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    stored = tmp_path / "home" / "calibrations" / "pipeline.json"
    run = write_run(tmp_path / "run", drawn_run(30))
    assert calibrate(run, "--install") == 0
    assert f"{stored}: {read_calibration(stored).version}; use it so:" in (
        told := capsys.readouterr().out
    )
    assert "graticule locate --recipe pipeline PHOTO" in told
    assert not (tmp_path / "calibration.json").exists()
    assert calibrate(run, "--install", "--out", "own.json", "--json") == 0  # replaced by its kind
    found = json.loads(capsys.readouterr().out)
    assert (found["path"], found["installed"]) == ("own.json", str(stored))
    assert read_calibration(tmp_path / "own.json") == read_calibration(stored)
    assert calibrate(run) == 0
    assert "--install stores it with its recipe" in capsys.readouterr().out
    assert read_calibration(tmp_path / "calibration.json") == read_calibration(stored)


def test_what_cannot_be_installed_is_told_before_the_work(
    tmp_path: Path,
    fake: FakeFit,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRATICULE_HOME", str(tmp_path / "home"))
    run = write_run(tmp_path / "run", drawn_run(30))
    stored = tmp_path / "home" / "calibrations" / "pipeline.json"
    stored.parent.mkdir(parents=True)
    stored.write_text("mine")
    assert calibrate(run, "--install") == 2
    assert "something else, which would be lost" in capsys.readouterr().err
    assert (stored.read_text(), fake.asked) == ("mine", [])
    stored.unlink()
    stored.parent.rmdir()
    stored.parent.write_text("")
    assert calibrate(run, "--install") == 2
    assert "leave --install out" in capsys.readouterr().err
    assert fake.asked == []


@pytest.mark.parametrize("option", ["--within-km", "--abstain-loss"])
def test_what_is_no_number_is_refused(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(tmp_path, option, "nan") == 2
    assert f"'{option}': 'nan' is no number" in capsys.readouterr().err


def test_a_calibration_that_does_harm_is_warned_of(
    fake: FakeFit,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def astray(pairs: Sequence[Pair], *_: object, **__: object) -> list[RunRow]:
        return [row.model_copy(update={"latitude": -80.0}) for _, row in pairs]

    monkeypatch.setattr(calibrating, "cross_validated", astray)
    assert calibrate(write_run(tmp_path / "run", drawn_run(40)), "--out", tmp_path / "c.json") == 0
    assert "better not use it" in capsys.readouterr().err
