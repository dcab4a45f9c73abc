"""One session's page: follows it live; all that lasts is in `Sessions`."""

import asyncio
from collections.abc import Sequence, Set
from contextlib import suppress
from typing import Any

from nicegui import Client, run

from agent.session_records import SessionInfo, SessionOptions
from agent.sessions import Sessions
from agent.trace import Event
from geo.errors import GeolocationError
from server import web_dialogs as dialogs
from server.web_acts import Acts
from server.web_branches import ForkBox
from server.web_compare import CompareBox
from server.web_composer import composer
from server.web_elements import button, el, set_attribute, set_text
from server.web_rail import Rail
from server.web_story import Story
from server.web_talk import Talk
from server.web_words import STATUS
from server.web_workspace import ALL, Workspace

BOXES = {"fork": "Fork", "compare": "Compare", "options": "Options", "export": "Export",
         "session": "Session"}  # fmt: skip
CHANGES: dict[str, set[str]] = {
    "evidence": {"answer", "map", "evidence", "photo"},
    "belief": {"answer", "map"},
    "message": {"map", "evidence", "photo"},
    "photo": {"photo"},
    "tool_result": {"photo", "pairs", "evidence", "map"},
    "setup": {"answer", "map", "evidence", "status"},
    "question": {"answer", "status", "evidence"},
    "stopped": {"answer", "map", "evidence", "status"},
    "error": {"answer", "map", "evidence", "status"},
    "answer": {"status", *ALL},
}
"""Kinds of events, and what is to be painted anew after one."""
COMMIT = "commit_location"
"""Without it nothing would end."""
IDLE_S, PAINT_S = 0.3, 0.15


class Room:
    """A session as one browser window shows it.

    Args:
        sessions: all of them.
        info: of the one to show.
        client: the browser window.
    """

    def __init__(self, sessions: Sessions, info: SessionInfo, client: Client) -> None:
        self.sessions, self.info, self.client = sessions, info, client
        self.id, self.story = info.id, Story()
        self.acts = Acts(sessions, info.id, client)

    # Putting it up

    async def build(self) -> None:
        """Put up everything that is known by now."""
        self.rail = Rail(self.sessions, self.id)
        with el("main", "room", id="main", data_session=self.id):
            with el("section", "talk", aria_labelledby="talk-title", id="talk"):
                self._talk()
            self.work = Workspace(self.acts, self.story, self.info.photos)
        self._dialogs()
        events = await run.io_bound(lambda: list(self.sessions.events(self.id)))
        self._take(events or [])
        self._paint(ALL)

    def _talk(self) -> None:
        self._head()
        with el(
            "div", "talk-scroll", id="talk-scroll", tabindex=0, role="region",
            aria_label="Conversation",
        ):  # fmt: skip
            turns = el("ol", "turns")
        self.talk = Talk(
            turns, self.story, lambda step: self.fork.after(step), self.acts.reply,
            lambda index: self.work.revisions.show(index),
        )  # fmt: skip
        composer("Say what you know about it")

    def _head(self) -> None:
        with el("div", "talk-head"):
            with el("div", "talk-name"):
                self.name = el("h1", "name", self.info.name or self.id[:8], id="talk-title")
                self.status = el("span", "status", STATUS[self.info.status], id="status")
                self.stop = button("Stop", self.acts.stop, "small danger", id="stop", hidden=True)
                self.go_on = button("Go on", self.acts.go_on, "small primary", hidden=True)
            with el("div", "talk-acts"):
                for name, text in BOXES.items():
                    el("button", "button small", text, type="button", data_open=name)

    def _dialogs(self) -> None:
        tools = tool_names(self.sessions)
        dialogs.help_dialog()
        dialogs.export_dialog(self.id)
        self.fork = ForkBox(self.acts, self.info, tools)
        self.compare = CompareBox(self.acts, self.info)
        with dialogs.dialog("options", "Options of this session"):
            el("p", "soft", "They hold from the next message on.")
            fields = dialogs.OptionFields(self.info.options, tools)
            fields.show("options")
            with el("div", "dialog-acts"):
                button("Keep these", lambda: self.acts.keep_options(fields.options()), "primary")
        with dialogs.dialog("session", "This session"):
            dialogs.session_fields(self.info, self._rename, self.acts.delete)

    # Following it

    async def follow(self) -> None:
        """Show what happens for as long as the window is open."""
        await self.client.connected(timeout=60)
        self.work.start_map()
        painter = asyncio.create_task(self._painting())
        try:
            with suppress(asyncio.CancelledError):
                await self._following()
        finally:
            painter.cancel()

    async def _following(self) -> None:
        size = -1
        while not self.client.is_deleted:
            live = self.sessions.running(self.id)
            if live is not None and not live.parts.closed:
                await self._told()
                async for event in live.aevents(self.story.last):
                    self._take([event])
            path = self.sessions.trace_path(self.id)
            grown = path.stat().st_size if path.exists() else 0
            if grown != size:  # a run of this process, or of another one
                size, last = grown, self.story.last
                self._take(await run.io_bound(self._events_after, last) or [])
                await self._told()
            await asyncio.sleep(IDLE_S)

    def _events_after(self, last: int) -> list[Event]:
        with suppress(GeolocationError):  # deleted meanwhile
            return list(self.sessions.events(self.id, last))
        return []

    async def _painting(self) -> None:
        while not self.client.is_deleted:
            await asyncio.sleep(PAINT_S)
            dirty, self.work.dirty = self.work.dirty, set()
            if dirty:
                self._paint(dirty)

    def _take(self, events: Sequence[Event]) -> None:
        """Take in events of the session, leaving out what is known."""
        for event in events:
            if event.number <= self.story.last:
                continue
            self.story.add(event)
            with self.client:
                self.talk.show(event)
            self.work.dirty |= CHANGES.get(event.kind, set())
            if event.kind == "answer":
                self.work.revisions.latest()

    async def _told(self) -> None:
        """Read anew what is known of the session, and the lists that it stands in."""
        with suppress(GeolocationError):
            self.info = await run.io_bound(self.sessions.get, self.id) or self.info
        with self.client:
            self._show_status()
        await self.rail.refresh()
        if self.story.status != "busy":
            await self.fork.refresh()
            await self.compare.refresh()

    # Painting

    def _paint(self, what: Set[str]) -> None:
        with self.client:
            self._show_status()
            self.work.paint(what)

    def _show_status(self) -> None:
        status = self.info.status if self.story.status == "new" else self.story.status
        live = self.sessions.running(self.id)
        if (
            status == "busy"
            and self.info.status == "stopped"
            and (live is None or live.status != "busy")
        ):
            status = "stopped"  # its process was killed
        set_text(self.status, STATUS[status])
        self.status.classes(replace=f"status {status}")
        mine = live is not None and live.status == "busy"  # others' runs cannot be stopped here
        set_attribute(self.stop, "hidden", not mine)
        set_attribute(self.go_on, "hidden", status not in ("stopped", "error"))

    async def _rename(self, event: Any) -> None:
        name = str(event.args).strip()
        if await self.acts.rename(name):
            with self.client:
                set_text(self.name, name)
            await self.rail.refresh()

    async def reply(self, event: Any) -> None:
        """Answer the model's question with what was written."""
        await self.acts.reply(str(event.args))


def tool_names(sessions: Sessions) -> tuple[str, ...]:
    """Return the names of tools that options may leave out."""
    with suppress(GeolocationError):
        geolocator = sessions.geolocators.get(SessionOptions())
        return tuple(sorted({tool.name for tool in geolocator.tools} - {COMMIT}))
    return ()
