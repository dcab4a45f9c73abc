"""Arguments that several tools share, and what they mean: photo ids, crops, regions."""

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from index_builder.points import EVERYWHERE, Circle, Where
from tools.evidence import Box, Share, ToolError

if TYPE_CHECKING:
    from tools.photo_store import Photo, PhotoStore

PLAIN = r"^[^\x00-\x1f\x7f]*$"
"""No control character: a model's server that constrains decoding would else loop on newlines."""
MAXIMUM_COUNTRIES = 20

PhotoId = Annotated[str, Field(min_length=8, max_length=64, pattern=PLAIN)]
PHOTO_ID = "Id of the photo, or its first 8 digits or more"
CountryCode = Annotated[str, Field(pattern="^[A-Z]{2}$", max_length=2)]


class Crop(BaseModel):
    """A part of a photo, by shares of its width and height from the top left corner."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    left: Share = Field(description="Left edge, 0 to 1")
    top: Share = Field(description="Top edge, 0 to 1")
    right: Share = Field(description="Right edge, 0 to 1, more than left")
    bottom: Share = Field(description="Bottom edge, 0 to 1, more than top")


# Region: a circle, or countries; everywhere where none of these is given.
NearLatitude = Annotated[
    float | None, Field(description="Centre of the area to search, degrees", ge=-90, le=90)
]
NearLongitude = Annotated[
    float | None, Field(description="Centre of the area to search, degrees", ge=-180, le=180)
]
WithinKm = Annotated[
    float | None, Field(description="Radius of the area to search, km", gt=0, le=20_000)
]
Countries = Annotated[
    list[CountryCode] | None,
    Field(
        description="Search only these countries, ISO 3166-1 alpha-2 codes such as FR",
        max_length=MAXIMUM_COUNTRIES,
    ),
]


def where_of(
    latitude: float | None,
    longitude: float | None,
    radius_km: float | None,
    countries: list[str] | None,
) -> Where:
    """Return the condition that the arguments state.

    Raises:
        ToolError: a circle without all its three numbers, or a code that is no country.
    """
    given = [value for value in (latitude, longitude, radius_km) if value is not None]
    if len(given) not in (0, 3):
        raise ToolError(
            "an area needs all of near_latitude, near_longitude and within_km; give three or none"
        )
    codes = checked_countries(countries or [])
    circle = Circle(given[0], given[1], given[2]) if given else None
    return Where(circle=circle, countries=codes) if circle or codes else EVERYWHERE


def checked_countries(countries: list[str]) -> tuple[str, ...]:
    """Return distinct codes, sorted: the same countries in any order are the same question.

    Raises:
        ToolError: one of them is no country.
    """
    from geo.regions import country_codes

    known = set(country_codes()) if countries else set()
    for code in countries:
        if code not in known:
            raise ToolError(
                f"countries: {code!r:.20} is no ISO 3166-1 alpha-2 code; "
                "use codes like FR, GB (not UK), GR (not EL)"
            )
    return tuple(sorted(set(countries)))


def region_text(where: Where) -> str:
    """Return a condition in words: `in DE, FR`, `within 20 km of 52.0000, 10.0000`, or nothing."""
    parts = [f"in {', '.join(where.countries)}"] if where.countries else []
    if where.circle:
        latitude, longitude, radius_km = where.circle
        parts.append(f"within {radius_km:g} km of {latitude:.4f}, {longitude:.4f}")
    return " and ".join(parts)


def cropped(photos: "PhotoStore", photo_id: str, crop: Crop | None) -> "Photo":
    """Return a photo, or the part of it as a photo of its own, kept in the store.

    Raises:
        ToolError: no such photo, or a crop that is inverted or under 8 px a side.
    """
    from tools.zoom import cut, pixel_box

    photo = photos.get(photo_id)
    if crop is None:
        return photo
    edges = (crop.left, crop.top, crop.right, crop.bottom)
    box = pixel_box(photo, edges, "fraction")
    name = f"crop ({box.left}, {box.top})-({box.right}, {box.bottom})"
    part = cut(photos.image(photo.id), box, upscale=1.0)
    return photos.add_image(part, name, parent=photo.id, box=box)


def box_on_original(photos: "PhotoStore", photo: "Photo") -> Box | None:
    """Return where a crop, or a crop of a crop, lies on the photo it was first made from, in px.

    None for a photo that is no crop, or whose parents the store no longer has.
    """
    if not photo.parent or photo.box is None:
        return None
    try:
        parent = photos.get(photo.parent)
    except ToolError:
        return None
    outer = box_on_original(photos, parent)
    if outer is None:
        return None if parent.parent else photo.box
    across = (outer.right - outer.left) / parent.width
    down = (outer.bottom - outer.top) / parent.height
    left, top = outer.left + photo.box.left * across, outer.top + photo.box.top * down
    right, bottom = outer.left + photo.box.right * across, outer.top + photo.box.bottom * down
    return Box(
        left=int(left), top=int(top), right=max(round(right), 1), bottom=max(round(bottom), 1)
    )
