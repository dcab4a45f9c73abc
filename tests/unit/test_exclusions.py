"""Galleries as they are searched while they are measured: without what answers for the test."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from evaluation.datasets import Dataset
from evaluation.exclusions import NEAR, Clean, clean_galleries
from evaluation.runs import Truth
from evaluation.store_without import StoreWithout
from evaluation.survey import Surveyed
from geo.errors import ConfigError, InputError
from index_builder.gallery import Gallery
from index_builder.gallery_opening import open_gallery
from index_builder.points import Where
from tests.unit.upkeep_samples import photo, sha, started, unit, write_gallery

PHOTOS = 40
Vectors = dict[str, Any]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """40 photos by anna and ben in turns; 0 is seen again as 40, hardly changed."""
    rows = [photo(number) for number in range(PHOTOS)]
    again = unit(0) + 0.02 * unit(99)
    twin, _ = photo(PHOTOS, author="carl")
    rows.append((twin, {"globe": (again / np.linalg.norm(again)).astype(np.float32)}))
    with open_gallery(write_gallery(tmp_path_factory.mktemp("g") / "gallery", rows)) as opened:
        yield opened


def without(gallery: Gallery, *, authors: Sequence[str] = (), ids: Sequence[str] = ()) -> Gallery:
    return replace(gallery, store=StoreWithout(gallery.store, frozenset(authors), frozenset(ids)))


class TestStore:
    def test_what_is_left_out_is_nowhere(self, gallery: Gallery) -> None:
        gone = sha("photo 2")
        clean = without(gallery, authors=["anna"], ids=[gone])
        hits = clean.search(unit(1), 100)
        assert {hit.photo.author for hit in hits} == {"ben", "carl"}
        assert gone not in {hit.photo.id for hit in hits}
        assert len(hits) == len(clean) == clean.store.count() == PHOTOS // 2
        assert {one.author for one in clean.photos()} == {"ben", "carl"}
        assert clean.store.get([gone, sha("photo 1"), sha("photo 4")])[0].id == sha("photo 4")
        with pytest.raises(InputError, match="0 photos"):
            clean.photo(gone)
        assert clean.store.count(Where(authors=("anna",))) == 0
        assert len(gallery) == PHOTOS + 1

    def test_never_fewer_than_asked_for(self, gallery: Gallery) -> None:
        clean = without(gallery, authors=["anna"])
        best = [hit.photo.id for hit in clean.search(unit(1), 3)]
        assert best == [
            hit.photo.id
            for hit in gallery.search(unit(1), 3, where=Where(exclude_authors=("anna",)))
        ]
        many = without(gallery, ids=[sha(f"photo {n}") for n in range(35)])
        assert len(many.search(unit(1), 6)) == 6
        least = clean.search(unit(1), 5, dissimilar=True)
        assert len(least) == 5
        assert "anna" not in {hit.photo.author for hit in least}

    def test_it_is_only_read(self, gallery: Gallery) -> None:
        clean = without(gallery, authors=["anna"])
        with pytest.raises(InputError, match="only read"):
            clean.add([photo(50)])
        with pytest.raises(InputError, match="only read"):
            clean.store.delete(Where(authors=("ben",)))
        with pytest.raises(InputError, match="only read"):
            clean.store.delete_ids([sha("photo 0")])
        clean.close()
        assert len(gallery) == PHOTOS + 1


class Bench(SimpleNamespace):
    """Encodes a photo as the vector of the number that its neutral copy is called by."""

    def encoder_of(self, gallery: Gallery) -> None:
        return None

    def photo_vectors(self, photo_id: str, encoder: object) -> Vectors:
        self.encoded.append(photo_id)
        return {"globe": unit(int(photo_id))}


def cleaned(
    gallery: Gallery, dataset: Dataset, folder: Path, *, accept_cells: bool = False
) -> tuple[Clean, list[str]]:
    encoded: list[str] = []
    photos = SimpleNamespace(add=lambda path: SimpleNamespace(id=path.name))
    bench = Bench(galleries=(gallery,), photos=photos, encoded=encoded)
    seen = {
        t.image_id: Surveyed(
            image_id=t.image_id, size=1, modified_ns=1, photo_id=sha(f"photo {t.image_id}"),
            pixels=f"pixels {t.image_id}", dhash="0" * 16,
        )
        for t in dataset.truths
    }  # fmt: skip

    @contextmanager
    def lend(image_id: str) -> Iterator[Path]:
        yield Path(image_id)

    found = clean_galleries(
        cast(Any, bench), dataset, seen, lend, folder, accept_cells=accept_cells,
        stop=threading.Event(),
    )  # fmt: skip
    return found, encoded


def dataset(*rows: tuple[str, str]) -> Dataset:
    truths = tuple(Truth(image_id=i, latitude=1, longitude=2, author=a) for i, a in rows)
    return Dataset("d", truths, {}, {})


class TestCleaning:
    def test_photographers_and_near_duplicates_are_gone(
        self, gallery: Gallery, tmp_path: Path
    ) -> None:
        # 0 is in the gallery, and again as 40 by somebody else; 1001 is only of a photographer.
        found, _ = cleaned(gallery, dataset(("0", ""), ("1001", "anna")), tmp_path)
        (clean,) = found.galleries
        left = {one.id for one in clean.photos()}
        assert left == {sha(f"photo {n}") for n in range(2, PHOTOS, 2)}
        stated = cast("dict[str, Any]", found.stated["gallery"])
        assert stated["photographers_excluded"] == 1
        assert stated["photos_of_theirs"] == PHOTOS // 2
        assert stated["near_duplicates_excluded"] == 2
        assert stated["photos_left"] == PHOTOS // 2 - 1

    def test_what_was_found_is_kept_and_not_looked_for_again(
        self, gallery: Gallery, tmp_path: Path
    ) -> None:
        photos = dataset(("0", ""), ("7", ""))
        first, encoded = cleaned(gallery, photos, tmp_path)
        assert encoded == ["0", "7"]
        with (tmp_path / NEAR).open("ab") as file:
            file.write(b'{"gallery": "cut')
        again, encoded = cleaned(gallery, photos, tmp_path)
        assert encoded == []
        assert again.stated == first.stated
        more, encoded = cleaned(gallery, dataset(("0", ""), ("7", ""), ("9", "")), tmp_path)
        assert encoded == ["9"]
        assert more.stated != first.stated

    def test_equal_hashes_are_near_duplicates_whatever_the_cosine(self, tmp_path: Path) -> None:
        rows = [photo(1, dhash="000000000000003f"), photo(2, dhash="000000000000007f")]
        with open_gallery(write_gallery(tmp_path / "g", rows)) as gallery:
            found, _ = cleaned(gallery, dataset(("77", "")), tmp_path)
            assert [one.name for one in found.galleries[0].photos()] == ["2.jpg"]

    def test_cells_are_refused_with_the_remedy(self, tmp_path: Path) -> None:
        with started(tmp_path / "cells", kind="cells") as gallery:
            with pytest.raises(ConfigError, match="graticule gallery remove PHOTOS --author"):
                cleaned(gallery, dataset(("0", "")), tmp_path)
            found, _ = cleaned(gallery, dataset(("0", "")), tmp_path, accept_cells=True)
            assert found.galleries == (gallery,)
            assert "nothing is checked" in str(found.stated["cells"])
