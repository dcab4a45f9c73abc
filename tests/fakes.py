"""Stand-ins for what a run leans on: a scripted driver, a small gazetteer, plain tools."""

from collections.abc import Callable, Iterable, Sequence

from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from agent.factors import Settlements
from agent.state import State
from geo.gazetteer import Gazetteer, Place
from tools.evidence import ToolReply

Calls = Sequence[tuple[str, dict[str, JsonValue]]]


class ScriptedDriver:
    """Answers with one list of tool calls a turn; a function is asked with the state."""

    name = "scripted"

    def __init__(self, turns: Iterable[Calls | Callable[[State], Calls]]) -> None:
        self._turns = iter(turns)
        self.told: list[str] = []

    def decide(self, state: State, remaining: str) -> AIMessage:
        self.told.append(remaining)
        turn = next(self._turns)
        calls = turn(state) if callable(turn) else turn
        return AIMessage(
            content="",
            tool_calls=[
                {"name": name, "args": args, "id": f"c{len(self.told)}{index}", "type": "tool_call"}
                for index, (name, args) in enumerate(calls)
            ],
        )


class FakeGazetteer(Gazetteer):
    """A gazetteer of one village and the settlements it is given."""

    def __init__(self, settlements: Settlements) -> None:
        self._settled = settlements

    def settlements(self, min_population: int = 0) -> Settlements:
        return self._settled

    def nearest(
        self, latitude: float, longitude: float, country: str | None = None, limit: int = 1
    ) -> list[tuple[Place, float]]:
        place = Place(
            geoname_id=1,
            name="Testdorf",
            latitude=latitude,
            longitude=longitude,
            country=country or "",
            admin1="Testland",
            population=1000,
            matched="Testdorf",
            score=1.0,
        )
        return [(place, 0.0)]


class Anything(BaseModel):
    """Arguments of the plain tools."""

    model_config = ConfigDict(strict=True, extra="forbid")

    value: int = Field(default=0, ge=0, le=9, description="A digit.")


def plain_tool(name: str, function: Callable[[int], ToolReply]) -> BaseTool:
    """Wrap a function of one digit as a tool."""

    def call(value: int = 0) -> ToolReply:
        return function(value)

    return StructuredTool.from_function(
        call,
        name=name,
        description="A tool for tests.",
        args_schema=Anything,
        response_format="content_and_artifact",
    )
