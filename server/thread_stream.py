"""Everything that happens in a thread, run after run, for as long as a client listens."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Literal

from server.event_stream import ALWAYS, END, Connected, Sent
from server.run_events import sent
from server.run_queue import Run, Runs

ThreadMode = Literal["run_modes", "lifecycle", "state_update"]
LOOK_S = 0.1
"""How often a new run is looked for."""


class ThreadStream(Connected):
    """The events of a thread's runs.

    Ids are `RUN_NUMBER`, numbered by run: after any of them, everything later is sent again.

    Args:
        runs: of all threads.
        thread_id: whose are followed.
        last: id of the last event that the client has; empty for those to come.
        modes: what is told of runs.
    """

    pulse = b": \r\n\r\n"

    def __init__(
        self, runs: Runs, thread_id: str, last: str, modes: Collection[ThreadMode]
    ) -> None:
        told = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store",
                "X-Accel-Buffering": "no"}  # fmt: skip
        super().__init__(lambda: None, told)
        self._runs, self._thread, self._modes = runs, thread_id, modes
        self._at, _, number = last.partition("_")
        self._after = int(number) if number.isdigit() and number.isascii() else 0
        rows = list(reversed(runs.of_thread(thread_id)))
        known = [one.id for one in rows]
        before = known.index(self._at) if self._at in known else len(known)
        self._told = {one.id for one in rows[:before] if one.done.is_set()}

    async def written(self, write: Callable[..., Awaitable[None]]) -> None:
        """Write events, until the server ends."""
        while not self._runs.draining:
            for run in reversed(self._runs.of_thread(self._thread)):
                if run.id not in self._told:
                    self._told.add(run.id)
                    await self._tell(run, write)
            await asyncio.sleep(LOOK_S)
        await write(b"", False)

    async def _tell(self, run: Run, write: Callable[..., Awaitable[None]]) -> None:
        after = self._after if run.id == self._at else 0
        async for number, item in run.feed.afollow(after):
            last = item.event == END
            told = _done(run) if last else item
            if last or self._wants(item):
                await write(_lines(told, f"{run.id}_{number}"))

    def _wants(self, item: Sent) -> bool:
        if "run_modes" in self._modes or item.mode == ALWAYS:
            return True
        return "state_update" in self._modes and item.mode in ("values", "updates")


def _done(run: Run) -> Sent:
    return sent(ALWAYS, "metadata", {"status": "run_done", "run_id": run.id})


def _lines(item: Sent, name: str) -> bytes:
    return b"event: %b\r\ndata: %b\r\nid: %b\r\n\r\n" % (
        item.event.encode(), item.data, name.encode()
    )  # fmt: skip
