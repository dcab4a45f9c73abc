"""How much of a session's trace had happened when a checkpoint was made."""

from collections.abc import Iterable

from langgraph.types import StateSnapshot

from agent.session_records import Moment
from agent.trace import Event

SPOKEN = frozenset({"message", "resumed", "reply"})
"""What a run begins with."""


class Past:
    """The events of a session by the checkpoints that nodes began from.

    Ids of checkpoints grow with time, over all lines of a session that went back to earlier steps.

    Args:
        events: of the session's trace, in order.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self._ended: dict[str, int] = {}
        """Checkpoint that a node began from -> its last event; the answer is of its node."""
        self._begun: list[tuple[str, int]] = []
        """Checkpoint that a run's first node began from, and what the run began with."""
        self._spoken = 0
        last = ""
        for event in events:
            if event.kind in SPOKEN:
                self._spoken = event.number
            elif event.kind == "node" and not event.data.get("trajectory"):
                last = str(event.data.get("checkpoint", ""))
                self._ended[last] = event.number
                if self._spoken:
                    self._begun.append((last, self._spoken))
                self._spoken = 0
            elif event.kind == "answer" and last:
                self._ended[last] = event.number

    def until(self, at: StateSnapshot) -> int:
        """Return the number of the last event before a checkpoint was made; 0 before the first.

        One that a run makes before its first node, such as of its input, comes after what the run
        began with: without that a branch could not say where it comes from.
        """
        here, parent = _id(at.config), _id(at.parent_config)
        source = (at.metadata or {}).get("source")
        if source == "loop" and parent in self._ended:
            return self._ended[parent]
        if source == "update":  # between runs
            return max((one for before, one in self._ended.items() if before < here), default=0)
        return next((said for first, said in self._begun if first >= here), self._spoken)

    def moment(self, at: StateSnapshot) -> Moment:
        """Return what is told of a checkpoint."""
        answer = at.values.get("answer")
        return Moment(
            checkpoint_id=_id(at.config),
            parent_id=_id(at.parent_config),
            step=int((at.metadata or {}).get("step", -1)),
            next=at.next,
            at=at.created_at or "",
            steps=len(at.values.get("steps") or ()),
            evidence=len(at.values.get("evidence") or ()),
            revision=answer.revision if answer else 0,
            events=self.until(at),
        )


def _id(config: object) -> str:
    configurable = config.get("configurable", {}) if isinstance(config, dict) else {}
    return str(configurable.get("checkpoint_id", ""))
