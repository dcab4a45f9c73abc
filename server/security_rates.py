"""How often somebody may ask: token buckets, which clocks that jump do not touch."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

WINDOW_S = 60
MOST_BUCKETS = 10_000
FREE = ("/page/_nicegui/", "/page/files/static/")
"""Where the page's own files are: one page load asks for dozens of them."""
SLIGHT = ("/page/files/",)
"""Thumbnails and outlines, which a list or a map asks for by the dozen."""
SLIGHT_COST = 0.1


class Turn(NamedTuple):
    """Whether a request may go on.

    Attributes:
        allowed: whether it may.
        left: whole requests that could follow at once.
        wait_s: whole seconds until the next one may come; 0 where it may come now.
        full_s: whole seconds until as many as ever may come.
    """

    allowed: bool
    left: int
    wait_s: int
    full_s: int


class Rates:
    """A bucket for each name; used by the event loop alone.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        """Name -> tokens, and when that was."""

    def take(self, name: str, per_minute: int, cost: float = 1.0) -> Turn:
        """Take tokens of a bucket that holds `per_minute` and fills up within a minute."""
        now, speed = self._clock(), per_minute / WINDOW_S
        tokens, at = self._buckets.pop(name, (float(per_minute), now))
        tokens = min(float(per_minute), tokens + (now - at) * speed)
        allowed = tokens >= cost
        tokens -= cost * allowed
        self._buckets[name] = (tokens, now)
        if len(self._buckets) > MOST_BUCKETS:  # the one longest unused is full by now
            self._buckets.pop(next(iter(self._buckets)))
        wait_s = 0 if tokens >= 1 else math.ceil((1 - tokens) / speed)
        return Turn(allowed, int(tokens), wait_s, math.ceil((per_minute - tokens) / speed))


def cost_of(path: str, method: str) -> float:
    """Return how many requests a request counts as; `method` is empty for a websocket."""
    if method not in ("GET", "HEAD"):
        return 1.0
    if path.startswith(FREE):
        return 0.0
    return SLIGHT_COST if path.startswith(SLIGHT) else 1.0


def rate_headers(per_minute: int, turn: Turn) -> dict[str, str]:
    """Return what tells a client of its limit (draft-ietf-httpapi-ratelimit-headers-10)."""
    return {
        "ratelimit-policy": f'"key";q={per_minute};w={WINDOW_S}',
        "ratelimit": f'"key";r={turn.left};t={turn.full_s}',
    }
