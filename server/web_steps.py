"""One step of a run, to be opened: what was asked, what came back, what rests on it."""

from collections.abc import Callable
from typing import Any

from nicegui.element import Element

from agent.event_words import line, prior_lines
from agent.report_format import duration, pretty
from server.web_elements import button, el
from server.web_story import Story
from server.web_words import tool_words

LONGEST_DATA = 6000


def step_box(
    data: dict[str, Any],
    story: Story,
    refs: dict[str, Element],
    fork: Callable[[int], object],
) -> None:
    """Show a step that has ended.

    Args:
        data: of its `tool_result` event.
        story: that it stands in.
        refs: takes the elements that name evidence which has no number yet, by id.
        fork: called with the number of the step to branch off after.
    """
    outcome = str(data.get("outcome"))
    with el("details", f"step-box {outcome}", id=f"step-{data.get('number')}"):
        with el("summary", "step-line"):
            el("span", "step-dot", aria_hidden="true")
            el("span", "step-tool", tool_words(str(data.get("tool"))))
            el("span", "step-text", _gist(data))
            if outcome != "ok":
                el("span", "step-outcome", outcome)
            el("span", "step-time", duration(float(data.get("seconds") or 0)))
        with el("div", "step-body"):
            _body(data, story, refs, fork)


def _body(
    data: dict[str, Any],
    story: Story,
    refs: dict[str, Element],
    fork: Callable[[int], object],
) -> None:
    el("p", "step-full", str(data.get("text") or "Nothing was reported."))
    _references(data, story, refs)
    for picture in data.get("pictures") or ():
        with el("figure", "step-picture"):
            el("img", "", src=f"/page/files/photos/{picture['photo_id']}?side=480",
               alt=str(picture.get("caption")), loading="lazy")  # fmt: skip
    _folded("Arguments", data.get("arguments"))
    _folded("Result as data", data.get("data"))
    number = int(data.get("number") or 0)
    with el("p", "step-acts"):
        el("span", "soft mono", str(data.get("call_id")))
        button("Fork after this step", lambda: fork(number), "small quiet")


def _references(data: dict[str, Any], story: Story, refs: dict[str, Element]) -> None:
    found = data.get("evidence_ids")
    if not found:
        return
    with el("p", "refs"):
        el("span", "soft", "Evidence ")
        for key in map(str, found):
            number = story.number(key)
            refs[key] = el("button", "ref", f"#{number}" if number else key, type="button",
                           data_show=key, data_ev=key)  # fmt: skip


def asked_words(args: Any) -> str:
    """Return arguments in short, without the photo that nearly every call is about."""
    if not isinstance(args, dict):
        return ""
    told = [f"{key} {line(value, 60)}" for key, value in args.items() if key != "photo_id"]
    return line(", ".join(told), 90)


def _gist(data: dict[str, Any]) -> str:
    if data.get("tool") == "prior" and isinstance(found := data.get("data"), dict):
        return prior_lines(found)[0]
    return line(data.get("text"), 160)


def token_words(count: int) -> str:
    """Return a count of tokens in words."""
    return f"{count:,} tokens"


def _folded(title: str, data: Any) -> None:
    if not data:
        return
    text = pretty(data)
    if len(text) > LONGEST_DATA:
        text = f"{text[:LONGEST_DATA]}\n… {len(text) - LONGEST_DATA:,} more: the trace holds them"
    with el("details", "data"):
        el("summary", "", title)
        el("pre", "mono", text, tabindex=0)
