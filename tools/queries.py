"""What a gallery is searched for: a photo, a part of one, or words."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import JsonValue

from encoders.local_features import LocalFeatures, extract_features
from encoders.photo_file import printable
from tools.arguments import Crop, box_on_original, cropped
from tools.evidence import Box, ToolError

if TYPE_CHECKING:
    from index_builder.gallery import Gallery
    from index_builder.points import Vector
    from tools.photo_store import PhotoStore
    from tools.workbench import Workbench

TEXT_LETTERS = 300


@dataclass(frozen=True)
class PhotoQuery:
    """A photo of the store, or a crop of one.

    Attributes:
        photos: the store that has it.
        photo_id: whole id.
        box: where it lies on the photo it was cut from, px; None for a whole photo.
        parent: id of that photo where the crop was asked for with the search.
    """

    photos: "PhotoStore"
    photo_id: str
    box: Box | None = None
    parent: str = ""

    @cached_property
    def features(self) -> LocalFeatures:
        """Its local features, found on first use: a gallery without copies needs none."""
        return extract_features(self.photos.image(self.photo_id))

    @property
    def words(self) -> str:
        """What was searched for, to begin a reply with; empty for the photo that was named."""
        return f"Searched by the part {self.photo_id[:12]}" if self.parent else ""

    @property
    def record(self) -> dict[str, JsonValue]:
        """The query as JSON."""
        box = self.box.model_dump() if self.box else None
        return {"photo_id": self.photo_id, "box": box}


@dataclass(frozen=True)
class TextQuery:
    """Words that describe a photo."""

    text: str

    @property
    def words(self) -> str:
        """What was searched for."""
        return f"Searched by the words {printable(self.text, TEXT_LETTERS)!r}"

    @property
    def record(self) -> dict[str, JsonValue]:
        """The query as JSON."""
        return {"text": self.text}


def photo_query(bench: "Workbench", photo_id: str, crop: Crop | None) -> PhotoQuery:
    """Return the query of a photo or of a part of it.

    Raises:
        ToolError: no such photo, or a crop that is none.
    """
    part = cropped(bench.photos, photo_id, crop)
    return PhotoQuery(
        photos=bench.photos,
        photo_id=part.id,
        box=box_on_original(bench.photos, part),
        parent=part.parent if crop else "",
    )


def query_of(
    bench: "Workbench", photo_id: str | None, crop: Crop | None, text: str | None
) -> PhotoQuery | TextQuery:
    """Return what the arguments ask for.

    Raises:
        ToolError: neither a photo nor a text, or both.
    """
    if text is None:
        if photo_id is None:
            raise ToolError("neither photo_id nor text given, 1 of them is needed; give one")
        return photo_query(bench, photo_id, crop)
    if photo_id is not None or crop is not None:
        raise ToolError("text replaces the photo as the query; leave out photo_id and crop")
    if not text.strip():
        raise ToolError(f"text {text!r:.20} is empty; describe what the photo shows")
    return TextQuery(text.strip())


def vectors_of(
    bench: "Workbench", gallery: "Gallery", query: PhotoQuery | TextQuery
) -> "Mapping[str, Vector] | None":
    """Return the vectors that search a gallery for a query; None where nothing is seen in it.

    Raises:
        ToolError: words are asked for, and this gallery shares no space with any.
        InputError: the encoder that made the gallery is another by now.
        UnavailableError: that encoder cannot be loaded.
    """
    vectors = (
        _of_text(bench, gallery, query)
        if isinstance(query, TextQuery)
        else _of_photo(bench, gallery, query)
    )
    return vectors if all(vector.any() for vector in vectors.values()) else None


def _of_photo(bench: "Workbench", gallery: "Gallery", query: PhotoQuery) -> "dict[str, Vector]":
    if gallery.codebook_encoder is not None:
        found = gallery.codebook_encoder.encode_features([query.features])
        return {space: rows[0] for space, rows in found.items()}
    vectors = bench.photo_vectors(query.photo_id, bench.encoder_of(gallery))
    return {space: vectors[space] for space in gallery.manifest.encoder.retrieval}


def _of_text(bench: "Workbench", gallery: "Gallery", query: TextQuery) -> "dict[str, Vector]":
    identity = gallery.manifest.encoder
    if gallery.codebook_encoder is not None:
        raise ToolError(
            f"gallery {gallery.name!r} was built by {identity.name!r}, which reads no texts; "
            "search it with photo_id"
        )
    encoder = bench.encoder_of(gallery)
    shared = [space for space in encoder.card.text_spaces if space in identity.spaces]
    if not shared:
        raise ToolError(
            f"gallery {gallery.name!r} keeps the spaces {', '.join(identity.spaces)} of encoder "
            f"{printable(identity.name)!r}, which encodes texts into "
            f"{', '.join(encoder.card.text_spaces) or 'none'}; search it with photo_id"
        )
    # A family may place photos and texts in several spaces: the first is the one it names so.
    return {shared[0]: encoder.encode_texts([query.text])[shared[0]][0]}
