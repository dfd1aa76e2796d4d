"""Fingerprint: what is left of a text when everything a repost may change freely is taken away.

Links, handles, wire prefixes, source tags, case and punctuation go; words, figures and cashtags stay, in order, as
32-bit hashes. Chinese and Japanese characters are one token each. Two texts are then compared by `difference`, which
counts changed words but lets no changed figure, cashtag or direction (raises, cuts) pass as a rewording.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import Final, NamedTuple

import xxhash
from rapidfuzz.distance import Levenshtein

MAX_TOKENS: Final = 64
"""Of a longer text the first 64 tokens are kept: headline and lead, which copies of an article share."""
_MAX_CHARACTERS: Final = 4096
"""What lies beyond holds none of the first 64 tokens of any text that people write."""
MAX_KEYS: Final = 32
"""Of more distinct bigrams the 32 smallest are kept: a bottom-k sketch (Broder, 1997), which copies share too."""
MIN_HALF_WORDS: Final = 8
"""Texts under four words match only exactly: one changed word is most of what they say."""

# The low four bits of a token say what it is, so that saved tokens can still be weighed.
_KIND_BITS: Final = 4
_KIND_MASK: Final = (1 << _KIND_BITS) - 1
(
    _WORD,
    _CHARACTER,
    _FIGURE,
    _CASHTAG,
    _RISING,
    _FALLING,
    _RISING_CHARACTER,
    _FALLING_CHARACTER,
    _FILLER,
    _CALENDAR,
) = range(10)
_COSTS: Final = (2, 1, 2, 2, 2, 2, 1, 1, 1, 1)
"""What changing a token of each kind costs, in half words."""
_LENGTHS: Final = (2, 1, 2, 0, 2, 2, 1, 1, 0, 0)
"""What a token of each kind adds to the length of a text: a list of cashtags or a calendar tells no story apart."""

# Tokens side by side in little-endian order, to be read and written as one large number.
_LAYOUTS: Final = tuple(struct.Struct(f"<{count}I") for count in range(MAX_TOKENS + 1))

_RISING_WORDS: Final = frozenset(
    "up rise rises rising rose gain gains gained jump jumps jumped soar soars soared surge surges surged climb "
    "climbs climbed rally rallies rallied higher raise raises raised hike hikes hiked increase increases increased "
    "upgrade upgrades upgraded beat beats tops topped buy bull bulls bullish positive outperform "
    "overweight strong stronger win wins won long calls".split()
)
_FALLING_WORDS: Final = frozenset(
    "down fall falls falling fell drop drops dropped slump slumps slumped plunge plunges plunged tumble tumbles "
    "tumbled slide slides slid sink sinks sank lower cut cuts lowers lowered decrease decreases decreased downgrade "
    "downgrades downgraded miss misses missed sell bear bears bearish negative underperform "
    "underweight weak weaker lose loses lost short puts".split()
)
_RISING_CHARACTERS: Final = frozenset("涨升增盈买多")
_FALLING_CHARACTERS: Final = frozenset("跌降减亏卖空")
# Another quarter, month or weekday is another story, as another number is.
_CALENDAR_WORDS: Final = frozenset(
    "first second third fourth january february march april june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday "
    "q1 q2 q3 q4 1q 2q 3q 4q h1 h2 1h 2h".split()
)
_YEAR: Final = re.compile(r"(?:fy)?20\d\d|fy\d\d|[1-4]q\d\d")
_FIGURE_WORDS: Final = frozenset("one two three four five six seven eight nine ten large mid small".split())
# Without these, "X to report second quarter results" is X alone, and Y's announcement is no copy of it.
_FILLER_WORDS: Final = frozenset(
    "a an and are as at be by for from has have in is it its of on or that the this to was were will with "
    "announce announces announced announcement report reports reported reporting schedule schedules release "
    "releases date details conference call webcast earnings financial results result fiscal year full "
    "quarterly preview presentation present investor investors shareholder shareholders class action law firm llp "
    "contact encourages reminds notifies informs deadline alert reminder update declares inc corp ltd plc llc lp co "
    "group holdings company regulatory form".split()
)

_CJK: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_IS_CJK: Final = re.compile(f"[{_CJK}]")
# A link may be cut off by the end of a post ("http://t…", "ht…"), and then says nothing either. This pattern and
# `_SOURCE_TAG` begin with the set of their first characters, each alternative then looking back at its own: `re` finds
# the members of a set four times as fast as it tries the alternatives at every character.
_NOISE: Final = re.compile(
    r"[hwpt@＠](?:(?<=h)ttps?:\S*|(?<=\bw)ww\.\S+|(?<=\bp)ic\.twitter\.com/\S+|(?<=\bt)\.co/\S+|(?<=[@＠])\w+:?|"
    r"(?<=\bh)(?:t(?:tps?)?)?(?:…|\.\.\.)\s*$)"
)
# A post that is cut off ends in a part of a word, which is no word. It is read from its end: a search for what ends
# somewhere tries every beginning.
_CUT_OFF_BACKWARDS: Final = re.compile(rf"(?:…|\.\.\.)[^\s{_CJK}]{{0,40}}")
_PREFIX: Final = re.compile(
    r"[\W_]*(?<!\$)\b(?:"
    r"(?:rt|mt|icymi|jus?t in|breaking(?: news)?|refile|rpt|wrapup|快讯|突发|转发|更新|独家)\b(?:\s*\d+\s*[-–—:])?"
    r"|(?:update|corrected|correction|exclusive|alert|flash|urgent|live|watch|video|developing|news|new|headlines?|"
    r"report|latest|hot)(?:\s*\d{1,2}\b)?\s*[-–—:|!\]】]"
    r")[\s:：\-–—|!\]】]*"
)
_SOURCE: Final = (
    r"(?:reuters|rtrs|bloomberg|bbg|cnbc|wsj|ft|ap|afp|dj|dow jones|nikkei|sources?|marketwatch|barron'?s|nyt|bbc|"
    r"cnn|politico|axios|yahoo finance|y finance|seeking alpha|benzinga|globe ?newswire|business ?wire|"
    r"pr ?newswire|[a-z]{2})"
)
_SOURCE_TAG: Final = re.compile(
    rf"[-–—|v(](?:(?<=\s[-–—|])\s*(?:the\s+)?{_SOURCE}|(?<=\bv)ia(?:\s+[^\W\d_][\w.&']*){{0,3}}|"
    rf"(?<=\(){_SOURCE}\))[\s.]*$"
)
_TOKEN: Final = re.compile(
    # A word of ASCII with nothing else right behind it comes first: it is what most words are, and found the fastest.
    rf"[a-z_][a-z0-9_]*+(?:(?![^\s!-&(-\-/:-@])|[^\W{_CJK}]*+(?:['’.][^\W{_CJK}]++)*+)|"
    rf"[{_CJK}]|\$[a-z][a-z0-9_]*+(?:\.[a-z]+)?|\d++(?:[.,]\d++)*+(?:[^\W{_CJK}]++|%)?|"
    rf"[^\W{_CJK}]++(?:['’.][^\W{_CJK}]++)*+"
)
# The same for a text of ASCII alone, as half of them are, in three quarters of the time.
_ASCII_TOKEN: Final = re.compile(
    r"[a-z_][a-z0-9_]*+(?:['.][a-z0-9_]++)*+|\$[a-z][a-z0-9_]*+(?:\.[a-z]+)?|"
    r"[0-9]++(?:[.,][0-9]++)*+(?:[a-z0-9_]++|%)?"
)


class Fingerprint(NamedTuple):
    """What identifies a text: equal fingerprints are the same text to a reader in a hurry."""

    tokens: tuple[int, ...]
    """Hashes of at most `MAX_TOKENS` words, in order; the low bits say what kind of word."""
    keys: tuple[int, ...]
    """Hashes of its adjacent pairs of tokens, at most `MAX_KEYS`, each once: what an index finds it by."""


@lru_cache(maxsize=1 << 10)
def fingerprint(text: str) -> Fingerprint:
    """Take the fingerprint of a text; a text without a word (a bare link) has no tokens.

    The last thousand are remembered: a message about three companies is one text three times, and reposts come soon.
    """
    words = _words(text[:_MAX_CHARACTERS].casefold())
    tokens = tuple(map(_tokens.__getitem__, words[:MAX_TOKENS]))
    return Fingerprint(tokens, index_keys(tokens))


def given_story(name: str) -> Fingerprint:
    """Return a fingerprint that only the same name has, for a story that is known and need not be found.

    Four words made of 128 bits of the name: two names have one of them in common by chance once in a hundred million.
    """
    digest = xxhash.xxh3_128_intdigest(name.encode())
    tokens = tuple((digest >> shift & 0xFFFFFFFF & ~_KIND_MASK) | _WORD for shift in (0, 32, 64, 96))
    return Fingerprint(tokens, index_keys(tokens))


def _words(text: str) -> list[str]:
    """The words of a case-folded text, without links, handles, wire prefixes and source tags."""
    text = _NOISE.sub(" ", text).strip()
    if text.endswith(("…", "...")) and (cut_off := _CUT_OFF_BACKWARDS.match(text[::-1])):
        text = text[: -cut_off.end()]
    while (prefix := _PREFIX.match(text)) and prefix.end() < len(text):
        text = text[prefix.end() :]
    find = (_ASCII_TOKEN if text.isascii() else _TOKEN).findall
    words: list[str] = find(text)
    tag = _SOURCE_TAG.search(text)
    if tag:
        untagged: list[str] = find(text[: tag.start()])
        if len(untagged) >= 4:  # otherwise the "tag" is most of the text
            return untagged
    return words


_UNWRITTEN: Final = str.maketrans("", "", "'’.")
"""Signs within a word that not everyone writes: U.S. and US, it's and its."""


def _token(word: str) -> int:
    """32 bits of a word: its hash, with its kind in the low bits."""
    word = word.translate(_UNWRITTEN) if word[0].isalpha() else word.replace(",", "")
    return (xxhash.xxh32_intdigest(word.encode()) & ~_KIND_MASK) | _kind(word)


class _Tokens(dict[str, int]):
    """The tokens of the words that were met; when they are too many, all are forgotten.

    A word of a text is looked up here in half the time that an LRU cache takes, which notes each of its uses. Figures
    are not kept: a feed does not run out of new ones, and they would fill the memory with what is never asked again.
    """

    def __missing__(self, word: str) -> int:
        token = _token(word)
        if token & _KIND_MASK != _FIGURE:
            if len(self) >= _MAX_WORDS:
                self.clear()
            self[word] = token
        return token


_MAX_WORDS: Final = 1 << 15
"""More than the words that a year of financial news is written in but for its names; about 7 MB."""
_tokens: Final = _Tokens()


def _kind(word: str) -> int:
    if word[0] == "$":
        return _CASHTAG
    known = _KINDS.get(word)
    if known is not None:
        return known
    if len(word) == 1 and _IS_CJK.match(word):
        return _CHARACTER
    if word.isalpha():
        return _WORD
    if _YEAR.fullmatch(word):
        return _CALENDAR
    return _FIGURE if any(map(str.isdigit, word)) else _WORD


_KINDS: Final = {
    **dict.fromkeys(_FILLER_WORDS, _FILLER),
    **dict.fromkeys(_FIGURE_WORDS, _FIGURE),
    **dict.fromkeys(_RISING_WORDS, _RISING),
    **dict.fromkeys(_FALLING_WORDS, _FALLING),
    **dict.fromkeys(_RISING_CHARACTERS, _RISING_CHARACTER),
    **dict.fromkeys(_FALLING_CHARACTERS, _FALLING_CHARACTER),
    **dict.fromkeys(_CALENDAR_WORDS, _CALENDAR),
}


def index_keys(tokens: tuple[int, ...]) -> tuple[int, ...]:
    """Hashes of adjacent pairs of tokens, each once, the `MAX_KEYS` smallest of them.

    The hash of a pair is left ^ (left >> 28) ^ (right << 4), in 32 bits: a token is a hash already but for its kind, in
    the low four bits, and the shift keeps those of one from meeting those of the other. All pairs are hashed at once,
    the tokens side by side being one number, in half the time that they take one by one.
    """
    count = len(tokens)
    if count < 2:
        return ()
    row = int.from_bytes(_LAYOUTS[count].pack(*tokens), "little")
    hashed = (row ^ row >> 28).to_bytes(4 * count, "little")
    keys = set(_LAYOUTS[count - 1].unpack_from(hashed))  # the last token has no right neighbour
    return tuple(keys if len(keys) <= MAX_KEYS else sorted(keys)[:MAX_KEYS])


def length_half_words(tokens: tuple[int, ...]) -> int:
    """Length in half words: a word is two, a Chinese character one, a filler or a date none."""
    return sum([_LENGTHS[token & _KIND_MASK] for token in tokens])


def edits_allowed_half_words(length: int) -> int:
    """Changes that leave a text of that length the same story: one word, and one more per eight words.

    Under four words (a company and its calendar) every word counts, and only one filler may differ.
    """
    return 2 * (1 + length // 16) if length >= MIN_HALF_WORDS else 1


def edge_allowed_half_words(length: int) -> int:
    """Words that may be added before and after a text of that length: four; half as many as it has if it is short."""
    return 8 if length >= MIN_HALF_WORDS else length // 2


def difference(first: tuple[int, ...], second: tuple[int, ...]) -> int | None:
    """How far apart two texts of one story are, in half words; None if they are different stories.

    A changed word counts fully, a changed filler, date or character half. Words added at the start or the end (a
    prefix, a comment, a source) are free up to `edge_allowed_half_words`. A figure, a date, a cashtag or a direction
    that each text has and the other lacks makes them different stories, whatever else they share.
    """
    if first == second:
        return 0
    shorter = min(len(first), len(second))
    if shorter < MIN_HALF_WORDS and min(_bare_length(first), _bare_length(second)) < MIN_HALF_WORDS:
        return None
    only_first, only_second = set(first).difference(second), set(second).difference(first)
    # Cheap before exact: each of these tokens is an edit, and no text allows more than one of as many whole words.
    if max(len(only_first), len(only_second)) > _edits_limit(2 * shorter) or _contradict(only_first, only_second):
        return None
    length = min(length_half_words(first), length_half_words(second))
    allowed, edge_allowed = edits_allowed_half_words(length), edge_allowed_half_words(length)
    limit = _edits_limit(length)
    if Levenshtein.distance(first, second, score_cutoff=limit) > limit:
        return None
    inner = edge = 0
    for edit in Levenshtein.editops(first, second):
        tag, at_first, at_second = edit.tag, edit.src_pos, edit.dest_pos
        if tag == "insert":
            cost, outside = _COSTS[second[at_second] & _KIND_MASK], at_first in (0, len(first))
        else:
            cost = _COSTS[first[at_first] & _KIND_MASK]
            if tag == "replace":
                # Another name at the head of an announcement of under four words is another company's.
                weigh = max if length < MIN_HALF_WORDS and 0 in (at_first, at_second) else min
                cost = weigh(cost, _COSTS[second[at_second] & _KIND_MASK])
            outside = tag == "delete" and at_second in (0, len(second))
        if outside:
            edge += cost
        else:
            inner += cost
    if inner + max(0, edge - edge_allowed) > allowed:
        return None
    return inner + edge


def _bare_length(tokens: tuple[int, ...]) -> int:
    """Length in half words with fillers and dates counted as words."""
    return sum([1 if token & _KIND_MASK in _CHARACTERS else 2 for token in tokens])


_CHARACTERS: Final = frozenset({_CHARACTER, _RISING_CHARACTER, _FALLING_CHARACTER})


def _edits_limit(length: int) -> int:
    """Tokens that may be edited in a text of that length in half words: a token costs at least one."""
    return edits_allowed_half_words(length) + edge_allowed_half_words(length)


def _contradict(only_first: set[int], only_second: set[int]) -> bool:
    """Whether each text has a figure, or a cashtag, or opposite directions, that the other lacks."""
    of_second = {token & _KIND_MASK for token in only_second}
    return not of_second.isdisjoint([_OPPOSITES[token & _KIND_MASK] for token in only_first])


_OPPOSITES: Final = (
    None,  # a word
    None,  # a character
    _FIGURE,
    _CASHTAG,
    _FALLING,
    _RISING,
    _FALLING_CHARACTER,
    _RISING_CHARACTER,
    None,  # a filler
    _CALENDAR,
)
"""The kind that a token of each kind contradicts."""
