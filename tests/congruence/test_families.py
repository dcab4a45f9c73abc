"""Every family keeps the encoder's promises: unit rows, finite, each row on its own."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from encoders.base import AlignedEncoder, Vectors, alignment_scores, retrieval_vectors
from encoders.families import FAMILIES
from encoders.model import FamilyEncoder
from geo.errors import InputError
from tests.unit.encoder_samples import label_maps, photos, tiny_encoder

EDGES = [(90.0, 0.0), (-90.0, 0.0), (90.0, 180.0), (0.0, 180.0), (0.0, -180.0), (-90.0, -180.0)]
ALIGNED = [family for family in FAMILIES if family != "siglip"]
CAPTIONS = ["A street in Lyon, France.", "A harbour in Bergen, Norway.", "海", "x" * 1500]


@pytest.fixture(scope="module", params=list(FAMILIES))
def encoder(request: pytest.FixtureRequest) -> FamilyEncoder:
    return tiny_encoder(request.param)


@pytest.fixture(scope="module", params=ALIGNED)
def aligned(request: pytest.FixtureRequest) -> FamilyEncoder:
    return tiny_encoder(request.param)


def encode(encoder: FamilyEncoder, rows: list[int]) -> dict[str, Vectors]:
    images, maps = photos(20), label_maps(20)
    return encoder.encode_images([images[i] for i in rows], [maps[i] for i in rows])


def test_photos_become_unit_rows_in_the_spaces_of_the_card(encoder: FamilyEncoder) -> None:
    vectors = encode(encoder, list(range(20)))
    assert isinstance(encoder, AlignedEncoder)
    assert tuple(vectors) == encoder.card.image_spaces
    for space, rows in vectors.items():
        assert rows.shape == (20, encoder.card.spaces[space])
        assert rows.dtype == np.float32
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert retrieval_vectors(encoder.card, vectors).shape[0] == 20


def test_a_photo_is_encoded_alone_as_among_others(encoder: FamilyEncoder) -> None:
    together = encode(encoder, list(range(20)))
    order = list(np.random.default_rng(4).permutation(20))
    shuffled = encode(encoder, order)
    for number in (0, 7, 19):
        alone = encode(encoder, [number])
        for space, rows in together.items():
            assert np.abs(alone[space][0] - rows[number]).max() < 1e-5
            assert np.abs(shuffled[space][order.index(number)] - rows[number]).max() < 1e-5


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    points=st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=30)
)
def test_a_place_is_encoded_alone_as_among_others(
    aligned: FamilyEncoder, points: list[tuple[float, float]]
) -> None:
    together = aligned.encode_locations(points + EDGES)
    assert tuple(together) == aligned.card.location_spaces
    backwards = aligned.encode_locations((points + EDGES)[::-1])
    alone = aligned.encode_locations(points[:1])
    for space, rows in together.items():
        assert rows.shape == (len(points) + 6, aligned.card.spaces[space])
        assert np.isfinite(rows).all()
        lengths = np.linalg.norm(rows, axis=1)
        assert (np.isclose(lengths, 1, atol=1e-5) | (lengths == 0)).all()
        assert np.abs(rows[::-1] - backwards[space]).max() < 1e-5
        assert np.abs(rows[0] - alone[space][0]).max() < 1e-5


def test_scores_are_finite_cosines(aligned: FamilyEncoder) -> None:
    scores = alignment_scores(
        aligned.card, encode(aligned, [0, 1]), aligned.encode_locations(EDGES)
    )
    assert scores.shape == (2, 6)
    assert np.isfinite(scores).all()
    assert np.abs(scores).max() <= 1 + 1e-5


@pytest.mark.parametrize("family", ["g3", "transgeoclip"])
def test_captions_are_encoded_alone_as_among_others(family: str) -> None:
    encoder = tiny_encoder(family)
    together = encoder.encode_texts(CAPTIONS)
    for space, rows in together.items():
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert np.abs(rows[2] - encoder.encode_texts(CAPTIONS[2:3])[space][0]).max() < 1e-5


def test_the_fingerprint_covers_weights_sizes_and_tower() -> None:
    first = tiny_encoder("geoclip").card.fingerprint
    assert tiny_encoder("geoclip").card.fingerprint == first
    other = tiny_encoder("geoclip", hidden=16).card.fingerprint
    backbone = tiny_encoder("geoclip")
    moved = FamilyEncoder(
        backbone.heads,
        lambda: backbone.backbone,
        backbone_name="tiny",
        backbone_fingerprint="another",
    )
    assert len({first, other, moved.card.fingerprint}) == 3


GREY, TINY = Image.new("L", (64, 64)), Image.new("RGB", (1, 1))
STRIP = Image.new("RGB", (1280, 64))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([], "no photos"),
        ([GREY], "mode 'L', RGB is needed"),
        ([Image.new("RGBA", (64, 64))], "mode 'RGBA'"),
        ([TINY], "1 x 1 px is too small, limit 8"),
        ([STRIP], "1,280 x 64 px is too long a strip, limit 10:1"),
        ([np.zeros((9, 9, 3))], "is a ndarray"),
    ],
)
def test_photos_that_no_tower_understands_are_refused(images: list[Image.Image], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny_encoder("geoclip").encode_images(images)


@pytest.mark.parametrize(
    ("coordinates", "said"),
    [
        ([], "no coordinates"),
        ([[48.0, float("nan")]], r"coordinate 0 is \(48.0, nan\)"),
        ([[1.0, 2.0], [91.0, 0.0]], r"coordinate 1 is \(91.0, 0.0\), limits -90 to 90"),
        ([[0.0, float("inf")]], "inf"),
        ([1.0, 2.0], r"shape \(2,\), \[N, 2\] is needed"),
        ([["a", "b"]], "not all numbers"),
        ([[1.0, 2.0], [3.0]], "not all numbers"),
    ],
)
def test_coordinates_that_are_none_are_refused(coordinates: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny_encoder("g3").encode_locations(coordinates)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("texts", "said"), [([], "no texts"), (["a", " "], "text 1"), ("a", "one")]
)
def test_texts_that_say_nothing_are_refused(texts: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny_encoder("g3").encode_texts(texts)


def test_what_a_family_does_not_encode_is_said() -> None:
    with pytest.raises(InputError, match="encodes no texts"):
        tiny_encoder("geoclip").encode_texts(["a"])
    with pytest.raises(InputError, match="encodes no locations"):
        tiny_encoder("siglip").encode_locations([[0, 0]])
    with pytest.raises(InputError, match="has no segmenter"):
        tiny_encoder("dualgeo").encode_images(photos(1))


def test_vectors_of_the_wrong_width_are_refused() -> None:
    encoder = tiny_encoder("geoclip")
    places = encoder.encode_locations(EDGES)
    wrong = {"gps": np.ones((2, 5), np.float32)}
    with pytest.raises(InputError, match=r"shape \(2, 5\), \[N, 16\] is needed"):
        alignment_scores(encoder.card, wrong, places)
    with pytest.raises(InputError, match="are missing"):
        alignment_scores(encoder.card, {}, places)
    poisoned = {"gps": np.full((1, 16), np.nan, np.float32)}
    with pytest.raises(InputError, match="not finite"):
        alignment_scores(encoder.card, poisoned, places)
