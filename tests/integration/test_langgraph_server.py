"""The LangGraph development server around the state machine, driven through its SDK."""

import asyncio
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from PIL import Image

from tests.openai_stub import Behaviour, Call, OpenAIStub, calls, says
from tests.unit.photo_samples import encoded
from tests.unit.test_agentic import PRIOR, SHORT

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("langgraph")
PLEASE = "please-ask"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not COMMAND.exists(),
        reason="langgraph-cli is missing: pip install -c constraints.txt 'langgraph-cli[inmem]'",
    ),
]


def scripted(body: dict[str, Any], number: int) -> Behaviour:
    """Guess, ask the analyst once where the user says so, and commit."""
    text = json.dumps(body["messages"])
    if "You have no tools now" in json.dumps(body["messages"][-1]):
        return says(PRIOR)
    if not body.get("tools"):
        return says(SHORT)
    if PLEASE in text and "The analyst says" not in text:
        question = {"question": "Which country?", "options": ["Germany", "Austria"]}
        return calls(Call("ask_analyst", question), Call("find_place", {"name": "Munich"}))
    return calls(Call("commit_location", {"evidence_ids": [], "reason": "it fits"}), delay_s=0.2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server that runs a copy of the configuration."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(ROOT / "langgraph.json", folder)
    config = json.loads((folder / "langgraph.json").read_text())
    config["graphs"] = {"graticule": f"{ROOT}/agent/entry.py:graph"}
    config["dependencies"] = [str(ROOT)]
    (folder / "langgraph.json").write_text(json.dumps(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with OpenAIStub(scripted) as stub, (folder / "log").open("w") as log:
        told = {
            "GRATICULE_HOME": str(folder / "home"), "GRATICULE_MODEL__URL": stub.url,
            "GRATICULE_MODEL__NAME": "stub-vl", "LANGSMITH_TRACING": "false",
            "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        }  # fmt: skip
        command = [str(COMMAND), "dev", "--no-browser", "--no-reload", "--n-jobs-per-worker", "16",
                   "--port", str(port)]  # fmt: skip
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **told}, stdout=log, stderr=log
        )
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)
    assert "unregistered type" not in (folder / "log").read_text()


@pytest.fixture
async def client(server: str) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server, timeout=240) as client:
        yield client


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, "the server ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail("the server did not start")


def message(shade: int, text: str = "Where is this?") -> dict[str, Any]:
    data = base64.b64encode(
        encoded(Image.new("RGB", (320, 240), (20 * shade % 256, 90, 40)))
    ).decode()
    url = {"url": f"data:image/jpeg;base64,{data}"}
    blocks = [{"type": "text", "text": text}, {"type": "image_url", "image_url": url}]
    return {"messages": [{"role": "user", "content": blocks}]}


async def streamed(client: Any, thread: str, **given: Any) -> dict[str, list[Any]]:
    """Run and return what was streamed, by mode."""
    parts: dict[str, list[Any]] = {}
    modes = ["updates", "custom", "messages-tuple"]
    async for part in client.runs.stream(thread, "graticule", stream_mode=modes, **given):
        parts.setdefault(part.event, []).append(part.data)
    assert "error" not in parts, parts["error"]
    return parts


async def test_a_session_with_a_question_and_a_second_photo(client: LangGraphClient) -> None:
    thread = (await client.threads.create())["thread_id"]
    parts = await streamed(client, thread, input=message(1, PLEASE))
    assert {one["kind"] for one in parts["custom"]} >= {"photo", "model_call", "tool_result"}
    assert parts["messages"]
    (asked,) = [one["__interrupt__"] for one in parts["updates"] if "__interrupt__" in one]
    assert asked[0]["value"]["action_request"]["args"]["question"] == "Which country?"
    assert list((await client.threads.get_state(thread))["next"]) == ["ask"]

    reply = {"resume": [{"type": "response", "args": "Germany"}]}
    await streamed(client, thread, command=reply)
    state: Any = (await client.threads.get_state(thread))["values"]
    assert state["answer"]["country"] == "DE"
    assert state["answer"]["explanation"] in state["messages"][-1]["content"]
    assert "base64" not in json.dumps(state)

    second: Any = await client.runs.wait(thread, "graticule", input=message(2))
    assert second["photo_id"] != state["photo_id"]
    assert "ask_analyst" not in {step["tool"] for step in second["steps"]}
    assert second["answer"]["photo_id"] == second["photo_id"]


async def test_runs_of_many_threads_at_once(client: LangGraphClient) -> None:
    threads = [(await client.threads.create())["thread_id"] for _ in range(8)]
    ended: Any = await asyncio.gather(
        *[client.runs.wait(one, "graticule", input=message(3 + n)) for n, one in enumerate(threads)]
    )
    assert len({one["photo_id"] for one in ended}) == 8
    assert {one["answer"]["stopped_because"] for one in ended} == {"committed"}


async def test_a_message_without_an_image_says_what_is_missing(client: LangGraphClient) -> None:
    thread = (await client.threads.create())["thread_id"]
    given: Any = {"messages": [{"role": "user", "content": "hello"}]}
    ended: Any = await client.runs.wait(thread, "graticule", input=given, raise_error=False)
    assert ended["__error__"]["error"] == "InputError"
    assert "no photo" in ended["__error__"]["message"]


async def test_studio_is_given_the_drawing_and_the_schemas(client: LangGraphClient) -> None:
    (assistant,) = await client.assistants.search()
    nodes = (await client.assistants.get_graph(assistant["assistant_id"]))["nodes"]
    assert {"observe", "decide", "ask", "act", "conclude"} <= {node["id"] for node in nodes}
    schemas: Any = await client.assistants.get_schemas(assistant["assistant_id"])
    assert "photo_id" in schemas["input_schema"]["properties"]
    assert "answer" in schemas["output_schema"]["properties"]
