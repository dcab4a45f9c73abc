"""Galleries of learned encoders: look-alikes are weak evidence, geometry strong, outages said."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from agent.belief import believe
from agent.factors import Settlements
from geo.errors import InputError, UnavailableError
from index_builder.files import FolderLock
from index_builder.gallery import Gallery
from index_builder.gallery_opening import attach
from index_builder.gallery_photo import GalleryPhoto, Hit
from index_builder.manifest import EncoderIdentity, Manifest
from index_builder.records import place_id
from tests.aligned_fakes import GlobeEncoder, photo_of
from tests.unit.gallery_samples import facade, view
from tools.alike import alike_evidence
from tools.dissimilar import make_search_dissimilar_photos
from tools.evidence import ToolError, ToolOutcome
from tools.photos import PhotoStore
from tools.places import UNMEASURED_WEIGHT, evidence_group
from tools.references import hits_of
from tools.retrieve import SearchArguments, make_search_similar_photos
from tools.workbench import Workbench

LISBON, OSLO = (38.7, -9.1), (59.9, 10.7)


def make_gallery(folder: Path, encoder: GlobeEncoder, load: str = "globe") -> Gallery:
    """Make an open gallery of 5 photos around Lisbon and one of Oslo, without small copies."""
    folder.mkdir()
    now = datetime.now(UTC)
    manifest = Manifest(
        encoder=EncoderIdentity.of(encoder.card, load=load), created=now, updated=now
    )
    gallery = attach(folder, manifest, FolderLock(folder))
    places = [(LISBON[0] + step / 100, LISBON[1]) for step in range(5)] + [OSLO]
    rows = encoder.encode_locations(np.array(places))["globe"]
    photos = [
        GalleryPhoto(
            id=place_id(lat, lon), name=f"{number}.jpg", latitude=lat, longitude=lon,
            country="PT" if lat < 45 else "NO",
        )
        for number, (lat, lon) in enumerate(places)
    ]  # fmt: skip
    gallery.add([(p, {"globe": row}) for p, row in zip(photos, rows, strict=True)])
    gallery.write_manifest(0)
    return gallery


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with make_gallery(tmp_path / "trip", GlobeEncoder()) as opened:
        yield opened


def workbench(tmp_path: Path, gallery: Gallery, encoder: GlobeEncoder | None) -> Workbench:
    bench = Workbench(photos=PhotoStore(tmp_path / "store"), galleries=(gallery,))
    bench.open_encoder = (lambda: encoder) if encoder else None
    return bench


def search(bench: Workbench, photo_id: str | None, **options: object) -> tuple[str, ToolOutcome]:
    call = {"name": "x", "type": "tool_call", "id": "1"}
    args = {"photo_id": photo_id, **options} if photo_id else options
    message = make_search_similar_photos(bench).invoke(call | {"args": args})
    return message.content, message.artifact


def gallery_data(outcome: ToolOutcome) -> dict[str, Any]:
    galleries: Any = outcome.data["galleries"]
    (found,) = galleries
    return dict(found)


def test_look_alikes_are_weak_evidence_of_their_region(tmp_path: Path, gallery: Gallery) -> None:
    bench = workbench(tmp_path, gallery, GlobeEncoder())
    photo = bench.photos.add_image(photo_of(*LISBON), "query")
    text, outcome = search(bench, photo.id)
    (evidence,) = outcome.evidence
    assert (evidence.kind, evidence.weight) == ("alignment", UNMEASURED_WEIGHT)
    best, other = evidence.candidates
    assert best.latitude == pytest.approx(LISBON[0], abs=0.05)
    assert (best.country, other.country) == ("PT", "NO")
    assert best.score > 0.9
    assert best.score + other.score == pytest.approx(1)
    assert "never measured" in text


def test_evidence_of_one_encoder_is_of_one_group(tmp_path: Path, gallery: Gallery) -> None:
    hits = gallery.search(GlobeEncoder().encode_locations([LISBON])["globe"][0], 3)
    assert alike_evidence(gallery, hits).group == evidence_group(GlobeEncoder().card)


def test_a_cluster_of_several_outweighs_a_single_best(gallery: Gallery) -> None:
    photos = {photo.name: photo for photo in gallery.photos()}
    names = ["5.jpg", "0.jpg", "1.jpg", "2.jpg", "3.jpg"]  # Oslo first, then Lisbon four times
    evidence = alike_evidence(gallery, [Hit(photo=photos[n], score=0.9) for n in names])
    assert [one.country for one in evidence.candidates] == ["PT", "NO"]
    assert evidence.candidates[0].score == pytest.approx(
        (1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / (137 / 60)
    )


def test_the_area_limits_what_is_found(tmp_path: Path, gallery: Gallery) -> None:
    bench = workbench(tmp_path, gallery, GlobeEncoder())
    photo = bench.photos.add_image(photo_of(*LISBON), "query")
    area = {"near_latitude": OSLO[0], "near_longitude": OSLO[1], "within_km": 50.0}
    text, outcome = search(bench, photo.id, **area)
    (evidence,) = outcome.evidence
    assert [one.country for one in evidence.candidates] == ["NO"]
    assert evidence.weight == 0, "who draws a circle around Oslo does not make it Oslo"
    assert "within 50 km of 59.9000, 10.7000" in text
    nowhere = {"near_latitude": 0.0, "near_longitude": 0.0, "within_km": 50.0}
    text, outcome = search(bench, photo.id, **nowhere)
    assert outcome.evidence == ()
    assert "has no photo within 50 km" in text
    assert gallery_data(outcome)["hits"] == []


def test_countries_limit_what_is_found_and_are_presupposed(
    tmp_path: Path, gallery: Gallery, settlements: Settlements
) -> None:
    bench = workbench(tmp_path, gallery, GlobeEncoder())
    photo = bench.photos.add_image(photo_of(*LISBON), "query")
    _, outcome = search(bench, photo.id, countries=["NO"])
    (norway,) = outcome.evidence
    assert norway.given_countries == ("NO",)
    assert norway.weight == pytest.approx(0.19, abs=0.02), "six hits, of which the last is there"
    _, outcome = search(bench, photo.id, countries=["PT", "NO"])
    assert {one.given_countries: one.weight for one in outcome.evidence} == {
        ("NO",): 0.0, ("PT",): 0.0,
    }, "all hits lie there anyway: the search of the world says it already"  # fmt: skip
    before, after = believe([], settlements), believe([norway], settlements)
    assert after.country_shares.get("NO", 0.0) <= before.country_shares.get("NO", 0.0) + 0.005
    with pytest.raises(ToolError, match="GB"):
        search(bench, photo.id, countries=["UK"])


def test_hits_of_learned_encoders_are_listed_for_references(
    tmp_path: Path, gallery: Gallery
) -> None:
    bench = workbench(tmp_path, gallery, GlobeEncoder())
    photo = bench.photos.add_image(photo_of(*LISBON), "query")
    found = gallery_data(search(bench, photo.id, limit=4)[1])
    assert found["encoder"]["fingerprint"] == GlobeEncoder().card.fingerprint
    rows = found["hits"]
    assert [set(row) for row in rows] == [
        {"id", "name", "latitude", "longitude", "similarity", "country"}
    ] * 4
    similar = [row["similarity"] for row in rows]
    assert similar == sorted(similar, reverse=True)
    assert rows[0]["latitude"] == pytest.approx(LISBON[0], abs=0.05)


def test_a_part_of_the_photo_is_searched_for(tmp_path: Path, gallery: Gallery) -> None:
    bench = workbench(tmp_path, gallery, GlobeEncoder())
    both = Image.new("RGB", (128, 64))
    both.paste(photo_of(*LISBON), (0, 0))
    both.paste(photo_of(*OSLO), (64, 0))
    photo = bench.photos.add_image(both, "two halves")
    right = {"left": 0.55, "top": 0.0, "right": 1.0, "bottom": 1.0}
    text, outcome = search(bench, photo.id, crop=right, limit=1)
    (evidence,) = outcome.evidence
    assert evidence.candidates[0].latitude == OSLO[0]
    assert evidence.box is not None
    assert (evidence.box.left, evidence.box.right) == (70, 128)
    part = gallery_data(outcome)["query"]["photo_id"]
    assert part[:12] in text
    assert bench.photos.get(part).parent == photo.id
    # A part of that part still knows where it is on the photo.
    inner = {"left": 0.5, "top": 0.5, "right": 1.0, "bottom": 1.0}
    (evidence,) = search(bench, part, crop=inner, limit=1)[1].evidence
    assert evidence.box is not None
    assert (evidence.box.left, evidence.box.top, evidence.box.right) == (99, 32, 128)


@pytest.mark.parametrize(
    ("crop", "reason"),
    [
        ({"left": 0.5, "top": 0.0, "right": 0.5, "bottom": 1.0}, "inverted"),
        ({"left": 0.0, "top": 0.0, "right": 0.01, "bottom": 1.0}, "8 px"),
    ],
)
def test_a_crop_that_is_none_is_refused(
    tmp_path: Path, gallery: Gallery, crop: dict[str, float], reason: str
) -> None:
    bench = workbench(tmp_path, gallery, GlobeEncoder())
    photo = bench.photos.add_image(photo_of(*LISBON), "query")
    with pytest.raises(ToolError, match=reason):
        search(bench, photo.id, crop=crop)


def test_words_find_photos_where_the_encoder_reads_them(tmp_path: Path) -> None:
    encoder = GlobeEncoder(texts=True)
    with make_gallery(tmp_path / "trip", encoder) as gallery:
        bench = workbench(tmp_path, gallery, encoder)
        text, outcome = search(bench, None, text="a street at 59.9, 10.7", limit=1)
        (evidence,) = outcome.evidence
        assert evidence.candidates[0].country == "NO"
        assert evidence.weight == UNMEASURED_WEIGHT
        assert evidence.group == evidence_group(encoder.card)
        assert "a street at 59.9, 10.7" in evidence.summary
        assert "a street at 59.9, 10.7" in text
        assert gallery_data(outcome)["query"] == {"text": "a street at 59.9, 10.7"}
        assert "compared" not in gallery_data(outcome), "words have no geometry"
        _, outcome = search(bench, None, text="nothing to see")
        assert outcome.evidence == ()


def test_a_query_is_a_photo_or_words(tmp_path: Path, gallery: Gallery) -> None:
    bench = workbench(tmp_path, gallery, GlobeEncoder())
    photo = bench.photos.add_image(photo_of(*LISBON), "query")
    with pytest.raises(ToolError, match="1 of them is needed"):
        search(bench, None)
    with pytest.raises(ToolError, match="leave out photo_id"):
        search(bench, photo.id, text="a street")
    with pytest.raises(ToolError, match="empty"):
        search(bench, None, text="  ")
    with pytest.raises(ToolError, match="encodes texts into none; search it with photo_id"):
        search(bench, None, text="a street")


@pytest.mark.parametrize("text", ["a\nstreet", "a\x00street", "x" * 301, ""])
def test_a_text_is_short_and_on_one_line(text: str) -> None:
    with pytest.raises(ValidationError):
        SearchArguments.model_validate({"text": text})


def dissimilar(bench: Workbench, photo_id: str, **options: object) -> tuple[str, ToolOutcome]:
    call = {"name": "x", "type": "tool_call", "id": "1"}
    message = make_search_dissimilar_photos(bench).invoke(
        call | {"args": {"photo_id": photo_id, **options}}
    )
    return message.content, message.artifact


def test_what_looks_least_alike_is_shown_and_is_no_evidence(
    tmp_path: Path, gallery: Gallery
) -> None:
    bench = workbench(tmp_path, gallery, GlobeEncoder())
    photo = bench.photos.add_image(photo_of(*LISBON), "query")
    text, outcome = dissimilar(bench, photo.id, limit=3)
    assert outcome.evidence == ()
    found = gallery_data(outcome)
    assert found["dissimilar"] is True
    assert found["hits"][0]["latitude"] == OSLO[0]
    assert len(found["hits"]) == 3
    similar = [row["similarity"] for row in found["hits"]]
    assert similar == sorted(similar)
    assert "59.9000, 10.7000 (NO)" in text
    _, outcome = dissimilar(bench, photo.id, countries=["PT"])
    assert {row["country"] for row in gallery_data(outcome)["hits"]} == {"PT"}
    text, _ = dissimilar(bench, photo.id, countries=["FJ"])
    assert "has no photo in FJ" in text


def test_one_gallery_that_fails_does_not_silence_the_others(
    tmp_path: Path, gallery: Gallery
) -> None:
    def load(name: str) -> GlobeEncoder:
        raise UnavailableError("weights missing; graticule weights get another")

    with make_gallery(tmp_path / "other", GlobeEncoder(name="another"), "another") as other:
        bench = workbench(tmp_path, gallery, GlobeEncoder())
        bench.galleries = (other, gallery)
        bench.load_encoder = load
        photo = bench.photos.add_image(photo_of(*LISBON), "query")
        for text, outcome in (search(bench, photo.id), dissimilar(bench, photo.id)):
            assert "'other' was not searched: weights missing" in text
            assert [one.value for one in outcome.rejected] == ["gallery other"]
            assert len(hits_of([outcome.data])) == 6


def test_the_encoder_is_loaded_by_the_manifests_word_and_once(
    tmp_path: Path, gallery: Gallery
) -> None:
    bench = workbench(tmp_path, gallery, GlobeEncoder(name="another"))
    asked: list[str] = []

    def load(name: str) -> GlobeEncoder:
        asked.append(name)
        return GlobeEncoder()

    bench.load_encoder = load
    photo = bench.photos.add_image(photo_of(*LISBON), "query")
    search(bench, photo.id)
    _, outcome = search(bench, photo.id)
    assert asked == ["globe"]
    assert outcome.evidence[0].candidates[0].country == "PT"


def test_an_encoder_that_changed_since_is_refused(tmp_path: Path, gallery: Gallery) -> None:
    bench = workbench(tmp_path, gallery, None)
    bench.load_encoder = lambda name: GlobeEncoder(name="another")
    with pytest.raises(InputError, match="use that encoder"):
        bench.encoder_of(gallery)


def test_an_encoder_that_is_missing_is_an_outage(tmp_path: Path, gallery: Gallery) -> None:
    def load(name: str) -> GlobeEncoder:
        raise UnavailableError("weights missing; graticule weights get globe")

    bench = workbench(tmp_path, gallery, None)
    bench.load_encoder = load
    photo = bench.photos.add_image(photo_of(*LISBON), "query")
    with pytest.raises(UnavailableError, match="weights get globe"):
        search(bench, photo.id)


def test_geometry_speaks_where_the_gallery_keeps_copies(tmp_path: Path, gallery: Gallery) -> None:
    for photo in gallery.photos():
        gallery.image_path(photo.id).parent.mkdir(parents=True, exist_ok=True)
        seed = int(photo.name.split(".")[0])
        view(facade(seed), 0).save(gallery.image_path(photo.id), quality=92)
    bench = workbench(tmp_path, gallery, GlobeEncoder())
    query = bench.photos.add_image(view(facade(5), 1), "query")
    text, outcome = search(bench, query.id)
    (evidence,) = outcome.evidence
    assert evidence.kind == "match"
    assert evidence.candidates[0].country == "NO"
    assert "never measured" not in text
    assert outcome.pictures
