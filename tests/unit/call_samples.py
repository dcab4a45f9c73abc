"""Tools for tests of calls: their schemas are the product's, their bodies do nothing."""

from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field

from agent.repair import ReadCalls, read_calls
from tools.commit import CommitArguments
from tools.geocode import FindPlaceArguments
from tools.read_text import ReadTextArguments
from tools.zoom import ZoomArguments

PHOTO = "ab12" * 16


class Place(BaseModel):
    """One of the things that `verify_locations` takes a list of."""

    model_config = ConfigDict(strict=True, extra="forbid")

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    label: str = Field(default="", pattern=r"^[^\x00-\x1f]*$", max_length=80)


class VerifySample(BaseModel):
    """Nested arguments."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    photo_id: str = Field(min_length=8, max_length=64)
    candidates: list[Place] = Field(min_length=1)


def make_tool(name: str, schema: type[BaseModel]) -> BaseTool:
    def nothing(**arguments: object) -> str:
        return ""

    return StructuredTool.from_function(nothing, name=name, description="d", args_schema=schema)


TOOLS = [
    make_tool("zoom", ZoomArguments),
    make_tool("commit_location", CommitArguments),
    make_tool("read_text", ReadTextArguments),
    make_tool("find_place", FindPlaceArguments),
    make_tool("verify_locations", VerifySample),
]
ZOOM = {"photo_id": PHOTO, "left": 0.1, "top": 0.0, "right": 0.5, "bottom": 1.0}


def written(text: str, finish: str = "stop") -> ReadCalls:
    """What is read from a reply of text."""
    return read_calls(AIMessage(text), TOOLS, finish=finish, photo_id=PHOTO)


def called(name: str, arguments: dict[str, object], identity: str | None = "c1") -> ReadCalls:
    """What is read from a reply with one real call."""
    call = {"name": name, "args": arguments, "id": identity, "type": "tool_call"}
    return read_calls(AIMessage(content="", tool_calls=[call]), TOOLS, photo_id=PHOTO)


def broken(arguments: str, name: str = "find_place") -> ReadCalls:
    """What is read from a real call whose arguments the client could not read."""
    bad = {"name": name, "args": arguments, "id": "c1", "error": "", "type": "invalid_tool_call"}
    return read_calls(AIMessage(content="", invalid_tool_calls=[bad]), TOOLS, photo_id=PHOTO)


def kinds(read: ReadCalls) -> list[str]:
    return [f"{problem.kind} {problem.action}" for problem in read.problems]
