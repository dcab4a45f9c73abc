"""What a gallery answers a person: photos like this one, like these words, like that entry."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from encoders import load_encoder
from encoders.local_features import difference_hash
from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.gallery import Gallery
from index_builder.gallery_opening import check_encoder
from index_builder.gallery_photo import Hit
from index_builder.points import EVERYWHERE, Vector, Where
from index_builder.search import NearDuplicates

if TYPE_CHECKING:
    from PIL import Image

    from encoders.base import AlignedEncoder, Encoder


@dataclass(frozen=True)
class Query:
    """What to search for: exactly one of three."""

    photo: Path | None = None
    text: str = ""
    like: str = ""
    """SHA-256 of a photo in the gallery, or its first 8 digits or more."""

    def __post_init__(self) -> None:
        """Refuse none or several.

        Raises:
            InputError: not exactly one is given.
        """
        given = [self.photo is not None, bool(self.text), bool(self.like)]
        if sum(given) != 1:
            raise InputError(
                f"{sum(given)} of a photo, --text and --like given, 1 is needed; give one"
            )


def query_gallery(
    gallery: Gallery,
    query: Query,
    limit: int = 10,
    *,
    where: Where = EVERYWHERE,
    dissimilar: bool = False,
    apart: bool = False,
) -> list[Hit]:
    """Return the photos that are most like a query, best first.

    Args:
        gallery: opened by `open_gallery`.
        query: what to search for.
        limit: at most this many.
        where: which photos.
        dissimilar: the least alike instead.
        apart: leave out near duplicates of the query's photo.

    Raises:
        InputError: the photo or the id cannot be used, or the encoder encodes no texts here.
        UnavailableError: the encoder's weights are not on this machine; the message says how to
            get them.
    """
    guard = None
    if query.text:
        if apart:
            raise InputError("--apart leaves out copies of a photo, and a text has none; drop it")
        vectors = _text_vectors(gallery, query.text)
    elif query.like:
        photo = gallery.photo(query.like.lower())
        (point,) = gallery.store.get([photo.id], with_vectors=True)
        retrieval = gallery.manifest.encoder.retrieval
        vectors = {space: point.vectors[space] for space in retrieval}
        where = replace(where, exclude_ids=(*where.exclude_ids, photo.id))
        guard = NearDuplicates(dhash=int(photo.dhash, 16) if photo.dhash else None)
    else:
        assert query.photo is not None
        vectors, guard = _photo_vectors(gallery, query.photo)
    return gallery.search(
        vectors, limit, where=where, dissimilar=dissimilar, apart_from=guard if apart else None
    )


def gallery_encoder(gallery: Gallery) -> "Encoder":
    """Return the encoder that made a gallery's vectors.

    Raises:
        InputError: what is loaded by its name is another one now.
        UnavailableError: it cannot be loaded here.
    """
    if gallery.codebook_encoder is not None:
        return gallery.codebook_encoder
    return _aligned(gallery)


def _aligned(gallery: Gallery) -> "AlignedEncoder":
    identity = gallery.manifest.encoder
    if identity.name == "embedded":
        raise InputError(
            f"gallery {gallery.name!r} keeps its visual words in the folder it was built in; "
            "search there"
        )
    encoder = load_encoder(identity.load)
    check_encoder(repr(gallery.name), gallery.manifest, encoder.card)
    return encoder


def _photo_vectors(gallery: Gallery, path: Path) -> tuple[Mapping[str, Vector], NearDuplicates]:
    from encoders.pixels import open_photo

    image = open_photo(path).image
    return _encoded(gallery, image), NearDuplicates(dhash=difference_hash(image))


def _encoded(gallery: Gallery, image: "Image.Image") -> Mapping[str, Vector]:
    rows = gallery_encoder(gallery).encode_images([image])
    vectors = {space: rows[space][0] for space in gallery.manifest.encoder.retrieval}
    if blind := [space for space, vector in vectors.items() if not vector.any()]:
        raise InputError(
            f"encoder {gallery.manifest.encoder.name!r} sees nothing in this photo (space "
            f"{blind[0]}); give one that shows more"
        )
    return vectors


def _text_vectors(gallery: Gallery, text: str) -> Mapping[str, Vector]:
    identity = gallery.manifest.encoder
    if identity.name == "embedded":
        raise InputError(
            f"gallery {gallery.name!r} was built by 'embedded', which reads no texts; build one "
            "with an encoder that does: geoclip, g3 or siglip"
        )
    encoder = _aligned(gallery)
    shared = [space for space in encoder.card.text_spaces if space in identity.spaces]
    if not shared:
        raise InputError(
            f"gallery {gallery.name!r} keeps the spaces {', '.join(identity.spaces)} of encoder "
            f"{printable(identity.name)!r}, which encodes texts into "
            f"{', '.join(encoder.card.text_spaces) or 'none'}; search by a photo"
        )
    # A family may place photos and texts in several spaces: the first is the one it names so.
    return {shared[0]: encoder.encode_texts([text])[shared[0]][0]}
