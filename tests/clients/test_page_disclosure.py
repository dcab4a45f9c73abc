"""The page where places are told coarser: every byte that reaches the browser is searched."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.session_records import SessionOptions
from agent.sessions import Sessions
from agent.settings import Settings
from tests.page_samples import serving
from tests.unit.leak_samples import FILE_NAME, PHOTO, secrets_in, telling_sessions

playwright = pytest.importorskip("playwright.sync_api")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on PATH"),
]
MAPS = re.compile(r"/page/files/(outlines|towns)")
"""What every map shows."""
TEXTS = ("text/html", "application/json", "text/plain", "application/problem+json")


@pytest.fixture
def window() -> Iterator[tuple[Any, list[str]]]:
    """A window, and everything that it was sent."""
    heard: list[str] = []

    def take(reply: Any) -> None:
        kind, public = reply.headers.get("content-type", ""), MAPS.search(reply.url)
        if kind.startswith(TEXTS) and reply.status < 300 and not public:
            heard.append(reply.text())

    def frame(payload: Any) -> None:
        heard.append(payload if isinstance(payload, str) else payload.decode("utf-8", "replace"))

    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.on("response", take)
        page.on("websocket", lambda socket: socket.on("framereceived", frame))
        yield page, heard
        browser.close()


def begun(sessions: Sessions) -> str:
    info = sessions.create(PHOTO, name=FILE_NAME, options=SessionOptions(trust_metadata=True))
    sessions.send(info.id).wait(60)
    return info.id


@pytest.mark.parametrize("level", ["city", "country", "none"])
def test_the_page_tells_no_more(level: str, tmp_path: Path, window: tuple[Any, list[str]]) -> None:
    page, heard = window
    settings = Settings.model_validate({"home": tmp_path, "disclosure": level})
    with telling_sessions(settings) as sessions:
        session, other = begun(sessions), begun(sessions)
        with serving(sessions) as address:
            page.goto(f"{address}/page/s/{session}")
            page.locator(".turn.answer").first.wait_for()
            sessions.send(session, "look again").wait(60)  # while somebody looks
            page.locator(".turn.answer").nth(1).wait_for()
            for name in ("evidence", "candidates", "pairs", "why", "verdict", "photo"):
                page.locator(f"#tab-{name}").click()
            page.locator("[data-open=compare]").click()
            page.locator("#compare-with").select_option(other)
            page.locator("#compared *").first.wait_for()
            page.keyboard.press("Escape")
            page.wait_for_timeout(1000)
            heard.append(page.content())
            page.screenshot(path=str(tmp_path / "page.png"), full_page=True)
    told = "\n".join(heard)
    assert len(heard) > 10
    assert "withheld" in told
    assert secrets_in(told, level) == []
