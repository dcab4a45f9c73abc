"""The right side of a session's page: the answer, the map, and the tabs below it."""

from collections.abc import Callable, Set

from nicegui import ui
from nicegui.element import Element

from server.web_acts import Acts, script
from server.web_answer import answer_card
from server.web_elements import el, set_attribute, set_text
from server.web_evidence import candidates_panel, evidence_panel, why_panel
from server.web_map import legend_of, map_data
from server.web_photo import pairs_of, pairs_panel, photo_panel
from server.web_revisions import Revisions
from server.web_story import Story
from server.web_verdict import verdict_panel
from server.web_words import no_answer_words

TABS = {"photo": "Photo", "evidence": "Evidence", "candidates": "Candidates",
        "pairs": "Pictures", "why": "Why", "verdict": "Verdict"}  # fmt: skip
ALL = frozenset({"answer", "map", *TABS})
"""Everything that can be painted."""
MAP_ACTS = {"home": "Answer", "close": "Circles", "world": "World", "area": "Draw area",
            "box": "Draw box"}  # fmt: skip


class Workspace:
    """Shows what is known of a session, or what was at an earlier answer.

    Args:
        acts: of the session.
        live: what is known by now.
        photos: ids of the session's photos, before any event tells of them.
    """

    def __init__(self, acts: Acts, live: Story, photos: tuple[str, ...]) -> None:
        self.acts, self.live, self.photos = acts, live, photos
        self.dirty: set[str] = set()
        """What is to be painted anew."""
        self.revisions = Revisions(acts, live, lambda: self.dirty.update(ALL))
        self.looked_at = ""
        self.tabs: dict[str, Element] = {}
        self.panels: dict[str, Element] = {}
        with el("section", "work", aria_labelledby="work-title", id="work"):
            el("h2", "sr-only", "Answer, map and evidence", id="work-title")
            self.card = el("div", "answer-card", id="answer")
            self._map()
            self._tabs()

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
            self.legend = el("ul", "legend", aria_label="Legend", hidden=True)

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

    def start_map(self) -> None:
        """Have the browser begin to draw, with the tile layers that settings name."""
        tiles = [one.model_dump() for one in self.acts.sessions.settings.page.tiles]
        options = script({"tiles": tiles})
        self.acts.client.run_javascript(f"graticuleMap.start({self.map.id}, {options})")

    def paint(self, what: Set[str]) -> None:
        """Paint parts anew; those it does not have are passed over."""
        if "answer" in what:
            self._paint_answer()
        if "map" in what:
            self._paint_map()
        for name in what & TABS.keys():
            panel = self.panels[name]
            panel.clear()
            with panel:
                el("h3", "sr-only", TABS[name])
                self._panels()[name]()
        self._count()

    def _panels(self) -> dict[str, Callable[[], object]]:
        story = self.revisions.story
        busy = self.live.status == "busy" or self.revisions.past
        sessions, photos = self.acts.sessions, story.photos or self.photos
        return {
            "photo": lambda: photo_panel(sessions, story, photos, self.looked_at, self._look_at),
            "evidence": lambda: evidence_panel(story, busy, self.acts.challenge),
            "candidates": lambda: candidates_panel(story),
            "pairs": lambda: pairs_panel(story),
            "why": lambda: why_panel(story),
            "verdict": lambda: verdict_panel(
                self.acts, story.answer, lambda: self.dirty.add("verdict")
            ),
        }

    def _look_at(self, photo_id: str) -> None:
        self.looked_at = photo_id
        self.dirty.add("photo")

    def _paint_map(self) -> None:
        data = map_data(self.revisions.story)
        self.acts.client.run_javascript(f"graticuleMap.show({script(data)})")
        shown = legend_of(data)
        set_attribute(self.legend, "hidden", not shown)
        self.legend.clear()
        with self.legend:
            for kind, text in shown.items():
                with el("li"):
                    el("span", f"key {kind}", aria_hidden="true")
                    el("span", "", text)

    def _count(self) -> None:
        story = self.revisions.story
        counts = {
            "photo": len(story.photos) if len(story.photos) > 1 else 0,
            "evidence": len(story.evidence),
            "pairs": len(pairs_of(story)),
            "candidates": len(story.answer.verdicts) if story.answer else 0,
        }
        for name, count in counts.items():
            text = "Photos" if name == "photo" and count else TABS[name]
            set_text(self.tabs[name], f"{text} {count}" if count else text)

    def _paint_answer(self) -> None:
        self.card.clear()
        with self.card:
            story = self.revisions.story
            if story.answer is not None:
                answer_card(story.answer, story, self.revisions.bar)
                return
            with el("div", "answer-head"):
                el("h2", "headline muted", no_answer_words(self.live.status))
                el("p", "soft", "Candidates appear on the map as tools report them.")
