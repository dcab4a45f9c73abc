"""The tools of the sky, of measuring, of related places and of questions: LangChain's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from agent.factors import Settlements
from tests.fakes import FakeGazetteer
from tests.overpass_stub import serving
from tools.ask import make_ask_analyst
from tools.measure import make_measure
from tools.photos import PhotoStore
from tools.related import make_find_related_places
from tools.sun import make_check_sun
from tools.workbench import Workbench


class Bench:
    """Gives the standard tests a workbench with a small world."""

    bench: Workbench

    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path, settlements: Settlements) -> None:
        self.bench = Workbench(
            PhotoStore(tmp_path), open_gazetteer=lambda: FakeGazetteer(settlements)
        )


class CheckSun(Bench):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_check_sun(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"start": "2023-06-21T12:30Z", "elevation_deg": 45.0, "at_latitude": 48.9,
                "at_longitude": 2.4}  # fmt: skip


class TestCheckSunUnit(CheckSun, ToolsUnitTests):
    pass


class TestCheckSunIntegration(CheckSun, ToolsIntegrationTests):
    pass


class Measure(Bench):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_measure(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        corners = [(48.0, 2.0), (49.0, 2.0), (48.5, 3.0)]
        points = [{"latitude": latitude, "longitude": longitude} for latitude, longitude in corners]
        return {"points": points, "closed": True}


class TestMeasureUnit(Measure, ToolsUnitTests):
    pass


class TestMeasureIntegration(Measure, ToolsIntegrationTests):
    pass


class AskAnalyst(Bench):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_ask_analyst(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"question": "In which year was it taken?", "options": ["before 2000", "later"]}


class TestAskAnalystUnit(AskAnalyst, ToolsUnitTests):
    pass


class TestAskAnalystIntegration(AskAnalyst, ToolsIntegrationTests):
    pass


class FindRelatedPlaces(Bench):
    @pytest.fixture(autouse=True)
    def _serve(self) -> Iterator[None]:
        with serving() as self.server:
            yield

    @property
    def tool_constructor(self) -> BaseTool:
        return make_find_related_places(self.bench, self.server.client())

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        features = [{"kind": "church"}, {"key": "railway", "value": "level_crossing"}]
        circle = {"latitude": 48.1, "longitude": 11.5, "radius_km": 20.0}
        return {"features": features, "circle": circle, "within_m": 200.0}


class TestFindRelatedPlacesUnit(FindRelatedPlaces, ToolsUnitTests):
    pass


class TestFindRelatedPlacesIntegration(FindRelatedPlaces, ToolsIntegrationTests):
    pass
