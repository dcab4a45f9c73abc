"""Galleries of cells: what a cell's code is made of, and that it finds the cell."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from geo.cells import CellIds, cell_ids, centres, children, tokens
from geo.errors import InputError
from index_builder import cell_prototypes, open_gallery
from index_builder.cell_prototypes import unit_rows
from index_builder.cell_tree import search_cells
from index_builder.cells import CellsReport, build_cells
from index_builder.gallery import Gallery
from index_builder.gallery_photo import GalleryPhoto
from index_builder.positions import Position
from index_builder.records import Record, Rejected, content_id
from tests.aligned_fakes import GlobeEncoder, photo_of, place_of
from tests.unit.cell_samples import (
    TileList,
    directions,
    photo_gallery,
    png,
    region,
    tiles_at,
)

Vector = npt.NDArray[np.float32]
COARSE: dict[str, Any] = {"prototype_level": 4, "code_level": 5}
"""Cells of some degrees: the colours that `GlobeEncoder` reads tell them apart."""
EUROPE = children(cell_ids([[47.0, 8.0]], 2), 4).ravel()


def colour_of(point: npt.NDArray[np.float64]) -> tuple[int, int, int]:
    found = photo_of(float(point[0]), float(point[1])).getpixel((0, 0))
    assert isinstance(found, tuple)
    return found[0], found[1], found[2]


def globe_tiles(cells: CellIds) -> TileList:
    return tiles_at(cells, {row: colour_of(point) for row, point in enumerate(centres(cells))})


def globe_photos(cells: CellIds, level: int = 6) -> list[tuple[float, float, Vector, str]]:
    """Photos of another photographer each at the children of cells."""
    points = centres(children(cells, level).ravel())
    return [(a, b, directions([[a, b]])[0], f"p{n}") for n, (a, b) in enumerate(points.tolist())]


def contents(gallery: Gallery) -> list[tuple[dict[str, object], bytes]]:
    return [
        (dict(point.payload), b"".join(row.tobytes() for row in point.vectors.values()))
        for point in gallery.store.scan(with_vectors=True)
    ]


def by_cell(path: Path) -> dict[str, tuple[GalleryPhoto, Vector]]:
    with open_gallery(path) as gallery:
        (space,) = gallery.manifest.encoder.spaces
        return {
            str(point.payload["cell"]): (
                GalleryPhoto.model_validate(
                    {k: v for k, v in point.payload.items() if k != "location"}
                ),
                point.vectors[space],
            )
            for point in gallery.store.scan(with_vectors=True)
        }


def test_averaged_prototypes_find_the_right_cell(tmp_path: Path) -> None:
    cells = children(cell_ids([[47.0, 8.0]], 4), 7).ravel()
    with photo_gallery(tmp_path / "g", GlobeEncoder(), globe_photos(cells, 8)) as gallery:
        report = build_cells(gallery, tmp_path / "c", prototype_level=7, code_level=8)
    assert (report.cells, report.prototypes, report.aerial, report.photos) == (64, 64, 0, 256)
    with open_gallery(tmp_path / "c") as gallery:
        assert gallery.manifest.kind == "cells"
        for token, point in zip(tokens(cells), centres(cells), strict=True):
            hit = search_cells(gallery, directions([point])[0], 1)[0]
            assert hit.photo.cell == token
            assert (hit.photo.latitude, hit.photo.longitude) == pytest.approx(tuple(point))
            assert (hit.photo.id, hit.photo.name) == (content_id(token.encode()), token)
            assert (hit.photo.members, hit.photo.aerial) == (4, False)
            assert 30 < (hit.photo.accuracy_km or 0) < 90
            assert hit.photo.country in {"CH", "DE", "FR", "IT", "AT", "LI"}


def test_a_photographer_counts_once_in_a_cell(tmp_path: Path) -> None:
    one, other, third = np.eye(4, dtype=np.float32)[:3]
    (home,) = centres(region(1)).tolist()
    photos = [(*home, one, "burst")] * 9 + [(*home, other, "b"), (*home, third, "")]
    photos += [(*home, third, "")]
    with photo_gallery(tmp_path / "g", GlobeEncoder(), photos) as gallery:
        build_cells(gallery, tmp_path / "c")
    ((photo, vector),) = by_cell(tmp_path / "c").values()
    # Nobody says that the two unknown photographers are one.
    assert vector == pytest.approx(unit_rows((one + other + 2 * third)[None])[0])
    assert photo.members == 12


def test_a_photographer_counts_in_every_cell(tmp_path: Path) -> None:
    homes = centres(region(2)).tolist()
    one, other = np.eye(4, dtype=np.float32)[:2]
    photos = [(*homes[0], one, "a"), (*homes[1], other, "a"), (*homes[1], one, "b")]
    with photo_gallery(tmp_path / "g", GlobeEncoder(), photos) as gallery:
        build_cells(gallery, tmp_path / "c")
    found = by_cell(tmp_path / "c")
    first, second = tokens(region(2))
    assert found[first][1] == pytest.approx(one)
    assert found[second][1] == pytest.approx(unit_rows((one + other)[None])[0])


def test_photos_that_may_be_elsewhere_and_thin_cells_are_left_out(tmp_path: Path) -> None:
    homes = centres(region(3)).tolist()
    row = np.eye(4, dtype=np.float32)[0]
    photos = [(*homes[0], row, "a"), (*homes[0], row, "b"), (*homes[1], row, "a")]
    with photo_gallery(tmp_path / "g", GlobeEncoder(), photos) as gallery:
        report = build_cells(gallery, tmp_path / "c", min_photos=2)
        assert (report.cells, report.prototypes, report.left_out) == (1, 1, 0)
        with pytest.raises(InputError, match="3 a cell are needed"):
            build_cells(gallery, tmp_path / "d", min_photos=3)
    with photo_gallery(tmp_path / "h", GlobeEncoder(), photos, accuracy_km=5.0) as gallery:
        with pytest.raises(InputError, match=r"\(3 are placed less well than 0.47 km"):
            build_cells(gallery, tmp_path / "d")
        assert build_cells(gallery, tmp_path / "d", prototype_level=10, code_level=11).photos == 3
    assert not list(tmp_path.glob(".part-*"))


def test_codes_say_what_is_known_of_a_cell(tmp_path: Path) -> None:
    """Prototype and tile, prototype alone, tile alone, a prototype without any tile."""
    cells = EUROPE[:3]
    inside = children(cells, 5)
    tiled = np.array([inside[0, 0], inside[0, 2], inside[2, 1]], np.uint64)
    encoder = GlobeEncoder()
    source = globe_tiles(tiled)
    extra = tuple(centres(children(tiled[:1], 8)[0])[3].tolist())
    twice = Record("again.png", Position(*extra), png((10, 20, 30)))
    source = replace(source, records=[*source.records, twice])
    photos = globe_photos(cells[:2])
    with photo_gallery(tmp_path / "g", encoder, photos) as gallery:
        report = build_cells(
            gallery, tmp_path / "c", tiles=source, encoder=encoder, kappa=2.5, **COARSE
        )
    found = by_cell(tmp_path / "c")
    expected = {*tokens(inside[0]), tokens(cells[1:2])[0], tokens(tiled[2:])[0]}
    assert set(found) == expected
    assert (report.cells, report.aerial, report.tiles, report.prototypes) == (6, 3, 4, 2)
    assert (report.kappa.value, report.kappa.chosen) == (2.5, "given")
    own = [row for _, _, row, _ in photos]
    prototypes = [unit_rows(np.sum(part, axis=0)[None])[0] for part in (own[:16], own[16:])]
    tiles = [encoder.encode_images([photo_of(*point)])["globe"][0] for point in centres(tiled)]
    other = encoder.encode_locations([place_of(photo_like(10, 20))])["globe"][0]
    tiles[0] = unit_rows((tiles[0] + other)[None])[0]
    wanted = {
        tokens(tiled)[0]: 2.5 * prototypes[0] + tiles[0],
        tokens(inside[0])[1]: prototypes[0],
        tokens(cells)[1]: prototypes[1],
        tokens(tiled)[2]: tiles[2],
    }
    for token, vector in wanted.items():
        assert found[token][1] == pytest.approx(unit_rows(vector[None])[0], abs=1e-6)
    assert [found[t][0].aerial for t in wanted] == [True, False, False, True]
    assert [found[t][0].members for t in wanted] == [16, 16, 16, 0]


def photo_like(red: int, green: int) -> Image.Image:
    return Image.new("RGB", (8, 8), (red, green, 30))


def test_tiles_find_cells_that_nobody_photographed(tmp_path: Path) -> None:
    """Photos of every second cell alone, tiles of all: recall in the others goes up from none."""
    encoder = GlobeEncoder()
    finer = children(EUROPE, 5).ravel()
    bare = children(EUROPE[1::2], 5).ravel()
    recall = {}
    with photo_gallery(tmp_path / "g", encoder, globe_photos(EUROPE[::2])) as gallery:
        for name, source in (("photos", None), ("both", globe_tiles(finer))):
            out = tmp_path / name
            build_cells(gallery, out, tiles=source, encoder=encoder, kappa=1.0, **COARSE)
            with open_gallery(out) as cells:
                hits = [search_cells(cells, directions([p])[0], 1)[0] for p in centres(bare)]
            right = [hit.photo.cell == token for hit, token in zip(hits, tokens(bare), strict=True)]
            recall[name] = float(np.mean(right))
    assert recall == {"photos": 0.0, "both": pytest.approx(1.0, abs=0.1)}


def test_the_same_comes_of_the_same(tmp_path: Path) -> None:
    encoder = GlobeEncoder()
    tiles = globe_tiles(children(EUROPE, 5).ravel()[::3])
    with photo_gallery(tmp_path / "g", encoder, globe_photos(EUROPE)) as gallery:

        def build(name: str, **more: Any) -> CellsReport:
            settings = COARSE | {"tiles": tiles, "encoder": encoder} | more
            return build_cells(gallery, tmp_path / name, **settings)

        first, again, other = build("a"), build("a"), build("b")
        assert (first.unchanged, again.unchanged, other.unchanged) == (False, True, False)
        assert replace(again, seconds=0, unchanged=False) == replace(first, seconds=0)
        with open_gallery(tmp_path / "a") as a, open_gallery(tmp_path / "b") as b:
            assert contents(a) == contents(b)
        with pytest.raises(InputError, match="--replace"):
            build("a", kappa=3.0)
        before = by_cell(tmp_path / "a")
        assert build("a", kappa=3.0, replace=True).kappa.value == 3.0
        after = by_cell(tmp_path / "a")
        assert before.keys() == after.keys()
        assert any(not np.array_equal(before[c][1], after[c][1]) for c in before)
        with pytest.MonkeyPatch.context() as patch:  # in many readings of the vectors
            patch.setattr(cell_prototypes, "SUMS_BYTES", 4 * 8 * 3)
            build("parts")
        with open_gallery(tmp_path / "b") as b, open_gallery(tmp_path / "parts") as parts:
            assert contents(b) == contents(parts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "g", "parts"]


def test_what_is_no_tile_is_reported(tmp_path: Path) -> None:
    encoder = GlobeEncoder()
    good = globe_tiles(children(EUROPE[:1], 5).ravel())
    at = good.records[0]
    assert isinstance(at, Record)
    bad: list[Record | Rejected] = [
        Record("broken.png", at.position, b"no picture"),
        Record("black.png", at.position, png((0, 0, 0))),
        Record("country.png", replace(at.position, accuracy_km=4_000.0), png((9, 9, 9))),
        Rejected("row.png", "row 9 of 4"),
    ]
    source = replace(good, records=[*bad, *good.records])
    with photo_gallery(tmp_path / "g", encoder, globe_photos(EUROPE)) as gallery:
        report = build_cells(gallery, tmp_path / "c", tiles=source, encoder=encoder, **COARSE)
        only = replace(good, records=bad)
        with pytest.raises(InputError, match="none of 4 tiles in 'tiles' can be used"):
            build_cells(gallery, tmp_path / "d", tiles=only, encoder=encoder, **COARSE)
    reasons = {one.name: one.reason for one in report.rejected}
    assert set(reasons) == {"broken.png", "black.png", "country.png", "row.png"}
    assert "sees nothing" in reasons["black.png"]
    assert "finer zoom" in reasons["country.png"]
    assert report.tiles == 4
    assert len((tmp_path / "c" / "rejects.jsonl").read_text().splitlines()) == 4


KILLED = """
import os, sys
from pathlib import Path
from tests.unit import test_cell_gallery as test
test.interrupted(Path(sys.argv[1]), lambda number: number == 200 and os._exit(9))
"""


def interrupted(folder: Path, heard: Callable[[int], object]) -> CellsReport:
    encoder = GlobeEncoder()
    tiles = replace(globe_tiles(children(EUROPE, 6).ravel()), heard=heard)
    with photo_gallery(folder / "g", encoder, globe_photos(EUROPE)) as gallery:
        return build_cells(
            gallery, folder / "c", tiles=tiles, encoder=encoder, prototype_level=4, code_level=6
        )


def test_a_killed_build_leaves_nothing_that_opens_and_goes_on(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], timeout=120, check=False)
    assert killed.returncode == 9
    work = tmp_path / ".part-c"
    assert not (tmp_path / "c").exists()
    assert len(list(work.glob("tiles-*"))) == 3
    with pytest.raises(InputError, match="not a gallery"):
        open_gallery(work)
    encoder, tiles = GlobeEncoder(), globe_tiles(children(EUROPE, 6).ravel())
    levels: dict[str, Any] = {"prototype_level": 4, "code_level": 6}
    with open_gallery(tmp_path / "g") as gallery:
        build_cells(gallery, tmp_path / "c", tiles=tiles, encoder=encoder, **levels)
        assert encoder.photos_encoded == 256 - 3 * 64
        build_cells(gallery, tmp_path / "whole", tiles=tiles, encoder=encoder, **levels)
    with open_gallery(tmp_path / "c") as c, open_gallery(tmp_path / "whole") as whole:
        assert contents(c) == contents(whole)
    assert not work.exists()
    assert not list((tmp_path / "c").glob("tiles-*"))
