"""Galleries of learned encoders: look-alikes are weak evidence, geometry strong, outages said."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

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
from tools.evidence import ToolOutcome
from tools.photos import PhotoStore
from tools.places import UNMEASURED_WEIGHT
from tools.retrieve import make_search_similar_photos
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
        GalleryPhoto(id=place_id(lat, lon), name=f"{number}.jpg", latitude=lat, longitude=lon)
        for number, (lat, lon) in enumerate(places)
    ]
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


def search(bench: Workbench, photo_id: str, **options: object) -> tuple[str, ToolOutcome]:
    call = {"name": "x", "type": "tool_call", "id": "1"}
    message = make_search_similar_photos(bench).invoke(
        call | {"args": {"photo_id": photo_id, **options}}
    )
    return message.content, message.artifact


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
    from tools.places import evidence_group

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
    _, outcome = search(bench, photo.id, **area)
    assert [one.country for one in outcome.evidence[0].candidates] == ["NO"]


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
