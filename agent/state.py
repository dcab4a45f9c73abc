"""The graph's state: small, append-only where it can be, and free of pixels."""

from collections.abc import Iterable
from typing import Annotated, Any, NotRequired, TypeVar

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages
from langgraph.types import Overwrite
from pydantic import JsonValue

# Of `typing` only from Python 3.12 on: pydantic, which makes the schemas that Studio shows, asks.
from typing_extensions import TypedDict

from agent.answer import Answer, Step
from agent.belief import BeliefSummary
from agent.budget import Spent
from agent.model_use import ModelUse
from tools.evidence import Evidence, Rejection

T = TypeVar("T")
OURS = "do-not-render-"
"""Begins the ids of the machine's own messages to its driver: chat front ends hide them by it."""


class InputState(TypedDict):
    """What a run is started with."""

    photo_id: NotRequired[str]
    """SHA-256 of a photo in the store; left out where `messages` brings an image."""
    hint: NotRequired[str]
    """What the person asking says about the place."""
    trust_metadata: NotRequired[bool]
    """Whether a position found in metadata may count as evidence."""
    messages: NotRequired[Annotated[list[AnyMessage], add_messages]]
    """Of a person; what they say after an answer is weighed, and answered anew."""
    views: NotRequired[list[str]]
    """Further photos of the same place, by id."""
    region: NotRequired[dict[str, JsonValue] | None]
    """Drawn on a map, see `tools.drawn`."""
    withdraw: NotRequired[list[str]]
    """Ids of evidence that shall not count any more."""
    restore: NotRequired[list[str]]
    """Ids of evidence that shall count again."""
    anew: NotRequired[bool]
    """Begin with another photo, and forget what was found of the one before."""


def merge_evidence(held: list[Evidence], new: list[Evidence]) -> list[Evidence]:
    """Append the evidence not held yet; identity is content, so repeated calls add nothing."""
    known = {item.id for item in held}
    merged = list(held)
    for item in new:
        if item.id not in known:
            known.add(item.id)
            merged.append(item)
    return merged


def is_ours(message: AnyMessage) -> bool:
    """Whether a message is the machine's own to its driver, and no person's."""
    return (message.id or "").startswith(OURS)


def spoken(messages: Iterable[AnyMessage]) -> list[str]:
    """Return what a person wrote, message by message."""
    return [one.text for one in messages if one.type == "human" and not is_ours(one)]


def counting(evidence: Iterable[Evidence], withdrawn: Iterable[str]) -> list[Evidence]:
    """Return evidence as it counts: what the person withdrew is shown without any effect."""
    without = set(withdrawn)
    return [
        item.model_copy(update={"weight": 0.0}) if item.id in without else item for item in evidence
    ]


def append(held: list[T], new: list[T]) -> list[T]:
    """Append."""
    return [*held, *new]


class State(InputState):
    """Everything the nodes know. One writer per key, named in its docstring."""

    photos: list[str]
    """Written by `observe` and `follow_up`: photos of the place; the first is the one to locate."""
    heard: list[str]
    """Written by the same: ids of the person's messages that were dealt with."""
    fresh: list[str]
    """Written by the same: pictures that `prime` shall look at."""
    withdrawn: list[str]
    """Written by `follow_up` and `ask`: ids of evidence that does not count."""
    revision: int
    """Written by `conclude`: of the latest answer; 0 before the first."""
    encoder: dict[str, str]
    """Written by `observe`: `name` and `fingerprint` of the encoder that aligns photos with
    places, or why it is `unavailable`; empty where none was asked for."""
    evidence: Annotated[list[Evidence], merge_evidence]
    """Written by every node that asks a tool, a model or a person."""
    rejected: Annotated[list[Rejection], append]
    """Written by the same."""
    steps: Annotated[list[Step], append]
    """Written by the same, one for each tool call, question or set of short answers."""
    belief: BeliefSummary | None
    """Written by the same whenever evidence arrived; None before."""
    spent: Spent
    """Written by every node that spends."""
    conflicts: Annotated[list[str], append]
    """Written by `act` and `follow_up`: keys of the conflicts that the driver was told."""
    use: Annotated[ModelUse, ModelUse.plus]
    """Written for every node that asks the model, by `agent.model_use.counted`."""
    trouble: int
    """Written by `decide` and `act`: turns in a row that came to nothing."""
    failed: str
    """Written by `decide`: why the pipeline driver took over from the model; empty before."""
    committed: bool
    """Written by `act` when a commit was accepted."""
    undetermined: bool
    """Written by `act`: the accepted commit says that the evidence does not tell."""
    reason: str
    """Written by `act`: why the driver committed, in its words, unchecked."""
    stopped_because: str
    """Written by `act` (`committed`) and `decide` (the budget that ran out)."""
    answer: Answer | None
    """Written by `conclude`."""


def unanswered() -> dict[str, Any]:
    """Return what the state is set to where a new answer is begun."""
    return {
        "use": Overwrite(ModelUse()),
        "trouble": 0,
        "failed": "",
        "committed": False,
        "undetermined": False,
        "reason": "",
        "stopped_because": "",
        "answer": None,
    }
