"""`make test-vllm`: environment, model, server, tests; the server is stopped whatever happens.

python -m tests.vllm --venv .venv-vllm --model build/tiny-vl [arguments of pytest]
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from geo.errors import UnavailableError
from tests.vllm.environment import ROOT, ensure_environment
from tests.vllm.server import QUIET, serving, tail

MAKER = Path(__file__).parent / "make_model.py"


def main(arguments: list[str] | None = None) -> int:
    """Run the suite against a server of its own; returns what pytest returns."""
    parser = argparse.ArgumentParser(prog="python -m tests.vllm", description=__doc__)
    parser.add_argument("--venv", type=Path, default=Path(".venv-vllm"), help="server's own")
    parser.add_argument("--model", type=Path, default=Path("build/tiny-vl"), help="made if missing")
    ours, for_pytest = parser.parse_known_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped
    try:
        python = ensure_environment(ours.venv.absolute(), _say)
        ensure_model(python, ours.model)
        log = ours.model.with_suffix(".log")
        _say(f"Starting the server (log: {log}) ...")
        with serving(python, ours.model, log, _say) as url:
            return _run_tests(url, python, log, for_pytest)
    except UnavailableError as error:
        _say(f"No server to test against: {error}")
        return 2


def ensure_model(python: Path, folder: Path) -> None:
    """Make the tiny model, unless this very program made it before.

    Raises:
        UnavailableError: it cannot be made.
    """
    maker = hashlib.sha256(MAKER.read_bytes()).hexdigest()
    made_by = folder / "made_by"
    if made_by.is_file() and made_by.read_text() == maker:
        return
    _say(f"Making the tiny model {folder} ...")
    environment = {**os.environ, **QUIET}
    done = subprocess.run(
        [python, MAKER, folder], env=environment, capture_output=True, text=True, cwd=ROOT
    )
    if done.returncode:
        raise UnavailableError(f"the tiny model cannot be made:\n{done.stderr[-2000:]}")
    made_by.write_text(maker)


def _run_tests(url: str, python: Path, log: Path, arguments: list[str]) -> int:
    chosen = any(Path(argument.partition("::")[0]).exists() for argument in arguments)
    command = [sys.executable, "-m", "pytest", *([] if chosen else ["tests/vllm"])]
    command += ["-o", "log_cli=true"]
    command += ["--log-cli-level=INFO", "--log-cli-format=%(message)s", *arguments]
    environment = {**os.environ, "VLLM_TEST_URL": url, "VLLM_TEST_PYTHON": str(python)}
    done = subprocess.run(command, cwd=ROOT, env=environment)
    if done.returncode:
        _say(f"Last lines of the server's log {log}:\n{tail(log)}")
    return done.returncode


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
