"""Which family of encoders made a gallery, as far as that can be told without loading one."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from encoders.families import FAMILIES
from encoders.identity import EMBEDDED, EncoderIs, tell_encoder
from encoders.photo_file import printable
from geo.errors import InputError

if TYPE_CHECKING:
    from index_builder.manifest import Manifest


class HeldGallery(NamedTuple):
    """What a gallery says of itself."""

    name: str
    kind: str
    family: str
    """Of the encoder that made it; empty where it cannot be told."""
    made_by: str
    load: str


def gallery_family(manifest: "Manifest") -> str:
    """Return the family of the encoder that made a gallery; empty where it cannot be told.

    A gallery states it. One that is older than that statement names what its encoder was loaded
    by, which tells it unless that is a service, or a folder that has gone or holds another now.
    """
    made = manifest.encoder
    if made.family:
        return made.family
    try:
        told = tell_encoder(made.load)
    except InputError:
        told = EncoderIs("")
    if told.family and told.name in ("", made.name):
        return told.family
    return made.name if made.name in (*FAMILIES, EMBEDDED) else ""


def look_at(place: Path | str, api_key: str | None) -> HeldGallery:
    """Return what a gallery's manifest says; its points stay closed.

    Args:
        place: its folder, or the address of its collection in a Qdrant server.
        api_key: of that server.

    Raises:
        InputError: no gallery, or a damaged one.
        UnavailableError: the server does not answer.
    """
    if str(place).startswith(("http://", "https://")):
        from index_builder.server_points import open_collection

        manifest, store = open_collection(str(place), api_key=api_key)
        store.close()
        return held_gallery(str(place), manifest)
    from index_builder.manifest import read_manifest

    return held_gallery(Path(place).resolve().name, read_manifest(Path(place)))


def held_gallery(name: str, manifest: "Manifest") -> HeldGallery:
    """Return what a manifest says of a gallery of that name."""
    made = manifest.encoder
    return HeldGallery(
        printable(name), manifest.kind, gallery_family(manifest), made.name, made.load
    )
