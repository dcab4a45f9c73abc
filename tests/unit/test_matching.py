"""Verification: the same scene is recognised, everything else is not."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from encoders.local_features import LocalFeatures, extract_features
from tests.unit.gallery_samples import facade, view
from tools.matching import MIN_INLIERS_WITH_OVERLAY, verify_pair


@pytest.fixture(scope="module")
def views() -> dict[tuple[int, int], LocalFeatures]:
    return {(s, v): extract_features(view(facade(s), v)) for s in range(3) for v in range(3)}


def test_two_views_of_one_facade_are_verified(
    views: dict[tuple[int, int], LocalFeatures],
) -> None:
    match = verify_pair(views[0, 0], views[0, 2])
    assert match.verified
    assert match.inliers >= 60
    assert match.points_a.shape == match.points_b.shape == (match.inliers, 2)


def test_different_facades_are_never_verified(
    views: dict[tuple[int, int], LocalFeatures],
) -> None:
    for a in range(3):
        for b in range(a + 1, 3):
            match = verify_pair(views[a, 0], views[b, 1])
            assert not match.verified
            assert match.inliers < 15


def test_swapping_the_photos_swaps_the_result(
    views: dict[tuple[int, int], LocalFeatures],
) -> None:
    for pair in (((0, 0), (0, 1)), ((1, 1), (1, 2)), ((0, 0), (1, 1))):
        there, back = (
            verify_pair(*(views[k] for k in pair)),
            verify_pair(*(views[k] for k in reversed(pair))),
        )
        assert there.inliers == back.inliers
        assert there.model == back.model
        np.testing.assert_array_equal(there.points_a, back.points_b)
        assert there.scale == pytest.approx(1 / back.scale)


def test_the_same_pixels_encoded_again_are_one_photo() -> None:
    photo = view(facade(4), 1)
    again = photo.resize((400, 300), Image.Resampling.LANCZOS)
    match = verify_pair(extract_features(photo), extract_features(again))
    assert match.same_photo
    assert match.verified


def test_a_burnt_in_overlay_alone_is_no_match() -> None:
    frames = [_with_overlay(view(facade(seed), 0)) for seed in (5, 6)]
    match = verify_pair(*(extract_features(frame) for frame in frames))
    assert not match.verified
    assert match.unmoved >= 8
    assert match.needed == MIN_INLIERS_WITH_OVERLAY


def _with_overlay(photo: Image.Image) -> Image.Image:
    photo = photo.copy()
    stamp = facade(99).resize((160, 120)).crop((0, 0, 160, 50))
    photo.paste(stamp, (300, 300))
    ImageDraw.Draw(photo).text((310, 310), "2026-11-21 12:00", fill=(255, 255, 0))
    return photo


def test_one_small_thing_in_two_places_is_doubted() -> None:
    sign = facade(42).resize((110, 84), Image.Resampling.LANCZOS)
    frames = []
    for grey, at in ((90, (40, 60)), (160, (300, 200))):
        frame = Image.new("RGB", (640, 480), (grey, grey, grey))
        frame.paste(sign, at)
        frames.append(extract_features(frame))
    match = verify_pair(*frames)
    assert match.inliers >= 20
    assert not match.verified
    assert "sign" in match.doubt


def test_photos_without_features_do_not_match(
    views: dict[tuple[int, int], LocalFeatures],
) -> None:
    blank = extract_features(Image.new("RGB", (640, 480), (120, 120, 120)))
    assert len(blank) == 0
    assert not verify_pair(blank, blank).verified
    assert not verify_pair(blank, views[0, 0]).verified


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shift=st.integers(10, 60), down=st.integers(-40, 40))
def test_a_shifted_view_is_verified_and_its_shift_is_found(shift: int, down: int) -> None:
    wall = facade(7)
    first = wall.crop((70, 50, 550, 410))
    second = wall.crop((70 + shift, 50 + down, 550 + shift, 410 + down))
    match = verify_pair(extract_features(first), extract_features(second))
    assert match.verified
    moved = np.median(match.points_b - match.points_a, axis=0) * 480 / 640
    np.testing.assert_allclose(moved, (-shift, -down), atol=1.0)


def test_estimators_give_the_same_answer_every_time(
    views: dict[tuple[int, int], LocalFeatures],
) -> None:
    results = [verify_pair(views[2, 0], views[2, 2]) for _ in range(3)]
    assert len({result.inliers for result in results}) == 1
    for result in results[1:]:
        np.testing.assert_array_equal(result.points_a, results[0].points_a)


def _features_at(xy: npt.NDArray[np.float64], descriptors: npt.NDArray[np.uint8]) -> LocalFeatures:
    count = len(xy)
    return LocalFeatures(
        xy=xy.astype(np.float32),
        descriptors=descriptors,
        scale=np.full(count, 4, np.float32),
        angle=np.zeros(count, np.float32),
        width=640,
        height=480,
        dhash=count,
    )


def _pair(seed: int, true: int, false: int) -> tuple[LocalFeatures, LocalFeatures]:
    """Return features that match one to one: `true` of a scene in depth, `false` at random."""
    draw = np.random.default_rng(seed)
    raw = draw.random((true + false, 128))
    raw *= 512 / np.linalg.norm(raw, axis=1, keepdims=True)
    first = draw.uniform((20, 20), (620, 460), (true + false, 2))
    depth = draw.uniform(3, 9, (true, 1))
    second = draw.uniform((20, 20), (620, 460), (true + false, 2))
    second[:true] = first[:true] + np.array([(200.0, 15.0)]) / depth
    descriptors = np.rint(raw).astype(np.uint8)
    return _features_at(first, descriptors), _features_at(second, descriptors)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_matches_without_a_common_geometry_are_no_evidence(seed: int) -> None:
    match = verify_pair(*_pair(seed, true=0, false=60))
    assert match.matches >= 55
    assert match.inliers < 20
    assert not match.verified


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_scene_in_depth_is_found_among_wrong_matches(seed: int) -> None:
    first, second = _pair(seed, true=50, false=40)
    match = verify_pair(first, second)
    assert match.verified
    assert match.model == "fundamental"
    true = {tuple(point) for point in first.xy[:50].tolist()}
    wrong = [point for point in match.points_a.tolist() if tuple(point) not in true]
    assert match.inliers - len(wrong) >= 40
    assert len(wrong) <= 8
