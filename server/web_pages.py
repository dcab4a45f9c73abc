"""The pages that the browser shows, written with NiceGUI.

Elements live on the server and are only shown by the browser; what lasts is in `Sessions`, so a
reload, another window or another day shows the same.
"""

from fastapi import FastAPI, Request
from nicegui import Client, background_tasks, ui

from agent.session_records import SessionOptions
from agent.sessions import Sessions
from geo.errors import GeolocationError
from server import web_dialogs as dialogs
from server.web_composer import composer
from server.web_elements import el
from server.web_rail import Rail
from server.web_room import Room, tool_names

SESSIONS = "graticule.sessions"
"""Entry of a scope: what the page shows."""
PATH = "/page"
SLOWEST_S = 30.0
"""A long session on a machine that is busy with runs may take a while to be put up."""
HEAD = f"""
<script src="{PATH}/files/static/map.js"></script>
<script src="{PATH}/files/static/page.js"></script>
<link rel="stylesheet" href="{PATH}/files/static/page.css">
<link rel="icon" href="{PATH}/files/static/mark.svg">
"""


def host() -> FastAPI:
    """Return an application around NiceGUI's own, whose lifespan is NiceGUI's; called once."""
    ui.page("/", title="Graticule", response_timeout=SLOWEST_S)(start)
    ui.page("/s/{session_id}", title="Graticule", response_timeout=SLOWEST_S)(session)
    made = FastAPI()
    ui.run_with(
        made, title="Graticule", language="en-US", tailwind=False, dark=False,
        reconnect_timeout=20, show_welcome_message=False,
    )  # fmt: skip
    return made


async def start(request: Request) -> None:
    """Show where a session begins."""
    await _start(request.scope[SESSIONS])


async def session(request: Request, client: Client, session_id: str) -> None:
    """Show a session."""
    await _session(request.scope[SESSIONS], client, session_id)


async def _start(sessions: Sessions) -> None:
    _frame()
    rail = Rail(sessions)
    with el("main", "begin", id="main"), el("div", "start-box"):
        el("h1", "start-title", "Where was this photo taken?")
        el("p", "soft", "Drop a photo anywhere, paste it, or choose a file. What you know about it "
           "can be said at once, or later.")  # fmt: skip
        with el("button", "drop", type="button", data_act="pick", aria_label="Choose a photo"):
            el("span", "drop-mark", aria_hidden="true")
            el("span", "drop-words", "Drop, paste or choose a photo")
            el("span", "soft", "JPEG, PNG, WebP, HEIC, TIFF; its own position is not believed "
               "unless you say so")  # fmt: skip
        composer("A hint, if you have one: a language, a country, a date", first=True)
        with el("details", "start-options"):
            el("summary", "", "Options")
            _start_options(sessions)
        el("p", "caution", "What comes back is a lead with a stated uncertainty, not proof.")
    dialogs.help_dialog()
    await rail.refresh()


def _start_options(sessions: Sessions) -> None:
    fields = dialogs.OptionFields(SessionOptions(), tool_names(sessions))
    held = el("div", "", id="start-options", data_options="{}")

    def keep() -> None:
        held.props["data-options"] = fields.options().model_dump_json()
        held.update()

    with held:
        fields.show("start", keep)


async def _session(sessions: Sessions, client: Client, session_id: str) -> None:
    _frame()
    try:
        info = sessions.get(session_id)
    except GeolocationError as error:
        rail = Rail(sessions)
        with el("main", "begin", id="main"), el("div", "start-box"):
            el("h1", "start-title", "There is no such session")
            el("p", "soft", str(error))
        await rail.refresh()
        return
    room = Room(sessions, info, client)
    await room.build()
    ui.on("reply", room.reply)
    background_tasks.create(room.follow(), name=f"page of {info.id[:8]}")


def _frame() -> None:
    """Put up what every page has: skip link, header, live region."""
    ui.add_head_html(HEAD)
    el("a", "skip", "To the content", href="#main")
    with el("header", "top"):
        el("button", "button small menu", "Sessions", type="button", data_act="rail",
           aria_expanded="false", aria_controls="rail")  # fmt: skip
        with el("a", "brand", href=f"{PATH}/"):
            el("img", "mark", src=f"{PATH}/files/static/mark.svg", alt="")
            el("span", "", "Graticule")
        el("span", "tagline", "leads on where a photo was taken, never proof")
        with el("div", "top-acts"):
            el("button", "button small quiet", "Dark", type="button", data_act="theme",
               aria_pressed="false")  # fmt: skip
            el("button", "button small quiet", "Keys", type="button", data_act="help")
    el("p", "sr-only", id="live", role="status", aria_live="polite")
    el("div", "dropper", "Drop it anywhere", aria_hidden="true")
