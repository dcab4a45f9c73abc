"""The gallery commands as a person runs them: clean output, exit codes, stopped and run again."""

import csv
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import main
from index_builder import gallery_query
from index_builder.manifest import read_manifest
from tests.aligned_fakes import GlobeEncoder, photo_of
from tests.end_to_end.conftest import Outcome, start
from tests.unit.upkeep_samples import Row, bytes_of, identity, photo, started, write_gallery

COUNT = 24
SECRET = "Zacharias Quintavalle"
Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a gallery command in this process; no gazetteer is needed."""
    monkeypatch.setenv("GRATICULE_HOME", str(tmp_path / "home"))

    def running(*arguments: str | Path) -> Outcome:
        capfd.readouterr()
        code = main(["gallery", *map(str, arguments)])
        return Outcome(code, *capfd.readouterr())

    return running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [photo(n, author=SECRET if n % 4 == 0 else "ben") for n in range(COUNT)]
    return write_gallery(tmp_path / "trip", rows, files=True)


def test_info_is_a_table_for_people_and_json_for_programs(run: Run, folder: Path) -> None:
    told = run("info", folder)
    assert told.code == 0
    for word in ("trip", "24 photos", "fingerprint aaaaaaaa", "loaded as 'geoclip'", "8 bits",
                 "Germany", "25.0 %", "flickr", "CC BY 4.0", "small copies"):  # fmt: skip
        assert word in told.stdout, told.stdout
    assert max(map(len, told.stdout.splitlines())) < 160
    stated = run("info", folder, "--json").document()
    assert stated["photos"] == COUNT
    assert stated["counts"]["sources"] == {"flickr": 16, "own": 8}  # type: ignore[index]
    assert stated["disk_bytes"]["total"] > 10_000  # type: ignore[index]


def test_check_says_fine_or_what_is_wrong(run: Run, folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "map.png"
    fine = run("check", folder, "--all", "--map", picture)
    assert fine.code == 0, fine.stderr
    assert "Nothing wrong found" in fine.stdout
    assert picture.stat().st_size > 10_000
    assert run("check", folder, "--map", picture).code == 0  # a map is replaced by a map
    run("check", folder, "--map", folder / "manifest.json").refused(2, "something else")
    next(folder.glob("photos/*/*.jpg")).write_bytes(b"broken")
    broken = run("check", folder, "--all")
    assert broken.code == 1
    assert "wrong: 1 small copies" in broken.stdout
    assert broken.stderr.count("\n") == 1
    as_json = run("check", folder, "--all", "--json")
    assert as_json.code == 1
    (finding,) = json.loads(as_json.stdout)["findings"]
    assert (finding["check"], finding["count"]) == ("copies", 1)


def test_doubt_counts_where_it_is_asked_to(run: Run, tmp_path: Path) -> None:
    folder = write_gallery(tmp_path / "g", [photo(1, stated_country="Japan")])
    assert run("check", folder).code == 0
    assert "doubtful: 1 photos lie in another country" in run("check", folder).stdout
    run("check", folder, "--strict", "--json", "--sample", "0")
    assert run("check", folder, "--strict").code == 1


def test_remove_asks_first_and_then_leaves_nothing(run: Run, folder: Path) -> None:
    run("remove", folder).refused(2, "0 of --source, --author and --id")
    run("remove", folder, "--author", "a", "--source", "b").refused(2, "limit 1")
    run("remove", folder, "--author", "Zacharias", "--yes").refused(2, SECRET)
    nobody = run("remove", folder, "--author", SECRET)
    assert nobody.code == 2
    assert "6 photos" in nobody.stderr
    assert "--yes" in nobody.stderr
    dry = run("remove", folder, "--author", SECRET, "--dry-run")
    assert "6 would be removed, none was" in dry.stdout
    assert run("info", folder, "--json").document()["photos"] == COUNT
    done = run("remove", folder, "--author", SECRET, "--yes", "--json").document()
    assert (done["removed"], done["files"], done["photos"]) == (6, 12, 18)
    assert SECRET.encode() not in bytes_of(folder)
    assert run("check", folder, "--all").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("pattern", ["removing.json", "points.part-new"])
def test_a_stopped_removal_is_finished_by_running_it_again(
    number: signal.Signals, pattern: str, tmp_path: Path, run: Run
) -> None:
    rows: list[Row] = [photo(n, author=SECRET if n % 2 else "ben") for n in range(4000)]
    folder = write_gallery(tmp_path / "large", rows)
    arguments = ("gallery", "remove", folder, "--author", SECRET, "--yes", "--json")
    with start(*arguments, home=tmp_path / "home") as process:
        while process.poll() is None and not (folder / pattern).exists():
            time.sleep(0.001)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    if process.returncode:
        assert stdout == ""
        assert stderr == "" or stderr.startswith("graticule: stopped; ")
    again = run("remove", folder, "--author", SECRET, "--yes")
    assert again.code == (0 if process.returncode else 2), again.stderr
    assert read_manifest(folder).photos == 2000
    assert SECRET.encode() not in bytes_of(folder)
    assert run("check", folder, "--sample", "20").code == 0


def test_merge_and_export(run: Run, folder: Path, tmp_path: Path) -> None:
    other = write_gallery(tmp_path / "other", [photo(n) for n in range(20, 30)])
    out = tmp_path / "both"
    merged = run("merge", folder, other, "--out", out, "--json").document()
    assert (merged["photos"], merged["duplicates"]) == (30, 4)
    run("merge", folder, other, "--out", out).refused(2, "there already")
    run("merge", folder, "--out", tmp_path / "x").refused(2, "at least 2")
    file = tmp_path / "out.csv"
    told = run("export", out, file, "--country", "de", "--within", "52.5,13.4,50")
    assert told.code == 0, told.stderr
    with file.open(newline="", encoding="utf-8") as opened:
        assert {row["country"] for row in csv.DictReader(opened)} == {"DE"}
    run("export", out, file).refused(2, "--force")
    assert run("export", out, file, "--force", "--json").document()["photos"] == 30
    run("export", out, tmp_path / "a.csv", "--country", "XX").refused(2, "'XX'", "DE")
    run("export", out, tmp_path / "a.csv", "--within", "1,2").refused(2, "not a circle")
    run("export", out, tmp_path / "a.txt").refused(2, ".geojson")


@pytest.fixture
def globe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gallery of photos whose colour says where they are."""
    encoder = GlobeEncoder()
    made = identity("globe", encoder.card.fingerprint).model_copy(
        update={"spaces": {"globe": 4}, "load": "http://127.0.0.1:9"}
    )
    places = {"paris": (48.9, 2.4), "rome": (41.9, 12.5), "tokyo": (35.7, 139.7)}
    with started(tmp_path / "globe", encoder=made) as gallery:
        for number, (name, place) in enumerate(places.items()):
            changes = {"name": name, "latitude": place[0], "longitude": place[1], "digest": ""}
            changes["country"] = ("FR", "IT", "JP")[number]
            vector = encoder.encode_locations([place])["globe"][0]
            gallery.add([(photo(number, **changes)[0], {"globe": vector})])
        gallery.write_manifest(0)
    monkeypatch.setattr(gallery_query, "load_encoder", lambda _: encoder)
    photo_of(47.0, 3.0).save(tmp_path / "query.png")
    return tmp_path / "globe"


def names(outcome: Outcome) -> list[object]:
    hits = outcome.document()["hits"]
    assert isinstance(hits, list)
    return [hit["name"] for hit in hits]


def test_search_by_photo_and_by_entry(run: Run, globe: Path, tmp_path: Path) -> None:
    query = tmp_path / "query.png"
    assert names(run("search", globe, query, "--json")) == ["paris", "rome", "tokyo"]
    assert names(run("search", globe, query, "--json", "--dissimilar", "--limit", "1")) == ["tokyo"]
    assert names(run("search", globe, query, "--json", "--country", "it")) == ["rome"]
    assert names(run("search", globe, query, "--json", "--exclude-author", "ben")) == ["rome"]
    assert names(run("search", globe, query, "--json", "--within", "36,140,99")) == ["tokyo"]
    assert "paris" not in names(run("search", globe, query, "--json", "--apart"))
    paris = photo(0)[0].id
    assert names(run("search", globe, "--like", paris[:12], "--json")) == ["rome", "tokyo"]
    table = run("search", globe, query).stdout
    assert table.splitlines()[0].split() == [
        "rank", "score", "name", "position", "country", "author", "id",
    ]  # fmt: skip
    assert paris[:12] in table
    assert "48.90000, 2.40000" in table


def test_search_says_what_it_cannot(
    run: Run, globe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = tmp_path / "query.png"
    run("search", globe).refused(2, "0 of a photo, --text and --like")
    run("search", globe, query, "--text", "a beach").refused(2, "2 of a photo")
    run("search", globe, "--text", "a beach").refused(2, "search by a photo")
    run("search", globe, "--like", "0" * 64).refused(2, "0 photos")
    other = GlobeEncoder(temperature=3.0)
    monkeypatch.setattr(gallery_query, "load_encoder", lambda _: other)
    run("search", globe, query).refused(2, "was built by encoder")
    monkeypatch.undo()
    monkeypatch.setenv("GRATICULE_HOME", str(tmp_path / "home"))
    run("search", globe, query).refused(3, "http://127.0.0.1:9")


def test_help_names_every_command(run: Run) -> None:
    told = run("--help").stdout
    for name in ("build", "info", "check", "search", "merge", "export", "remove", "cells"):
        assert f"\n  {name} " in told
