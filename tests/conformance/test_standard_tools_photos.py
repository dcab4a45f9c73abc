"""The photo tools against LangChain's standard tests."""

from pathlib import Path

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from tests.unit.photo_samples import encoded, picture
from tools.photos import PhotoStore, make_read_metadata, make_zoom
from tools.workbench import Workbench


class PhotoTool:
    """Gives the standard tests a workbench with one photo."""

    bench: Workbench
    photo_id: str

    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path) -> None:
        self.bench = Workbench(photos=PhotoStore(tmp_path))
        self.photo_id = self.bench.photos.add(encoded(picture())).id


class ReadMetadata(PhotoTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_read_metadata(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"photo_id": self.photo_id}


class Zoom(PhotoTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_zoom(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"photo_id": self.photo_id, "left": 0.25, "top": 0.25, "right": 0.75, "bottom": 0.75}


class TestReadMetadataUnit(ReadMetadata, ToolsUnitTests):
    pass


class TestReadMetadataIntegration(ReadMetadata, ToolsIntegrationTests):
    pass


class TestZoomUnit(Zoom, ToolsUnitTests):
    pass


class TestZoomIntegration(Zoom, ToolsIntegrationTests):
    pass
