"""The code in README.md and docs/: where it stands, and what tests do with each block.

A block is run, parsed, or listed here with the reason why not; `tests/unit/test_docs.py` fails for
one that is neither, and for a row here that fits no block.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
HERE = "http://127.0.0.1:8800"
"""Where the pages say that the server is; tests put the address of theirs there."""
MODEL = "http://127.0.0.1:8000/v1"
SHELLS = ("", "sh", "bash")
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)

DRAWN = {
    ("README.md", "            +---"): "the state machine, drawn",
    ("agent.md", "observe -> prior"): "the state machine, drawn",
    ("chat.md", "Session 5ef3bdd3: harbour"): "a conversation: tests/unit/test_chat_docs.py",
    ("models.md", "ok     model server"): "what `graticule doctor` prints for one model",
    ("deploy.md", "map $http_upgrade"): "of nginx; its limits are compared with ours",
}
"""Blocks that are no code of ours: (page, how it begins) -> what they are."""
SYNOPSES = {
    ("evaluation.md", "graticule evaluate score PREDICTIONS TRUTH"),
    ("evaluation.md", "graticule evaluate run DATASET"),
    ("evaluation.md", "graticule evaluate ledger RUN"),
    ("evaluation.md", "graticule evaluate fuse ANSWERS"),
    ("evaluation.md", "graticule evaluate report RUN"),
}
"""Blocks that show what may be said, in brackets: only commands and options are looked up."""
NOT_RUN = {
    ("encoders.md", "from encoders import load_encoder"): "asks for CLIP ViT-L/14, 1.7 GB",
    ("evaluation.md", "from pathlib import Path\nfrom agent"): "a benchmark's photos and a model",
    ("evaluation.md", "from pathlib import Path\nfrom evaluation"): "the run of the block before",
    ("evaluation.md", "from evaluation.abstention"): "the run of the block before",
    ("recipes.md", "from agent import Geolocator"): "SigLIP's weights and a model",
}
"""Blocks of Python whose imports alone are run: (page, how it begins) -> what they need."""
PARSED = {
    "README.md": "needs galleries, weights, models and training data",
    "agent.md": "needs a chat model",
    "chat.md": "a conversation: tests/unit/test_chat_docs.py holds one",
    "encoders.md": "needs weights and training data",
    "evaluation.md": "needs runs over datasets",
    "galleries.md": "needs photos and servers",
    "models.md": "needs a model server",
    "recipes.md": "needs weights, galleries and a model",
    "scale.md": "needs servers and days",
    "traces.md": "needs a collector; tests/unit/test_trace_command.py runs the commands",
    ("deploy.md", "pip install"): "the tests' own server stands for it",
    ("deploy.md", "cp .env.example"): "needs Docker and gigabytes of images",
    ("deploy.md", "docker compose exec"): "needs the services of Docker",
}
"""Shell whose lines are parsed but not run: page, or (page, how it begins) -> why."""


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """Names it in a test's report."""
        return f"{self.page}:{self.line}"

    def listed(self, table: object) -> bool:
        """Whether a table names this block, or its page."""
        rows = [row for row in table if isinstance(row, tuple)]  # type: ignore[attr-defined]
        named = any(row[0] == self.page and self.text.startswith(row[1]) for row in rows)
        return named or self.page in table  # type: ignore[operator]

    @property
    def drawn(self) -> bool:
        return self.listed(DRAWN)

    @property
    def is_shell(self) -> bool:
        return self.language in SHELLS and not self.drawn


def blocks() -> list[Block]:
    """Return the fenced blocks of all pages."""
    return [
        Block(path.name, text[: match.start()].count("\n") + 1, match[1].strip(), match[2])
        for path in PAGES
        for text in [path.read_text(encoding="utf-8")]
        for match in _FENCE.finditer(text)
    ]


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of every command of a block of shell: lines, pipes, quotes over lines."""
    held = ""
    for line in text.replace("\\\n", " ").splitlines():
        held += line + "\n"
        try:
            lexer = shlex.shlex(held, posix=True, punctuation_chars="|>;&")
            lexer.whitespace_split = True
            words = list(lexer)
        except ValueError:  # a quote goes on in the next line
            continue
        held = ""
        found: list[str] = []
        for word in [*words, ";"]:
            if word and set(word) <= set("|;&"):
                if found:
                    yield found
                found = []
            else:
                found.append(word)
    assert not held.strip(), f"unclosed quote: {held}"
