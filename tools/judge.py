"""A second opinion on whether two photos show the same place: a protocol, and what it weighs."""

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from PIL import Image
from pydantic import Field

from tools.evidence import Candidate, Evidence, Record

if TYPE_CHECKING:
    from index_builder.gallery import Gallery
    from index_builder.gallery_photo import GalleryPhoto

WEIGHT = 0.3
"""Caution, not a figure: how often a model's "same" is right where point by point nothing agreed
was never measured here."""
GROUP = "match-judge"
"""All its verdicts are one source."""
RADIUS_KM = 1.0
"""What two photos of one place may lie apart (as `tools.matched` has it)."""
REASON_LETTERS = 300


class Verdict(Record):
    """What a judge says.

    Attributes:
        tokens: what asking cost, in and out.
    """

    verdict: Literal["same", "different", "cannot-tell"]
    reason: str = Field(default="", max_length=REASON_LETTERS)
    tokens: int = Field(default=0, ge=0)


class Judge(Protocol):
    """Looks at two photos and the geometric check of them."""

    def same_place(
        self,
        ours: Image.Image,
        theirs: Image.Image,
        geometry: str,
        photo_ids: tuple[str, str] = ("", ""),
    ) -> Verdict:
        """Say whether both show the same place on the ground.

        Args:
            ours: the photo to locate.
            theirs: the photo it is compared with.
            geometry: what the comparison of points found, in words.
            photo_ids: of both, for the trace.

        Raises:
            UnavailableError: nobody answers.
        """
        ...


def judged_evidence(gallery: "Gallery", photo: "GalleryPhoto", verdict: Verdict) -> Evidence:
    """Return the evidence of a "same" that rests on looks alone."""
    from geo.regions import country_at

    (country,) = country_at(np.array([[photo.latitude, photo.longitude]]))
    candidate = Candidate(
        latitude=photo.latitude,
        longitude=photo.longitude,
        radius_km=max(RADIUS_KM, photo.accuracy_km or 0.0),
        score=1.0,
        rank=1,
        source=f"gallery:{gallery.name}",
        kind="photo",
        label=photo.name,
        reference=photo.id,
        country=country,
    )
    return Evidence(
        tool="compare_photos",
        kind="model",
        summary=f"A model judges by looks, without any points that agree, that gallery photo "
        f"{photo.name!r}, taken at {photo.latitude:.5f}, {photo.longitude:.5f}, shows the same "
        f"place; it says: {verdict.reason!r}",
        candidates=(candidate,),
        weight=WEIGHT,
        group=GROUP,
    )
