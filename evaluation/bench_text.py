"""Text in photos: what is read, which country it gives, and whether the stated odds hold.

Ours and a naive baseline read the same photos in the same run. A photo counts as read, for
both, when a line has four letters or more and the recogniser is surer than not.
"""

import csv
import functools
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from agent.belief import believe, summarise
from agent.nodes import PRIOR_POPULATION
from evaluation.bench import Measurement
from geo import sphere
from geo.gazetteer import Gazetteer
from tools.clues import CountryClues, clue_evidence, country_clues, warm
from tools.clues_prior import countries, country_facts
from tools.read_text import TextLine, TextReader
from tools.recognizer import RapidRecognizer

HONEST_POINTS = 10
"""A radius too wide is as dishonest as one too small; about two standard errors of 89 photos."""
CONFIDENT = 0.8
WATERMARK = re.compile(r"g[o0]{2}[gq]l|mapillary|street ?view", re.IGNORECASE)
UNNAMED_SHARE = 0.0005
"""Share of a country that is not in the stated list, for the log loss."""


@dataclass(frozen=True)
class Reading:
    """One photo, its truth, and what either side made of it."""

    country: str
    latitude: float
    longitude: float
    ours: CountryClues
    legible: bool
    baseline: tuple[str, ...]
    """The baseline's countries, best first; empty where nothing is legible."""
    seconds: float
    watermarks_read: int
    watermarks_used: int


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield the figures of the sign close-ups, then those of ordinary photos."""
    if data is None:
        return
    signs = list(read_photos(data, ("sign-closeup",)))
    yield from reading_figures(signs)
    yield from calibration_figures(signs)
    yield from radius_figures(signs)
    yield from ordinary_figures(list(read_photos(data, ("street", "photo"))))


def read_photos(data: Path, categories: Sequence[str]) -> Iterator[Reading]:
    """Read the photos of some categories with both readers, one photo at a time."""
    recognizer, reader = RapidRecognizer(), TextReader()
    reader.warm()
    warm()
    with (data / "photos" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["category"] in categories]
    for row in rows:
        with Image.open(data / "photos" / row["file"]) as opened:
            image = opened.convert("RGB")
        started = time.perf_counter()
        lines = reader.read(image)
        used = [line for line in lines if not line.overlay]
        ours = country_clues([x.text for x in used], [x.confidence for x in used])
        seconds = time.perf_counter() - started
        raw = recognizer(np.ascontiguousarray(np.asarray(image)[:, :, ::-1]))
        yield Reading(
            country=row["country"],
            latitude=float(row["latitude"]),
            longitude=float(row["longitude"]),
            ours=ours,
            legible=legible([(x.text, x.confidence) for x in used]),
            baseline=baseline_countries([(text, score) for text, score, _ in raw]),
            seconds=seconds,
            watermarks_read=_watermarks(lines),
            watermarks_used=_watermarks(used),
        )


def legible(lines: Sequence[tuple[str, float]]) -> bool:
    """Return whether a photo counts as read, the same for both sides."""
    return any(score > 0.5 and sum(c.isalpha() for c in text) >= 4 for text, score in lines)


def baseline_countries(lines: Sequence[tuple[str, float]]) -> tuple[str, ...]:
    """Return the naive guess: the three likeliest languages' largest countries."""
    if not legible(lines):
        return ()
    text = " ".join(text for text, score in lines if score > 0.5)
    values = _latin_detector().compute_language_confidence_values(text)
    codes = [item.language.iso_code_639_1.name.lower() for item in values]
    found = dict.fromkeys(_largest_country(code) for code in codes)
    return tuple(country for country in found if country)[:3]


@functools.cache
def _latin_detector():  # type: ignore[no-untyped-def]  # lingua's own type loads the package
    from lingua import LanguageDetectorBuilder

    return LanguageDetectorBuilder.from_all_languages_with_latin_script().build()


@functools.cache
def _largest_country(language: str) -> str:
    from babel.languages import get_territory_language_info

    def speakers(country: str) -> float:
        info = get_territory_language_info(country) or {}
        share = info.get(language) or {}
        if share.get("official_status") is None:
            return 0.0
        people = float(str(country_facts()[country]["population"]))
        return people * float(share["population_percent"] or 0)

    best = max(countries(), key=speakers)
    return best if speakers(best) > 0 else ""


def reading_figures(signs: Sequence[Reading]) -> Iterator[Measurement]:
    """Yield how many signs are read and how often the country is right, beside the baseline."""
    ours = [sign for sign in signs if sign.legible]
    naive = [sign for sign in signs if sign.baseline]
    yield Measurement(
        "sign photos read", len(ours), f"of {len(signs)}", f"baseline {len(naive)}",
        "92", len(ours) >= 92,
    )  # fmt: skip
    for count, name, target in ((1, "first", 88), (3, "in the first three", 97)):
        right = _percent([sign.country in list(sign.ours.shares)[:count] for sign in ours])
        other = _percent([sign.country in sign.baseline[:count] for sign in naive])
        yield Measurement(
            f"right country {name}, of those read", right, "%", f"baseline {other:.1f} %",
            f"{target} %", right >= target,
        )  # fmt: skip
    milliseconds = [1000 * sign.seconds for sign in signs]
    yield Measurement("reading and clues per photo, median", float(np.median(milliseconds)), "ms")


def calibration_figures(signs: Sequence[Reading]) -> Iterator[Measurement]:
    """Yield log loss, calibration error and how often the stated countries hold the truth."""
    read = [sign for sign in signs if sign.legible]
    loss = [-np.log(sign.ours.shares.get(sign.country, UNNAMED_SHARE)) for sign in read]
    yield Measurement("log loss of the country", float(np.mean(loss)), "nat")
    stated = np.array([max(sign.ours.shares.values(), default=0.0) for sign in read])
    hit = np.array([sign.country in list(sign.ours.shares)[:1] for sign in read])
    error = calibration_error(stated, hit)
    yield Measurement(
        "expected calibration error", error, "",
        f"stated {stated.mean():.2f}, right {hit.mean():.2f}",
    )  # fmt: skip
    for level in (0.5, 0.8, 0.95):
        held = _percent([covers(sign.ours.shares, sign.country, level) for sign in read])
        yield Measurement(
            f"countries stated for {level:.0%} hold the truth", held, "%", "",
            f"at least {100 * level:.0f} %", held >= 100 * level,
        )  # fmt: skip


def calibration_error(
    stated: np.ndarray[tuple[int], np.dtype[np.float64]],
    hit: np.ndarray[tuple[int], np.dtype[np.bool_]],
    bins: int = 5,
) -> float:
    """Return the expected calibration error of `[N]` probabilities over equal bins.

    Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    where = np.minimum((stated * bins).astype(int), bins - 1)
    gaps = [
        abs(stated[where == index].mean() - hit[where == index].mean()) * (where == index).mean()
        for index in range(bins)
        if (where == index).any()
    ]
    return float(sum(gaps))


def covers(shares: Mapping[str, float], truth: str, level: float) -> bool:
    """Return whether the fewest countries that hold `level` include the truth.

    Where the countries named do not reach it, the statement is 'anywhere', which does.
    """
    held = 0.0
    for country, share in shares.items():
        held += share
        if country == truth:
            return True
        if held >= level:
            return False
    return True


def radius_figures(signs: Sequence[Reading]) -> Iterator[Measurement]:
    """Yield how often the radii that follow from text alone hold the truth."""
    settlements = Gazetteer.open().settlements(PRIOR_POPULATION)
    inside: dict[str, list[bool]] = {"km_50": [], "km_80": [], "km_95": []}
    radii: list[float] = []
    for sign in signs:
        evidence = clue_evidence(sign.ours)
        if not sign.legible or evidence is None:
            continue
        stated = summarise(believe([evidence], settlements))
        away = sphere.haversine_km(stated.latitude, stated.longitude, sign.latitude, sign.longitude)
        radii.append(stated.km_50)
        for name, hits in inside.items():
            hits.append(bool(away <= getattr(stated, name)))
    yield Measurement("radius of half the belief, median", float(np.median(radii)), "km")
    for name, hits in inside.items():
        level = float(name.removeprefix("km_"))
        held = _percent(hits)
        yield Measurement(
            f"radius stated for {level:.0f} % holds the truth", held, "%", "",
            f"{level:.0f} %, within {HONEST_POINTS} points", abs(held - level) <= HONEST_POINTS,
        )  # fmt: skip


def ordinary_figures(photos: Sequence[Reading]) -> Iterator[Measurement]:
    """Yield whether scraps of text on ordinary photos lead to confident wrong countries."""
    read = [photo for photo in photos if photo.legible]
    yield Measurement("ordinary photos read", len(read), f"of {len(photos)}")
    sure = [
        photo.country in list(photo.ours.shares)[:1]
        for photo in photos
        if max(photo.ours.shares.values(), default=0.0) >= CONFIDENT
    ]
    wrong = len(sure) - sum(sure)
    yield Measurement(
        f"ordinary photos given a wrong country at {CONFIDENT:.0%} or more", wrong,
        "", f"of {len(sure)} so sure", "at most a fifth",
        wrong <= 0.2 * len(sure) if sure else None,
    )  # fmt: skip
    seen = sum(photo.watermarks_read for photo in photos)
    used = sum(photo.watermarks_used for photo in photos)
    yield Measurement(
        "watermarks handed on as clues", used, "", f"of {seen} read", "0",
        used == 0 if seen else None,
    )  # fmt: skip


def _watermarks(lines: Sequence[TextLine]) -> int:
    """Count lines with a frame's watermark, told independently of `tools.overlays`."""
    return sum(WATERMARK.search(line.text) is not None for line in lines)


def _percent(hits: Sequence[bool]) -> float:
    return 100.0 * float(np.mean(hits)) if hits else 0.0
