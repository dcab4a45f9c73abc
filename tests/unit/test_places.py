"""The gallery of places: exact search, a cache that resumes and is never trusted blindly."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from encoders.base import Points, Vectors
from geo.errors import InputError, UnavailableError
from geo.sphere import map_order
from index_builder import places as module
from index_builder.files import FolderLock
from index_builder.places import CARD_FILE, CHUNK, VECTORS_FILE, Places, open_places
from tests.aligned_fakes import GlobeEncoder

COUNT = 2 * CHUNK + 100


def scattered(count: int = COUNT, seed: int = 0) -> Points:
    generator = np.random.default_rng(seed)
    return np.column_stack([generator.uniform(-90, 90, count), generator.uniform(-180, 180, count)])


def folder_of(home: Path) -> Path:
    (folder,) = (home / "places").iterdir()
    return folder


def random_places(count: int, width: int, seed: int) -> tuple[Places, Vectors, Vectors]:
    """Return places of random unit vectors, some twice, with those vectors and a photo's."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(count + 1, width)).astype(np.float32)
    rows[count // 2] = rows[0]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    points = scattered(count, seed)
    order = map_order(points)
    card = GlobeEncoder(temperature=40.0).card
    return Places(card, points, order, rows[:-1][order]), rows[:-1], rows[-1]


@pytest.mark.parametrize(("count", "width", "k"), [(2, 4, 2), (1000, 512, 50), (5000, 64, 5000)])
def test_search_is_brute_force(count: int, width: int, k: int) -> None:
    places, rows, photo = random_places(count, width, seed=count)
    hits = places.search(photo, k)
    cosines = rows @ photo
    expected = np.argsort(-cosines, kind="stable")[:k]
    assert np.allclose(hits.cosines, cosines[expected], atol=1e-6)
    assert np.allclose(cosines[hits.indices], hits.cosines, atol=1e-6)
    powers = np.exp(40.0 * cosines.astype(np.float64))
    assert np.allclose(hits.probabilities, (powers / powers.sum())[expected], rtol=1e-4)
    assert len(set(hits.indices.tolist())) == k


@pytest.mark.parametrize("k", [1, 30, 5000])
def test_search_among_some_places_is_brute_force_over_those(k: int) -> None:
    places, rows, photo = random_places(1000, 64, seed=5)
    among = np.random.default_rng(6).uniform(size=1000) < 0.3
    hits = places.search(photo, k, among)
    cosines = np.where(among, rows @ photo, -np.inf)
    expected = np.argsort(-cosines, kind="stable")[: min(k, int(among.sum()))]
    assert hits.indices.tolist() == expected.tolist()
    assert hits.searched == among.sum()
    powers = np.exp(40.0 * (rows @ photo).astype(np.float64))
    assert np.allclose(hits.probabilities, powers[expected] / powers[among].sum(), rtol=1e-4)
    assert hits.inside == pytest.approx(powers[among].sum() / powers.sum(), rel=1e-4)
    everywhere = places.search(photo, k, np.ones(1000, dtype=np.bool_))
    assert everywhere.inside == 1.0
    assert everywhere.indices.tolist() == places.search(photo, k).indices.tolist()


def test_among_no_place_nothing_is_found() -> None:
    places, _, photo = random_places(1000, 64, seed=5)
    hits = places.search(photo, 10, np.zeros(1000, dtype=np.bool_))
    assert (len(hits.indices), hits.searched, hits.inside) == (0, 0, 0.0)


def test_of_equal_places_the_first_listed_comes_first() -> None:
    places, rows, _ = random_places(1000, 64, seed=3)
    assert places.search(rows[0], 2).indices.tolist() == [0, 500]
    assert places.search(rows[0], 1).indices.tolist() == [0]


def test_every_place_finds_itself(tmp_path: Path) -> None:
    encoder, points = GlobeEncoder(), scattered()
    places = open_places(encoder, points, tmp_path)
    for row in (0, 17, COUNT - 1):
        hits = places.search(encoder.encode_locations(points[[row]])["globe"][0], 1)
        assert hits.indices[0] == row
        assert np.array_equal(places.coordinates[row], points[row])


def test_places_that_the_encoder_does_not_know_are_never_found(tmp_path: Path) -> None:
    points = scattered()
    encoder = GlobeEncoder(blind_from=60.0)
    places = open_places(encoder, points, tmp_path)
    known = int((np.abs(points[:, 0]) < 60).sum())
    for opened in (places, open_places(encoder, points, tmp_path)):
        hits = opened.search(np.array([0, 0, 1, 0], np.float32), COUNT)
        assert len(hits.indices) == known < COUNT
        assert np.abs(points[hits.indices, 0]).max() < 60
        assert hits.probabilities.sum() == pytest.approx(1.0)


def test_an_encoder_that_knows_no_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"knows none of {COUNT:,} places"):
        open_places(GlobeEncoder(blind_from=0.0), scattered(), tmp_path)


@pytest.mark.parametrize(
    ("vector", "k", "message"),
    [
        (np.ones(3, np.float32), 5, "shape"),
        (np.zeros(4, np.float32), 5, "zero or not finite"),
        (np.array([np.nan, 0, 0, 1], np.float32), 5, "zero or not finite"),
        (np.ones(4, np.float32), 0, "0 places asked for"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    tmp_path: Path, vector: Vectors, k: int, message: str
) -> None:
    places = open_places(GlobeEncoder(), scattered(50), tmp_path)
    with pytest.raises(InputError, match=message):
        places.search(vector, k)


def test_a_second_opening_encodes_nothing_and_is_quick(tmp_path: Path) -> None:
    points = scattered(100_000)
    told: list[tuple[int, int]] = []
    open_places(GlobeEncoder(), points, tmp_path, lambda *step: told.append(step))
    assert told[0] == (CHUNK, 100_000)
    assert told[-1] == (100_000, 100_000)
    again = GlobeEncoder()
    began = time.perf_counter()
    places = open_places(again, points, tmp_path, lambda *step: told.clear())
    assert time.perf_counter() - began < 1.0
    assert again.places_encoded == 0
    assert told
    assert len(places) == 100_000


def test_other_encoders_and_other_places_have_galleries_of_their_own(tmp_path: Path) -> None:
    points = scattered(50)
    for encoder, these in (
        (GlobeEncoder(), points),
        (GlobeEncoder(name="other"), points),
        (GlobeEncoder(), points[::-1]),
    ):
        open_places(encoder, these, tmp_path)
    assert len(list((tmp_path / "places").iterdir())) == 3


def flip(folder: Path) -> None:
    data = bytearray((folder / VECTORS_FILE).read_bytes())
    data[5000] ^= 1
    (folder / VECTORS_FILE).write_bytes(data)


def swap_rows(folder: Path) -> None:
    rows = np.fromfile(folder / VECTORS_FILE, np.float32).reshape(-1, 4)
    rows[[3, 900]] = rows[[900, 3]]
    rows.tofile(folder / VECTORS_FILE)


def cut(folder: Path) -> None:
    os.truncate(folder / VECTORS_FILE, 1000)


def lose(folder: Path) -> None:
    (folder / VECTORS_FILE).unlink()


def spoil_card(folder: Path) -> None:
    (folder / CARD_FILE).write_text("{}")


def card_of_another(folder: Path) -> None:
    text = (folder / CARD_FILE).read_text()
    (folder / CARD_FILE).write_text(text.replace('"encoder": "globe"', '"encoder": "other"'))


@pytest.mark.parametrize("damage", [flip, swap_rows, cut, lose, spoil_card, card_of_another])
def test_damage_is_told_and_mended(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    points = scattered()
    whole = open_places(GlobeEncoder(), points, tmp_path)
    photo = np.array([0.6, 0, 0.8, 0], np.float32)
    expected = whole.search(photo, 20)
    del whole
    damage(folder_of(tmp_path))
    encoder = GlobeEncoder()
    with caplog.at_level(logging.WARNING):
        mended = open_places(encoder, points, tmp_path)
    assert "embedding them anew" in caplog.text
    assert encoder.places_encoded == COUNT
    found = mended.search(photo, 20)
    assert np.array_equal(found.indices, expected.indices)
    assert np.array_equal(found.probabilities, expected.probabilities)


def test_an_interrupted_gallery_of_another_encoder_is_not_gone_on_with(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    points = scattered()
    open_places(GlobeEncoder(name="other"), points, tmp_path)
    foreign = folder_of(tmp_path)
    (foreign / CARD_FILE).unlink()
    encoder = GlobeEncoder()
    foreign.rename(foreign.with_name(module.places_key(encoder.card, points)))
    with caplog.at_level(logging.WARNING):
        open_places(encoder, points, tmp_path)
    assert "not this encoder's" in caplog.text
    assert encoder.places_encoded == COUNT + 2  # two probes showed it


KILLED = """
import sys
from pathlib import Path
from index_builder.places import open_places
from tests.aligned_fakes import GlobeEncoder
from tests.unit.test_places import scattered
open_places(GlobeEncoder(pause_s=0.3), scattered(), Path(sys.argv[1]),
            lambda done, total: print(done, flush=True))
"""


def test_a_build_killed_outright_goes_on_where_it_stopped(tmp_path: Path) -> None:
    points = scattered()
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == f"{CHUNK}\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with (folder_of(tmp_path) / VECTORS_FILE).open("ab") as file:
        file.write(b"a torn row")
    encoder = GlobeEncoder()
    told: list[int] = []
    resumed = open_places(encoder, points, tmp_path, lambda done, _: told.append(done))
    assert told[0] == 2 * CHUNK
    assert encoder.places_encoded == COUNT - CHUNK + 2
    fresh = open_places(GlobeEncoder(), points, tmp_path / "fresh")
    photo = np.array([0.6, 0, 0.8, 0], np.float32)
    assert np.array_equal(resumed.search(photo, 99).indices, fresh.search(photo, 99).indices)


def test_two_processes_do_not_build_one_gallery_at_once(tmp_path: Path) -> None:
    encoder, points = GlobeEncoder(), scattered(50)
    folder = tmp_path / "places" / module.places_key(encoder.card, points)
    folder.mkdir(parents=True)
    lock = FolderLock(folder)
    try:
        with pytest.raises(UnavailableError, match="is open in process"):
            open_places(encoder, points, tmp_path)
    finally:
        lock.release()
    assert len(open_places(encoder, points, tmp_path)) == 50


def test_a_disk_that_cannot_hold_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "places").write_text("in the way")
    with pytest.raises(UnavailableError, match="cannot keep embedded places"):
        open_places(GlobeEncoder(), scattered(50), tmp_path)


def test_an_encoder_that_compares_no_photo_with_a_place_is_refused(tmp_path: Path) -> None:
    encoder = GlobeEncoder()
    object.__setattr__(encoder.card, "alignment", "")
    with pytest.raises(InputError, match="compares no photo with a location"):
        open_places(encoder, scattered(50), tmp_path)


def test_a_service_that_gives_too_few_vectors_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = GlobeEncoder()
    one = encoder.encode_locations([[1.0, 2.0]])
    monkeypatch.setattr(encoder, "encode_locations", lambda points: one)
    with pytest.raises(UnavailableError, match="gave 1 vectors for 50 places"):
        open_places(encoder, scattered(50), tmp_path)


@pytest.mark.parametrize("bad", [[[97.0, 0.0]], [[np.nan, 0.0]], [], [[1.0, 2.0, 3.0]]])
def test_bad_coordinates_are_refused(tmp_path: Path, bad: list[list[float]]) -> None:
    with pytest.raises(InputError):
        open_places(GlobeEncoder(), bad, tmp_path)


def aged(folder: Path, days: float) -> None:
    moment = time.time() - days * 86_400
    os.utime(folder / VECTORS_FILE, (moment, moment))


def test_vectors_that_nobody_opened_for_long_are_removed_when_others_are_made(
    tmp_path: Path,
) -> None:
    lists = [scattered(20, seed=seed) for seed in range(4)]
    folders: list[Path] = []
    for points in lists[:3]:
        before = set((tmp_path / "places").iterdir()) if folders else set()
        open_places(GlobeEncoder(), points, tmp_path)
        folders += list(set((tmp_path / "places").iterdir()) - before)
    old, used, locked = folders
    for folder in folders:
        aged(folder, 91)
    kept = open_places(GlobeEncoder(), lists[1], tmp_path)  # used again: no longer old
    held = FolderLock(locked)
    open_places(GlobeEncoder(), lists[3], tmp_path)
    held.release()
    assert not (old / VECTORS_FILE).exists()
    assert not (old / CARD_FILE).exists()
    assert (old / "lock").exists(), "no two processes may ever lock different files"
    assert all((folder / CARD_FILE).is_file() for folder in (used, locked))
    assert len(kept) == 20
    encoder = GlobeEncoder()
    assert len(open_places(encoder, lists[0], tmp_path)) == 20
    assert encoder.places_encoded == 20, "embedded anew"


def test_what_is_not_of_places_is_not_swept(tmp_path: Path) -> None:
    folder = tmp_path / "places"
    folder.mkdir()
    (folder / "note.txt").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / VECTORS_FILE).write_bytes(b"1234")
    aged(tmp_path / "elsewhere", 400)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "young").mkdir()
    (folder / "young" / VECTORS_FILE).write_bytes(b"1234")
    (folder / "interrupted").mkdir()
    (folder / "interrupted" / VECTORS_FILE).write_bytes(b"12345678")
    aged(folder / "interrupted", 91)
    assert module.sweep_places(folder, folder / "young") == 8
    assert (tmp_path / "elsewhere" / VECTORS_FILE).exists()
    assert (folder / "note.txt").read_text() == "mine"
    assert (folder / "young" / VECTORS_FILE).exists()
