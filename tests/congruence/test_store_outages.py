"""A Qdrant server that fails or refuses: nothing lost, nothing doubled, and said clearly."""

import json
import socket
import threading
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo.errors import InputError, UnavailableError
from index_builder.server_calls import Patience
from index_builder.server_points import open_collection
from tests.congruence.server_samples import EXPECTED, POINTS, SHORT, store_at, written
from tests.congruence.store_samples import QUICK, WORLD
from tests.qdrant_stub import ROUTES, Fault, QdrantStub, qdrant_stub

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:.*ocal mode"),
]

FAULTS = st.lists(
    st.builds(
        Fault,
        st.sampled_from(["drop", "status", "lose"]),
        st.sampled_from([500, 502, 503, 504, 408]),
        st.sampled_from(["", "points", "PUT", "POST", "scroll"]),
    ),
    max_size=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(faults=FAULTS, size=st.integers(7, 60))
def test_short_outages_lose_and_double_nothing(faults: list[Fault], size: int) -> None:
    with qdrant_stub() as stub:
        stub.faults.extend(faults)
        store = store_at(stub)
        for start in range(0, len(POINTS), size):
            store.upsert(POINTS[start : start + size])
        assert written(store) == EXPECTED
        assert store.count() == len(POINTS)
        store.delete_ids(EXPECTED[:5])
        assert written(store) == EXPECTED[5:]
        store.close()


def test_a_server_that_dies_within_an_upsert_and_comes_back(stub: QdrantStub) -> None:
    """It carries out one write whose answer is lost, is away for a while, and comes back."""
    store = store_at(stub)
    store.upsert(POINTS[:30])
    stub.faults.append(Fault("lose", only="PUT /collections/my%20photos/points"))
    writer = threading.Thread(target=store.upsert, args=(POINTS[20:60],))
    writer.start()
    while stub.faults:
        time.sleep(0.001)
    stub.come_back_after(0.5).join()
    writer.join(5)
    assert not writer.is_alive()
    store.upsert(POINTS[60:])
    assert written(store) == EXPECTED
    for point in store.get(EXPECTED, with_vectors=True):
        row = WORLD.rows[point.id]
        assert point.payload == POINTS[row].payload
        assert point.vectors["image"].tobytes() == POINTS[row].vectors["image"].tobytes()
    store.close()


def test_a_server_that_stays_away_is_unavailable_and_the_same_command_goes_on(
    stub: QdrantStub,
) -> None:
    store = store_at(stub, SHORT)
    store.upsert(POINTS[:40])
    stub.stop()
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="run the same command again") as refused:
        store.upsert(POINTS[40:])
    assert 0.3 < time.monotonic() - began < 3
    assert refused.value.retryable
    assert "'my photos' of the Qdrant server at 127.0.0.1" in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(UnavailableError, match="does not answer"):
        store.search("image", POINTS[0].vectors["image"], 3)
    with pytest.raises(UnavailableError, match="does not answer"):
        open_collection(f"{stub.url}/my%20photos", patience=SHORT)
    stub.start()
    store.upsert(POINTS)
    assert written(store) == EXPECTED
    store.close()


def test_a_server_that_never_answers_is_given_up(stub: QdrantStub) -> None:
    store = store_at(stub, SHORT)
    stub.faults.extend([Fault("hang")] * 4)
    with pytest.raises(UnavailableError, match="does not answer"):
        store.count()
    store.close()


def test_nobody_listens_there() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UnavailableError, match=f"127.0.0.1:{port} does not answer"):
        open_collection(f"http://127.0.0.1:{port}/photos", patience=SHORT)


def test_a_busy_server_is_left_alone_as_long_as_it_asks(stub: QdrantStub) -> None:
    store = store_at(stub)
    stub.faults.append(Fault("busy"))
    began = time.monotonic()
    store.upsert(POINTS[:3])
    assert time.monotonic() - began > 0.9
    assert store.count() == 3
    store.close()


def test_a_refusal_is_told_at_once(stub: QdrantStub) -> None:
    store = store_at(stub, Patience())
    for status, words in (
        (400, "refuses .400 scripted"), (422, "refuses"), (401, "API key"), (403, "API key"),
        (404, "graticule gallery build"),
    ):  # fmt: skip
        stub.faults.append(Fault("status", status))
        before = len(stub.requests)
        with pytest.raises(InputError, match=words) as refused:
            store.upsert(POINTS[:3])
        assert len(stub.requests) == before + 1
        assert "\n" not in str(refused.value)
    store.close()


def test_a_server_without_disk_space_says_so_at_once(
    stub: QdrantStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_at(stub, Patience())
    body = json.dumps({"status": {"error": "Service internal error: No space left on device"}})
    from qdrant_client.http.exceptions import UnexpectedResponse

    def full(*_: Any, **__: Any) -> None:
        raise UnexpectedResponse(500, "Internal Server Error", body.encode(), None)  # type: ignore[arg-type]  # headers are not read

    monkeypatch.setattr(store._client, "upsert", full)
    with pytest.raises(InputError, match="no disk space left; free some"):
        store.upsert(POINTS[:3])
    store.close()


def test_something_else_than_qdrant_is_told(
    stub: QdrantStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROUTES, ("GET", ""), lambda *_: {"hello": "world"})
    stub.engine.create_collection("x", vectors_config={})
    with pytest.raises(InputError, match="does not answer as Qdrant does"):
        open_collection(f"{stub.url}/x", patience=QUICK)
