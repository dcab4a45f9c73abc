"""The compose file: Qdrant as one server or as a cluster, and a chat model on a GPU."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.model_settings import ModelSettings
from agent.settings import load_settings

ROOT = Path(__file__).parents[2]
NODES = ("qdrant-1", "qdrant-2", "qdrant-3")
SERVERS = ("qdrant", *NODES)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return parsed


def test_without_a_profile_only_the_command_line_is_started(compose: dict[str, Any]) -> None:
    always = [name for name, service in compose["services"].items() if "profiles" not in service]
    assert always == ["graticule"]


def test_each_profile_starts_its_own_servers(compose: dict[str, Any]) -> None:
    started: dict[str, list[str]] = {}
    for name, service in compose["services"].items():
        for profile in service.get("profiles", []):
            started.setdefault(profile, []).append(name)
    assert started == {
        "qdrant": ["qdrant"],
        "cluster": list(NODES),
        "gpu": ["graticule-gpu", "vllm"],
    }


def test_no_port_is_open_to_other_machines_and_none_is_taken_twice(
    compose: dict[str, Any],
) -> None:
    ports = [port for name in (*SERVERS, "vllm") for port in compose["services"][name]["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    taken = [port.split(":")[1] for port in ports]
    assert len(taken) == len(set(taken)) == 6
    assert not any(port.endswith(":6335") for port in ports), "nodes talk among themselves only"


def test_each_server_keeps_its_data_in_a_volume_of_its_own(compose: dict[str, Any]) -> None:
    kept = []
    for name in SERVERS:
        (mount,) = compose["services"][name]["volumes"]
        volume, inside = mount.split(":")
        assert inside == "/qdrant/storage"
        assert volume in compose["volumes"]
        kept.append(volume)
    assert len(set(kept)) == len(SERVERS)


def test_the_first_node_founds_the_cluster_and_the_others_join_it(
    compose: dict[str, Any],
) -> None:
    for name in NODES:
        service = compose["services"][name]
        assert service["environment"]["QDRANT__CLUSTER__ENABLED"] == "true"
        command = service["command"]
        assert command[command.index("--uri") + 1] == f"http://{name}:6335"
        if name == "qdrant-1":
            assert "--bootstrap" not in command
        else:
            assert command[command.index("--bootstrap") + 1] == "http://qdrant-1:6335"
            assert service["depends_on"] == {"qdrant-1": {"condition": "service_healthy"}}


def test_every_server_is_one_pinned_release_that_the_client_speaks_to(
    compose: dict[str, Any],
) -> None:
    (image,) = {compose["services"][name]["image"] for name in SERVERS}
    release = re.fullmatch(r"qdrant/qdrant:v1\.(\d+)\.\d+", image)
    assert release
    pinned = re.search(r"^qdrant-client==1\.(\d+)", (ROOT / "constraints.txt").read_text(), re.M)
    assert pinned
    assert abs(int(release[1]) - int(pinned[1])) <= 1, "the client warns of servers further away"
    assert int(release[1]) >= 16, "older servers keep no metadata with a collection"


def test_every_server_says_when_it_is_ready_and_tells_nobody_about_itself(
    compose: dict[str, Any],
) -> None:
    for name in SERVERS:
        service = compose["services"][name]
        assert "/readyz" in service["healthcheck"]["test"][-1]
        assert "$" not in service["healthcheck"]["test"][-1], "compose would put a variable there"
        assert service["environment"]["QDRANT__TELEMETRY_DISABLED"] == "true"


def flags(compose: dict[str, Any]) -> dict[str, str]:
    """Return what the model server is started with."""
    _, *given = compose["services"]["vllm"]["command"]
    return dict(flag.removeprefix("--").partition("=")[::2] for flag in given)


def test_the_command_line_reaches_the_model_and_nothing_beyond(compose: dict[str, Any]) -> None:
    plain, driven = compose["services"]["graticule"], compose["services"]["graticule-gpu"]
    assert plain["network_mode"] == "none"
    assert "network_mode" not in driven
    assert driven["networks"] == ["model"]
    assert compose["networks"]["model"] == {"internal": True}
    assert set(compose["services"]["vllm"]["networks"]) == {"model", "default"}
    assert {key: driven[key] for key in ("build", "volumes")} == {
        key: plain[key] for key in ("build", "volumes")
    }


def test_both_sides_mean_the_same_model_and_the_settings_read_it(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    driven, server = compose["services"]["graticule-gpu"], compose["services"]["vllm"]
    named = re.fullmatch(r"\$\{GRATICULE_MODEL__NAME:-(.+)\}", server["command"][0])
    assert named
    assert driven["environment"]["GRATICULE_MODEL__NAME"] == server["command"][0]
    monkeypatch.setenv("GRATICULE_MODEL__URL", driven["environment"]["GRATICULE_MODEL__URL"])
    monkeypatch.setenv("GRATICULE_MODEL__NAME", named[1])
    model = load_settings().model
    assert (model.url, model.name) == ("http://vllm:8000/v1", "Qwen/Qwen3-VL-8B-Instruct")
    assert driven["depends_on"] == {"vllm": {"condition": "service_healthy"}}


def test_the_model_server_takes_what_the_agent_sends(compose: dict[str, Any]) -> None:
    given, sent = flags(compose), ModelSettings()
    assert "enable-auto-tool-choice" in given
    assert given["tool-call-parser"] == "hermes"
    images = json.loads(given["limit-mm-per-prompt"])
    assert images["image"] >= sent.images
    assert images["video"] == 0
    assert json.loads(given["mm-processor-kwargs"])["max_pixels"] >= sent.image_side_px**2
    assert json.loads(given["structured-outputs-config"])["backend"] == "xgrammar"
    room = int(given["max-model-len"]) - images["image"] * sent.image_side_px**2 // 32**2
    assert room >= 16_384 + sent.max_tokens, "tools, prompts and what is said need room, too"


def test_the_model_server_is_a_pinned_release_on_a_gpu_that_says_when_it_is_ready(
    compose: dict[str, Any],
) -> None:
    server = compose["services"]["vllm"]
    assert re.fullmatch(r"vllm/vllm-openai:v\d+\.\d+\.\d+", server["image"])
    (device,) = server["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert "/health" in server["healthcheck"]["test"][-1]
    assert "$" not in server["healthcheck"]["test"][-1], "compose would put a variable there"
    assert server["environment"]["VLLM_NO_USAGE_STATS"] == "1"
    kept = {mount.split(":")[0] for mount in server["volumes"]}
    assert kept <= compose["volumes"].keys(), "the weights are downloaded once"
