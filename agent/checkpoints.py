"""Checkpoints of the state: what its records are called, so that they come back as they went.

LangGraph revives only types it was told of; others are revived with a warning today, and left as
plain dictionaries tomorrow. In its strict mode (`LANGGRAPH_STRICT_MSGPACK=true`) it reads our types
from the state's schema; in the other it has to be told.
"""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args, get_type_hints

from pydantic import BaseModel

from agent.state import State
from tools.evidence import Record

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver


def _records(kind: object) -> Iterator[type[Record]]:
    """Yield the records in a type such as `list[Evidence]`; LangChain's messages are known."""
    if isinstance(kind, type) and issubclass(kind, Record):
        yield kind
    for part in get_args(kind):
        yield from _records(part)


RECORDS = tuple(
    dict.fromkeys(record for kind in get_type_hints(State).values() for record in _records(kind))
)
"""The types that the state holds, beside LangChain's messages. For a checkpointer of your own, in
a graph that this one is a part of: `JsonPlusSerializer(allowed_msgpack_modules=[*RECORDS, ...])`.
"""


class _Unknown(BaseModel):
    """A type that no list holds: a serializer that takes it takes everything."""


def knowing_records(checkpointer: "BaseCheckpointSaver[str]") -> "BaseCheckpointSaver[str]":
    """Return a checkpointer over the same store that knows our records; the one given stays as is.

    A serializer that is not LangGraph's own is left alone.
    """
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    serde = checkpointer.serde
    if type(serde) is not JsonPlusSerializer:
        return checkpointer
    known = serde.with_msgpack_allowlist(RECORDS)
    if known.with_msgpack_allowlist([_Unknown]) is known:  # it warns and takes everything
        known = JsonPlusSerializer(
            pickle_fallback=serde.pickle_fallback, allowed_msgpack_modules=RECORDS
        )
    told = copy.copy(checkpointer)  # as LangGraph's own `with_allowlist` does
    told.serde = known
    return told
