"""The page's dialogs: options, fork, compare, rename and delete, exports, help."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nicegui.element import Element

from agent.recipes import RECIPES
from agent.session_records import Moment, SessionInfo, SessionOptions
from server.web_elements import button, el

EXPORTS = {
    "html": "Report, one file that stands on its own",
    "zip": "Case file: report, photos, trace, exports",
    "geojson": "GeoJSON for GIS",
    "kml": "KML for Google Earth",
    "csv": "CSV table",
    "md": "Markdown",
    "trace": "Trace, hash-chained",
}
KEYS = {
    "m": "write a message", "n": "new photo", "/": "search sessions", "s": "stop the run",
    "f": "fork", "o": "options", "e": "export", "1 2 3 4": "photo, evidence, candidates, pictures",
    "v": "verdict and notes", "0": "map: back to the answer", "t": "light or dark",
    "?": "this help",
}  # fmt: skip


_NODES = {
    "decide": "the next decision",
    "act": "tools are called",
    "conclude": "the answer",
    "prime": "the first tools",
    "prior": "the first impression",
    "diversify": "the short answers",
    "verify": "the alignment check",
    "follow_up": "what you said is heard",
    "__start__": "what you said is heard",
}


def dialog(name: str, title: str) -> Element:
    """Return the body of a modal dialog, opened by `data-open=name`."""
    box = el("dialog", "dialog", id=name, aria_labelledby=f"{name}-title")
    with box:
        with el("div", "dialog-head"):
            el("h2", "", title, id=f"{name}-title")
            el("button", "cross", "×", type="button", data_act="close", aria_label="Close")
        return el("div", "dialog-body")


@dataclass
class OptionFields:
    """Fields for `SessionOptions`, and what they hold.

    Attributes:
        tools: names that may be left out.
    """

    start: SessionOptions
    tools: tuple[str, ...]
    values: dict[str, Any] = field(default_factory=dict)

    def show(self, prefix: str, act: Callable[[], object] | None = None) -> None:
        """Show the fields.

        Args:
            prefix: of the elements' ids.
            act: called after each change.
        """
        start = self.start
        self.values = {"recipe": start.recipe, "model": start.model, "ask": start.ask,
                       "trust_metadata": start.trust_metadata,
                       "without": set(start.without)}  # fmt: skip
        told = act or (lambda: None)
        with el("div", "fields"):
            self._recipe(prefix, told)
            el("label", "", "Model", for_=f"{prefix}-model")
            model = el("input", "field", id=f"{prefix}-model", value=start.model,
                       placeholder="as configured", autocomplete="off")  # fmt: skip
            self._bind(model, "model", "(e) => emit(e.target.value)", told)
            el("span", "label", "Person")
            with el("div", "checks"):
                self._check(f"{prefix}-ask", "ask", "The model may ask me", start.ask, told)
                self._check(f"{prefix}-trust", "trust_metadata",
                            "Trust the file's own position", start.trust_metadata,
                            told)  # fmt: skip
        if self.tools:
            with el("fieldset", "tools-off"):
                el("legend", "", "Tools that may be used")
                for tool in self.tools:
                    self._tool(prefix, tool, told)

    def options(self) -> SessionOptions:
        """Return the options that the fields hold."""
        held = dict(self.values)
        return self.start.model_copy(update={**held, "without": tuple(sorted(held.pop("without")))})

    def _recipe(self, prefix: str, told: Callable[[], object]) -> None:
        el("label", "", "Recipe", for_=f"{prefix}-recipe")
        pick = el("select", "field", id=f"{prefix}-recipe")
        self._bind(pick, "recipe", "(e) => emit(e.target.value)", told)
        with pick:
            el("option", "", "as configured", value="", selected=not self.start.recipe)
            for recipe in RECIPES:
                el("option", "", f"{recipe.name}: {recipe.summary}"[:90], value=recipe.name,
                   selected=recipe.name == self.start.recipe)  # fmt: skip

    def _check(
        self, name: str, key: str, text: str, checked: bool, told: Callable[[], object]
    ) -> None:
        with el("label", "check", for_=name):
            box = el("input", "", id=name, type="checkbox", checked=checked)
            el("span", "", text)
        self._bind(box, key, "(e) => emit(e.target.checked)", told)

    def _tool(self, prefix: str, tool: str, told: Callable[[], object]) -> None:
        name = f"{prefix}-tool-{tool}"
        with el("label", "check", for_=name):
            box = el("input", "", id=name, type="checkbox", checked=tool not in self.start.without)
            el("span", "", tool.replace("_", " "))

        def change(event: Any) -> None:
            (self.values["without"].discard if event.args else self.values["without"].add)(tool)
            told()

        box.on("change", change, js_handler="(e) => emit(e.target.checked)")

    def _bind(self, made: Element, key: str, js: str, told: Callable[[], object]) -> None:
        def change(event: Any) -> None:
            self.values[key] = event.args
            told()

        made.on("change", change, js_handler=js)


def export_dialog(session_id: str) -> None:
    """Show the links to a session's exports."""
    with dialog("export", "Export"):
        el("p", "soft", "Every export says that this is a lead, not proof.")
        with el("ul", "exports"):
            for kind, words in EXPORTS.items():
                with el("li"), el("a", "export", download=True,
                                  href=f"/v1/sessions/{session_id}/export/{kind}"):  # fmt: skip
                    el("b", "mono", kind)
                    el("span", "", words)


def help_dialog() -> None:
    """Show the keys."""
    with dialog("help", "Keys"):
        with el("dl", "keys"):
            for key, words in KEYS.items():
                with el("div"):
                    with el("dt"):
                        for one in key.split():
                            el("kbd", "", one)
                    el("dd", "", words)
        el("p", "soft", "Photos can be dropped anywhere and pasted. On the map, arrow keys move "
           "and + and - zoom. Enter sends, Shift+Enter begins a line.")  # fmt: skip


def moment_words(moment: Moment) -> str:
    """Return a moment to fork from in words."""
    after = f"after {moment.steps} step{'' if moment.steps == 1 else 's'}"
    if not moment.next:
        return f"answer {moment.revision} ({after})"
    node = moment.next[0]
    return f"{after}, before {_NODES.get(node) or node.replace('_', ' ')}"


def session_fields(
    info: SessionInfo, rename: Callable[[Any], object], delete: Callable[[], object]
) -> None:
    """Show name, id and parent of a session, to be renamed and deleted."""
    with el("div", "fields"):
        el("label", "", "Name", for_="rename")
        field = el("input", "field", id="rename", value=info.name)
        field.on("change", rename, js_handler="(e) => emit(e.target.value)")
        el("span", "label", "Id")
        el("code", "mono", info.id)
        if info.parent:
            el("span", "label", "Branch of")
            el("a", "mono", info.parent, href=f"/page/s/{info.parent}")
    el("h3", "", "Delete")
    confirm("Its trace, its answers and its photos are deleted for good.", delete)


def confirm(text: str, act: Callable[..., object]) -> None:
    """Show a question and the button that does it."""
    el("p", "", text)
    with el("div", "dialog-acts"):
        el("button", "button", "Keep it", type="button", data_act="close")
        button("Delete", act, "danger")
