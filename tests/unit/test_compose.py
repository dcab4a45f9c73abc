"""The compose file's Qdrant: one server, or three nodes that found and join one cluster."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

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
    assert started == {"qdrant": ["qdrant"], "cluster": list(NODES)}


def test_no_port_is_open_to_other_machines_and_none_is_taken_twice(
    compose: dict[str, Any],
) -> None:
    ports = [port for name in SERVERS for port in compose["services"][name]["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    taken = [port.split(":")[1] for port in ports]
    assert len(taken) == len(set(taken)) == 5
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
