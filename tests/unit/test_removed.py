"""Photos that were removed from a gallery stay out, whatever is built or merged later."""

from pathlib import Path

import pytest

from index_builder import build_gallery, open_gallery
from index_builder.build_report import BuildReport
from index_builder.gallery_merge import merge_galleries
from index_builder.removal_note import REMOVED
from index_builder.upkeep import open_for_upkeep, remove_points
from tests.aligned_fakes import GlobeEncoder, write_coloured_photos

PLACES = {"lisbon": (38.7, -9.1), "oslo": (59.9, 10.7), "lima": (-12.0, -77.0)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_coloured_photos(tmp_path / "photos", PLACES)


def built(photos: Path, out: Path, *, resume: bool = True) -> BuildReport:
    return build_gallery(photos, out, encoder=GlobeEncoder(), resume=resume)


def remove(out: Path, author: str) -> None:
    with open_for_upkeep(out) as gallery:
        remove_points(gallery, "author", [author])


def names(out: Path) -> set[str]:
    with open_gallery(out) as gallery:
        return {photo.name for photo in gallery.photos()}


def test_a_later_build_does_not_bring_them_back(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "g"
    built(photos, out)
    remove(out, "oslo's photographer")
    assert "photographer" not in (out / REMOVED).read_text()
    for resume in (True, False):
        report = built(photos, out, resume=resume)
        assert report.rejected == 1
        assert "was removed from this gallery" in report.examples[0].reason
        assert names(out) == {"lisbon.png", "lima.png"}


def test_the_list_is_what_keeps_them_out(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "g"
    built(photos, out)
    remove(out, "oslo's photographer")
    (out / REMOVED).unlink()
    assert built(photos, out).added == 1
    assert "oslo.png" in names(out)


def test_a_merge_brings_nothing_back(photos: Path, tmp_path: Path) -> None:
    first, second, out = (tmp_path / name for name in ("a", "b", "merged"))
    built(photos, first)
    built(photos, second)
    remove(second, "lima's photographer")
    assert merge_galleries([first, second], out).photos == 2
    assert names(out) == {"lisbon.png", "oslo.png"}
    assert built(photos, out).rejected == 1
