"""Galleries: built once, resumed after anything, refused with one line where unusable."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from geo.errors import InputError, UnavailableError
from index_builder import build_gallery, open_gallery
from index_builder.build import Progress
from index_builder.gallery import Gallery
from tests.unit.gallery_samples import facade, write_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("source") / "photos")


@pytest.fixture(scope="module")
def built(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_gallery(photos, tmp_path_factory.mktemp("built") / "gallery").path


def _contents(gallery: Gallery) -> dict[str, list[tuple[str, float]]]:
    """Return each photo with its ranking of all: equal contents rank equally."""
    ranked = {}
    for photo in gallery.photos():
        (vector,) = gallery.encoder.encode_features([gallery.features(photo.id)])["vlad"]
        hits = gallery.search(vector, 100)
        ranked[photo.id] = [(hit.photo.model_dump_json(), round(hit.score, 5)) for hit in hits]
    return ranked


def test_a_gallery_knows_its_photos(built: Path) -> None:
    with open_gallery(built) as gallery:
        assert len(gallery) == 6
        photo = next(p for p in gallery.photos() if p.name == "scene1-0.jpg")
        assert (photo.latitude, photo.longitude, photo.accuracy_km) == (51, 9, 0.05)
        assert gallery.photo(photo.id[:10]) == photo
        assert len(gallery.features(photo.id)) > 100
        shown = gallery.image(photo.id)
        assert shown.size == (480, 360)
        assert not shown.getexif()
        info = gallery.info()
        assert info["photos"] == 6
        assert info["encoder"] == json.loads((built / "manifest.json").read_text())["encoder"]


def test_building_again_adds_nothing(photos: Path, tmp_path: Path) -> None:
    first = build_gallery(photos, tmp_path / "g")
    again = build_gallery(photos, tmp_path / "g")
    assert (first.added, first.skipped, first.photos) == (6, 0, 6)
    assert (again.added, again.skipped, again.photos) == (0, 6, 6)


def test_new_photos_join_under_the_same_codebook(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "photos", scenes=2)
    build_gallery(source, tmp_path / "g")
    with open_gallery(tmp_path / "g") as gallery:
        before = gallery.encoder.card.fingerprint
    write_photos(source, scenes=3)
    report = build_gallery(source, tmp_path / "g")
    assert (report.added, report.skipped) == (2, 4)
    with open_gallery(tmp_path / "g") as gallery:
        assert gallery.encoder.card.fingerprint == before


def test_the_same_bytes_twice_are_one_photo(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "photos", scenes=2)
    (source / "double.jpg").write_bytes((source / "scene0-0.jpg").read_bytes())
    table = source / "positions.csv"
    table.write_text(table.read_text() + "double.jpg,50,8,0.05,tester\n")
    report = build_gallery(source, tmp_path / "g")
    assert (report.added, report.skipped) == (4, 1)


def test_what_cannot_be_used_is_reported_and_the_rest_goes_in(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "photos", scenes=2)
    whole = (source / "scene0-0.jpg").read_bytes()
    (source / "scene0-1.jpg").write_bytes(whole[: len(whole) // 3])
    facade(9).resize((32, 32)).resize((400, 300)).save(source / "nowhere.png")
    report = build_gallery(source, tmp_path / "g")
    assert report.added == 3
    lines = (tmp_path / "g" / "rejects.jsonl").read_text().splitlines()
    reasons = {line["name"]: line["reason"] for line in map(json.loads, lines)}
    assert set(reasons) == {"scene0-1.jpg", "nowhere.png"} == {r.name for r in report.examples}
    assert "damaged" in reasons["scene0-1.jpg"]


def test_nothing_usable_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    with pytest.raises(InputError, match="no photos in"):
        build_gallery(source, tmp_path / "g")
    (source / "a.jpg").write_bytes(b"not a photo")
    with pytest.raises(InputError, match="none of 1 photos"):
        build_gallery(source, tmp_path / "g")
    (source / "positions.csv").write_text("file,lat,lon\na.jpg,1,2\n")
    with pytest.raises(InputError, match="none of 1 photos"):
        build_gallery(source, tmp_path / "g")
    assert not (tmp_path / "g").exists()


def test_another_folder_is_not_built_into(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(InputError, match="not a gallery"):
        build_gallery(photos, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        build_gallery(photos, tmp_path / "thesis.txt")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_of_the_users_own_photos_is_never_discarded(photos: Path, tmp_path: Path) -> None:
    own = tmp_path / "photos" / "mine.jpg"
    own.parent.mkdir()
    own.touch()
    for resume in (True, False):
        with pytest.raises(InputError, match="not a gallery"):
            build_gallery(photos, tmp_path, resume=resume)
    assert own.exists()


def test_progress_tells_rate_and_what_remains(photos: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    build_gallery(photos, tmp_path / "g", progress=told.append)
    last = [p for p in told if p.stage == "adding"][-1]
    assert (last.done, last.total, last.remaining_s) == (6, 6, 0)
    assert last.photos_per_s > 0
    assert {p.stage for p in told} == {"reading", "describing", "adding"}


def test_a_fresh_build_forgets_the_former(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "photos", scenes=3)
    build_gallery(source, tmp_path / "g")
    (source / "scene2-0.jpg").unlink()
    report = build_gallery(source, tmp_path / "g", resume=False)
    assert (report.added, report.photos) == (5, 5)


_BUILD = """
import os, signal, sys
from pathlib import Path
from index_builder import build_gallery
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background ignores
def tell(p):
    if (p.stage, p.done) == (sys.argv[3], int(sys.argv[4])):
        os.kill(os.getpid(), int(sys.argv[5]))
build_gallery(sys.argv[1], sys.argv[2], progress=tell)
"""


@pytest.mark.parametrize(
    ("stage", "done", "how"),
    [
        ("describing", 3, signal.SIGKILL),
        ("adding", 1, signal.SIGKILL),
        ("adding", 5, signal.SIGKILL),
        ("adding", 5, signal.SIGINT),
    ],
)
def test_a_killed_build_goes_on_to_the_same_gallery(
    photos: Path, built: Path, tmp_path: Path, stage: str, done: int, how: signal.Signals
) -> None:
    script = _BUILD if stage != "adding" else _BUILD.replace("\nbuild", _SMALL_BATCHES + "\nbuild")
    target = tmp_path / "g"
    arguments = [str(photos), str(target), stage, str(done), str(int(how))]
    child = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True)
    assert child.returncode != 0
    if stage == "describing":
        with pytest.raises(InputError, match="unfinished"):
            open_gallery(target)
    report = build_gallery(photos, target)
    assert report.photos == 6
    if stage == "adding" and done > 2:
        assert report.skipped >= 2
    with open_gallery(target) as resumed, open_gallery(built) as reference:
        assert _contents(resumed) == _contents(reference)


_SMALL_BATCHES = "\nimport index_builder.adding as a; a.CHUNK = a.WRITE_POINTS = 2"


def test_a_gallery_open_elsewhere_is_refused(photos: Path, built: Path) -> None:
    with open_gallery(built):
        for act in (lambda: open_gallery(built), lambda: build_gallery(photos, built)):
            with pytest.raises(UnavailableError, match=f"process {os.getpid()}") as refused:
                act()
            assert refused.value.retryable
    open_gallery(built).close()


def test_a_gallery_held_by_another_process_is_refused_until_it_ends(built: Path) -> None:
    hold = "import sys; from index_builder import open_gallery; g = open_gallery(sys.argv[1])\n"
    hold += "print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(built)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(UnavailableError, match=str(child.pid)):
            open_gallery(built)
        child.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            open_gallery(built).close()
            return
        except UnavailableError:
            time.sleep(0.05)
    pytest.fail("the lock outlived its process")


def _copy(built: Path, target: Path) -> Path:
    import shutil

    return Path(shutil.copytree(built, target))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 99}, "has format 99"),
        ({"format": "other"}, "is not a gallery"),
        ({"photos": "many"}, "damaged"),
        ({"surprise": 1}, "damaged"),
    ],
)
def test_a_changed_manifest_is_refused(
    photos: Path, built: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    folder = _copy(built, tmp_path / "g")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | change))
    with pytest.raises(InputError, match=said):
        open_gallery(folder)
    with pytest.raises(InputError, match=said):
        build_gallery(photos, folder)
    if "format" in change:
        with pytest.raises(InputError, match=said):
            build_gallery(photos, folder, resume=False)
    else:
        assert build_gallery(photos, folder, resume=False).added == 6
        open_gallery(folder).close()


def test_a_gallery_of_another_encoder_is_refused(photos: Path, built: Path, tmp_path: Path) -> None:
    folder = _copy(built, tmp_path / "g")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["encoder"]["fingerprint"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="built by encoder embedded:0000000000"):
        open_gallery(folder)
    with pytest.raises(InputError, match="built by encoder embedded:0000000000"):
        build_gallery(photos, folder)
    manifest["encoder"]["name"] = "geoclip"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="built by encoder geoclip"):
        build_gallery(photos, folder)


def test_a_damaged_or_empty_gallery_is_refused(built: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no gallery at"):
        open_gallery(tmp_path / "gone")
    with pytest.raises(InputError, match="not a gallery"):
        open_gallery(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="not a gallery"):
        open_gallery(tmp_path / "file")
    folder = _copy(built, tmp_path / "g")
    (folder / "codebook.npz").unlink()
    with pytest.raises(InputError, match="lacks its codebook"):
        open_gallery(folder)
    folder = _copy(built, tmp_path / "h")
    for file in sorted((folder / "points").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    with pytest.raises(InputError, match="is empty"):
        open_gallery(folder)
    (folder / "points" / "edge_config.json").write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        open_gallery(folder)


def test_every_refusal_is_one_line(built: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "a\nb", tmp_path):
        with pytest.raises(InputError) as refused:
            open_gallery(path)
        assert "\n" not in str(refused.value)


def test_unknown_references_are_refused(built: Path) -> None:
    with open_gallery(built) as gallery:
        for reference in ("ffffffff", "f" * 64, "", "abc"):
            with pytest.raises(InputError, match="first 8 digits"):
                gallery.photo(reference)
        with pytest.raises(InputError, match="build it again"):
            gallery.features("f" * 64)
