"""What is done so that a photo cannot be known by anything but its pixels, and told of it.

A photo reaches model and tools as a copy of its pixels alone, under a name that says nothing:
files of benchmarks hold positions in their metadata and comments and place names in their names.
"""

import contextlib
import hashlib
import hmac
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import JsonValue

from encoders.photo_file import Limits
from encoders.pixels import encode_pixels, open_photo
from evaluation.runs import Truth
from geo.errors import ConfigError, InputError
from geo.sphere import haversine_km
from index_builder.files import unwritable

if TYPE_CHECKING:
    from PIL import Image

    from agent.calibration import Calibration
    from evaluation.datasets import Dataset
    from evaluation.survey import Surveyed

LOSSLESS_UP_TO = 16_000_000
"""Pixels of a photo whose neutral copy is a PNG; of a larger one it would pass the size limit."""
PIXELS = (
    "decoded, turned upright by EXIF, converted to 8-bit sRGB and written anew without EXIF, XMP, "
    "IPTC, comments, profiles or thumbnails: lossless PNG, above "
    f"{LOSSLESS_UP_TO // 1_000_000} megapixels JPEG of quality 95 without chroma subsampling"
)
NAMES = "20 letters, a keyed hash (HMAC-SHA-256) of the id; the id itself is not passed on"
UNIFORM_SHARE = 0.9
"""Of a picture within 4 grey levels of one value: more is a sheet with a few words on it."""
APART_KM = 25.0
"""One picture cannot have been taken at two places further apart."""
COPIES = 3
LISTED = 200


class Neutral(NamedTuple):
    """A photo as model and tools get it."""

    data: bytes
    suffix: str


def neutral_copy(source: Path | bytes, limits: Limits | None = None) -> Neutral:
    """Return a photo's pixels, upright, in a file that says nothing else.

    The same pixels give the same bytes.

    Raises:
        InputError: the photo cannot be used.
    """
    return neutral_pixels(open_photo(source, limits).image)


def neutral_pixels(image: "Image.Image") -> Neutral:
    """Return a file of pixels alone: PNG, or JPEG where a PNG would be too large a file."""
    if image.width * image.height > LOSSLESS_UP_TO:
        return Neutral(encode_pixels(image), ".jpg")
    bare = image.convert("RGB") if image.mode != "RGB" else image.copy()
    bare.info = {}
    buffer = io.BytesIO()
    bare.save(buffer, "PNG", compress_level=1)
    return Neutral(buffer.getvalue(), ".png")


def neutral_name(image_id: str, key: str) -> str:
    """Return a name that says nothing of the id and in which no position can be read.

    Runs over one dataset give a photo the same name, so that they can be compared.

    Args:
        image_id: of the photo.
        key: of the dataset.
    """
    digest = hmac.new(key.encode(), image_id.encode(), hashlib.sha256).hexdigest()
    return "".join(chr(ord("a") + int(digit, 16)) for digit in digest[:20])


@dataclass(frozen=True)
class Neutrals:
    """Lends neutral copies of a dataset's photos, one file at a time.

    Attributes:
        dataset: whose photos.
        folder: where the files lie while they are lent.
        limits: of what a photo may cost.
    """

    dataset: "Dataset"
    folder: Path
    limits: Limits

    @contextlib.contextmanager
    def __call__(self, image_id: str) -> Iterator[Path]:
        """Yield the neutral copy of a photo, under its neutral name; it is gone afterwards.

        Raises:
            InputError: the photo is not there, or cannot be used.
        """
        if (source := self.dataset.paths.get(image_id)) is None:
            raise InputError(self.dataset.missing.get(image_id, "there is no file of it"))
        data, suffix = neutral_copy(source, self.limits)
        path = self.folder / f"{self.name(image_id)}{suffix}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise unwritable(path, error) from None
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def name(self, image_id: str) -> str:
        """Return what a photo is called here, without an ending."""
        return neutral_name(image_id, self.dataset.name)


class Placeholder(NamedTuple):
    """A picture that stands where a photo was taken away."""

    image_id: str
    reason: str


def placeholders(
    truths: Sequence[Truth], surveyed: Mapping[str, "Surveyed"]
) -> tuple[Placeholder, ...]:
    """Return the photos that are probably notices such as "no longer available".

    They are nearly one colour, or their very pixels come several times: at places too far apart
    for one photo, or under three ids and more. Photos of fog and night may be among them; they
    are listed for people to look at.
    """
    groups: dict[str, list[Truth]] = defaultdict(list)
    for truth in truths:
        if (seen := surveyed.get(truth.image_id)) and seen.pixels:
            groups[seen.pixels].append(truth)
    found = []
    for pixels, group in groups.items():
        uniform = surveyed[group[0].image_id].uniform
        reason = _reason(group, uniform)
        if reason and pixels:
            found += [Placeholder(truth.image_id, reason) for truth in group]
    order = {truth.image_id: number for number, truth in enumerate(truths)}
    return tuple(sorted(found, key=lambda one: order[one.image_id]))


def _reason(group: Sequence[Truth], uniform: float) -> str:
    if uniform >= UNIFORM_SHARE:
        return f"{uniform:.0%} of it is one grey level"
    if len(group) >= COPIES:
        return f"the same pixels under {len(group)} ids"
    apart = max((_apart_km(group[0], other) for other in group[1:]), default=0.0)
    return f"the same pixels {apart:,.0f} km apart" if apart > APART_KM else ""


def _apart_km(one: Truth, other: Truth) -> float:
    return float(haversine_km(one.latitude, one.longitude, other.latitude, other.longitude))


def listed(image_ids: Iterable[str]) -> dict[str, JsonValue]:
    """Return ids as a manifest lists them: all, up to a number that people read; and how many."""
    ids = list(image_ids)
    stated: dict[str, JsonValue] = {"photos": len(ids), "ids": list(ids[:LISTED])}
    if len(ids) > LISTED:
        digest = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()
        stated["sha256_of_all"] = digest
    return stated


def photo_marks(truths: Iterable[Truth]) -> frozenset[str]:
    """Return marks of photos by which a calibration is known to have seen them.

    Twelve hexadecimal digits of the SHA-256 of each id with its position, to 4 decimals: the
    marks say neither.
    """
    return frozenset(
        hashlib.sha256(f"{t.image_id}\t{t.latitude:.4f}\t{t.longitude:.4f}".encode()).hexdigest()[
            :12
        ]
        for t in truths
    )


def refuse_tuned(calibration: "Calibration | None", dataset: "Dataset") -> None:
    """Refuse a calibration that was fitted on what is to be measured.

    Raises:
        ConfigError: it was fitted on photos of it, by their marks; or, where it keeps no marks, on
            a dataset of this name.
    """
    if calibration is None:
        return
    marks, fitted = photo_marks(dataset.truths), set(getattr(calibration, "marks", ()))
    shared = marks & fitted
    names = {name.lower() for name in (dataset.name, dataset.title, dataset.fingerprint)}
    if shared or (not fitted and calibration.fitted_on.lower() in names):
        many = f"{len(shared):,} of the {len(marks):,} photos" if shared else "of the same name"
        raise ConfigError(
            f"calibration {calibration.version} was fitted on {calibration.fitted_on!r}: {many}; "
            f"measuring {dataset.name!r} with it would be tuning on the test. Fit it on other "
            "photos, or measure without it: --calibration none"
        )
