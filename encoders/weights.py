"""Which encoder weights there are, where they live and what is present. Downloads nothing."""

import importlib.util
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class WeightRow(BaseModel):
    """One encoder's weights.

    Attributes:
        name: what an encoder is loaded by.
        present: whether it can be loaded on this machine now.
        size: of the file, as people write it; `no file` where none is needed.
        licence: of the weights.
        purpose: what it is for.
        path: where it is, or where it is looked for.
        remedy: what to do to have it; empty where it is present.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: str
    present: bool
    size: str
    licence: str
    purpose: str
    path: str
    remedy: str = ""


def catalogue(home: Path) -> list[WeightRow]:
    """Return every encoder this version knows, with what is present under `home`."""
    return [_embedded(), _geoclip_heads(), _clip(home / "weights")]


def _embedded() -> WeightRow:
    return WeightRow(
        name="embedded",
        present=True,
        size="no file",
        licence="Apache-2.0",
        purpose="RootSIFT + VLAD: finds the same scene in your gallery, or abstains",
        path="",
    )


def _geoclip_heads() -> WeightRow:
    # find_spec of a top-level package does not import it.
    spec = importlib.util.find_spec("geoclip")
    folder = Path(spec.origin).parent / "model" / "weights" if spec and spec.origin else None
    path = folder / "location_encoder_weights.pth" if folder else None
    present = bool(path and path.is_file())
    return WeightRow(
        name="geoclip",
        present=present,
        size="41.7 MB",
        licence="MIT",
        purpose="location encoder and photo head of GeoCLIP, for the worldwide path to come",
        path=str(path or ""),
        remedy="" if present else "pip install 'graticule[encoders]' brings the geoclip package",
    )


def _clip(folder: Path) -> WeightRow:
    path = folder / "ViT-L-14.safetensors"
    present = path.is_file()
    return WeightRow(
        name="clip-vit-l-14",
        present=present,
        size="1.7 GB",
        licence="MIT",
        purpose="photo tower of CLIP ViT-L/14 (openai), for the worldwide path to come",
        path=str(path),
        remedy="" if present else f"put the file at {str(path)!r} by hand; nothing is downloaded",
    )
