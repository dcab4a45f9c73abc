"""What every test may lean on: no network but loopback, no state but its own folder."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings

from agent.factors import Settlements
from agent.settings import Settings

# `make test` tries the same examples each time; `make test-slow` looks for new ones. How long one
# takes tells more of the machine than of the code.
hypothesis_settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis_settings.register_profile("new", deadline=None)
hypothesis_settings.load_profile("new")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose photo store and traces live in the test's own folder."""
    return Settings(home=tmp_path / "home")


@pytest.fixture(scope="session")
def settlements() -> Settlements:
    """A small world: five countries, a few towns each."""
    rows = [
        (52.52, 13.405, 3_700_000, "DE"), (48.137, 11.576, 1_500_000, "DE"),
        (50.938, 6.957, 1_000_000, "DE"), (53.551, 9.994, 1_800_000, "DE"),
        (48.857, 2.352, 2_100_000, "FR"), (45.764, 4.836, 510_000, "FR"),
        (43.296, 5.37, 860_000, "FR"), (47.376, 8.541, 430_000, "CH"),
        (46.948, 7.447, 130_000, "CH"), (-18.141, 178.442, 77_000, "FJ"),
        (-16.78, -179.98, 1_000, "FJ"), (-33.869, 151.209, 5_300_000, "AU"),
        (-37.814, 144.963, 5_000_000, "AU"),
    ]  # fmt: skip
    points = np.array([row[:2] for row in rows], dtype=np.float64)
    populations = np.array([row[2] for row in rows], dtype=np.float64)
    return points, populations, [row[3] for row in rows]


@pytest.fixture(scope="session")
def countryside(settlements: Settlements) -> Settlements:
    """The small world with 40,000 villages, so that its towns have the weight that towns have.

    There are none beyond 160 degrees east: around Fiji is sea.
    """
    points, populations, codes = settlements
    grid = np.random.default_rng(0).uniform((-40, -120), (65, 160), (40_000, 2))
    people = np.full(len(grid), 8_000.0)
    everywhere = [*codes, *["FR"] * len(grid)]
    return np.concatenate([points, grid]), np.concatenate([populations, people]), everywhere
