"""Builds whose points a Qdrant server keeps, which may go away and come back."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from geo.errors import InputError, UnavailableError
from index_builder import build_gallery, open_gallery
from index_builder.manifest import StoreSettings
from index_builder.server_calls import Patience
from tests.integration.kill_samples import ProductEncoder, write_source
from tests.qdrant_stub import QdrantStub


@pytest.fixture
def server() -> Iterator[QdrantStub]:
    stub = QdrantStub()
    yield stub
    stub.close()


def test_a_server_that_goes_away_and_comes_back(
    server: QdrantStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import index_builder.adding
    import index_builder.server_points

    hurried = partial(Patience, write_s=0.3, read_s=0.3)
    monkeypatch.setattr(index_builder.server_points, "Patience", hurried)
    monkeypatch.setattr(index_builder.adding, "WRITE_POINTS", 64)
    source = write_source(tmp_path / "photos", 150)
    store = StoreSettings(url=server.url, collection="trip")
    out, whole = tmp_path / "g", tmp_path / "whole"
    build_gallery(source, whole, encoder=ProductEncoder())

    def stop(progress: object) -> None:
        if getattr(progress, "done", 0) == 64 and getattr(progress, "stage", "") == "adding":
            server.stop()

    with pytest.raises(UnavailableError):
        build_gallery(source, out, encoder=ProductEncoder(), store=store, progress=stop)
    server.start()
    report = build_gallery(source, out, encoder=ProductEncoder())
    assert 0 < report.added < report.photos
    with open_gallery(out) as kept, open_gallery(whole) as expected:
        assert len(kept) == len(expected)
        for one, other in zip(
            kept.store.scan(with_vectors=True), expected.store.scan(with_vectors=True), strict=True
        ):
            assert one.payload == other.payload
            assert all((one.vectors[k] == v).all() for k, v in other.vectors.items())
    stranger = tmp_path / "other"
    with pytest.raises(InputError, match="of another gallery"):
        build_gallery(source, stranger, encoder=ProductEncoder(), store=store)
