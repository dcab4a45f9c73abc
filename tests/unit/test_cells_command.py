"""`graticule gallery cells`, and what no gallery of cells can be made of."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cli.gallery_cells import cells
from geo.cells import cell_ids, centres
from geo.errors import GeolocationError, InputError, UnavailableError
from index_builder import cells as building
from index_builder import open_gallery
from index_builder.cell_prototypes import survey
from index_builder.cells import build_cells
from index_builder.sources.tiles import tile_bounds
from tests.aligned_fakes import GlobeEncoder, photo_of
from tests.unit.cell_samples import directions, photo_gallery, region, tiles_at
from tests.unit.gallery_samples import facade, view

HOME = (47.0, 8.0)


def photos_near(count: int = 4) -> list[tuple[float, float, Any, str]]:
    points = centres(region(count, at=HOME)).tolist()
    return [(a, b, directions([[a, b]])[0], f"p{n}") for n, (a, b) in enumerate(points)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    photo_gallery(tmp_path / "g", GlobeEncoder(), photos_near()).close()
    return tmp_path / "g"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cells, [str(one) for one in arguments], standalone_mode=False)


def refused(*arguments: object) -> str:
    result = call(*arguments)
    assert isinstance(result.exception, GeolocationError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_it_says_what_it_made(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "c"
    result = call(photos, "--out", out)
    assert result.exception is None
    assert "4 cells, 0 with aerial tiles, of 4 photos (4 prototypes)" in result.output
    again = call(photos, "--out", out)
    assert "these 4 cells are there already" in again.output
    as_json = json.loads(call(photos, "--out", out, "--json").output)
    assert (as_json["cells"], as_json["unchanged"], as_json["path"]) == (4, True, str(out))
    other = call(photos, "--out", out, "--level", 13, "--replace", "--json")
    assert json.loads(other.output)["prototypes"] < 4
    with open_gallery(out) as gallery:
        assert gallery.manifest.settings["code_level"] == 14


def test_tiles_in_a_folder_join_in(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index_builder.cell_plan.load_encoder", lambda name: GlobeEncoder())
    zoom = 18
    for latitude, longitude in [one[:2] for one in photos_near(2)]:
        column = int((longitude + 180) / 360 * 2**zoom)
        angle = np.arcsinh(np.tan(np.deg2rad(latitude)))
        row = int((1 - angle / np.pi) / 2 * 2**zoom)
        south, west, north, east = tile_bounds(zoom, column, row)
        assert south < latitude < north
        assert west < longitude < east
        folder = tmp_path / "tiles" / str(zoom) / str(column)
        folder.mkdir(parents=True, exist_ok=True)
        photo_of(latitude, longitude).save(folder / f"{row}.png")
    made = call(photos, "--out", tmp_path / "c", "--tiles", tmp_path / "tiles", "--kappa", 2)
    assert made.exception is None
    assert "2 with aerial tiles, of 4 photos (4 prototypes) and 2 tiles" in made.output
    assert "kappa 2 (given)" in made.output
    with open_gallery(tmp_path / "c") as gallery:
        levels = sorted(len(photo.cell) for photo in gallery.photos())
        # Two prototypes are told apart into their four children, two stay whole.
        assert len(levels) == 10


def test_what_cannot_be_is_refused_in_a_line(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "c"
    assert "limits 0 to 24" in refused(photos, "--out", out, "--level", 31)
    assert "limits 15 (that of prototypes) to 21" in refused(
        photos, "--out", out, "--code-level", 14
    )
    assert "kappa -1" in refused(photos, "--out", out, "--kappa", -1)
    assert "kappa nan" in refused(photos, "--out", out, "--kappa", "nan")
    assert "min_photos 0" in refused(photos, "--out", out, "--min-photos", 0)
    assert "has the spaces globe, not 'sky'" in refused(photos, "--out", out, "--space", "sky")
    assert "not a folder of aerial tiles" in refused(photos, "--out", out, "--tiles", photos / "x")
    assert "no gallery at" in refused(tmp_path / "none", "--out", out)
    assert "unknown encoder 'globe'" in refused(photos, "--out", out, "--encoder", "globe")
    assert "is a gallery of photos" in refused(photos, "--out", photos)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "one.txt").write_text("dear")
    assert "is not a gallery" in refused(photos, "--out", tmp_path / "thesis")
    assert "is not a gallery" in refused(photos, "--out", tmp_path / "thesis" / "one.txt")
    assert (tmp_path / "thesis" / "one.txt").read_text() == "dear"
    assert call(photos, "--out", out).exception is None
    assert "holds cells, photos are needed" in refused(out, "--out", tmp_path / "d")
    assert not list(tmp_path.glob(".part-*"))


def test_tiles_of_another_region_are_refused(photos: Path, tmp_path: Path) -> None:
    away = tiles_at(cell_ids([[-20.0, 100.0]], 16), {0: (1, 2, 3)})
    with (
        open_gallery(photos) as gallery,
        pytest.raises(InputError, match=r"none of 1 tiles lies in a cell .* -20.000\d, 100.000"),
    ):
        build_cells(gallery, tmp_path / "c", tiles=away, encoder=GlobeEncoder())
    assert not (tmp_path / "c").exists()


def test_an_open_gallery_of_cells_is_not_replaced(photos: Path, tmp_path: Path) -> None:
    with open_gallery(photos) as gallery:
        build_cells(gallery, tmp_path / "c")
        with open_gallery(tmp_path / "c") as opened:
            with pytest.raises(UnavailableError, match="is open in process"):
                build_cells(gallery, tmp_path / "c", min_photos=1, kappa=2.0, replace=True)
            assert len(opened) == 4
        assert not list(tmp_path.glob(".part-*"))
        assert build_cells(gallery, tmp_path / "c", kappa=2.0, replace=True).cells == 4


def test_a_failed_build_is_cleared_away(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(building, "write_cells", fail)
    with open_gallery(photos) as gallery, pytest.raises(KeyboardInterrupt):
        build_cells(gallery, tmp_path / "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g"]


def test_a_gallery_that_changes_while_it_is_read_is_told(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_gallery(photos) as gallery:

        def surveyed(*given: Any) -> Any:
            found = survey(*given)
            gallery.store.delete_ids([next(gallery.photos()).id])
            return found

        monkeypatch.setattr(building, "survey", surveyed)
        with pytest.raises(UnavailableError, match="changed while it was read"):
            build_cells(gallery, tmp_path / "c")


def test_cells_of_the_encoder_that_needs_no_download_open_and_are_found(tmp_path: Path) -> None:
    """Its gallery holds the codebook, and so do its cells."""
    from encoders.embedded import EmbeddedEncoder, fit_codebook
    from encoders.local_features import extract_features
    from index_builder.files import write_atomically

    pictures = [view(facade(n), step) for n in range(3) for step in range(2)]
    features = [extract_features(one) for one in pictures]
    encoder = EmbeddedEncoder(fit_codebook(features))
    rows = encoder.encode_features(features)["vlad"]
    homes = centres(region(3)).tolist()
    made = [(*homes[n // 2], row, f"p{n}") for n, row in enumerate(rows)]
    with photo_gallery(tmp_path / "g", encoder, made, space="vlad") as gallery:
        write_atomically(tmp_path / "g" / "codebook.npz", encoder.codebook.pack())
        gallery.codebook_encoder = encoder
        build_cells(gallery, tmp_path / "c")
    query: Image.Image = view(facade(1), 2)
    with open_gallery(tmp_path / "c") as found:
        vector = found.encoder.encode_images([query])["vlad"][0]
        (hit,) = found.search(vector, 1)
        assert (hit.photo.latitude, hit.photo.longitude) == pytest.approx(tuple(homes[1]))
