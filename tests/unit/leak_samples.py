"""Sessions about a place that must not be told, and what of it may be told at each level."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from langchain_core.messages import AIMessage, BaseMessage
from numpy.typing import NDArray
from pydantic import JsonValue

from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.session_records import SessionOptions
from agent.sessions import Sessions
from agent.settings import Settings
from geo.gazetteer import Place
from tests.fakes import BlankReader, FakeGazetteer, ScriptedChat, calling
from tests.unit.photo_samples import encoded, gps_exif, picture
from tests.unit.test_agentic import everything, text_of

TOWN, LATITUDE, LONGITUDE = "Zwieselstadt", 47.123456, 11.654321
FINE = (TOWN, r"47[.,]123[45]", r"11[.,]654", "zwieselturm")
"""A name, digits, and words of the model."""
SECRETS = {
    "city": FINE,
    "region": FINE,
    "country": (*FINE, "Testland"),
    "none": (*FINE, "Testland", "Austria", '(?-i:"AT")'),
}
"""Level -> regular expressions of which nothing may be found, in whatever case."""
PRIOR = {
    "latitude": LATITUDE, "longitude": LONGITUDE, "radius_km": 0.5, "place": TOWN,
    "country": "Austria", "confidence": 0.9, "reason": f"the Zwieselturm of {TOWN}",
    "clues": [{"what": "Zwieselturm", "box": {"left": 0.1, "top": 0.1, "right": 0.5,
                                              "bottom": 0.5}}],
}  # fmt: skip
WORLD = (
    np.array([(LATITUDE, LONGITUDE), (52.52, 13.405), (48.857, 2.352)]),
    np.array([900.0, 3_700_000.0, 2_100_000.0]),
    ["AT", "DE", "FR"],
)
PHOTO = encoded(
    picture(320, 240, seed=8),
    exif=gps_exif(
        GPSLatitudeRef="N", GPSLatitude=(47.0, 7.0, 24.44),
        GPSLongitudeRef="E", GPSLongitude=(11.0, 39.0, 15.56),
    ),
)  # fmt: skip
"""Its metadata claims the place, too."""
FILE_NAME = f"{TOWN}.jpg"
BROKEN = "broken"
"""A name that breaks whoever looks it up."""


class Village(FakeGazetteer):
    """Knows one village."""

    def find(self, name: str, *args: Any, **named: Any) -> list[Place]:
        if name == BROKEN:
            raise RuntimeError(f"the Zwieselturm fell on {LATITUDE}")
        return [self.nearest(LATITUDE, LONGITUDE, "AT")[0][0]] if name == TOWN else []

    def find_country(self, name: str) -> list[str]:
        return ["AT"] if name in ("Austria", "AT") else []

    def nearest(
        self, latitude: float, longitude: float, country: str | None = None, limit: int = 1
    ) -> list[tuple[Place, float]]:
        (place, away), *_ = super().nearest(latitude, longitude, country, limit)
        return [(replace(place, name=TOWN, matched=TOWN), away)]

    def admin1_near(self, points: NDArray[np.float64], country: str) -> list[str]:
        return ["Testland"] * len(points)


def reply(messages: Sequence[BaseMessage], given: dict[str, Any]) -> AIMessage:
    """Name the place wherever a model may write something, ask, and commit."""
    said = text_of(messages[-1])
    if "You have no tools now" in said:
        return AIMessage(json.dumps(PRIOR))
    if not given.get("tools"):
        return AIMessage(json.dumps({key: PRIOR[key] for key in PRIOR if key != "clues"}))
    whole = everything(messages)
    if "break it" in whole:
        return calling(("find_place", {"name": BROKEN}))
    offered = str(given["tools"])
    if "please ask" in whole and "ask_analyst" in offered and "The analyst" not in whole:
        question: dict[str, JsonValue] = {"question": f"Is it {TOWN}?", "options": [TOWN, "no"]}
        return calling(("ask_analyst", question))
    if "It looks like" not in whole:
        return calling(
            ("find_place", {"name": TOWN}), ("zwieselturm_finder", {"at": LATITUDE}),
            ("read_metadata", {"photo_id": hashlib.sha256(PHOTO).hexdigest()}),
            text=f"It looks like {TOWN}.",
        )  # fmt: skip
    ids: list[JsonValue] = [*sorted(set(re.findall(r"\be[0-9a-f]{10}\b", whole)))]
    why = f"the Zwieselturm at {LATITUDE}, {LONGITUDE}"
    return calling(("commit_location", {"evidence_ids": ids[:5], "reason": why}), text=TOWN)


@contextmanager
def telling_sessions(settings: Settings) -> Iterator[Sessions]:
    """Sessions whose model tells everything that it knows."""

    def make(options: SessionOptions) -> Geolocator:
        geolocator = Geolocator(
            model=ScriptedChat(replies=[reply]), settings=settings, encoder=None,
            recipe="agentic", analyst=options.ask,
        )  # fmt: skip
        geolocator.bench.open_gazetteer = lambda: Village(WORLD)
        geolocator.bench.reader = BlankReader()
        return geolocator

    with Sessions(settings, Geolocators(settings, make=make)) as sessions:
        yield sessions


def secrets_in(text: str, level: str) -> list[str]:
    """Return what a text tells that it must not, with what stands around it."""
    found = []
    for secret in SECRETS[level]:
        for match in re.finditer(secret, text, re.IGNORECASE):
            found.append(text[max(0, match.start() - 80) : match.end() + 40])
    return found
