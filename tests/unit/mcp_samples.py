"""Sessions over a small world and a scripted model, quick enough for tests of faces."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.session_records import SessionOptions
from agent.sessions import Sessions
from agent.settings import Settings
from tests.fakes import BlankReader, FakeGazetteer
from tests.unit.photo_samples import encoded, gps_exif, picture
from tests.unit.test_agentic import Model, commit

WORLD = (
    np.array([(52.52, 13.405), (48.137, 11.576), (48.857, 2.352)]),
    np.array([3_700_000.0, 1_500_000.0, 2_100_000.0]),
    ["DE", "DE", "FR"],
)
PHOTO = encoded(picture(320, 240, seed=3))
CLAIMING = encoded(
    picture(320, 240, seed=4),
    exif=gps_exif(
        GPSLatitudeRef="S", GPSLatitude=(33.0, 51.0, 24.84),
        GPSLongitudeRef="E", GPSLongitude=(151.0, 12.0, 34.92),
    ),
)  # fmt: skip
"""Its metadata claims 33.85690 south, 151.20970 east."""
CLAIM = ("33.85", "151.2")


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextmanager
def scripted_sessions(
    settings: Settings, model: Callable[[], Model] = lambda: Model(commit)
) -> Iterator[Sessions]:
    """Sessions whose every geolocator asks a model of its own."""

    def make(options: SessionOptions) -> Geolocator:
        named: dict[str, Any] = {"recipe": options.recipe or "agentic"}
        geolocator = Geolocator(
            model=model().chat, settings=settings, encoder=None, analyst=options.ask,
            without=options.without, **named,
        )  # fmt: skip
        geolocator.bench.open_gazetteer = lambda: FakeGazetteer(WORLD)
        geolocator.bench.reader = BlankReader()
        return geolocator

    with Sessions(settings, Geolocators(settings, make=make)) as sessions:
        yield sessions
