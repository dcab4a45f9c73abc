"""The page in Debian's Chromium: the whole path of an analyst, and what axe-core finds."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.factors import Settlements
from agent.page_settings import PageSettings
from agent.sessions import Sessions
from agent.settings import Settings
from server.security_keys import KeyRing
from tests.page_samples import PageModel, page_sessions, picture_file, serving

playwright = pytest.importorskip("playwright.sync_api")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = "axe-core@4.10.3"
SERIOUS = ("serious", "critical")

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on PATH"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def sessions(home: Path, settlements: Settlements) -> Iterator[Sessions]:
    model = PageModel(delay_s=0.15)
    with page_sessions(Settings(home=home / "home"), settlements, model) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(sessions: Sessions) -> Iterator[str]:
    with serving(sessions) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


class Seen:
    """A window, and everything in it that must not be."""

    def __init__(self, context: Any) -> None:
        self.outside: list[str] = []
        self.complaints: list[str] = []
        self.context = context
        self.page = context.new_page()
        self.page.on("request", self._asked)
        self.page.on("console", self._told)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))

    def _asked(self, request: Any) -> None:
        if not re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:", request.url):
            self.outside.append(request.url)

    def _told(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@pytest.fixture
def window(browser: Any, request: pytest.FixtureRequest) -> Iterator[Seen]:
    """A window that has asked nobody else and complained of nothing."""
    given = getattr(request, "param", {})
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **given})
    context.set_default_timeout(60_000)
    seen = Seen(context)
    yield seen
    context.close()
    assert seen.outside == []
    assert seen.complaints == []


def begin(seen: Seen, address: str, folder: Path, hint: str = "") -> str:
    """Upload a photo and return the session's id."""
    page = seen.page
    page.goto(f"{address}/")
    page.wait_for_selector("body.ready")
    if hint:
        page.fill("#message", hint)
    page.set_input_files("#files", picture_file(folder))
    page.wait_for_url("**/page/s/*")
    return str(page.url).rsplit("/", 1)[1]


def test_the_whole_path_of_an_analyst(
    window: Seen, address: str, sessions: Sessions, tmp_path: Path
) -> None:
    page = window.page
    session = begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    assert "lead" in page.inner_text("#answer .caution")
    assert re.search(r"-?\d+\.\d+, -?\d+\.\d+", page.inner_text("#answer .coordinate"))
    assert page.locator(".leaflet-container .ring").count() == 3
    assert page.locator(".leaflet-container .pin.answer").count() == 1

    page.fill("#message", "it is not Spain")
    page.press("#message", "Enter")
    page.wait_for_selector("#answer .revisions [aria-pressed=true]:text('2')")
    assert page.locator(".turn.answer").count() == 2
    assert "it is not Spain" in page.inner_text("#talk-scroll")

    steps = page.locator(".step-box").count()
    page.reload()
    page.wait_for_selector("body.ready")
    assert page.locator(".step-box").count() == steps

    page.click("[data-open=fork]")
    page.wait_for_selector("#fork-from option:nth-child(3)", state="attached")
    page.select_option("#fork-from", index=3)
    page.fill("#fork-name", "another future")
    page.click("#fork-go")
    page.wait_for_url(lambda url: session not in url)
    branch = str(page.url).rsplit("/", 1)[1]
    page.wait_for_selector("#answer .coordinate")
    assert sessions.get(branch).parent == session
    assert sessions.get(branch).name == "another future"
    assert "branches off" in page.inner_text("#talk-scroll")

    page.click("[data-open=export]")
    links = page.locator(".export").evaluate_all("all => all.map(one => one.href)")
    assert [link.rsplit("/", 1)[1] for link in links] == [
        "html", "zip", "geojson", "kml", "csv", "md", "trace",
    ]  # fmt: skip
    for link in links:
        assert page.request.get(link).status == 200, link
    assert json.loads(page.request.get(links[2]).body())["type"] == "FeatureCollection"


def test_a_question_is_answered_by_its_button(window: Seen, address: str, tmp_path: Path) -> None:
    page = window.page
    begin(window, address, tmp_path, hint="please ask")
    page.wait_for_selector(".turn.question")
    assert "<script>" in page.inner_text(".turn.question")
    assert page.title() == "Graticule"
    page.click(".option >> nth=1")
    page.wait_for_selector(".turn.answer")
    assert "In winter" in page.inner_text(".turn.person >> nth=1")
    assert page.locator(".option").count() == 0


def test_stop_marks_what_is_partial_and_goes_on(window: Seen, address: str, tmp_path: Path) -> None:
    page = window.page
    begin(window, address, tmp_path, hint="look slowly")
    page.wait_for_selector("#stop:visible")
    page.click("#stop")
    page.wait_for_selector(".turn.note.stopped")
    assert "partial" in page.inner_text(".turn.note.stopped")
    page.click("text=Go on")
    page.wait_for_selector(".turn.answer")


def test_evidence_is_withdrawn_and_restored(window: Seen, address: str, tmp_path: Path) -> None:
    page = window.page
    begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    page.click("#tab-evidence")
    page.click("#panel-evidence button:text('Withdraw') >> nth=0")
    page.wait_for_selector("#panel-evidence .row.gone")
    page.wait_for_selector("#panel-evidence button:text('Restore'):not([disabled])")
    page.click("#panel-evidence button:text('Restore')")
    page.wait_for_selector("#panel-evidence .row.gone", state="detached")


def test_a_drawn_area_is_sent(
    window: Seen, address: str, sessions: Sessions, tmp_path: Path
) -> None:
    page = window.page
    session = begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    page.click("[data-act=box]")
    frame = page.locator(".leaflet-container").bounding_box()
    page.mouse.move(frame["x"] + 120, frame["y"] + 90)
    page.mouse.down()
    page.mouse.move(frame["x"] + 420, frame["y"] + 260, steps=4)
    page.mouse.up()
    page.wait_for_selector(".chip select")
    page.select_option(".chip select", "out")
    page.click("#send")
    page.wait_for_selector("text=Drawn area: not there")
    said = [event for event in sessions.events(session) if event.kind == "message"][-1]
    region: Any = said.data["region"]
    assert region["properties"] == {"inside": False}
    assert region["geometry"]["type"] == "Polygon"


def test_a_verdict_is_kept(window: Seen, address: str, sessions: Sessions, tmp_path: Path) -> None:
    page = window.page
    session = begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    page.keyboard.press("Escape")
    page.click("#tab-verdict")
    page.check("#verdict-near")
    page.fill("#verdict-place", "48.2, 11.6")
    page.fill("#verdict-notes", "the dome <b>fits</b>")
    page.click("#keep-verdict")
    page.wait_for_selector(".assessment")
    (kept,) = sessions.assessments(session)
    assert (kept.verdict, kept.latitude, kept.notes) == ("near", 48.2, "the dome <b>fits</b>")
    page.reload()
    page.click("#tab-verdict")
    assert "the dome <b>fits</b>" in page.inner_text(".assessment")


def test_sessions_are_searched_renamed_and_deleted(
    window: Seen, address: str, sessions: Sessions, tmp_path: Path
) -> None:
    page = window.page
    session = begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    page.click("[data-open=session]")
    page.fill("#rename", "harbour & dome <i>")
    page.press("#rename", "Tab")
    page.wait_for_selector("h1:text('harbour & dome <i>')")
    page.click("#session [aria-label=Close]")
    page.fill("#search", "harbour")
    page.wait_for_function("document.querySelectorAll('.session').length === 1")
    page.click("[data-open=session]")
    page.click("#session .danger")
    page.wait_for_url("**/page/")
    assert session not in {one.id for one in sessions.search()}


def test_what_cannot_be_used_is_told_and_nothing_is_lost(
    window: Seen, address: str, tmp_path: Path
) -> None:
    page = window.page
    page.goto(f"{address}/page/")
    page.wait_for_selector("body.ready")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture at all")
    page.fill("#message", "a hint that stays")
    page.set_input_files("#files", broken)
    page.wait_for_selector("#trouble:visible")
    assert page.input_value("#message") == "a hint that stays"
    window.complaints.clear()  # the browser itself tells of the refused request
    page.goto(f"{address}/page/s/00000000-0000-0000-0000-000000000000")
    page.wait_for_selector("h1:text('no such session')")


def answers(page: Any, count: int) -> None:
    """Wait until so many answers are given and the last one is shown."""
    page.wait_for_selector(f"#answer .revisions [aria-pressed=true]:text('{count}')")


def drawn(west: float) -> Any:
    """Return an area that a person drew: between 47 and 50 degrees north, four degrees wide."""
    ring = [[west, 47], [west + 4, 47], [west + 4, 50], [west, 50], [west, 47]]
    return {"type": "Feature", "properties": {"inside": True},
            "geometry": {"type": "Polygon", "coordinates": [ring]}}  # fmt: skip


def test_earlier_answers_are_shown_again(
    window: Seen, address: str, sessions: Sessions, tmp_path: Path
) -> None:
    page = window.page
    session = begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    sessions.send(session, "look there", region=drawn(10))
    answers(page, 2)
    page.click("#tab-evidence")
    page.wait_for_selector("#panel-evidence .row >> nth=2")
    found = page.locator("#panel-evidence .row").count()
    assert "You said 'look there'" in page.inner_text(".turn.answer >> nth=1")
    page.click("#answer .revisions button:text('1')")
    page.wait_for_selector("#answer .revision.stale")
    page.wait_for_function(f"document.querySelectorAll('#panel-evidence .row').length < {found}")
    assert page.locator("#panel-evidence .button:not([disabled])").count() == 0
    assert page.locator(".leaflet-container .region-area").count() == 0
    page.click(".turn.answer >> nth=1 >> text=Show")
    page.wait_for_function(f"document.querySelectorAll('#panel-evidence .row').length == {found}")
    sessions.send(session, region=drawn(-4))
    answers(page, 3)
    page.wait_for_selector("#panel-evidence .row.gone .row-gone:text('taken back')")
    assert page.locator("#panel-evidence .row.gone >> text=Restore").count() == 1


def drop(page: Any, file: Path, kind: str = "drop") -> None:
    """Drop or paste a file somewhere on the page."""
    page.evaluate(
        """([bytes, name, kind]) => {
          const held = new DataTransfer();
          held.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/jpeg'}));
          const told = {bubbles: true, cancelable: true};
          const at = document.body;
          if (kind === 'paste')
            at.dispatchEvent(new ClipboardEvent('paste', {...told, clipboardData: held}));
          else for (const one of ['dragenter', 'dragover', 'drop'])
            at.dispatchEvent(new DragEvent(one, {...told, dataTransfer: held}));
        }""",
        [list(file.read_bytes()), file.name, kind],
    )  # fmt: skip


def test_photos_are_dropped_and_pasted_and_each_is_looked_at(
    window: Seen, address: str, sessions: Sessions, tmp_path: Path
) -> None:
    page = window.page
    page.goto(f"{address}/page/")
    page.wait_for_selector("body.ready")
    drop(page, picture_file(tmp_path, 5))
    page.wait_for_url("**/page/s/*")
    session = str(page.url).rsplit("/", 1)[1]
    page.wait_for_selector(".turn.answer")
    drop(page, picture_file(tmp_path, 6), "paste")
    page.wait_for_selector(".chip img")
    assert page.locator(".dropping").count() == 0
    page.fill("#message", "the same house from behind")
    page.press("#message", "Enter")
    answers(page, 2)
    assert len(sessions.get(session).photos) == 2
    assert page.locator(".turn.person .thumb").count() == 2
    page.wait_for_selector(".photo-tab >> nth=1")
    shown = page.get_attribute("#photo-frame img", "src")
    page.click(".photo-tab >> nth=1")
    page.wait_for_function(
        "before => document.querySelector('#photo-frame img')?.getAttribute('src') !== before",
        arg=shown,
    )


def test_the_lens_by_keys_and_by_touch(browser: Any, address: str, tmp_path: Path) -> None:
    seen = Seen(browser.new_context(has_touch=True, viewport={"width": 390, "height": 844}))
    page = seen.page
    begin(seen, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    page.wait_for_function("document.querySelector('#photo-frame img')?.naturalWidth > 0")
    page.wait_for_timeout(1000)  # the photo is drawn anew with the answer
    page.focus("#photo-frame")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#lens:visible")
    size = page.evaluate("document.querySelector('#lens').style.backgroundSize")
    page.keyboard.press("+")
    assert page.evaluate("document.querySelector('#lens').style.backgroundSize") != size
    page.keyboard.press("Escape")
    page.wait_for_selector("#lens", state="hidden")
    page.tap("#photo-frame img", position={"x": 200, "y": 150}, force=True)
    page.wait_for_selector("#lens:visible")
    page.tap("#tab-why")
    page.wait_for_selector("#lens", state="hidden")
    assert seen.complaints == []
    seen.context.close()


def test_keys_do_what_the_help_says(window: Seen, address: str, tmp_path: Path) -> None:
    page = window.page
    begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    for key, shown in (("2", "#panel-evidence"), ("3", "#panel-candidates"), ("4", "#panel-pairs"),
                       ("1", "#panel-photo"), ("v", "#panel-verdict")):  # fmt: skip
        page.keyboard.press(key)
        page.wait_for_selector(f"{shown}:visible")
    for key, box in (("?", "help"), ("f", "fork"), ("e", "export"), ("o", "options")):
        page.keyboard.press(key)
        page.wait_for_selector(f"#{box}[open]")
        page.keyboard.press("Escape")
    dark = page.get_attribute("html", "data-theme")
    page.keyboard.press("t")
    assert page.get_attribute("html", "data-theme") != dark
    page.keyboard.press("m")
    assert page.evaluate("document.activeElement.id") == "message"
    page.keyboard.type("s?")  # in a field they are letters
    assert page.input_value("#message") == "s?"
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("n")
    page.wait_for_url("**/page/")


def test_evidence_candidates_and_frames_light_up_together(
    window: Seen, address: str, tmp_path: Path
) -> None:
    page = window.page
    begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    page.click("#tab-candidates")
    row = page.locator("#panel-candidates .row").first
    key = row.get_attribute("data-ev")
    row.hover()
    page.wait_for_selector(f".leaflet-container .candidate.lit[data-ev='{key}']", state="attached")
    page.mouse.move(2, 2)
    page.wait_for_selector(".lit", state="detached")


def test_options_hold_for_the_next_message(
    window: Seen, address: str, sessions: Sessions, tmp_path: Path
) -> None:
    page = window.page
    session = begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    page.click("[data-open=options]")
    page.uncheck("#options-ask")
    page.uncheck("#options-tool-measure")
    page.click("#options .primary")
    page.wait_for_selector("#options", state="hidden")
    held = sessions.get(session).options
    assert (held.ask, held.without) == (False, ("measure",))
    page.fill("#message", "look again")
    page.press("#message", "Enter")
    answers(page, 2)
    setup = [one for one in sessions.events(session) if one.kind == "setup"][-1]
    assert "measure" not in str(setup.data.get("tools_sha256", {}))


def test_fork_after_a_step_and_compare(
    window: Seen, address: str, sessions: Sessions, tmp_path: Path
) -> None:
    page = window.page
    session = begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    sessions.send(session, "look there", region=drawn(10))
    answers(page, 2)
    page.click(".work-box > summary >> nth=0")
    page.click(".step-box:has(.step-acts) > summary >> nth=0")
    page.click(".step-box[open] >> text=Fork after this step")
    page.wait_for_selector("#fork[open]")
    page.wait_for_function("document.querySelector('#fork-from').value !== ''")
    page.fill("#fork-name", "without the area")
    page.click("#fork-go")
    page.wait_for_url(lambda url: session not in url)
    page.wait_for_selector("#answer .coordinate")
    assert sessions.get(str(page.url).rsplit("/", 1)[1]).parent == session
    page.wait_for_selector("#compare-with option:nth-child(2)", state="attached")
    page.click("[data-open=compare]")
    page.select_option("#compare-with", session)
    page.wait_for_selector(".compare-side")
    told = page.inner_text("#compared")
    assert "look there" in told
    assert "Belief by country" in told
    assert "lead" in told
    only = page.inner_text("#compared .compare >> nth=1").partition("Counts in the second alone")
    assert "Nothing." in only[0]
    assert "Nothing." not in only[2]


def test_a_run_of_another_face_is_followed(
    window: Seen, address: str, sessions: Sessions, tmp_path: Path
) -> None:
    page = window.page
    session = begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    reply = page.request.post(
        f"{address}/v1/sessions/{session}/messages", data={"text": "said by a program"}
    )
    assert reply.ok
    answers(page, 2)
    assert "said by a program" in page.inner_text("#talk-scroll")


def test_drawn_areas_stay_on_the_map(
    window: Seen, address: str, sessions: Sessions, tmp_path: Path
) -> None:
    page = window.page
    session = begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    sessions.send(session, region=drawn(10))
    answers(page, 2)
    page.wait_for_selector(".leaflet-container .region-area.inside", state="attached")
    assert "drawn: there" in page.inner_text(".legend")
    page.reload()
    page.wait_for_selector(".leaflet-container .region-area.inside", state="attached")


def test_what_a_page_may_load_is_limited(window: Seen, address: str) -> None:
    page = window.page
    page.goto(f"{address}/page/")
    page.wait_for_selector("body.ready")
    page.evaluate("new Image().src = 'https://elsewhere.example/a.png'")
    page.wait_for_timeout(300)
    assert any("Content Security Policy" in one for one in window.complaints)
    window.complaints.clear()
    window.outside.clear()


@pytest.fixture(scope="module")
def axe(home: Path) -> str:
    """Return the source of axe-core, from npm."""
    if shutil.which("npm") is None:
        pytest.skip("no npm on PATH: axe-core comes from there")
    done = subprocess.run(
        ["npm", "pack", AXE, "--silent"], cwd=home, capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        pytest.skip(f"npm cannot be reached: {done.stderr.strip()[:200]}")
    archive = done.stdout.strip().splitlines()[-1]
    subprocess.run(["tar", "xzf", archive, "package/axe.min.js"], cwd=home, check=True)
    return (home / "package" / "axe.min.js").read_text("utf-8")


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


@pytest.mark.parametrize(
    "window", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"], indirect=True
)
def test_axe_finds_nothing_serious(window: Seen, address: str, axe: str, tmp_path: Path) -> None:
    page = window.page
    page.goto(f"{address}/page/")
    page.wait_for_selector("body.ready")
    assert faults(page, axe) == []
    begin(window, address, tmp_path)
    page.wait_for_selector(".turn.answer")
    for tab in ("photo", "evidence", "candidates", "pairs", "why", "verdict"):
        page.click(f"#tab-{tab}")
        assert faults(page, axe) == [], tab
    page.click(".work-box > summary")
    page.click(".step-box > summary >> nth=0")
    assert faults(page, axe) == []
    for name in ("fork", "compare", "options", "export", "session"):
        page.click(f"[data-open={name}]")
        assert faults(page, axe) == [], name
        page.keyboard.press("Escape")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def faults(page: Any, axe: str) -> list[str]:
    """Return what axe-core finds serious or critical, with where."""
    page.wait_for_timeout(150)
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


# With a key


@pytest.fixture
def locked(tmp_path: Path, settlements: Settlements) -> Iterator[tuple[str, str]]:
    """The address of a server that asks for a key of ten requests a minute, and the key."""
    settings = Settings(home=tmp_path / "home")
    token = KeyRing(settings.home).create("analyst", rate_per_minute=10)[1]
    with page_sessions(settings, settlements) as opened, serving(opened) as found:
        yield found, token


def test_with_a_key_the_page_works_and_without_it_nothing_opens(
    browser: Any, locked: tuple[str, str], tmp_path: Path
) -> None:
    address, token = locked
    nobody = browser.new_context().new_page()
    with pytest.raises(playwright.Error, match="INVALID_AUTH"):  # nobody types the key
        nobody.goto(f"{address}/page/")
    nobody.context.close()
    given = {"username": "me", "password": token, "origin": address}
    context = browser.new_context(http_credentials=given)
    seen, statuses = Seen(context), set()
    seen.page.on("response", lambda reply: statuses.add(reply.status))
    seen.page.on("websocket", lambda socket: statuses.add(socket.url.partition(":")[0]))
    begin(seen, address, tmp_path)
    seen.page.wait_for_selector(".turn.answer")  # events came over the socket
    seen.page.click("#tab-evidence")
    seen.page.wait_for_selector("#panel-evidence .row")
    assert "ws" in statuses
    assert statuses & {401, 403, 429} <= {401}, statuses  # the browser is asked once
    assert seen.outside == []
    context.close()


# Tiles

TILE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000 1f15c4890000000d49444154789c63"
    "60606060000000050001a5f645400000000049454e44ae426082".replace(" ", "")
)


def test_tile_layers_are_offered_where_settings_name_them(
    browser: Any, settlements: Settlements, tmp_path: Path
) -> None:
    layers = ({"name": "Streets", "url": "https://tiles.example/{z}/{x}/{y}.png",
               "attribution": "© Mappers"},)  # fmt: skip
    settings = Settings(home=tmp_path / "home", page=PageSettings.model_validate({"tiles": layers}))
    with page_sessions(settings, settlements) as opened, serving(opened) as address:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        asked: list[str] = []

        def tile(route: Any) -> None:
            asked.append(route.request.url)
            route.fulfill(body=TILE, content_type="image/png")

        context.route("https://tiles.example/**", tile)
        seen = Seen(context)
        begin(seen, address, tmp_path)
        seen.page.wait_for_selector(".turn.answer")
        assert asked == []  # nobody is told where we look until a person asks for it
        seen.page.hover(".leaflet-control-layers")
        seen.page.click(".leaflet-control-layers label:has-text('Streets')")
        seen.page.wait_for_selector("img.leaflet-tile-loaded")
        assert asked
        assert "© Mappers" in seen.page.inner_text(".leaflet-control-attribution")
        assert seen.complaints == []  # such as of the content security policy
        context.close()
