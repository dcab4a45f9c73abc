"""`langgraph_sdk` and RemoteGraph, unchanged, on our own server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command
from langgraph_sdk import get_client, get_sync_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

from agent.factors import Settlements
from tests.protocol_samples import PLEASE, Service, photo, service, shown

pytestmark = pytest.mark.clients
REPLY = [{"type": "response", "args": "Germany"}]


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, settlements: Settlements
) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("home"), settlements) as held:
        yield held


@pytest.fixture
async def client(running: Service) -> AsyncIterator[LangGraphClient]:
    running.talker.gate.set()
    running.talker.waiting.clear()
    async with get_client(url=running.url, api_key=None) as client:
        yield client


async def streamed(parts: Any) -> list[Any]:
    return [part async for part in parts]


async def test_assistants(client: LangGraphClient) -> None:
    rows = await client.assistants.search(limit=100)
    assert len(rows) == await client.assistants.count()
    found = await client.assistants.search(graph_id="graticule", response_format="object")
    (row,) = found["assistants"]
    assert (await client.assistants.get(row["assistant_id"]))["name"] == "graticule"
    assert (await client.assistants.get_graph(row["assistant_id"], xray=True))["nodes"]
    schemas = await client.assistants.get_schemas(row["assistant_id"])
    assert "photo_id" in (schemas["input_schema"] or {})["properties"]
    assert await client.assistants.get_subgraphs(row["assistant_id"]) == {}
    assert len(await client.assistants.get_versions(row["assistant_id"])) == 1


async def test_a_thread_from_making_to_deleting(client: LangGraphClient) -> None:
    thread = await client.threads.create(metadata={"mine": 1}, graph_id="graticule")
    same = await client.threads.create(thread_id=thread["thread_id"], if_exists="do_nothing")
    assert same["thread_id"] == thread["thread_id"]
    with pytest.raises(ConflictError):
        await client.threads.create(thread_id=thread["thread_id"])
    await client.threads.update(thread["thread_id"], metadata={"more": 2})
    await client.threads.update(thread["thread_id"], metadata={"more": 3}, return_minimal=True)
    found = await client.threads.search(metadata={"more": 3})
    assert [one["thread_id"] for one in found] == [thread["thread_id"]]
    assert await client.threads.count(metadata={"more": 3}) == 1
    await client.threads.delete(thread["thread_id"])
    with pytest.raises(NotFoundError):
        await client.threads.get(thread["thread_id"])


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_stream_of_every_mode(client: LangGraphClient, version: Any) -> None:
    thread = (await client.threads.create())["thread_id"]
    made: list[Any] = []
    parts = await streamed(
        client.runs.stream(
            thread, "graticule", input=shown(photo()), version=version,
            stream_mode=["values", "updates", "messages", "messages-tuple", "custom", "tasks",
                         "checkpoints", "debug", "events"],
            stream_subgraphs=True, stream_resumable=True, on_run_created=made.append,
        )
    )  # fmt: skip
    assert made[0]["thread_id"] == thread
    names = {part.event if version == "v1" else part["type"] for part in parts}
    assert names >= {"metadata", "values", "updates", "messages", "messages/complete", "custom",
                     "tasks", "checkpoints", "debug", "events"}  # fmt: skip
    run = await client.runs.get(thread, made[0]["run_id"])
    assert run["status"] == "success"
    assert [one["run_id"] for one in await client.runs.list(thread)] == [run["run_id"]]


async def test_history_and_a_fork_from_a_checkpoint(client: LangGraphClient) -> None:
    thread = (await client.threads.create())["thread_id"]
    first: Any = await client.runs.wait(thread, "graticule", input=shown(photo()))
    states = await client.threads.get_history(thread, limit=100)
    assert states[0]["values"] == first
    at = next(state for state in states if list(state["next"]) == ["decide"])["checkpoint"]
    before = await client.threads.get_history(thread, limit=100, before=at)
    assert len(before) < len(states)
    again: Any = await client.runs.wait(thread, "graticule", input=None, checkpoint=at)
    assert again["answer"]["radii"] == first["answer"]["radii"]
    forked = await client.threads.get_history(thread, limit=100)
    assert len(forked) > len(states)
    assert (await client.threads.get_state(thread, checkpoint=at))["checkpoint"] == at
    by_id = await client.threads.get_state(thread, checkpoint_id=at["checkpoint_id"] or "")
    assert by_id["checkpoint"] == at
    told: Any = {"messages": [{"role": "user", "content": "it is not France"}]}
    other: Any = await client.runs.wait(
        thread, "graticule", input=told, checkpoint_id=states[0]["checkpoint"]["checkpoint_id"]
    )
    assert other["answer"]["revision"] == 2
    copying: Any = client.threads.copy(thread)
    copy = await copying
    copied = (await client.threads.get_state(copy["thread_id"]))["values"]
    assert copied == (await client.threads.get_state(thread))["values"]


async def test_an_interrupt_is_resumed_after_everything_was_closed(
    client: LangGraphClient, running: Service
) -> None:
    thread = (await client.threads.create())["thread_id"]
    parts = await streamed(
        client.runs.stream(thread, "graticule", input=shown(photo(), PLEASE), stream_mode="updates")
    )
    (asked,) = [p.data["__interrupt__"] for p in parts if "__interrupt__" in (p.data or {})]
    async with get_client(url=running.url, api_key=None) as other:
        seen = await other.threads.get(thread)
        assert seen["status"] == "interrupted"
        assert list(seen["interrupts"].values()) == [asked]
        assert list((await other.threads.get_state(thread))["next"]) == ["ask"]
        ended: Any = await other.runs.wait(thread, "graticule", command={"resume": REPLY})
    assert ended["answer"]["country"] == "DE"


async def test_joining_again_after_the_connection_was_lost(
    client: LangGraphClient, running: Service
) -> None:
    thread = (await client.threads.create())["thread_id"]
    running.talker.gate.clear()
    run = await client.runs.create(
        thread, "graticule", input=shown(photo()), stream_mode=["custom", "values"]
    )
    first = []
    joined_first: Any = client.runs.join_stream(thread, run["run_id"])
    async with contextlib.aclosing(joined_first) as parts:
        async for part in parts:
            first.append(part)
            if len(first) == 4:
                break
    running.talker.gate.set()
    rest = await streamed(
        client.runs.join_stream(thread, run["run_id"], last_event_id=first[-1].id)
    )
    whole = await streamed(client.runs.join_stream(thread, run["run_id"]))
    assert [*first, *rest] == whole
    assert whole[-1].event == "end"
    joined: Any = await client.runs.join(thread, run["run_id"])
    assert joined["answer"]


async def test_cancelling_and_strategies(client: LangGraphClient, running: Service) -> None:
    thread = (await client.threads.create())["thread_id"]
    running.talker.gate.clear()
    run = await client.runs.create(thread, "graticule", input=shown(photo()))
    await asyncio.to_thread(running.talker.waiting.wait, 10)
    with pytest.raises(ConflictError):
        await client.runs.create(thread, "graticule", input=None, multitask_strategy="reject")
    await client.runs.cancel(thread, run["run_id"])
    running.talker.gate.set()
    await client.runs.cancel(thread, run["run_id"], wait=True)
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "interrupted"
    assert (await client.threads.get(thread))["status"] == "interrupted"
    ended: Any = await client.runs.wait(thread, "graticule", input=None)
    assert ended["answer"]
    await client.runs.delete(thread, run["run_id"])
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, run["run_id"])
    with pytest.raises(UnprocessableEntityError):
        await client.runs.create(thread, "graticule", input=None, webhook="http://127.0.0.1/")


async def test_runs_without_a_thread(client: LangGraphClient) -> None:
    before = await client.threads.count()
    ended: Any = await client.runs.wait(None, "graticule", input=shown(photo(2)))
    assert ended["answer"]
    parts = await streamed(client.runs.stream(None, "graticule", input=shown(photo(2))))
    assert parts[-1].event == "end"
    payload: Any = {"assistant_id": "graticule", "input": shown(photo(3))}
    for run in await client.runs.create_batch([payload, payload]):
        await client.runs.join(run["thread_id"], run["run_id"])
    assert await client.threads.count() == before


async def test_a_thread_is_followed(client: LangGraphClient) -> None:
    thread = (await client.threads.create())["thread_id"]
    parts = await client.threads.join_stream(thread)
    asyncio.get_running_loop().call_later(
        0.3,
        lambda: asyncio.ensure_future(client.runs.wait(thread, "graticule", input=shown(photo()))),
    )
    following: Any = parts
    async with contextlib.aclosing(following):
        async for part in following:
            if (part.data or {}).get("status") == "run_done":
                break
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_items(client: LangGraphClient) -> None:
    await client.store.put_item(["ada", "notes"], key="k", value={"n": 1})
    found = await client.store.get_item(["ada", "notes"], key="k")
    assert found["value"] == {"n": 1}
    assert (await client.store.search_items(["ada"], filter={"n": 1}))["items"]
    assert (await client.store.list_namespaces(prefix=["ada"]))["namespaces"] == [["ada", "notes"]]
    await client.store.delete_item(["ada", "notes"], key="k")
    assert not (await client.store.search_items(["ada"]))["items"]


def test_a_remote_graph(running: Service) -> None:
    running.talker.gate.set()
    with get_sync_client(url=running.url, api_key=None) as client:
        _use(RemoteGraph("graticule", sync_client=client), running)


def _use(graph: RemoteGraph, running: Service) -> None:
    thread = running.thread()
    config: Any = {"configurable": {"thread_id": thread}}
    assert graph.get_state(config).values == {}
    ended = graph.invoke(shown(photo(), PLEASE), config)
    assert ended["__interrupt__"][0]["value"]["action_request"]["action"] == "ask_analyst"
    state = graph.get_state(config)
    assert state.next == ("ask",)
    assert state.interrupts[0].value["action_request"]["args"]["question"] == "Which country?"
    wanted: Any = ["values", "updates", "messages", "custom"]
    parts: Any = graph.stream(Command(resume=REPLY), config, stream_mode=wanted)
    assert {*wanted} <= {part.event for part in parts}
    assert graph.get_state(config).values["answer"]["country"] == "DE"
    changed = graph.update_state(config, {"hint": "by a lake"})
    assert graph.get_state(changed).values["hint"] == "by a lake"
    history = list(graph.get_state_history(config, limit=100))
    early = next(one for one in history if one.next == ("decide",))
    again = graph.invoke(None, early.config)
    assert again["answer"]["status"] in ("located", "region", "undetermined")
    assert {"observe", "decide"} <= set(graph.get_graph().nodes)
