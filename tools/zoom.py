"""The `zoom` tool: look closer at a part of a photo."""

from typing import TYPE_CHECKING, Literal

from langchain_core.tools import BaseTool, StructuredTool
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from tools.evidence import Box, Picture, ToolError, ToolOutcome, ToolReply
from tools.photo_store import Photo

if TYPE_CHECKING:  # the workbench holds a store that hands out this tool
    from tools.workbench import Workbench

MAX_SIDE_PX = 1568
"""Longest side of what is returned: what multimodal models take without scaling it down."""
MIN_SIDE_PX = 8

DESCRIPTION = (
    "Cut a rectangle out of a photo and enlarge it, to read a sign or see a detail. Returns the "
    "id of a new photo that other tools take. left < right and top < bottom; the origin is the "
    "top left corner. Longest side of the result: 1568 px."
)


class ZoomArguments(BaseModel):
    """Arguments of `zoom`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    photo_id: str = Field(
        description="Id of the photo, or its first 8 digits or more", min_length=8, max_length=64
    )
    left: float = Field(description="Left edge", ge=0, le=65_500)
    top: float = Field(description="Top edge", ge=0, le=65_500)
    right: float = Field(description="Right edge", gt=0, le=65_500)
    bottom: float = Field(description="Bottom edge", gt=0, le=65_500)
    unit: Literal["fraction", "pixel"] = Field(
        default="fraction", description="fraction: edges are 0 to 1 of the photo; pixel: pixels"
    )
    upscale: float = Field(
        default=2.0, description="Enlargement, 1 for none; capped by 1568 px", ge=1, le=8
    )


def make_zoom(bench: "Workbench") -> BaseTool:
    """Return the `zoom` tool over the photo store of `bench`."""

    def zoom(
        photo_id: str,
        left: float,
        top: float,
        right: float,
        bottom: float,
        unit: str = "fraction",
        upscale: float = 2.0,
    ) -> ToolReply:
        photo = bench.photos.get(photo_id)
        box = pixel_box(photo, (left, top, right, bottom), unit)
        crop = cut(bench.photos.image(photo.id), box, upscale)
        where = f"({box.left}, {box.top})-({box.right}, {box.bottom})"
        new = bench.photos.add_image(crop, f"crop {where}", parent=photo.id, box=box)
        scale = new.width / (box.right - box.left)
        caption = f"Pixels {where} of photo {photo.id[:12]}, {scale:.2f} times"
        return (
            f"New photo {new.id}: {new.width} x {new.height} px. {caption}.",
            ToolOutcome(
                pictures=(Picture(photo_id=new.id, caption=caption),),
                data={"parent": photo.id, "photo_id": new.id, "box": box.model_dump()},
            ),
        )

    return StructuredTool.from_function(
        zoom,
        name="zoom",
        description=DESCRIPTION,
        args_schema=ZoomArguments,
        response_format="content_and_artifact",
    )


def pixel_box(photo: Photo, edges: tuple[float, float, float, float], unit: str) -> Box:
    """Return edges (left, top, right, bottom) as whole pixels inside `photo`.

    Raises:
        ToolError: outside the photo, inverted, or under 8 px a side.
    """
    width, height = (1.0, 1.0) if unit == "fraction" else (float(photo.width), float(photo.height))
    left, top, right, bottom = edges
    if right > width or bottom > height:
        raise ToolError(
            f"box {edges} in {unit}s leaves the photo, limit right {width:g} and bottom {height:g}"
            + ("; for pixels set unit to pixel" if unit == "fraction" else "; shrink the box")
        )
    if left >= right or top >= bottom:
        raise ToolError(f"box {edges} is inverted; give left < right and top < bottom")
    across, down = photo.width / width, photo.height / height
    found = (round(left * across), round(top * down), round(right * across), round(bottom * down))
    if min(found[2] - found[0], found[3] - found[1]) < MIN_SIDE_PX:
        raise ToolError(
            f"box {found} px of a {photo.width} x {photo.height} px photo is under "
            f"{MIN_SIDE_PX} px a side; enlarge the box"
        )
    return Box(left=found[0], top=found[1], right=found[2], bottom=found[3])


def cut(image: Image.Image, box: Box, upscale: float) -> Image.Image:
    """Return the box of `image`, enlarged `upscale` times, at most 1568 px a side."""
    crop = image.crop((box.left, box.top, box.right, box.bottom))
    scale = min(upscale, MAX_SIDE_PX / max(crop.size))
    size = (max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))
    return crop if size == crop.size else crop.resize(size, Image.Resampling.LANCZOS)
