"""A check finds what is broken, names it, and finds nothing in a gallery that is whole."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from index_builder.countries import country_code
from index_builder.gallery import Gallery
from index_builder.gallery_check import CheckReport, check_gallery
from index_builder.gallery_duplicates import distances_km, equal_pairs, near_pairs
from index_builder.points import StoredPoint
from index_builder.upkeep import open_for_upkeep
from tests.unit.upkeep_samples import Row, identity, photo, sha, started, unit, write_gallery


def checked(folder: Path, **options: object) -> CheckReport:
    with open_for_upkeep(folder) as gallery:
        return check_gallery(gallery, **options)  # type: ignore[arg-type]  # as each test names them


def found(report: CheckReport) -> dict[str, int]:
    return {finding.check: finding.count for finding in report.findings}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_gallery(
        tmp_path / "gallery", [photo(n) for n in range(24)], files=True,
        encoder=identity("embedded"),
    )  # fmt: skip


def test_a_whole_gallery_is_found_whole(whole: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    picture = tmp_path / "map.png"
    report = checked(whole, sample=None, picture=picture, progress=lambda *step: told.append(step))
    assert report.findings == ()
    assert (report.photos, report.sampled, report.wrong) == (24, 24, 0)
    assert [one.country for one in report.coverage] == ["BR", "DE", "FR", "JP"]
    assert report.coverage[0].share == pytest.approx(0.25)
    assert report.coverage[1].per_million_km2 == pytest.approx(6e6 / 357_000, rel=0.02)
    assert report.uncovered[0] == "RU"
    assert not {"BR", "DE", "FR", "JP"} & set(report.uncovered)
    assert told[-1] == ("hashing files", 24, 24)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_sample_is_the_same_each_time(whole: Path) -> None:
    assert checked(whole, sample=5).sampled == 5
    for path in sorted(whole.glob("photos/*/*.jpg")):
        path.write_bytes(b"no picture")
    first, second = (checked(whole, sample=5) for _ in range(2))
    assert found(first) == {"copies": 5}
    assert first.findings == second.findings
    assert found(checked(whole, sample=0)) == {}


@pytest.mark.parametrize("damage", ["cut", "swapped", "missing", "other picture"])
def test_damaged_files_are_found(whole: Path, damage: str) -> None:
    for kind, check in (("photos/*/*.jpg", "copies"), ("features/*/*.npz", "features")):
        one, other = sorted(whole.glob(kind))[:2]
        if damage == "cut":
            one.write_bytes(one.read_bytes()[:-200])
        elif damage == "missing":
            one.unlink()
        elif damage == "other picture":
            one.write_bytes(other.read_bytes())
        else:
            first = one.read_bytes()
            one.write_bytes(other.read_bytes())
            other.write_bytes(first)
        report = checked(whole, sample=None)
        assert found(report)[check] == (2 if damage == "swapped" else 1)
        assert report.wrong
        (line,) = [finding.line() for finding in report.findings if finding.check == check]
        assert line.startswith("wrong: ")
        assert "\n" not in line
        assert ".jpg" in line
        assert "gallery remove" in line


def _bad(gallery: Gallery, number: int, **payload: object) -> None:
    """Write a point that no build writes."""
    one, vectors = photo(number)
    stated = one.model_dump(mode="json") | {"location": {"lat": 1.0, "lon": 2.0}}
    gallery.store.upsert([StoredPoint(one.id, vectors, stated | payload)])


def test_bad_vectors_and_payloads_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "gallery"
    long, tiny = unit(1) * np.float32(1.5), unit(2) * np.float32(0.99)
    with started(folder) as gallery:
        gallery.add([photo(n) for n in range(10, 20)])
        gallery.add([(photo(1, digest="")[0], {"globe": long})])
        gallery.add([(photo(2, digest="")[0], {"globe": tiny})])
        gallery.add([(photo(3)[0], {"globe": unit(4)})])
        _bad(gallery, 5)
        _bad(gallery, 6, latitude=97.0)
        _bad(gallery, 7, surprise=True)
        gallery.write_manifest(0)
    report = checked(folder)
    counts = found(report)
    assert counts["vectors-length"] == 2
    assert counts["vectors-digest"] == 1
    assert counts["payload"] == 3
    assert report.wrong >= 3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_vectors_that_are_not_finite_are_found(
    tmp_path: Path, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_gallery(tmp_path / "gallery", [photo(n, digest="") for n in range(5)])
    with open_for_upkeep(folder) as gallery:
        real = list(gallery.store.scan(with_vectors=True))
        vector = real[3].vectors["globe"].copy()
        vector[2] = value
        real[3] = real[3]._replace(vectors={"globe": vector})
        monkeypatch.setattr(gallery.store, "scan", lambda **_: iter(real))
        report = check_gallery(gallery, sample=0)
    assert found(report) == {"vectors-finite": 1}
    assert real[3].payload["name"] in report.findings[0].example  # type: ignore[operator]


def test_repeated_ids_and_missing_vectors_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_gallery(tmp_path / "gallery", [photo(n) for n in range(6)])
    with open_for_upkeep(folder) as gallery:
        real = list(gallery.store.scan(with_vectors=True))
        real[2] = real[2]._replace(vectors={}, payload=real[2].payload | {"digest": ""})
        monkeypatch.setattr(gallery.store, "scan", lambda **_: iter([*real, real[4]]))
        counts = found(check_gallery(gallery, sample=0))
    assert counts["ids"] == 1
    assert counts["vectors-missing"] == 1
    assert counts["counts"]


def test_a_manifest_that_is_behind_is_found(whole: Path) -> None:
    with open_for_upkeep(whole) as gallery:
        gallery.add([photo(99)])
    (finding,) = checked(whole, sample=0).findings
    assert finding.check == "counts"
    assert "24 photos stated, 25 there" in finding.example


def test_files_of_no_point_are_found(whole: Path) -> None:
    for name in (f"{'ab' * 32}.jpg", "thumbs.jpg"):
        path = whole / "photos" / "ab" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    report = checked(whole, sample=0)
    assert found(report) == {"files": 2}
    assert not report.wrong


def test_originals_are_hashed_again(tmp_path: Path) -> None:
    photos = tmp_path / "originals"
    photos.mkdir()
    rows: list[Row] = []
    for number in range(5):
        text = f"photo {number}"
        (photos / f"{number}.jpg").write_text(text)
        rows.append(photo(number, id=sha(text)))
    (tmp_path / "secret").write_text("photo 9")
    rows.append(photo(9, name="../secret"))
    folder = write_gallery(tmp_path / "gallery", rows)
    assert found(checked(folder, originals=photos)) == {"originals-missing": 1}
    (photos / "3.jpg").write_text("another")
    (photos / "4.jpg").unlink()
    report = checked(folder, originals=photos)
    assert found(report) == {"originals": 1, "originals-missing": 2}
    assert report.originals == 4
    assert "3.jpg" in report.findings[0].example


def test_duplicates_that_lie_apart_are_found(tmp_path: Path) -> None:
    rows = [photo(n) for n in range(20)]
    base = int(rows[0][0].dhash, 16)
    near, far = base ^ 0b111111, base ^ 0b1111111 << 20
    rows += [
        photo(30, dhash=f"{near:016x}"),
        photo(31, dhash=f"{far:016x}"),
        photo(32, dhash=rows[1][0].dhash),
        # A copy beside its original is no contradiction.
        photo(33, dhash=rows[2][0].dhash, latitude=rows[2][0].latitude,
              longitude=rows[2][0].longitude, country=rows[2][0].country),
        (photo(34)[0].model_copy(update={"digest": ""}), rows[3][1]),
    ]  # fmt: skip
    report = checked(write_gallery(tmp_path / "gallery", rows))
    assert found(report) == {"look-alikes": 2, "same-vectors": 1}
    assert not report.wrong
    duplicates = report.duplicates
    assert (duplicates.same_hashes, duplicates.near_hashes, duplicates.same_vectors) == (2, 1, 1)
    assert all("km apart" in finding.example for finding in report.findings)


def test_a_crowd_on_one_coordinate_is_found(tmp_path: Path) -> None:
    rows = [photo(n, latitude=48.0, longitude=2.0, country="FR") for n in range(9)]
    assert found(checked(write_gallery(tmp_path / "nine", rows))) == {}
    rows.append(photo(9, latitude=48.0, longitude=2.0, country="FR"))
    (finding,) = checked(write_gallery(tmp_path / "ten", rows)).findings
    assert (finding.check, finding.count) == ("one-coordinate", 1)
    assert "(48, 2) with 10 photos" in finding.example


@pytest.mark.parametrize(
    ("stated", "latitude", "longitude", "wrong"),
    [
        ("Germany", 52.5, 13.4, False),
        ("DEU", 52.5, 13.4, False),
        ("de", 13.4, 52.5, True),
        ("Brazil", 15.8, 47.9, True),
        ("France", 49.2, 8.0, False),  # a few km beyond the border
        ("Atlantis", 52.5, 13.4, False),
        ("Japan", 30.0, -40.0, True),
    ],
)
def test_a_stated_country_that_cannot_be_is_found(
    tmp_path: Path, stated: str, latitude: float, longitude: float, wrong: bool
) -> None:
    row = photo(1, stated_country=stated, latitude=latitude, longitude=longitude, country="")
    report = checked(write_gallery(tmp_path / "gallery", [row]))
    assert found(report) == ({"country": 1} if wrong else {})


def test_names_of_countries_become_codes() -> None:
    names = {
        "Côte d’Ivoire": "CI",
        "USA": "US",
        "United States": "US",
        "uk": "GB",
        "Atlantis": "",
        "GB": "GB",
    }
    assert {name: country_code(name) for name in names} == names


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint64, st.integers(0, 40), elements=st.integers(0, 2**64 - 1), unique=True),
    st.lists(st.tuples(st.integers(0, 39), st.sets(st.integers(0, 63), max_size=9)), max_size=20),
    st.integers(0, 7),
)
def test_every_pair_of_near_hashes_is_found(
    hashes: "np.ndarray[tuple[int], np.dtype[np.uint64]]",
    flips: list[tuple[int, set[int]]],
    bits: int,
) -> None:
    grown = [int(one) for one in hashes]
    for which, places in flips:
        if which < len(hashes):
            grown.append(int(hashes[which]) ^ sum(1 << place for place in places))
    distinct = np.unique(np.array(grown, np.uint64))
    pairs = near_pairs(distinct, bits).pairs
    values = [int(one) for one in distinct]
    expected = [
        [first, second]
        for first in range(len(values))
        for second in range(first + 1, len(values))
        if (values[first] ^ values[second]).bit_count() <= bits
    ]
    assert pairs.tolist() == expected


def test_equal_pairs_lead_to_the_first() -> None:
    keys = np.array([5, 7, 5, 9, 7, 5], np.uint64)
    assert sorted(equal_pairs(keys).tolist()) == [[0, 2], [0, 5], [1, 4]]
    assert distances_km(np.zeros((0, 2)), np.empty((0, 2), np.intp)).shape == (0,)
