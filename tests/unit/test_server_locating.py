"""`/v1/locate` and the sessions by plain HTTP."""

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.answer import LEAD_NOT_PROOF
from agent.factors import Settlements
from agent.trace import check_trace
from tests.unit.photo_samples import encoded, gps_exif, picture
from tests.unit.server_samples import (
    JPEG,
    OTHER,
    PHOTO,
    STREAM,
    Served,
    frames,
    refused,
    serving,
)
from tests.unit.session_samples import Steady

NOBODY = "00000000-0000-4000-8000-000000000000"
SQUARE = {
    "type": "Polygon",
    "coordinates": [[[10, 47], [14, 47], [14, 50], [10, 50], [10, 47]]],
}


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
async def served(tmp_path: Path, settlements: Settlements) -> AsyncIterator[Served]:
    async with serving(tmp_path / "home", settlements) as found:
        yield found


async def begun(served: Served, **words: Any) -> str:
    reply = await served.http.post(
        "/v1/locate", files={"photo": ("quay.jpg", PHOTO)}, data={"hint": "a quay", **words}
    )
    assert reply.status_code == 200, reply.text
    found: str = reply.json()["session_id"]
    return found


async def test_the_three_ways_to_hand_in_a_photo_give_one_answer(served: Served) -> None:
    replies = [
        await served.http.post("/v1/locate", content=PHOTO, headers=JPEG, params={"hint": "here"}),
        await served.http.post("/v1/locate", json={"image": base64_of(PHOTO), "hint": "here"}),
        await served.http.post(
            "/v1/locate", files={"photo": ("a.jpg", PHOTO)}, data={"hint": "here"}
        ),
        await served.http.post(
            "/v1/locate",
            json={"image": f"data:image/jpeg;base64,{base64_of(PHOTO)}", "hint": "here"},
        ),
    ]
    answers = []
    for reply in replies:
        assert reply.status_code == 200, reply.text
        outcome = reply.json()
        assert outcome["status"] == "idle"
        assert outcome["caution"] == outcome["answer"]["caution"] == LEAD_NOT_PROOF
        assert reply.headers["content-location"] == f"/v1/sessions/{outcome['session_id']}"
        told = [event.data for event in served.sessions.events(outcome["session_id"])]
        assert any(data.get("text") == "here" for data in told), "the hint was lost"
        answers.append((outcome["answer"]["latitude"], outcome["answer"]["photo_id"]))
    assert len(set(answers)) == 1


async def test_words_of_a_form_are_as_strict_as_json(served: Served) -> None:
    form = {"photo": ("a.jpg", PHOTO)}
    for field, value in (("trajectories", "9"), ("trust_metadata", "perhaps"), ("nothing", "1")):
        reply = await served.http.post("/v1/locate", files=form, data={field: value})
        assert refused(reply, 422, "unfitting")["errors"][0]["where"] == f"form.{field}"
    reply = await served.http.post("/v1/locate", json={"image": "", "trust_metadata": 0})
    refused(reply, 422, "unfitting")
    assert served.sessions.search() == []


async def test_trusting_metadata_is_a_choice(served: Served) -> None:
    exif = gps_exif(GPSLatitudeRef="N", GPSLatitude=(48, 8, 15), GPSLongitudeRef="E",
                    GPSLongitude=(11, 34, 30))  # fmt: skip
    photo = encoded(picture(80, 60), exif=exif)
    plain = await served.http.post("/v1/locate", content=photo, headers=JPEG)
    trusted = await served.http.post(
        "/v1/locate", content=photo, headers=JPEG, params={"trust_metadata": "true"}
    )
    assert plain.json()["answer"]["trusted_metadata"] is False
    assert "48.1375" not in plain.text
    assert trusted.json()["answer"]["trusted_metadata"] is True


async def test_a_stream_has_ids_and_an_end(served: Served) -> None:
    reply = await served.http.post("/v1/locate", json={"image": base64_of(PHOTO)}, headers=STREAM)
    assert reply.headers["content-type"].startswith("text/event-stream")
    first, *told, last = frames(reply.text)
    assert (first.event, last.event) == ("session", "end")
    session_id = first.data["session_id"]
    assert [int(frame.id) for frame in told] == list(range(1, len(told) + 1))
    assert told[-1].event == "answer"
    assert last.data == {
        "session_id": session_id, "status": "idle", "revision": 1, "last_event": len(told),
    }  # fmt: skip
    written = [event.model_dump(mode="json") for event in served.sessions.events(session_id)]
    assert [frame.data for frame in told] == written
    assert check_trace(served.sessions.trace_path(session_id)).finished

    again = await served.http.get(
        f"/v1/sessions/{session_id}/events", headers={**STREAM, "last-event-id": "5"}
    )
    assert frames(again.text)[1:-1] == told[5:]
    document = await served.http.get(f"/v1/sessions/{session_id}/events", params={"after": 5})
    assert document.json()["events"] == written[5:]
    for bad in ("x", "-1", "1e3", "²"):
        headers = [(b"last-event-id", bad.encode())]
        refused(await served.http.get(f"/v1/sessions/{session_id}/events", headers=headers), 422)


async def test_followers_of_a_run_lose_and_repeat_nothing(
    tmp_path: Path, settlements: Settlements
) -> None:
    gate = threading.Event()
    async with serving(tmp_path, settlements, Steady(3, gate)) as served:
        session_id = served.sessions.create(PHOTO).id
        run = served.sessions.send(session_id)

        async def follow(after: int) -> list[int]:
            reply = await served.http.get(
                f"/v1/sessions/{session_id}/events",
                headers={**STREAM, "last-event-id": str(after)},
            )
            assert frames(reply.text)[-1].event == "end"
            return [int(frame.id) for frame in frames(reply.text)[1:-1]]

        following = [asyncio.create_task(follow(after)) for after in (0, 2, 4) for _ in range(4)]
        await asyncio.sleep(0.1)
        gate.set()
        found = await asyncio.gather(*following)
        run.wait(30)
        last = len(list(served.sessions.events(session_id)))
        for numbers in found:
            assert numbers == list(range(numbers[0], last + 1))
        assert sorted({numbers[0] for numbers in found}) == [1, 3, 5]


async def test_a_conversation(served: Served) -> None:
    session_id = await begun(served)
    where = f"/v1/sessions/{session_id}"
    assert (await served.http.get(where)).json()["name"] == "quay.jpg"
    first = (await served.http.get(f"{where}/answer")).json()
    assert first["revision"] == 1

    message = {"text": "it is in Germany"}
    second = await served.http.post(f"{where}/messages", json=message)
    assert second.json()["answer"]["revision"] == 2
    withdrawn = [one for step in first["steps"] for one in step["evidence_ids"]][:1]
    third = await served.http.post(f"{where}/messages", json={"withdraw": withdrawn})
    assert third.json()["answer"]["withdrawn"] == withdrawn
    fourth = await served.http.post(f"{where}/messages", files={"photo": ("b.jpg", OTHER)})
    assert len(fourth.json()["answer"]["photos"]) == 2
    answers = (await served.http.get(f"{where}/answers")).json()["answers"]
    assert [one["revision"] for one in answers] == [1, 2, 3, 4]
    assert (await served.http.get(f"{where}/answers/1")).json() == first
    refused(await served.http.get(f"{where}/answers/9"), 404, "unknown_revision")
    refused(await served.http.post(f"{where}/messages", json={}), 422, "bad_input")
    refused(await served.http.post(f"{where}/messages", json={"withdraw": ["e0"]}), 422)
    refused(await served.http.post(f"{where}/resume", json={}), 422, "bad_input")


async def test_a_region_that_is_drawn(served: Served) -> None:
    where = f"/v1/sessions/{await begun(served)}/messages"
    inside = await served.http.post(where, json={"region": SQUARE})
    assert inside.json()["answer"]["revision"] == 2, inside.text
    form = await served.http.post(where, data={"region": json.dumps(SQUARE)}, files={"x": b""})
    refused(form, 422)  # an empty file is no photo
    bad = {"type": "Polygon", "coordinates": [[[0, 0], [200, 95]]]}
    refused(await served.http.post(where, json={"region": bad}), 422, "bad_input")


async def test_forks_names_verdicts_and_deletion(served: Served) -> None:
    session_id = await begun(served)
    where = f"/v1/sessions/{session_id}"
    moments = (await served.http.get(f"{where}/history")).json()["moments"]
    at = next(one for one in moments if one["next"])
    branch = await served.http.post(
        f"{where}/fork", json={"checkpoint_id": at["checkpoint_id"], "name": "without text",
                               "options": {"without": ["read_text"]}},
    )  # fmt: skip
    assert branch.status_code == 201, branch.text
    assert branch.json()["parent"] == session_id
    assert branch.headers["location"] == f"/v1/sessions/{branch.json()['id']}"
    gone_on = await served.http.post(f"{branch.headers['location']}/resume")
    assert gone_on.json()["status"] == "idle", gone_on.text

    named = await served.http.patch(where, json={"name": "<b>the quay</b>"})
    assert named.json()["name"] == "<b>the quay</b>"
    listed = (await served.http.get("/v1/sessions", params={"query": "quay</b>"})).json()
    assert [one["id"] for one in listed["sessions"]] == [session_id]

    verdict = {"verdict": "near", "revision": 1, "latitude": 48.1, "longitude": 11.5}
    kept = await served.http.post(f"{where}/assessments", json=verdict)
    assert kept.status_code == 201
    assert (await served.http.get(f"{where}/assessments")).json()["assessments"] == [kept.json()]
    refused(await served.http.post(f"{where}/assessments", json={**verdict, "latitude": 91}), 422)
    refused(await served.http.post(f"{where}/assessments", json={**verdict, "latitude": True}), 422)

    assert (await served.http.delete(where)).status_code == 204
    for path in ("", "/answer", "/answers", "/history", "/events", "/assessments"):
        refused(await served.http.get(where + path), 404, "unknown_session")
    refused(await served.http.delete(where), 404)


async def test_sessions_that_there_are_not(served: Served) -> None:
    for session_id in (NOBODY, "x", "..%2f..%2fetc", "%00", "ü"):
        where = f"/v1/sessions/{session_id}"
        for path in ("", "/answer", "/answers/1", "/events", "/history"):
            assert refused(await served.http.get(where + path), 404)
        for path, body in (("messages", {"text": "hi"}), ("resume", {}), ("stop", {}),
                           ("fork", {}), ("assessments", {"verdict": "right"})):  # fmt: skip
            reply = await served.http.post(f"{where}/{path}", json=body)
            if path != "stop" or session_id != NOBODY:
                refused(reply, 404)
    assert not (served.sessions.settings.home / "sessions").exists()


async def test_two_writers(tmp_path: Path, settlements: Settlements) -> None:
    gate = threading.Event()
    async with serving(tmp_path, settlements, Steady(1, gate)) as served:
        where = f"/v1/sessions/{served.sessions.create(PHOTO).id}"
        first = asyncio.create_task(served.http.post(f"{where}/messages", json={"text": "one"}))
        for _ in range(500):
            if (await served.http.get(where)).json()["status"] == "busy":
                break
            await asyncio.sleep(0.01)
        second = await served.http.post(f"{where}/messages", files={"photo": ("b.jpg", OTHER)})
        refused(second, 409, "session_busy")
        assert int(second.headers["retry-after"]) >= 1
        refused(await served.http.delete(where), 409)
        assert len(list((tmp_path / "photos").glob("*.jpg"))) == 1, "a refused photo stays"
        stopping = await served.http.post(f"{where}/stop")
        assert stopping.json()["stopping"] is True
        gate.set()
        assert (await first).json()["status"] == "stopped"
        again = await served.http.post(f"{where}/resume")
        assert again.json()["status"] == "idle"


async def test_photos_that_cannot_be_used_leave_nothing(served: Served) -> None:
    bomb = encoded(picture(64, 48), "PNG").replace(
        (64).to_bytes(4, "big") + (48).to_bytes(4, "big"),
        (60_000).to_bytes(4, "big") + (60_000).to_bytes(4, "big"),
    )
    for data in (b"", b"%PDF-1.7", b"<svg/>", PHOTO[:200], bomb):
        refused(await served.http.post("/v1/locate", content=data, headers=JPEG), 422, "bad_input")
    refused(await served.http.post("/v1/locate", json={"image": "?"}), 422, "bad_input")
    two = [("photo", ("a.jpg", PHOTO)), ("photo", ("b.jpg", OTHER))]
    refused(await served.http.post("/v1/locate", files=two), 422, "bad_input")
    refused(await served.http.post("/v1/locate", json={}), 422, "bad_input")
    assert served.sessions.search() == []
    assert not list((served.sessions.settings.home / "photos").glob("*"))


async def test_names_of_files_lead_nowhere(served: Served) -> None:
    for name in ("../../etc/passwd.jpg", "..\\..\\boot.jpg", "/abs.jpg", "a\x00b.jpg", "x" * 500):
        reply = await served.http.post("/v1/locate", files={"photo": (name, OTHER)})
        assert reply.status_code == 200, reply.text
        shown = reply.json()["answer"]["photo_name"]
        assert "/" not in shown
        assert ".." not in shown.removesuffix("…")
        assert len(shown) <= 200
    files = {path.suffix for path in (served.sessions.settings.home / "photos").iterdir()}
    assert files <= {".jpg", ".json"}


async def test_bodies_that_are_no_bodies(served: Served) -> None:
    http = served.http
    xml = {"content-type": "application/xml"}
    refused(await http.post("/v1/locate", content=b"<a/>", headers=xml), 415, "bad_body")
    refused(await http.post("/v1/locate"), 415)
    json_type = {"content-type": "application/json"}
    for text in (b"{", b"", b"[]", b"\xff", b'{"image":1}', b'{"image":"","x":1}', b"NaN"):
        reply = await http.post("/v1/locate", content=text, headers=json_type)
        assert reply.status_code in (400, 422), text
    form = {"content-type": "multipart/form-data; boundary=b"}
    whole = (
        b'--b\r\ncontent-disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
        + PHOTO + b"\r\n--b--\r\n"
    )  # fmt: skip
    assert (await http.post("/v1/locate", content=whole, headers=form)).status_code == 200
    for cut in (whole[:-6], whole[:40], b"", b"no form", whole.replace(b'name="photo"; ', b"")):
        refused(await http.post("/v1/locate", content=cut, headers=form), 400)
    no_boundary = {"content-type": "multipart/form-data"}
    refused(await http.post("/v1/locate", content=whole, headers=no_boundary), 400)
    refused(await http.put("/v1/locate", content=b""), 405)
    refused(await http.get("/v1/nothing"), 404)


async def test_an_address_is_not_fetched_unless_enabled(served: Served) -> None:
    reply = await served.http.post("/v1/locate", json={"url": "http://127.0.0.1/a.jpg"})
    assert "GRATICULE_SERVER__FETCH_URLS" in refused(reply, 403, "no_fetching")["detail"]


async def test_a_session_that_has_not_begun(served: Served) -> None:
    made = await served.http.post("/v1/sessions", json={"name": "later", "metadata": {"a": [1]}})
    assert made.status_code == 201
    where = made.headers["location"]
    refused(await served.http.get(f"{where}/answer"), 409, "no_answer")
    refused(await served.http.post(f"{where}/fork", json={}), 409, "not_begun")
    assert (await served.http.get(f"{where}/answers")).json()["answers"] == []
    assert (await served.http.get(f"{where}/events")).json()["events"] == []
    stream = await served.http.get(f"{where}/events", headers=STREAM)
    assert [frame.event for frame in frames(stream.text)] == ["session", "end"]
    first = await served.http.post(f"{where}/messages", files={"photo": ("a.jpg", PHOTO)})
    assert first.json()["answer"]["revision"] == 1
    fork = {"checkpoint_id": "none"}
    refused(await served.http.post(f"{where}/fork", json=fork), 422, "unknown_checkpoint")
    stopped = await served.http.post(f"{where}/stop")
    assert stopped.json()["stopping"] is False


async def test_json_that_stores_cannot_keep(served: Served) -> None:
    deep: list[Any] = []
    for _ in range(40):
        deep = [deep]
    for value in (2**63, -(2**63) - 1, [1, {"x": 10**30}], deep, "x" * 300_000):
        reply = await served.http.post("/v1/sessions", json={"metadata": {"k": value}})
        refused(reply, 422, "unfitting")
    fits = {"k": [2**63 - 1, -(2**63), 1.5, True, None, "ü"]}
    reply = await served.http.post("/v1/sessions", json={"metadata": fits})
    assert reply.json()["metadata"] == fits
    assert len(served.sessions.search()) == 1


async def test_a_path_tells_all_its_methods(served: Served) -> None:
    reply = await served.http.put("/v1/sessions", json={})
    refused(reply, 405)
    assert {"GET", "POST"} <= set(reply.headers["allow"].split(", "))


async def test_a_photo_that_breaks_in_a_stream_is_told_of(served: Served) -> None:
    broken = encoded(picture(200, 150), "PNG")
    middle = len(broken) // 2
    broken = broken[:middle] + bytes(64) + broken[middle + 64 :]
    stream = {**JPEG, **STREAM}
    refused(await served.http.post("/v1/locate", content=b"no photo", headers=stream), 422)
    reply = await served.http.post("/v1/locate", content=broken, headers=stream)
    first, error, end = frames(reply.text)
    assert (first.event, error.event, end.event) == ("session", "error", "end")
    assert (error.data["status"], error.data["code"]) == (422, "bad_input")
    assert end.data["status"] == "error"
    assert served.sessions.search() == []
    assert not list((served.sessions.settings.home / "photos").glob("*"))
