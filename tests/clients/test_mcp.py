"""Clients of the Model Context Protocol that nobody here wrote, over both transports."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, BaseMessage
from mcp import Client, StdioServerParameters

from agent.sessions import Sessions
from agent.settings import Settings
from geo.gazetteer import Gazetteer, default_path
from tests.clients.http_server import serving
from tests.fakes import calling
from tests.unit.mcp_samples import PHOTO, base64_of
from tests.unit.test_agentic import Model, commit

pytestmark = pytest.mark.clients
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
CONFORMANCE = "@modelcontextprotocol/conformance@0.1.16"
NPM_S = 300
Served = tuple[str, Sessions]
npm = pytest.mark.skipif(shutil.which("npx") is None, reason="npx is not installed: it comes with "
                         "Node.js, https://nodejs.org")  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home, but for the gazetteer of this machine."""
    Gazetteer.open().close()
    folder = tmp_path_factory.mktemp("home")
    (folder / default_path().name).symlink_to(default_path())
    return folder


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    with serving(settings) as (address, sessions):
        yield f"{address}/mcp", sessions


def command(home: Path, *arguments: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "cli.main", "mcp", "--encoder", "none", *arguments],
        env={**os.environ, "GRATICULE_HOME": str(home)},
        cwd=Path(__file__).parents[2],
    )


async def located(client: Client) -> tuple[dict[str, Any], list[str]]:
    """Have a photo located; return what came of it, and the steps that were told."""
    told: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        assert progress == len(told) + 1
        told.append(message or "")

    photo = {"image_base64": base64_of(PHOTO), "hint": "48.2000, 16.3700"}
    result = await client.call_tool("locate_photo", photo, progress_callback=hear)
    assert not result.is_error, result.content
    found: dict[str, Any] = result.structured_content
    return found, told


async def test_the_command_speaks_over_standard_input_and_output(
    home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO)
    async with Client(command(home, "--allow-paths"), read_timeout_seconds=120) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        added = await client.call_tool("add_photo", {"path": str(path)})
        found, told = await located(client)
        report = (await client.read_resource(found["resources"]["report"])).contents[0]
        place = await client.call_tool("find_place", {"name": "Lisbon"})
        wrong = await client.call_tool("find_place", {"name": 7})
    assert {"locate_photo", "read_text", "reverse_geocode"} <= tools
    assert added.structured_content["photo_id"] == found["photo_id"]
    assert "48.2" in found["answer"]["explanation"]
    assert len(told) > 5
    assert report.text.lower().startswith("<!doctype html")  # type: ignore[union-attr]
    assert "Lisbon" in place.content[0].text  # type: ignore[union-attr]
    assert wrong.is_error


def test_standard_output_carries_the_protocol_alone(home: Path) -> None:
    asked: list[dict[str, Any]] = [
        {"method": "initialize", "id": 1, "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "by hand", "version": "1"}}},
        {"method": "notifications/initialized"},
        {"method": "tools/list", "id": 2},
        {"method": "tools/call", "id": 3, "params": {
            "name": "find_place", "arguments": {"name": "Lisbon"}}},
    ]  # fmt: skip
    started = command(home)
    with subprocess.Popen(
        [started.command, *started.args], env=started.env, cwd=started.cwd, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        for message in asked:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        process.stdin.write("this is no JSON\n")
        process.stdin.flush()
        answers: dict[int, dict[str, Any]] = {}
        while len(answers) < 3:
            row = json.loads(process.stdout.readline())
            if row.get("id") is not None:
                answers[row["id"]] = row
        process.stdin.close()
        assert process.wait(30) == 0
        assert process.stdout.read() == ""
    assert answers[1]["result"]["serverInfo"]["name"] == "graticule"
    assert len(answers[2]["result"]["tools"]) > 10
    assert answers[3]["result"]["structuredContent"]["evidence"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_same_over_http(served: Served, mode: Any) -> None:
    address, _ = served
    async with Client(address, mode=mode, read_timeout_seconds=60) as client:
        began = time.perf_counter()
        tools = (await client.list_tools()).tools
        listing = time.perf_counter() - began
        found, told = await located(client)
        uri = found["resources"]["photo"]
        photo = (await client.read_resource(uri)).contents[0]
        more = await client.call_tool(
            "continue_session", {"session_id": found["session_id"], "message": "in Testdorf"}
        )
    assert len(tools) > 10
    assert listing < 5
    assert found["state"] == "answered"
    assert len(told) > 10
    assert photo.mime_type == "image/jpeg"
    assert more.structured_content["answer"]["revision"] == 2


async def test_two_clients_at_once_get_their_own(served: Served) -> None:
    address, sessions = served

    async def one() -> tuple[dict[str, Any], list[str]]:
        async with Client(address, read_timeout_seconds=60) as client:
            return await located(client)

    outcomes = await asyncio.gather(*(one() for _ in range(4)))
    assert len({found["session_id"] for found, _ in outcomes}) == 4
    assert len(sessions.search()) == 4


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_cancelling_over_http_stops_the_run(settings: Settings, mode: Any) -> None:
    reached, go = threading.Event(), threading.Event()

    def slow(messages: Sequence[BaseMessage]) -> AIMessage:
        reached.set()
        go.wait(20)
        return calling(("find_place", {"name": "Testdorf"}))

    with serving(settings, lambda: Model(slow, commit)) as (address, sessions):
        async with Client(f"{address}/mcp", mode=mode) as client:
            call = asyncio.create_task(located(client))
            await asyncio.to_thread(reached.wait, 20)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            run = sessions.running(sessions.search()[0].id)
            assert run is not None
            for _ in range(200):
                if run.stopping:
                    break
                await asyncio.sleep(0.02)
            assert run.stopping
            go.set()
            await asyncio.to_thread(run.wait, 20)
        assert sessions.get(run.session_id).status == "stopped"


@pytest.mark.parametrize(("headers", "statuses"), [
    ({"host": "evil.example"}, (403, 421)),
    ({"origin": "http://evil.example"}, (403,)),
    ({"content-type": "text/plain"}, (400, 415)),
])  # fmt: skip
def test_doors_are_shut(served: Served, headers: dict[str, str], statuses: tuple[int, ...]) -> None:
    address, _ = served
    accepted = {"accept": "application/json, text/event-stream"}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    sent = {"content-type": "application/json", **accepted, **headers}
    assert httpx.post(address, content=body, headers=sent).status_code in statuses


def npx(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["npx", "-y", *arguments], capture_output=True, text=True, timeout=NPM_S, check=False
    )


def inspected(address: str, *arguments: str) -> dict[str, Any]:
    """Run the inspector's command line; return the JSON that it prints."""
    done = npx("-p", "node@22", "-p", INSPECTOR, "mcp-inspector", "--cli", address,
               "--transport", "http", *arguments)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return found


@npm
def test_the_inspector_lists_and_calls(served: Served) -> None:
    address, _ = served
    tools = inspected(address, "--method", "tools/list", "--strict")["tools"]
    assert "locate_photo" in {tool["name"] for tool in tools}
    called = inspected(
        address, "--method", "tools/call", "--tool-name", "use_hint", "--tool-arg",
        "hint=48.2000, 16.3700",
    )  # fmt: skip
    assert called["structuredContent"]["evidence"]
    templates = inspected(address, "--method", "resources/templates/list")
    assert "photo://{photo_id}" in json.dumps(templates)


EXPECTED_FAILURES = (
    "logging-set-level", "completion-complete", "tools-call-image", "tools-call-audio",
    "tools-call-embedded-resource", "tools-call-mixed-content", "tools-call-with-logging",
    "tools-call-with-progress", "tools-call-sampling", "tools-call-elicitation",
    "json-schema-2020-12", "elicitation-sep1034-defaults", "server-sse-polling",
    "elicitation-sep1330-enums", "resources-read-text", "resources-read-binary",
    "resources-templates-read", "resources-subscribe", "resources-unsubscribe",
    "prompts-get-simple", "prompts-get-with-args", "prompts-get-embedded-resource",
    "prompts-get-with-image",
)  # fmt: skip
"""Scenarios of the suite that call tools, resources and prompts of its own making, which a real
server does not have, or what we do not offer: logging, completion, subscriptions, polling."""


@npm
def test_the_conformance_suite(served: Served, tmp_path: Path) -> None:
    """Nothing fails beyond what is expected to, and nothing of that has begun to pass."""
    address, _ = served
    baseline = tmp_path / "expected.yml"
    baseline.write_text("server:\n" + "".join(f"  - {name}\n" for name in EXPECTED_FAILURES))
    done = npx(
        "-p", "node@22", "-p", CONFORMANCE, "-c",
        f"conformance server --url {address} --suite all --expected-failures {baseline} "
        f"-o {tmp_path / 'results'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for scenario in ("server-initialize", "ping", "tools-list", "resources-list", "prompts-list",
                     "server-sse-multiple-streams", "dns-rebinding-protection"):  # fmt: skip
        assert f"✓ {scenario}" in done.stdout
