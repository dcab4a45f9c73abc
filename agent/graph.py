"""The state machine, wiring only.

START -> observe -> prior -> prime -> decide --tool calls--> act --> decide ...; what a person says
after an answer comes in through `follow_up` instead; a question to the analyst waits in `ask`; a
commit or a spent budget leads to diversify -> verify -> conclude -> END.
With several trajectories, `explore` runs that loop several times instead.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.config import get_config
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import get_runtime
from pydantic import JsonValue

from agent.calls import announce
from agent.checkpoints import knowing_records
from agent.follow_up import is_follow_up
from agent.listening import TRAJECTORY
from agent.model_use import counted
from agent.nodes import ASK, Machine
from agent.state import InputState, State

Graph = CompiledStateGraph[State, None, InputState, State]
NODES = ("observe", "follow_up", "prior", "prime", "decide", "ask", "act", "explore", "diversify",
         "verify", "conclude")  # fmt: skip
LOOP = ("decide", "ask", "act")
THREADS = 128
"""Sessions of one event loop that may wait for a model at the same time."""


def compile_graph(
    machine: Machine,
    checkpointer: BaseCheckpointSaver[str] | None = None,
    *,
    asynchronous: bool = False,
) -> Graph:
    """Compile the state machine around a machine's nodes.

    Args:
        machine: the nodes.
        checkpointer: keeps sessions; needed where an analyst is asked.
        asynchronous: for `ainvoke` and `astream` alone: each node in a thread of a large pool, so
            that many sessions wait for a model at once.
    """
    builder: StateGraph[State, None, InputState, State] = StateGraph(
        State, input_schema=InputState, output_schema=State
    )
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="graticule") if asynchronous else None
    for name in NODES:
        node = _noted(name, counted(getattr(machine, name)))
        builder.add_node(name, _threaded(node, pool) if pool else node)
    builder.add_conditional_edges(START, _first, ["observe", "follow_up"])
    builder.add_edge("follow_up", "prime")
    builder.add_edge("observe", "prior")
    builder.add_edge("prior", "prime")
    end = "diversify"
    builder.add_conditional_edges("prime", _after_prime(machine), ["decide", "explore", end])
    builder.add_conditional_edges("decide", _after_decide(machine, end), [*LOOP, end])
    builder.add_edge("ask", "act")
    builder.add_conditional_edges("act", _after_act(end), ["decide", end])
    builder.add_edge("explore", end)
    builder.add_edge("diversify", "verify")
    builder.add_edge("verify", "conclude")
    builder.add_edge("conclude", END)
    known = None if checkpointer is None else knowing_records(checkpointer)
    return builder.compile(checkpointer=known, name="graticule")


def compile_loop(machine: Machine) -> "CompiledStateGraph[State, None, State, State]":
    """Compile the loop alone, for one trajectory; it keeps no session of its own."""
    builder: StateGraph[State, None, State, State] = StateGraph(State)
    for name in LOOP:
        # Counted once more by `explore`, which announces all of it again: here it is for nobody.
        builder.add_node(name, _noted(name, counted(getattr(machine, name))))
    builder.add_edge(START, "decide")
    builder.add_conditional_edges("decide", _after_decide(machine, END), [*LOOP, END])
    builder.add_edge("ask", "act")
    builder.add_conditional_edges("act", _after_act(END), ["decide", END])
    return builder.compile(checkpointer=False, name="trajectory")


def run_config(steps: int) -> RunnableConfig:
    """Return a LangGraph config whose recursion limit lies beyond what the budget allows."""
    return {"recursion_limit": 4 * steps + 20}


def _first(state: State) -> Literal["observe", "follow_up"]:
    """Begin with a photo, or go on with what the person says about it."""
    return "follow_up" if is_follow_up(state) else "observe"


def _after_prime(machine: Machine) -> Callable[[State], Literal["decide", "explore", "diversify"]]:
    def route(state: State) -> Literal["decide", "explore", "diversify"]:
        if not machine.recipe.loop:
            return "diversify"
        several = machine.trajectories > 1 and machine.asker is not None
        return "explore" if several else "decide"

    return route


def _after_decide(machine: Machine, end: str) -> Callable[[State], str]:
    """Run the tool calls, ask again where there are none, or stop where the budget is spent."""

    def route(state: State) -> str:
        if state["stopped_because"]:
            return end
        calls = getattr(state["messages"][-1], "tool_calls", None)
        if not calls:
            return "decide"
        return "ask" if machine.analyst and any(c["name"] == ASK for c in calls) else "act"

    return route


def _after_act(end: str) -> Callable[[State], str]:
    """End with an accepted commit or where nobody can go on, otherwise go on."""

    def route(state: State) -> str:
        return end if state["committed"] or state["stopped_because"] else "decide"

    return route


def _noted(name: str, node: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Return a node that announces its end: the next checkpoint holds what it did."""

    @functools.wraps(node)
    def run(state: State) -> dict[str, Any]:
        began = time.monotonic()
        update = node(state)
        spent = update.get("spent") or state.get("spent")
        took = round(time.monotonic() - began, 4)
        told = spent.model_dump(mode="json") if spent else None
        announce("node", {"node": name, **_where(), "seconds": took, "spent": told})
        return update

    return run


def _where() -> dict[str, JsonValue]:
    """Return the step that runs, and the checkpoint that it began from.

    Parallel investigations have no checkpoints of their own.
    """
    step, info = get_config()["metadata"].get("langgraph_step", 0), get_runtime().execution_info
    if TRAJECTORY.get() or info is None:
        return {"step": step}
    return {"step": step, "checkpoint": info.checkpoint_id}


def _threaded(
    node: Callable[..., dict[str, Any]], pool: ThreadPoolExecutor
) -> Callable[..., Awaitable[dict[str, Any]]]:
    async def threaded(state: State) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, copy_context().run, node, state)

    return threaded
