"""Evidence with what it does to the answer, to be challenged; candidates, kept and dropped."""

from collections.abc import Callable

from agent.answer import Answer, Verdict
from agent.effect_words import LEAST_BITS, effect_words
from agent.report_format import distance, percent
from agent.report_page import MOST_BITS
from server.web_elements import button, el
from server.web_map import ordered_verdicts
from server.web_story import Story, Told
from server.web_words import tool_words, withheld_words

MOST_ROWS = 200
Challenge = Callable[[str, bool], object]


def evidence_panel(story: Story, busy: bool, challenge: Challenge) -> None:
    """Show all evidence, the newest answer's effects, and buttons that withdraw or restore it.

    Args:
        story: of the session.
        busy: whether a run goes on, or an earlier answer is shown; nothing can be challenged then.
        challenge: called with an evidence id and whether it is to count.
    """
    if not story.evidence:
        el("p", "empty", withheld_words(story.answer) or "Nothing has been found yet.")
        return
    answer = story.answer
    effects = {one.evidence_id: one.bits for one in answer.contributions} if answer else {}
    longest = max(1.0, min(MOST_BITS, max(map(abs, effects.values()), default=1.0)))
    el("p", "soft panel-note", "Withdraw what you do not believe: the answer is worked out anew "
       "without it, and you can restore it.")  # fmt: skip
    with el("ol", "rows", aria_label="Evidence"):
        for key, told in story.evidence.items():
            gone = key in story.withdrawn
            row = el("li", f"row{' gone' if gone else ''}", data_ev=key, id=f"evidence-{key}",
                     tabindex=-1)  # fmt: skip
            with row:
                el("b", "row-number mono", str(told.number))
                with el("div", "row-main"):
                    _evidence_words(key, told, story)
                    if key in effects and not gone:
                        _effect(effects[key], longest)
                if float(told.data.get("weight") or 0) > 0 or gone:
                    _challenge(key, told.number, gone, busy, challenge)


def _evidence_words(key: str, told: Told, story: Story) -> None:
    data = told.data
    if key in story.withdrawn:
        back = "taken back: you said otherwise later" if key in story.taken_back else "withdrawn"
        el("p", "row-gone", back)
    el("p", "row-text", str(data.get("summary")))
    weight = float(data.get("weight") or 0)
    facts = [
        tool_words(str(data.get("tool"))),
        f"weight {weight:.2g}" if weight else "shown without any effect",
        _countries(data.get("countries") or {}),
    ]
    with el("p", "row-facts soft"):
        for fact in filter(None, facts):
            el("span", "", fact)
        el("span", "mono", key)


def _challenge(key: str, number: int, gone: bool, busy: bool, challenge: Challenge) -> None:
    verb = "Restore" if gone else "Withdraw"
    button(verb, lambda: challenge(key, gone), "small quiet", disabled=busy,
           aria_label=f"{verb} evidence {number}")  # fmt: skip


def _effect(bits: float, longest: float) -> None:
    with el("p", f"effect{' against' if bits < 0 else ''}"):
        bar = el("span", "effect-bar", aria_hidden="true")
        width = min(abs(bits) / longest, 1.0) if abs(bits) >= LEAST_BITS else 0.0
        bar.style(f"--width:{width:.3f}")
        el("span", "", effect_words(bits))


def _countries(shares: dict[str, float]) -> str:
    from geo.regions import country_name

    ordered = sorted(shares.items(), key=lambda pair: -pair[1])[:3]
    return ", ".join(f"{country_name(code) or code} {percent(share)}" for code, share in ordered)


def candidates_panel(story: Story) -> None:
    """Show every candidate ever considered, with why it was kept or dropped."""
    answer = story.answer
    verdicts = ordered_verdicts(answer) if answer else []
    if answer is None or not verdicts:
        told = "Candidates are judged when an answer is concluded; the map shows those so far."
        el("p", "empty", told if story.evidence else "No candidates yet.")
        return
    with el("ol", "rows", aria_label="Candidates"):
        for number, one in enumerate(verdicts[:MOST_ROWS], start=1):
            with el("li", f"row {_fate(one)}", data_ev=one.evidence_id):
                el("b", "row-number mono", str(number))
                with el("div", "row-main"):
                    _candidate(story, answer, number, one)
    if len(verdicts) > MOST_ROWS:
        el("p", "soft", f"{len(verdicts) - MOST_ROWS} more are in the exports.")
    if answer.rejected:
        with el("details", "data"):
            el("summary", "", f"{len(answer.rejected)} values were no candidates at all")
            with el("ul", "plain"):
                for gone in answer.rejected[:MOST_ROWS]:
                    el("li", "", f"{gone.value!r}: {gone.reason}")


def _fate(one: Verdict) -> str:
    return "kept" if one.kept else "dropped"


def _candidate(story: Story, answer: Answer, number: int, one: Verdict) -> None:
    spot = one.candidate
    el("p", "row-text", spot.label or spot.source)
    with el("p", "row-facts soft"):
        el("span", f"fate {_fate(one)}", _fate(one))
        el("span", "", one.reason.removeprefix("dropped: "))
    with el("p", "row-facts soft"):
        place = f"{spot.latitude:.4f}, {spot.longitude:.4f}"
        el("button", "inline mono", place, type="button",
           data_go=f"{spot.latitude},{spot.longitude}",
           aria_label=f"Show candidate {number} on the map")  # fmt: skip
        if "from" not in one.reason:
            el("span", "", _away(answer, spot.latitude, spot.longitude))
        el("span", "", f"score {percent(spot.score)}")
        el("span", "", f"evidence #{story.number(one.evidence_id) or '?'}")


def _away(answer: Answer, latitude: float, longitude: float) -> str:
    from geo.sphere import distance_km

    if answer.latitude is None or answer.longitude is None:
        return ""
    km = float(distance_km(answer.latitude, answer.longitude, latitude, longitude))
    return f"{distance(km)} from the answer" if km else "the answer's point"


def why_panel(story: Story) -> None:
    """Show the explanation, what was missing, the budget and the versions."""
    answer = story.answer
    if answer is None:
        el("p", "empty", "There is no answer to explain yet.")
        return
    el("p", "why", answer.because)
    if answer.reason:
        el("p", "quote", answer.reason)
        el("p", "soft", f"The words of {answer.driver}; numbers that no tool reported are cut.")
    if answer.missing:
        el("h3", "", "What could have said more")
        with el("ul", "plain"):
            for one in answer.missing:
                el("li", "", one)
    el("h3", "", "Budget and versions")
    rows = {"Recipe": answer.recipe, "Driver": answer.driver, "Ended by": answer.stopped_because,
            "Calibration": answer.calibration or "none"}  # fmt: skip
    rows |= {key.replace("_", " ").capitalize(): f"{value:g}" for key, value in
             answer.budget_spent.items()}  # fmt: skip
    with el("dl", "pairs-list"):
        for key, value in rows.items():
            el("dt", "", key)
            el("dd", "", value)
