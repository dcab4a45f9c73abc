"""Markdown prompt files and their loader; imports nothing of ours.

A prompt file starts with a front matter of `name`, `version` and `variables`; the rest is
the text, with `{{ variable }}` where a value goes. Its SHA-256 goes into the trace, so a
run can say exactly what it was told.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment


@dataclass(frozen=True)
class Prompt:
    """One prompt file.

    Attributes:
        name: file name without `.md`, repeated in the front matter.
        version: integer, raised with every change of meaning.
        variables: exactly the names that `render` needs.
        text: the body.
        sha256: of the whole file, front matter included.
    """

    name: str
    version: int
    variables: frozenset[str]
    text: str
    sha256: str

    def render(self, **values: str | int | float) -> str:
        """Fill in the variables; values are data, never template.

        Raises:
            ValueError: a variable is missing or unknown.
        """
        if values.keys() != self.variables:
            raise ValueError(
                f"prompt {self.name!r} takes {sorted(self.variables)}, got {sorted(values)}"
            )
        return self._template.render(values).strip()

    @cached_property
    def _template(self) -> "Template":
        """The text, compiled once: a run renders some of them every turn."""
        return _environment().from_string(self.text)


@cache
def load(name: str) -> Prompt:
    """Load `prompts/NAME.md`.

    Raises:
        FileNotFoundError: there is no such prompt.
        ValueError: its front matter lacks `name`, `version` or `variables`.
    """
    source = resources.files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8")
    front, text = _split(source)
    if front.keys() != {"name", "version", "variables"} or front["name"] != name:
        raise ValueError(f"prompt {name!r} has front matter {dict(front)!r}")
    variables = frozenset(v.strip() for v in front["variables"].split(",") if v.strip())
    digest = hashlib.sha256(source.encode()).hexdigest()
    return Prompt(name, int(front["version"]), variables, text, digest)


def names() -> tuple[str, ...]:
    """Return the names of all prompts, sorted."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(file.removesuffix(".md") for file in files if file.endswith(".md")))


def hashes(wanted: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each named prompt file, as the trace holds it.

    Raises:
        FileNotFoundError: there is no such prompt.
    """
    return {name: load(name).sha256 for name in wanted}


@cache
def _environment() -> "SandboxedEnvironment":
    """The sandbox of all templates; lines that hold only a tag leave nothing behind."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )


def _split(source: str) -> tuple[Mapping[str, str], str]:
    opening, front, text = source.split("---\n", 2)
    if opening:
        raise ValueError("a prompt file must start with '---'")
    pairs = (line.split(":", 1) for line in front.splitlines() if line.strip())
    return {key.strip(): value.strip() for key, value in pairs}, text.strip() + "\n"
