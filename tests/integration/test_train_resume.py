"""A training that is killed at any moment goes on with the very numbers of one that was not."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.integration.training_runs import Workplace

KILLS = 5


@pytest.mark.slow
@pytest.mark.parametrize("family", ["geoclip", "transgeoclip"])
def test_killed_at_random_moments_the_curve_and_the_weights_are_the_same(
    tmp_path: Path, family: str
) -> None:
    place = Workplace(tmp_path)
    schedule = ("--epochs", "60", "--every-steps", "7")
    place.run(place.command(family, "unbroken", *schedule))
    chance = random.Random(5)
    killed_at = []
    for _ in range(KILLS):
        before = place.step("killed")
        process = place.start(place.command(family, "killed", *schedule))
        deadline = time.monotonic() + 100
        while place.step("killed") < before + 7 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.15))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed_at.append(place.step("killed"))
        process.communicate()
    assert len(killed_at) >= 2, "it ended before it could be killed: more steps are needed"
    place.run(place.command(family, "killed", *schedule))
    assert place.log("killed") == place.log("unbroken")
    ours, theirs = place.weights("killed"), place.weights("unbroken")
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)


@pytest.mark.slow
def test_killed_while_features_are_computed_it_goes_on(tmp_path: Path) -> None:
    place = Workplace(tmp_path, photos=400)
    arguments = place.command("g3", "out", "--epochs", "1")
    process = place.start(arguments)
    deadline = time.monotonic() + 100
    while not list(tmp_path.glob("features/*/photos/pooled.npy")) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "out" / "training").exists()
    place.run(arguments)
    assert len(place.losses("out")) == 360 // 8


@pytest.mark.slow
def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    arguments = place.command("g3", "out", "--epochs", "2000", "--every-steps", "50")
    process = place.start(arguments)
    deadline = time.monotonic() + 100
    while not place.step("out") and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in said
    assert f"{place.step('out')} of " in printed
    assert len(place.losses("out")) == place.step("out")
