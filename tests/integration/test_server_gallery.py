"""A gallery built into a Qdrant server is found there by its address alone, and searched."""

from pathlib import Path

import pytest

from agent import Geolocator
from agent.settings import Settings
from geo.errors import InputError, UnavailableError
from index_builder import build_gallery, open_gallery
from index_builder.manifest import StoreSettings
from tests.aligned_fakes import GlobeEncoder, photo_of, write_coloured_photos
from tests.qdrant_stub import qdrant_stub

PLACES = {"lisbon": (38.7, -9.1), "oslo": (59.9, 10.7), "lima": (-12.0, -77.0)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_coloured_photos(tmp_path / "photos", PLACES)


def test_built_into_a_server_and_opened_by_address(photos: Path, tmp_path: Path) -> None:
    with qdrant_stub() as stub:
        store = StoreSettings(url=stub.url, collection="trips")
        report = build_gallery(photos, tmp_path / "g", encoder=GlobeEncoder(), store=store)
        assert report.added == 3
        assert not (tmp_path / "g" / "points").exists()
        with open_gallery(tmp_path / "g") as at_home, open_gallery(f"{stub.url}/trips") as away:
            assert sorted(p.name for p in away.photos()) == sorted(p.name for p in at_home.photos())
            assert away.manifest.counts.countries == {"PT": 1, "NO": 1, "PE": 1}
            query = GlobeEncoder().encode_images([photo_of(*PLACES["oslo"])])["globe"][0]
            assert away.search(query, 1)[0].photo.country == "NO"
            with pytest.raises(InputError, match="no photos on this machine"):
                away.image(away.search(query, 1)[0].photo.id)
        again = build_gallery(photos, tmp_path / "g", encoder=GlobeEncoder())
        assert (again.added, again.photos) == (0, 3)


def test_a_run_searches_a_collection(photos: Path, tmp_path: Path) -> None:
    with qdrant_stub() as stub:
        store = StoreSettings(url=stub.url, collection="trips")
        build_gallery(photos, tmp_path / "g", encoder=GlobeEncoder(), store=store)
        settings = Settings(home=tmp_path / "home")
        place = f"{stub.url}/trips"
        with Geolocator([place, place], settings=settings, encoder=None) as geolocator:
            geolocator.bench.load_encoder = lambda name: GlobeEncoder()
            (tool,) = [t for t in geolocator.tools if t.name == "search_similar_photos"]
            held = geolocator.bench.photos.add(photos / "lima.png")
            call = {"name": tool.name, "args": {"photo_id": held.id}, "id": "1"}
            message = tool.invoke(call | {"type": "tool_call"})
        assert message.artifact.evidence[0].candidates[0].country == "PE"


def test_a_key_is_asked_for_by_name(photos: Path, tmp_path: Path) -> None:
    with qdrant_stub(api_key="open sesame") as stub:
        store = StoreSettings(url=stub.url, collection="trips")
        with pytest.raises((InputError, UnavailableError), match="key"):
            build_gallery(photos, tmp_path / "g", encoder=GlobeEncoder(), store=store)
        built = build_gallery(
            photos, tmp_path / "g2", encoder=GlobeEncoder(), store=store, api_key="open sesame"
        )
        assert built.added == 3
        assert "sesame" not in (tmp_path / "g2" / "manifest.json").read_text()


def test_a_build_anew_empties_the_collection_first(photos: Path, tmp_path: Path) -> None:
    with qdrant_stub() as stub:
        store = StoreSettings(url=stub.url, collection="trips")
        build_gallery(photos, tmp_path / "g", encoder=GlobeEncoder(), store=store)
        (photos / "oslo.png").unlink()
        other = GlobeEncoder(name="another")
        with pytest.raises(InputError, match="built by encoder"):
            build_gallery(photos, tmp_path / "g2", encoder=other, store=store)
        report = build_gallery(photos, tmp_path / "g", encoder=other, store=store, resume=False)
        assert (report.added, report.photos) == (2, 2)
        with open_gallery(f"{stub.url}/trips") as gallery:
            assert gallery.manifest.encoder.name == "another"
            assert {p.name for p in gallery.photos()} == {"lisbon.png", "lima.png"}
