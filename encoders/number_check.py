"""Do heads give embeddings? Finite unit vectors that differ where places do, and published ones."""

import math

import torch
from torch import Tensor

from encoders.heads import Heads, PhotoFeatures
from geo.errors import InputError

CHECK_POINTS = (
    (48.8584, 2.2945), (-33.8568, 151.2153), (35.6586, 139.7454), (-22.9519, -43.2105),
    (90.0, 0.0), (-90.0, 180.0), (0.0, 180.0), (0.0, -180.0), (12.0, 0.0),
)  # fmt: skip
"""Four cities, both poles, both edges of the map, the Greenwich meridian."""
DIFFERENT = 4
"""The first so many rows must differ."""
LEAST_DIFFERENCE = 1e-5
UNIT_TOLERANCE = 1e-4
TEMPERATURES = (1e-3, 1e5)
PHOTOS, TOKENS, MAP_SIDE = 4, 49, 56

GEOCLIP_PLACE = (-0.0635667, 0.0412794, -0.0226407, 0.0248293)
"""First numbers of the unit vector of (48.8584, 2.2945), by the package geoclip 1.3.0."""
GEOCLIP_PHOTO = (0.0627955, 0.0364733, 0.0210027)
"""First numbers of the unit vector of features sin(0.37 k), k from 0, by the same."""
GEOCLIP_TEMPERATURE = 39.6874
GOLDEN_TOLERANCE = 1e-4


def check_numbers(heads: Heads) -> None:
    """Encode fixed photos, places and captions and look at the numbers.

    Raises:
        InputError: one is not finite, not of unit length, or all are the same; or the
            temperature is none.
    """
    low, high = TEMPERATURES
    with torch.inference_mode():
        if not low <= (temperature := heads.temperature) <= high:
            raise _refused(f"temperature {temperature:g} is not within {low:g} to {high:g}")
        encoded = {f"photo {k}": v for k, v in heads.encode_photos(fixed_photos(heads)).items()}
        if heads.location_spaces:
            points = torch.tensor(CHECK_POINTS, dtype=torch.float64)
            encoded |= {f"place {k}": v for k, v in heads.encode_points(points).items()}
        if heads.text_spaces:
            captions = fixed_photos(heads).pooled
            encoded |= {f"text {k}": v for k, v in heads.encode_captions(captions).items()}
    for what, rows in encoded.items():
        # Rows of zeros are how cell codes say that they know nothing of a place.
        _check_rows(what, rows, zeros="cells" in heads.needs and what.startswith("place"))


def fixed_photos(heads: Heads) -> PhotoFeatures:
    """Return features of photos that never were, the same ones every time."""
    config = heads.config
    pooled = torch.sin(0.37 * torch.arange(PHOTOS * config.backbone_width)).reshape(PHOTOS, -1)
    tokens = segments = None
    if "tokens" in heads.needs:
        count = PHOTOS * TOKENS * config.token_width
        tokens = torch.cos(0.11 * torch.arange(count)).reshape(PHOTOS, TOKENS, -1)
    if "segments" in heads.needs:
        pixels = torch.arange(PHOTOS * MAP_SIDE**2).reshape(PHOTOS, MAP_SIDE, MAP_SIDE)
        segments = (pixels // 97 % 5).to(torch.uint8)
    return PhotoFeatures(pooled, tokens, segments)


def _check_rows(what: str, rows: Tensor, *, zeros: bool) -> None:
    if not bool(torch.isfinite(rows).all()):
        raise _refused(f"a {what} vector is not finite")
    lengths = rows.norm(dim=1)
    if zeros:
        rows, lengths = rows[lengths > 0], lengths[lengths > 0]
    if not len(rows):
        return
    wrong = (lengths - 1).abs()
    if float(wrong.max()) > UNIT_TOLERANCE:
        raise _refused(f"a {what} vector has length {float(lengths[wrong.argmax()]):g}, not 1")
    some = rows[:DIFFERENT]
    apart = (some[:, None] - some).abs().amax(dim=2).fill_diagonal_(1.0)
    if float(apart.min()) < LEAST_DIFFERENCE:
        raise _refused(f"different inputs get the same {what} vector")


def check_geoclip_numbers(heads: Heads) -> None:
    """Compare heads with published weights with what the public package computes from them.

    Raises:
        InputError: the numbers differ by more than 1e-4.
    """
    with torch.inference_mode():
        place = heads.encode_points(torch.tensor(CHECK_POINTS[:1], dtype=torch.float64))["gps"]
        photo = heads.encode_photos(fixed_photos(heads))["gps"]
        scale = math.log(heads.temperature)
    found = [*place[0, :4].tolist(), *photo[0, :3].tolist(), scale]
    golden = [*GEOCLIP_PLACE, *GEOCLIP_PHOTO, math.log(GEOCLIP_TEMPERATURE)]
    apart = max(abs(a - b) for a, b in zip(found, golden, strict=True))
    if not apart <= GOLDEN_TOLERANCE:
        raise _refused(
            f"GeoCLIP's published weights must give published numbers, these are {apart:.2g} off"
        )


def _refused(what: str) -> InputError:
    return InputError(
        f"the checkpoint fails its self-check: {what}; it is damaged or another model's: get it "
        "again"
    )
