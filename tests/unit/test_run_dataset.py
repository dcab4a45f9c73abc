"""A run: a row for every photo whatever happens, stopped, cut off and gone on with."""

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PIL import Image

from agent.answer import Answer, Radii
from agent.calibration import Calibration
from agent.geolocator import Geolocator
from agent.recipes import find_recipe
from agent.settings import Settings
from agent.side_by_side import OUTAGE_ROWS, BatchProgress
from encoders.photo_file import Limits
from evaluation.datasets import Dataset, open_dataset
from evaluation.row_log import RowLog
from evaluation.run import RunReport, run_dataset
from evaluation.runs import MANIFEST, ROWS, Run
from geo.errors import ConfigError, InputError, UnavailableError
from index_builder.gallery_opening import open_gallery
from tests.unit.photo_samples import gps_exif
from tests.unit.upkeep_samples import photo, unit, write_gallery

PHOTOS = 8
Locate = Callable[[Path], None]


class FakeGeolocator:
    """Keeps what it is given, and answers with the truth of photo 3."""

    def __init__(self, settings: Settings, before: Locate = lambda path: None) -> None:
        self.settings = settings
        self.bench = SimpleNamespace(photos=SimpleNamespace(limits=Limits()), galleries=())
        self.recipe = find_recipe("pipeline", has_model=False)
        self.calibration: Calibration | None = None
        self.before = before
        self.given: list[tuple[str, bytes]] = []

    def locate(self, photo: Path, *, trust_metadata: bool, trace: Path) -> Answer:
        assert not trust_metadata
        data = photo.read_bytes()
        self.given.append((photo.name, data))
        self.before(photo)
        trace.write_text("{}")
        return Answer(
            status="located", latitude=3.0, longitude=3.0, country="FR",
            countries={"FR": 0.9}, radii=Radii(km_50=1.0, km_80=2.0, km_95=3.0),
            explanation="", photo_id=hashlib.sha256(data).hexdigest(), photo_name=photo.name,
            stopped_because="committed", budget_spent={"tokens": 7.0}, seconds=0.5,
        )  # fmt: skip


def secret(number: int) -> str:
    return f"Timbuktu-{number}"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Eight photos that say in name and metadata who took them and where."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rows = ["image_id,author,latitude,longitude,category"]
    for number in range(PHOTOS):
        exif = gps_exif(GPSLatitudeRef="N", GPSLatitude=(float(number), 0.0, 0.0))
        exif[0x010E] = secret(number)
        image = Image.linear_gradient("L").convert("RGB").rotate(number * 7)
        image.save(folder / f"{secret(number)}.jpg", exif=exif, comment=secret(number).encode())
        rows.append(f"{secret(number)}.jpg,Ann{number},{number + 1},{number},street")
    (folder / "truth.csv").write_text("\n".join(rows))
    return open_dataset(folder / "truth.csv")


@pytest.fixture
def fake(settings: Settings) -> FakeGeolocator:
    return FakeGeolocator(settings)


def run(fake: FakeGeolocator, dataset: Dataset, folder: Path, **options: Any) -> RunReport:
    return run_dataset(cast(Geolocator, fake), dataset, folder, **options)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / ROWS).read_text().splitlines()]


class TestRows:
    def test_every_photo_has_a_row_with_what_the_answer_says(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        told: list[BatchProgress] = []
        report = run(fake, dataset, tmp_path / "run", on_progress=told.append)
        assert (report.photos, report.counts, report.kept) == (PHOTOS, {"located": PHOTOS}, 0)
        assert report.complete
        assert [one.done for one in told] == list(range(1, PHOTOS + 1))
        held = Run.read(tmp_path / "run")
        assert held.complete
        assert [truth.author for truth, _ in held.pairs()] == [f"Ann{n}" for n in range(PHOTOS)]
        row = held.rows[f"{secret(0)}.jpg"]
        assert (row.status, row.latitude, row.tokens, row.seconds) == ("located", 3.0, 7, 0.5)
        assert (row.country, row.countries) == ("FR", {"FR": 0.9})
        assert row.stages["final"] == ((3.0, 3.0),)
        assert (tmp_path / "run" / row.trace_path).is_file()
        assert held.manifest.recipe == "pipeline"
        assert held.manifest.dataset == dataset.name == "photos"
        assert {
            "pixels",
            "names",
            "metadata",
            "failures",
            "placeholders",
            "galleries",
            "tuning",
        } <= set(held.manifest.protocol)

    def test_nothing_of_a_photo_but_its_pixels_is_passed_on(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        run(fake, dataset, tmp_path / "run")
        assert len({name for name, _ in fake.given}) == PHOTOS
        for name, data in fake.given:
            for word in (b"Timbuktu", b"timbuktu", b"Ann", b"Camera", b"Exif"):
                assert word not in data
                assert word.decode() not in name
        original = {path.read_bytes() for path in dataset.paths.values()}
        assert not original & {data for _, data in fake.given}
        assert not (tmp_path / "run" / ".neutral").exists()
        again = FakeGeolocator(fake.settings)
        run(again, dataset, tmp_path / "other")
        assert sorted(again.given) == sorted(fake.given)

    def test_failures_stay_and_count(
        self, settings: Settings, dataset: Dataset, tmp_path: Path
    ) -> None:
        dataset.paths[f"{secret(1)}.jpg"].write_bytes(b"not a photo")
        dataset.paths[f"{secret(2)}.jpg"].unlink()
        dataset = open_dataset(tmp_path / "photos" / "truth.csv")

        calls: list[str] = []

        def locate(path: Path) -> None:
            calls.append(path.name)
            if len(calls) == 1:
                raise RuntimeError("a bug\nof ours")

        report = run(FakeGeolocator(settings, locate), dataset, tmp_path / "run", concurrency=1)
        assert report.photos == PHOTOS
        assert report.counts == {"located": PHOTOS - 3, "failed": 3}
        held = Run.read(tmp_path / "run")
        assert len(held.manifest.truths) == PHOTOS
        reasons = {row.image_id: row.reason for row in held.rows.values() if row.reason}
        assert reasons[f"{secret(0)}.jpg"] == "RuntimeError: a bug\\nof ours"
        assert reasons[f"{secret(2)}.jpg"].startswith("InputError: no file")
        assert any("1 photos cannot be opened" in line for line in report.told)
        assert any("1 of 8 photos have no file" in line for line in report.told)
        fixed = run(
            FakeGeolocator(settings), dataset, tmp_path / "run", retry_failed=True, concurrency=1
        )
        assert fixed.counts == {"located": PHOTOS - 2, "failed": 2}
        assert fixed.kept == PHOTOS - 3

    def test_an_outage_is_no_failure(
        self, settings: Settings, dataset: Dataset, tmp_path: Path
    ) -> None:
        def locate(path: Path) -> None:
            raise UnavailableError("the model is away", retryable=True)

        with pytest.raises(UnavailableError, match=f"{OUTAGE_ROWS} photos in a row"):
            run(FakeGeolocator(settings, locate), dataset, tmp_path / "run", concurrency=1)
        assert lines(tmp_path / "run") == []
        assert run(FakeGeolocator(settings), dataset, tmp_path / "run").counts == {
            "located": PHOTOS
        }


class TestGoingOn:
    def test_a_stop_and_a_cut_line(
        self, settings: Settings, dataset: Dataset, tmp_path: Path
    ) -> None:
        stop, seen = threading.Event(), []

        def locate(path: Path) -> None:
            seen.append(path.name)
            if len(seen) == 3:
                stop.set()

        folder = tmp_path / "run"
        report = run(FakeGeolocator(settings, locate), dataset, folder, concurrency=1, stop=stop)
        assert not report.complete
        assert len(lines(folder)) == 3
        with (folder / ROWS).open("ab") as file:
            file.write(b'{"image_id": "Timb')
        second = FakeGeolocator(settings)
        report = run(second, dataset, folder)
        assert (report.kept, report.counts) == (3, {"located": PHOTOS})
        assert not {name for name, _ in second.given} & set(seen)
        assert len(lines(folder)) == PHOTOS
        third = FakeGeolocator(settings)
        assert run(third, dataset, folder).kept == PHOTOS
        assert third.given == []

    def test_a_stop_before_the_first_photo(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        stop = threading.Event()
        stop.set()
        report = run(fake, dataset, tmp_path / "run", stop=stop)
        assert not report.complete
        assert fake.given == []
        assert run(fake, dataset, tmp_path / "run").complete

    def test_rows_made_otherwise_are_not_mixed(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        folder = tmp_path / "run"
        run(fake, dataset, folder, limit=2, stated={"encoder": "none"})
        before = (folder / ROWS).read_bytes()
        with pytest.raises(ConfigError, match=r"photos was 2, now 1;.*another --out"):
            run(fake, dataset, folder, limit=1, stated={"encoder": "none"})
        with pytest.raises(ConfigError, match='encoder was "none", now "geoclip"'):
            run(fake, dataset, folder, limit=2, stated={"encoder": "geoclip"})
        moved = Dataset("other", dataset.truths, dataset.paths, {})
        with pytest.raises(ConfigError, match='dataset was "photos", now "other"'):
            run(fake, moved, folder, limit=2)
        assert (folder / ROWS).read_bytes() == before

    def test_more_photos_may_be_added(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        folder, last = tmp_path / "run", dataset.paths[f"{secret(7)}.jpg"]
        run(fake, dataset, folder, limit=2)
        notice, away = last.read_bytes(), last.with_suffix(".away")
        last.rename(away)
        there = open_dataset(tmp_path / "photos" / "truth.csv")
        report = run(fake, there, folder)
        assert (report.kept, report.counts) == (2, {"located": PHOTOS - 1, "failed": 1})
        assert len(Run.read(folder).manifest.truths) == PHOTOS
        away.rename(last)
        Image.new("RGB", (500, 374), "white").save(last)  # by now a placeholder
        assert notice != last.read_bytes()
        report = run(fake, dataset, folder, retry_failed=True)
        assert report.counts == {"located": PHOTOS}
        stated = cast(Any, Run.read(folder).manifest.protocol["placeholders"])
        assert stated["photos"] == 1

    def test_a_photo_that_has_changed_since(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        run(fake, dataset, tmp_path / "run")
        Image.new("RGB", (64, 48), "red").save(dataset.paths[f"{secret(4)}.jpg"])
        with pytest.raises(ConfigError, match="1 photos have changed"):
            run(fake, dataset, tmp_path / "run")

    def test_one_writer_at_a_time(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        run(fake, dataset, tmp_path / "run")
        with RowLog(tmp_path / "run" / ROWS), pytest.raises(UnavailableError, match="another run"):
            run(fake, dataset, tmp_path / "run")

    def test_damage_in_the_middle_is_told(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        run(fake, dataset, tmp_path / "run")
        held = (tmp_path / "run" / ROWS).read_bytes().split(b"\n", 1)[1]
        (tmp_path / "run" / ROWS).write_bytes(b"{}\n" + held)
        with pytest.raises(InputError, match="line 1 of"):
            run(fake, dataset, tmp_path / "run")

    def test_a_folder_with_something_else(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match=r"holds 'truth\.csv' and no run|and no run"):
            run(fake, dataset, tmp_path / "photos")
        assert not (tmp_path / "photos" / MANIFEST).exists()


class TestProtocol:
    def test_placeholders_are_listed_and_kept_unless_told_otherwise(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        for number in (5, 6):
            Image.new("RGB", (500, 374), "white").save(dataset.paths[f"{secret(number)}.jpg"])
        report = run(fake, dataset, tmp_path / "kept")
        stated = cast(Any, Run.read(tmp_path / "kept").manifest.protocol["placeholders"])
        assert (stated["photos"], stated["kept"], report.photos) == (2, True, PHOTOS)
        assert stated["ids"] == [f"{secret(5)}.jpg", f"{secret(6)}.jpg"]
        assert any("probably placeholders (kept" in line for line in report.told)
        report = run(fake, dataset, tmp_path / "without", without_placeholders=True)
        assert report.photos == PHOTOS - 2
        assert any("probably placeholders (left out" in line for line in report.told)

    def test_positions_in_writing_are_listed(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        line = SimpleNamespace(text="N 48.85837 E 2.29448")
        shown = iter([[line], *[[] for _ in range(PHOTOS)]])
        fake.bench.reader = SimpleNamespace(read=lambda image: next(shown))
        report = run(fake, dataset, tmp_path / "run", read_overlays=True)
        stated = cast(Any, Run.read(tmp_path / "run").manifest.protocol["overlays"])
        assert (stated["photos"], stated["kept"]) == (1, True)
        assert any("1 photos show a position in writing" in line for line in report.told)
        run(fake, dataset, tmp_path / "blind")
        assert Run.read(tmp_path / "blind").manifest.protocol["overlays"] == "not looked for"

    def test_tuning_on_the_test_is_refused_before_any_work(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        fake.calibration = Calibration(recipe="pipeline", fitted_on="photos", photos=8)
        with pytest.raises(ConfigError, match=r"tuning on the test.*--calibration none"):
            run(fake, dataset, tmp_path / "run")
        assert fake.given == []

    def test_a_run_is_not_gone_on_with_under_another_calibration(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        fake.calibration = Calibration(recipe="pipeline", fitted_on="others", photos=8)
        run(fake, dataset, tmp_path / "run")
        manifest = Run.read(tmp_path / "run").manifest
        assert manifest.settings["calibration"] == fake.calibration.version
        assert "fitted on 8 photos of 'others'" in str(manifest.protocol["calibration"])
        fake.calibration = fake.calibration.model_copy(update={"temperature": 2.0})
        with pytest.raises(ConfigError, match=r"calibration was .*, now .*another --out"):
            run(fake, dataset, tmp_path / "run")
        fake.calibration = None
        with pytest.raises(ConfigError, match=r"calibration was .*, now .*none: evidence counts"):
            run(fake, dataset, tmp_path / "run")

    def test_galleries_are_cleaned_for_the_run_and_put_back(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        rows = [photo(0, author="Ann3"), photo(1, author="zoe")]
        with open_gallery(write_gallery(tmp_path / "gallery", rows)) as gallery:
            given = fake.bench.galleries = (gallery,)
            fake.bench.photos.add = lambda path: SimpleNamespace(id=path.name)
            fake.bench.encoder_of = lambda gallery: None
            fake.bench.photo_vectors = lambda photo_id, encoder: {"globe": unit(7)}
            during: list[set[str]] = []
            fake.before = lambda path: during.append(
                {one.author for one in fake.bench.galleries[0].photos()}
            )
            report = run(fake, dataset, tmp_path / "run", limit=2)
            assert during == [{"zoe"}] * 2
            assert fake.bench.galleries is given
            assert {one.author for one in gallery.photos()} == {"Ann3", "zoe"}
        assert any("without 1 photos of 1 of the" in line for line in report.told)

    def test_concurrency_out_of_range(
        self, fake: FakeGeolocator, dataset: Dataset, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match="concurrency 0"):
            run(fake, dataset, tmp_path / "run", concurrency=0)
        assert not (tmp_path / "run").exists()
