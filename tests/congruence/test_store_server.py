"""A Qdrant server as a store: how collections are made, found, refused and asked."""

import threading
import time
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from geo.errors import InputError, UnavailableError
from index_builder import open_gallery, server_points
from index_builder.gallery import Gallery
from index_builder.gallery_photo import GalleryPhoto
from index_builder.manifest import EncoderIdentity
from index_builder.points import IndexSettings, StoredPoint, Where
from index_builder.server_points import ServerStore, open_collection, write_collection_manifest
from tests.congruence.server_samples import EXPECTED, POINTS, SHORT, manifest_at, store_at, written
from tests.congruence.store_samples import QUICK, SPACES
from tests.qdrant_stub import API_KEY, QdrantStub, qdrant_stub

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:.*ocal mode"),
]


def test_a_collection_is_made_as_the_manifest_says(stub: QdrantStub) -> None:
    index = IndexSettings(hnsw=True, m=24, ef_construct=99, quantization="binary")
    store = ServerStore.of(manifest_at(stub, index=index), patience=QUICK)
    asked = dict(stub.bodies)["PUT /collections/my%20photos"]
    assert {s: (v["size"], v["distance"]) for s, v in asked["vectors"].items()} == {
        space: (size, "Dot") for space, size in SPACES.items()
    }
    assert (asked["shard_number"], asked["replication_factor"]) == (3, 2)
    assert asked["write_consistency_factor"] == 2
    assert asked["hnsw_config"]["m"] == 24
    assert asked["hnsw_config"]["ef_construct"] == 99
    assert asked["quantization_config"]["binary"]["always_ram"] is True
    indexed = {b["field_name"]: b["field_schema"] for r, b in stub.bodies if r.endswith("/index")}
    assert indexed == {
        "location": "geo", "country": "keyword", "source": "keyword", "author": "keyword",
        "licence": "keyword",
    }  # fmt: skip
    store.close()
    before = len(stub.requests)
    ServerStore.of(manifest_at(stub), patience=QUICK).close()
    assert not [r for r in stub.requests[before:] if not r.startswith("GET")], "nothing made twice"


def test_searches_ask_for_what_the_settings_say(stub: QdrantStub) -> None:
    store = store_at(stub)
    store.upsert(POINTS)
    query = POINTS[0].vectors["image"]

    def params(where: Where, *, exact: bool = False) -> dict[str, Any]:
        store.search("image", query, 5, where=where, exact=exact)
        asked = [body for request, body in stub.bodies if request.endswith("/query")][-1]
        assert (asked["limit"], asked["using"]) == (5, "image")
        return dict(asked["params"])

    plain = params(Where())
    assert plain["exact"] is False
    assert plain["quantization"]["rescore"] is True
    assert plain["quantization"]["oversampling"] == 3
    assert params(Where(), exact=True)["exact"] is True
    assert params(Where(countries=["AT"]))["exact"] is False, "int8 without a graph misses nothing"
    store._index = IndexSettings(hnsw=True)
    assert params(Where(countries=["AT"]))["exact"] is True
    store.close()


def test_a_search_that_comes_back_short_is_asked_again_exactly(
    stub: QdrantStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_at(stub)
    store.upsert(POINTS)
    whole = stub.engine.query_points

    def forgetful(*arguments: Any, **named: Any) -> Any:
        found = whole(*arguments, **named)
        asked = [body for request, body in stub.bodies if request.endswith("/query")][-1]
        if not asked["params"]["exact"]:
            found.points = found.points[:2]
        return found

    monkeypatch.setattr(stub.engine, "query_points", forgetful)
    assert len(store.search("image", POINTS[0].vectors["image"], 10)) == 10
    only = Where(exclude_ids=[point.id for point in POINTS[2:]])
    before = len(stub.requests)
    assert len(store.search("image", POINTS[0].vectors["image"], 10, where=only)) == 2
    asked = [request.rpartition("/")[2] for request in stub.requests[before:]]
    assert asked == ["query", "count"], "two that pass are found at once: nothing to ask again"
    store.close()


def test_the_api_key_is_sent_and_asked_for() -> None:
    with qdrant_stub(api_key=API_KEY) as stub:
        manifest = manifest_at(stub)
        with pytest.raises(InputError, match="refuses the API key"):
            ServerStore.of(manifest, patience=QUICK)
        with pytest.raises(InputError, match="refuses the API key") as refused:
            ServerStore.of(manifest, api_key="wrong one", patience=QUICK)
        assert "wrong one" not in str(refused.value)
        store = ServerStore.of(manifest, api_key=API_KEY, patience=QUICK)
        store.upsert(POINTS[:5])
        store.close()
        opened, again = open_collection(f"{stub.url}/my%20photos", api_key=API_KEY)
        assert again.count() == 5
        assert opened.store.url == stub.url
        again.close()


def test_a_collection_of_other_vectors_is_refused(stub: QdrantStub) -> None:
    def has(space: str, size: int, distance: models.Distance) -> None:
        stub.engine.delete_collection("my photos")
        params = models.VectorParams(size=size, distance=distance)
        stub.engine.create_collection("my photos", vectors_config={space: params})

    for space, size, distance, words in (
        ("image", 7, models.Distance.DOT, "has the vectors image 7, this gallery has image 48"),
        ("other", 48, models.Distance.DOT, "has the vectors other 48"),
        ("image", 48, models.Distance.COSINE, "not Dot"),
    ):
        has(space, size, distance)
        with pytest.raises(InputError, match=words):
            store_at(stub)


def test_a_collection_of_another_gallery_is_refused(stub: QdrantStub) -> None:
    store_at(stub).close()
    other = EncoderIdentity(name="huge", fingerprint="cd" * 32, spaces=SPACES)
    with pytest.raises(
        InputError, match="built by encoder tiny:ababababab, this is huge:cdcdcdcdcd"
    ):
        ServerStore.of(manifest_at(stub, encoder=other), patience=QUICK)
    with pytest.raises(InputError, match="gallery of photos, this is one of cells"):
        ServerStore.of(manifest_at(stub, kind="cells"), patience=QUICK)
    stub.engine.update_collection("my photos", metadata={"graticule": {"version": 7}})
    for opening in (lambda: store_at(stub), lambda: open_collection(f"{stub.url}/my%20photos")):
        with pytest.raises(InputError, match="has format 7, this version reads 2"):
            opening()
    stub.engine.update_collection("my photos", metadata={"graticule": {"version": 2}})
    with pytest.raises(InputError, match="damaged"):
        open_collection(f"{stub.url}/my%20photos")


def test_points_of_something_else_are_left_alone(stub: QdrantStub) -> None:
    client = QdrantClient(url=stub.url, check_compatibility=False)
    foreign = ServerStore(client, "my photos", SPACES, patience=QUICK)
    foreign.upsert(POINTS[:2])
    foreign.close()
    with pytest.raises(InputError, match="holds points of something else"):
        store_at(stub)
    with pytest.raises(InputError, match="is not a gallery"):
        open_collection(f"{stub.url}/my%20photos")
    with pytest.raises(InputError, match=r"'nothing'.* is not there"):
        open_collection(f"{stub.url}/nothing")


def test_a_collection_states_its_gallery(stub: QdrantStub) -> None:
    store = store_at(stub)
    with pytest.raises(InputError, match="is empty"):
        open_collection(f"{stub.url}/my%20photos")
    store.upsert(POINTS)
    manifest = manifest_at(stub).model_copy(update={"photos": 90, "rejected": 3})
    write_collection_manifest(store, manifest)
    stated, again = open_collection(f"{stub.url}/my%20photos/")
    assert stated == manifest
    assert again.count() == 90
    store.close()
    again.close()


def test_a_server_that_forgets_metadata_is_too_old() -> None:
    with (
        qdrant_stub(forgets_metadata=True) as stub,
        pytest.raises(InputError, match=r"Qdrant 1\.16 and later"),
    ):
        store_at(stub)


def test_two_workers_make_one_collection_at_once(stub: QdrantStub) -> None:
    stores: list[ServerStore] = []
    workers = [threading.Thread(target=lambda: stores.append(store_at(stub))) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert len(stores) == 6
    for start, store in enumerate(stores):
        store.upsert(POINTS[start * 10 : start * 10 + 40])
        store.close()
    again = store_at(stub)
    assert written(again) == EXPECTED
    again.close()


def test_a_gallery_is_searched_by_its_address_alone(stub: QdrantStub) -> None:
    store = store_at(stub)
    photo = GalleryPhoto(id=POINTS[0].id, name="a.jpg", latitude=47.3, longitude=11.4)
    gallery = Gallery(None, manifest_at(stub), store)
    gallery.add([(photo, POINTS[0].vectors)])
    gallery.close()
    with open_gallery(f"{stub.url}/my%20photos") as opened:
        hits = opened.search(POINTS[0].vectors["image"], 3)
        assert [hit.photo for hit in hits] == [photo]
        assert opened.name == "my photos"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "http:///x",
        "http://127.0.0.1:99999/x",
        "http://h:6333/a%2Fb",
        "http://h:6333/..",
    ],
)
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="give one like http://localhost:6333/my-photos"):
        open_collection(url, patience=SHORT)


def test_passwords_in_addresses_are_not_shown() -> None:
    with pytest.raises(UnavailableError) as refused:
        open_collection("http://me:secret@127.0.0.1:1/photos", patience=SHORT)
    assert "secret" not in str(refused.value)


def test_large_batches_go_in_several_requests(
    stub: QdrantStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_at(stub)
    monkeypatch.setattr(server_points, "NUMBERS", 64 * 25)
    store.upsert(POINTS)
    sent = [len(b["points"]) for r, b in stub.bodies if r == "PUT /collections/my%20photos/points"]
    assert sent == [25, 25, 25, 15]
    assert written(store) == EXPECTED
    huge = StoredPoint(POINTS[0].id, POINTS[0].vectors, POINTS[0].payload)
    monkeypatch.setattr(server_points, "NUMBERS", 1)
    store.upsert([huge])
    assert store.count() == len(POINTS)
    store.close()


def test_optimize_waits_for_the_server_but_not_for_ever(
    stub: QdrantStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_at(stub)
    stub.status = "yellow"
    monkeypatch.setattr(server_points, "INDEXING_S", 0.0)
    store.optimize()
    monkeypatch.setattr(server_points, "INDEXING_S", 60.0)
    threading.Timer(0.3, lambda: setattr(stub, "status", "green")).start()
    began = time.monotonic()
    store.optimize()
    assert 0.2 < time.monotonic() - began < 10
    store.close()
