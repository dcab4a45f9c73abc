"""Threads, runs, streams and states as LangGraph's clients speak of them, over a real socket."""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.factors import Settlements
from server.assistants import assistant_id
from tests.protocol_samples import (
    PLEASE,
    Service,
    Talker,
    big_photo,
    events_in,
    photo,
    service,
    shown,
)

logger = logging.getLogger(__name__)
ALL = [
    "values", "updates", "messages", "messages-tuple", "custom", "tasks", "checkpoints", "debug",
    "events",
]  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, settlements: Settlements) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("home"), settlements) as held:
        yield held


@pytest.fixture
def one(shared: Service) -> Service:
    shared.talker.gate.set()
    shared.talker.waiting.clear()
    return shared


def ask(data: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    return {"assistant_id": "graticule", "input": data, **more}


def held(one: Service, thread: str, **more: Any) -> dict[str, Any]:
    """Begin a run that waits in its first turn, and return it."""
    one.talker.gate.clear()
    made = one.client.post(f"/threads/{thread}/runs", json=ask(shown(photo()), **more))
    assert made.status_code == 200, made.text
    assert one.talker.waiting.wait(10)
    run: dict[str, Any] = made.json()
    return run


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    return str(answer.json()["detail"])


def test_there_is_an_assistant_for_every_recipe_and_one_that_chooses(one: Service) -> None:
    rows = one.client.post("/assistants/search", json={"limit": 100}).json()
    assert {"graticule", "agentic", "pipeline", "g3"} <= {row["graph_id"] for row in rows}
    assert one.client.post("/assistants/count", json={}).json() == len(rows)
    by_name = one.client.get("/assistants/agentic").json()
    assert by_name["assistant_id"] == assistant_id("agentic")
    assert one.client.get(f"/assistants/{by_name['assistant_id']}").json() == by_name
    assert "choose from graticule" in problem(one.client.get("/assistants/none"), 404)
    page = one.client.post("/assistants/search", json={"limit": 2})
    assert page.headers["x-pagination-next"] == "2"
    nodes = one.client.get("/assistants/graticule/graph").json()["nodes"]
    assert {"observe", "decide", "follow_up"} <= {node["id"] for node in nodes}


def test_a_thread_before_its_first_run(one: Service) -> None:
    thread = one.thread(metadata={"mine": 1})
    seen = one.client.get(f"/threads/{thread}").json()
    assert (seen["status"], seen["values"], seen["interrupts"]) == ("idle", None, {})
    assert seen["metadata"]["mine"] == 1
    state = one.client.get(f"/threads/{thread}/state").json()
    assert (state["values"], state["next"], state["tasks"]) == ({}, [], [])
    assert state["checkpoint"]["thread_id"] == thread
    assert one.client.post(f"/threads/{thread}/history", json={}).json() == []
    again = {"thread_id": thread}
    assert "already" in problem(one.client.post("/threads", json=again), 409)
    same = one.client.post("/threads", json={**again, "if_exists": "do_nothing"})
    assert same.json()["thread_id"] == thread


@pytest.mark.parametrize("style", ["url", "chat-ui", "langchain"])
def test_a_photo_in_a_message_is_located_and_leaves_no_pixels(one: Service, style: str) -> None:
    thread, data = one.thread(), photo(7)
    answer = one.client.post(
        f"/threads/{thread}/runs/wait", json=ask(shown(data, "by the sea", style=style))
    )
    values = answer.json()
    assert values["answer"]["photo_id"] == values["photo_id"]
    assert values["hint"] == ""
    assert values["messages"][0]["content"] == [{"type": "text", "text": "by the sea"}]
    assert values["messages"][0]["additional_kwargs"]["photo_ids"] == [values["photo_id"]]
    assert values["messages"][-1]["type"] == "ai"
    assert one.sessions.get(thread).photos == (values["photo_id"],)
    everything = one.client.post(f"/threads/{thread}/history", json={"limit": 100}).text
    assert "base64" not in everything


def test_a_stream_has_numbered_events_of_the_modes_asked_for_and_an_end(one: Service) -> None:
    thread = one.thread()
    answer = one.client.post(
        f"/threads/{thread}/runs/stream", json=ask(shown(photo()), stream_mode=ALL)
    )
    events = events_in(answer.text)
    run_id = events[0][2]["run_id"]
    assert answer.headers["location"] == f"/threads/{thread}/runs/{run_id}/stream"
    assert answer.headers["content-location"] == f"/threads/{thread}/runs/{run_id}"
    assert [number for number, *_ in events] == list(range(1, len(events) + 1))
    assert {name for _, name, _ in events} == {
        "metadata", "values", "updates", "messages", "messages/metadata", "messages/complete",
        "custom", "tasks", "checkpoints", "debug", "events", "end",
    }  # fmt: skip
    by_name: dict[str, list[Any]] = {}
    for _, name, data in events:
        by_name.setdefault(name, []).append(data)
    assert by_name["values"][-1]["answer"]["revision"] == 1
    assert [*by_name["updates"][0]] == ["observe"]
    message, about = by_name["messages"][-1]
    assert (message["type"], about["langgraph_node"]) == ("ai", "conclude")
    assert {one["kind"] for one in by_name["custom"]} >= {"photo", "tool_result", "answer"}
    assert by_name["checkpoints"][-1]["checkpoint"]["thread_id"] == thread
    assert by_name["events"][-2]["event"] == "on_chain_end"


def test_only_what_was_asked_for_is_sent(one: Service) -> None:
    answer = one.client.post(
        "/runs/stream", json=ask(shown(photo()), stream_mode=["updates", "messages-tuple"])
    )
    assert {name for _, name, _ in events_in(answer.text)} == {
        "metadata", "updates", "messages", "end",
    }  # fmt: skip


def test_a_question_is_shown_everywhere_and_answered_by_a_command(one: Service) -> None:
    thread = one.thread()
    asked = ask(shown(photo(), PLEASE), stream_mode=["updates", "values"])
    events = events_in(one.client.post(f"/threads/{thread}/runs/stream", json=asked).text)
    waiting = next(
        d["__interrupt__"] for _, n, d in events if n == "updates" and "__inter" in str(d)
    )
    assert waiting[0]["value"]["action_request"]["args"]["question"] == "Which country?"
    assert [d for _, n, d in events if n == "values"][-1]["__interrupt__"] == waiting
    seen = one.client.get(f"/threads/{thread}").json()
    assert seen["status"] == "interrupted"
    assert next(iter(seen["interrupts"].values())) == waiting
    state = one.client.get(f"/threads/{thread}/state").json()
    assert (state["next"], state["interrupts"]) == (["ask"], waiting)
    found = one.client.post("/threads/search", json={"status": "interrupted"}).json()
    assert thread in {row["thread_id"] for row in found}
    reply = {"resume": [{"type": "response", "args": "Germany"}]}
    ended = one.client.post(f"/threads/{thread}/runs/wait", json=ask(None, command=reply)).json()
    assert ended["answer"]["country"] == "DE"
    assert one.client.get(f"/threads/{thread}").json()["status"] == "idle"


def test_whoever_was_cut_off_goes_on_after_the_last_event(one: Service) -> None:
    thread = one.thread()
    run = held(one, thread, stream_mode=["values", "custom", "messages"])
    path = f"/threads/{thread}/runs/{run['run_id']}/stream"
    first = b""
    with one.client.stream("GET", path) as cut:
        for chunk in cut.iter_raw():
            first += chunk
            if first.count(b"\r\n\r\n") >= 3:
                break
    before = events_in(first.decode().rpartition("\r\n\r\n")[0] + "\r\n\r\n")
    one.talker.gate.set()
    last = {"Last-Event-ID": str(before[-1][0])}
    after = events_in(one.client.get(path, headers=last).text)
    assert after[-1][1] == "end"
    whole = events_in(one.client.get(path, headers={"Last-Event-ID": "-1"}).text)
    assert before + after == whole
    only = events_in(one.client.get(path, params={"stream_mode": "custom"}).text)
    assert only == [item for item in whole if item[1] in ("metadata", "custom", "end")]


def test_a_thread_is_followed_over_all_its_runs(one: Service) -> None:
    thread = one.thread()
    one.client.post(f"/threads/{thread}/runs/wait", json=ask(shown(photo())))
    told = ""
    with one.client.stream("GET", f"/threads/{thread}/stream") as stream:
        more = {"messages": "it is not France"}
        run = one.client.post(f"/threads/{thread}/runs", json=ask(more)).json()
        for line in stream.iter_lines():
            told += line + "\n"
            if "run_done" in told and not line:
                break
    names = [line.removeprefix("event: ") for line in told.splitlines() if "event: " in line]
    assert [names[0], names[-1]] == ["metadata", "metadata"]
    assert set(names[1:-1]) == {"values"}
    assert f"id: {run['run_id']}_1\n" in told


def test_a_second_run_waits_is_refused_or_takes_over(one: Service) -> None:
    thread = one.thread()
    first = held(one, thread)
    path = f"/threads/{thread}/runs"
    again = {**ask({"messages": "it is not France"}), "multitask_strategy": "reject"}
    assert "busy" in problem(one.client.post(path, json=again), 409)
    back = {**again, "multitask_strategy": "rollback"}
    assert "interrupt" in problem(one.client.post(path, json=back), 409)
    waits = one.client.post(path, json={**again, "multitask_strategy": "enqueue"}).json()
    assert waits["status"] == "pending"
    assert one.client.get(f"/threads/{thread}").json()["status"] == "busy"
    assert "cancel" in problem(one.client.delete(f"/threads/{thread}"), 409)
    assert "not ended" in problem(one.client.delete(f"{path}/{first['run_id']}"), 409)
    one.talker.gate.set()
    ended = one.client.get(f"{path}/{waits['run_id']}/join").json()
    assert ended["answer"]["revision"] == 2
    rows = one.client.get(path).json()
    assert [(row["run_id"], row["status"]) for row in rows] == [
        (waits["run_id"], "success"), (first["run_id"], "success"),
    ]  # fmt: skip


def test_an_interrupting_run_stops_the_one_before(one: Service) -> None:
    thread = one.thread()
    first = held(one, thread)
    path = f"/threads/{thread}/runs"
    with ThreadPoolExecutor() as pool:
        more = ask({"messages": "it is not France"}, multitask_strategy="interrupt")
        second = pool.submit(one.client.post, f"{path}/wait", json=more)
        time.sleep(0.1)
        one.talker.gate.set()
        assert second.result(20).json()["answer"]["revision"] == 1
    assert one.client.get(f"{path}/{first['run_id']}").json()["status"] == "interrupted"


def test_a_cancelled_run_stops_and_goes_on_later(one: Service) -> None:
    thread = one.thread()
    run = held(one, thread)
    path = f"/threads/{thread}/runs/{run['run_id']}"
    assert "rollback" in problem(one.client.post(f"{path}/cancel?action=rollback"), 422)
    assert one.client.post(f"{path}/cancel").status_code == 202
    one.talker.gate.set()
    assert one.client.post(f"{path}/cancel?wait=1").status_code == 204
    assert one.client.get(path).json()["status"] == "interrupted"
    assert one.client.get(f"/threads/{thread}").json()["status"] == "interrupted"
    assert events_in(one.client.get(f"{path}/stream").text)[-1][1] == "end"
    ended = one.client.post(f"/threads/{thread}/runs/wait", json=ask(None)).json()
    assert ended["answer"]["revision"] == 1
    nothing_left = one.client.post(f"/threads/{thread}/runs/wait", json=ask(None)).json()
    assert nothing_left == ended
    assert len(list(one.sessions.answers(thread))) == 1
    assert one.client.delete(path).status_code == 204
    problem(one.client.get(path), 404)


def test_a_client_that_goes_away_takes_its_run_along_if_it_said_so(one: Service) -> None:
    for strategy, status in (("cancel", "interrupted"), ("continue", "success")):
        thread = one.thread()
        one.talker.gate.clear()
        one.talker.waiting.clear()
        asked = ask(shown(photo()), on_disconnect=strategy)
        with one.client.stream("POST", f"/threads/{thread}/runs/stream", json=asked) as cut:
            parts = cut.iter_raw()
            assert next(parts)
            assert one.talker.waiting.wait(10)
            path = cut.headers["content-location"]
        time.sleep(0.2)
        one.talker.gate.set()
        one.client.get(f"{path}/join")
        assert one.client.get(path).json()["status"] == status


def test_history_forks_inside_the_thread_and_state_can_be_changed(one: Service) -> None:
    thread = one.thread()
    path = f"/threads/{thread}"
    first = one.client.post(f"{path}/runs/wait", json=ask(shown(photo()))).json()
    states = one.client.post(f"{path}/history", json={"limit": 100}).json()
    assert states[0]["values"] == first
    page = one.client.get(f"{path}/history", params={"limit": 2}).json()
    before = page[-1]["checkpoint_id"]
    rest = one.client.post(f"{path}/history", json={"limit": 100, "before": before}).json()
    assert page + rest == states
    early = next(state for state in states if state["next"] == ["decide"])
    again = one.client.post(
        f"{path}/runs/wait", json=ask(None, checkpoint={"checkpoint_id": early["checkpoint_id"]})
    ).json()
    assert again["answer"]["revision"] == 1
    named = one.client.get(f"{path}/state/{early['checkpoint_id']}").json()
    assert named == early
    assert one.client.post(
        f"{path}/state/checkpoint", json={"checkpoint": early["checkpoint"]}
    ).json() == early  # fmt: skip
    changed = one.client.post(f"{path}/state", json={"values": {"hint": "by a lake"}})
    state = one.client.get(f"{path}/state").json()
    assert state["checkpoint_id"] == changed.json()["checkpoint_id"]
    assert state["values"]["hint"] == "by a lake"
    forged = {"values": {"answer": {"country": "FR"}}}
    assert "alone" in problem(one.client.post(f"{path}/state", json=forged), 422)
    problem(one.client.get(f"{path}/state/none"), 404)


def test_breakpoints_and_jumps(one: Service) -> None:
    thread = one.thread()
    path = f"/threads/{thread}/runs/wait"
    one.client.post(path, json=ask(shown(photo()), interrupt_before=["conclude"]))
    seen = one.client.get(f"/threads/{thread}").json()
    assert seen["status"] == "interrupted"
    assert one.client.get(f"/threads/{thread}/state").json()["next"] == ["conclude"]
    assert one.client.post(path, json=ask(None)).json()["answer"]["revision"] == 1
    assert "no node" in problem(one.client.post(path, json=ask(None, interrupt_after=["x"])), 422)
    jump = {"goto": "nowhere"}
    assert "no node" in problem(one.client.post(path, json=ask(None, command=jump)), 422)


def test_another_photo_is_another_question_and_a_view_of_it_is_not(one: Service) -> None:
    thread = one.thread()
    path = f"/threads/{thread}/runs/wait"
    first = one.client.post(path, json=ask(shown(photo(1)))).json()
    view = one.client.post(path, json=ask(shown(photo(2), "the same place again"))).json()
    assert view["photo_id"] == first["photo_id"]
    assert view["answer"]["revision"] == 2
    assert len(view["photos"]) == 2
    other = one.client.post(path, json=ask(shown(photo(3), "and this?"))).json()
    assert other["photo_id"] not in view["photos"]
    assert len(one.sessions.get(thread).photos) == 3


def test_a_session_of_another_face_is_a_thread(one: Service) -> None:
    info = one.sessions.create(photo(9), name="from the terminal")
    seen = one.client.post("/threads/search", json={"ids": [info.id]}).json()
    assert seen[0]["metadata"]["name"] == "from the terminal"
    asked = ask({})
    ended = one.client.post(f"/threads/{info.id}/runs/wait", json=asked).json()
    assert ended["photo_id"] == info.photos[0]
    copy = one.client.post(f"/threads/{info.id}/copy").json()
    assert copy["thread_id"] != info.id
    assert copy["values"]["answer"]["photo_id"] == info.photos[0]


def test_threads_are_found_sorted_selected_changed_and_deleted(one: Service) -> None:
    mine = [one.thread(metadata={"owner": "ada", "n": n}) for n in range(3)]
    asked: dict[str, Any] = {"metadata": {"owner": "ada"}}
    found = one.client.post(
        "/threads/search", json={**asked, "sort_by": "created_at", "sort_order": "asc", "limit": 2}
    )
    assert [row["thread_id"] for row in found.json()] == mine[:2]
    assert found.headers["x-pagination-next"] == "2"
    assert one.client.post("/threads/count", json=asked).json() == 3
    only = one.client.post("/threads/search", json={**asked, "select": ["thread_id"]}).json()
    assert {*only[0]} == {"thread_id"}
    patched = one.client.patch(f"/threads/{mine[0]}", json={"metadata": {"name": "beach"}}).json()
    assert patched["metadata"] == {**patched["metadata"], "owner": "ada", "name": "beach"}
    assert one.sessions.get(mine[0]).name == "beach"
    assert one.client.delete(f"/threads/{mine[0]}").status_code == 204
    problem(one.client.get(f"/threads/{mine[0]}"), 404)
    assert one.client.post("/threads/count", json=asked).json() == 2


def test_runs_without_a_thread_leave_none_behind_unless_they_are_kept(one: Service) -> None:
    def count() -> int:
        return int(one.client.post("/threads/count", json={}).json())

    before = count()
    assert one.client.post("/runs/wait", json=ask(shown(photo(4)))).json()["answer"]
    batch = one.client.post("/runs/batch", json=[ask(shown(photo(5))), ask(shown(photo(6)))])
    for run in batch.json():
        one.client.get(f"/threads/{run['thread_id']}/runs/{run['run_id']}/join")
    assert count() == before
    kept = one.client.post("/runs", json=ask(shown(photo(5)), on_completion="keep")).json()
    one.client.get(f"/threads/{kept['thread_id']}/runs/{kept['run_id']}/join")
    assert count() == before + 1
    assert "photo" in problem(one.client.post("/runs/wait", json=ask({"messages": "hi"})), 422)
    assert count() == before + 1


@pytest.mark.parametrize(
    ("asked", "status", "word"),
    [
        ({"assistant_id": "nobody"}, 404, "no assistant"),
        ({"assistant_id": "graticule", "webhook": "http://x"}, 422, "webhook"),
        ({"assistant_id": "graticule", "stream_mode": "everything"}, 422, "stream_mode"),
        ({"assistant_id": "graticule", "input": "text"}, 422, "input"),
        ({"assistant_id": "graticule", "input": {"messages": [{"x": 1}]}}, 422, "messages"),
        ({"assistant_id": "graticule", "input": {"messages": [{"type": "ai", "content": "no"}]}},
         422, "human"),
        ({"assistant_id": "graticule", "input": {"messages": [{"type": "human", "content": [
            {"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.jpg"}}]}]}},
         422, "not fetched"),
        ({"assistant_id": "graticule", "input": {"messages": [{"type": "human", "content": [
            {"type": "image", "data": "AAAA"}]}]}}, 422, "photo"),
        ({"assistant_id": "graticule", "input": {"photo_id": "../../etc/passwd"}}, 422, "photo_id"),
        ({"assistant_id": "graticule", "input": {"messages": "x" * 501}}, 422, "500"),
        ({"assistant_id": "graticule", "config": {"configurable": {"trajectories": 99}},
          "input": {"messages": "x"}}, 422, "trajectories"),
        ({"assistant_id": "graticule", "checkpoint_id": "nowhere"}, 404, "checkpoint"),
        ({"input": {}}, 422, "assistant_id"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(
    one: Service, asked: dict[str, Any], status: int, word: str
) -> None:
    thread = one.thread()
    answer = one.client.post(f"/threads/{thread}/runs", json=asked)
    assert word in problem(answer, status)
    assert one.client.get(f"/threads/{thread}/runs").json() == []
    assert one.client.get(f"/threads/{thread}").json()["status"] == "idle"


def test_bodies_that_are_no_json_are_refused(one: Service) -> None:
    path = f"/threads/{one.thread()}/runs"
    form = one.client.post(path, data={"assistant_id": "graticule"})
    assert "application/json" in problem(form, 415)
    json_type = {"content-type": "application/json"}
    problem(one.client.post(path, content=b"{", headers=json_type), 400)
    problem(one.client.post(path, content=b'{"assistant_id": "\\ud800"}', headers=json_type), 400)
    problem(one.client.post(path, content=b"[" * 100_000, headers=json_type), 400)
    nobody = "00000000-0000-0000-0000-000000000000"
    for missing in (nobody, "..%2F..%2Fetc", "%00"):
        problem(one.client.get(f"/threads/{missing}"), 404)
        problem(one.client.post(f"/threads/{missing}/runs", json=ask(shown(photo()))), 404)


def test_a_thread_may_be_made_by_its_first_run(one: Service) -> None:
    thread = "0f9a3c52-3d4c-4f5e-9e57-2f0f4f6d6c11"
    asked = ask(shown(photo()), if_not_exists="create")
    assert one.client.post(f"/threads/{thread.upper()}/runs/wait", json=asked).json()["answer"]
    assert one.sessions.get(thread).revision == 1


def test_items_lie_apart_from_sessions(one: Service) -> None:
    put = {"namespace": ["ada", "notes"], "key": "k", "value": {"n": 1}}
    assert one.client.put("/store/items", json=put).status_code == 204
    where = {"namespace": "ada.notes", "key": "k"}
    assert one.client.get("/store/items", params=where).json()["value"] == {"n": 1}
    found = one.client.post("/store/items/search", json={"namespace_prefix": []}).json()["items"]
    assert [item["namespace"] for item in found] == [["ada", "notes"]]
    spaces = one.client.post("/store/namespaces", json={}).json()["namespaces"]
    assert spaces == [["ada", "notes"]]
    problem(one.client.put("/store/items", json={**put, "namespace": ["a.b"]}), 422)
    gone = one.client.request(
        "DELETE", "/store/items", json={"namespace": ["ada", "notes"], "key": "k"}
    )
    assert gone.status_code == 204
    assert one.client.get("/store/items", params=where).json() is None


def test_an_error_in_a_run_is_told_in_stream_wait_and_thread(one: Service) -> None:
    thread = one.thread()

    def fail(*_: Any) -> Any:
        raise ValueError("secret path")

    decide = one.talker.decide
    setattr(one.talker, "decide", fail)  # noqa: B010 - a method, for this once
    try:
        asked = ask(shown(photo()))
        events = events_in(one.client.post(f"/threads/{thread}/runs/stream", json=asked).text)
    finally:
        setattr(one.talker, "decide", decide)  # noqa: B010
    assert [name for _, name, _ in events][-2:] == ["error", "end"]
    assert events[-2][2]["error"] == "ValueError"
    assert "secret" not in events[-2][2]["message"]
    run = one.client.get(f"/threads/{thread}/runs").json()[0]
    joined = one.client.get(f"/threads/{thread}/runs/{run['run_id']}/join").json()
    assert joined["__error__"] == events[-2][2]
    assert run["status"] == "error"
    assert one.client.get(f"/threads/{thread}").json()["status"] == "error"
    assert one.client.post(f"/threads/{thread}/runs/wait", json=ask(None)).json()["answer"]


def test_six_megabytes_begin_within_300_ms_and_never_reach_a_checkpoint(
    tmp_path: Path, settlements: Settlements
) -> None:
    data = big_photo()
    assert 5_500_000 < len(data) < 9_000_000
    with service(tmp_path, settlements, Talker(looks=10)) as one:
        one.client.post("/runs/wait", json=ask(shown(photo())))  # what the first run loads
        thread = one.thread()
        asked = json.dumps(ask(shown(data, style="chat-ui"), stream_mode="custom"))
        first, text = 0.0, b""
        headers = {"content-type": "application/json"}
        began = time.monotonic()
        path = f"/threads/{thread}/runs/stream"
        with one.client.stream("POST", path, content=asked, headers=headers) as stream:
            for chunk in stream.iter_raw():
                first = first or time.monotonic() - began
                text += chunk
    logger.info("first event after %.0f ms of %.1f MB", first * 1000, len(data) / 1e6)
    assert text.endswith(b"\r\n\r\n")
    assert b"event: end" in text
    assert first < 1.0  # a machine that does other things; the figure is printed
    with sqlite3.connect(tmp_path / "sessions.sqlite") as held:
        size = sum(
            row[0]
            for table, columns in (("checkpoints", "checkpoint"), ("writes", "value"))
            for row in held.execute(f"select length({columns}) from {table}")
        )
    held.close()
    assert 10_000 < size < 1_000_000


def test_runs_of_many_threads_at_once_and_one_thread_at_a_time(one: Service) -> None:
    begun = threading.Barrier(8)

    def locate(number: int) -> str:
        thread = one.thread()
        begun.wait()
        ended = one.client.post(f"/threads/{thread}/runs/wait", json=ask(shown(photo(number))))
        return str(ended.json()["photo_id"])

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(locate, range(20, 28)))) == 8
