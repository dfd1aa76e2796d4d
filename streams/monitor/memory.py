"""What an entity remembers of a day, and how an hour of it is written down.

The structs are here and not beside the code that works on them because that code is compiled (`streams.compiled`),
and a compiled module cannot hold a msgspec struct.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from streams.monitor.bins import HOUR_MS
from streams.monitor.fingerprint import index_keys
from streams.monitor.state import Vote

CHUNK_VERSION: Final = 1
"""Of an hour's stories."""
HOUR_SCHEMA: Final = 2
HASH_BYTES: Final = 5
"""Of an id or an author as it is remembered. A mention is looked for among those of its own company and hour: with n of
them it is taken for one of them, wrongly, once in 2^40 / n times, which is once in 4 thousand million mentions at 240
an hour. Such a mention counts as a repeat, so that no rule sees it; such an author shares another one's votes of an
hour. Anything that answers so from fewer than log2(2^40 / 240) = 32 bits an id errs more often: that is why a day's
memory of a busy company, which grows with its messages, cannot be as small as its rules' state, which does not."""
HASH_MASK: Final = (1 << 8 * HASH_BYTES) - 1


class Story(msgspec.Struct, frozen=True, order=True, gc=False):
    """A story is its first message."""

    at_ms: int
    message_id: str
    tokens: tuple[int, ...]
    keys: tuple[int, ...]
    """What the index finds it by; worked out once, and known when it is to be forgotten."""


class HourChunk(msgspec.Struct, array_like=True):
    """An hour as it is saved."""

    schema: int
    ids: bytes
    """See `pack_hashes`."""
    authors: dict[int, bytes]
    """The same, by the votes that they have used."""
    stories: bytes
    open: list[Vote]
    """Of the hour's bins that have not closed."""


class _HourChunk1(msgspec.Struct, array_like=True):
    """Schema 1: hashes of 64 bits, one by one."""

    schema: int
    ids: list[int]
    authors: list[tuple[int, int]]
    stories: bytes
    open: list[Vote]


class _StoryChunk(msgspec.Struct, array_like=True, frozen=True):
    """The stories of one hour as saved: column by column, tokens as little-endian 32-bit words."""

    version: int
    hour: int
    offsets_ms: list[int]
    message_ids: list[str]
    lengths: list[int]
    tokens: bytes


class _ChunkVersion(msgspec.Struct, array_like=True, frozen=True):
    """The part of a chunk that every version has."""

    version: int


_encode = msgspec.msgpack.Encoder().encode
_decode_hour = msgspec.msgpack.Decoder(HourChunk).decode
_decode_hour_1 = msgspec.msgpack.Decoder(_HourChunk1).decode
_decode_version = msgspec.msgpack.Decoder(_ChunkVersion).decode
_decode_chunk = msgspec.msgpack.Decoder(_StoryChunk).decode


def pack_hashes(hashes: Iterable[int]) -> bytes:
    """Write hashes of `HASH_BYTES`, sorted: first the lowest byte of all of them, then the next; equal sets are equal
    bytes.
    """
    words = _little_endian(array("Q", sorted(hashes))).tobytes()
    return b"".join([words[place::_WORD_BYTES] for place in range(HASH_BYTES)])


def unpack_hashes(data: bytes) -> list[int]:
    """Read what `pack_hashes` wrote; raises ValueError for what it did not."""
    count, rest = divmod(len(data), HASH_BYTES)
    if rest:
        msg = f"{len(data)} bytes are no hashes of {HASH_BYTES} bytes each"
        raise ValueError(msg)
    words = bytearray(_WORD_BYTES * count)
    for place in range(HASH_BYTES):
        words[place::_WORD_BYTES] = data[place * count : (place + 1) * count]
    return _little_endian(array("Q", bytes(words))).tolist()


def pack_authors(votes: Mapping[int, int]) -> dict[int, bytes]:
    """Write the votes that authors have used, by author's hash."""
    # As many passes as there are numbers of votes, which are few: an author has two an hour.
    return {
        used: pack_hashes([author for author, own in votes.items() if own == used])
        for used in sorted(set(votes.values()))
    }


def unpack_authors(packed: Mapping[int, bytes]) -> dict[int, int]:
    """Read what `pack_authors` wrote; raises ValueError for what it did not."""
    return {author: used for used, authors in packed.items() for author in unpack_hashes(authors)}


def encode_hour(chunk: HourChunk) -> bytes:
    """Write an hour; equal chunks are equal bytes."""
    return _encode(chunk)


def decode_hour(hour: int, data: bytes) -> HourChunk:
    """Read a saved hour; raises ValueError, which names the hour, for what is none or is of an unknown schema.

    Of schema 1 the hashes are shortened.
    """
    try:
        schema = _decode_version(data).version
        if schema == 1:
            return _from_schema_1(_decode_hour_1(data))
        if schema == HOUR_SCHEMA:
            return _decode_hour(data)
    except msgspec.DecodeError as error:
        msg = f"hour {hour}: not a saved chunk: {error}"
        raise ValueError(msg) from error
    msg = f"hour {hour}: chunk of schema {schema}, this version reads {HOUR_SCHEMA}"
    raise ValueError(msg)


def _from_schema_1(old: _HourChunk1) -> HourChunk:
    authors: dict[int, int] = {}
    for author, used in old.authors:
        short = author & HASH_MASK
        authors[short] = max(used, authors.get(short, 0))
    ids = pack_hashes({digest & HASH_MASK for digest in old.ids})
    return HourChunk(HOUR_SCHEMA, ids, pack_authors(authors), old.stories, old.open)


def encode_stories(hour: int, stories: Iterable[Story]) -> bytes:
    """Write the stories of an hour, which is counted since the epoch; equal stories are equal bytes."""
    ordered = sorted(stories)
    packed = array("I", [token for story in ordered for token in story.tokens])
    return _encode(
        _StoryChunk(
            version=CHUNK_VERSION,
            hour=hour,
            offsets_ms=[story.at_ms - hour * HOUR_MS for story in ordered],
            message_ids=[story.message_id for story in ordered],
            lengths=[len(story.tokens) for story in ordered],
            tokens=_little_endian(packed).tobytes(),
        )
    )


def decode_stories(hour: int, data: bytes) -> list[Story]:
    """Read the stories of an hour; raises ValueError where the bytes are none, or of another hour or version."""
    try:
        version = _decode_version(data).version
        if version != CHUNK_VERSION:
            msg = f"version {version}, but this Squall reads version {CHUNK_VERSION}: use the one that wrote it"
            raise ValueError(msg)
        chunk = _decode_chunk(data)
        packed = array("I")
        packed.frombytes(chunk.tokens)
    except (msgspec.MsgspecError, ValueError) as error:
        msg = f"story chunk of hour {hour} cannot be read: {error}"
        raise ValueError(msg) from error
    columns = {len(chunk.offsets_ms), len(chunk.message_ids), len(chunk.lengths)}
    whole = len(columns) == 1 and sum(chunk.lengths) == len(packed) and min(chunk.lengths, default=1) > 0
    if chunk.hour != hour or not whole or not all(0 <= offset < HOUR_MS for offset in chunk.offsets_ms):
        msg = f"story chunk of hour {hour} is damaged: it says hour {chunk.hour}, {len(packed)} tokens"
        raise ValueError(msg)
    tokens = _little_endian(packed).tolist()
    stories, start = [], 0
    for offset_ms, message_id, length in zip(chunk.offsets_ms, chunk.message_ids, chunk.lengths, strict=True):
        words = tuple(tokens[start : start + length])
        stories.append(Story(hour * HOUR_MS + offset_ms, message_id, words, index_keys(words)))
        start += length
    return stories


_WORD_BYTES: Final = 8


def _little_endian(words: array[int]) -> array[int]:
    """The same words in little-endian order, whatever the machine's own."""
    if sys.byteorder == "big":
        words.byteswap()
    return words
