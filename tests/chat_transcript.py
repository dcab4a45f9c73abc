"""The conversation of docs/chat.md, held with the real program: `python -m tests.chat_transcript`.

Prints the text that stands there; run it again where the program says something else now.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from geo.gazetteer import default_path
from tests.unit.report_samples import _street

PAGE = Path(__file__).parents[1] / "docs" / "chat.md"
SAID = (
    "it is in Spain",
    "/evidence",
    "/withdraw e77e",
    "/map near",
    "/verdict near 43.297, 5.374 the old harbour",
    "/quit",
)
_BLOCK = re.compile(r"<!-- transcript -->\n```text\n(.*?)```", re.DOTALL)


def in_page() -> str:
    """Return the transcript that docs/chat.md shows."""
    found = _BLOCK.search(PAGE.read_text(encoding="utf-8"))
    assert found, f"no transcript in {PAGE}"
    return found[1]


def held(folder: Path) -> str:
    """Hold the conversation in a new home and return what is printed, 80 columns wide."""
    home = folder / "home"
    home.mkdir()
    (home / default_path().name).symlink_to(default_path())
    _street().save(folder / "harbour.png")
    ended = subprocess.run(
        [sys.executable, "-m", "cli.main", "chat", "harbour.png", "--recipe", "pipeline",
         "--encoder", "none"],
        input="\n".join(SAID) + "\n", capture_output=True, text=True, check=True, cwd=folder,
        env={**os.environ, "GRATICULE_HOME": str(home), "COLUMNS": "80",
             "PYTHONPATH": str(PAGE.parents[1])},
    )  # fmt: skip
    return "\n".join(line.rstrip() for line in ended.stdout.splitlines()) + "\n"


def essence(text: str) -> str:
    """Return a transcript without what differs each time: durations and ids.

    The text reader's confidences differ in their last digits from run to run, and with them the
    ids of evidence that follows from it.
    """
    text = re.sub(r"\b(\d+ min )?[\d.]+ m?s\b", "T", text.replace("│", " "))
    text = re.sub(r"\be[0-9a-f]{10}\b", "EVIDENCE", text)
    text = re.sub(r"(Session |--session )[0-9a-f]{8}", r"\1ID", text)
    return " ".join(re.sub(r"[╭╮╰╯─]+", " ", text).split())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        sys.stdout.write(held(Path(made)))
