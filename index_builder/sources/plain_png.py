"""Pixels as a PNG whose bytes depend on the pixels alone.

A photo's id is the hash of its bytes. Compressors change their output from one release to the
next and so would the ids; here the data is stored as it is (RFC 1951, section 3.2.4).
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_STORED = 65_535
"""Most bytes of a stored block."""


def plain_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return an uncompressed PNG of RGB pixels `[H, W, 3]`."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + width * 3), np.uint8)  # a leading zero: the row is not filtered
    rows[:, 1:] = pixels.reshape(height, width * 3)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", _stored(rows.tobytes())),
            _chunk(b"IEND", b""),
        )
    )


def _stored(data: bytes) -> bytes:
    """Return a zlib stream (RFC 1950) of stored blocks."""
    blocks = [b"\x78\x01"]
    for start in range(0, len(data), _STORED):
        piece = data[start : start + _STORED]
        last = start + _STORED >= len(data)
        blocks.append(struct.pack("<BHH", last, len(piece), len(piece) ^ 0xFFFF))
        blocks.append(piece)
    blocks.append(struct.pack(">I", zlib.adler32(data)))
    return b"".join(blocks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
