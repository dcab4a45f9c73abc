"""Upkeep of a gallery whose points a Qdrant server has: the same calls, the same answers."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from index_builder.exports import export_gallery
from index_builder.gallery import Gallery
from index_builder.gallery_check import check_gallery
from index_builder.gallery_merge import merge_galleries
from index_builder.manifest import Manifest, StoreSettings, read_manifest
from index_builder.server_points import ServerStore
from index_builder.upkeep import open_for_upkeep, remove_points
from tests.qdrant_stub import QdrantStub
from tests.unit.upkeep_samples import identity, photo, write_gallery

COUNT = 20


@pytest.fixture
def address() -> Iterator[str]:
    """A collection of twenty photos that no folder knows."""
    stub = QdrantStub()
    now = datetime(2026, 1, 2, tzinfo=UTC)
    place = StoreSettings(url=stub.url, collection="trip")
    manifest = Manifest(encoder=identity(), store=place, created=now, updated=now)
    store = ServerStore.of(manifest)
    with Gallery(None, manifest, store) as gallery:
        gallery.add([photo(n) for n in range(COUNT)])
        gallery.write_manifest()
    yield f"{stub.url}/trip"
    stub.close()


def test_check_remove_export_and_merge(address: str, tmp_path: Path) -> None:
    with open_for_upkeep(address) as gallery:
        report = check_gallery(gallery, sample=None)
        assert report.findings == ()
        assert report.photos == COUNT
        assert export_gallery(gallery, tmp_path / "out.csv").photos == COUNT
        assert remove_points(gallery, "author", ["anna"]).photos == COUNT // 2
    with open_for_upkeep(address) as gallery:
        assert gallery.manifest.photos == COUNT // 2
        assert check_gallery(gallery).findings == ()
    other = write_gallery(tmp_path / "other", [photo(n) for n in range(5)])
    report_merged = merge_galleries([address, other], tmp_path / "both")
    assert (report_merged.photos, report_merged.duplicates) == (12, 3)
    manifest = read_manifest(tmp_path / "both")
    assert (manifest.photos, manifest.store.url) == (12, "")
