"""Plain HTML elements for the page: text always as text, never as markup."""

from collections.abc import Callable
from typing import Any

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from agent.report_format import visible

Handler = Callable[..., Any]


class Tag(TextElement):
    """An HTML element with text; what could disguise itself in it is spelled out."""

    def __init__(self, tag: str, text: str = "") -> None:
        super().__init__(tag=tag, text=visible(text))


def el(tag: str, classes: str = "", text: str = "", **attributes: object) -> Element:
    """Return an HTML element in the present slot.

    Args:
        tag: its name.
        classes: of CSS.
        text: shown as it is; never read as HTML.
        **attributes: `aria_label` for `aria-label`, `for_` for `for`; None leaves one out, True
            gives it without a value.
    """
    made = Tag(tag, text) if text else ui.element(tag)
    if classes:
        made.classes(classes)
    for name, value in attributes.items():
        if value is not None and value is not False:
            key = name.rstrip("_").replace("_", "-")
            made.props[key] = "" if value is True else visible(str(value))
    return made


def button(
    text: str, act: Handler | None = None, classes: str = "", **attributes: object
) -> Element:
    """Return a button; `act` runs on the server when it is pressed."""
    made = el("button", f"button {classes}".strip(), text, type="button", **attributes)
    if act is not None:
        made.on("click", act, args=[])
    return made


def link(text: str, to: str, classes: str = "", **attributes: object) -> Element:
    """Return a link; `to` is an address that the server made."""
    return el("a", classes, text, href=to, **attributes)


def pill(text: str, tone: str) -> Element:
    """Return a word in a coloured capsule."""
    return el("span", f"pill {tone}", text)


def set_text(made: Element, text: str) -> None:
    """Change an element's text."""
    assert isinstance(made, Tag)
    made.text = visible(text)


def set_attribute(made: Element, name: str, value: object) -> None:
    """Change an element's attribute; None and False take it away."""
    if value is None or value is False:
        made.props.pop(name, None)
    else:
        made.props[name] = "" if value is True else visible(str(value))
    made.update()
