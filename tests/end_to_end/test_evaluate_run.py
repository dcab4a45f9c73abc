"""`graticule evaluate run` as a person meets it: rendered photos, stopped, killed, gone on with."""

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli.main import main
from evaluation.runs import Run
from evaluation.world import World, write_world
from tests.end_to_end.conftest import Command, start

PLAIN = 16


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return write_world(tmp_path_factory.mktemp("world"), scenes=2, views=2)


@pytest.fixture(scope="module")
def photographed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of the world: of each corner one photo by anna and one by ben."""
    folder = tmp_path_factory.mktemp("galleries")
    lines = ["file,latitude,longitude,author"]
    for number, shot in enumerate(world.gallery):
        name = Path(shot.file).relative_to("gallery").as_posix()
        lines.append(f"{name},{shot.latitude},{shot.longitude},{('anna', 'ben')[number % 2]}")
    (folder / "positions.csv").write_text("\n".join(lines))
    out = folder / "gallery"
    built = main(
        ["gallery", "build", str(world.gallery_folder), "--out", str(out), "--json",
         "--positions", str(folder / "positions.csv")]
    )  # fmt: skip
    assert built == 0
    return out


def truth(world: World, path: Path, author: str = "") -> Path:
    """Write the truth of the corners' queries, and of one gallery photo that is a query too."""
    known = {shot.scene for shot in world.gallery}
    shots = [shot for shot in world.queries if shot.scene in known] + [world.gallery[0]]
    lines = ["image_id,author,latitude,longitude,country"]
    lines += [f"{s.file},{author},{s.latitude},{s.longitude},{s.country}" for s in shots]
    path.write_text("\n".join(lines))
    return path


def everything(*folders: Path) -> bytes:
    return b"".join(
        path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()
    )


@pytest.mark.slow
def test_a_dataset_is_located_without_what_would_give_it_away(
    command: Command, world: World, photographed: Path, home: Path, tmp_path: Path
) -> None:
    table, out = truth(world, tmp_path / "corners.csv"), tmp_path / "run"
    said = command(
        "evaluate", "run", table, "--images", world.folder, "--recipe", "pipeline",
        "--gallery", photographed, "--out", out, "--concurrency", "2", "--json",
    ).document()  # fmt: skip
    run = Run.read(out)
    assert run.complete
    assert said["photos"] == len(run.rows) == 3
    galleries: Any = run.manifest.protocol["galleries"]
    (stated,) = galleries.values()
    # The photo that is in the gallery itself, whose own row must not answer for it.
    assert stated["near_duplicates_excluded"] == 1
    assert stated["photos_left"] == len(world.gallery) - 1
    pairs = list(run.pairs())
    for _, row in pairs:
        assert row.evidence
        assert row.stages["final"] == ((row.latitude, row.longitude),)
        assert (out / row.trace_path).is_file()
    twin = pairs[-1][1]
    assert not any("same file" in item.summary for item in twin.evidence)
    score: Any = said["score"]
    assert score["photos"] == 3
    # What model and tools were given is in the traces and in the photo store.
    given = everything(out / "traces", home / "photos")
    assert given
    for query, _ in pairs:
        assert Path(query.image_id).stem.encode() not in given


@pytest.mark.slow
def test_the_same_photographer_answers_for_nobody(
    command: Command, world: World, photographed: Path, tmp_path: Path
) -> None:
    """With the photographer's photos a corner is found; without them it is not."""
    found = {}
    for author in ("anna", "ben", "carl"):
        table = truth(world, tmp_path / f"{author}.csv", author)
        out = tmp_path / f"run-{author}"
        command(
            "evaluate", "run", table, "--images", world.folder, "--recipe", "pipeline",
            "--gallery", photographed, "--out", out, "--json",
        ).document()  # fmt: skip
        run = Run.read(out)
        galleries: Any = run.manifest.protocol["galleries"]
        (stated,) = galleries.values()
        found[author] = stated["photos_left"]
        sources = {
            candidate.label
            for row in run.rows.values()
            for item in row.evidence
            if item.kind == "match"
            for candidate in item.candidates
        }
        assert stated["photographers_excluded"] == (author != "carl"), sources
    assert found["carl"] == 3
    assert found["anna"] == 2
    assert found["ben"] == 1


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos that show nothing, under a budget that is spent before anybody reads them."""
    monkeypatch.setenv("GRATICULE_BUDGET__TOOL_CALLS", "1")
    folder = tmp_path / "plain"
    folder.mkdir()
    lines = ["image_id,author,latitude,longitude"]
    for number in range(PLAIN):
        name = f"Timbuktu-{number:02}.jpg"
        shades = Image.linear_gradient("L").rotate(number * 9)
        shades.save(folder / name, comment=b"Timbuktu by Annabel")
        lines.append(f"{name},Annabel,{number},{number + 1}")
    (folder / "truth.csv").write_text("\n".join(lines))
    return folder


def test_no_name_and_no_metadata_reaches_the_run(
    command: Command, plain: Path, home: Path, tmp_path: Path
) -> None:
    """What model and tools were given is in the traces and in the photo store."""
    out = tmp_path / "run"
    arguments = (
        "evaluate", "run", plain / "truth.csv", "--recipe", "pipeline", "--out", out,
        "--limit", "3", "--json",
    )  # fmt: skip
    said = command(*arguments).document()
    assert (said["photos"], said["counts"]) == (3, {"undetermined": 3})
    score: Any = said["score"]
    assert (score["photos"], score["answered"]) == (3, 0)
    given = everything(out / "traces", home / "photos")
    assert given.count(b"undetermined") >= 3
    for word in (b"Timbuktu", b"Annabel", str(plain).encode()):
        assert word in everything(plain) + str(plain).encode()
        assert word not in given
    before = (out / "rows.jsonl").read_bytes()
    assert command(*arguments).document()["from_earlier_runs"] == 3
    assert (out / "rows.jsonl").read_bytes() == before
    words = command(*arguments[:-1]).stdout
    assert "answered 0.0 % of 3; accuracy at 1 km 0.0 %" in words
    assert "haversine on a sphere of 6371 km, <= threshold" in words
    assert "next: graticule evaluate score" in words
    other = command(*arguments, "--encoder", "none")
    other.refused(2, "holds another run: encoder was", "another --out")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_keeps_what_is_done_and_goes_on(
    number: signal.Signals, plain: Path, home: Path, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "run"
    rows = out / "rows.jsonl"
    arguments = (
        "evaluate", "run", plain / "truth.csv", "--recipe", "pipeline", "--out", out,
        "--concurrency", "1",
    )  # fmt: skip
    with start(*arguments, home=home) as process:
        while process.poll() is None and (not rows.exists() or rows.read_bytes().count(b"\n") < 2):
            time.sleep(0.01)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
    assert process.returncode == codes[number], stderr
    if number != signal.SIGKILL:
        assert stderr.startswith("graticule: stopped; finished work is kept")
        assert not (out / ".neutral").exists()
    done = rows.read_bytes().count(b"\n")
    assert 2 <= done < PLAIN
    said = command(*arguments, "--json").document()
    assert said["from_earlier_runs"] == done
    assert Run.read(out).complete
    assert sorted(path.name for path in out.iterdir()) == [
        "photos.jsonl", "rows.jsonl", "run.json", "traces",
    ]  # fmt: skip


class TestBadInput:
    """Refused before any work: nothing is written."""

    def test_what_is_no_dataset(self, command: Command, tmp_path: Path) -> None:
        out = ("--out", tmp_path / "run")
        command("evaluate", "run", "im2gps3k", *out).refused(2, "--truth CSV", "--images FOLDER")
        command("evaluate", "run", tmp_path / "absent", *out).refused(2, "absent", "im2gps3k")
        (tmp_path / "t.csv").write_text("image_id,latitude,longitude\na.jpg,1,2\n")
        command("evaluate", "run", tmp_path / "t.csv", *out).refused(2, "none of the 1 photos")
        assert not (tmp_path / "run").exists()

    def test_metadata_is_never_trusted(
        self, command: Command, photos: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "run"
        said = command("evaluate", "run", photos, "--out", out, "--trust-metadata")
        said.refused(2, "--trust-metadata", "neutral copies")

    def test_a_folder_of_something_else(
        self, command: Command, photos: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "photos"
        shutil.copytree(photos, folder)
        before = sorted(path.name for path in folder.iterdir())
        command("evaluate", "run", folder, "--recipe", "pipeline", "--out", folder).refused(
            2, "and no run", "empty folder"
        )
        assert sorted(path.name for path in folder.iterdir()) == before
        (folder / "0.jpg").rename(tmp_path / "file")
        command(
            "evaluate", "run", folder, "--recipe", "pipeline", "--out", tmp_path / "file"
        ).refused(2, "file")


def test_help_is_instant_and_names_the_datasets(command: Command) -> None:
    said = command("evaluate", "run", "--help").stdout
    for name in ("im2gps", "yfcc26k", "gws15k", "osv5m", "--without-placeholders", "--overlays"):
        assert name in said
