"""Sessions as LangGraph's threads, and their checkpoints as its states."""

from collections.abc import Sequence
from typing import Any

from langgraph.types import StateSnapshot

from agent.session_records import SessionInfo, SessionStatus
from agent.sessions import Sessions
from geo.errors import GeolocationError
from server.assistants import DEFAULT, assistant_id

STATUSES: dict[SessionStatus, str] = {
    "new": "idle", "busy": "busy", "idle": "idle", "waiting": "interrupted",
    "stopped": "interrupted", "error": "error",
}  # fmt: skip


def thread_of(
    sessions: Sessions, info: SessionInfo, select: Sequence[str] | None = None, busy: bool = False
) -> dict[str, Any]:
    """Return a session as a thread.

    Args:
        sessions: where it lies.
        info: of the session.
        select: fields to return; None for all.
        busy: whether a run of it waits its turn.
    """
    shown = {**thread_row(info), **({"status": "busy"} if busy else {})}
    if select is None or {"values", "interrupts", "status"} & set(select):
        shown |= _state_fields(sessions, info, shown["status"])
    return shown if select is None else {key: shown[key] for key in select if key in shown}


def thread_row(info: SessionInfo) -> dict[str, Any]:
    """Return what is known of a thread without reading its state."""
    recipe = info.options.recipe or DEFAULT
    about = {"graph_id": recipe, "assistant_id": assistant_id(recipe)}
    if info.name:
        about["name"] = info.name
    return {
        "thread_id": info.id,
        "created_at": info.created,
        "updated_at": info.updated,
        "state_updated_at": info.updated,
        "metadata": {**about, **info.metadata},
        "status": STATUSES[info.status],
        "config": {"configurable": info.options.model_dump(mode="json", exclude_defaults=True)},
        "error": {"error": "Error", "message": info.error} if info.error else None,
    }


def _state_fields(sessions: Sessions, info: SessionInfo, status: str) -> dict[str, Any]:
    """Return a thread's values, what it waits with, and whether nodes are yet to run."""
    try:
        state = sessions.snapshot(info.id)
    except GeolocationError:  # its recipe lacks something now: it is listed all the same
        return {"values": None, "interrupts": {}}
    waiting = {task.id: list(task.interrupts) for task in state.tasks if task.interrupts}
    halted = status == "idle" and bool(state.next)
    return {
        "values": state.values or None,
        "interrupts": waiting,
        "status": "interrupted" if halted else status,
    }


def state_of(state: StateSnapshot, select: Sequence[str] | None = None) -> dict[str, Any]:
    """Return a snapshot as LangGraph's clients know it."""
    here, before = _checkpoint(state.config), _checkpoint(state.parent_config)
    shown = {
        "values": state.values,
        "next": state.next,
        "tasks": [_task(task) for task in state.tasks],
        "metadata": state.metadata or {},
        "created_at": state.created_at,
        "checkpoint": here,
        "parent_checkpoint": before,
        "interrupts": state.interrupts,
        "checkpoint_id": here and here["checkpoint_id"],
        "parent_checkpoint_id": before and before["checkpoint_id"],
    }
    if not select:
        return shown
    chosen = {key: shown[key] for key in select if key in shown}
    keys = [key.removeprefix("values.") for key in select if key.startswith("values.")]
    if keys and "values" not in chosen:
        chosen["values"] = {key: state.values[key] for key in keys if key in state.values}
    return chosen


def _task(task: Any) -> dict[str, Any]:
    return {
        "id": task.id,
        "name": task.name,
        "path": task.path,
        "error": repr(task.error) if task.error else None,
        "interrupts": task.interrupts,
        "checkpoint": None,
        "state": None,
        "result": task.result,
    }


def _checkpoint(config: Any) -> dict[str, Any] | None:
    if not config:
        return None
    held = config["configurable"]
    return {
        "thread_id": held["thread_id"],
        "checkpoint_ns": held.get("checkpoint_ns", ""),
        "checkpoint_id": held.get("checkpoint_id"),
    }
