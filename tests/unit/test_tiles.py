import io
import math
import pickle
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pyproj import Geod, Transformer

from encoders.photo_file import sniff
from encoders.pixels import open_photo
from geo.errors import InputError, UnavailableError
from index_builder.records import Record
from index_builder.sources.geotiff import GeoTiffReader, cuts
from index_builder.sources.plain_png import plain_png
from index_builder.sources.tile_grid import (
    MAX_LATITUDE,
    flipped,
    tile_bounds,
    tile_centre,
    tile_radius_km,
)
from index_builder.sources.tiles import TileSource
from tests.unit.photo_samples import encoded, picture
from tests.unit.shard_samples import split, write

HALF = 20_037_508.342789244
"""Half the side of the map in metres: pi times the radius of WGS84."""
TO_DEGREES = Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True)
TILES = st.integers(0, 22).flatmap(
    lambda z: st.tuples(st.just(z), st.integers(0, 2**z - 1), st.integers(0, 2**z - 1))
)


def projected(z: int, x: float, y: float) -> tuple[float, float]:
    """Latitude and longitude of a point of the grid, by PROJ's own Web Mercator."""
    side = 2 * HALF / 2**z
    longitude, latitude = TO_DEGREES.transform(-HALF + x * side, HALF - y * side)
    return latitude, longitude


@given(TILES)
def test_bounds_and_centres_are_those_of_proj(tile: tuple[int, int, int]) -> None:
    z, x, y = tile
    south, west, north, east = tile_bounds(z, x, y)
    assert (north, west) == pytest.approx(projected(z, x, y), abs=1e-9)
    assert south == pytest.approx(projected(z, x, y + 1)[0], abs=1e-9)
    assert east == pytest.approx(projected(z, x + 1, y + 1)[1] if x + 1 < 2**z else 180, abs=1e-9)
    assert tile_centre(z, x, y) == pytest.approx(projected(z, x + 0.5, y + 0.5), abs=1e-9)
    assert -MAX_LATITUDE - 1e-9 <= south < north <= MAX_LATITUDE + 1e-9
    assert -180 <= west < east <= 180


@given(TILES)
def test_neighbours_share_their_edges_and_four_children_cover_a_tile(
    tile: tuple[int, int, int],
) -> None:
    z, x, y = tile
    south, west, north, east = tile_bounds(z, x, y)
    assert tile_bounds(z + 1, 2 * x, 2 * y)[1:3] == (west, north)
    assert tile_bounds(z + 1, 2 * x + 1, 2 * y + 1)[::3] == (south, east)
    if x + 1 < 2**z:
        assert tile_bounds(z, x + 1, y)[1] == east
    if y + 1 < 2**z:
        assert tile_bounds(z, x, y + 1)[2] == south
    assert flipped(z, flipped(z, y)) == y
    assert tile_bounds(z, x, flipped(z, y))[0] == pytest.approx(-north, abs=1e-9)


def test_edges_of_the_map() -> None:
    assert pytest.approx(85.0511287798066) == MAX_LATITUDE
    assert tile_bounds(0, 0, 0) == pytest.approx((-MAX_LATITUDE, -180, MAX_LATITUDE, 180))
    assert tile_bounds(9, 511, 3)[3] == 180
    assert tile_bounds(9, 0, 3)[1] == -180
    # the sample of the OpenStreetMap wiki
    assert tile_bounds(7, 63, 42) == pytest.approx((50.7364551, -2.8125, 52.4827802, 0), abs=1e-7)


@pytest.mark.parametrize("tile", [(-1, 0, 0), (31, 0, 0), (3, 8, 0), (3, 0, 8), (3, -1, 0)])
def test_tiles_that_the_grid_does_not_have(tile: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match=r"limit 0 to .*name tiles z/x/y"):
        tile_bounds(*tile)


@given(TILES.filter(lambda tile: tile[0] >= 8))
def test_radius_is_half_the_diagonal(tile: tuple[int, int, int]) -> None:
    south, west, north, east = tile_bounds(*tile)
    latitude, longitude = tile_centre(*tile)
    geod = Geod(ellps="WGS84")
    corners = [(lat, lon) for lat in (south, north) for lon in (west, east)]
    farthest = max(geod.inv(longitude, latitude, lon, lat)[2] for lat, lon in corners) / 1000
    diagonal = geod.inv(west, south, east, north)[2] / 1000
    assert tile_radius_km(*tile) == pytest.approx(farthest)
    assert tile_radius_km(*tile) == pytest.approx(diagonal / 2, rel=0.02)


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    tile = encoded(picture(), "PNG")
    for name in ["9/268/178.png", "9/268/9.jpg", "9/30/7.webp", "10/3/3@2x.png", "10/3/9999.png"]:
        write(tmp_path / "sat" / name, tile)
    for name in ["9/268/readme.txt", "9/notes/1.png", "9/268/-1.png", ".x/1/1.png", "9/77"]:
        write(tmp_path / "sat" / name, b"")
    return tmp_path / "sat"


def test_tile_folders_are_read_in_the_order_of_numbers(grid: Path) -> None:
    source = TileSource(grid)
    records, reasons = split(source)
    assert [r.name for r in records] == [
        "9/30/7.webp",
        "9/268/9.jpg",
        "9/268/178.png",
        "10/3/3@2x.png",
    ]
    assert list(reasons) == ["10/3/9999.png"]
    assert "tile row 9999, limit 0 to 1023 at zoom 10" in reasons["10/3/9999.png"]
    position = records[2].position
    assert (position.latitude, position.longitude) == tile_centre(9, 268, 178)
    assert position.latitude == pytest.approx(47.75, abs=0.3)
    assert position.accuracy_km == tile_radius_km(9, 268, 178)
    assert records[2].content == grid / "9/268/178.png"
    assert source.count() == 5
    assert source.name == "sat"


def test_tms_counts_rows_from_the_south(grid: Path) -> None:
    records, _ = split(TileSource(grid, scheme="tms"))
    found = {r.name: r.position for r in records}
    assert found["9/268/178.png"].latitude == pytest.approx(-tile_centre(9, 268, 178)[0])
    assert found["9/268/178.png"].longitude == tile_centre(9, 268, 178)[1]
    with pytest.raises(InputError, match="say xyz or tms"):
        TileSource(grid, scheme="wmts")  # type: ignore[arg-type]  # what a caller may say


def test_parts_are_runs_of_columns_and_go_to_other_processes(tmp_path: Path) -> None:
    for x in range(150):
        write(tmp_path / f"12/{x}/{x % 7}.png", b"")
    source = TileSource(tmp_path)
    parts = pickle.loads(pickle.dumps(source.parts()))
    assert 32 <= len(parts) <= 64
    assert [r for part in parts for r in part] == list(source)
    assert sum(part.count() for part in parts) == source.count() == 150
    assert {part.name for part in parts} == {source.name}


def test_folders_without_tiles(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        TileSource(tmp_path / "none")
    with pytest.raises(InputError, match="must hold ZOOM/COLUMN/ROW"):
        list(TileSource(tmp_path))
    with pytest.raises(InputError, match="limit 64 to 2048"):
        TileSource(tmp_path, tile_px=10_000)
    write(tmp_path / "0/0/0.png", b"")
    assert "0, 0" in split(TileSource(tmp_path))[1]["0/0/0.png"]


def test_plain_png_holds_its_pixels_and_nothing_else() -> None:
    for shape in [(1, 1, 3), (7, 300, 3), (512, 512, 3)]:
        pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        data = plain_png(pixels)
        assert sniff(data) == "PNG"
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
        assert np.array_equal(np.asarray(open_photo(data).image), pixels)
    assert plain_png(pixels) == data


@given(st.integers(1, 5000), st.integers(64, 600))
def test_cuts_cover_everything_once_in_equal_pieces(size: int, tile_px: int) -> None:
    pieces = cuts(size, tile_px)
    assert pieces[0][0] == 0
    assert sum(pieces[-1]) == size
    assert all(start + length == after for (start, length), (after, _) in pairwise(pieces))
    lengths = [length for _, length in pieces]
    assert max(lengths) <= tile_px
    assert max(lengths) - min(lengths) <= 1


def geotiff(path: Path, values: np.ndarray[Any, Any], crs: str | None, **profile: Any) -> Path:
    """Write bands `[B, H, W]`; upper left corner at 500 km east, 5400 km north, 10 m a pixel."""
    rasterio = pytest.importorskip("rasterio")
    count, height, width = values.shape
    where = {"transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_400_000), "crs": crs}
    where |= {"dtype": values.dtype, "count": count, "height": height, "width": width}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", driver="GTiff", **(where | profile)) as file:
        file.write(values)
    return path


def noise(*shape: int, kind: str = "uint8", top: int = 256) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(1, top, shape).astype(kind)


def pixels_of(record: Record) -> np.ndarray[Any, Any]:
    return np.asarray(open_photo(record.read()).image)


def test_geotiffs_come_in_windows_at_their_places(tmp_path: Path) -> None:
    values = noise(3, 500, 700)
    geotiff(tmp_path / "sub" / "a.tif", values, "EPSG:32632", tiled=True)
    source = TileSource(tmp_path, tile_px=256)
    records, reasons = split(source)
    assert not reasons
    assert source.count() == len(records) == 6
    assert [r.name for r in records] == [
        f"sub/a.tif/{row}-{column}" for row in (0, 250) for column in (0, 233, 466)
    ]
    whole = np.zeros((500, 700, 3), np.uint8)
    to_degrees = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
    geod = Geod(ellps="WGS84")
    for record in records:
        row, column = map(int, record.name.rpartition("/")[2].split("-"))
        tile = pixels_of(record)
        height, width, _ = tile.shape
        whole[row : row + height, column : column + width] = tile
        east, north = 500_000 + 10 * (column + width / 2), 5_400_000 - 10 * (row + height / 2)
        longitude, latitude = to_degrees.transform(east, north)
        found = record.position
        assert (found.latitude, found.longitude) == pytest.approx((latitude, longitude), abs=1e-7)
        corner = to_degrees.transform(500_000 + 10 * column, 5_400_000 - 10 * row)
        assert found.accuracy_km == pytest.approx(
            geod.inv(*corner, longitude, latitude)[2] / 1000, rel=1e-3
        )
        assert found.accuracy_km == pytest.approx(math.hypot(width, height) / 200, rel=0.01)
    assert np.array_equal(whole, np.moveaxis(values, 0, -1))
    assert list(source) == list(source)


def test_windows_across_the_antimeridian_have_longitudes_of_the_earth(tmp_path: Path) -> None:
    from rasterio import Affine

    where = Affine(0.01, 0, 179.5, 0, -0.01, 10)
    geotiff(tmp_path / "a.tif", noise(1, 64, 256), "EPSG:4326", transform=where)
    records, _ = split(TileSource(tmp_path, tile_px=128))
    assert [r.position.longitude for r in records] == pytest.approx([-179.86, -178.58])
    geod = Geod(ellps="WGS84")
    for record in records:
        where = record.position
        corners = [(s * 0.64, lat) for s in (-1, 1) for lat in (10, 9.36)]
        metres = [
            geod.inv(where.longitude, where.latitude, where.longitude + east, lat)[2]
            for east, lat in corners
        ]
        assert max(metres) - min(metres) > 50
        assert where.accuracy_km == pytest.approx(max(metres) / 1000, rel=1e-6)


def test_empty_windows_are_counted_and_empty_pixels_black(tmp_path: Path) -> None:
    values = np.full((3, 256, 384), 9, np.uint8)
    values[:, :128, :256] = 77
    values[:, 128:, :64] = 77
    geotiff(tmp_path / "a.tif", values, "EPSG:32632", nodata=77)
    records, reasons = split(TileSource(tmp_path, tile_px=128))
    assert [r.name.rpartition("/")[2] for r in records] == ["0-256", "128-0", "128-128", "128-256"]
    assert reasons == {"a.tif": "2 of 6 windows hold no data at all and were left out"}
    assert (pixels_of(records[1])[:, :64] == 0).all()
    assert (pixels_of(records[1])[:, 64:] == 9).all()


def test_bands_become_8_bit_rgb(tmp_path: Path) -> None:
    from rasterio.enums import ColorInterp
    from rasterio.io import DatasetWriter

    def look(name: str, values: np.ndarray[Any, Any], **profile: Any) -> np.ndarray[Any, Any]:
        path = geotiff(tmp_path / name, values, "EPSG:32632", **profile)
        (record,), _ = split_reader(path)
        return pixels_of(record)

    grey = noise(1, 64, 64)
    assert np.array_equal(look("grey.tif", grey), np.repeat(np.moveaxis(grey, 0, -1), 3, axis=-1))
    four = noise(4, 64, 64)
    assert np.array_equal(look("four.tif", four), np.moveaxis(four[:3], 0, -1))
    path = geotiff(tmp_path / "bgr.tif", four, "EPSG:32632", photometric="minisblack")
    import rasterio

    file: DatasetWriter
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [getattr(ColorInterp, c) for c in ("blue", "green", "red", "undefined")]
    (record,), _ = split_reader(path)
    assert np.array_equal(pixels_of(record), np.moveaxis(four[[2, 1, 0]], 0, -1))
    indexed = geotiff(tmp_path / "palette.tif", grey, "EPSG:32632", photometric="palette")
    with rasterio.open(indexed, "r+") as file:
        file.write_colormap(1, {n: (n, 255 - n, 7, 255) for n in range(256)})
    (record,), _ = split_reader(indexed)
    expected = np.stack([grey[0], 255 - grey[0], np.full_like(grey[0], 7)], axis=-1)
    assert np.array_equal(pixels_of(record), expected)


def split_reader(path: Path, tile_px: int = 512) -> tuple[list[Record], dict[str, str]]:
    class One:
        name = "one"

        def __iter__(self) -> Any:
            return GeoTiffReader(tile_px).records(path, path.name)

        def parts(self) -> Any:
            return (self,)

        def count(self) -> int | None:
            return None

    return split(One())


@pytest.mark.parametrize("kind", ["uint16", "int16", "float32"])
def test_other_types_are_stretched_alike_in_all_windows(tmp_path: Path, kind: str) -> None:
    ramp = np.linspace(0, 10_000, 256)[None, None, :].repeat(128, axis=1).astype(kind)
    if kind == "float32":
        ramp[0, 0, 0] = np.nan
    path = geotiff(tmp_path / "a.tif", ramp, "EPSG:32632")
    records, _ = split_reader(path, 128)
    row = np.concatenate([pixels_of(record)[5, :, 0] for record in records]).astype(int)
    expected = ((np.linspace(0, 10_000, 256) - 200) / 9_600 * 255).clip(0, 255)
    assert np.abs(row - expected).max() <= 2
    assert (np.diff(row) >= 0).all()


def test_windows_of_nothing_but_nan_are_empty(tmp_path: Path) -> None:
    values = noise(1, 128, 256, kind="float32")
    values[:, :, :128] = np.nan
    records, reasons = split_reader(geotiff(tmp_path / "a.tif", values, "EPSG:32632"), 128)
    assert [r.name for r in records] == ["a.tif/0-128"]
    assert "1 of 2 windows hold no data" in reasons["a.tif"]


def test_rasters_that_cannot_be_used(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    good = geotiff(tmp_path / "z.tif", noise(1, 64, 64), "EPSG:32632")
    geotiff(tmp_path / "nowhere.tif", noise(1, 64, 64), None)
    write(tmp_path / "text.tif", b"this is no TIFF")
    whole = geotiff(tmp_path / "cut.tif", noise(1, 512, 64), "EPSG:32632").read_bytes()
    write(tmp_path / "cut.tif", whole[: len(whole) // 2])
    vrt = f'<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32632</SRS><GeoTransform>0,1,0,0,0,-1</GeoTransform><VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename>{good}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>'  # noqa: E501
    write(tmp_path / "vrt.tif", vrt.encode())
    unplaced = rasterio.Affine(1, 0, 0, 0, 1, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        geotiff(tmp_path / "unplaced.tif", noise(1, 64, 64), "EPSG:32632", transform=unplaced)
    engineering = 'LOCAL_CS["site",UNIT["metre",1]]'
    geotiff(tmp_path / "site.tif", noise(1, 64, 64), engineering)
    geotiff(tmp_path / "height.tif", noise(1, 64, 64), "EPSG:5773")
    far = rasterio.Affine(10, 0, 1e9, 0, -10, 1e9)
    geotiff(tmp_path / "far.tif", noise(1, 64, 64), "EPSG:27700", transform=far)
    geotiff(tmp_path / "complex.tif", noise(1, 64, 64).astype(np.complex64), "EPSG:32632")
    records, reasons = split(TileSource(tmp_path, tile_px=128))
    assert [r.name for r in records] == ["cut.tif/0-0", "z.tif/0-0"]
    assert "gdal_edit.py -a_srs" in reasons.pop("nowhere.tif")
    assert "complex values" in reasons.pop("complex.tif")
    assert "gdal_edit.py -a_ullr" in reasons.pop("unplaced.tif")
    for name in ("site.tif", "height.tif"):
        assert "is no map of the Earth" in reasons.pop(name)
    assert "outside its coordinate system" in reasons.pop("far.tif/0-0")
    for name in ("text.tif", "vrt.tif"):
        assert "not a GeoTIFF" in reasons.pop(name)
    assert reasons
    assert all(
        name.startswith("cut.tif/") and "cannot be read" in reasons[name] for name in reasons
    )


def test_blocks_that_would_fill_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index_builder.sources.geotiff.MAX_BLOCK_BYTES", 100_000)
    options: dict[str, Any] = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    options["interleave"] = "band"
    apart = geotiff(tmp_path / "b.tif", noise(3, 300, 300), "EPSG:32632", **options)
    assert len(split_reader(apart)[0]) == 1
    options["interleave"] = "pixel"
    path = geotiff(tmp_path / "a.tif", noise(3, 300, 300), "EPSG:32632", **options)
    records, reasons = split_reader(path)
    assert not records
    assert "limit 100,000; rewrite it: gdal_translate -co TILED=YES" in reasons["a.tif"]


def test_rasterio_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.tif", b"")
    write(tmp_path / "3/1/1.png", b"")
    monkeypatch.setitem(sys.modules, "rasterio", None)
    found = iter(TileSource(tmp_path))
    assert next(found).name == "3/1/1.png"
    with pytest.raises(UnavailableError, match=r"pip install 'graticule\[aerial\]'"):
        next(found)
