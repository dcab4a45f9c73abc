"""What a session leaves on the disk."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from langchain_core.messages import AIMessage
from PIL import Image
from pydantic import JsonValue

from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.sessions import Sessions
from agent.settings import Settings
from tests.fakes import BlankReader, FakeGazetteer, calling
from tests.unit.photo_samples import encoded
from tests.unit.test_agentic import Model, commit

pytestmark = pytest.mark.slow
TURNS = 12
LIMIT_BYTES = 1_000_000


def large_photo() -> bytes:
    """Return a JPEG file of about 6 MB: noise does not compress."""
    noise = np.random.default_rng(0).integers(0, 256, (1800, 2200, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), quality=98)
    assert 5_000_000 < len(data) < 9_000_000
    return data


def looks(photo_id: str) -> list[AIMessage]:
    """Return eleven turns that zoom and look places up, each with words of the model."""
    words = "The arcade and the shutters suggest the south; I look closer at the next part. " * 6
    turns = []
    for turn in range(TURNS - 1):
        box: dict[str, JsonValue] = {
            "left": turn / 20,
            "top": 0.1,
            "right": turn / 20 + 0.2,
            "bottom": 0.4,
        }
        here: dict[str, JsonValue] = {"latitude": 40.0 + turn, "longitude": 10.0 + turn}
        turns.append(
            calling(
                ("zoom", {"photo_id": photo_id, **box}),
                ("find_place", {"name": "Testdorf", "limit": turn + 1}),
                ("reverse_geocode", here),
                text=words,
            )
        )
    return turns


def test_twelve_turns_about_a_large_photo_stay_small(
    tmp_path: Path, settlements: Settlements
) -> None:
    data = large_photo()
    settings = Settings(home=tmp_path)

    photo_id = hashlib.sha256(data).hexdigest()

    def make(_: object) -> Geolocator:
        model = Model(*looks(photo_id), commit)
        one = Geolocator(model=model.chat, settings=settings, encoder=None, recipe="agentic")
        one.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        one.bench.reader = BlankReader()
        return one

    with Sessions(settings, Geolocators(settings, make=make)) as sessions:
        info = sessions.create(data)
        answer = sessions.send(info.id, "Somewhere in Italy?").wait(120)
        assert answer
        assert answer.model
        assert answer.budget_spent["steps"] == TURNS
        with sessions.store.saver.cursor(transaction=False) as cursor:  # type: ignore[attr-defined]
            cursor.execute("SELECT length(checkpoint) FROM checkpoints")
            sizes = [row[0] for row in cursor.fetchall()]
            cursor.execute("SELECT length(value) FROM writes")
            sizes += [row[0] for row in cursor.fetchall()]
    held = sum(sizes)
    assert held < LIMIT_BYTES
    assert (tmp_path / "sessions.sqlite").stat().st_size < 2 * LIMIT_BYTES
