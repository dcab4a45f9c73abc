"""Two answers side by side: of two sessions, or of one at two times."""

from typing import Any

from nicegui.element import Element

from agent.report_format import distance, percent
from agent.session_compare import compare_sessions
from agent.session_records import Comparison, EvidencePair, SessionInfo, Side
from server import web_dialogs as dialogs
from server.web_acts import Acts
from server.web_branches import VALUE
from server.web_elements import el
from server.web_words import tool_words

MOST_OTHERS = 60
MOST_SHARES = 6


class CompareBox:
    """The dialog that holds two answers side by side."""

    def __init__(self, acts: Acts, info: SessionInfo) -> None:
        self.acts, self.info, self._other = acts, info, ""
        self._known: list[tuple[str, str]] = []
        with dialogs.dialog("compare", "Compare with another answer"):
            with el("div", "fields"):
                el("label", "", "With", for_="compare-with")
                self._with: Element = el("select", "field", id="compare-with")
                self._with.on("change", self._compare, js_handler=VALUE)
            self._view = el("div", "compared", id="compared")

    async def refresh(self) -> None:
        """Read anew what there is to compare with: earlier answers, branches, other sessions."""
        found = await self.acts.do(self._choices) or []
        if found == self._known:
            return
        self._known = found
        with self.acts.client:
            self._with.clear()
            with self._with:
                el("option", "", "choose an answer", value="")
                for value, text in found:
                    el("option", "", text, value=value)
        self.acts.choose("compare-with", self._other)

    def _choices(self) -> list[tuple[str, str]]:
        sessions = self.acts.sessions
        self.info = sessions.get(self.info.id)
        before = range(self.info.revision - 1, 0, -1)
        own = [(f"{self.info.id}/{one}", f"answer {one} of this session") for one in before]
        others = [one for one in sessions.search("", MOST_OTHERS) if one.id != self.info.id]
        others = sorted((one for one in others if one.revision), key=lambda one: not self._kin(one))
        return own + [
            (one.id, f"{'branch: ' * self._kin(one)}{one.name or one.id[:8]}") for one in others
        ]

    def _kin(self, other: SessionInfo) -> bool:
        family = {self.info.id, self.info.parent} - {""}
        return other.parent in family or other.id in family

    async def _compare(self, event: Any) -> None:
        self._other = str(event.args)
        other, _, revision = self._other.partition("/")
        if not other:
            self._view.clear()
            return
        sessions = self.acts.sessions
        told = await self.acts.do(
            lambda: compare_sessions(sessions, self.info.id, other, 0, int(revision or 0))
        )
        with self.acts.client:
            self._view.clear()
            with self._view:
                if told is None:
                    el("p", "soft", "They cannot be compared yet: one of them has no answer.")
                else:
                    compare_view(told)


def compare_view(told: Comparison) -> None:
    """Show two answers side by side, and what only one of them rests on."""
    _apart(told)
    with el("div", "compare"):
        for side in (told.first, told.second):
            with el("section", "compare-side", aria_label=side.name or side.session[:8]):
                el("h3", "", f"{side.name or side.session[:8]} · answer {side.revision}")
                _side(side)
    if told.options:
        el("h3", "", "Options that differ")
        with el("ul", "plain"):
            for key, (one, two) in told.options.items():
                el("li", "", f"{key.replace('_', ' ')}: {one or 'default'} / {two or 'default'}")
    _shares(told)
    with el("div", "compare"):
        for title, index in (("Counts in the first alone", 0), ("Counts in the second alone", 1)):
            with el("section"):
                el("h3", "", title)
                _only(told.evidence, index)
    el("p", "caution", told.caution)


def _apart(told: Comparison) -> None:
    km = told.distance_km
    if km is not None:
        same = km < 0.001
        el("p", "apart", "Both answers are the same point." if same else
           f"The answers lie {distance(km)} apart.")  # fmt: skip
    if told.changes:
        el("p", "soft", f"From the first to the second: {', '.join(told.changes)}.")
    if not told.same_photos:
        el("p", "soft", "They investigate different photos.")


def _side(side: Side) -> None:
    el("p", "turn-headline", side.headline)
    rows: dict[str, str] = {"Status": side.status}
    if side.latitude is not None and side.longitude is not None:
        place = f"{side.latitude:.5f}, {side.longitude:.5f}"
        rows = {"Coordinate": place, **rows}
    if side.radii:
        radii = (side.radii.km_50, side.radii.km_80, side.radii.km_95)
        rows["50 / 80 / 95 %"] = " / ".join(map(distance, radii))
    rows |= {"Recipe": side.recipe, "Driver": side.driver, "Tool calls": str(side.tool_calls),
             "Evidence": f"{side.evidence} that counts"}  # fmt: skip
    if tokens := side.tokens_in + side.tokens_out:
        rows["Tokens"] = f"{tokens:,}"
    with el("dl", "pairs-list"):
        for key, value in rows.items():
            el("dt", "", key)
            el("dd", "", value)
    for one in side.said:
        el("p", "quote", one)


def _shares(told: Comparison) -> None:
    from geo.regions import country_name

    shares = {code: pair for code, pair in told.shares.items() if max(pair) >= 0.005}
    if not shares:
        return
    el("h3", "", "Belief by country")
    with el("ul", "compare-shares"):
        for code, pair in list(shares.items())[:MOST_SHARES]:
            with el("li"):
                el("span", "", country_name(code) or code)
                for share in pair:
                    bar = el("span", "share-bar", aria_hidden="true")
                    bar.style(f"--share:{share:.3f}")
                    el("span", "mono", percent(share) if share else "–")


def _only(pairs: tuple[EvidencePair, ...], index: int) -> None:
    weights = [((pair.first, pair.second), pair) for pair in pairs]
    found = [pair for both, pair in weights if both[index] and not both[1 - index]]
    if not found:
        el("p", "soft", "Nothing.")
        return
    with el("ul", "plain"):
        for pair in found:
            held = (pair.second, pair.first)[index] is not None
            note = " (withdrawn or without effect in the other)" if held else ""
            el("li", "", f"{tool_words(pair.tool)}: {pair.summary}{note}")
