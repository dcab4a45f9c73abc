"""Lists of coordinates: taken as they are, or refused with the row that is wrong."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from geo.errors import InputError, UnavailableError
from index_builder.coordinates import geoclip_coordinates, joined_coordinates, read_coordinates


@pytest.mark.skipif(
    importlib.util.find_spec("geoclip") is None, reason="pip install geoclip to read its places"
)
def test_geoclip_places_are_read_without_importing_it() -> None:
    before = "geoclip" in sys.modules
    points = geoclip_coordinates()
    assert points.shape == (100_000, 2)
    assert points[0].tolist() == [-50.943392, -72.935664]
    assert ("geoclip" in sys.modules) == before


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="pip install"):
        geoclip_coordinates()


@pytest.mark.parametrize(
    "text",
    [
        "latitude,longitude\n48.5,-2.25\n-90,180\n",
        "\ufeffname;Lat;LNG\nhere;48,5;-2,25\n\nthere;-90;180\n",
        "lon\tlat\n-2.25\t48.5\n180\t-90\n",
    ],
)
def test_tables_are_read_in_the_habits_of_spreadsheets(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    assert read_coordinates(tmp_path / "p.csv").tolist() == [[48.5, -2.25], [-90.0, 180.0]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "lacks the column latitude"),
        (b"latitude,height\n1,2\n", r"lacks the column longitude .*it has: latitude, height"),
        (b"lat,lon\n", "has 0 places"),
        (b"lat,lon\n1,2\n97,2\n", "latitude '97' in row 3"),
        (b"lat,lon\n1,-181\n", "longitude '-181' in row 2"),
        (b"lat,lon\nnan,2\n", "latitude 'nan'"),
        (b"lat,lon\nParis,2\n", "latitude 'Paris'"),
        (b"lat,lon\n1\n", "longitude ''"),
        (b"lat,lon\n\xff,2\n", "not UTF-8"),
    ],
)
def test_bad_tables_name_what_is_wrong(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "p.csv").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_coordinates(tmp_path / "p.csv")


def test_a_table_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_coordinates(tmp_path / "none.csv")


def test_joined_lists_repeat_nothing_of_the_first() -> None:
    first = np.array([[1.0, 2.0], [1.0, 2.0], [3.0, 4.0]])
    more = np.array([[3.0, 4.0], [5.0, 6.0], [5.0, 6.0]])
    joined = joined_coordinates(first, more, np.array([[5.0, 6.0], [7.0, 8.0]]))
    assert joined.tolist() == [[1, 2], [1, 2], [3, 4], [5, 6], [7, 8]]
