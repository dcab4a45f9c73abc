"""Collections of a Qdrant server: how they are addressed and made, and what they state."""

import re
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.manifest import BUILD, FORMAT_VERSION, Manifest, damaged
from index_builder.points import KEYWORDS, LOCATION, IndexSettings
from index_builder.server_calls import ServerCalls

if TYPE_CHECKING:
    from qdrant_client import QdrantClient
    from qdrant_client.http.models import CollectionInfo

METADATA = "graticule"
"""Key of a collection's metadata that holds the manifest."""
_EXAMPLE = "give one like http://localhost:6333/my-photos"


class Layout(NamedTuple):
    """How a collection keeps its points; shards and replicas count at its creation alone."""

    spaces: Mapping[str, int]
    """Dimensions of each vector of a point."""
    settings: IndexSettings
    shards: int = 1
    replicas: int = 1


def make_collection(
    calls: ServerCalls, client: "QdrantClient", collection: str, layout: Layout
) -> None:
    """Make a collection that is missing; complete one whose maker was interrupted.

    Raises:
        InputError: it has other vectors, or the server refuses.
        UnavailableError: the server does not answer.
    """
    from qdrant_client.models import PayloadSchemaType

    if not calls.write(client.collection_exists, collection):
        try:
            calls.write(client.create_collection, collection, **_settings(layout))
        except InputError:  # made meanwhile: by another worker, or its answer was lost
            if not calls.write(client.collection_exists, collection):
                raise
    found = calls.write(client.get_collection, collection)
    check_vectors(calls.shown, found, layout.spaces)
    kinds = {LOCATION: PayloadSchemaType.GEO}
    kinds |= dict.fromkeys(KEYWORDS, PayloadSchemaType.KEYWORD)
    for key, kind in kinds.items():
        if key not in (found.payload_schema or {}):
            calls.write(client.create_payload_index, collection, key, kind, wait=True)


def _settings(layout: Layout) -> dict[str, Any]:
    from qdrant_client import models

    index = layout.settings
    small: Any = None
    if index.quantization == "int8":
        scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
        small = models.ScalarQuantization(scalar=scalar)
    elif index.quantization == "binary":
        small = models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
    return {
        "vectors_config": {
            space: models.VectorParams(size=size, distance=models.Distance.DOT, on_disk=bool(small))
            for space, size in layout.spaces.items()
        },
        "hnsw_config": models.HnswConfigDiff(
            m=index.m if index.hnsw else 0, ef_construct=index.ef_construct
        ),
        "quantization_config": small,
        "shard_number": layout.shards,
        "replication_factor": layout.replicas,
        # Most copies have a point before a write returns: it outlasts the loss of a node.
        "write_consistency_factor": layout.replicas // 2 + 1,
    }


def check_vectors(shown: str, found: "CollectionInfo", spaces: Mapping[str, int]) -> None:
    """Refuse a collection of other vectors than `spaces`, compared by inner product.

    Raises:
        InputError: names, sizes or distance differ.
    """
    from qdrant_client.models import Distance

    stated = found.config.params.vectors
    vectors = stated if isinstance(stated, dict) else {"": stated}
    has = {space: params.size for space, params in vectors.items() if params}
    dot = all(params and params.distance == Distance.DOT for params in vectors.values())
    if has != dict(spaces) or not dot:
        listed = ", ".join(f"{printable(s, 40)} {size}" for s, size in sorted(has.items()))
        wanted = ", ".join(f"{space} {size}" for space, size in sorted(spaces.items()))
        raise InputError(
            f"{shown} has the vectors {listed or 'none'}{'' if dot else ' (not Dot)'}, "
            f"this gallery has {wanted}; use another name, or delete that collection"
        )


def split_address(url: str) -> tuple[str, str]:
    """Return server and collection of `http://HOST:6333/COLLECTION`.

    Raises:
        InputError: it names none.
    """
    server, _, name = url.rstrip("/").rpartition("/")
    if server.endswith((":/", ":")):  # http://HOST alone
        raise InputError(f"{printable(url)!r} names no collection; {_EXAMPLE}")
    return server, check_collection(urllib.parse.unquote(name))


def connect(url: str, api_key: str | None, answer_s: int) -> "QdrantClient":
    """Return a client of the server at `url`; nothing is sent yet.

    Args:
        url: of the server.
        api_key: where it needs one.
        answer_s: how long an answer may take.

    Raises:
        InputError: no address of a server.
    """
    from qdrant_client import QdrantClient

    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = None
    if not usable:
        raise InputError(f"{printable(url)!r} is no address of a Qdrant server; {_EXAMPLE}")
    key = {"api-key": api_key} if api_key else None
    return QdrantClient(url=url, timeout=answer_s, headers=key, check_compatibility=False)


def check_claim(shown: str, there: Manifest, manifest: Manifest) -> None:
    """Refuse to write a gallery into the collection of another.

    Args:
        shown: the collection as messages call it.
        there: what the collection states.
        manifest: of the gallery to write.

    Raises:
        InputError: encoder or kind differ.
    """
    ours, theirs = manifest.encoder, there.encoder
    if (theirs.name, theirs.fingerprint) != (ours.name, ours.fingerprint):
        raise InputError(
            f"{shown} was built by encoder {printable(theirs.name)}:{theirs.fingerprint[:10]}, "
            f"this is {ours.name}:{ours.fingerprint[:10]}; use that encoder or another name"
        )
    if there.kind != manifest.kind:
        raise InputError(
            f"{shown} is a gallery of {there.kind}, this is one of {manifest.kind}; use another "
            "name"
        )


def stated_manifest(shown: str, metadata: Mapping[str, Any]) -> Manifest | None:
    """Return the manifest in a collection's metadata, if it states one.

    Raises:
        InputError: of another version, or damaged.
    """
    stated = metadata.get(METADATA)
    if stated is None:
        return None
    version = stated.get("version") if isinstance(stated, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(
            f"{shown} has format {printable(repr(version), 40)}, this version reads "
            f"{FORMAT_VERSION}; delete that collection and build it again: {BUILD}"
        )
    try:
        return Manifest.model_validate(stated)
    except ValidationError:
        raise damaged(shown) from None


def check_collection(name: str) -> str:
    """Return `name` if a collection can be called so.

    Raises:
        InputError: empty, too long, or with characters that make no file name.
    """
    if not re.fullmatch(r"(?!\.{1,2}$)[^<>:\"/\\|?*\x00-\x1f]{1,255}", name):
        raise InputError(
            f'collection {printable(name)!r}, limit 1 to 255 characters without / \\ < > : " | ? '
            f"*; {_EXAMPLE}"
        )
    return name


def shown_collection(url: str, collection: str) -> str:
    """Return a collection as messages show it, without passwords."""
    host = urllib.parse.urlsplit(url).netloc.rpartition("@")[2] if url else ""
    at = f" of the Qdrant server at {printable(host)}" if host else ""
    return f"collection {printable(collection)!r}{at}"
