"""The tool that searches cells against LangChain's standard tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from agent.factors import Settlements
from geo.cells import cell_ids, centres
from index_builder import open_gallery
from index_builder.cells import build_cells
from tests.aligned_fakes import GlobeEncoder, photo_of
from tests.fakes import FakeGazetteer
from tests.unit.cell_samples import directions, photo_gallery
from tools.cells import make_search_cells
from tools.photos import PhotoStore
from tools.workbench import Workbench

TOWNS = [(48.857, 2.352), (45.764, 4.836), (-33.869, 151.209)]


class Search:
    """Gives the standard tests a workbench with a gallery of cells and a photo."""

    bench: Workbench
    photo_id: str

    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path, settlements: Settlements) -> Iterator[None]:
        points = centres(cell_ids(TOWNS, 6))
        photos = [(a, b, directions([[a, b]])[0], "") for a, b in points.tolist()]
        with photo_gallery(tmp_path / "photos", GlobeEncoder(), photos) as gallery:
            build_cells(gallery, tmp_path / "cells", prototype_level=6, code_level=7)
        with open_gallery(tmp_path / "cells") as cells:
            self.bench = Workbench(
                photos=PhotoStore(tmp_path / "store"),
                galleries=(cells,),
                open_gazetteer=lambda: FakeGazetteer(settlements),
                load_encoder=lambda name: GlobeEncoder(),
            )
            self.photo_id = self.bench.photos.add_image(photo_of(*TOWNS[0]), "photo").id
            yield

    @property
    def tool_constructor(self) -> BaseTool:
        return make_search_cells(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"photo_id": self.photo_id, "limit": 2, "merge_siblings": True}


class TestSearchUnit(Search, ToolsUnitTests):
    pass


class TestSearchIntegration(Search, ToolsIntegrationTests):
    pass
