"""How far long work is, told to whoever shows it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """How far a long stage is."""

    stage: str
    done: int
    total: int
    per_s: float
    """Of what is counted: photos, captions, or steps."""
    remaining_s: float
    note: str = ""


OnProgress = Callable[[Progress], None]


@dataclass
class Clock:
    """Counts one stage and tells the caller."""

    stage: str
    total: int
    tell: OnProgress | None
    done: int = 0
    fresh: int = 0
    """Of `done`, what this run did: the rate goes by it."""
    started: float = field(default_factory=time.monotonic)

    def step(self, count: int = 1, *, skipped: bool = False, note: str = "") -> None:
        """Count on."""
        self.done += count
        self.fresh += 0 if skipped else count
        if self.tell:
            rate = self.fresh / max(time.monotonic() - self.started, 1e-6)
            left = (self.total - self.done) / rate if rate else 0.0
            self.tell(Progress(self.stage, self.done, self.total, rate, left, note))
