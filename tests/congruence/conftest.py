"""What the tests of several engines share."""

from collections.abc import Iterator

import pytest

from tests.congruence.store_samples import engines
from tests.qdrant_stub import QdrantStub, qdrant_stub


@pytest.fixture(scope="module", params=engines())
def engine(request: pytest.FixtureRequest) -> str:
    """Name of an engine; every test that asks for it runs on all."""
    return str(request.param)


@pytest.fixture
def stub() -> Iterator[QdrantStub]:
    """A Qdrant server of the test's own."""
    with qdrant_stub() as running:
        yield running
