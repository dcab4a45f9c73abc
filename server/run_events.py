"""What LangGraph streams, as the events that its platform's clients expect.

Names and shapes as the LangGraph server sends them: `values`, `updates`, `messages` (a pair, for
the mode `messages-tuple`), `messages/metadata`, `messages/partial` and `messages/complete` (for the
mode `messages`), `custom`, `tasks`, `checkpoints`, `debug` and `events`; a subgraph's namespace
follows the name behind bars.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

from langchain_core.messages import BaseMessageChunk
from langgraph.types import StreamMode as GraphMode

from agent.session_run import Part
from server.event_stream import ALWAYS, END, Sent
from server.plain import packed, whole

StreamMode = Literal[
    "values", "updates", "messages", "messages-tuple", "custom", "events", "debug", "tasks",
    "checkpoints",
]  # fmt: skip
STREAM_MODES: tuple[StreamMode, ...] = get_args(StreamMode)
_NEEDS: dict[str, tuple[GraphMode, ...]] = {
    "messages-tuple": ("messages",),
    "events": ("tasks", "messages", "custom"),
}
"""What the graph has to stream for a mode, where it is not the mode of that name."""
_CONFIG = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")


def graph_modes(modes: Sequence[StreamMode]) -> list[GraphMode]:
    """Return what the graph has to stream for these modes, and the values that a run ends with."""
    needed: list[GraphMode] = ["values"]
    for mode in modes:
        needed += _NEEDS.get(mode, (mode,))  # type: ignore[arg-type]
    return list(dict.fromkeys(needed))


class RunEvents:
    """Makes events of a run's parts.

    Args:
        run_id: of the run.
        modes: that somebody asked for.
    """

    def __init__(self, run_id: str, modes: Sequence[StreamMode]) -> None:
        self.run_id, self.modes = run_id, frozenset(modes)
        self.values: dict[str, Any] | None = None
        """The latest ones of the graph itself, with `__interrupt__` where it waits."""
        self._written: dict[str, Any] = {}
        self._tasks: dict[str, Any] = {}

    def first(self) -> Sent:
        """Return the event that every stream begins with."""
        return sent(ALWAYS, "metadata", {"run_id": self.run_id, "attempt": 1})

    def of(self, part: Part) -> Iterator[Sent]:
        """Yield the events of one part."""
        if part.mode == "event":
            return
        if part.mode == "custom":
            yield from self._custom(part.data)
            return
        name, data = part.mode, part.data["data"]
        space = "".join(f"|{one}" for one in part.data["ns"])
        if name == "values":
            data = self._values(part.data)
        if name == "messages":
            yield from self._messages(data, space)
        elif name in self.modes:
            yield sent(name, name + space, _tidied(name, data))
        if "events" in self.modes and name == "tasks" and not space:
            yield from self._steps(data)
        for message in part.data.get("said", ()):  # in place of those that are withheld
            yield from self._messages((message, {"langgraph_node": "conclude"}), "")

    def _values(self, part: dict[str, Any]) -> dict[str, Any]:
        waiting = part.get("interrupts")
        values = {**part["data"], **({"__interrupt__": list(waiting)} if waiting else {})}
        if not part["ns"]:
            self.values = values
        return values

    def _custom(self, data: dict[str, Any]) -> Iterator[Sent]:
        if "custom" in self.modes:
            yield sent("custom", "custom", data)
        if "events" in self.modes:
            event = {"event": "on_custom_event", "name": data["kind"], "data": data["data"]}
            yield sent("events", "events", {**event, **self._about(self.run_id, {})})

    def _messages(self, data: tuple[Any, dict[str, Any]], space: str) -> Iterator[Sent]:
        message, about = data
        if "messages-tuple" in self.modes:
            yield sent("messages-tuple", "messages" + space, [message, about])
        if "messages" in self.modes:
            yield from self._accumulated(message, about, space)
        if "events" in self.modes and isinstance(message, BaseMessageChunk):
            event = {"event": "on_chat_model_stream", "name": about.get("langgraph_node", ""),
                     "data": {"chunk": message}}  # fmt: skip
            yield sent("events", "events", {**event, **self._about(message.id or "", about)})

    def _accumulated(self, message: Any, about: dict[str, Any], space: str) -> Iterator[Sent]:
        known = message.id in self._written
        if not known:
            told = {message.id: {"metadata": about}}
            yield sent("messages", "messages/metadata" + space, told)
        chunk = isinstance(message, BaseMessageChunk)
        before = self._written.get(message.id)
        both = chunk and isinstance(before, BaseMessageChunk)
        self._written[message.id] = before + message if both else message
        name = "messages/partial" if chunk else "messages/complete"
        yield sent("messages", name + space, [whole(self._written[message.id])])

    def _steps(self, task: dict[str, Any]) -> Iterator[Sent]:
        """Yield a node's beginning and end as LangChain's events tell of them."""
        name, about = task["name"], self._about(task["id"], {"langgraph_node": task["name"]})
        if "input" in task:
            self._tasks[task["id"]] = task["input"]
            told: list[tuple[str, Any]] = [("on_chain_start", {"input": task["input"]})]
        else:
            made = {"output": task.get("result"), "input": self._tasks.pop(task["id"], None)}
            told = [("on_chain_stream", {"chunk": task.get("result")}), ("on_chain_end", made)]
        for event, data in told:
            yield sent("events", "events", {"event": event, "name": name, "data": data, **about})

    def _about(self, step: str, metadata: dict[str, Any]) -> dict[str, Any]:
        parents = [self.run_id] if step != self.run_id else []
        return {
            "run_id": step, "tags": [], "parent_ids": parents,
            "metadata": {"run_id": self.run_id, **metadata},
        }  # fmt: skip


def sent(mode: str, event: str, data: Any) -> Sent:
    """Return an event whose data are packed."""
    return Sent(mode, event, packed(data))


def failure(kind: str, message: str) -> Sent:
    """Return the event that tells of an error."""
    return sent(ALWAYS, "error", {"error": kind, "message": message})


def the_end() -> Sent:
    """Return the last event of every stream."""
    return sent(ALWAYS, END, None)


def _tidied(name: str, data: Any) -> Any:
    """Leave out of configurations what is the program's own."""
    if name == "checkpoints":
        return _checkpoint(data)
    if name == "debug" and data.get("type") == "checkpoint":
        return {**data, "payload": _checkpoint(data["payload"])}
    return data


def _checkpoint(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint with its own and its parent's name as clients look for them."""
    config, parent = (_config(payload.get(key)) for key in ("config", "parent_config"))
    tasks = [{**task, "state": _config(task.get("state"))} for task in payload.get("tasks", ())]
    return {
        **payload, "config": config, "parent_config": parent, "tasks": tasks,
        "checkpoint": config and config["configurable"],
        "parent_checkpoint": parent and parent["configurable"],
    }  # fmt: skip


def _config(config: Any) -> dict[str, Any] | None:
    if not config:
        return None
    held = config.get("configurable", {})
    return {"configurable": {key: held[key] for key in _CONFIG if key in held}}
