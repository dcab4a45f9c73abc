"""Pictures of the page's main states: `python -m tests.screenshots --out docs`; no network.

A demo world is drawn and built once below the work folder; the sessions are real ones over it.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.geolocators import Geolocators
from agent.sessions import Sessions
from agent.settings import Settings
from evaluation.demo import prepare_world
from evaluation.world import World
from tests.page_samples import serving

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDE: Any = {"width": 1440, "height": 900}
PHONE: Any = {"width": 390, "height": 844}
QUALITY = 82
LONGEST_MS = 90_000
SHOWN = {"answer": "page", "dark": "page-dark", "phone": "page-phone"}
"""States that documentation shows, and the names of their files."""


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the pictures")
    parser.add_argument("--work", type=Path, default=Path("build/screenshots"))
    parser.add_argument("--all", action="store_true", help="every state, not just those shown")
    given = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("no Chromium on PATH: install chromium to make screenshots")
    given.out.mkdir(parents=True, exist_ok=True)
    with _opened(given.work) as (sessions, world), serving(sessions) as address:
        shoot(address, world, browser, given.out, every=given.all)


@contextmanager
def _opened(work: Path) -> Iterator[tuple[Sessions, World]]:
    """Open sessions over the demo world, which is drawn and built where it is missing."""
    from cli.progress import build_with_progress, prepare_gazetteer
    from index_builder import open_gallery

    world = prepare_world(work / "world")
    build_with_progress(world.gallery_folder, work / "gallery")
    shutil.rmtree(work / "home", ignore_errors=True)
    prepare_gazetteer()
    settings = Settings(home=work / "home")
    gallery = open_gallery(work / "gallery")
    common: dict[str, Any] = {"encoder": None}
    with Sessions(settings, Geolocators(settings, (gallery,), **common)) as sessions:
        yield sessions, world
    gallery.close()


def shoot(address: str, world: World, browser: str, out: Path, *, every: bool) -> None:
    """Walk through a session in a browser and take the pictures."""
    from playwright.sync_api import sync_playwright

    def keep(page: Any, state: str) -> None:
        page.wait_for_timeout(700)
        if every or state in SHOWN:
            name = f"{SHOWN.get(state, f'page-{state}')}.jpg"
            page.screenshot(path=out / name, type="jpeg", quality=QUALITY)

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = opened.new_page(viewport=WIDE)
        page.set_default_timeout(LONGEST_MS)
        page.goto(f"{address}/page/")
        page.wait_for_selector("body.ready")
        keep(page, "empty")
        room = _first_session(page, world, keep)
        if every:
            _other_states(page, world, room, keep)
        looks: Any = (("dark", WIDE, "dark"), ("phone", PHONE, "light"))
        for state, viewport, scheme in looks:
            context = opened.new_context(viewport=viewport, color_scheme=scheme)
            other = context.new_page()
            other.goto(room)
            other.wait_for_selector("#answer .coordinate")
            _dress(other)
            keep(other, state)
        opened.close()


def _first_session(page: Any, world: World, keep: Any) -> str:
    known = world.queries[0]
    page.set_input_files("#files", world.path(known))
    page.wait_for_url("**/page/s/*")
    page.wait_for_selector(".step-box")
    keep(page, "running")
    page.wait_for_selector(".turn.answer")
    page.fill("#message", "The language on the signs looks German, and it is not Spain")
    page.press("#message", "Enter")
    page.wait_for_selector("#answer .revisions [aria-pressed=true]:text('2')")
    _dress(page)
    keep(page, "answer")
    return str(page.url)


def _dress(page: Any) -> None:
    """Open what shows most: the first steps, and the photo's frames."""
    page.wait_for_selector(".work-box")
    page.click(".work-box > summary >> nth=0")
    page.evaluate("document.getElementById('talk-scroll').scrollTop = 0; scrollTo(0, 0)")
    page.mouse.move(2, 2)


def _other_states(page: Any, world: World, room: str, keep: Any) -> None:
    page.click("#tab-evidence")
    keep(page, "evidence")
    page.click("#tab-pairs")
    page.hover("#pair-0")
    keep(page, "pairs")
    page.keyboard.press("Escape")
    page.click("[data-open=fork]")
    keep(page, "fork")
    page.click("#fork-open")
    page.wait_for_url(lambda url: url != room)
    page.wait_for_selector("#compare-with option:nth-child(2)", state="attached")
    page.click("[data-open=compare]")
    page.select_option("#compare-with", index=1)
    page.wait_for_selector(".compare-side")
    keep(page, "compare")
    page.goto(page.url.split("/page/")[0] + "/page/")
    page.wait_for_selector("body.ready")
    page.set_input_files("#files", world.path(world.queries[-1]))
    page.wait_for_url("**/page/s/*")
    page.wait_for_selector(".turn.answer")
    keep(page, "undetermined")


if __name__ == "__main__":
    main()
