"""Images in chat messages, in the three shapes that clients send them."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage

from geo.errors import InputError


def image_in_messages(messages: Sequence[AnyMessage]) -> bytes | None:
    """Return the bytes of the last image in the messages, or None.

    Understands `image_url` data URIs, LangChain's `{"type": "image", "base64"}` and the
    `{"type": "image", "mimeType", "data"}` of chat front ends. Addresses are never fetched.

    Raises:
        InputError: an image is given by address, or its base64 is broken.
    """
    for message in reversed(messages):
        blocks = message.content if isinstance(message.content, list) else []
        for block in reversed(blocks):
            if isinstance(block, dict) and _is_image(block):
                return _decoded(block)
    return None


def _decoded(block: dict[str, Any]) -> bytes:
    source = block.get("base64") or block.get("data") or block.get("image_url") or block.get("url")
    if isinstance(source, dict):
        source = source.get("url")
    if not isinstance(source, str):
        raise InputError(f"an image block without data: keys {sorted(block)!r}")
    if source.startswith("data:"):
        source = source.partition(",")[2]
    elif "://" in source[:12]:
        raise InputError(f"an image by address is not fetched: {source[:80]!r}; send its bytes")
    try:
        return base64.b64decode(source, validate=True)
    except binascii.Error as error:
        raise InputError(f"an image whose base64 is broken: {error}; send it again") from error


def without_images(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return the messages that hold images, under their own ids and without the images."""
    changed = []
    for message in messages:
        blocks = message.content if isinstance(message.content, list) else []
        kept = [block for block in blocks if not _is_image(block)]
        if len(kept) < len(blocks):
            shown = kept or [{"type": "text", "text": "[photo]"}]
            changed.append(message.model_copy(update={"content": shown}))
    return changed


def _is_image(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") in ("image", "image_url")
