"""Removal: nothing of a person stays, whatever interrupts it."""

import os
from pathlib import Path

import numpy as np
import pytest

from geo.errors import InputError
from index_builder import upkeep
from index_builder.gallery_check import check_gallery
from index_builder.gallery_opening import open_gallery
from index_builder.manifest import read_manifest
from index_builder.removal_note import JOURNAL, By, Removal
from index_builder.upkeep import open_for_upkeep, remove_points
from tests.unit.upkeep_samples import bytes_of, photo, unit, write_gallery

SECRET = "Zacharias Quintavalle"
COUNT = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """40 photos, every fourth by one author."""
    rows = [photo(n, author=SECRET if n % 4 == 0 else "ben") for n in range(COUNT)]
    return write_gallery(tmp_path / "gallery", rows, files=True)


def author_left(folder: Path) -> int:
    with open_for_upkeep(folder) as gallery:
        return gallery.store.counts("author").get(SECRET, 0)


def test_an_author_leaves_no_byte_behind(folder: Path) -> None:
    secret, vector = SECRET.encode(), unit(4).tobytes()
    assert secret in bytes_of(folder)
    assert vector in bytes_of(folder)
    with open_for_upkeep(folder) as gallery:
        report = remove_points(gallery, "author", [SECRET])
    assert (report.found, report.removed, report.photos) == (10, 10, 30)
    assert report.files == 20
    assert secret not in bytes_of(folder)
    assert vector not in bytes_of(folder)
    assert len(list(folder.glob("photos/*/*.jpg"))) == 30
    assert len(list(folder.glob("features/*/*.npz"))) == 30
    manifest = read_manifest(folder)
    assert manifest.photos == sum(manifest.counts.sources.values()) == 30
    assert {path.name for path in folder.iterdir()} == {
        "features", "lock", "manifest.json", "photos", "points", "removed.txt",
    }  # fmt: skip


def test_what_stays_is_bit_for_bit_what_it_was(folder: Path) -> None:
    with open_for_upkeep(folder) as gallery:
        before = {p.id: p for p in gallery.store.scan(with_vectors=True)}
        remove_points(gallery, "source", ["own"])
        after = {p.id: p for p in gallery.store.scan(with_vectors=True)}
    kept = {key for key, point in before.items() if point.payload["source"] != "own"}
    assert set(after) == kept
    for key in kept:
        assert after[key].payload == before[key].payload
        assert np.array_equal(after[key].vectors["globe"], before[key].vectors["globe"])
    with open_gallery(folder) as gallery:
        assert gallery.search(unit(1), 1)[0].photo.name == "1.jpg"


def test_by_the_first_digits_of_an_id(folder: Path) -> None:
    one = photo(7)[0].id
    with open_for_upkeep(folder) as gallery:
        report = remove_points(gallery, "id", [one[:10]])
        assert report.removed == 1
        assert gallery.store.get([one]) == []
        assert len(gallery) == COUNT - 1


def test_all_of_it_may_go(tmp_path: Path) -> None:
    folder = write_gallery(tmp_path / "gallery", [photo(n, author=SECRET) for n in range(3)])
    with open_for_upkeep(folder) as gallery:
        assert remove_points(gallery, "author", [SECRET]).photos == 0
    assert read_manifest(folder).photos == 0
    with pytest.raises(InputError, match="is empty"):
        open_gallery(folder)


@pytest.mark.parametrize("dry_run", [True, False])
def test_nothing_happens_until_somebody_agrees(folder: Path, dry_run: bool) -> None:
    with open_for_upkeep(folder) as gallery:
        report = remove_points(gallery, "author", [SECRET], agreed=lambda _: False, dry_run=dry_run)
    assert (report.found, report.removed, report.dry_run) == (10, 0, dry_run)
    assert author_left(folder) == 10
    assert not (folder / JOURNAL).exists()


@pytest.mark.parametrize(
    ("by", "value", "said"),
    [
        ("author", "Zacharias Quintavale", SECRET),
        ("author", "", "author is empty"),
        ("source", "nowhere", "to the letter"),
        ("id", "0" * 64, "has 0 photos"),
        ("id", photo(7)[0].id[:7], "first 8 digits"),
    ],
)
def test_what_is_not_there_is_told(folder: Path, by: By, value: str, said: str) -> None:
    with open_for_upkeep(folder) as gallery, pytest.raises(InputError, match=said):
        remove_points(gallery, by, [value])


STEPS = ("delete_ids", "_delete_files", "copy_points", "finish_swap", "rename", "write_manifest")
KILLS = [
    pytest.param(
        step, late, again,
        marks=() if late and again == "author" and step[0] in "dcr" else pytest.mark.slow,
    )
    for step in STEPS
    for late in (False, True)
    for again in ("author", "source")
]  # fmt: skip


@pytest.mark.parametrize(("step", "late", "again"), KILLS)
def test_stopped_anywhere_it_is_finished_by_the_next(
    folder: Path, step: str, late: bool, again: By, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    home: object = {"rename": Path}.get(step, upkeep)
    with monkeypatch.context() as patch, open_for_upkeep(folder) as gallery:
        if step in ("delete_ids", "write_manifest"):
            home = gallery.store if step == "delete_ids" else gallery
        real = getattr(home, step)

        def killed(*arguments: object, **named: object) -> object:
            if late:
                real(*arguments, **named)
            raise Killed

        patch.setattr(home, step, killed)
        with pytest.raises(Killed):
            remove_points(gallery, "author", [SECRET])
    assert (folder / JOURNAL).exists()
    with open_for_upkeep(folder) as gallery:
        assert len(gallery) >= 30
        assert "removal" in {f.check for f in check_gallery(gallery, sample=0).findings}
    with open_for_upkeep(folder) as gallery:
        values = [SECRET] if again == "author" else ["own"]
        report = remove_points(gallery, again, values)
        assert report.finished == 10
        assert report.removed == (0 if again == "author" else 10)
    assert author_left(folder) == 0
    assert SECRET.encode() not in bytes_of(folder)
    assert not list(folder.glob("*.part-*"))
    assert not (folder / JOURNAL).exists()
    with open_for_upkeep(folder) as gallery:
        assert check_gallery(gallery, sample=None).findings == ()


def test_a_store_half_copied_never_takes_the_others_place(folder: Path) -> None:
    """Killed while copying after a swap of before was done: the half made is thrown away."""
    half = folder / "points.part-new"
    half.mkdir()
    (half / "edge_config.json").write_text("{}")
    removal = Removal(by="id", values=("x",), ids=())
    (folder / JOURNAL).write_text(removal.model_dump_json())
    with open_for_upkeep(folder) as gallery:
        assert len(gallery) == COUNT
    with open_for_upkeep(folder) as gallery:
        assert remove_points(gallery, "author", [SECRET]).photos == 30
    assert not half.exists()


def test_a_damaged_note_is_told(folder: Path) -> None:
    (folder / JOURNAL).write_text("{")
    with open_for_upkeep(folder) as gallery, pytest.raises(InputError, match="damaged"):
        remove_points(gallery, "author", [SECRET])


def test_a_full_disk_is_told_and_the_rest_follows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch, open_for_upkeep(folder) as gallery:
        patch.setattr(Path, "rename", full)
        with pytest.raises(InputError, match="No space left"):
            remove_points(gallery, "author", [SECRET])
    with open_for_upkeep(folder) as gallery:
        assert remove_points(gallery, "author", [SECRET]).finished == 10
    assert SECRET.encode() not in bytes_of(folder)
