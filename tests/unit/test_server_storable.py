"""JSON that no store can keep is refused on every route that would keep it, and leaves nothing."""

import base64
from pathlib import Path

import pytest

from agent.factors import Settlements
from server.storable import check_storable
from tests.protocol_samples import shown
from tests.unit.server_samples import PHOTO, serving

UNKEPT = {
    "more than 64 bits": "1" + "0" * 30,
    "unsigned": str(2**64 - 1),
    "thousands of digits": "1" + "0" * 5000,
    "no number": "NaN",
    "infinite": "1e999",
    "half a character": '"\\ud800"',
    "no UTF-8": '"\udcff"',
    "zero character": '"a\\u0000b"',
    "zero character in a name": '{"a\\u0000": 1}',
    "deep": "[" * 45 + "]" * 45,
    "very deep": "[" * 100_000 + "]" * 100_000,
    "a whole file": f'"{"x" * 300_000}"',
}
ROUTES = (
    ("POST", "/v1/sessions", '{"metadata": {"a": @}}'),
    ("PATCH", "/v1/sessions/{id}", '{"metadata": {"a": @}}'),
    ("POST", "/v1/sessions/{id}/resume", '{"reply": @}'),
    ("POST", "/v1/sessions/{id}/assessments", '{"verdict": "right", "revision": @}'),
    ("POST", "/threads", '{"metadata": {"a": @}}'),
    ("PATCH", "/threads/{id}", '{"metadata": {"a": @}}'),
    ("PUT", "/store/items", '{"namespace": ["a"], "key": "k", "value": {"a": @}}'),
    ("POST", "/threads/{id}/runs/wait", '{"assistant_id": "graticule", "metadata": {"a": @}}'),
)


async def test_what_cannot_be_kept_is_refused(tmp_path: Path, settlements: Settlements) -> None:
    async with serving(tmp_path, settlements) as (_, sessions, http):
        held = sessions.create()
        for method, path, text in ROUTES:
            for what, value in UNKEPT.items():
                body = text.replace("@", value).encode(errors="surrogateescape")
                reply = await http.request(
                    method, path.format(id=held.id), content=body,
                    headers={"content-type": "application/json"},
                )  # fmt: skip
                assert reply.status_code in (400, 422), (path, what, reply.text[:300])
                assert reply.headers["content-type"] == "application/problem+json"
        assert [one.id for one in sessions.search()] == [held.id]
        assert sessions.get(held.id).metadata == {}
        assert sessions.get(held.id).status == "new"
        found = await http.post("/store/items/search", json={"namespace_prefix": ["a"]})
        assert found.json() == {"items": []}


async def test_filters_and_nodes_that_do_not_fit_are_the_clients_fault(
    tmp_path: Path, settlements: Settlements
) -> None:
    async with serving(tmp_path, settlements) as (_, sessions, http):
        held = sessions.create()
        for path, asked in (
            ("/store/items/search", {"filter": {"a; b": 1}}),
            (f"/threads/{held.id}/history", {"metadata": {"a": 2**63}}),
            (f"/threads/{held.id}/state", {"values": {"hint": "x"}, "as_node": "nowhere"}),
        ):
            reply = await http.post(path, json=asked)
            assert reply.status_code == 422, (path, reply.text)


async def test_an_unknown_photo_tells_of_no_other(tmp_path: Path, settlements: Settlements) -> None:
    async with serving(tmp_path, settlements) as (_, sessions, http):
        mine = sessions.photos.add(PHOTO).id
        for reply in (
            await http.get("/v1/photos/00000000/facts"),
            await http.post("/threads", json={}),
        ):
            assert mine[:8] not in reply.text
        asked = {"assistant_id": "graticule", "input": {"photo_id": "0" * 64}}
        refused = await http.post("/runs/wait", json=asked)
        assert refused.status_code == 422
        assert mine[:8] not in refused.text


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 1.5, 1e17, "é", None, True, [[{"a": []}]]])
def test_the_rest_is_kept(value: object) -> None:
    check_storable(value)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 1e30, float("nan"), "\0", {"\0": 1}])
def test_what_is_not_kept_is_named(value: object) -> None:
    with pytest.raises(ValueError, match=r"bits|no number|zero character"):
        check_storable({"a": [value]})


async def test_an_ended_run_holds_no_photo(tmp_path: Path, settlements: Settlements) -> None:
    asked = {"assistant_id": "graticule", "input": shown(PHOTO)}
    async with serving(tmp_path, settlements) as (app, _, http):
        made = (await http.post("/threads", json={})).json()["thread_id"]
        ended = await http.post(f"/threads/{made}/runs/wait", json=asked)
        assert ended.status_code == 200
        (run,) = app.state.runs.of_thread(made)
        assert run.session_run is None
        assert base64.b64encode(PHOTO).decode()[-200:] not in repr((run.request, run.said))
