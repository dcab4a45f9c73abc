"""Putting a machine together: tools, driver and limits, as a recipe and the settings say."""

from collections.abc import Sequence
from dataclasses import replace

from langchain_core.tools import BaseTool

from agent.asker import Asker
from agent.budget import Budget
from agent.calibration import Calibration
from agent.calls import announce
from agent.drivers import Driver, ModelDriver, ToldDriver
from agent.judge import ModelJudge
from agent.nodes import Machine
from agent.pipeline import PipelineDriver
from agent.recipes import Recipe
from agent.settings import Settings
from agent.toolbox import make_tools
from agent.turns import COMMIT
from geo.errors import InputError
from tools.workbench import Workbench


def assemble(
    bench: Workbench,
    settings: Settings,
    recipe: Recipe,
    asker: Asker | None,
    *,
    driver: Driver | None = None,
    budget: Budget,
    trajectories: int | None = None,
    analyst: bool = False,
    calibration: Calibration | None = None,
    without: Sequence[str] = (),
) -> Machine:
    """Return the machine of a recipe.

    Args:
        bench: what the tools may touch; gets the model as its judge of pairs of photos.
        settings: which servers the tools may ask, and what answers cost.
        recipe: what is done.
        asker: asks the model; None without one.
        driver: decides instead of the recipe's own.
        budget: of every run.
        trajectories: instead of the recipe's; several ask no analyst, who could not follow them.
        analyst: whether somebody is there to be asked.
        calibration: how far evidence can be trusted.
        without: names of tools that are not offered.

    Raises:
        InputError: there is no tool of such a name, or the run cannot do without it.
    """
    count = trajectories or recipe.trajectories
    analyst = analyst and count == 1
    if asker is not None and recipe.uses_model:
        bench.judge = ModelJudge(asker.client, asker.settings, announce)
    tools = _offered(make_tools(bench, settings, analyst=analyst), without)
    pipeline = PipelineDriver([tool.name for tool in tools])
    machine = Machine(
        bench, tools, pipeline, budget, recipe, analyst=analyst, trajectories=count,
        calibration=calibration, loss=settings.abstain,
    )  # fmt: skip
    if asker is not None and recipe.uses_model:
        looped = [tool for tool in tools if not recipe.tools or tool.name in recipe.tools]
        own = ModelDriver(asker, looped)
        machine = replace(machine, driver=own, fallback=pipeline, asker=asker)
    return replace(machine, driver=ToldDriver(driver)) if driver else machine


def _offered(tools: Sequence[BaseTool], without: Sequence[str]) -> tuple[BaseTool, ...]:
    """Return the tools but for those that are not wanted."""
    names = {tool.name for tool in tools}
    if COMMIT in without:
        raise InputError(f"a run ends with {COMMIT}, which cannot be left out; choose other tools")
    if unknown := [name for name in without if name not in names]:
        raise InputError(
            f"there is no tool {unknown[0]!r:.60} to leave out; choose from "
            f"{', '.join(sorted(names - {COMMIT}))}"
        )
    return tuple(tool for tool in tools if tool.name not in without)
