"""A merge holds each photo once, says where galleries disagree, and goes on when stopped."""

from pathlib import Path

import numpy as np
import pytest

from encoders.embedded import Codebook
from geo.errors import InputError
from index_builder import gallery_merge
from index_builder.gallery_check import check_gallery
from index_builder.gallery_merge import NOTE, merge_galleries
from index_builder.gallery_opening import open_gallery
from index_builder.manifest import read_manifest
from index_builder.removal_note import JOURNAL
from index_builder.upkeep import in_chunks, open_for_upkeep
from tests.unit.upkeep_samples import identity, photo, started, unit, write_gallery


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Photos 0 to 11 and 8 to 19; the second puts photo 9 elsewhere."""
    first = write_gallery(tmp_path / "first", [photo(n) for n in range(12)], files=True)
    rows = [photo(n) for n in range(8, 20)]
    rows[1] = photo(9, latitude=40.0, author="carla")
    return first, write_gallery(tmp_path / "second", rows, files=True)


def whole(folder: Path) -> None:
    with open_for_upkeep(folder) as gallery:
        assert not check_gallery(gallery, sample=None).wrong


def test_each_photo_once_and_the_first_word_counts(pair: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    told: list[tuple[str, int, int]] = []
    report = merge_galleries(pair, out, progress=lambda *step: told.append(step))
    assert (report.photos, report.given, report.duplicates) == (20, 24, 4)
    assert report.conflicts == 1
    assert report.missing_files == 0
    assert report.examples[0].name == "9.jpg"
    assert "km apart" in report.examples[0].reason
    assert ("merging", 24, 24) in told
    with open_gallery(out) as gallery:
        assert gallery.photo(photo(9)[0].id).author == "anna"
        assert gallery.search(unit(15), 1)[0].photo.name == "15.jpg"
    manifest = read_manifest(out)
    assert manifest.photos == 20
    assert sum(manifest.counts.countries.values()) == 20
    assert manifest.settings["merged"] == ["first", "second"]
    assert len(list(out.glob("photos/*/*.jpg"))) == 20
    assert not (out / NOTE).exists()
    whole(out)
    for folder, count in zip(pair, (12, 12), strict=True):
        assert read_manifest(folder).photos == count
        whole(folder)


def test_files_are_linked_and_outlive_what_they_came_from(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    merge_galleries(pair, out)
    one = next(out.glob("photos/*/*.jpg"))
    assert one.stat().st_nlink == 2
    for folder in pair:
        for path in [*folder.glob("photos/*/*.jpg"), *folder.glob("features/*/*.npz")]:
            path.unlink()
    whole(out)


def test_where_links_are_impossible_files_are_copied(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    merge_galleries(pair, tmp_path / "out")
    assert next((tmp_path / "out").glob("photos/*/*.jpg")).stat().st_nlink == 1
    whole(tmp_path / "out")


@pytest.mark.parametrize("step", [0, 1, 2, "optimize", "manifest", "note"])
def test_stopped_anywhere_it_goes_on(
    pair: tuple[Path, Path], tmp_path: Path, step: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    out, calls = tmp_path / "out", 0
    real = gallery_merge._link_files

    def counted(*arguments: object) -> int:
        nonlocal calls
        calls += 1
        if isinstance(step, int) and calls > 1 + 7 * step:
            raise Killed
        return real(*arguments)  # type: ignore[arg-type]  # passed on as they come

    with monkeypatch.context() as patch:
        patch.setattr(gallery_merge, "_link_files", counted)
        patch.setattr(gallery_merge, "in_chunks", lambda points: in_chunks(points, 4))
        if step == "optimize":
            patch.setattr("index_builder.edge_points.EdgeStore.optimize", killed)
        elif step == "manifest":
            patch.setattr("index_builder.gallery.Gallery.write_manifest", killed)
        elif step == "note":
            patch.setattr(Path, "unlink", killed)
        with pytest.raises(Killed):
            merge_galleries(pair, out)
    with pytest.raises(InputError, match="stopped"):
        merge_galleries(pair[::-1], out)
    report = merge_galleries(pair, out)
    assert (report.photos, report.duplicates, report.conflicts) == (20, 4, 1)
    with open_for_upkeep(out) as gallery:
        found = {p.id: p for p in gallery.store.scan(with_vectors=True)}
    for number in range(20):
        one, vectors = photo(number)
        assert np.array_equal(found[one.id].vectors["globe"], vectors["globe"])
    whole(out)


def test_missing_files_are_counted(pair: tuple[Path, Path], tmp_path: Path) -> None:
    next(pair[0].glob("photos/*/*.jpg")).unlink()
    assert merge_galleries(pair, tmp_path / "out").missing_files == 1


def test_other_encoders_and_kinds_are_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = write_gallery(tmp_path / "other", [photo(50)], encoder=identity("globe", "b" * 64))
    with started(tmp_path / "cells", kind="cells") as cells:
        cells.add([photo(1)])
        cells.write_manifest(0)
    first = pair[0]
    for galleries, said in (
        ([first, other], r"globe:bbbbbbbbbb.*globe:aaaaaaaaaa"),
        ([first, tmp_path / "cells"], "holds cells"),
        ([first], "at least 2"),
        ([first, first], "at least 2"),
        ([first, tmp_path / "nothing"], "no gallery"),
    ):
        with pytest.raises(InputError, match=said):
            merge_galleries(galleries, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    for taken in (first, tmp_path):
        with pytest.raises(InputError, match=r"none the new one|there already"):
            merge_galleries(pair, taken)


def test_a_removal_under_way_is_not_undone(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (pair[1] / JOURNAL).write_text("{}")
    with pytest.raises(InputError, match="gallery remove"):
        merge_galleries(pair, tmp_path / "out")


def test_visual_words_must_be_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    books = [Codebook(rng.random((4, 128), dtype=np.float32)) for _ in range(2)]
    folders = []
    for number, book in enumerate([books[0], books[0], books[1]]):
        made = identity("embedded", book.fingerprint)
        made = made.model_copy(update={"spaces": {"vlad": 512}, "retrieval": ("vlad",)})
        folder = tmp_path / str(number)
        with started(folder, encoder=made) as gallery:
            (folder / "codebook.npz").write_bytes(book.pack())
            one = photo(number)[0].model_copy(update={"digest": ""})
            gallery.add([(one, {"vlad": unit(number, 512)})])
            gallery.write_manifest(0)
        folders.append(folder)
    with pytest.raises(InputError, match="different visual words"):
        merge_galleries([folders[0], folders[2]], tmp_path / "out")
    merge_galleries(folders[:2], tmp_path / "out")
    with open_gallery(tmp_path / "out") as gallery:
        assert gallery.encoder.codebook.fingerprint == books[0].fingerprint
        assert len(gallery) == 2
