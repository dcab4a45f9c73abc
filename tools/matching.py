"""Do two photos show the same thing? Points are matched, and geometry decides.

Knows only the local features of two photos; no files, no coordinates. A verified pair is
strong evidence; an unverified one is none at all, because most photos of one place share no
view.

Sources: ratio test, Lowe (IJCV 2004); weak geometric consistency of keypoint scale and
rotation, Jegou et al. (ECCV 2008); MAGSAC++, Barath et al. (CVPR 2020), as in OpenCV USAC.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from encoders.local_features import LocalFeatures, hash_distance

Points = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Model = Literal["homography", "fundamental", "none"]

RATIO = 0.8
UNMOVED_PX = 3.0
HOMOGRAPHY_PX = 4.0
FUNDAMENTAL_PX = 1.5
MIN_INLIERS = 20
MIN_INLIERS_WITH_OVERLAY = 25
OVERLAY_UNMOVED = 8
"""This many matches at the very same place in two frames are something burnt into them."""
SAME_POINT_PX = 1.5
MAX_TURN_DEG = 30.0
MAX_OCTAVES = 1.0
MIN_SPREAD = 0.035
SAME_PHOTO_BITS = 4
SAME_PHOTO_SPREAD = 0.25
_CONFIDENCE = 0.9999
_ITERATIONS = 5000
_MIN_POINTS = 8


@dataclass(frozen=True, eq=False)
class PairMatch:
    """What comparing photo A with photo B found."""

    inliers: int = 0
    """Matches that moved between the frames and agree on one geometry, scale and rotation."""
    needed: int = MIN_INLIERS
    """Inliers it takes to call it the same scene: 20, or 25 where the frames carry overlays."""
    model: Model = "none"
    points_a: Points = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    """`[inliers, 2]` px in the working frame of A."""
    points_b: Points = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    """`[inliers, 2]` px in the working frame of B."""
    matches: int = 0
    """Mutual ratio matches that moved, before geometry."""
    unmoved: int = 0
    """Matches at the same place in both frames: overlays, or one photo twice."""
    same_photo: bool = False
    """Both are one photo, encoded again or scaled."""
    scale: float = 1.0
    """Median size of an inlier keypoint of B over its partner in A."""
    spread: float = 0.0
    """Share of the frame inside the inliers' convex hull, in the photo where it is larger."""

    @property
    def doubt(self) -> str:
        """Why the inliers do not make a match; empty for a verified pair."""
        if self.same_photo:
            return ""
        if self.inliers < self.needed:
            still = f"; {self.unmoved} matches did not move between the frames"
            dropped = still if self.unmoved >= OVERLAY_UNMOVED else ""
            return f"{self.inliers} inliers, {self.needed} needed{dropped}"
        if self.spread < MIN_SPREAD:
            return (
                f"all inliers lie on {self.spread:.1%} of the frame, {MIN_SPREAD:.0%} needed: a "
                "sign or a logo that may stand elsewhere too"
            )
        return ""

    @property
    def verified(self) -> bool:
        """Whether the two photos show the same scene beyond reasonable doubt."""
        return not self.doubt


@dataclass(frozen=True, eq=False)
class _Matches:
    """Tentative matches: rows of A and of B, one partner each."""

    a: LocalFeatures
    b: LocalFeatures
    rows_a: Indices
    rows_b: Indices

    def __len__(self) -> int:
        return len(self.rows_a)

    def keep(self, which: Mask | Indices) -> "_Matches":
        return replace(self, rows_a=self.rows_a[which], rows_b=self.rows_b[which])

    @property
    def points_a(self) -> Points:
        return self.a.xy[self.rows_a]

    @property
    def points_b(self) -> Points:
        return self.b.xy[self.rows_b]


def verify_pair(a: LocalFeatures, b: LocalFeatures) -> PairMatch:
    """Decide whether two photos show the same scene.

    Mutual nearest neighbours within the ratio are counted once per place. Matches at the
    same place of both frames say nothing (watermarks, date stamps, car bonnets) and are
    dropped, and so are those whose keypoints do not turn and grow as most do. A homography
    and a fundamental matrix are estimated from the rest; the inliers of the better one count.
    Swapping the photos gives the same result with A and B swapped.
    """
    if _order(a) > _order(b):
        return _swapped(_verify(b, a))
    return _verify(a, b)


def _order(features: LocalFeatures) -> tuple[int, int, bytes]:
    """A key by content: estimators are not symmetric, so one photo always goes first."""
    return len(features), features.dhash, features.xy[:16].tobytes()


def _swapped(match: PairMatch) -> PairMatch:
    return replace(match, points_a=match.points_b, points_b=match.points_a, scale=1 / match.scale)


def _verify(a: LocalFeatures, b: LocalFeatures) -> PairMatch:
    found = _tentative(a, b)
    still = _unmoved(found)
    unmoved = int(still.sum())
    if _same_photo(found.keep(still)):
        return PairMatch(unmoved=unmoved, same_photo=True, matches=len(found) - unmoved)
    moved = _one_per_place(found.keep(~still))
    alike = moved.keep(_common_change(moved))
    model, inlying = _estimate(alike)
    agreed = alike.keep(inlying)
    return PairMatch(
        inliers=len(agreed),
        needed=MIN_INLIERS_WITH_OVERLAY if unmoved >= OVERLAY_UNMOVED else MIN_INLIERS,
        model=model if len(agreed) else "none",
        points_a=agreed.points_a,
        points_b=agreed.points_b,
        matches=len(moved),
        unmoved=unmoved,
        scale=float(2 ** np.median(_octaves(agreed))) if len(agreed) else 1.0,
        spread=max(_hull_share(agreed.points_a, a), _hull_share(agreed.points_b, b)),
    )


def _tentative(a: LocalFeatures, b: LocalFeatures) -> _Matches:
    """Return mutual nearest neighbours whose ratio, averaged both ways, is below 0.8.

    Strongest first.
    """
    if len(a) < 2 or len(b) < 2:
        return _Matches(a, b, np.zeros(0, np.intp), np.zeros(0, np.intp))
    similarity = a.vectors() @ b.vectors().T
    to_b, to_a = similarity.argmax(axis=1), similarity.argmax(axis=0)
    rows_a = np.flatnonzero(to_a[to_b] == np.arange(len(a)))
    rows_b = to_b[rows_a]
    nearest = _distance(similarity[rows_a, rows_b])
    similarity[rows_a, rows_b] = -np.inf
    ratio_a = nearest / _distance(similarity[rows_a].max(axis=1))
    ratio_b = nearest / _distance(similarity[:, rows_b].max(axis=0))
    good = np.flatnonzero((ratio_a + ratio_b) / 2 < RATIO)
    order = good[np.argsort(nearest[good], kind="stable")]
    return _Matches(a, b, rows_a[order], rows_b[order])


def _distance(similarity: Points) -> Points:
    """Return the Euclidean distance of unit vectors from their dot product."""
    return np.sqrt(np.maximum(2 - 2 * similarity, 1e-9))


def _unmoved(found: _Matches) -> Mask:
    """Mark matches at the same place, counted from any corner of the two frames."""
    shift = found.points_b - found.points_a
    widths, heights = (0.0, found.b.width - found.a.width), (0.0, found.b.height - found.a.height)
    marked = np.zeros(len(found), bool)
    for right in set(widths):
        for down in set(heights):
            marked |= np.hypot(shift[:, 0] - right, shift[:, 1] - down) <= UNMOVED_PX
    return marked


def _same_photo(still: _Matches) -> bool:
    """Say whether unmoved matches all over two frames of nearly equal hashes make one photo."""
    close = hash_distance(still.a.dhash, still.b.dhash) <= SAME_PHOTO_BITS
    if not close or len(still) < MIN_INLIERS:
        return False
    return _hull_share(still.points_a, still.a) >= SAME_PHOTO_SPREAD


def _one_per_place(found: _Matches) -> _Matches:
    """Keep one match per place: SIFT puts several keypoints on one corner."""
    seen: set[tuple[str, int, int]] = set()
    kept = []
    cells_a = np.rint(found.points_a / SAME_POINT_PX).astype(int)
    cells_b = np.rint(found.points_b / SAME_POINT_PX).astype(int)
    for row, ((xa, ya), (xb, yb)) in enumerate(zip(cells_a, cells_b, strict=True)):
        places = {("a", xa, ya), ("b", xb, yb)}
        if not places & seen:
            seen |= places
            kept.append(row)
    return found.keep(np.array(kept, np.intp))


def _estimate(found: _Matches) -> tuple[Model, Mask]:
    """Fit both models by MAGSAC++; return the one with more inliers and which they are."""
    none = np.zeros(len(found), bool)
    if len(found) < _MIN_POINTS:
        return "none", none
    homography, fundamental = _homography(found), _fundamental(found)
    if homography.sum() >= max(1, int(fundamental.sum())):
        return "homography", homography
    return ("fundamental", fundamental) if fundamental.any() else ("none", none)


def _homography(found: _Matches) -> Mask:
    import cv2

    matrix, mask = cv2.findHomography(
        found.points_a,
        found.points_b,
        cv2.USAC_MAGSAC,
        HOMOGRAPHY_PX,
        maxIters=_ITERATIONS,
        confidence=_CONFIDENCE,
    )
    inlying = _as_mask(matrix, mask, len(found))
    return inlying & _upright_side(np.asarray(matrix), found) if inlying.any() else inlying


def _upright_side(matrix: npt.NDArray[np.float64], found: _Matches) -> Mask:
    """Mark points before the horizon of a homography that does not mirror them."""
    depth = found.points_a @ matrix[2, :2] + matrix[2, 2]
    return np.asarray(np.linalg.det(matrix) * depth > 0)


def _fundamental(found: _Matches) -> Mask:
    import cv2

    try:
        matrix, mask = cv2.findFundamentalMat(
            found.points_a,
            found.points_b,
            cv2.USAC_MAGSAC,
            FUNDAMENTAL_PX,
            _CONFIDENCE,
            _ITERATIONS,
        )
    except cv2.error:  # USAC asserts instead of giving up when every sample is degenerate
        return np.zeros(len(found), bool)
    return _as_mask(matrix, mask, len(found))


def _as_mask(matrix: object, mask: object, count: int) -> Mask:
    if matrix is None or mask is None:
        return np.zeros(count, bool)
    return np.asarray(mask).ravel().astype(bool)


def _octaves(found: _Matches) -> Points:
    """Return how many octaves each keypoint of B is larger than its partner."""
    ratio = found.b.scale[found.rows_b] / np.maximum(found.a.scale[found.rows_a], 1e-3)
    return np.asarray(np.log2(np.maximum(ratio, 1e-3)), np.float32)


def _common_change(found: _Matches) -> Mask:
    """Mark matches whose keypoints turn and grow as most do: the camera rolls and nears as one.

    Within 30 degrees of the commonest rotation and an octave of the commonest growth there.
    """
    if not len(found):
        return np.zeros(0, bool)
    turn = (found.b.angle[found.rows_b] - found.a.angle[found.rows_a]) % 360
    votes = np.histogram(turn, bins=36, range=(0, 360))[0]
    peak = 10.0 * np.argmax(votes + np.roll(votes, 1) + np.roll(votes, -1)) + 5.0
    turned = np.abs((turn - peak + 180) % 360 - 180) <= MAX_TURN_DEG
    octaves = _octaves(found)
    votes = np.histogram(octaves[turned], bins=24, range=(-6, 6))[0]
    growth = 0.5 * np.argmax(votes + np.roll(votes, 1)) - 6.0
    return np.asarray(turned & (np.abs(octaves - growth) <= MAX_OCTAVES))


def _hull_share(points: Points, frame: LocalFeatures) -> float:
    """Return the share of the frame inside the convex hull of points."""
    import cv2

    if len(points) < 3:
        return 0.0
    area = cv2.contourArea(cv2.convexHull(np.ascontiguousarray(points, np.float32)))
    return float(area) / (frame.width * frame.height)
