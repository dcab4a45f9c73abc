"""Forking a session from any step."""

from typing import Any

from nicegui.element import Element

from agent.session_records import Moment, SessionInfo
from server import web_dialogs as dialogs
from server.web_acts import Acts
from server.web_elements import button, el

VALUE = "(e) => emit(e.target.value)"


class ForkBox:
    """The dialog that branches off."""

    def __init__(self, acts: Acts, info: SessionInfo, tools: tuple[str, ...]) -> None:
        self.acts, self.name, self.checkpoint = acts, "", ""
        self.moments: list[Moment] = []
        with dialogs.dialog("fork", "Fork: the same past, another future"):
            with el("div", "fields"):
                el("label", "", "From", for_="fork-from")
                self._from: Element = el("select", "field", id="fork-from")
                self._from.on("change", self._pick, js_handler=VALUE)
                el("label", "", "Name", for_="fork-name")
                hint = f"{info.name or 'session'} (branch)"
                named = el("input", "field", id="fork-name", placeholder=hint)
                named.on("change", self._named, js_handler=VALUE)
            self.fields = dialogs.OptionFields(info.options, tools)
            self.fields.show("fork")
            with el("div", "dialog-acts"):
                button("Open the branch", lambda: self.fork(False), id="fork-open")
                button("Fork and go on", lambda: self.fork(True), "primary", id="fork-go")

    async def refresh(self) -> None:
        """Read anew where the session can be forked from."""
        found = await self.acts.do(lambda: self.acts.sessions.history(self.acts.id)) or []
        moments = [one for one in found if one.steps or not one.next]
        if moments == self.moments:
            return
        self.moments = moments
        with self.acts.client:
            self._from.clear()
            with self._from:
                el("option", "", "where it stands now", value="")
                for one in self.moments:
                    el("option", "", dialogs.moment_words(one), value=one.checkpoint_id)
        self._show()

    def _show(self) -> None:
        """Have the browser show what is chosen: new options make it choose by itself."""
        self.acts.choose("fork-from", self.checkpoint)

    async def after(self, step: int) -> None:
        """Open at the moment right after a step."""
        await self.refresh()
        later = [one for one in self.moments if one.steps >= step and one.next]
        if not later:
            self.acts.client.run_javascript(
                'graticule.trouble("Nothing was to come after that step; fork from another one.")'
            )
            return
        self.checkpoint = min(later, key=lambda one: one.step).checkpoint_id
        self._show()
        self.acts.client.run_javascript("graticule.open('fork')")

    async def fork(self, go_on: bool) -> None:
        """Branch off and open the branch.

        Args:
            go_on: have it go on at once, where something was to come.
        """
        options, acts = self.fields.options(), self.acts

        def act() -> SessionInfo:
            branch = acts.sessions.fork(acts.id, self.checkpoint, name=self.name, options=options)
            if go_on and branch.status == "stopped":
                acts.sessions.resume(branch.id)
            return branch

        branch = await acts.do(act)
        acts.close("fork")
        if branch is not None:
            acts.go(f"/page/s/{branch.id}")

    def _pick(self, event: Any) -> None:
        self.checkpoint = str(event.args)

    def _named(self, event: Any) -> None:
        self.name = str(event.args)
