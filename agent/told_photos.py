"""The photo store as faces see it where places are not told exactly.

Photos of galleries and pictures that tools drew show the place: only what was handed in to be
located is shown, and nothing of what its file claims.
"""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

from tools.evidence import Box, ToolError
from tools.photo_store import ID_DIGITS, Photo, PhotoStore


class ToldPhotos(PhotoStore):
    """Shows the photos of sessions and those that are handed in here.

    Args:
        behind: the store.
        shown: ids of the photos that sessions are about.
    """

    def __init__(self, behind: PhotoStore, shown: Callable[[], Iterable[str]]) -> None:
        self.root, self.limits, self._known = behind.root, behind.limits, {}
        self._behind, self._list = behind, shown
        self._shown: set[str] = set()
        self._lock = threading.Lock()

    def add(self, source: Path | bytes, name: str | None = None) -> Photo:
        """Store a photo; its record is whole, for what is stored."""
        photo = self._behind.add(source, name)
        with self._lock:
            self._shown.add(photo.id)
        return photo

    def add_image(
        self, image: Image.Image, name: str, parent: str = "", box: Box | None = None
    ) -> Photo:
        """Store a picture that a tool made; it is not shown."""
        return self._behind.add_image(image, name, parent, box)

    def get(self, photo_id: str) -> Photo:
        """Return what may be told of a photo.

        Raises:
            ToolError: there is no such photo, or it is not one that was handed in.
        """
        unknown = ToolError(f"no photo {photo_id[:ID_DIGITS]!r} was handed in here")
        try:
            photo = self._behind.get(photo_id)
        except ToolError:
            raise unknown from None  # the store's own words name other photos
        if not self._may_show(photo.id):
            raise unknown
        return Photo(id=photo.id, width=photo.width, height=photo.height, mime=photo.mime)

    def _may_show(self, photo_id: str) -> bool:
        with self._lock:
            if photo_id in self._shown:
                return True
        listed = set(self._list())
        with self._lock:
            self._shown |= listed
        return photo_id in listed

    def image(self, photo_id: str) -> Image.Image:
        """Return the pixels of a photo that may be shown; see `PhotoStore.image`."""
        return self._behind.image(self.get(photo_id).id)

    def path(self, photo_id: str) -> Path:
        """Return where the pixels of a photo that may be shown lie; raises as `get`."""
        return self._behind.path(self.get(photo_id).id)

    def remove(self, photo_id: str) -> None:
        """Remove a photo and what was made of it."""
        with self._lock:
            self._shown.discard(photo_id)
        self._behind.remove(photo_id)
