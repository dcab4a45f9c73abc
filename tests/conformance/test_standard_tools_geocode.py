"""The place tools against LangChain's standard tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from geo.gazetteer import Gazetteer
from geo.gazetteer_build import build
from tests.unit.gazetteer_samples import SETTLEMENTS
from tools.geocode import make_find_place, make_reverse_geocode
from tools.photos import PhotoStore
from tools.workbench import Workbench


@pytest.fixture(scope="module")
def gazetteer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("conformance") / "small.sqlite"
    build(path, SETTLEMENTS)
    return path


class PlaceTool:
    """Gives the standard tests a workbench with a small gazetteer."""

    bench: Workbench

    @pytest.fixture(autouse=True)
    def _workbench(self, gazetteer_file: Path, tmp_path: Path) -> Iterator[None]:
        with Gazetteer.open(gazetteer_file) as gazetteer:
            self.bench = Workbench(PhotoStore(tmp_path), open_gazetteer=lambda: gazetteer)
            yield


class FindPlace(PlaceTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_find_place(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"name": "Praha", "countries": ["CZ"]}


class ReverseGeocode(PlaceTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_reverse_geocode(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"latitude": 48.5734, "longitude": 7.7521}


class TestFindPlaceUnit(FindPlace, ToolsUnitTests):
    pass


class TestFindPlaceIntegration(FindPlace, ToolsIntegrationTests):
    pass


class TestReverseGeocodeUnit(ReverseGeocode, ToolsUnitTests):
    pass


class TestReverseGeocodeIntegration(ReverseGeocode, ToolsIntegrationTests):
    pass
