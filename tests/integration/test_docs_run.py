"""The code of README.md and docs/ does what the pages say: run beside a server of this machine."""

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph_sdk.client import SyncLangGraphClient
from openai import OpenAI
from PIL import Image

from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.session_records import Assessment, SessionOptions
from agent.settings import Settings
from geo.gazetteer import Gazetteer, default_path
from index_builder import build_gallery, open_gallery
from tests.documented import DRAWN, HERE, MODEL, NOT_RUN, PARSED, ROOT, SYNOPSES, Block, blocks
from tests.fakes import BlankReader
from tests.openai_stub import OpenAIStub
from tests.protocol_samples import PLEASE, Service, Talker, photo, service, shown
from tests.unit.gallery_samples import write_photos

pytestmark = [
    pytest.mark.slow,
    # Examples are programs of their own: what they leave open ends with them.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
BLOCKS = blocks()
LIMIT_S = 200
PYTHON = [one for one in BLOCKS if one.language == "python" and not one.listed(NOT_RUN)]
SHELL = [
    one for one in BLOCKS
    if one.is_shell and not (one.listed(PARSED) or one.listed(SYNOPSES) or one.listed(DRAWN))
]  # fmt: skip
STRICT = """\
set -euo pipefail
graticule() { "$PYTHON" -m cli.main "$@"; }
curl() { command curl --fail-with-body --silent --show-error --max-time 60 "$@"; }
"""


class Place(NamedTuple):
    """Where the pages' code runs: a folder, a home, a server."""

    folder: Path
    home: Path
    service: Service


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, settlements: Settlements
) -> Iterator[tuple[Path, Service]]:
    home = tmp_path_factory.mktemp("home")
    Gazetteer.open().close()
    (home / default_path().name).symlink_to(default_path())
    with pytest.MonkeyPatch.context() as patch, service(home, settlements) as held:
        patch.setattr(Geolocator, "warm", lambda self: None)  # /ready is tested elsewhere
        yield home, held


@pytest.fixture
def place(running: tuple[Path, Service], tmp_path: Path) -> Place:
    """A new folder with photos, and no session: what a page says does not lean on another's."""
    home, held = running
    for info in held.sessions.search():
        held.sessions.delete(info.id)
    for number, name in enumerate(("photo.jpg", "second.jpg"), start=1):
        (tmp_path / name).write_bytes(photo(number))
    return Place(tmp_path, home, held)


@pytest.fixture
def named(place: Place) -> dict[str, str]:
    """What stands for `$SESSION` and so on in pages."""
    held = place.service.sessions
    ended = located(place.service, "harbour")
    held.assess(ended, Assessment(verdict="near", revision=1, latitude=48.1, longitude=11.5))
    early = next(one for one in held.history(ended) if one.next == ("decide",))
    stopped = held.fork(ended, early.checkpoint_id, name="stopped").id
    return {
        "SESSION": ended, "WAITING": located(place.service, "asking", PLEASE), "STOPPED": stopped
    }  # fmt: skip


def located(held: Service, name: str, hint: str = "") -> str:
    """Have a photo located in a session of this name, and return its id."""
    info = held.sessions.create(photo(7), name=name)
    held.sessions.send(info.id, hint).wait(30)
    return info.id


def ids(found: list[Block]) -> list[str]:
    return [one.name for one in found]


@pytest.mark.parametrize("block", SHELL, ids=ids(SHELL))
def test_shell(block: Block, place: Place, named: dict[str, str]) -> None:
    for program in ("bash", "curl", "unzip"):
        if f"{program} " in STRICT + block.text and shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    # Keys would lock the other pages out of the server.
    home = place.folder if block.page == "deploy.md" else place.home
    text = block.text.replace(HERE, place.service.url)
    done = subprocess.run(
        ["bash", "-c", STRICT + text], cwd=place.folder, capture_output=True, check=False,
        timeout=LIMIT_S, text=True,
        env={**os.environ, **named, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT),
             "GRATICULE_HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def scripted(settings: Settings) -> Geolocators:
    """Return geolocators that a script drives and that know the names of the world."""

    def make(options: SessionOptions) -> Geolocator:
        one = Geolocator(
            driver=Talker(), settings=settings, encoder=None, recipe="pipeline",
            analyst=options.ask, without=options.without,
        )  # fmt: skip
        one.bench.reader = BlankReader()
        return one

    return Geolocators(settings, make=make)


def prepared(page: str, place: Place, named: dict[str, str], patch: Any) -> dict[str, Any]:
    """Return the names that a page's blocks of Python lean on, having made what they open."""
    if page == "galleries.md":
        picture = Image.open(place.folder / "photo.jpg").convert("RGB")
        with open_gallery(place.folder / "my.gallery") as gallery:
            return {"encoder": gallery.encoder, "photo": picture}
    if page == "evaluation.md":
        rows = "image_id,latitude,longitude\na,48.1,11.5\nb,52.5,13.4\n"
        for name in ("predictions.csv", "truth.csv"):
            (place.folder / name).write_text(rows)
    if page == "reports.md":
        whole = place.service.client.get(f"/v1/sessions/{named['SESSION']}/export/zip")
        (place.folder / "whole.zip").write_bytes(whole.content)
    if page == "traces.md":
        path = place.service.sessions.trace_path(named["SESSION"])
        patch.setattr(sys, "argv", ["check.py", str(path)])
    if page == "sessions.md":
        patch.setattr("agent.sessions.Geolocators", scripted)
    if page != "agent.md":
        return {}
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    return {
        "SqliteSaver": SqliteSaver, "connection": connection, "checkpointer": InMemorySaver(),
        "config": {"configurable": {"thread_id": "1"}},
        "message_with_an_image": HumanMessage(shown(photo())["messages"][0]["content"]),
    }  # fmt: skip


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gallery that pages open."""
    folder = tmp_path_factory.mktemp("galleries")
    build_gallery(write_photos(folder / "photos"), folder / "my.gallery")
    return folder / "my.gallery"


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, dict[str, Any]]]:
    """The names of each page: its blocks are run in their order, one after the other."""
    held: dict[str, dict[str, Any]] = {}
    yield held
    for page in held.values():
        for value in page.values():
            if isinstance(value, SyncLangGraphClient | OpenAI | sqlite3.Connection):
                value.close()
    held.clear()
    with warnings.catch_warnings():  # examples leave the rest to the end of the program
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.mark.parametrize("block", PYTHON, ids=ids(PYTHON))
def test_python(
    block: Block, place: Place, named: dict[str, str], gallery: Path,
    names: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # A copy: the graph that a page makes of it holds it to the end.
    shutil.copytree(gallery, place.folder / "my.gallery")
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("GRATICULE_HOME", str(place.home))
    made = prepared(block.page, place, named, monkeypatch)
    held = names.setdefault(block.page, {"__name__": "__main__"})
    held.update({name: value for name, value in made.items() if name not in held})
    with OpenAIStub() as stub:
        if block.page == "agent.md":
            monkeypatch.setenv("GRATICULE_MODEL__URL", stub.url)
        text = block.text.replace(HERE, place.service.url).replace(MODEL, stub.url)
        exec(compile(text, block.name, "exec"), held)
