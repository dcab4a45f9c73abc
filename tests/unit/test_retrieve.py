"""The gallery tools: verified scenes become candidates, look-alikes never do."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool

from encoders.local_features import extract_features
from index_builder import build_gallery, open_gallery
from index_builder.gallery import Gallery
from index_builder.gallery_photo import GalleryPhoto
from index_builder.points import Circle, Where
from tests.unit.gallery_samples import facade, view, write_photos
from tools.compare import make_compare_photos
from tools.dissimilar import make_search_dissimilar_photos
from tools.evidence import ToolError, ToolOutcome
from tools.matched import Compared, agreeing, match_weight
from tools.matching import PairMatch
from tools.photos import PhotoStore
from tools.retrieve import make_search_similar_photos, search_gallery
from tools.workbench import Workbench


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("source") / "photos")


@pytest.fixture(scope="module")
def gallery(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    report = build_gallery(source, tmp_path_factory.mktemp("built") / "trip")
    with open_gallery(report.path) as opened:
        yield opened


@pytest.fixture
def bench(gallery: Gallery, tmp_path: Path) -> Workbench:
    return Workbench(photos=PhotoStore(tmp_path / "store"), galleries=(gallery,))


def _call(tool: BaseTool, **arguments: object) -> tuple[str, ToolOutcome]:
    message = tool.invoke({"name": tool.name, "args": arguments, "id": "1", "type": "tool_call"})
    return message.content, message.artifact


def _json(outcome: ToolOutcome) -> str:
    return outcome.model_dump_json()


def test_another_view_is_located_by_its_scene(bench: Workbench) -> None:
    photo = bench.photos.add_image(view(facade(1), 2), "query")
    text, outcome = _call(make_search_similar_photos(bench), photo_id=photo.id)
    (evidence,) = outcome.evidence
    best = evidence.candidates[0]
    assert (best.latitude, best.longitude, best.radius_km) == (51, 9, 0.1)
    assert (best.source, best.kind, best.country) == ("gallery:trip", "photo", "DE")
    assert evidence.kind == "match"
    assert evidence.group == "retrieval:trip"
    assert math.isclose(sum(c.score for c in evidence.candidates), 1)
    assert all(c.latitude == 51 for c in evidence.candidates)
    assert 0.85 <= evidence.weight <= 0.95
    assert "inliers (" in text
    assert " needed" in text
    assert "51.00000, 9.00000" in text
    (picture,) = outcome.pictures
    drawn = bench.photos.image(picture.photo_id)
    assert drawn.width > drawn.height


def test_an_unknown_scene_gives_no_candidate_and_no_coordinate(bench: Workbench) -> None:
    photo = bench.photos.add_image(view(facade(77), 0), "query")
    text, outcome = _call(make_search_similar_photos(bench), photo_id=photo.id)
    assert not outcome.evidence
    assert not outcome.pictures
    assert "says nothing about the place" in text
    assert "same light or day" in text
    assert "latitude" not in outcome.model_dump_json()


def test_the_very_photo_is_recognised(bench: Workbench, source: Path) -> None:
    photo = bench.photos.add(source / "scene2-1.jpg")
    text, outcome = _call(make_search_similar_photos(bench), photo_id=photo.id[:12])
    assert "holds this very photo" in text
    assert outcome.evidence[0].candidates[0].reference == photo.id


def test_the_area_limits_the_search(bench: Workbench) -> None:
    photo = bench.photos.add_image(view(facade(1), 2), "query")
    tool = make_search_similar_photos(bench)
    area = {"near_latitude": 52.0, "near_longitude": 10.0, "within_km": 20.0}
    _, outcome = _call(tool, photo_id=photo.id, **area)
    assert not outcome.evidence
    compared = [name for name in ("scene0", "scene1", "scene2") if name in _json(outcome)]
    assert compared == ["scene2"]
    with pytest.raises(ToolError, match="three or none"):
        _call(tool, photo_id=photo.id, within_km=5.0)


def test_countries_limit_the_search(bench: Workbench) -> None:
    photo = bench.photos.add_image(view(facade(1), 2), "query")
    tool = make_search_similar_photos(bench)
    _, outcome = _call(tool, photo_id=photo.id, countries=["DE"])
    assert outcome.evidence[0].kind == "match"
    assert outcome.evidence[0].weight > 0.8, "geometry says whether, whatever was presupposed"
    assert outcome.evidence[0].given_countries == ()
    text, outcome = _call(tool, photo_id=photo.id, countries=["FJ"])
    assert not outcome.evidence
    assert "has no photo in FJ" in text


def test_a_part_is_matched_by_its_own_features(bench: Workbench) -> None:
    photo = bench.photos.add_image(view(facade(1), 2), "query")
    crop = {"left": 0.0, "top": 0.0, "right": 0.8, "bottom": 0.9}
    _, outcome = _call(make_search_similar_photos(bench), photo_id=photo.id, crop=crop)
    (evidence,) = outcome.evidence
    assert evidence.candidates[0].latitude == 51
    assert evidence.box is not None
    assert evidence.box.right == round(0.8 * photo.width)


def test_the_embedded_encoder_reads_no_words_and_knows_no_places(bench: Workbench) -> None:
    with pytest.raises(
        ToolError, match="'embedded', which reads no texts; search it with photo_id"
    ):
        _call(make_search_similar_photos(bench), text="a street")
    photo = bench.photos.add_image(view(facade(1), 2), "query")
    with pytest.raises(ToolError, match="knows nothing of the world"):
        _call(make_search_dissimilar_photos(bench), photo_id=photo.id)


def test_without_a_gallery_the_search_says_so(bench: Workbench) -> None:
    bare = Workbench(photos=bench.photos)
    with pytest.raises(ToolError, match="no gallery is open"):
        _call(make_search_similar_photos(bare), photo_id="0" * 64)


def test_excluded_photos_and_circles_are_left_out(gallery: Gallery) -> None:
    features = extract_features(view(facade(0), 1))
    ids = {photo.id for photo in gallery.photos() if photo.name.startswith("scene0")}
    found = search_gallery(gallery, features, where=Where(exclude_ids=ids))
    assert {one.photo.name[:6] for one in found} == {"scene1", "scene2"}
    near = search_gallery(gallery, features, where=Where(circle=Circle(50, 8, 1)))
    assert {one.photo.id for one in near} == ids


def _compared(inliers: int, latitude: float, number: int, accuracy_km: float = 0.05) -> Compared:
    photo = GalleryPhoto(
        id=f"{number:064x}", name=f"{number}.jpg", latitude=latitude, longitude=8.0,
        accuracy_km=accuracy_km, dhash="0" * 16,
    )  # fmt: skip
    match = PairMatch(inliers=inliers, spread=0.5, model="homography")
    return Compared(photo, 0.5, extract_features(facade(0).resize((32, 24))), match)


def test_verified_photos_of_one_place_agree() -> None:
    found = [_compared(60, 50.0, 1), _compared(25, 50.001, 2), _compared(12, 51.0, 3)]
    matched, rejected = agreeing(found)
    assert [one.photo.name for one in matched] == ["1.jpg", "2.jpg"]
    assert not rejected


def test_a_thing_that_stands_in_two_places_is_no_evidence() -> None:
    matched, rejected = agreeing([_compared(30, 50.0, 1), _compared(25, 51.0, 2)])
    assert not matched
    assert len(rejected) == 2
    assert "111 km" in rejected[0].reason


def test_a_far_better_match_outweighs_a_distant_one() -> None:
    matched, rejected = agreeing([_compared(80, 50.0, 1), _compared(25, 51.0, 2)])
    assert [one.photo.name for one in matched] == ["1.jpg"]
    assert len(rejected) == 1


def test_weight_grows_with_inliers() -> None:
    weights = [match_weight(PairMatch(inliers=n, spread=1)) for n in (20, 30, 40, 400)]
    assert weights == sorted(weights)
    assert weights[0] == pytest.approx(0.855)
    assert weights[-1] == pytest.approx(0.95)


def test_two_photos_of_the_session_are_compared(bench: Workbench) -> None:
    first = bench.photos.add_image(view(facade(5), 0), "one")
    second = bench.photos.add_image(view(facade(5), 2), "two")
    text, outcome = _call(make_compare_photos(bench), photo_id=first.id, other_id=second.id)
    assert "the same scene" in text
    assert outcome.data["verified"] is True
    assert not outcome.evidence, "two photos without a position give no coordinate"
    assert len(outcome.pictures) == 1


def test_a_photo_is_compared_with_one_of_a_gallery(bench: Workbench, gallery: Gallery) -> None:
    photo = bench.photos.add_image(view(facade(2), 2), "query")
    tool = make_compare_photos(bench)
    for known in gallery.photos():
        text, outcome = _call(tool, photo_id=photo.id, other_id=known.id[:16])
        if known.name.startswith("scene2"):
            assert outcome.evidence[0].candidates[0].latitude == 52
        else:
            assert not outcome.evidence
            assert "says nothing" in text


def test_unknown_and_equal_photos_are_refused(bench: Workbench) -> None:
    photo = bench.photos.add_image(view(facade(5), 0), "one")
    tool = make_compare_photos(bench)
    with pytest.raises(ToolError, match="gallery photo"):
        tool.func(photo_id=photo.id, other_id="f" * 64)  # type: ignore[attr-defined]
    with pytest.raises(ToolError, match="given twice"):
        tool.func(photo_id=photo.id, other_id=photo.id[:9])  # type: ignore[attr-defined]
