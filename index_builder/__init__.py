"""Galleries: sources of geotagged photos into searchable collections."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from index_builder.build import build_gallery
    from index_builder.gallery_opening import open_gallery

__all__ = ["build_gallery", "open_gallery"]


def __getattr__(name: str) -> Any:
    """Load on first use: galleries pull in libraries that an import must not."""
    if name == "open_gallery":
        from index_builder.gallery_opening import open_gallery

        return open_gallery
    if name == "build_gallery":
        from index_builder.build import build_gallery

        return build_gallery
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
