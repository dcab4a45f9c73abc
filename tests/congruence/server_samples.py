"""Galleries in a stub of a Qdrant server, and what was written there."""

from datetime import UTC, datetime
from typing import Any

from index_builder.manifest import EncoderIdentity, Manifest, StoreSettings
from index_builder.server_calls import Patience
from index_builder.server_points import ServerStore
from tests.congruence.store_samples import QUICK, SPACES, WORLD
from tests.qdrant_stub import QdrantStub

POINTS = WORLD.points[:90]
EXPECTED = sorted(point.id for point in POINTS)
SHORT = Patience(write_s=0.4, read_s=0.3, answer_s=1, first_pause_s=0.02, longest_pause_s=0.05)


def manifest_at(stub: QdrantStub, **changes: Any) -> Manifest:
    encoder = EncoderIdentity(
        name="tiny", fingerprint="ab" * 32, spaces=SPACES, retrieval=("image",)
    )
    now = datetime(2026, 1, 2, tzinfo=UTC)
    store = StoreSettings(url=stub.url, collection="my photos", shards=3, replicas=2)
    stated = {"encoder": encoder, "created": now, "updated": now, "store": store}
    return Manifest.model_validate({**stated, **changes})


def store_at(stub: QdrantStub, patience: Patience = QUICK) -> ServerStore:
    return ServerStore.of(manifest_at(stub), patience=patience)


def written(store: ServerStore) -> list[str]:
    """Return the ids of all points there are."""
    return [point.id for point in store.scan()]
