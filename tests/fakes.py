"""Stand-ins for what a run leans on: a scripted driver, a small gazetteer, plain tools."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, StructuredTool
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from agent.budget import Left
from agent.drivers import Decision
from agent.factors import Settlements
from agent.state import State
from geo.gazetteer import Gazetteer, Place
from geo.named_areas import NamedArea
from tools.evidence import ToolReply
from tools.read_text import TextLine, TextReader

Calls = Sequence[tuple[str, dict[str, JsonValue]]]


class ScriptedDriver:
    """Answers with one list of tool calls a turn; a function is asked with the state."""

    name = "scripted"
    converses = False

    def __init__(self, turns: Iterable[Calls | Callable[[State], Calls]]) -> None:
        self._turns = iter(turns)
        self.told: list[str] = []

    def decide(self, state: State, left: Left) -> Decision:
        self.told.append(left.text)
        turn = next(self._turns)
        calls = turn(state) if callable(turn) else turn
        return Decision(
            AIMessage(
                content="",
                tool_calls=[
                    ToolCall(name=n, args=args, id=f"c{len(self.told)}{i}", type="tool_call")
                    for i, (n, args) in enumerate(calls)
                ],
            )
        )


Scripted = AIMessage | Exception | Callable[[Sequence[BaseMessage], dict[str, Any]], AIMessage]


class ScriptedChat(BaseChatModel):
    """A chat model that replies from a list, or by a function, and remembers what it was asked.

    Replies may also be picked by purpose-like marks in the request: give a function for that.
    """

    replies: list[Any]
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    given: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=tools, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.asked.append(messages)
        self.given.append(kwargs)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if callable(reply):
            reply = reply(messages, kwargs)
        if isinstance(reply, Exception):
            raise reply
        return ChatResult(generations=[ChatGeneration(message=reply.model_copy(deep=True))])


def calling(*calls: tuple[str, dict[str, JsonValue]], text: str = "") -> AIMessage:
    """Return a reply that calls tools."""
    return AIMessage(
        content=text,
        tool_calls=[
            ToolCall(name=name, args=args, id=f"call_{index}", type="tool_call")
            for index, (name, args) in enumerate(calls)
        ],
    )


class FakeGazetteer(Gazetteer):
    """A gazetteer of one village and the settlements it is given."""

    def __init__(self, settlements: Settlements) -> None:
        self._settled = settlements

    def close(self) -> None:
        """Nothing is open."""

    def settlements(self, min_population: int = 0) -> Settlements:
        return self._settled

    def find(
        self,
        name: str,
        countries: Collection[str] | None = None,
        limit: int = 10,
        fuzzy: bool = True,
    ) -> list[Place]:
        if name != "Testdorf":
            return []
        return [self.nearest(48.137, 11.576, "DE")[0][0]]

    def find_country(self, name: str) -> list[str]:
        return ["DE"] if name in ("Germany", "DE") else []

    def find_areas(self, name: str, countries: Collection[str] | None = None) -> list[NamedArea]:
        return []

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

    def admin1_near(self, points: NDArray[np.float64], country: str) -> list[str]:
        return ["Testland"] * len(points)


class BlankReader(TextReader):
    """Reads photos of noise as what they are: without text, and without seconds of looking."""

    def read(self, image: Image.Image) -> list[TextLine]:
        return []


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
