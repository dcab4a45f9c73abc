"""Encoders that turn photos, places and words into vectors of shared spaces."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from geo.errors import InputError

if TYPE_CHECKING:
    from encoders.base import AlignedEncoder
    from encoders.embedded import Codebook, EmbeddedEncoder
    from encoders.segmenter import Segmenter

__all__ = ["load_encoder"]


@overload
def load_encoder(
    name: Literal["embedded"] = "embedded", *, codebook: "Codebook"
) -> "EmbeddedEncoder": ...
@overload
def load_encoder(
    name: str | Path,
    *,
    device: str = "auto",
    weights: Path | None = None,
    segmenter: "Segmenter | None" = None,
) -> "AlignedEncoder": ...


def load_encoder(
    name: str | Path = "embedded",
    *,
    codebook: "Codebook | None" = None,
    device: str = "auto",
    weights: Path | None = None,
    segmenter: "Segmenter | None" = None,
) -> "AlignedEncoder | EmbeddedEncoder":
    """Return an encoder; its image tower is loaded when the first photo or text comes.

    Args:
        name: `embedded`, which needs no download; `geoclip`, `g3` or `siglip` with published
            weights (`siglip2-b-16` and the like choose the tower); the folder of a trained or
            imported encoder; or the `http://` address of an encoder service.
        codebook: visual words of `embedded`; every gallery holds its own.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        weights: where downloaded weights lie; `weights` in the data folder by default.
        segmenter: for families that look at segmentation maps.

    Raises:
        InputError: no encoder of that name, or a damaged one.
        UnavailableError: weights, a package, the GPU or the service are not there.
    """
    if name == "embedded":
        return _embedded(codebook)
    from encoders.loading import load_aligned
    from geo.paths import home

    folder = weights if weights is not None else home() / "weights"
    return load_aligned(str(name), weights=folder, device=device, segmenter=segmenter)


def _embedded(codebook: "Codebook | None") -> "EmbeddedEncoder":
    if codebook is None:
        raise InputError(
            "encoder 'embedded' has no weights of its own; give the codebook of a gallery "
            "(open_gallery(PATH).encoder)"
        )
    from encoders.embedded import EmbeddedEncoder

    return EmbeddedEncoder(codebook)
