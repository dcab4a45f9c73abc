"""What shapes a run beside the photo, for its trace: enough to run it again from the record."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import JsonValue

import prompts
from agent.calibration import Calibration
from agent.conclude import PACKAGES, version_of
from agent.drivers import Driver, ModelDriver
from agent.model_settings import ModelSettings
from agent.opening import tool_hashes
from agent.pipeline import PipelineDriver

if TYPE_CHECKING:
    from agent.nodes import Machine
    from index_builder.gallery import Gallery

PRIVATE = frozenset({"url", "api_key"})
"""Fields of the model's settings that no trace holds."""
NUMERIC = ("numpy", "scipy", "scikit-learn", "reverse-geocode")
"""Packages that answers do not name, but whose arithmetic or data they rest on."""


def setup_of(machine: "Machine") -> dict[str, JsonValue]:
    """Return what shapes the runs of a machine: no keys, no addresses, no pixels."""
    bench, asker = machine.bench, machine.asker
    found: dict[str, JsonValue] = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "recipe": machine.recipe.model_dump(mode="json"),
        "budget": machine.budget.model_dump(mode="json"),
        "trajectories": machine.trajectories,
        "analyst": machine.analyst,
        "driver": _driver(machine.driver),
        "model": _model(asker.name, asker.settings) if asker else None,
        "abstain": machine.loss.model_dump(mode="json"),
        "calibration": _calibration(machine.calibration),
        "galleries": _galleries(bench.galleries),
        "encoder": bench.open_encoder is not None,
        "missing": list(bench.missing),
        "tools": {**tool_hashes(machine.tools)},
        "prompts": {name: prompts.load(name).sha256 for name in prompts.names()},
        "versions": {**package_versions()},
    }
    return found


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that answers rest on."""
    packages = {name: version_of(name) for name in (*PACKAGES, *NUMERIC)}
    return {"python": platform.python_version(), **packages}


def _driver(driver: Driver) -> JsonValue:
    kind = "own"
    if isinstance(driver, PipelineDriver):
        kind = "pipeline"
    elif isinstance(driver, ModelDriver):
        kind = "model"
    return {"name": driver.name, "kind": kind, "converses": driver.converses}


def _model(name: str, settings: ModelSettings) -> JsonValue:
    told: JsonValue = settings.model_dump(mode="json", exclude=set(PRIVATE))
    return {**told, "name": name} if isinstance(told, dict) else None


def _calibration(calibration: Calibration | None) -> JsonValue:
    """Return what it does, and its version; not the photos that it was learned from."""
    if calibration is None:
        return None
    content = calibration.model_dump(mode="json", exclude={"marks"})
    return {"version": calibration.version, "content": content}


def _galleries(galleries: "Sequence[Gallery]") -> JsonValue:
    return [
        {
            "name": one.name,
            "kind": one.manifest.kind,
            "fingerprint": one.manifest.encoder.fingerprint,
            "points": one.manifest.photos,
        }
        for one in galleries
    ]
