"""`graticule batch` as a person meets it: one table, stopped and gone on with; bad input."""

import csv
import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agent.geolocator import Geolocator
from agent.settings import Settings
from agent.trace import check_trace
from tests.end_to_end.conftest import Command, Outcome, start

PLAIN = 24
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
CLOCK = {"seconds", "trace_path"}
WRONG = ("empty.jpg", "text.png")


@pytest.fixture
def folder(photos: Path, tmp_path: Path) -> Path:
    """Two photos, one below, and two files that are called photos and are none."""
    folder = tmp_path / "trip"
    (folder / "later").mkdir(parents=True)
    shutil.copy(photos / "0.jpg", folder / "0.jpg")
    shutil.copy(photos / "1.jpg", folder / "later" / "1.jpg")
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("not a photo")
    return folder


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos that show nothing, under a budget that is spent before anybody reads them."""
    monkeypatch.setenv("GRATICULE_BUDGET__TOOL_CALLS", "1")
    folder = tmp_path / "plain"
    folder.mkdir()
    for number in range(PLAIN):
        Image.new("RGB", (64, 48), (number * 4, 80, 120)).save(folder / f"{number:02}.png")
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def report(outcome: Outcome) -> Any:
    return outcome.document()


@pytest.mark.slow
def test_threads_answer_as_one_photo_after_the_other_does(
    command: Command, folder: Path, gallery: Path, home: Path, tmp_path: Path
) -> None:
    out = tmp_path / "all.csv"
    said = report(
        command("batch", folder, "--gallery", gallery, "--out", out, "--json",
                "--concurrency", "3", "--traces", tmp_path / "traces")
    )  # fmt: skip
    assert said["photos"] == 4
    assert said["counts"]["failed"] == len(WRONG)
    rows = {row["path"]: row for row in table(out)}
    assert list(rows) == ["0.jpg", "empty.jpg", "later/1.jpg", "text.png"]
    for name in WRONG:
        assert rows[name]["status"] == "failed"
        assert rows[name]["reason"].startswith("InputError: ")
    with Geolocator([gallery], settings=Settings(home=home)) as alone:
        for name in ("0.jpg", "later/1.jpg"):
            answer, row = alone.locate(folder / name), rows[name]
            assert row["status"] == answer.status == "located"
            assert (row["latitude"], row["longitude"]) == (
                str(answer.latitude),
                str(answer.longitude),
            )
            assert (row["photo_id"], row["explanation"]) == (answer.photo_id, answer.explanation)
            assert answer.radii
            assert float(row["km_95"]) == answer.radii.km_95
            assert int(row["evidence"]) == len(answer.evidence)
            assert row["claimed_latitude"] == str(answer.claimed_latitude)
            assert row["trusted_metadata"] == "False"
            trace = Path(row["trace_path"])
            assert trace.parent == tmp_path / "traces"
            assert check_trace(trace).finished


def test_a_second_run_locates_what_is_new(command: Command, plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.jsonl"
    arguments = ("batch", plain, "--out", out, "--json")
    (plain / "01.png").write_bytes(b"")
    said = report(command(*arguments, "--limit", "3"))
    assert (said["photos"], said["counts"]) == (3, {"undetermined": 2, "failed": 1})
    shutil.copy(plain / "02.png", plain / "01.png")
    for number in range(6, PLAIN):
        (plain / f"{number:02}.png").unlink()
    said = report(command(*arguments))
    assert (said["photos"], said["from_earlier_runs"]) == (6, 2)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["path"] for row in rows] == [f"{number:02}.png" for number in range(6)]
    assert {row["status"] for row in rows} == {"undetermined"}
    before = out.read_bytes()
    assert report(command(*arguments))["from_earlier_runs"] == 6
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_stopped_batch_keeps_what_is_done_and_goes_on(
    number: signal.Signals, plain: Path, home: Path, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "all.csv"
    journal = tmp_path / "all.csv.journal.jsonl"
    arguments = ("batch", plain, "--out", out, "--concurrency", "1")
    with start(*arguments, home=home) as process:
        while process.poll() is None and (
            not journal.exists() or journal.read_bytes().count(b"\n") < 2
        ):
            time.sleep(0.01)
        process.send_signal(number)
        began = time.monotonic()
        stdout, stderr = process.communicate(timeout=60)
        seconds = time.monotonic() - began
    assert process.returncode == CODES[number], stderr
    assert seconds < 5
    assert stdout == ""
    assert stderr == (
        "graticule: stopped; finished work is kept, run the same command again to go on\n"
    )
    done = {row["path"] for row in table(out)}
    assert "00.png" in done
    assert len(done) < PLAIN
    assert not list(tmp_path.glob(".part-*"))
    said = report(command(*arguments, "--json"))
    assert said["from_earlier_runs"] == len(done)
    assert len(table(out)) == PLAIN


class TestBadInput:
    """Refused before any work: nothing is written."""

    def test_another_table(self, command: Command, folder: Path, tmp_path: Path) -> None:
        command("batch", folder, "--out", tmp_path / "r.xlsx").refused(2, "r.xlsx", ".parquet")
        command("batch", folder, "--out", tmp_path / "no" / "r.csv").refused(2, "No such file")
        (tmp_path / "diary.csv").write_text("dear,diary\n")
        command("batch", folder, "--out", tmp_path / "diary.csv").refused(2, "something else")
        assert (tmp_path / "diary.csv").read_text() == "dear,diary\n"

    def test_no_photos(self, command: Command, tmp_path: Path) -> None:
        (tmp_path / "bare").mkdir()
        out = tmp_path / "r.csv"
        command("batch", tmp_path / "bare", "--out", out).refused(2, "no photos in", "bare")
        command("batch", tmp_path / "absent", "--out", out).refused(2, "absent")
        command("batch", tmp_path / "bare", "--out", out, "--concurrency", "0").refused(2, "0")
        assert not out.exists()

    def test_without_pyarrow(
        self, command: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
        said = command("batch", folder, "--out", tmp_path / "r.parquet")
        said.refused(3, "graticule[sources]")
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("r.")] == []

    def test_other_settings(
        self, command: Command, folder: Path, gallery: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "r.csv"
        for name in ("0.jpg", "later/1.jpg"):
            (folder / name).unlink()
        assert command("batch", folder, "--gallery", gallery, "--out", out).code == 0
        command("batch", folder, "--out", out).refused(2, "galleries", "another --out")
        command("batch", folder, "--gallery", gallery, "--out", out, "--trust-metadata").refused(
            2, "trust_metadata was false, now true"
        )

    def test_a_folder_that_cannot_be_written_to(
        self, command: Command, folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "r.csv.journal.jsonl").mkdir()
        command("batch", folder, "--out", tmp_path / "r.csv").refused(2, "r.csv.journal.jsonl")
