"""The photo store: pixels by content, claims beside them, nothing else of the original kept.

Knows how photos live on disk. A photo is known by the SHA-256 of its original bytes;
`<id>.jpg` holds re-encoded pixels without any metadata and `<id>.json` the record with the
claims. Both appear whole or not at all.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from PIL import Image
from pydantic import Field, ValidationError

from encoders.photo_file import Limits, file_name, printable, read_photo_bytes
from encoders.pixels import OpenedPhoto, encode_pixels, open_photo
from geo.errors import InputError, UnavailableError
from index_builder.files import sweep
from index_builder.metadata import PhotoMetadata, claims_of
from tools.evidence import Box, Record, ToolError

MIN_PREFIX = 8
ID_DIGITS = 64
_KNOWN_SHOWN = 8
_PREFIX = re.compile(r"[0-9a-f]{8,64}")
_STORED = Limits(max_bytes=1_000_000_000)
"""Our own files: re-encoding at high quality may exceed what a user may hand in."""


class Photo(Record):
    """What the store knows about one photo; the pixels are in the store."""

    id: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the original bytes, 64 hexadecimal digits."""
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    """Size of the upright picture, in pixels."""
    mime: str
    """Format of the original, from its content."""
    name: str = ""
    """Name of the original file, printable. A claim too: it may tell the place."""
    claimed: PhotoMetadata = PhotoMetadata()
    """What the file says about itself."""
    parent: str = ""
    """For a crop or a drawing: the photo it was made from."""
    box: Box | None = None
    """For a crop: where on the parent it was taken."""


class PhotoStore:
    """Photos in a folder, addressed by content; safe to share between threads and processes."""

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        self.root = root
        self.limits = limits or Limits()
        self._known: dict[str, Photo] = {}
        sweep(root, ".*.part")

    def add(self, source: Path | bytes, name: str | None = None) -> Photo:
        """Store a photo and return its record; a photo already there is not decoded again.

        Args:
            source: path of the photo, or its bytes.
            name: file name to record; that of the path by default.

        Raises:
            InputError: the photo cannot be used.
            UnavailableError: the store cannot be written.
        """
        if name is None:
            name = "" if isinstance(source, bytes) else file_name(source)
        name = printable(name)
        data = read_photo_bytes(source, self.limits)
        photo_id = hashlib.sha256(data).hexdigest()
        known = self._load(photo_id)
        if known is not None and name in ("", known.name) and self.path(photo_id).exists():
            return self._remember(known)
        try:
            opened = open_photo(data, self.limits)
        except InputError as error:
            raise InputError(_named(str(error), name)) from None
        return self._store(photo_id, opened, name)

    def _store(self, photo_id: str, opened: OpenedPhoto, name: str) -> Photo:
        photo = Photo(
            id=photo_id,
            width=opened.image.width,
            height=opened.image.height,
            mime=opened.mime,
            name=name,
            claimed=claims_of(opened.blocks, name),
        )
        if not self.path(photo_id).exists():
            self._write(self.path(photo_id), encode_pixels(opened.image))
        return self._write_record(photo)

    def add_image(
        self, image: Image.Image, name: str, parent: str = "", box: Box | None = None
    ) -> Photo:
        """Store a picture that a tool made: a crop, a drawing.

        Args:
            image: its pixels, any mode.
            name: what it shows, for people.
            parent: id of the photo it was made from.
            box: the part of the parent it shows, in pixels.

        Returns:
            Its record; the id is the SHA-256 of the stored file.

        Raises:
            UnavailableError: the store cannot be written.
        """
        data = encode_pixels(image)
        photo = Photo(
            id=hashlib.sha256(data).hexdigest(),
            width=image.width,
            height=image.height,
            mime="image/jpeg",
            name=printable(name),
            parent=parent,
            box=box,
        )
        if not self.path(photo.id).exists():
            self._write(self.path(photo.id), data)
        return self._write_record(photo)

    def get(self, photo_id: str) -> Photo:
        """Return the record of a photo named by its id, or a unique prefix of 8 digits or more.

        Raises:
            ToolError: no such photo, or several; the message names those known.
        """
        prefix = photo_id.strip().lower()
        if not _PREFIX.fullmatch(prefix):
            raise ToolError(
                f"photo_id '{printable(photo_id, 80)}' is not 8 to 64 hexadecimal digits; "
                f"{self._suggestion()}"
            )
        found = {prefix} if len(prefix) == ID_DIGITS else self._begun_with(prefix)
        if len(found) > 1:
            raise ToolError(f"photo_id '{prefix}' fits {len(found)} photos; give more digits")
        photo = self._load(found.pop()) if found else None
        if photo is None:
            raise ToolError(f"no photo '{prefix}' in the store; {self._suggestion()}")
        return self._remember(photo)

    def image(self, photo_id: str) -> Image.Image:
        """Return the pixels of a photo: RGB, upright, a copy of the caller's own.

        Raises:
            ToolError: no such photo.
            InputError: the stored file is damaged.
        """
        return open_photo(self.path(self.get(photo_id).id), _STORED).image

    def remove(self, photo_id: str) -> None:
        """Remove a photo and the crops and drawings made from it, if they are there."""
        made = [one.stem for one in self.root.glob("*.json") if self._parent(one) == photo_id]
        for one in (photo_id, *made):
            self._known.pop(one, None)
            self.path(one).unlink(missing_ok=True)
            (self.root / f"{one}.json").unlink(missing_ok=True)

    def _parent(self, record: Path) -> str:
        held = self._load(record.stem)
        return held.parent if held else ""

    def path(self, photo_id: str) -> Path:
        """Return where the re-encoded pixels of a full id lie, whether or not they are there."""
        return self.root / f"{photo_id}.jpg"

    def _begun_with(self, prefix: str) -> set[str]:
        found = {known for known in self._known if known.startswith(prefix)}
        return found | {path.stem for path in self.root.glob(f"{prefix}*.json")}

    def _suggestion(self) -> str:
        if not self._known:
            return "the store of this run is empty"
        recent = [known[:12] for known in self._known][-_KNOWN_SHOWN:]
        return f"use one of {', '.join(recent)}"

    def _remember(self, photo: Photo) -> Photo:
        self._known[photo.id] = photo
        return photo

    def _load(self, photo_id: str) -> Photo | None:
        """Return a stored record; None where there is none or it is damaged."""
        if photo_id in self._known:
            return self._known[photo_id]
        try:
            return Photo.model_validate_json((self.root / f"{photo_id}.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def _write_record(self, photo: Photo) -> Photo:
        record = photo.model_dump_json(indent=1).encode()
        self._write(self.root / f"{photo.id}.json", record)
        return self._remember(photo)

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file whole or not at all, whatever interrupts it."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self.root, prefix=".", suffix=".part")
            try:
                with open(descriptor, "wb") as file:
                    file.write(data)
                os.replace(temporary, path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise UnavailableError(
                f"photo store '{printable(os.fsencode(self.root))}' cannot be written: "
                f"{error.strerror}; free space or set GRATICULE_HOME to a writable folder"
            ) from None


def _named(message: str, name: str) -> str:
    return (
        re.sub(r"^photo of [\d,]+ bytes", lambda _: f"photo '{name}'", message) if name else message
    )
