"""Runs with galleries, encoders, calibrations and judges are replayed, too: all that tests make."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("files", "least"),
    [
        (("integration/test_recipes.py", "integration/test_geolocator.py"), 30),
        (("integration/test_worldwide.py", "unit/test_applied_calibration.py"), 8),
        (("unit/test_agentic.py", "unit/test_follow_up.py", "unit/test_sessions.py"), 60),
        (("unit/test_agent_protocol.py", "unit/test_chat.py", "unit/test_completions.py"), 30),
    ],
)
def test_whatever_these_tests_leave_behind_is_replayed(files: tuple[str, ...], least: int) -> None:
    ran = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "tests.replayed_traces",
            "-p", "no:cacheprovider", "-m", "not slow and not clients",
            *(str(ROOT / "tests" / one) for one in files),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=1400,
    )  # fmt: skip
    # Whether those tests pass is for themselves to say.
    count = re.search(r"^(\d+) traces replayed, (\d+) otherwise", ran.stdout, re.MULTILINE)
    assert count is not None, f"{ran.stdout[-3000:]}\n{ran.stderr[-1000:]}"
    assert int(count[2]) == 0, ran.stdout[-6000:]
    assert int(count[1]) >= least
