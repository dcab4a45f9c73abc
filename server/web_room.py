"""One session's page: follows it live; all that lasts is in `Sessions`."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from nicegui import Client, run, ui
from nicegui.element import Element

from agent.session_records import SessionInfo, SessionOptions
from agent.sessions import Sessions
from agent.trace import Event
from geo.errors import GeolocationError
from server import web_dialogs as dialogs
from server.web_acts import Acts, script
from server.web_answer import answer_card
from server.web_branches import CompareBox, ForkBox
from server.web_composer import composer
from server.web_elements import button, el, set_attribute, set_text
from server.web_evidence import candidates_panel, evidence_panel, why_panel
from server.web_map import map_data
from server.web_photo import pairs_of, pairs_panel, photo_panel
from server.web_rail import Rail
from server.web_story import Story
from server.web_talk import Talk
from server.web_verdict import verdict_panel
from server.web_words import STATUS, no_answer_words

TABS = {"photo": "Photo", "evidence": "Evidence", "candidates": "Candidates",
        "pairs": "Pictures", "why": "Why", "verdict": "Verdict"}  # fmt: skip
BOXES = {"fork": "Fork", "compare": "Compare", "options": "Options", "export": "Export",
         "session": "Session"}  # fmt: skip
MAP_ACTS = {"home": "Answer", "close": "Circles", "world": "World", "area": "Draw area",
            "box": "Draw box"}  # fmt: skip
LEGEND = {"answer": "answer, 50 / 80 / 95 %", "kept": "kept", "dropped": "dropped",
          "alternative": "alternative", "claimed": "claimed by the file"}  # fmt: skip
CHANGES: dict[str, set[str]] = {
    "evidence": {"answer", "map", "evidence", "photo"},
    "belief": {"answer", "map"},
    "message": {"map"},
    "photo": {"photo"},
    "tool_result": {"photo", "pairs"},
    "setup": {"answer", "map", "evidence", "status"},
    "question": {"answer", "status", "evidence"},
    "stopped": {"answer", "map", "evidence", "status"},
    "error": {"answer", "map", "evidence", "status"},
    "answer": {"answer", "map", "status", *TABS},
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
        self.tabs: dict[str, Element] = {}
        self.panels: dict[str, Element] = {}
        self._dirty: set[str] = set()

    # Putting it up

    async def build(self) -> None:
        """Put up everything that is known by now."""
        self.rail = Rail(self.sessions, self.id)
        with el("main", "room", id="main", data_session=self.id):
            with el("section", "talk", aria_labelledby="talk-title", id="talk"):
                self._talk()
            with el("section", "work", aria_labelledby="work-title", id="work"):
                el("h2", "sr-only", "Answer, map and evidence", id="work-title")
                self.card = el("div", "answer-card", id="answer")
                self._map()
                self._tabs()
        self._dialogs()
        events = await run.io_bound(lambda: list(self.sessions.events(self.id)))
        self._take(events or [])
        self._paint({"answer", "map", *TABS})

    def _talk(self) -> None:
        with el("div", "talk-head"):
            with el("div", "talk-name"):
                self.name = el("h1", "name", self.info.name or self.id[:8], id="talk-title")
                self.status = el("span", "status", STATUS[self.info.status], id="status")
                self.stop = button("Stop", self.acts.stop, "small danger", id="stop", hidden=True)
                self.go_on = button("Go on", self.acts.go_on, "small primary", hidden=True)
            with el("div", "talk-acts"):
                for name, text in BOXES.items():
                    el("button", "button small", text, type="button", data_open=name)
        with el(
            "div", "talk-scroll", id="talk-scroll", tabindex=0, role="region",
            aria_label="Conversation",
        ):  # fmt: skip
            turns = el("ol", "turns")
        self.talk = Talk(turns, self.story, lambda step: self.fork.after(step), self.acts.reply)
        composer("Say what you know about it")

    def _map(self) -> None:
        with el("div", "map-box"):
            self.map = ui.leaflet(
                center=(25, 0), zoom=2, draw_control={"draw": False},
                options={"minZoom": 1, "zoomSnap": 0.5, "maxZoom": 19},
            )  # fmt: skip
            self.map.classes("map")
            self.map.clear_layers()  # NiceGUI's own tiles come over the network
            with el("div", "map-tools", role="group", aria_label="Map"):
                for act, text in MAP_ACTS.items():
                    el("button", "button small", text, type="button", data_act=act)
            with el("ul", "legend", aria_label="Legend"):
                for kind, text in LEGEND.items():
                    with el("li"):
                        el("span", f"key {kind}", aria_hidden="true")
                        el("span", "", text)

    def _tabs(self) -> None:
        with el("div", "tabs", role="tablist", aria_label="Details"):
            for index, (name, text) in enumerate(TABS.items()):
                self.tabs[name] = el(
                    "button", "tab", text, id=f"tab-{name}", type="button", role="tab",
                    aria_selected="false" if index else "true", aria_controls=f"panel-{name}",
                    tabindex=-1 if index else 0,
                )  # fmt: skip
        for index, name in enumerate(TABS):
            self.panels[name] = el(
                "div", "panel", id=f"panel-{name}", role="tabpanel", hidden=index > 0,
                aria_labelledby=f"tab-{name}", tabindex=0,
            )  # fmt: skip

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
        options = {"tiles": [one.model_dump() for one in self.sessions.settings.page.tiles]}
        self.client.run_javascript(f"graticuleMap.start({self.map.id}, {script(options)})")
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
            dirty, self._dirty = self._dirty, set()
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
            self._dirty |= CHANGES.get(event.kind, set())

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

    def _paint(self, what: set[str]) -> None:
        with self.client:
            self._show_status()
            if "answer" in what:
                self._paint_answer()
            if "map" in what:
                self.client.run_javascript(f"graticuleMap.show({script(map_data(self.story))})")
            for name in what & TABS.keys():
                panel = self.panels[name]
                panel.clear()
                with panel:
                    el("h3", "sr-only", TABS[name])
                    self._panels()[name]()
            self._count()

    def _panels(self) -> dict[str, Callable[[], object]]:
        story, busy = self.story, self.story.status == "busy"
        photo = self.info.photos[0] if self.info.photos else ""
        return {
            "photo": lambda: photo_panel(self.sessions, story, photo),
            "evidence": lambda: evidence_panel(story, busy, self.acts.challenge),
            "candidates": lambda: candidates_panel(story),
            "pairs": lambda: pairs_panel(story),
            "why": lambda: why_panel(story),
            "verdict": lambda: verdict_panel(
                self.acts, story.answer, lambda: self._dirty.add("verdict")
            ),
        }

    def _count(self) -> None:
        answer = self.story.answer
        counts = {
            "evidence": len(self.story.evidence),
            "pairs": len(pairs_of(self.story)),
            "candidates": len(answer.verdicts) if answer else 0,
        }
        for name, count in counts.items():
            set_text(self.tabs[name], f"{TABS[name]} {count}" if count else TABS[name])

    def _paint_answer(self) -> None:
        self.card.clear()
        with self.card:
            if self.story.answer is not None:
                answer_card(self.story.answer, self.story)
                return
            with el("div", "answer-head"):
                el("h2", "headline muted", no_answer_words(self.story.status))
                el("p", "soft", "Candidates appear on the map as tools report them.")

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
        set_attribute(self.stop, "hidden", status != "busy")
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
