"""What `locate` and `batch` are told of what a run searches and with what: one set of options."""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.numbers import Number
from cli.paths import ExistingPath, GalleryPlace

if TYPE_CHECKING:
    from pydantic import JsonValue

    from agent.abstain import Rule
    from agent.geolocator import Ask, Geolocator
    from agent.model_settings import ModelSettings
    from agent.settings import Settings

POINTS = ("loss", "mode", "mean", "medoid")
"""As `agent.abstain.Rule` has them; help is shown without loading it."""
OPTIONS = (
    click.option(
        "--recipe",
        default="",
        help="Which recipe, see `graticule recipes`; auto is agentic where a model is configured "
        "and pipeline where none is. [default: auto]",
    ),
    click.option(
        "--model",
        default="",
        help="Chat model that drives the run; its name on the server of --model-url.",
    ),
    click.option(
        "--model-url",
        default="",
        help="OpenAI-compatible server, such as http://127.0.0.1:8000/v1. Photos are sent there.",
    ),
    click.option(
        "--trajectories",
        type=click.IntRange(1, 4),
        help="Investigations in parallel, judged at the end. [default: the recipe's]",
    ),
    click.option(
        "--gallery",
        "galleries",
        type=GalleryPlace(),
        multiple=True,
        help="Gallery to search: its folder, or http://HOST:6333/COLLECTION of a Qdrant server.",
    ),
    click.option(
        "--encoder",
        default="auto",
        show_default=True,
        help="Encoder for worldwide search: a family, a saved one's folder, a service's URL, "
        "none; auto is that of the recipe's family, else geoclip where its weights are here.",
    ),
    click.option(
        "--places",
        type=ExistingPath(),
        help="CSV with latitude, longitude: further places to search.",
    ),
    click.option(
        "--calibration",
        type=ExistingPath(),
        help="How far evidence can be trusted, from `graticule evaluate calibrate`; none takes it "
        "at its word. [default: the one installed for the recipe]",
    ),
    click.option(
        "--point",
        type=click.Choice(POINTS),
        help="How the point is chosen from belief: loss (nearest to the truth, expected over all "
        "scales), mode, mean or medoid. [default: the recipe's, loss]",
    ),
    click.option(
        "--abstain-cost",
        type=Number(0, 1000),
        help="What giving no coordinate costs, where a wrong one costs 1: less asks for more "
        "belief before a photo counts as located. [default: 0.5]",
    ),
    click.option(
        "--download", is_flag=True, help="Get the encoder's weights first, where they are missing."
    ),
    click.option(
        "--trust-metadata", is_flag=True, help="Let a position in the file's metadata count."
    ),
)
"""In the order in which help shows them; each is a field of `Chosen`."""


@dataclass(frozen=True)
class Chosen:
    """What was chosen by `OPTIONS`."""

    recipe: str
    model: str
    model_url: str
    trajectories: int | None
    galleries: tuple[Path | str, ...]
    encoder: str
    places: Path | None
    calibration: Path | None
    point: "Rule | None"
    abstain_cost: float | None
    download: bool
    trust_metadata: bool

    def open(self, settings: "Settings", *, quiet: bool, ask: "Ask | None" = None) -> "Geolocator":
        """Return the geolocator of these options, after downloads that were asked for."""
        from agent.geolocator import Geolocator

        if self.download:
            self.get_weights(settings, quiet=quiet)
        settings = self.settled(settings)
        return Geolocator(
            self.galleries,
            recipe=self.recipe,
            model=self.model_settings(settings),
            settings=settings,
            trajectories=self.trajectories,
            ask=ask,
            encoder=self.encoder,
            places=self.places,
        )

    def get_weights(self, settings: "Settings", *, quiet: bool) -> None:
        """Download what the encoder that is needed lacks."""
        _download(self._encoder_needed(settings), settings, quiet=quiet)

    def model_settings(self, settings: "Settings") -> "ModelSettings":
        """Return the settings of the model, with the name and address that were given."""
        named = {"name": self.model, "url": self.model_url}
        return settings.model.model_copy(update={key: one for key, one in named.items() if one})

    def settled(self, settings: "Settings") -> "Settings":
        """Return the settings with what these options say instead."""
        loss: dict[str, float] = {}
        if self.abstain_cost is not None:
            loss = {"abstain": self.abstain_cost * settings.abstain.wrong}
        return settings.model_copy(
            update={
                "calibration": self.calibration or settings.calibration,
                "point": self.point or settings.point,
                "abstain": settings.abstain.model_copy(update=loss),
            }
        )

    def _encoder_needed(self, settings: "Settings") -> str:
        """Return the encoder that was named, or that of the recipe's family."""
        from agent.recipes import find_recipe

        if self.encoder != "auto":
            return self.encoder
        recipe = find_recipe(self.recipe or settings.recipe, has_model=True)
        return recipe.family or self.encoder

    def shaping(self, geolocator: "Geolocator") -> "dict[str, JsonValue]":
        """Return what of these options shapes answers and no setting tells, for a journal."""
        here = "one is here" if geolocator.bench.open_encoder else "none is here"
        places = hashlib.sha256(self.places.read_bytes()).hexdigest() if self.places else ""
        encoder = f"auto, {here}" if self.encoder == "auto" else self.encoder
        return {
            "encoder": encoder,
            "places": places,
            "recipe": geolocator.recipe.model_dump(mode="json"),
            "driver": geolocator.machine.driver.name,
            "trajectories": geolocator.machine.trajectories,
            "model_url": self.model_url,
        }

    def prepare(self, geolocator: "Geolocator", *, quiet: bool) -> None:
        """Build what every photo needs and what takes long once, under progress bars."""
        from cli.progress import prepare_gazetteer, prepare_places

        prepare_gazetteer(quiet=quiet)
        prepare_places(geolocator, required=self.encoder != "auto", quiet=quiet)


def geolocator_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `OPTIONS` to a command, which gets them as its first argument, a `Chosen`."""
    names = [field.name for field in fields(Chosen)]

    @functools.wraps(command)
    def run(*arguments: Any, **given: Any) -> None:
        command(Chosen(**{name: given.pop(name) for name in names}), *arguments, **given)

    for option in reversed(OPTIONS):
        run = option(run)
    return run


def _download(encoder: str, settings: "Settings", *, quiet: bool) -> None:
    """Get what the encoder lacks and a hub has; what a package brings, its own error names."""
    from agent.worldwide import missing_rows
    from cli.download_progress import get_with_progress

    for row in missing_rows(encoder, settings.home):
        if row.source:
            get_with_progress(
                row.name, settings.home, hub_url=settings.hub_url, source="", quiet=quiet
            )
