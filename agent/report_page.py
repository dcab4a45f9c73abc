"""What the report shows, computed from the answer once and without any HTML."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from agent import report_format as fmt
from agent.answer import Answer, Radii, Step, Verdict
from agent.effect_words import LEAST_BITS, effect_words, within_words
from agent.report_photos import PhotoView, ReadView, box_style, photo_of, read_on
from agent.report_pictures import (
    PHOTO_PX,
    PhotoSource,
    crop_uri,
    data_uri,
    load,
    picture_size,
)
from tools.evidence import Box, Evidence, Picture

if TYPE_CHECKING:
    from PIL import Image

    from agent.case import Case
    from agent.contributions import Contribution
    from agent.report_map import MapView
    from agent.report_model import ModelPage
    from agent.session_report import SessionPage

MOST_CROPS = 60
MOST_BITS = 10.0
"""Effects are told apart by their bars up to a factor of a thousand."""
LIKELY_SHARE = 2 / 3
"""From this share of belief on, a country is called probable."""
STATUS_WORDS = {
    "located": ("Located", "The evidence points to one place, within the distances given."),
    "region": (
        "Region only",
        "The evidence supports a region, not a spot: read the coordinate as its middle.",
    ),
    "undetermined": (
        "Cannot tell",
        "The evidence does not say where this photo was taken, so no coordinate is given.",
    ),
}
WITHHELD = ("Withheld", "Where this photo was taken is not disclosed.")
FURTHER_PX, FURTHER_BYTES = 900, 200_000
"""Of the other photos of the place."""


@dataclass(frozen=True)
class EffectView:
    """What a piece of evidence does to the answer.

    Attributes:
        width: of its bar in percent; the largest effect's is 100, as are all above `MOST_BITS`,
            if it is a bit at least.
        against: whether it speaks against the answer.
        without: share of belief that would lie within the 50 % radius without it.
        moved_km: how far belief's own point would lie from where it is.
    """

    words: str
    width: float
    against: bool
    without: float
    moved_km: float


@dataclass(frozen=True)
class EvidenceView:
    """One piece of evidence with its place on the page and in the photo."""

    number: int
    anchor: str
    evidence: Evidence
    step: "Step | None"
    crop: str
    photo: str
    """Id, or the beginning of one, of the picture it was read from."""
    style: str
    """CSS position of its box on that photo, in percent; empty where it has none."""
    withdrawn: bool
    countries: tuple[tuple[str, str, float], ...]
    effect: EffectView | None
    """None where it was not measured."""


@dataclass(frozen=True)
class CandidateView:
    """One candidate with its number on the maps and its distance from the answer."""

    number: int
    verdict: Verdict
    evidence_number: int | None
    distance_km: float | None


@dataclass(frozen=True)
class PictureView:
    """One picture of a step; `uri` is empty where the store no longer has it."""

    picture: Picture
    uri: str


class Page:
    """Everything the templates show, under the names they use."""

    def __init__(self, answer: Answer, photos: PhotoSource, case: "Case | None" = None) -> None:
        self.answer, self.case = answer, case
        self.word, self.note = status_words(answer)
        self._photos = photos
        self._loaded: dict[str, Image.Image | None] = {}
        self._photo = self.picture(answer.photo_id)

    def picture(self, photo_id: str) -> "Image.Image | None":
        """Return a photo's pixels, None where the store no longer has it."""
        if photo_id not in self._loaded:
            self._loaded[photo_id] = load(self._photos, photo_id)
        return self._loaded[photo_id]

    @cached_property
    def session(self) -> "SessionPage | None":
        """What was said and judged; None where only the answer is reported."""
        from agent.session_report import SessionPage

        return SessionPage(self, self.case) if self.case else None

    @property
    def disclosure(self) -> str:
        """How finely places are told."""
        return self.answer.versions.get("disclosure", "exact")

    @cached_property
    def further_photos(self) -> tuple[PhotoView, ...]:
        """The other photos of the place, with what was read on each."""
        views = []
        for number, photo_id in enumerate(self.answer.photos, start=1):
            if photo_id == self.answer.photo_id:
                continue
            image = self.picture(photo_id)
            uri = data_uri(image, FURTHER_PX, FURTHER_BYTES) if image else ""
            boxes = tuple(view for view in self.evidence if view.photo == photo_id and view.style)
            views.append(PhotoView(number, photo_id, uri, boxes))
        return tuple(views)

    @cached_property
    def read(self) -> tuple[ReadView, ...]:
        """Every line of text read on the photo to be located."""
        return read_on(self.answer, self.answer.photo_id, self.photo_size)

    @property
    def boxes(self) -> "tuple[EvidenceView, ...]":
        """Evidence with a frame on the photo to be located."""
        on_it = (view for view in self.evidence if view.photo == self.answer.photo_id)
        return tuple(view for view in on_it if view.style)

    @cached_property
    def photo_uri(self) -> str:
        """The photo as a `data:` URI, empty where the store no longer has it."""
        return data_uri(self._photo, PHOTO_PX) if self._photo else ""

    @property
    def photo_size(self) -> tuple[int, int]:
        """Width and height of the upright photo in pixels."""
        return self._photo.size if self._photo else (0, 0)

    @cached_property
    def headline(self) -> str:
        """Where, in a few words, as precisely as belief allows."""
        return headline_of(self.answer)

    @property
    def position(self) -> tuple[float, float] | None:
        """Latitude, longitude of the answer, or None where there is none."""
        if self.answer.latitude is None or self.answer.longitude is None:
            return None
        return self.answer.latitude, self.answer.longitude

    @property
    def claimed(self) -> tuple[float, float] | None:
        """Latitude, longitude claimed by the file, or None where it claims none."""
        if self.answer.claimed_latitude is None or self.answer.claimed_longitude is None:
            return None
        return self.answer.claimed_latitude, self.answer.claimed_longitude

    @property
    def notations(self) -> dict[str, str]:
        """The answer's coordinate in the notations people paste elsewhere."""
        radii = self.answer.radii
        return _notations(self.position, radii) if self.position else {}

    @property
    def claimed_notations(self) -> dict[str, str]:
        """The claimed position in the same notations."""
        return _notations(self.claimed) if self.claimed else {}

    @property
    def radii(self) -> tuple[tuple[int, float], ...]:
        """Percent of belief held and radius in km, smallest first."""
        radii = self.answer.radii
        if radii is None:
            return ()
        return (50, radii.km_50), (80, radii.km_80), (95, radii.km_95)

    @property
    def within(self) -> str:
        """How much of belief lies near the answer, in words."""
        return within_words(self.answer.within)

    @property
    def claimed_distance_km(self) -> float | None:
        """Distance between the answer and the claimed position, where both exist."""
        return self.distance_km(*self.claimed) if self.claimed else None

    def distance_km(self, latitude: float, longitude: float) -> float | None:
        """Return the distance from the answer on WGS84, or None without a coordinate."""
        from geo.sphere import distance_km

        if self.position is None:
            return None
        return float(distance_km(*self.position, latitude, longitude))

    @cached_property
    def countries(self) -> tuple[tuple[str, str, float], ...]:
        """Code, name and share of belief, largest first."""
        return _named_shares(self.answer.countries)

    @cached_property
    def evidence_anchors(self) -> dict[str, str]:
        """Evidence id to the name of its place on the page."""
        return {evidence.id: evidence.id for evidence in self.answer.evidence}

    @cached_property
    def anchors(self) -> dict[str, str]:
        """Evidence and call id to the name of its place on the page."""
        steps = {step.call_id: f"step-{step.number}" for step in self.answer.steps}
        return steps | self.evidence_anchors

    @cached_property
    def evidence(self) -> tuple[EvidenceView, ...]:
        """Every piece of evidence, numbered as on the photo."""
        steps = {step.call_id: step for step in self.answer.steps}
        clued = ("prior",) if self.answer.model else ()
        known = {self.answer.photo_id, *self.answer.photos}
        seen: set[str] = set()
        views = []
        for number, evidence in enumerate(self.answer.evidence, start=1):
            anchor = evidence.id if evidence.id not in seen else f"{evidence.id}-{number}"
            seen.add(anchor)
            step = steps.get(evidence.call_id)
            photo = photo_of(self.answer, step)
            image = self.picture(photo) if evidence.box and number <= MOST_CROPS else None
            crop = crop_uri(image, evidence.box) if image and evidence.box else ""
            whole = self.picture(photo) if evidence.box and photo in known else None
            views.append(
                EvidenceView(
                    number=number,
                    anchor=anchor,
                    evidence=evidence,
                    step=step,
                    crop=crop,
                    photo=photo,
                    # The prior's clues have frames of their own.
                    style=""
                    if evidence.tool in clued or whole is None
                    else box_style(evidence.box, whole.size),
                    withdrawn=evidence.id in self.answer.withdrawn,
                    countries=_named_shares(evidence.countries)[:6],
                    effect=self._effects.get(evidence.id),
                )
            )
        return tuple(views)

    @cached_property
    def _effects(self) -> dict[str, EffectView]:
        """Evidence id to what it does to the answer, as far as that was measured."""
        found = self.answer.contributions
        longest = min(MOST_BITS, max((abs(one.bits) for one in found), default=1.0))
        longest = max(longest, 1.0)
        return {
            one.evidence_id: EffectView(
                words=effect_words(one.bits),
                width=min(100 * abs(one.bits) / longest, 100.0) if _felt(one) else 0.0,
                against=one.bits < 0,
                without=one.without,
                moved_km=one.moved_km,
            )
            for one in found
        }

    @property
    def spread_km2(self) -> float | None:
        """Area that belief is spread over, by its entropy."""
        bits = self.answer.entropy_bits
        return None if bits is None else 2**bits

    @property
    def calibration(self) -> str:
        """What belief was computed under."""
        return self.answer.calibration or "none: evidence counts as its tools weigh it"

    def framed(self, box: Box) -> tuple[str, str]:
        """Return the CSS position of a box on the photo, and what lies in it as a `data:` URI."""
        style = box_style(box, self.photo_size)
        return style, crop_uri(self._photo, box) if self._photo else ""

    @cached_property
    def model(self) -> "ModelPage | None":
        """What a model did; None where none had a part."""
        from agent.report_model import ModelPage

        return ModelPage(self, self.answer.model) if self.answer.model else None

    @property
    def because(self) -> list[str]:
        """The explanation, one reason with what it can be followed to after the other.

        A model's own words are not among them: they are quoted by themselves.
        """
        told = self.answer.because if self.model else self.answer.explanation
        return re.split(r"(?<=\]) (?=\S)", told)

    @cached_property
    def versions(self) -> "dict[str, dict[str, str]]":
        """Versions by what they are of: `prompt`, `tool`, and everything else under ``."""
        groups: dict[str, dict[str, str]] = {"": {}, "prompt": {}, "tool": {}}
        for name, version in self.answer.versions.items():
            if name == "disclosure":
                continue  # It has a row of its own.
            kind, _, rest = name.partition(" ")
            group, key = (kind, rest) if rest and kind in groups else ("", name)
            groups[group][key] = version
        return groups

    @cached_property
    def candidates(self) -> tuple[CandidateView, ...]:
        """Every candidate ever considered: the kept ones first, then by score."""
        numbers = {view.evidence.id: view.number for view in reversed(self.evidence)}
        ordered = sorted(self.answer.verdicts, key=lambda v: (not v.kept, -v.candidate.score))
        return tuple(
            CandidateView(
                number=number,
                verdict=verdict,
                evidence_number=numbers.get(verdict.evidence_id),
                distance_km=self.distance_km(
                    verdict.candidate.latitude, verdict.candidate.longitude
                ),
            )
            for number, verdict in enumerate(ordered, start=1)
        )

    @cached_property
    def pictures(self) -> Mapping[str, tuple[PictureView, ...]]:
        """Call id to the pictures its tool made."""
        count = sum(len(step.pictures) for step in self.answer.steps)
        longest_px, limit_bytes = picture_size(count)
        shown = {}
        for step in self.answer.steps:
            views = []
            for picture in step.pictures:
                image = load(self._photos, picture.photo_id)
                uri = data_uri(image, longest_px, limit_bytes) if image else ""
                views.append(PictureView(picture, uri))
            shown[step.call_id] = tuple(views)
        return shown

    @cached_property
    def maps(self) -> "tuple[MapView, ...]":
        """The maps from the world to the closest view; none where there is nothing to show."""
        from agent.report_views import maps_of

        return maps_of(self)


def status_words(answer: Answer) -> tuple[str, str]:
    """Return the status in a word or two, and what it means."""
    return WITHHELD if _withheld(answer) else STATUS_WORDS[answer.status]


def headline_of(answer: Answer) -> str:
    """Return where, in a few words, as precisely as belief and disclosure allow."""
    if _withheld(answer):
        return "The place is withheld"
    if answer.status == "undetermined":
        return "We cannot tell where this photo was taken"
    names = dict.fromkeys(filter(None, (answer.place, answer.admin1, answer.country_name)))
    where = ", ".join(names)
    if not where:
        return "A region, not a place" if answer.status == "region" else "At sea or nameless"
    if answer.status == "region":
        likely = answer.countries.get(answer.country, 0.0) >= LIKELY_SHARE
        return f"Probably in {where}" if likely else f"Perhaps in {where}, one of several"
    return f"Near {where}" if answer.place else f"In {where}"


def _notations(position: tuple[float, float], radii: Radii | None = None) -> dict[str, str]:
    """Write a coordinate with no more digits than its radii deserve."""
    from geo.coordinate import Coordinate

    digits = fmt.digits_for(radii.km_50) if radii else 6
    coordinate = Coordinate(*(round(degrees, digits) for degrees in position))
    return {
        "Decimal degrees": coordinate.decimal(digits),
        "Degrees, minutes, seconds": coordinate.dms(),
        "geo URI": coordinate.geo_uri(round(radii.km_95 * 1000) if radii else None),
    }


def _withheld(answer: Answer) -> bool:
    return answer.versions.get("disclosure") == "none"


def _felt(one: "Contribution") -> bool:
    return abs(one.bits) >= LEAST_BITS


def _named_shares(shares: Mapping[str, float]) -> tuple[tuple[str, str, float], ...]:
    from geo.regions import country_name

    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return tuple((code, country_name(code) or code, share) for code, share in ordered)
