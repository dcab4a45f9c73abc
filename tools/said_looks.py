"""Where on a photo somebody points: "the sign top left", "crop 10,20,300,400 px"."""

import re
from collections.abc import Iterator
from typing import NamedTuple

MOST_LOOKS = 4
SMALLEST_SHARE = 0.02
"""Of a side: a smaller part than this is no part that somebody describes."""


class Look(NamedTuple):
    """A part of a photo that somebody points at, as shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float
    label: str
    """The words that named it."""


class Looks(NamedTuple):
    """The parts that are named, the text without their words, and what names no part."""

    looks: tuple[Look, ...]
    rest: str
    refused: tuple[str, ...] = ()


Span = tuple[float, float]
_DOWN = {
    "top": "top", "upper": "top", "oben": "top", "obere": "top", "arriba": "top",
    "superior": "top", "haut": "top", "alto": "top", "bottom": "bottom", "lower": "bottom",
    "unten": "bottom", "untere": "bottom", "abajo": "bottom", "inferior": "bottom",
    "bas": "bottom", "basso": "bottom",
}  # fmt: skip
_ACROSS = {
    "left": "left", "lefthand": "left", "links": "left", "linke": "left", "izquierda": "left",
    "gauche": "left", "sinistra": "left", "right": "right", "righthand": "right",
    "rechts": "right", "rechte": "right", "derecha": "right", "droite": "right", "destra": "right",
}  # fmt: skip
_FIRST = {"top", "left"}
_PARTS = (
    "corner|half|third|quarter|side|edge|part|area|ecke|hälfte|drittel|seite|esquina|mitad|coin"
)
_SIZE = {"corner": 0.4, "ecke": 0.4, "esquina": 0.4, "coin": 0.4, "third": 1 / 3, "drittel": 1 / 3,
         "quarter": 0.25, "edge": 0.25}  # fmt: skip
_D, _A = "|".join(_DOWN), "|".join(_ACROSS)
_LINK = r"[\s\-]+(?:(?:on|at|in|to)\s+)?(?:(?:the|a|la|à|der|auf|the far|far)\s+)*"
_HAND = r"(?:[\s\-]+hand)?"
_CORNER = re.compile(
    rf"\b(?:(?P<d1>{_D}){_LINK}(?P<a1>{_A})|(?P<a2>{_A})[\s\-]+(?P<d2>{_D})){_HAND}"
    rf"(?:\s+(?P<part>{_PARTS}))?\b",
    re.IGNORECASE,
)
_PART = re.compile(
    rf"\b(?:(?P<d>{_D})|(?P<a>{_A})|(?P<m>middle|central|centre|center)){_HAND}"
    rf"\s+(?P<part>{_PARTS})\b",
    re.IGNORECASE,
)
_LONE = re.compile(
    r"(?<!drive )(?<!drives )(?<!driving )(?<!traffic )(?<!keep )"
    r"\b(?:(?:on|at|to|in)\s+the\s+(?:very\s+|far\s+)?(?:(?P<d>top|bottom)|(?P<a>left|right)"
    r"|(?P<m>middle|centre|center)))\b"
    r"(?!\s+(?:side\s+)?of\s+the\s+road)(?!\s+of\s+(?-i:[A-Z]|nowhere|the\s+(?:mountain|hill|day|night)))"
    r"|\b(?:links|rechts|oben|unten)\b|\bin\s+der\s+mitte\b",
    re.IGNORECASE,
)
_DRIVING = re.compile(
    r"\b(?:driv\w*|traffic|keeps?|steering wheel)\b[^.;!?]*\b(?:left|right)\b"
    r"|\b(?:left|right)(?:[\s\-]hand)?\s+side\s+of\s+the\s+road\b"
    r"|\b(?:left|right)[\s\-]hand[\s\-](?:drive|traffic)\b",
    re.IGNORECASE,
)
_NUMBER = r"(-?\d+(?:\.\d+)?)\s*(px|pixels?|%)?"
_BOX = re.compile(
    r"\b(?:crop|box|zoom(?:\s+in)?|region|area|rectangle|look)\b[^\d\n]{0,30}?[\[({]?\s*"
    + r"\s*[,;\s]\s*".join([_NUMBER] * 4)
    + r"\s*[\])}]?",
    re.IGNORECASE,
)


def find_looks(text: str, width: int, height: int) -> Looks:
    """Return the parts of a photo that a text points at.

    Args:
        text: what a person says.
        width: of the photo, pixels.
        height: of the photo, pixels.
    """
    looks: list[Look] = []
    refused: list[str] = []
    text = _BOX.sub(lambda found: _boxed(found, (width, height), looks, refused), text)
    if _DRIVING.search(text):
        return Looks(tuple(looks[:MOST_LOOKS]), text, tuple(refused))
    for pattern in (_CORNER, _PART, _LONE):
        text = pattern.sub(lambda found: _named(found, looks), text)
    ordered = list({look[:4]: look for look in reversed(looks)}.values())[::-1]
    return Looks(tuple(ordered[:MOST_LOOKS]), text, tuple(refused))


def _named(found: re.Match[str], looks: list[Look]) -> str:
    """Note the part that words name; they leave a gap that no name reaches across."""
    words = found.groupdict()
    down = next((words[key] for key in ("d", "d1", "d2") if words.get(key)), "")
    across = next((words[key] for key in ("a", "a1", "a2") if words.get(key)), "")
    alone = found.group().casefold()
    down, across = (
        down or (alone if alone in _DOWN else ""),
        across or (alone if alone in _ACROSS else ""),
    )
    size = _SIZE.get((words.get("part") or "").casefold(), 0.5)
    if words.get("m") or alone.endswith("mitte"):
        wide = (0.5 - size / 2, 0.5 + size / 2)
        spans = wide, wide
    else:
        spans = _span(_ACROSS.get(across.casefold()), size), _span(_DOWN.get(down.casefold()), size)
    (left, right), (top, bottom) = spans
    label = " ".join(found.group().split())
    looks.append(Look(left, top, right, bottom, label))
    return " , "


def _span(where: str | None, size: float) -> Span:
    if where is None:
        return 0.0, 1.0
    return (0.0, size) if where in _FIRST else (1 - size, 1.0)


def _boxed(
    found: re.Match[str], photo: tuple[int, int], looks: list[Look], refused: list[str]
) -> str:
    """Note a box in pixels, percent or shares of the photo; what lies beside it is cut off."""
    numbers = [float(number) for number in found.groups()[::2]]
    units = {unit[:2] for unit in found.groups()[1::2] if unit}
    scale = _scale(numbers, units, photo)
    left, top, right, bottom = (n / s for n, s in zip(numbers, scale, strict=True))
    left, top = max(left, 0.0), max(top, 0.0)
    right, bottom = min(right, 1.0), min(bottom, 1.0)
    label = " ".join(found.group().split())
    if right - left < SMALLEST_SHARE / 4 or bottom - top < SMALLEST_SHARE / 4:
        refused.append(
            f"The box {label!r} is no part of the photo of {photo[0]} x {photo[1]} px: give left, "
            "top, right, bottom."
        )
    else:
        looks.append(Look(left, top, right, bottom, label))
    return " , "


def _scale(numbers: list[float], units: set[str], photo: tuple[int, int]) -> Iterator[float]:
    """Return what each number is divided by to be a share."""
    if "%" in units:
        return iter([100.0] * 4)
    if "px" in units or "pi" in units or max(numbers) > 1:
        return iter([float(side) for side in (*photo, *photo)])
    return iter([1.0] * 4)
