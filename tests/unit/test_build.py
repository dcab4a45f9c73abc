"""Building galleries: what is added, updated, skipped or refused, and what a failure leaves."""

import io
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import index_builder.adding
from encoders.base import Vectors
from geo.errors import InputError, UnavailableError
from index_builder import build_gallery, open_gallery
from index_builder.build_report import Progress
from index_builder.gallery_photo import GalleryPhoto
from index_builder.manifest import StoreSettings
from index_builder.points import IndexSettings
from index_builder.positions import Position
from index_builder.records import Record, Rejected, Source
from index_builder.sampling import SamplePerCell
from tests.integration.kill_samples import ProductEncoder
from tests.unit.encoder_samples import photos as drawn_photos
from tests.unit.encoder_samples import tiny_encoder


@dataclass
class ListSource:
    """A source in memory."""

    found: Sequence[Record | Rejected]
    name: str = "list"
    read: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[Record | Rejected]:
        for one in self.found:
            self.read += 1
            yield one

    def parts(self) -> Sequence[Source]:
        return [self]

    def count(self) -> int | None:
        return len(self.found)


def png(seed: int, size: tuple[int, int] = (40, 30)) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def record(number: int, seed: int | None = None, **at: Any) -> Record:
    position = Position(48 + number % 400 / 10, 2.0)
    position = replace(position, **at)
    return Record(f"p{number}", position, png(number if seed is None else seed))


def photos_of(folder: Path) -> dict[str, GalleryPhoto]:
    with open_gallery(folder) as gallery:
        return {photo.name: photo for photo in gallery.photos()}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "g"


class TestWhatBecomesOfARecord:
    def test_corrected_records_are_updated_and_keep_their_vectors(self, out: Path) -> None:
        records = [record(n) for n in range(5)]
        build_gallery(ListSource(records), out, encoder=ProductEncoder())
        with open_gallery(out) as gallery:
            before = {p.id: p.vectors for p in gallery.store.scan(with_vectors=True)}
        records[2] = record(2, latitude=-33.9, longitude=18.4, author="me", city="Cape Town")
        report = build_gallery(ListSource(records), out, encoder=ProductEncoder())
        assert (report.added, report.updated, report.skipped) == (0, 1, 4)
        photo = photos_of(out)["p2"]
        assert (photo.latitude, photo.author, photo.city) == (-33.9, "me", "Cape Town")
        assert photo.country == "ZA"
        with open_gallery(out) as gallery:
            for point in gallery.store.scan(with_vectors=True):
                assert all((before[point.id][k] == v).all() for k, v in point.vectors.items())
        assert build_gallery(ListSource(records), out, encoder=ProductEncoder()).updated == 0

    def test_one_content_in_two_places_is_refused_naming_both(self, out: Path) -> None:
        found = [record(1), record(5, seed=1), record(6, seed=1, latitude=48.1005)]
        for _ in range(2):
            report = build_gallery(ListSource(found), out, encoder=ProductEncoder())
            assert (report.photos, report.rejected) == (1, 1)
            (said,) = report.examples
            assert said.name == "p5"
            assert "48.10000, 2.00000" in said.reason
            assert "48.50000, 2.00000" in said.reason
            assert "'p1'" in said.reason
        assert report.skipped == 2

    def test_an_accuracy_may_explain_the_distance(self, out: Path) -> None:
        found = [record(1), record(5, seed=1, accuracy_km=100.0)]
        report = build_gallery(ListSource(found), out, encoder=ProductEncoder())
        assert (report.added, report.skipped, report.rejected) == (1, 1, 0)

    def test_one_name_twice_is_settled_the_same_each_time(self, out: Path) -> None:
        found = [record(1), record(1, latitude=10.0)]
        for _ in range(3):
            report = build_gallery(ListSource(found), out, encoder=ProductEncoder())
            assert (report.updated, report.rejected) == (0, 1)
            assert photos_of(out)["p1"].latitude == 48.1

    def test_what_the_encoder_cannot_encode_is_refused(self, out: Path) -> None:
        class Odd(ProductEncoder):
            def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
                found = super().encode_images(images)
                for row, image in enumerate(images):
                    if image.width == 41:
                        found["b"][row] = np.nan
                    if image.width == 42:
                        found["a"][row] = 0
                return found

        found = [record(n) for n in range(3)]
        found += [Record("nan", found[0].position, png(7, (41, 30)))]
        found += [Record("blank", found[0].position, png(8, (42, 30)))]
        found += [Record("strip", found[0].position, png(9, (300, 20)))]
        report = build_gallery(ListSource(found), out, encoder=Odd())
        reasons = {one.name: one.reason for one in report.examples}
        assert report.added == 3
        assert "not finite" in reasons["nan"]
        assert "'b'" in reasons["nan"]
        assert "sees nothing" in reasons["blank"]
        assert "too long a strip" in reasons["strip"]
        lines = (out / "rejects.jsonl").read_text().splitlines()
        assert {json.loads(line)["name"] for line in lines} == {"nan", "blank", "strip"}
        assert sum(report.reasons.values()) == report.rejected == 3

    def test_impossible_positions_are_refused_whatever_the_source(self, out: Path) -> None:
        found = [record(1), *(record(n, latitude=at) for n, at in enumerate((97.0, float("nan"))))]
        for _ in range(2):
            report = build_gallery(ListSource(found), out, encoder=ProductEncoder())
            assert (report.photos, report.rejected) == (1, 2)

    def test_what_the_encoder_refuses_leaves_the_others(self, out: Path) -> None:
        class Picky(ProductEncoder):
            def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
                if any(image.width == 41 for image in images):
                    raise InputError("41 px wide; give another")
                return super().encode_images(images)

        found = [record(1), Record("odd", record(0).position, png(7, (41, 30))), record(2)]
        report = build_gallery(ListSource(found), out, encoder=Picky())
        assert (report.added, report.rejected) == (2, 1)
        with pytest.raises(InputError, match="41 px wide"):
            build_gallery(ListSource(found[1:2]), out.with_name("h"), encoder=Picky())


class TestPlaces:
    def test_coordinates_make_a_gallery_of_places(self, out: Path) -> None:
        found = [replace(record(n), content=None) for n in range(100)]
        report = build_gallery(ListSource(found[:70]), out, encoder=tiny_encoder("geoclip"))
        assert report.added == 70
        assert build_gallery(ListSource(found), out, encoder=tiny_encoder("geoclip")).added == 30
        with open_gallery(out) as gallery:
            assert gallery.manifest.kind == "places"
            assert set(gallery.manifest.encoder.spaces) == {"gps"}
        assert not (out / "photos").exists()

    def test_kinds_are_not_mixed(self, out: Path) -> None:
        place = replace(record(3), content=None)
        encoder = ProductEncoder()
        report = build_gallery(ListSource([record(1), place]), out, encoder=encoder)
        assert (report.added, report.rejected) == (1, 1)
        assert "a coordinate without a photo" in report.examples[0].reason
        with pytest.raises(InputError, match="holds photos, the source gives places"):
            build_gallery(ListSource([place]), out, encoder=encoder)
        with pytest.raises(InputError, match="--encoder geoclip"):
            build_gallery(ListSource([place]), out.with_name("h"))
        assert not out.with_name("h").exists()


class TestSettings:
    def test_other_settings_than_the_gallerys_are_refused(self, out: Path) -> None:
        source = ListSource([record(1)])
        encoder = ProductEncoder()
        build_gallery(source, out, encoder=encoder)
        with pytest.raises(InputError, match="the index int8"):
            build_gallery(source, out, encoder=encoder, index=IndexSettings(quantization="none"))
        with pytest.raises(InputError, match="small copies"):
            build_gallery(source, out, encoder=encoder, copies=False)
        with pytest.raises(InputError, match="its own folder"):
            build_gallery(source, out, encoder=encoder, store=StoreSettings(url="http://h:1"))
        with pytest.raises(InputError, match="built by encoder product"):
            build_gallery(source, out, encoder="embedded")
        with pytest.raises(InputError, match="built by encoder product"):
            build_gallery(source, out, encoder=tiny_encoder("geoclip"))

    def test_without_copies_no_files_are_kept(self, out: Path) -> None:
        build_gallery(ListSource([record(1)]), out, encoder=ProductEncoder(), copies=False)
        assert not (out / "photos").exists()
        assert photos_of(out)["p1"].copy_sha256 == ""
        again = build_gallery(ListSource([record(1), record(2)]), out, encoder=ProductEncoder())
        assert (again.added, again.skipped) == (1, 1)

    def test_a_limit_counts_records(self, out: Path) -> None:
        found: list[Record | Rejected] = [Rejected("x", "broken"), *(record(n) for n in range(90))]
        source = ListSource(found)
        report = build_gallery(source, out, encoder=ProductEncoder(), limit=70)
        assert (report.added, report.rejected) == (70, 1)
        report = build_gallery(source, out, encoder=ProductEncoder())
        assert (report.added, report.skipped) == (20, 70)

    def test_a_sample_resumes(self, out: Path) -> None:
        found = [record(n, latitude=48.0) for n in range(30)]
        settings: dict[str, Any] = {"encoder": ProductEncoder(), "sample": SamplePerCell(10, 6)}
        first = build_gallery(ListSource(found), out, **settings)
        again = build_gallery(ListSource(found[::-1]), out, **settings)
        assert (first.added, again.added, again.skipped) == (10, 0, 10)


class TestFailures:
    def test_an_error_in_the_encoder_stops_all_threads(self, out: Path) -> None:
        class Failing(ProductEncoder):
            calls = 0

            def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
                self.calls += 1
                if self.calls == 3:
                    raise UnavailableError("the service went away; try again", retryable=True)
                return super().encode_images(images)

        before = threading.active_count()
        source = ListSource([record(n) for n in range(400)])
        with pytest.raises(UnavailableError, match="went away"):
            build_gallery(source, out, encoder=Failing())
        assert threading.active_count() == before
        report = build_gallery(source, out, encoder=ProductEncoder())
        assert report.photos == 400

    def test_an_error_in_the_source_surfaces(self, out: Path) -> None:
        class Broken(ListSource):
            def __iter__(self) -> Iterator[Record | Rejected]:
                yield from self.found
                raise InputError("the shard is cut short; copy it again")

        found = [record(n) for n in range(3)]
        with pytest.raises(InputError, match="cut short"):
            build_gallery(Broken(found), out, encoder=ProductEncoder())

    def test_the_source_is_read_only_so_far_ahead(
        self, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Slow(ProductEncoder):
            most = encoded = 0

            def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
                found = super().encode_images(images)
                self.encoded += len(images)
                threading.Event().wait(0.05)
                self.most = max(self.most, source.read - self.encoded)
                return found

        source = ListSource([record(n) for n in range(900)])
        encoder = Slow()
        build_gallery(source, out, encoder=encoder, copies=False)
        assert encoder.encoded == 900
        assert encoder.most <= 64 * 9

    def test_a_disk_almost_full_says_so_and_the_rest_follows(
        self, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = ListSource([record(n) for n in range(5)])
        with monkeypatch.context() as patch:
            patch.setattr(index_builder.adding, "SPACE_BYTES", 10**18)
            with pytest.raises(InputError, match="free space and run the same command again"):
                build_gallery(source, out, encoder=ProductEncoder())
        assert build_gallery(source, out, encoder=ProductEncoder()).added == 5

    def test_progress_counts_everything(self, out: Path) -> None:
        told: list[Progress] = []
        found: list[Record | Rejected] = [Rejected("x", "broken"), *(record(n) for n in range(70))]
        build_gallery(ListSource(found), out, encoder=ProductEncoder(), progress=told.append)
        assert (told[-1].stage, told[-1].done, told[-1].total) == ("adding", 71, 71)


@pytest.mark.parametrize("family", ["geoclip", "g3", "siglip", "transgeoclip"])
def test_what_the_tower_sees_encodes_to_the_same_bits(family: str) -> None:
    encoder = tiny_encoder(family)
    whole = drawn_photos(6)
    seen = [encoder.as_seen(image) for image in whole]
    assert all(image.size == (56, 56) for image in seen)
    expected, found = encoder.encode_images(whole), encoder.encode_images(seen)
    assert all((expected[space] == found[space]).all() for space in expected)
