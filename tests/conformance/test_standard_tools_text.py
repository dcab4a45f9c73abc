"""The text tools against LangChain's standard tests."""

from pathlib import Path

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from PIL import Image

from tools.clues import make_look_up_clue
from tools.photos import PhotoStore
from tools.read_text import make_read_text
from tools.workbench import Workbench


class TextTool:
    """Gives the standard tests a workbench with one blank photo."""

    bench: Workbench
    photo_id: str

    @pytest.fixture(autouse=True)
    def _workbench(self, tmp_path: Path) -> None:
        self.bench = Workbench(PhotoStore(tmp_path))
        photo = self.bench.photos.add_image(Image.new("RGB", (64, 48), (90, 90, 90)), "a wall")
        self.photo_id = photo.id


class ReadText(TextTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_read_text(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"photo_id": self.photo_id}


class LookUpClue(TextTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_look_up_clue(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"texts": ["Ausfahrt freihalten"], "driving_side": "right"}


class TestReadTextUnit(ReadText, ToolsUnitTests):
    pass


class TestReadTextIntegration(ReadText, ToolsIntegrationTests):
    pass


class TestLookUpClueUnit(LookUpClue, ToolsUnitTests):
    pass


class TestLookUpClueIntegration(LookUpClue, ToolsIntegrationTests):
    pass
