"""Two processes over loopback train as one would, and go on after a kill."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.training_runs import Workplace

STEPS = 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "heads"),
    [("geoclip", {}), ("g3", {}), ("transgeoclip", {"dropout": 0.0}), ("cellcodes", {})],
)
def test_two_processes_give_the_curve_of_one(
    tmp_path: Path, family: str, heads: dict[str, Any]
) -> None:
    place = Workplace(tmp_path)
    steps = ("--epochs", "5", "--max-steps", str(STEPS))
    place.run(place.command(family, "one", *steps, **heads))
    printed = place.run(place.command(family, "two", *steps, **heads), processes=2)
    one, two = place.losses("one"), place.losses("two")
    assert len(one) == len(two) == STEPS
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-5)
    ours, theirs = place.weights("two"), place.weights("one")
    # A softmax does not feel a bias of its keys: that gradient is rounding alone, which AdamW
    # scales up to whole steps.
    felt = [name for name in theirs if not name.endswith("attention.key.bias")]
    for name in felt:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-4, err_msg=name)
    assert printed.count("of 20 steps") == 1, "one process speaks"


@pytest.mark.slow
def test_two_killed_processes_go_on_with_the_same_numbers(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    schedule = ("--epochs", "40", "--every-steps", "5")
    place.run(place.command("transgeoclip", "unbroken", *schedule), processes=2)
    arguments = place.command("transgeoclip", "killed", *schedule)
    process = place.start(arguments, processes=2)
    deadline = time.monotonic() + 120
    while place.step("killed") < 10 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None
    # torchrun gives its workers sessions of their own: all at once, before it notices.
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (process.pid, *map(int, workers)):
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert len(workers) >= 2
    place.run(arguments, processes=2)
    assert place.log("killed") == place.log("unbroken")
