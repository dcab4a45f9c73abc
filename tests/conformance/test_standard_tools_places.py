"""The tools of worldwide search against LangChain's standard tests."""

from pathlib import Path

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from agent.factors import Settlements
from index_builder.places import open_places
from tests.aligned_fakes import GlobeEncoder, photo_of
from tests.fakes import FakeGazetteer
from tools.photos import PhotoStore
from tools.places import make_search_places
from tools.verify import make_verify_locations
from tools.workbench import Workbench

TOWNS = [(48.857, 2.352), (45.764, 4.836), (-33.869, 151.209)]


class PlaceTool:
    """Gives the standard tests a workbench with an encoder, its places and a photo."""

    bench: Workbench
    photo_id: str

    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path, settlements: Settlements) -> None:
        self.bench = Workbench(
            photos=PhotoStore(tmp_path / "photos"),
            open_gazetteer=lambda: FakeGazetteer(settlements),
            open_encoder=GlobeEncoder,
            open_places=lambda encoder: open_places(encoder, TOWNS, tmp_path),
        )
        self.photo_id = self.bench.photos.add_image(photo_of(*TOWNS[0]), "photo").id


class Search(PlaceTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_search_places(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"photo_id": self.photo_id, "limit": 2, "countries": ["FR"]}


class Verify(PlaceTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_verify_locations(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        candidates = [
            {"latitude": latitude, "longitude": longitude, "label": "town"}
            for latitude, longitude in TOWNS
        ]
        return {"photo_id": self.photo_id, "candidates": candidates, "nearby_km": 25.0}


class TestSearchUnit(Search, ToolsUnitTests):
    pass


class TestSearchIntegration(Search, ToolsIntegrationTests):
    pass


class TestVerifyUnit(Verify, ToolsUnitTests):
    pass


class TestVerifyIntegration(Verify, ToolsIntegrationTests):
    pass
