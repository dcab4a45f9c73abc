"""Ray, started on this machine's loopback or joined where it runs, and kept quiet.

Knows nothing of galleries. Ray is imported when it is asked for: it comes with the extra `scale`.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from encoders.photo_file import printable
from geo.errors import UnavailableError

STORE_BYTES = 512_000_000
"""Memory that workers on this machine share for results that the writer has not taken yet."""
LOCAL = "local"


@dataclass(frozen=True)
class Crew:
    """Who does the work."""

    workers: int
    address: str
    by_name: bool
    """Whether each loads the encoder itself; otherwise it is sent to them."""


def import_ray() -> Any:
    """Return `ray` with its data library.

    Raises:
        UnavailableError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own use of what it has deprecated
            import ray
            import ray.data
    except ImportError as error:
        raise UnavailableError(
            f"building with workers needs Ray ({printable(str(error))}); "
            "pip install 'graticule[scale]'"
        ) from None
    return ray


@contextmanager
def session(crew: Crew) -> Iterator[Any]:
    """Yield `ray`, connected; one that was started for this build is ended.

    Raises:
        UnavailableError: no cluster at that address.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    # A release of Ray that is started by `init` sends no usage statistics.
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    own = {
        "num_cpus": max(crew.workers, os.cpu_count() or 1),
        "object_store_memory": STORE_BYTES,
        "include_dashboard": False,
    }
    constants: Any = getattr(ray._private, "ray_constants", None)
    if crew.address == LOCAL and hasattr(constants, "ENABLE_RAY_CLUSTER"):
        # Ray's own switch for machines whose firewall asks: otherwise it listens to the network.
        constants.ENABLE_RAY_CLUSTER = False
    os.putenv("RAY_BACKEND_LOG_LEVEL", "fatal")  # its C++ part speaks to stderr otherwise
    try:
        ray.init(address=crew.address, **quiet, **(own if crew.address == LOCAL else {}))
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UnavailableError(
            f"no Ray cluster at {printable(crew.address)!r} ({printable(str(error))}); start one "
            "with: ray start --head",
            retryable=True,
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def quietly() -> Iterator[None]:
    """Leave out warnings about what Ray itself has deprecated and still uses."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="ray")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield
