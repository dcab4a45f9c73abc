"""Branching off a session: its checkpoints and its trace up to a moment, under another id."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from pydantic import JsonValue

from agent.trace import Trace

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple


def copied_checkpoints(
    saver: "BaseCheckpointSaver[Any]", source: str, target: str, checkpoint_id: str
) -> None:
    """Copy a checkpoint and those before it from one thread to another.

    What tasks after the last one wrote already is left behind: they run anew.
    """
    chain: list[CheckpointTuple] = []
    at: RunnableConfig | None = _config(source, checkpoint_id)
    while at is not None and (held := saver.get_tuple(at)) is not None:
        chain.append(held)
        at = held.parent_config
    before = ""
    for held in reversed(chain):
        config = _config(target, before)
        put = saver.put(config, held.checkpoint, held.metadata, held.checkpoint["channel_versions"])
        before = held.checkpoint["id"]
        if before != checkpoint_id:
            writes: dict[str, list[tuple[str, Any]]] = {}
            for task, channel, value in held.pending_writes or ():
                writes.setdefault(task, []).append((channel, value))
            for task, values in writes.items():
                saver.put_writes(put, values, task)


def copied_trace(source: Path, target: Path, events: int, told: dict[str, JsonValue]) -> None:
    """Copy the first events of a trace as they are, and chain a `fork` event to them.

    The branch's file so holds its whole past, under the same hashes.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = source.read_bytes().split(b"\n")[:events] if source.exists() else []
    target.write_bytes(b"".join(line + b"\n" for line in lines))
    with Trace(target, onward=True) as trace:
        trace.append("fork", told)


def _config(thread: str, checkpoint_id: str) -> RunnableConfig:
    configurable = {"thread_id": thread, "checkpoint_ns": ""}
    if checkpoint_id:
        configurable["checkpoint_id"] = checkpoint_id
    return {"configurable": configurable}
