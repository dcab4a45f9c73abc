"""The embedded encoder: unit rows, each from its own photo alone, one fingerprint."""

import numpy as np
import pytest
from PIL import Image

from encoders import load_encoder
from encoders.embedded import Codebook, EmbeddedEncoder, fit_codebook
from encoders.local_features import (
    LocalFeatures,
    difference_hash,
    extract_features,
    hash_distance,
    pack_features,
    unpack_features,
)
from geo.errors import InputError
from tests.unit.gallery_samples import facade, view


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    return [view(facade(seed), step) for seed in range(3) for step in (0, 1)]


@pytest.fixture(scope="module")
def features(photos: list[Image.Image]) -> list[LocalFeatures]:
    return [extract_features(photo) for photo in photos]


@pytest.fixture(scope="module")
def encoder(features: list[LocalFeatures]) -> EmbeddedEncoder:
    return load_encoder("embedded", codebook=fit_codebook(features, words=16))


def test_rows_are_unit_vectors_of_the_stated_space(
    encoder: EmbeddedEncoder, photos: list[Image.Image]
) -> None:
    rows = encoder.encode_images(photos)["vlad"]
    assert rows.dtype == np.float32
    assert rows.shape == (len(photos), encoder.card.spaces["vlad"]) == (6, 16 * 128)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_a_row_depends_on_its_own_photo_alone(
    encoder: EmbeddedEncoder, photos: list[Image.Image]
) -> None:
    together = encoder.encode_images(photos)["vlad"]
    alone = np.concatenate([encoder.encode_images([photo])["vlad"] for photo in photos])
    np.testing.assert_array_equal(together, alone)
    assert encoder.encode_images([])["vlad"].shape == (0, 2048)


def test_another_view_of_a_scene_is_nearer_than_other_scenes(
    encoder: EmbeddedEncoder, photos: list[Image.Image]
) -> None:
    rows = encoder.encode_images(photos)["vlad"]
    likeness = rows @ rows.T - 2 * np.eye(len(rows))
    assert likeness.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]


def test_the_same_photos_give_the_same_codebook(features: list[LocalFeatures]) -> None:
    first, second = (fit_codebook(features, words=16) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert fit_codebook(features[:4], words=16).fingerprint != first.fingerprint


def test_a_projection_is_fitted_where_there_are_photos_enough(
    features: list[LocalFeatures], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("encoders.embedded.PCA_MIN_PHOTOS", 4)
    book = fit_codebook(features, words=16)
    assert book.dimensions == 5
    (row,) = EmbeddedEncoder(book).encode_features(features[:1])["vlad"]
    assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5)
    assert Codebook.unpack(book.pack()).fingerprint == book.fingerprint


def test_a_codebook_survives_its_file(encoder: EmbeddedEncoder) -> None:
    assert Codebook.unpack(encoder.codebook.pack()).fingerprint == encoder.card.fingerprint
    with pytest.raises(InputError, match="build it again"):
        Codebook.unpack(b"PK\x03\x04 cut short")


def test_too_few_features_for_a_codebook_are_refused() -> None:
    with pytest.raises(InputError, match="64 are needed"):
        fit_codebook([extract_features(Image.new("RGB", (64, 64)))])


def test_an_encoder_without_a_codebook_is_refused() -> None:
    with pytest.raises(InputError, match="codebook of a gallery"):
        load_encoder("embedded")
    with pytest.raises(InputError, match="'nonesuch'"):
        load_encoder("nonesuch")


def test_features_survive_their_file_within_150_kilobytes(features: list[LocalFeatures]) -> None:
    packed = pack_features(features[0])
    again = unpack_features(packed)
    assert len(packed) <= 150_000
    np.testing.assert_array_equal(again.descriptors, features[0].descriptors)
    np.testing.assert_allclose(again.xy, features[0].xy, atol=0.01)
    assert again.dhash == features[0].dhash
    with pytest.raises(InputError, match="damaged"):
        unpack_features(packed[:500])


def test_working_frames_are_640_px_whatever_the_photo() -> None:
    wall = facade(1)
    for size in ((320, 240), (640, 480), (1600, 1200)):
        found = extract_features(wall.resize(size))
        assert (found.width, found.height) == pytest.approx((640, 480), abs=1)
        assert len(found) <= 1000
        assert found.xy.max() <= 641


def test_difference_hashes_of_one_photo_are_close() -> None:
    photo = view(facade(3), 1)
    assert hash_distance(difference_hash(photo), difference_hash(photo.resize((200, 150)))) <= 4
    other = difference_hash(view(facade(4), 1))
    assert hash_distance(difference_hash(photo), other) > 8
