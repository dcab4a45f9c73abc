"""The state machine, wiring only.

START -> observe -> decide --tool calls--> act --> decide ... ; a commit or a spent budget
leads to conclude -> END.
"""

from typing import Literal

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agent.nodes import Machine
from agent.state import InputState, State

Graph = CompiledStateGraph[State, None, InputState, State]


def make_graph(machine: Machine, checkpointer: BaseCheckpointSaver[str] | None = None) -> Graph:
    """Compile the state machine around a machine's nodes."""
    builder: StateGraph[State, None, InputState, State] = StateGraph(
        State, input_schema=InputState, output_schema=State
    )
    builder.add_node("observe", machine.observe)
    builder.add_node("decide", machine.decide)
    builder.add_node("act", machine.act)
    builder.add_node("conclude", machine.conclude)
    builder.add_edge(START, "observe")
    builder.add_edge("observe", "decide")
    builder.add_conditional_edges("decide", route_after_decide)
    builder.add_conditional_edges("act", route_after_act)
    builder.add_edge("conclude", END)
    return builder.compile(checkpointer=checkpointer, name="graticule")


def route_after_decide(state: State) -> Literal["act", "decide", "conclude"]:
    """Run the tool calls, ask again where there are none, or stop where the budget is spent."""
    if state["stopped_because"]:
        return "conclude"
    return "act" if getattr(state["messages"][-1], "tool_calls", None) else "decide"


def route_after_act(state: State) -> Literal["decide", "conclude"]:
    """End with an accepted commit, otherwise go on."""
    return "conclude" if state["committed"] else "decide"


def run_config(steps: int) -> RunnableConfig:
    """Return a LangGraph config whose recursion limit lies beyond what the budget allows."""
    return {"recursion_limit": 3 * steps + 10}
