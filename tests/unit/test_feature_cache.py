"""Features of a frozen backbone: computed once, found again, never half written."""

import threading
from pathlib import Path

import numpy as np
import pytest

from encoders.heads import Need
from geo.errors import InputError, UnavailableError
from index_builder.feature_cache import cache_features
from index_builder.feature_store import ArraySpec, FeatureStore
from index_builder.train_progress import Progress
from index_builder.training_data import read_examples
from tests.unit.encoder_samples import tiny_backbone
from tests.unit.training_samples import write_photos

ARRAYS = {"pooled": ArraySpec((3,), "float32")}
EVERYTHING: frozenset[Need] = frozenset({"tokens", "segments", "captions", "aerial"})


def test_rows_are_found_by_key_and_uncommitted_ones_are_not_there(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, ARRAYS)
    store.append([9, 4], {"pooled": np.array([[1, 2, 3], [4, 5, 6]])})
    store.commit()
    store.append([7], {"pooled": np.zeros((1, 3))})
    again = FeatureStore(tmp_path, ARRAYS)
    wanted = np.array([4, 7, 9], np.uint64)
    assert again.rows_of(wanted).tolist() == [1, -1, 0]
    again.append([5], {"pooled": np.full((1, 3), 8)})
    again.commit()
    assert again.read("pooled", np.array([2, 0, 2])).tolist() == [[8] * 3, [1, 2, 3], [8] * 3]
    assert np.load(tmp_path / "pooled.npy", mmap_mode="r").shape == (3, 3)


def test_a_store_that_lost_rows_or_is_of_another_kind_is_refused(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, ARRAYS)
    store.append([1], {"pooled": np.ones((1, 3))})
    store.commit()
    with pytest.raises(InputError, match="other arrays"):
        FeatureStore(tmp_path, {"pooled": ArraySpec((4,), "float32")})
    with open(store.path("pooled"), "r+b") as file:
        file.truncate(260)
    with pytest.raises(InputError, match="lack rows"):
        FeatureStore(tmp_path, ARRAYS)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, ARRAYS)
    lock = store.lock()
    with pytest.raises(UnavailableError, match="another process"):
        FeatureStore(tmp_path, ARRAYS).lock()
    lock.release()
    FeatureStore(tmp_path, ARRAYS).lock().release()


def test_batches_hold_what_the_backbone_says(tmp_path: Path) -> None:
    examples, _ = read_examples(write_photos(tmp_path / "photos", 5), EVERYTHING)
    backbone = tiny_backbone()
    features, kept, rejected = cache_features(
        examples, EVERYTHING, backbone, tmp_path / "features", classes=8
    )
    assert (len(kept), rejected) == (5, [])
    batch = features.batch(np.array([3, 1]))
    from encoders.pixels import open_photo

    images = [open_photo(examples[i].photo).image for i in (3, 1)]
    truth = backbone.image_features(images, tokens=True)
    assert truth.tokens is not None
    assert batch.photos.tokens is not None
    assert batch.photos.segments is not None
    assert batch.captions is not None
    assert batch.aerial is not None
    np.testing.assert_allclose(batch.photos.pooled, truth.pooled, atol=1e-5)
    np.testing.assert_allclose(batch.photos.tokens, truth.tokens, atol=5e-3)
    texts = backbone.text_features([examples[3].caption, examples[1].caption])
    np.testing.assert_allclose(batch.captions, texts, atol=1e-5)
    assert batch.photos.segments.shape == (2, 56, 56)
    assert batch.points.tolist() == [[examples[i].latitude, examples[i].longitude] for i in (3, 1)]


def test_nothing_is_computed_twice_but_a_changed_file_is(tmp_path: Path) -> None:
    place = tmp_path / "photos"
    examples, _ = read_examples(write_photos(place, 20), frozenset())
    counts: list[int] = []

    def encoded(progress: Progress) -> None:
        counts.append(progress.done)

    def digest() -> str:
        features, _, _ = cache_features(
            examples, frozenset(), tiny_backbone(), tmp_path / "features", progress=encoded
        )
        return features.digest()

    first = digest()
    stores = list((tmp_path / "features").glob("*/photos/pooled.npy"))
    size = stores[0].stat().st_size
    assert digest() == first
    assert stores[0].stat().st_size == size
    (place / "7.png").write_bytes((place / "8.png").read_bytes())
    assert digest() != first
    assert stores[0].stat().st_size == size + 24 * 4
    assert max(counts) == 20


def test_a_run_cut_off_at_any_lot_ends_with_the_very_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index_builder.feature_cache.COMMIT_S", 0.0)
    examples, _ = read_examples(write_photos(tmp_path / "photos", 50), frozenset())
    running = threading.active_count()

    def cached(root: str, most: int | None = None) -> bytes:
        def cut(progress: Progress) -> None:
            if most is not None and progress.done >= most:
                raise KeyboardInterrupt

        features, _, _ = cache_features(
            examples, frozenset(), tiny_backbone(), tmp_path / root, progress=cut
        )
        return features.batch(np.arange(50)).photos.pooled.numpy().tobytes()

    for most in (1, 17, 40):
        with pytest.raises(KeyboardInterrupt):
            cached("cut", most)
    assert cached("cut") == cached("whole")
    assert threading.active_count() < running + 10  # threads of other tests may idle


def test_bad_files_are_rejected_with_their_reasons(tmp_path: Path) -> None:
    place = tmp_path / "photos"
    table = write_photos(place, 6)
    (place / "0.png").write_bytes(b"no picture")
    (place / "1.png").unlink()
    (place / "2-map.png").write_bytes((place / "2.png").read_bytes())
    (place / "3-tile.png").write_bytes(b"")
    examples, _ = read_examples(table, EVERYTHING)
    features, kept, rejected = cache_features(
        examples, EVERYTHING, tiny_backbone(), tmp_path / "features", classes=8
    )
    assert [one.name for one in kept] == ["4.png", "5.png"]
    assert len(features) == 2
    reasons = {one.name: one.reason for one in rejected}
    assert "text" in reasons["0.png"]
    assert "cannot be read" in reasons["1.png"]
    assert "mode 'RGB'" in reasons["2.png"]
    assert "empty" in reasons["3.png"]


def test_another_backbone_has_features_of_its_own(tmp_path: Path) -> None:
    from encoders.backbones import Backbone
    from tests.unit.encoder_samples import TOWER

    examples, _ = read_examples(write_photos(tmp_path / "photos", 2), frozenset())
    other = Backbone.from_config("tiny", TOWER, seed=2)
    for backbone in (tiny_backbone(), other):
        cache_features(examples, frozenset(), backbone, tmp_path / "features")
    assert len(list((tmp_path / "features").iterdir())) == 2
