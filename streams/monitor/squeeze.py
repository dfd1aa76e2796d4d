"""Saved state made small: the rules of a company repeat one another's field names, windows and stories.

LZ4 block format behind a byte that no MessagePack value begins with, so that what was saved before it was squeezed is
still read, and a Squall that knows nothing of it sets it aside as it does any other damage.
"""

from __future__ import annotations

from typing import Final

import cramjam

LARGEST: Final = 1 << 26
"""Bytes that squeezed state may expand to; a damaged length is found before it is believed."""

_MARK: Final = b"\xc1"
_SHORTEST: Final = 256
"""With less there is little to gain."""
_SIZE_BYTES: Final = 4


def squeeze(data: bytes) -> bytes:
    """Return MessagePack in fewer bytes, where that is possible; equal data are equal bytes."""
    if len(data) < _SHORTEST:
        return data
    squeezed = _MARK + len(data).to_bytes(_SIZE_BYTES, "little") + bytes(_compress(data, store_size=False))
    return squeezed if len(squeezed) < len(data) else data


def expand(data: bytes) -> bytes:
    """Return what `squeeze` was given; what it left as it was, is returned as it is.

    Raises:
        ValueError: the bytes are damaged.
    """
    if not data.startswith(_MARK):
        return data
    start = len(_MARK) + _SIZE_BYTES
    size = int.from_bytes(data[len(_MARK) : start], "little")
    if len(data) <= start or size > LARGEST:
        msg = f"squeezed state of {len(data)} bytes cannot hold {size}"
        raise ValueError(msg)
    try:
        expanded = bytes(_decompress(data[start:], output_len=size))
    except cramjam.DecompressionError as error:
        msg = f"squeezed state cannot be read: {error}"
        raise ValueError(msg) from error
    if len(expanded) != size:
        msg = f"squeezed state holds {len(expanded)} bytes and says {size}"
        raise ValueError(msg)
    return expanded


_compress = cramjam.lz4.compress_block
_decompress = cramjam.lz4.decompress_block
