"""From texts to numbers of n-grams, without a vocabulary: a whole chunk of texts is hashed by a few array operations.

The characters of all texts stand in one array. A word's hash is a polynomial in its characters modulo 2**64: with
prefix sums of c[i] * B**i, that of any stretch is one subtraction and one product with a power of B's inverse (Karp and
Rabin, "Efficient randomized pattern-matching algorithms", 1987). Pairs and triples of words mix the hashes of their
words. So a text costs a few microseconds, where a loop over words in Python costs fifty.

The numbers are the same on every platform and Python: integers modulo 2**64 alone, lower case by a table of our own
(Python's follows the Unicode version it was built with), no seed from the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.bounds import is_shortened, shorten
from models.text import prepare

FEATURES_VERSION = 1
"""Version of what is hashed and how; a tier made with another one is refused. To be raised with every change here."""

MOST_CHARS = 2_000
"""Characters of a prepared text that are read; the rest of a longer one is not, and the reader is told."""

Hashes = NDArray[np.uint64]

_CHUNK_CHARS = 1 << 16
"""Characters that are hashed at once: their arrays stay in the processor's cache."""
_WORD = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(0x94D049BB133111EB)
_BASE = 0x9E3779B97F4A7C15
_FIRST, _SECOND, _THIRD = np.uint64(0xA24BAED4963EE407), np.uint64(0x9FB21C651E98DF25), np.uint64(0xC2B2AE3D27D4EB4F)
_AVALANCHE = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_PREFIX_CHARS = 4
"""Of longer words the beginning counts too: "downgrades" and "downgraded" share it."""
_EDGE = np.uint64(1)
"""Hash of a text's beginning and end, which are part of its pairs of words."""
_SPACE, _LETTER, _SINGLE = 0, 1, 2
_DIGIT = ord("0")
_NEW_LINE = ord("\n")
_TABLE = 1 << 16


class TextFeatures(NamedTuple):
    """The n-grams of texts, one text after the other."""

    hashes: Hashes
    """Of each n-gram; [n-grams of all texts]. An n-gram that comes twice stands twice."""
    starts: NDArray[np.int64]
    """Where each text's n-grams begin; [texts + 1], the last is their number."""
    words: NDArray[np.int64]
    """Words and marks that were read; [texts]."""
    cut: NDArray[np.bool_]
    """Which texts are longer than `MOST_CHARS`; [texts]."""


def hash_texts(texts: Sequence[str]) -> TextFeatures:
    """Return the n-grams of each text: words, punctuation marks, pairs, triples, and beginnings of longer words.

    All digits count as one, case does not count, links are one word (`models.text.prepare`). Any string is accepted;
    of a text without any word one n-gram is left, the pair of its beginning and end.
    """
    prepared = [prepare(shorten(text)) for text in texts]
    lengths = zip(prepared, texts, strict=True)
    cut = np.asarray([len(text) > MOST_CHARS or is_shortened(whole) for text, whole in lengths], dtype=np.bool_)
    if not prepared:
        nothing = np.zeros(0, dtype=np.int64)
        return TextFeatures(nothing.astype(np.uint64), np.zeros(1, dtype=np.int64), nothing, cut)
    hashes, counts, words = zip(*(_hash_chunk(chunk) for chunk in _chunks(prepared)), strict=True)
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(np.concatenate(counts), out=starts[1:])
    return TextFeatures(np.concatenate(hashes), starts, np.concatenate(words), cut)


def _chunks(prepared: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts, cut to `MOST_CHARS`, in pieces of at most `_CHUNK_CHARS` with a character between texts."""
    chunk: list[str] = []
    length = 0
    for text in prepared:
        text = text[:MOST_CHARS]
        if length + len(text) + 1 > _CHUNK_CHARS:
            yield chunk
            chunk, length = [], 0
        chunk.append(text)
        length += len(text) + 1
    if chunk:
        yield chunk


def _hash_chunk(texts: Sequence[str]) -> tuple[Hashes, NDArray[np.int64], NDArray[np.int64]]:
    """Return the hashes of a chunk's n-grams, text by text, their number in each text, and that of its words."""
    characters = np.frombuffer(("\n".join(texts) + "\n").encode("utf-32-le"), dtype="<u4")
    is_end = characters == _NEW_LINE
    starts, ends = _tokens(characters, is_end)
    sums = np.zeros(len(characters) + 1, dtype=np.uint64)
    folded = _FOLD[np.minimum(characters, _TABLE - 1)].astype(np.uint64)
    beyond = characters >= _TABLE
    folded[beyond] = characters[beyond]
    np.cumsum((folded * _WORD + _SHIFT) * _POWERS[: len(characters)], out=sums[1:])
    tokens = _stretches(sums, starts, ends)
    edge = is_end[starts]
    tokens[edge] = _EDGE
    text_of = np.cumsum(edge) - edge
    word = ~edge
    before = np.concatenate(([_EDGE], tokens[:-1]))
    triple = word[:-2] & word[1:-1] & word[2:]
    long = (ends - starts > _PREFIX_CHARS) & word
    prefixes = _stretches(sums, starts[long], starts[long] + _PREFIX_CHARS)
    hashes = np.concatenate((
        tokens[word],
        _mixed(before * _FIRST + tokens * _SECOND),
        _mixed(tokens[:-2][triple] * _FIRST + tokens[1:-1][triple] * _SECOND + tokens[2:][triple] * _THIRD),
        _mixed(prefixes * _THIRD),
    ))  # fmt: skip
    owners = np.concatenate((text_of[word], text_of, text_of[:-2][triple], text_of[long]))
    order = np.argsort(owners, kind="stable")
    words = np.bincount(text_of[word], minlength=len(texts))
    return hashes[order], np.bincount(owners, minlength=len(texts)), words


def _tokens(characters: NDArray[np.uint32], is_end: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where tokens begin and end: runs of letters and digits, single marks, and the ends of texts."""
    kinds = _KINDS[np.minimum(characters, _TABLE - 1)]
    kinds[characters >= _TABLE] = _SINGLE  # pictographs, mostly: each is a word
    letter = kinds == _LETTER
    alone = (kinds == _SINGLE) | is_end
    begins, closes = alone.copy(), alone.copy()
    begins[0] |= letter[0]
    begins[1:] |= letter[1:] & ~letter[:-1]
    closes[:-1] |= letter[:-1] & ~letter[1:]
    return np.flatnonzero(begins), np.flatnonzero(closes) + 1


def _stretches(sums: Hashes, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Hashes:
    """Return the hash of the characters from each start to its end, wherever in the chunk they stand."""
    return _mixed((sums[ends] - sums[starts]) * _INVERSES[starts])


def _mixed(hashes: Hashes) -> Hashes:
    """Let every bit of a hash depend on all others, as the products alone leave the low bits poor."""
    hashes = (hashes ^ (hashes >> _HALF)) * _AVALANCHE
    return hashes ^ (hashes >> _HALF)


def _powers(base: int) -> Hashes:
    powers = np.full(_CHUNK_CHARS + 1, base, dtype=np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


def _kinds() -> NDArray[np.uint8]:
    """Return by code point: white space, part of a word, or a mark that stands for itself."""
    kinds = np.full(_TABLE, _LETTER, dtype=np.uint8)
    kinds[:128] = [_LETTER if chr(code).isalnum() or chr(code) in "$%'&" else _SINGLE for code in range(128)]
    for first, last, kind in (
        (0x00, 0x20, _SPACE), (0x7F, 0xA0, _SPACE), (0xA1, 0xBF, _SINGLE),  # controls, Latin-1 marks
        (0x2000, 0x200F, _SPACE), (0x2010, 0x2027, _SINGLE), (0x2028, 0x202F, _SPACE), (0x2030, 0x205F, _SINGLE),
        (0x2019, 0x2019, _LETTER), (0x2060, 0x206F, _SPACE), (0x2070, 0x2BFF, _SINGLE),  # punctuation, symbols
        (0x3000, 0x3000, _SPACE), (0x3001, 0x303F, _SINGLE), (0x4E00, 0x9FFF, _SINGLE),  # Chinese: sign by sign
        (0xFE00, 0xFE0F, _SPACE), (0xFEFF, 0xFEFF, _SPACE), (0xFF01, 0xFF0F, _SINGLE),  # variants, full width
    ):  # fmt: skip
        kinds[first : last + 1] = kind
    return kinds


def _fold() -> NDArray[np.uint32]:
    """Return by code point what is hashed: A to Z and their Latin-1 kin as lower case, all digits as one."""
    fold = np.arange(_TABLE, dtype=np.uint32)
    fold[ord("A") : ord("Z") + 1] += 32
    fold[0xC0:0xDF] += 32
    fold[0xD7] -= 32  # the multiplication sign
    fold[ord("0") : ord("9") + 1] = _DIGIT
    fold[0x2019] = ord("'")
    return fold


_POWERS, _INVERSES = _powers(_BASE), _powers(pow(_BASE, -1, 1 << 64))
_KINDS, _FOLD = _kinds(), _fold()
