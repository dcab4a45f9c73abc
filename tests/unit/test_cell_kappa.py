"""Learned tables, and the factor between prototypes and tiles."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from encoders.families.cellcodes import CellCodesHeads
from encoders.model import FamilyEncoder
from geo.cells import CellIds, centres, children, from_tokens, tokens
from geo.errors import InputError
from index_builder import open_gallery
from index_builder.cell_prototypes import unit_rows
from index_builder.cell_tree import search_cells
from index_builder.cells import CellsReport, build_cells
from index_builder.positions import Position
from index_builder.records import Record
from tests.aligned_fakes import GlobeEncoder
from tests.unit.cell_samples import TileList, photo_gallery, png, region, tiles_at
from tests.unit.encoder_samples import tiny_encoder

Matrix = npt.NDArray[np.float32]
WIDTH = 48


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Products this small are slower on two threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class NumberedTiles(GlobeEncoder):
    """Gives the tile whose colour says n the n-th row of a table."""

    def __init__(self, rows: Matrix) -> None:
        super().__init__()
        self.rows = rows
        self.card = replace(self.card, spaces={"globe": rows.shape[1]}, temperature=10.0)

    def encode_images(self, images: object) -> dict[str, Matrix]:
        assert isinstance(images, list)
        numbers = [image.getpixel((0, 0)) for image in images]
        return {"globe": np.stack([self.rows[red + 256 * green] for red, green, _ in numbers])}


def built(
    folder: Path, of_cell: float, of_author: float, authors: int = 6, kappa: float | None = None
) -> CellsReport:
    """Photos say so much of their cell and so much of their photographer; tiles only of cells."""
    draw = np.random.default_rng(0)
    cells = region(40)
    finer = children(cells, 16)
    looks = unit_rows(draw.normal(size=(finer.size, WIDTH))).reshape(*finer.shape, WIDTH)
    habits = unit_rows(draw.normal(size=(len(cells) * authors, WIDTH)))
    photos = []
    for row in range(len(cells)):
        for number in range(authors):
            child = number % 4
            noise = 0.3 * unit_rows(draw.normal(size=(1, WIDTH)))[0]
            own = of_author * habits[row * authors + number] + of_cell * looks[row].mean(axis=0)
            vector = unit_rows((looks[row, child] + own + noise)[None])[0]
            at = centres(finer[row, child : child + 1])[0].tolist()
            # Each photographer takes the same picture twice: a leak would be seen.
            photos += [(at[0], at[1], vector, f"author {row} {number}")] * 2
    tiles = unit_rows(looks.reshape(-1, WIDTH) + 0.2 * draw.normal(size=(finer.size, WIDTH)))
    encoder = NumberedTiles(tiles)
    colours = {row: (row % 256, row // 256, 7) for row in range(finer.size)}
    with photo_gallery(folder / "g", encoder, photos) as gallery:
        source = tiles_at(finer.ravel(), colours)
        return build_cells(gallery, folder / "c", tiles=source, encoder=encoder, kappa=kappa)


def test_kappa_follows_what_photographers_that_are_held_out_see(tmp_path: Path) -> None:
    """Where photos tell of who took them, prototypes say little of anybody else's photo."""
    own, shared = built(tmp_path / "a", 0.0, 3.0), built(tmp_path / "b", 3.0, 0.0)
    for report in (own, shared):
        assert report.kappa.chosen == "calibrated"
        assert 40 <= report.kappa.photos <= 140
        assert report.kappa.log_likelihood is not None
        assert report.kappa.at_one is not None
        assert report.kappa.log_likelihood >= report.kappa.at_one
    assert own.kappa.value < shared.kappa.value
    # With the photographer's other picture in the prototype it would be the best clue of all.
    assert own.kappa.value < 1


def test_few_photos_calibrate_nothing(tmp_path: Path) -> None:
    report = built(tmp_path, 1.0, 0.0, authors=1)
    assert (report.kappa.value, report.kappa.chosen) == (1.0, "not calibrated")
    assert report.kappa.photos < 20
    with open_gallery(tmp_path / "c") as cells:
        said = cells.manifest.settings["kappa"]
    assert isinstance(said, dict)
    assert said["chosen"] == "not calibrated"


def learned() -> tuple[FamilyEncoder, CellCodesHeads, CellIds, CellIds]:
    """Prototypes of six cells, and tiles that begin in the third and go beyond the last."""
    encoder = tiny_encoder("cellcodes", width=16)
    heads = encoder.heads
    assert isinstance(heads, CellCodesHeads)
    cells = region(8)
    torch.manual_seed(0)
    heads.set_cells(cells[:6])
    codes = children(cells[2:], 16).ravel()[:22]
    heads.set_codes(codes, torch.randn(22, 16))
    heads.kappa.fill_(1.7)
    return encoder, heads, cells, codes


def photos_in(cells: CellIds) -> list[tuple[float, float, Matrix, str]]:
    row = np.eye(16, dtype=np.float32)[0]
    return [(a, b, row, "somebody") for a, b in centres(cells).tolist()]


def test_learned_tables_become_a_gallery_as_they_are(tmp_path: Path) -> None:
    encoder, heads, cells, _ = learned()
    with photo_gallery(tmp_path / "g", encoder, photos_in(cells[:2])) as gallery:
        report = build_cells(gallery, tmp_path / "c", encoder=encoder)
    ids, vectors = heads.code_table()
    assert (report.kappa.chosen, report.prototypes) == ("encoder", 6)
    assert report.kappa.value == pytest.approx(1.7)
    with open_gallery(tmp_path / "c", encoder=encoder.card) as gallery:
        found = {
            str(p.payload["cell"]): (p.vectors["cell"], p.payload["members"])
            for p in gallery.store.scan(with_vectors=True)
        }
        assert set(found) == set(tokens(ids))
        for token, vector in zip(tokens(ids), vectors.numpy(), strict=True):
            assert found[token][0] == pytest.approx(vector, abs=1e-6)
        first, third = tokens(cells[:1])[0], tokens(children(cells[2:3], 16)[0])[0]
        assert [found[first][1], found[third][1]] == [1, 0]
        query = unit_rows(np.random.default_rng(1).normal(size=(1, 16)))[0]
        wanted, cosines = heads.search(torch.from_numpy(query), 5)
        hits = search_cells(gallery, query, 5)
        assert from_tokens([hit.photo.cell for hit in hits]).tolist() == wanted.tolist()
        assert [hit.score for hit in hits] == pytest.approx(cosines, abs=1e-6)
        assert gallery.manifest.settings["prototypes_by"] == "learned"


def test_new_tiles_go_through_the_head_for_tiles(tmp_path: Path) -> None:
    encoder, heads, cells, codes = learned()
    place = centres(codes[:1])[0].tolist()
    source = TileList([Record("tile.png", Position(*place), png((200, 30, 90), 64))])
    with photo_gallery(tmp_path / "g", encoder, photos_in(cells[:2])) as gallery:
        report = build_cells(gallery, tmp_path / "c", tiles=source, encoder=encoder, kappa=0.0)
    with torch.inference_mode():
        seen = encoder.photo_features([Image.new("RGB", (64, 64), (200, 30, 90))]).pooled
        wanted = heads.encode_aerial(seen)[0].numpy()
    heads.kappa.fill_(0.0)
    (other,) = heads.codes_of(torch.from_numpy(codes[1:2].view(np.int64))).detach().numpy()
    with open_gallery(tmp_path / "c") as gallery:
        found = {
            str(p.payload["cell"]): p.vectors["cell"] for p in gallery.store.scan(with_vectors=True)
        }
        assert gallery.manifest.settings["aerial_by"] == "encode_aerial"
    # With kappa 0 the code is the tile alone: the new one replaces its own, others stay.
    assert found[tokens(codes[:1])[0]] == pytest.approx(wanted, abs=1e-6)
    assert found[tokens(codes[1:2])[0]] == pytest.approx(other, abs=1e-6)
    assert (report.tiles, report.aerial) == (1, 22)


def test_tables_of_other_levels_or_none_are_refused(tmp_path: Path) -> None:
    encoder, _, cells, _ = learned()
    bare = tiny_encoder("cellcodes", width=16)

    class Service:
        card = encoder.card
        encode_images = encoder.encode_images

    with photo_gallery(tmp_path / "g", encoder, photos_in(cells[:2])) as gallery:
        with pytest.raises(InputError, match="learned 15 and 16"):
            build_cells(gallery, tmp_path / "c", encoder=encoder, prototype_level=14)
        with pytest.raises(InputError, match="not its service"):
            build_cells(gallery, tmp_path / "c", encoder=Service())
        with pytest.raises(InputError, match="use that encoder"):
            build_cells(gallery, tmp_path / "c", encoder=bare)
    with (
        photo_gallery(tmp_path / "h", bare, photos_in(cells[:2])) as gallery,
        pytest.raises(InputError, match="has no prototypes"),
    ):
        build_cells(gallery, tmp_path / "c", encoder=bare)
    assert not (tmp_path / "c").exists()
