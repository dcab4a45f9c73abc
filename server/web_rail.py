"""The list of sessions: search, open, begin another."""

from nicegui import run
from nicegui.element import Element

from agent.session_records import SessionInfo
from agent.sessions import Sessions
from server.web_elements import el, link
from server.web_words import STATUS

MOST = 60


class Rail:
    """The sessions at the side; `refresh` shows those there are now.

    Args:
        sessions: all of them.
        current: id of the one that is open, empty for none.
    """

    def __init__(self, sessions: Sessions, current: str = "") -> None:
        self.sessions, self.current, self.query = sessions, current, ""
        self._shown: list[SessionInfo] = []
        with el("nav", "rail", id="rail", aria_label="Sessions"):
            link("New photo", "/page/", "button primary wide")
            search = el("input", "search", id="search", type="search", placeholder="Search",
                        aria_label="Search sessions by name, place or id")  # fmt: skip
            search.on("input", self._search, js_handler="(e) => emit(e.target.value)")
            self._list: Element = el("ul", "session-list")

    async def _search(self, event: object) -> None:
        self.query = str(getattr(event, "args", ""))
        await self.refresh()

    async def refresh(self) -> None:
        """Show the sessions that fit the search."""
        found = await run.io_bound(self.sessions.search, self.query, MOST)
        if found == self._shown:
            return
        self._shown = found or []
        self._list.clear()
        with self._list:
            for info in self._shown:
                self._row(info)
            if not self._shown:
                el("li", "empty", "No session fits." if self.query else "No sessions yet.")

    def _row(self, info: SessionInfo) -> None:
        mine = "page" if info.id == self.current else None
        with el("li"), el("a", "session", href=f"/page/s/{info.id}", aria_current=mine):
            if info.photos:
                el("img", "session-photo", src=f"/page/files/photos/{info.photos[0]}?side=160",
                   alt="", loading="lazy")  # fmt: skip
            else:
                el("span", "session-photo")
            with el("span", "session-words"):
                el("span", "session-name", info.name or info.id[:8])
                told = info.headline or STATUS[info.status]
                el("span", "session-place", f"↳ {told}" if info.parent else told)
            if info.status in ("busy", "waiting", "error"):
                el("span", f"session-state {info.status}", STATUS[info.status])
