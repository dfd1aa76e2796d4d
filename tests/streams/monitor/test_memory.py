"""How a day's memory is written: short hashes, hours of the schema before, and state that is squeezed."""

from __future__ import annotations

import msgspec
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.bins import HOUR_MS, to_ms
from streams.monitor.horizon import Horizon, Place
from streams.monitor.memory import (
    HASH_BYTES,
    HASH_MASK,
    HOUR_SCHEMA,
    decode_hour,
    pack_authors,
    pack_hashes,
    unpack_authors,
    unpack_hashes,
)
from streams.monitor.squeeze import LARGEST, expand, squeeze
from tests.streams.monitor.invented import START

HOUR = to_ms(START) // HOUR_MS
hashes = st.integers(0, HASH_MASK)


@given(found=st.sets(hashes))
def test_hashes_come_back_sorted_and_take_five_bytes_each(found: set[int]) -> None:
    packed = pack_hashes(found)
    assert len(packed) == HASH_BYTES * len(found)
    assert unpack_hashes(packed) == sorted(found)


@given(votes=st.dictionaries(hashes, st.integers(1, 300)))
def test_authors_come_back_with_the_votes_they_used(votes: dict[int, int]) -> None:
    assert unpack_authors(pack_authors(votes)) == votes
    assert pack_authors(dict(reversed(votes.items()))) == pack_authors(votes)


def test_bytes_that_are_no_hashes_are_refused() -> None:
    with pytest.raises(ValueError, match="7 bytes are no hashes of 5 bytes each"):
        unpack_hashes(b"7 bytes")


def old_hour(author_votes: list[tuple[int, int]]) -> bytes:
    """An hour as schema 1 wrote it: hashes of 64 bits, authors with their votes."""
    ids = sorted(xxhash.xxh3_64_intdigest(f"wire:{number}".encode()) for number in range(3))
    return msgspec.msgpack.encode([1, ids, author_votes, b"", []])


def test_an_hour_of_the_schema_before_is_read_with_its_ids_and_its_authors_votes() -> None:
    ines = xxhash.xxh3_64_intdigest(b"ines")
    memory = Horizon(horizon_s=86_400, author_votes=2)
    chunks = {Place(HOUR, 1): old_hour([(ines, 1)])}
    assert memory.restore(chunks, {HOUR: 1}) == ([], [])
    assert not memory.first_seen("wire:2", HOUR * HOUR_MS)
    assert memory.first_seen("wire:3", HOUR * HOUR_MS)
    assert [memory.may_vote("ines", HOUR * HOUR_MS) for _ in range(2)] == [True, False]
    ((place, written),) = memory.changes({}).written
    assert place == Place(HOUR, 0)
    assert decode_hour(HOUR, written).schema == HOUR_SCHEMA


def test_of_two_old_authors_that_become_one_the_greater_number_of_votes_counts() -> None:
    chunk = decode_hour(HOUR, old_hour([(5, 1), (5 + (1 << 50), 2)]))
    assert unpack_authors(chunk.authors) == {5: 2}


def test_an_hour_of_a_newer_schema_or_of_damaged_hashes_is_named_and_set_aside() -> None:
    with pytest.raises(ValueError, match=f"hour {HOUR}: chunk of schema 3, this version reads 2"):
        decode_hour(HOUR, msgspec.msgpack.encode([3, b"", {}, b"", []]))
    damaged = msgspec.msgpack.encode([HOUR_SCHEMA, b"1234", {}, b"", []])
    memory = Horizon(horizon_s=86_400, author_votes=2)
    votes, lost = memory.restore({Place(HOUR, 0): damaged}, {HOUR: 0})
    assert votes == []
    assert lost == [f"hour {HOUR}: 4 bytes are no hashes of 5 bytes each"]


@given(value=st.lists(st.tuples(st.text(), st.floats(allow_nan=False)), max_size=60))
def test_what_is_squeezed_expands_to_what_it_was_and_is_never_longer(value: list[tuple[str, float]]) -> None:
    data = msgspec.msgpack.encode({"state": value, "again": value})
    assert expand(squeeze(data)) == data
    assert len(squeeze(data)) <= len(data)


def test_squeezed_state_that_is_damaged_is_refused() -> None:
    data = squeeze(msgspec.msgpack.encode({"field": ["the same again"] * 100}))
    assert data.startswith(b"\xc1")
    too_large = b"\xc1" + (LARGEST + 1).to_bytes(4, "little") + data[5:]
    for damaged in (data[:3], data[:-4], too_large, b"\xc1" + (9).to_bytes(4, "little") + data[5:]):
        with pytest.raises(ValueError, match="squeezed state"):
            expand(damaged)
