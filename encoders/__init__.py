"""Encoders that turn photos into vectors of one space."""

from typing import TYPE_CHECKING

from geo.errors import InputError

if TYPE_CHECKING:
    from encoders.embedded import Codebook, EmbeddedEncoder

__all__ = ["load_encoder"]


def load_encoder(
    name: str = "embedded", *, codebook: "Codebook | None" = None
) -> "EmbeddedEncoder":
    """Return the encoder called `name`.

    Args:
        name: `embedded`, the encoder that needs no download.
        codebook: visual words of `embedded`; every gallery holds its own.

    Raises:
        InputError: no encoder of that name, or its codebook is missing.
    """
    if name != "embedded":
        raise InputError(f"unknown encoder {name!r}; there is: embedded")
    if codebook is None:
        raise InputError(
            "encoder 'embedded' has no weights of its own; give the codebook of a gallery "
            "(open_gallery(PATH).encoder)"
        )
    from encoders.embedded import EmbeddedEncoder

    return EmbeddedEncoder(codebook)
