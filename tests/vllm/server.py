"""One vLLM server of the tiny model on a free loopback port, started, waited for, and stopped."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from geo.errors import UnavailableError

NAME = "tiny-vl"
CONTEXT = 32_768
IMAGES = 6
READY_S = 600.0
"""Two minutes where the machine has nothing else to do."""
STOP_S = 20.0
FLAGS = (
    "--served-model-name", NAME,
    "--host", "127.0.0.1",
    "--dtype", "bfloat16",
    "--enforce-eager",
    "--max-num-seqs", "8",
    "--max-model-len", str(CONTEXT),
    # On a CPU a request with a seed whose prompt is read in pieces kills the engine.
    "--max-num-batched-tokens", str(CONTEXT),
    "--no-enable-chunked-prefill",
    "--limit-mm-per-prompt", json.dumps({"image": IMAGES, "video": 0}),
    "--enable-auto-tool-choice",
    "--tool-call-parser", "hermes",
    "--structured-outputs-config",
    json.dumps({"backend": "xgrammar", "disable_any_whitespace": True}),
)  # fmt: skip
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "OMP_NUM_THREADS": "1",
}


@contextmanager
def serving(python: Path, model: Path, log: Path, say: Callable[[str], None]) -> Iterator[str]:
    """Serve a model and yield the server's address up to `/v1`; stopped on the way out, always.

    Raises:
        UnavailableError: it ends, or is not ready in ten minutes; with its log's last lines.
    """
    port = free_port()
    # Not `vllm serve`: that command asks for a distribution of the name `vllm`.
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(model), "--port", str(port), *FLAGS]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **QUIET},
            start_new_session=True,  # its children are stopped with it
        )
        try:
            _wait(process, port, log, say)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            stop(process)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def stop(process: subprocess.Popen[bytes], patience_s: float = STOP_S) -> None:
    """Stop a server and every process that it started."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    # The leader may be gone while a child holds the port.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _wait(
    process: subprocess.Popen[bytes],
    port: int,
    log: Path,
    say: Callable[[str], None],
    limit_s: float = READY_S,
) -> None:
    began = told = time.monotonic()
    while not _healthy(port):
        waited = time.monotonic() - began
        if process.poll() is not None:
            raise UnavailableError(f"the server ended with {process.returncode}:\n{tail(log)}")
        if waited > limit_s:
            raise UnavailableError(f"no server after {limit_s:g} s:\n{tail(log)}")
        if time.monotonic() - told >= 10:
            told = time.monotonic()
            say(f"  {waited:.0f} s: {tail(log, 1)[:100]}")
        time.sleep(0.5)
    say(f"The server is ready after {time.monotonic() - began:.0f} s.")


def _healthy(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
        return True
    return False


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines that a server wrote."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
