"""What a training works on: photos read, rejected or turned into features before any step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from encoders.photo_file import printable
from geo.errors import InputError
from geo.geocoders import Geocoder
from index_builder.cached_features import CachedFeatures
from index_builder.feature_cache import cache_features
from index_builder.records import Rejected
from index_builder.train_heads import fresh_heads
from index_builder.train_loop import Pace
from index_builder.train_progress import OnProgress
from index_builder.train_settings import TrainSettings
from index_builder.training_data import nothing_left, read_examples

if TYPE_CHECKING:
    from encoders.backbones import Backbone


@dataclass(frozen=True)
class Options:
    """What changes no number of a training.

    Attributes:
        features: folder of cached features, shared by all trainings.
        device: see `encoders.torch_setup.choose_device`; under torchrun, `auto` gives every
            process of a machine its own GPU.
        pace: how often a checkpoint is written.
        geocoder: gives what names places whose caption the data lack; asked when needed.
        positions: CSV of positions, where the data are a folder of photos.
        tensorboard: write logs for it.
        progress: called after every batch and step.
        asked_to_stop: asked after every step; a stop writes a checkpoint first.
    """

    features: Path
    device: str = "auto"
    pace: Pace = field(default_factory=Pace)
    geocoder: Callable[[], Geocoder] | None = None
    positions: Path | None = None
    tensorboard: bool = True
    progress: OnProgress | None = None
    asked_to_stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Material:
    """What the first process prepares and all train on."""

    features: CachedFeatures
    rejected: tuple[Rejected, ...]
    digest: str
    width: int
    token_width: int
    backbone: dict[str, JsonValue]


def prepare_material(
    settings: TrainSettings, data: Path, backbone: "Backbone", options: Options
) -> Material:
    """Read the data and compute what is missing of their features.

    Raises:
        InputError: the data cannot be used, or fewer than 2 photos of them.
        UnavailableError: the disk is full.
    """
    heads = fresh_heads(settings, backbone.width, backbone.token_width)
    geocoder = cache(options.geocoder) if options.geocoder else None
    examples, rejected = read_examples(
        data, heads.needs, geocoder=geocoder, positions=options.positions
    )
    if "captions" in heads.needs and not backbone.text:
        raise InputError(
            f"family {settings.family!r} trains on captions, which backbone "
            f"{backbone.spec.name!r} cannot read; use clip-vit-l-14"
        )
    features, kept, more = cache_features(
        examples,
        heads.needs,
        backbone,
        options.features,
        classes=getattr(heads.config, "classes", None),
        progress=options.progress,
    )
    rejected = [*rejected, *more]
    if len(kept) < 2:
        if not kept:
            raise nothing_left(data, rejected)
        raise InputError(
            f"1 photo in {printable(str(data))!r} can be used, at least 2 are needed to compare; "
            "give more photos"
        )
    stated: dict[str, JsonValue] = {
        "name": backbone.spec.name,
        "fingerprint": backbone.fingerprint,
    }
    return Material(
        features, tuple(rejected), features.digest(), backbone.width, backbone.token_width, stated
    )
