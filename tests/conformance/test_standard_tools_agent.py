"""LangChain's own tests for tools, on the tools that need no photo."""

from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool
from langchain_tests.unit_tests import ToolsUnitTests

from tests.unit.test_clustering import PARIS, TOKYO
from tools.commit import make_commit_location
from tools.hint import make_use_hint
from tools.photos import PhotoStore
from tools.rerank import make_cluster_candidates
from tools.workbench import Workbench


class TestCommitLocation(ToolsUnitTests):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_commit_location()

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"evidence_ids": ["e0123456789"], "reason": "the sign"}


class TestUseHint(ToolsUnitTests):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_use_hint(Workbench(PhotoStore(Path("unused"))))

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"hint": "48.2, 11.6"}


class TestClusterCandidates(ToolsUnitTests):
    @property
    def tool_constructor(self) -> BaseTool:
        return make_cluster_candidates(Workbench(PhotoStore(Path("unused"))))

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"candidates": [{"latitude": lat, "longitude": lon} for lat, lon in (PARIS, TOKYO)]}
