"""An answer as programs and chat clients read it: short, checked, and without claimed positions.

What a file's metadata claims stays out unless the person chose to trust it, as it stays out of what
models are told; reports and exports show it, set apart.
"""

import re
from typing import Literal

from pydantic import Field

from agent.answer import Alternative, Answer
from agent.belief import Status
from agent.effect_words import within_words
from agent.report_format import digits_for, distance, percent, visible
from encoders.photo_file import printable
from tools.evidence import Latitude, Longitude, Record, Share

MetadataUse = Literal["none", "withheld", "used"]
SHOWN_ALTERNATIVES = 5
SHOWN_COUNTRIES = 4
LONGEST_TEXT = 4000
HEADINGS = {"located": "Located", "region": "Region only", "undetermined": "Cannot tell"}
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~&$])")
_LINK = re.compile(r"(?i)\b(https?|ftp|mailto|javascript|data|www)([:.])")


class AnswerSummary(Record):
    """Where the photo was taken, how sure we are, and why; or that we cannot tell.

    Attributes:
        latitude, longitude: degrees, WGS84; None where undetermined.
        radius_km_50, radius_km_80, radius_km_95: distances that hold so much of belief.
        countries: belief by ISO 3166-1 alpha-2 code, the largest.
        explanation: names the evidence it rests on; texts from the photo are quoted data.
        metadata_position: whether the file claims a position, and whether it counted.
        claimed_latitude, claimed_longitude: only where the person trusts metadata.
        missing: what was not there that could have said more.
        caution: that this is a lead, not proof.
    """

    status: Status
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    radius_km_50: float | None = None
    radius_km_80: float | None = None
    radius_km_95: float | None = None
    place: str = ""
    admin1: str = ""
    country: str = ""
    country_name: str = ""
    countries: dict[str, Share] = Field(default_factory=dict)
    alternatives: tuple[Alternative, ...] = ()
    explanation: str
    metadata_position: MetadataUse = "none"
    claimed_latitude: Latitude | None = None
    claimed_longitude: Longitude | None = None
    missing: tuple[str, ...] = ()
    revision: int
    recipe: str
    driver: str
    stopped_because: str
    seconds: float
    caution: str


def summary_of(answer: Answer) -> AnswerSummary:
    """Return what an answer says, in short."""
    radii, shown = answer.radii, answer.trusted_metadata
    return AnswerSummary(
        status=answer.status,
        latitude=answer.latitude,
        longitude=answer.longitude,
        radius_km_50=radii.km_50 if radii else None,
        radius_km_80=radii.km_80 if radii else None,
        radius_km_95=radii.km_95 if radii else None,
        place=answer.place,
        admin1=answer.admin1,
        country=answer.country,
        country_name=answer.country_name,
        countries=answer.countries,
        alternatives=answer.alternatives[:SHOWN_ALTERNATIVES],
        explanation=answer.explanation,
        metadata_position=_metadata(answer),
        claimed_latitude=answer.claimed_latitude if shown else None,
        claimed_longitude=answer.claimed_longitude if shown else None,
        missing=answer.missing,
        revision=answer.revision,
        recipe=answer.recipe,
        driver=answer.driver,
        stopped_because=answer.stopped_because,
        seconds=answer.seconds,
        caution=answer.caution,
    )


def answer_markdown(answer: Answer, links: dict[str, str] | None = None) -> str:
    """Return an answer as Markdown: where, how sure, why, what else, and the caution.

    Args:
        answer: all of whose texts are data: none becomes markup, a link or a picture.
        links: addresses by label, our own.
    """
    names = [name for name in (answer.place, answer.admin1, answer.country_name) if name]
    where = ", ".join(map(escaped, names))
    lines = [f"**{HEADINGS[answer.status]}**" + (f": {where}" if where else ""), ""]
    lines += _position_lines(answer)
    lines += ["", f"**Why:** {escaped(answer.explanation)}"]
    if answer.alternatives:
        lines += ["", "**Other places that belief still holds possible:**", ""]
        lines += [_alternative(one) for one in answer.alternatives[:SHOWN_ALTERNATIVES]]
    if (used := _metadata(answer)) != "none":
        told = "it was trusted" if used == "used" else "it is kept apart and was not used"
        lines += ["", f"The file's metadata claims a position; {told}."]
    if answer.missing:
        lines += ["", "**Missing:**", "", *(f"- {escaped(line)}" for line in answer.missing)]
    if links:
        lines += ["", " · ".join(f"[{label}]({url})" for label, url in links.items())]
    return "\n".join([*lines, "", f"*{escaped(answer.caution)}*"])


def escaped(text: str, limit: int = LONGEST_TEXT) -> str:
    """Return text as one line that Markdown shows as it is, whatever it holds."""
    plain = printable(visible(" ".join(text.split())), limit)
    # A zero-width space keeps renderers from making a link of a bare address.
    return _LINK.sub("\\1\u200b\\2", _MARKUP.sub(r"\\\1", plain))


def _position_lines(answer: Answer) -> list[str]:
    lines = []
    radii = answer.radii
    if radii and answer.latitude is not None and answer.longitude is not None:
        digits = digits_for(radii.km_50)
        lines.append(f"- Coordinate: `{answer.latitude:.{digits}f}, {answer.longitude:.{digits}f}`")
        lines.append(
            f"- Radius: 50 % within {distance(radii.km_50)}, 80 % within {distance(radii.km_80)}, "
            f"95 % within {distance(radii.km_95)}"
        )
        if answer.within:
            lines.append(f"- Near it: {escaped(within_words(answer.within))}")
    if answer.countries:
        shares = list(answer.countries.items())[:SHOWN_COUNTRIES]
        told = ", ".join(f"{escaped(code)} {percent(share)}" for code, share in shares)
        lines.append(f"- Belief: {told}")
    return lines


def _alternative(one: Alternative) -> str:
    where = f"`{one.latitude:.2f}, {one.longitude:.2f}`"
    return f"- {escaped(one.label, 200)}, {percent(one.share)}, {where}"


def _metadata(answer: Answer) -> MetadataUse:
    if answer.claimed_latitude is None:
        return "none"
    return "used" if answer.trusted_metadata else "withheld"
