"""The server that `make test-vllm` started, a tap on its wire, and 50 photos to locate."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model_settings import ModelSettings
from tests.vllm.photos import write_photos
from tests.vllm.server import NAME
from tests.vllm.wiretap import Wiretap, tapped

VARIABLE = "VLLM_TEST_URL"
for talkative in ("httpx", "httpx2", "uvicorn", "mcp"):  # a line for each request says nothing
    logging.getLogger(talkative).setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def server_url() -> str:
    """Address of the server, up to `/v1`."""
    if not (url := os.environ.get(VARIABLE, "")):
        pytest.skip(f"no vLLM server: {VARIABLE} is not set; `make test-vllm` starts one")
    return url


@pytest.fixture
def tap(server_url: str) -> Iterator[Wiretap]:
    """A proxy before the server."""
    with tapped(server_url) as tap:
        yield tap


@pytest.fixture
def model(tap: Wiretap) -> ModelSettings:
    """Settings of the tiny model behind the tap: short replies, small images."""
    return model_at(tap.url)


def model_at(url: str, seed: int = 1) -> ModelSettings:
    return ModelSettings(
        url=url, name=NAME, max_tokens=256, image_side_px=192, images=4, temperature=1.0, seed=seed
    )


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """50 photos: street corners with signs, and plain colours."""
    return write_photos(tmp_path_factory.mktemp("photos"))
