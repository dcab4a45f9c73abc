"""The gallery tools against LangChain's standard tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from index_builder import build_gallery, open_gallery
from tests.aligned_fakes import GlobeEncoder, photo_of
from tests.unit.gallery_samples import facade, view, write_photos
from tests.unit.test_alike import LISBON, make_gallery
from tools.compare import make_compare_photos
from tools.dissimilar import make_search_dissimilar_photos
from tools.photos import PhotoStore
from tools.retrieve import make_search_similar_photos
from tools.workbench import Workbench


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standard")
    return build_gallery(write_photos(folder / "photos", scenes=2), folder / "gallery").path


class GalleryTool:
    """Gives the standard tests a workbench with a gallery and two photos."""

    bench: Workbench
    photo_id: str
    other_id: str

    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path, built: Path) -> Iterator[None]:
        with open_gallery(built) as gallery:
            self.bench = Workbench(photos=PhotoStore(tmp_path), galleries=(gallery,))
            self.photo_id = self.bench.photos.add_image(view(facade(0), 2), "query").id
            self.other_id = self.bench.photos.add_image(view(facade(0), 1), "other").id
            yield


class Search(GalleryTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_search_similar_photos(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"photo_id": self.photo_id, "limit": 5}


class LearnedGalleryTool:
    """Gives the standard tests a gallery whose encoder is learned and reads texts."""

    bench: Workbench
    photo_id: str

    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path) -> Iterator[None]:
        encoder = GlobeEncoder(texts=True)
        with make_gallery(tmp_path / "learned", encoder) as gallery:
            self.bench = Workbench(
                photos=PhotoStore(tmp_path / "photos"),
                galleries=(gallery,),
                open_encoder=lambda: encoder,
            )
            self.photo_id = self.bench.photos.add_image(photo_of(*LISBON), "query").id
            yield


class SearchWords(LearnedGalleryTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_search_similar_photos(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"text": "a street at 59.9, 10.7", "countries": ["NO"], "limit": 3}


class Dissimilar(LearnedGalleryTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_search_dissimilar_photos(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        crop = {"left": 0.0, "top": 0.0, "right": 0.5, "bottom": 1.0}
        return {"photo_id": self.photo_id, "crop": crop, "limit": 3}


class Compare(GalleryTool):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_compare_photos(self.bench)

    @property
    def tool_invoke_params_example(self) -> dict[str, object]:
        return {"photo_id": self.photo_id, "other_id": self.other_id}


class TestSearchUnit(Search, ToolsUnitTests):
    pass


class TestSearchIntegration(Search, ToolsIntegrationTests):
    pass


class TestSearchWordsIntegration(SearchWords, ToolsIntegrationTests):
    pass


class TestDissimilarUnit(Dissimilar, ToolsUnitTests):
    pass


class TestDissimilarIntegration(Dissimilar, ToolsIntegrationTests):
    pass


class TestCompareUnit(Compare, ToolsUnitTests):
    pass


class TestCompareIntegration(Compare, ToolsIntegrationTests):
    pass
