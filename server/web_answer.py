"""The answer on the page: where, how sure, what else it could be, and that it is a lead."""

from collections.abc import Callable, Sequence

from agent.answer import Answer
from agent.report_format import digits_for, distance, percent
from agent.report_page import STATUS_WORDS, headline_of
from server.web_elements import button, el, pill
from server.web_story import Story


def coordinate_of(answer: Answer) -> str:
    """Return the coordinate with no more digits than its radii deserve; empty without one."""
    if answer.latitude is None or answer.longitude is None:
        return ""
    digits = digits_for(answer.radii.km_50) if answer.radii else 4
    return f"{answer.latitude:.{digits}f}, {answer.longitude:.{digits}f}"


def answer_card(answer: Answer, story: Story, revisions: Callable[[], object]) -> None:
    """Show the answer that holds: the head of the workspace.

    Args:
        answer: to show.
        story: that it stands in.
        revisions: shows the answers to choose from.
    """
    word, note = STATUS_WORDS[answer.status]
    with el("div", "answer-head"):
        with el("div", "answer-title"):
            pill(word, answer.status)
            if story.fresh:
                el("span", "revision stale", "a newer one is being worked out")
        el("h2", "headline", headline_of(answer))
        coordinate = coordinate_of(answer)
        if coordinate:
            _coordinate(answer, coordinate)
        else:
            el("p", "soft", note)
        _shares(answer)
        revisions()
    el("p", "caution", answer.caution, role="note")


def _coordinate(answer: Answer, coordinate: str) -> None:
    with el("div", "coordinate-row"):
        el("span", "coordinate", coordinate)
        button("Copy", None, "small", data_act="copy", data_text=coordinate,
               aria_label="Copy the coordinate")  # fmt: skip
        if answer.radii:
            with el("dl", "radii", aria_label="Distances that hold so much of belief"):
                for share, km in ((50, answer.radii.km_50), (80, answer.radii.km_80),
                                  (95, answer.radii.km_95)):  # fmt: skip
                    with el("div", f"radius r{share}"):
                        el("dt", "", f"{share} %")
                        el("dd", "", distance(km))


def _shares(answer: Answer) -> None:
    from geo.regions import country_name

    shares = sorted(answer.countries.items(), key=lambda pair: -pair[1])[:5]
    if not shares or (answer.status == "located" and shares[0][1] > 0.97):
        return
    with el("ul", "shares", aria_label="Belief by country"):
        for code, share in shares:
            with el("li"):
                bar = el("span", "share-bar", aria_hidden="true")
                bar.style(f"--share:{share:.3f}")
                el("span", "", f"{country_name(code) or code} {percent(share)}")


def answer_line(answer: Answer, told: Sequence[str], again: Callable[[], object]) -> None:
    """Show an answer as one turn of the conversation.

    Args:
        answer: to show.
        told: what it changed and why, in sentences.
        again: called to show it in the workspace.
    """
    word, note = STATUS_WORDS[answer.status]
    with el("div", "turn-head"):
        pill(word, answer.status)
        el("span", "soft", f"Answer {answer.revision}" if answer.revision > 1 else "Answer")
        button("Show", again, "small quiet", aria_label=f"Show answer {answer.revision}, its map "
               "and its evidence")  # fmt: skip
    el("p", "turn-headline", headline_of(answer))
    coordinate = coordinate_of(answer)
    if coordinate and answer.radii:
        with el("p", "turn-place"):
            el("button", "inline mono", coordinate, type="button",
               data_go=f"{answer.latitude},{answer.longitude}",
               aria_label=f"Show {coordinate} on the map")  # fmt: skip
            el("span", "soft", f" · half within {distance(answer.radii.km_50)}, "
               f"95 % within {distance(answer.radii.km_95)}")  # fmt: skip
    else:
        el("p", "soft", note)
    for one in filter(None, told):
        el("p", "turn-change", one)
    el("p", "turn-lead soft", answer.caution)
