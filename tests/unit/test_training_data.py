"""Tables and folders of training photos: complete examples, or reasons."""

from pathlib import Path

import pytest

from encoders.heads import Need
from geo.errors import InputError
from geo.gazetteer import Place
from index_builder.captions import PlaceNames, caption, name_places
from index_builder.training_data import file_key, read_examples

NOTHING: frozenset[Need] = frozenset()
CAPTIONS: frozenset[Need] = frozenset({"captions"})


class FakeGeocoder:
    """Knows one town."""

    source = "fake"

    def __init__(self, km: float = 3.0) -> None:
        self.km = km

    def find(self, *_: object, **__: object) -> list[Place]:
        return []

    def nearest(
        self, latitude: float, longitude: float, country: str | None = None, limit: int = 1
    ) -> list[tuple[Place, float]]:
        return [(Place(1, "Lyon", 45.76, 4.84, "FR", "Auvergne-Rhône-Alpes", 500_000), self.km)]


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "photos.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_rows_become_examples_or_reasons(tmp_path: Path) -> None:
    rows = (
        "image,lat,lon,country\n"
        "a.jpg,45.7,4.8,France\n"
        "b.jpg,nan,4.8,France\n"
        "c.jpg,97,4.8,France\n"
        ",1,2,France\n"
        "a.jpg,45.7,4.9,France\n"
        "d.jpg,0,0,France\n"
    )
    examples, rejected = read_examples(table(tmp_path, rows), NOTHING)
    assert [one.name for one in examples] == ["a.jpg"]
    assert examples[0].photo == tmp_path / "a.jpg"
    reasons = {one.name: one.reason for one in rejected}
    assert "not a number" in reasons["b.jpg"]
    assert "limit -90 to 90" in reasons["c.jpg"]
    assert "0, 0" in reasons["d.jpg"]
    assert "listed before" in reasons["a.jpg"]
    assert len(rejected) == 5


@pytest.mark.parametrize(
    ("text", "encoding", "said"),
    [
        ("", "utf-8", "lacks the column image"),
        ("image,latitude\na.jpg,1\n", "utf-8", "lacks the column longitude"),
        ("image,lat,lon\n", "utf-8", "no photos"),
        ("image,lat,lon\nä.jpg,1,2\n", "latin-1", "not UTF-8"),
        ("image,lat,lon\na.jpg,1,2\n", "utf-16", "not UTF-8"),
        ("image,lat,lon\na.jpg,x,2\n", "utf-8", "none of 1 photos"),
    ],
)
def test_a_table_without_use_is_refused(
    tmp_path: Path, text: str, encoding: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read_examples(table(tmp_path, text, encoding), NOTHING)


def test_spreadsheets_habits_are_understood(tmp_path: Path) -> None:
    path = table(tmp_path, "﻿Image;Lat;Lon\na.jpg;45,7;4,8\n")
    (one,), _ = read_examples(path, NOTHING)
    assert (one.latitude, one.longitude) == (45.7, 4.8)


def test_what_a_family_needs_must_be_there(tmp_path: Path) -> None:
    path = table(tmp_path, "image,lat,lon,aerial\na.jpg,1,2,\nb.jpg,1,3,t.png\n")
    (one,), (rejected,) = read_examples(path, frozenset({"aerial"}))
    assert one.aerial == tmp_path / "t.png"
    assert "aerial column is empty" in rejected.reason
    with pytest.raises(InputError, match="lacks the column segmentation"):
        read_examples(path, frozenset({"segments"}))
    with pytest.raises(InputError, match="a folder of photos has no aerial"):
        read_examples(tmp_path, frozenset({"aerial"}))


def test_captions_come_from_text_then_names_then_the_gazetteer(tmp_path: Path) -> None:
    rows = (
        "image,lat,lon,caption,city,state,country\n"
        "a.jpg,45.7,4.8,A tram.,Lyon,,France\n"
        "b.jpg,45.7,4.8,,Lyon,Rhône,France\n"
        "c.jpg,45.7,4.8,,,,\n"
        "d.jpg,-40.0,-120.0,,,,\n"
    )
    examples, (rejected,) = read_examples(table(tmp_path, rows), CAPTIONS, geocoder=FakeGeocoder)
    assert [one.caption for one in examples] == [
        "A tram.",
        "A street-level photo taken in Lyon, Rhône, France.",
        "A street-level photo taken in Lyon, Auvergne-Rhône-Alpes, France.",
    ]
    assert rejected.name == "d.jpg"
    assert "no country" in rejected.reason
    with pytest.raises(InputError, match="no caption and no country"):
        read_examples(table(tmp_path, rows), CAPTIONS)


def test_a_far_settlement_does_not_name_a_place() -> None:
    (near,) = name_places([(45.7, 4.8)], FakeGeocoder())
    (far,) = name_places([(45.7, 4.8)], FakeGeocoder(km=80.0))
    assert near.city == "Lyon"
    assert far == PlaceNames("", "", "France")
    assert caption(PlaceNames("Singapore", "Singapore", "Singapore")).count("Singapore") == 1
    assert caption(PlaceNames("Atlantis", "", "")) == ""


def test_a_file_that_changes_gets_another_key(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before = file_key(path)
    assert file_key(path) == before
    path.write_bytes(b"three")
    assert file_key(path) != before
    with pytest.raises(InputError, match="cannot be read"):
        file_key(tmp_path / "missing")
