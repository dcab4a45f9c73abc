"""Which checkpoint of a replay stands for which of the recorded run."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from agent.replay_record import Leg
from geo.errors import GeolocationError


class UntoldError(GeolocationError):
    """A run rests on something that the trace does not tell; names the event."""


@dataclass
class Moments:
    """Checkpoints by what nodes began from; ids of checkpoints grow with time."""

    _ours: dict[str, str] = field(default_factory=dict)

    def met(self, recorded: str, ours: str) -> None:
        """Note that a node began from one checkpoint then, and from the other now."""
        self._ours.setdefault(recorded, ours)

    def begin(self, leg: Leg, history: Iterable[StateSnapshot]) -> RunnableConfig | None:
        """Return the config of the checkpoint that a leg began from; None for the latest.

        Args:
            leg: that begins.
            history: checkpoints of the replay by now, the latest first.

        Raises:
            UntoldError: the replay never came to that checkpoint.
        """
        held, step = list(history), leg.begins_after
        if not held or (step is None and not leg.checkpoint):
            return None
        if not leg.checkpoint and _step(held[0]) == step:
            return None
        for one in self._possible(leg.checkpoint, held):
            if _step(one) == step or _id(one) == self._ours.get(leg.checkpoint):
                return one.config
        raise UntoldError(
            f"event {leg.setup.number} (setup): its run goes on from step {step}, which nothing in "
            "the trace comes to: the state was changed from outside"
        )

    def of(self, leg: Leg, history: Iterable[StateSnapshot]) -> str:
        """Return the id of the checkpoint that stands for the one a branch begins from.

        Args:
            leg: the branch's first.
            history: checkpoints of the replay by now, the latest first.

        Returns:
            Empty without any.
        """
        assert leg.fork is not None
        checkpoint = str(leg.fork.data.get("checkpoint", ""))
        possible = self._possible(checkpoint, list(history))
        same_step = [one for one in possible if _step(one) == leg.begins_after]
        return next((_id(one) for one in (*same_step, *possible)), "")

    def _possible(self, checkpoint: str, held: list[StateSnapshot]) -> list[StateSnapshot]:
        """Return the checkpoints that may stand for one: itself, or what came before later ones."""
        if same := [one for one in held if _id(one) == self._ours.get(checkpoint, "")]:
            return same
        later = [ours for then, ours in self._ours.items() if checkpoint and then > checkpoint]
        return [one for one in held if not later or _id(one) < min(later)]


def _step(one: StateSnapshot) -> int | None:
    return (one.metadata or {}).get("step")


def _id(one: StateSnapshot) -> str:
    return str(one.config["configurable"]["checkpoint_id"])
