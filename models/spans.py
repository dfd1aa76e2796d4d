"""From the prepared text back to the text that was given: which original characters each prepared one came from.

`models.bounds.shorten` bounds a text, `models.text.prepare` resolves entities, shortens links and collapses white
space, and a tokenizer's offsets count in what is left. A highlight must lie on the characters that the reader sees.
All positions are counted in characters of a Python string (code points; an emoji outside the first plane is one).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from models.bounds import ENDLESS_NUMBER, MOST_CHARACTERS, shorten
from models.text import LINK, LINK_WORD, SPACE, prepare, valid_unicode

_SEGMENT = re.compile(r"&[^&]*|[^&]+")
"""A piece with at most one entity, at its beginning: an entity starts with & and holds none further on."""

_WORD = re.compile(
    # what people read as one: a cashtag, hashtag or handle; letters and digits; joined as in S&P, 3.5%, Moody's, e-mail
    # and with invisible marks inside (soft hyphens, zero-width spaces and joiners)
    r"[$#@]?\w[\w\u00ad\u200b-\u200d\u2060\ufeff]*(?:[.,'’&/-]\w+)*%?"
)
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
"""Scripts written without spaces: there the tokenizer's own pieces are the words."""


@dataclass(frozen=True, slots=True)
class AlignedText:
    """A prepared text and where each of its characters came from.

    Attributes:
        text: what `prepare(shorten(...))` returns.
        starts, ends: for each character of `text`, the stretch of the original that it stands for.
    """

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the stretch of the original for characters `start` to `end` of the prepared text.

        Raises:
            ValueError: the stretch is empty or reaches beyond the text.
        """
        if not 0 <= start < end <= len(self.text):
            raise ValueError(f"no stretch of {len(self.text)} characters: {start} to {end}")
        return self.starts[start], max(self.ends[start:end])


def align(text: str) -> AlignedText:
    """Bound and prepare a text as a tokenizer does before it reads it, and keep where each character came from."""
    looked_at = valid_unicode(text[:MOST_CHARACTERS])
    places = range(len(looked_at))
    mapped = AlignedText(looked_at, tuple(places), tuple(place + 1 for place in places))
    if "&" in looked_at:
        mapped = _unescaped(_replaced(mapped, ENDLESS_NUMBER, "\ufffd"))
    mapped = _replaced(mapped, LINK, LINK_WORD)
    mapped = _replaced(mapped, SPACE, " ")
    begin = len(mapped.text) - len(mapped.text.lstrip())
    end = len(mapped.text.rstrip())
    aligned = AlignedText(mapped.text[begin:end], mapped.starts[begin:end], mapped.ends[begin:end])
    if aligned.text != prepare(shorten(text)):  # two ways to prepare a text must never part company unnoticed
        raise AssertionError("align and prepare differ")
    return aligned


def words_of(text: str) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a prepared text that a reader takes for one word, such as `$OSTM`, `S&P` or `3.5%`.

    Words of scripts that are written without spaces are left out: nothing but the tokenizer divides those.
    """
    for match in _WORD.finditer(text):
        if not _IDEOGRAPH.search(match[0]):
            yield match.span()


def _unescaped(mapped: AlignedText) -> AlignedText:
    """Resolve HTML entities, each character of an entity's text standing for the whole entity."""
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for match in _SEGMENT.finditer(mapped.text):
        segment, begin, end = match[0], match.start(), match.end()
        plain = html.unescape(segment)
        parts.append(plain)
        # What follows the entity is unchanged, so the longest common ending is not part of it; the character that an
        # entity resolves to may be equal to its own last one (&semi;), which is why one character is left over.
        tail = 0 if plain != segment else len(segment)
        while plain != segment and tail < len(plain) - 1 and segment[-1 - tail] == plain[-1 - tail]:
            tail += 1
        head, rest = len(plain) - tail, end - tail
        if head:
            starts += [mapped.starts[begin]] * head
            ends += [max(mapped.ends[begin:rest])] * head
        starts += mapped.starts[rest:end]
        ends += mapped.ends[rest:end]
    return AlignedText("".join(parts), tuple(starts), tuple(ends))


def _replaced(mapped: AlignedText, pattern: re.Pattern[str], word: str) -> AlignedText:
    """Put `word` in the place of every match, each of its characters standing for the whole match."""
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    done = 0
    for match in pattern.finditer(mapped.text):
        begin, end = match.span()
        parts += [mapped.text[done:begin], word]
        starts += [*mapped.starts[done:begin], *[mapped.starts[begin]] * len(word)]
        ends += [*mapped.ends[done:begin], *[max(mapped.ends[begin:end])] * len(word)]
        done = end
    parts.append(mapped.text[done:])
    return AlignedText("".join(parts), (*starts, *mapped.starts[done:]), (*ends, *mapped.ends[done:]))
