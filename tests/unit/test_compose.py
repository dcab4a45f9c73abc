"""The compose file: the server and what it leans on, with or without a GPU, alone or clustered."""

import json
import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
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


APPS = ("server", "server-gpu")


def test_it_follows_the_public_schema_of_compose_files() -> None:
    schema = files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json")
    held = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    jsonschema.validate(held, json.loads(schema.read_text()))


def test_nothing_is_started_without_a_profile(compose: dict[str, Any]) -> None:
    assert all(service["profiles"] for service in compose["services"].values())


def test_each_profile_starts_its_own_servers(compose: dict[str, Any]) -> None:
    started: dict[str, list[str]] = {}
    for name, service in compose["services"].items():
        for profile in service.get("profiles", []):
            started.setdefault(profile, []).append(name)
    assert {profile: sorted(names) for profile, names in started.items()} == {
        "cli": ["graticule"],
        "qdrant": ["qdrant"],
        "cluster": list(NODES),
        "cpu": ["encoder", "postgres", "qdrant", "server"],
        "gpu": ["encoder", "postgres", "qdrant", "server-gpu", "vllm"],
    }


def test_no_port_is_open_to_other_machines_and_none_is_taken_twice(
    compose: dict[str, Any],
) -> None:
    for profile in ("cpu", "gpu", "cluster"):
        ports = [
            port
            for service in compose["services"].values()
            if {profile, "qdrant"} & set(service["profiles"])
            for port in service.get("ports", ())
        ]
        assert all(port.startswith("127.0.0.1:") for port in ports)
        taken = [port.split(":")[1] for port in ports]
        assert len(taken) == len(set(taken))
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
    plain = compose["services"]["graticule"]
    assert plain["network_mode"] == "none"
    assert compose["networks"] == {"inside": {"internal": True}, "model": {"internal": True}}
    assert compose["services"]["postgres"]["networks"] == ["inside"]
    assert "model" in compose["services"]["server-gpu"]["networks"]
    assert set(compose["services"]["vllm"]["networks"]) == {"model", "default"}


@pytest.mark.parametrize("name", APPS)
def test_the_server_waits_for_what_it_leans_on_and_says_when_it_is_ready(
    compose: dict[str, Any], name: str
) -> None:
    app = compose["services"][name]
    assert app["command"][0] == "serve"
    expected = {"postgres", "qdrant", "encoder"} | ({"vllm"} if name == "server-gpu" else set())
    assert app["depends_on"].keys() == expected
    assert {one["condition"] for one in app["depends_on"].values()} == {"service_healthy"}
    for needed in (name, *expected):
        assert compose["services"][needed]["healthcheck"]["test"]
    assert "/health" in app["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", APPS)
def test_the_settings_read_what_the_file_sets(
    compose: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in compose["services"][name]["environment"].items():
        plain = re.sub(r"\$\{\w+:\?[^}]+\}", "secret", value)
        monkeypatch.setenv(key, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", plain))
    settings = load_settings()
    address = settings.sessions_url.get_secret_value()
    assert address == "postgresql://graticule:secret@postgres/graticule"
    assert (settings.galleries, settings.server.hosts) == ((), ())


def test_secrets_and_choices_are_named_in_the_example_and_nowhere_set(
    compose: dict[str, Any],
) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    used = set(re.findall(r"\$\{(\w+)", text))
    lines = (ROOT / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert used == example.keys()
    assert example["POSTGRES_PASSWORD"] == example["HF_TOKEN"] == ""
    for name, default in re.findall(r"\$\{(\w+):-([^}]+)\}", text):
        assert example[name] == default


def test_every_image_is_pinned(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert re.search(r":v?\d+\.\d+", service["image"]), service["image"]
    recipe = compose["services"]["server"]["build"]["dockerfile_inline"]
    assert re.search(r"^FROM python:\d+\.\d+-", recipe)
    assert compose["services"]["server"]["image"].endswith(version("graticule"))


def test_both_sides_mean_the_same_model_and_the_settings_read_it(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    driven, server = compose["services"]["server-gpu"], compose["services"]["vllm"]
    named = re.fullmatch(r"\$\{GRATICULE_MODEL__NAME:-(.+)\}", server["command"][0])
    assert named
    assert driven["environment"]["GRATICULE_MODEL__NAME"] == server["command"][0]
    monkeypatch.setenv("GRATICULE_MODEL__URL", driven["environment"]["GRATICULE_MODEL__URL"])
    monkeypatch.setenv("GRATICULE_MODEL__NAME", named[1])
    model = load_settings().model
    assert (model.url, model.name) == ("http://vllm:8000/v1", "Qwen/Qwen3-VL-8B-Instruct")


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
