"""The `compare_photos` tool: do these two photos show the same scene?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_core.tools import BaseTool, StructuredTool
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from encoders.local_features import LocalFeatures, extract_features
from geo.errors import InputError, UnavailableError
from tools.evidence import Evidence, Picture, ToolError, ToolOutcome, ToolReply
from tools.judge import Verdict, judged_evidence
from tools.matched import Compared, match_evidence
from tools.matching import PairMatch, verify_pair
from tools.pair_picture import draw_pair

if TYPE_CHECKING:
    from index_builder.gallery import Gallery
    from index_builder.gallery_photo import GalleryPhoto
    from tools.workbench import Workbench

__all__ = ["PairMatch", "draw_pair", "make_compare_photos", "verify_pair"]

DESCRIPTION = (
    "Compare two photos point by point and say whether they show the same scene. The second "
    "may be a photo of this session or one of a gallery, by its id. Verified needs 20 agreeing "
    "points, 25 where both frames carry the same overlay. Not verified says nothing: most "
    "photos of one place share no view. Where a model judges both photos by their looks too, its "
    "word alone is weak evidence."
)


class CompareArguments(BaseModel):
    """Arguments of `compare_photos`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    photo_id: str = Field(
        description="Id of the photo, or its first 8 digits or more", min_length=8, max_length=64
    )
    other_id: str = Field(
        description="Id of the other photo, of this session or of a gallery",
        min_length=8,
        max_length=64,
    )


@dataclass(frozen=True)
class _Side:
    """One of the two photos."""

    id: str
    name: str
    image: Image.Image
    features: LocalFeatures
    gallery: "Gallery | None" = None
    photo: "GalleryPhoto | None" = None


def make_compare_photos(bench: "Workbench") -> BaseTool:
    """Return the `compare_photos` tool over the photos and galleries of `bench`."""

    def compare_photos(photo_id: str, other_id: str) -> ToolReply:
        ours, other = _from_store(bench, photo_id), _other(bench, other_id)
        if ours.id == other.id and other.gallery is None:
            raise ToolError(f"photo {ours.id[:12]} was given twice, 2 are needed; name another")
        if ours.id == other.id:
            match = PairMatch(same_photo=True)
        else:
            match = verify_pair(ours.features, other.features)
        caption = f"{ours.id[:12]} and {other.name!r}: {verdict(match)}"
        judged = _judged(bench, ours, other, match)
        canvas = draw_pair(ours.image, other.image, (ours.features, other.features), match)
        drawn = bench.photos.add_image(canvas, "compared pair", parent=ours.id)
        return f"{caption}{_said(judged)}", ToolOutcome(
            evidence=_evidence(other, match, judged),
            pictures=(Picture(photo_id=drawn.id, caption=caption),),
            data={
                "photo_id": ours.id,
                "other_id": other.id,
                "inliers": match.inliers,
                "needed": match.needed,
                "model": match.model,
                "matches": match.matches,
                "unmoved": match.unmoved,
                "spread": round(match.spread, 4),
                "scale": round(match.scale, 3),
                "same_photo": match.same_photo,
                "verified": match.verified,
                "doubt": match.doubt,
                **_judged_data(judged),
            },
        )

    return StructuredTool.from_function(
        compare_photos,
        name="compare_photos",
        description=DESCRIPTION,
        args_schema=CompareArguments,
        response_format="content_and_artifact",
    )


def verdict(match: PairMatch) -> str:
    """Say in one sentence what a comparison found."""
    if match.same_photo:
        return "one photo, encoded again or scaled."
    if match.verified:
        return f"the same scene, {match.inliers} inliers ({match.model}), {match.needed} needed."
    return f"not verified ({match.doubt}); this says nothing about the places."


def _judged(
    bench: "Workbench", ours: _Side, other: _Side, match: PairMatch
) -> Verdict | UnavailableError | None:
    """Ask the judge, if there is one and anything to judge; what it lacks is no failure."""
    if bench.judge is None or match.same_photo:
        return None
    try:
        ids = (ours.id, other.id)
        return bench.judge.same_place(ours.image, other.image, verdict(match), ids)
    except UnavailableError as error:
        return error


def _said(judged: Verdict | UnavailableError | None) -> str:
    if judged is None:
        return ""
    if isinstance(judged, UnavailableError):
        return f" No model judged it, so the points alone count: {str(judged)!r:.200}"
    return f" A model that looked at both says {judged.verdict!r}: {judged.reason!r}"


def _judged_data(judged: Verdict | UnavailableError | None) -> dict[str, JsonValue]:
    """Return what the trace holds of the judge; `tokens` are part of the run's budget."""
    if judged is None:
        return {}
    if isinstance(judged, UnavailableError):
        return {"judge_unavailable": str(judged)[:300]}
    return {"judge": judged.verdict, "judge_reason": judged.reason, "tokens": judged.tokens}


def _evidence(
    other: _Side, match: PairMatch, judged: Verdict | UnavailableError | None
) -> tuple[Evidence, ...]:
    """Return evidence where a photo has a position: verified, or judged to be of the same place.

    "Different" is none: photos of one place often share nothing that can be seen.
    """
    if other.gallery is None or other.photo is None:
        return ()
    if match.verified:
        one = Compared(other.photo, 0.0, other.features, match)
        return (match_evidence("compare_photos", other.gallery, [one]),)
    if isinstance(judged, Verdict) and judged.verdict == "same":
        return (judged_evidence(other.gallery, other.photo, judged),)
    return ()


def _from_store(bench: "Workbench", photo_id: str) -> _Side:
    photo = bench.photos.get(photo_id)
    image = bench.photos.image(photo.id)
    return _Side(photo.id, photo.name or photo.id[:12], image, extract_features(image))


def _other(bench: "Workbench", reference: str) -> _Side:
    """Find the second photo in the store, else in a gallery."""
    try:
        return _from_store(bench, reference)
    except ToolError as unknown:
        for gallery in bench.galleries:
            try:
                photo = gallery.photo(reference.strip().lower())
            except InputError:
                continue
            image, features = gallery.image(photo.id), gallery.features(photo.id)
            return _Side(photo.id, photo.name, image, features, gallery, photo)
        raise ToolError(f"{unknown}, or the id of a gallery photo") from None
