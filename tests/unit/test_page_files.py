"""What the page's browser fetches and sends beside its socket: files, photos, words; its key."""

import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.factors import Settlements
from server.security_keys import KeyRing
from server.security_rates import cost_of
from tests.unit.server_samples import OTHER, PHOTO, Served, refused, serving
from tests.unit.session_samples import Steady

SAY = "/page/files/say"


@pytest.fixture
async def served(tmp_path: Path, settlements: Settlements) -> AsyncIterator[Served]:
    async with serving(tmp_path / "home", settlements) as found:
        yield found


async def begun(served: Served) -> str:
    reply = await served.http.post(
        SAY, files={"photos": ("../quay.jpg", PHOTO)}, data={"session": "", "options": "{}"}
    )
    assert reply.status_code == 200, reply.text
    found: str = reply.json()["session"]
    run = served.sessions.running(found)
    assert run is not None
    assert run.wait(20), run.error
    return found


def photos_kept(served: Served) -> set[str]:
    return {path.stem for path in served.sessions.photos.root.rglob("*.jpg")}


UNFIT = (
    {"region": "{"}, {"region": "[1, 2]"}, {"region": '{"type": "Point"}'},
    {"options": "nonsense"}, {"options": '{"recipe": 3}'}, {"options": '{"unknown": 1}'},
    {"text": "a" * 5000}, {"session": "", "other": "1"},
)  # fmt: skip


async def test_what_does_not_fit_is_refused_and_leaves_nothing(served: Served) -> None:
    for words in UNFIT:
        reply = await served.http.post(SAY, files={"photos": ("a.jpg", PHOTO)}, data=words)
        refused(reply, 422)
        assert served.sessions.search() == [], words
        assert photos_kept(served) == set(), words


async def test_what_is_no_photo_or_no_session_is_refused(served: Served) -> None:
    refused(await served.http.post(SAY, data={"text": "hello"}), 415)
    refused(await served.http.post(SAY, files={"photos": ("a.jpg", b"no picture")}), 422)
    refused(await served.http.post(SAY, json={"text": "hello"}), 422)
    refused(await served.http.post(SAY, json={"text": "hello", "session": "../x"}), 404)
    assert served.sessions.search() == []
    assert photos_kept(served) == set()


async def test_a_message_to_a_session_at_work_leaves_no_photo(
    tmp_path: Path, settlements: Settlements
) -> None:
    gate = threading.Event()
    async with serving(tmp_path, settlements, Steady(1, gate)) as served:
        reply = await served.http.post(SAY, files={"photos": ("quay.jpg", PHOTO)})
        session = reply.json()["session"]
        before = photos_kept(served)
        reply = await served.http.post(
            SAY, files={"photos": ("b.jpg", OTHER)}, data={"session": session}
        )
        gate.set()
        refused(reply, 409)
        assert photos_kept(served) == before
        assert served.sessions.get(session).name == "quay.jpg"


async def test_a_second_photo_and_an_area_are_said(served: Served) -> None:
    session = await begun(served)
    first = served.sessions.get(session).photos
    square = [[10, 47], [14, 47], [14, 50], [10, 50], [10, 47]]
    area = {"type": "Feature", "properties": {"inside": False},
            "geometry": {"type": "Polygon", "coordinates": [square]}}  # fmt: skip
    reply = await served.http.post(
        SAY, files={"photos": ("b.jpg", OTHER)},
        data={"session": session, "region": json.dumps(area), "text": "not there"},
    )  # fmt: skip
    assert reply.status_code == 200, reply.text
    run = served.sessions.running(session)
    assert run is not None
    assert run.wait(20), run.error
    (told,) = [e.data for e in served.sessions.events(session) if e.kind == "message"][1:]
    assert told["region"] == area
    assert set(told["photos"]) - set(first) == photos_kept(served) - set(first)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "method", "cost"),
    [
        ("/page/_nicegui/3.0/static/a.js", "GET", 0), ("/page/files/static/page.js", "GET", 0),
        ("/page/files/photos/abc", "GET", 0.1), ("/page/files/outlines", "GET", 0.1),
        ("/page/files/say", "POST", 1), ("/page/_nicegui/client/1/upload/2", "PUT", 1),
        ("/page/s/1", "GET", 1), ("/page/_nicegui_ws/socket.io/", "", 1), ("/v1/locate", "POST", 1),
    ],
)  # fmt: skip
def test_the_parts_of_a_page_count_little(path: str, method: str, cost: float) -> None:
    assert cost_of(path, method) == cost


async def test_a_list_of_thumbnails_does_not_use_up_a_key(served: Served) -> None:
    session = await begun(served)
    (photo,) = served.sessions.get(session).photos
    key = {"x-api-key": KeyRing(served.sessions.settings.home).create("b", rate_per_minute=5)[1]}
    for _ in range(40):
        reply = await served.http.get(f"/page/files/photos/{photo}?side=160", headers=key)
        assert reply.status_code == 200
        assert (await served.http.get("/page/files/static/page.js", headers=key)).is_success
    reply = await served.http.get(f"/page/files/photos/{photo}?side=160", headers=key)
    assert 0 <= int(reply.headers["ratelimit"].split(";")[1].removeprefix("r=")) <= 1
    for _ in range(30):
        reply = await served.http.get(f"/page/files/photos/{photo}?side=160", headers=key)
    refused(reply, 429, "rate")


async def test_the_page_asks_a_browser_for_a_key_that_may_act(served: Served) -> None:
    ring = KeyRing(served.sessions.settings.home)
    look = {"x-api-key": ring.create("look", scopes=("read",))[1]}
    for path in ("/", "/page/", "/page/s/1"):
        reply = await served.http.get(path, headers={"accept": "text/html"})
        refused(reply, 401, "no_key")
        assert reply.headers["www-authenticate"].startswith("Basic ")
    refused(await served.http.get("/page/", headers=look), 403, "scope")
    refused(await served.http.get("/page/files/outlines"), 401)
    refused(await served.http.post(SAY, files={"photos": ("a.jpg", PHOTO)}), 401)
