"""A scripted model that costs nothing, and a bare LangGraph agent that it drives.

The yardstick of `evaluation.bench_agent`: what LangGraph itself costs with the same tools.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig

if TYPE_CHECKING:
    from langchain.agents.middleware import AgentMiddleware
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from agent.geolocator import Geolocator

TOWNS = (
    ("Lyon", "FR"), ("Turin", "IT"), ("Graz", "AT"), ("Brno", "CZ"), ("Bergen", "NO"),
    ("Porto", "PT"), ("Malmö", "SE"), ("Gdynia", "PL"), ("Split", "HR"), ("Cork", "IE"),
    ("Basel", "CH"), ("Ghent", "BE"), ("Aarhus", "DK"), ("Tartu", "EE"),
)  # fmt: skip
Asked = Literal["usual", "evidence", "free", "one"]
CALLED: dict[Asked, str] = {
    "usual": "find_place and zoom: evidence, belief and a picture at every step",
    "free": "measure twice, which takes no time and is no evidence",
    "evidence": "find_place and measure, which take a millisecond: evidence and belief at every "
    "step",
    "one": "measure once",
}
Run = Callable[[bytes], object]


class Script(BaseChatModel):
    """A model that calls tools turn by turn, always others, and then commits, after a latency."""

    turns: int
    asked: Asked
    photo_id: str = ""
    latency_s: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "script"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        """Take the tools as they are: which ones are called is known."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self.latency_s:
            time.sleep(self.latency_s)
        turn = sum(isinstance(message, AIMessage) for message in messages)
        message = AIMessage("", tool_calls=self._calls(turn))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _calls(self, turn: int) -> list[ToolCall]:
        if turn >= self.turns:
            said = {"evidence_ids": [], "reason": "the end", "undetermined": True}
            return [ToolCall(name="commit_location", args=said, id=f"c{turn}", type="tool_call")]
        return [
            ToolCall(name=name, args=args, id=f"c{turn}-{index}", type="tool_call")
            for index, (name, args) in enumerate(self._turn(turn))
        ]

    def _turn(self, turn: int) -> list[tuple[str, dict[str, Any]]]:
        """Return the names and arguments of a turn's calls, none of which was made before."""
        if self.asked == "usual":
            edge = 0.02 * turn
            box = {"left": edge, "top": edge, "right": edge + 0.5, "bottom": edge + 0.5}
            return [_find(turn), ("zoom", {"photo_id": self.photo_id, **box})]
        if self.asked == "evidence":
            return [_find(turn), _measure(turn, 3)]
        return [_measure(turn, 3), _measure(turn, 4)][: 1 if self.asked == "one" else 2]


def _find(turn: int) -> tuple[str, dict[str, Any]]:
    """Return a search for a town in its country, which counts as evidence."""
    name, country = TOWNS[turn]
    return "find_place", {"name": name, "countries": [country]}


def _measure(turn: int, longitude: int) -> tuple[str, dict[str, Any]]:
    ends = [{"latitude": turn, "longitude": 1}, {"latitude": 2, "longitude": longitude}]
    return "measure", {"points": ends}


def bare_agent(
    geolocator: "Geolocator", script: Script, saver: "BaseCheckpointSaver[str] | None"
) -> Run:
    """Return a bare agent that runs to a commit; what tools draw is shown to its model, too."""
    from langchain.agents import create_agent

    shown = [_showing(geolocator)] if script.asked == "usual" else []
    agent = create_agent(script, list(geolocator.tools), middleware=shown, checkpointer=saver)
    asked: Any = {"messages": [("user", "Where?")]}

    def run(photo: bytes) -> None:
        thread = {"thread_id": uuid4().hex}
        config: RunnableConfig = {"recursion_limit": 200, "configurable": thread}
        # It would call commit_location for ever: the turn after a commit is its end.
        for part in agent.stream(asked, config, stream_mode="updates"):
            said = part.get("tools", {}).get("messages", [])
            if any(message.name == "commit_location" for message in said):
                return

    return run


def _showing(geolocator: "Geolocator") -> "AgentMiddleware[Any, Any, Any]":
    """Return what adds the latest pictures of tools to a request, as many as ours shows."""
    from langchain.agents.middleware import wrap_model_call

    from agent.model_settings import ModelSettings
    from agent.shown_pictures import PictureCache

    cache, settings = PictureCache(), ModelSettings()

    def shown(messages: list[AnyMessage]) -> list[AnyMessage]:
        made = [m.artifact for m in messages if isinstance(m, ToolMessage) and m.artifact]
        ids = [picture.photo_id for outcome in made for picture in outcome.pictures]
        latest = ids[1 - settings.images :]
        uris = [
            cache.show(geolocator.bench.photos, id, settings.image_side_px).uri for id in latest
        ]
        blocks: list[Any] = [{"type": "image_url", "image_url": {"url": uri}} for uri in uris]
        return [*messages, HumanMessage(blocks)] if blocks else messages

    @wrap_model_call
    def showing(request: Any, handler: Any) -> Any:
        return handler(request.override(messages=shown(request.messages)))

    return showing
