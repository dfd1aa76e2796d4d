"""Text as people typed it, from any source, to text that compares and classifies well.

- HTML entities are resolved, also those escaped twice; HTML tags are removed (`<GO>` and `a < b` are none).
- A link is removed, not replaced by a word: what follows `https://` says nothing of sentiment, and two reposts
  differ in it. Links are collected beside the text.
- Zero-width characters, bidirectional controls and other invisible characters are removed, white space is one space.
- Full-width letters, digits and signs (`＄ＡＣＭＥ`, `５％`), mathematical and circled letters become plain ones,
  composed as in NFC. Not NFKC: it turns `5½` into `51⁄2`, `10²` into `102`, and Chinese `，：！？（）` into ASCII.
- An apostrophe between letters is `'`.

`normalise` is pure, and idempotent: what it gives, it gives back.
"""

from __future__ import annotations

import html
import re
import unicodedata
from html.entities import html5
from typing import NamedTuple

_MAX_ROUNDS = 4
"""Texts are normal after one round, twice-escaped ones after two. What is still changing then is made to hurt."""

_KEPT_WIDE = "，：；！？（）～"
"""Full-width punctuation that Chinese and Japanese text is written with."""

_FOLDED_RANGES = (
    (0xFF01, 0xFF5E),  # full-width ASCII
    (0xFF61, 0xFF9F),  # half-width katakana
    (0xFFE0, 0xFFE6),  # full-width currency signs
    (0xFE50, 0xFE6B),  # small forms
    (0xFB00, 0xFB06),  # Latin ligatures
    (0x24B6, 0x24E9),  # circled letters
    (0x1D400, 0x1D7FF),  # mathematical letters and digits
)

_INVISIBLE_RANGES = (
    (0x0000, 0x0008),  # controls, but for white space
    (0x000E, 0x001B),
    (0x007F, 0x0084),
    (0x0086, 0x009F),
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x061C, 0x061C),  # Arabic letter mark
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),  # zero-width and direction marks
    (0x202A, 0x202E),  # bidirectional embeddings and overrides
    (0x2060, 0x206F),
    (0x2800, 0x2800),  # empty Braille pattern
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFFA0, 0xFFA0),
    (0xFFF9, 0xFFFB),
    (0xE0000, 0xE0FFF),  # tags and further variation selectors
)

_TAG_NAMES = (
    "a|abbr|address|article|aside|b|big|blockquote|body|br|button|caption|center|cite|code|dd|del|details|div|dl|dt|em|"
    "embed|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|link|main|"
    "mark|meta|nav|object|ol|option|p|picture|pre|q|s|samp|script|section|select|small|source|span|strike|strong|style|"
    "sub|summary|sup|svg|table|tbody|td|textarea|tfoot|th|thead|time|title|tr|tt|u|ul|video|wbr"
)

_INLINE = re.compile(
    "a|abbr|b|big|cite|code|del|em|font|i|ins|kbd|label|mark|q|s|small|span|strike|strong|sub|sup|tt|u|wbr",
    re.IGNORECASE,
)
"""Tags within a word or sentence, which leave no space behind."""

_BLOCK_START = re.compile(r"<(?:(script|style)\b[^<>]*>|!--)", re.IGNORECASE)
_BLOCK_ENDS = {
    "script": re.compile(r"</script\s*>", re.IGNORECASE),
    "style": re.compile(r"</style\s*>", re.IGNORECASE),
    "": re.compile("-->"),
}
"""What ends a script, a style sheet and a comment."""
_TAG = re.compile(rf"</?({_TAG_NAMES})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_HREF = re.compile(r"""\shref\s*=\s*["']?(https?://[^\s"'<>]+)""", re.IGNORECASE)

_AMPERSANDS = re.compile(r"&(?:(?:amp|#0*38|#x0*26);)+", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|([A-Za-z][A-Za-z0-9]{1,31}));")

_SHORT_DOMAINS = (
    r"t\.co|pic\.twitter\.com|bit\.ly|buff\.ly|dlvr\.it|goo\.gl|ow\.ly|is\.gd|tinyurl\.com|lnkd\.in|fb\.me|youtu\.be"
)
_LINK_END = r"\s<>\"“”‘’「」『』【】《》\u2e80-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef\U00020000-\U0003ffff"
"""A link ends at white space, quotes, and at what Chinese, Japanese and Korean text goes on with."""
_LINK = re.compile(
    rf"(?:https?|ftp)://[^{_LINK_END}]*|(?<![\w.@/-])(?:www\.[^{_LINK_END}]+|(?:{_SHORT_DOMAINS})/[^{_LINK_END}]*)",
    re.IGNORECASE,
)
_AFTER_LINK = ".,;:!?'"
_SCHEME = re.compile(r"(?:https?|ftp)://", re.IGNORECASE)
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])[’ʼ＇](?=[^\W\d_])")


def _span(first: int, last: int) -> range:
    return range(first, last + 1)


def _table() -> dict[int, str]:
    table = {}
    for first, last in _FOLDED_RANGES:
        for code in _span(first, last):
            plain = unicodedata.normalize("NFKC", chr(code))
            if chr(code) not in _KEPT_WIDE and plain != chr(code):
                table[code] = plain
    for first, last in _INVISIBLE_RANGES:
        table.update(dict.fromkeys(_span(first, last), ""))
    table.update(dict.fromkeys(_span(0xD800, 0xDFFF), "\ufffd"))  # half a character cannot be written as UTF-8
    return table


_TABLE = _table()
_FOLDABLE = re.compile(
    "[" + "".join(f"{chr(a)}-{chr(b)}" for a, b in (*_FOLDED_RANGES, *_INVISIBLE_RANGES, (0xD800, 0xDFFF))) + "]"
)

_MARKS = "".join(map(chr, filter(lambda code: unicodedata.combining(chr(code)), range(0x300, 0x20000))))
_MARK_RUN = re.compile(f"([{_MARKS}]{{8}})[{_MARKS}]+")
"""More accents on one letter than any language has; composing them takes time in the square of their number."""


class Normalised(NamedTuple):
    """A text made plain, and the links that were in it, in their order and without repeats."""

    text: str
    links: tuple[str, ...]


def normalise(text: str) -> Normalised:
    """Make a text plain, as this module describes; the result is empty for a text of links alone."""
    links: list[str] = []
    rounds = 0
    while True:
        plain = _round(text, links)
        if plain == text:
            return Normalised(plain, tuple(dict.fromkeys(links)))
        rounds += 1
        if rounds == _MAX_ROUNDS:
            # Markup that unfolds into more markup without end is an attack on the reader, not a message.
            plain = plain.translate({ord("&"): " ", ord("<"): " ", ord(">"): " "})
        text = plain


def _round(text: str, links: list[str]) -> str:
    if _FOLDABLE.search(text):
        text = text.translate(_TABLE)
    if "&" in text:
        text = _ENTITY.sub(_resolved, _AMPERSANDS.sub("&", text))
    if "<" in text:
        text = _without_tags(text, links)
    if "://" in text or _might_be_link(text):
        text = _without_links(text, links)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _MARK_RUN.sub(r"\1", text))
        text = _APOSTROPHE.sub("'", text)
    return " ".join(text.split())


def _might_be_link(text: str) -> bool:
    # Every link without a scheme has a dot and a slash, or begins with www.
    return "." in text and ("/" in text or "www." in text.lower())


def _resolved(entity: re.Match[str]) -> str:
    name = entity[1]
    if name is None:
        return html.unescape(entity[0])  # knows the numbers that stand for Windows-1252, and those for nothing
    # Not html.unescape: it takes the longest known beginning, and so reads `&notes;` as `¬es;`.
    return html5.get(f"{name};", entity[0])


def _without_tags(text: str, links: list[str]) -> str:
    def replace(tag: re.Match[str]) -> str:
        href = _HREF.search(tag[0])
        if href:
            links.append(href[1])
        return "" if _INLINE.fullmatch(tag[1]) else " "

    if "</" in text or "<!" in text:
        text = _without_blocks(text)
    return _TAG.sub(replace, text)


def _without_blocks(text: str) -> str:
    """Remove scripts, style sheets and comments with what they hold; an unclosed one is left to `_TAG`.

    Not one regular expression: on a text of unclosed comments that takes time in the square of its length.
    """
    kept: list[str] = []
    done = 0
    start = _BLOCK_START.search(text)
    unclosed: set[str] = set()
    while start:
        kind = (start[1] or "").lower()
        end = None if kind in unclosed else _BLOCK_ENDS[kind].search(text, start.end())
        if end:
            kept += (text[done : start.start()], " ")
            done = end.end()
        else:
            unclosed.add(kind)
        start = _BLOCK_START.search(text, max(done, start.end()))
    kept.append(text[done:])
    return "".join(kept)


def _without_links(text: str, links: list[str]) -> str:
    def replace(found: re.Match[str]) -> str:
        link = _without_punctuation(found[0])
        scheme = _SCHEME.match(link)
        if "…" not in found[0] and (scheme is None or scheme.end() < len(link)):
            links.append(link)
        # A space, so that what stood on both sides does not become a new word, or a new link.
        return " " + found[0][len(link) :]

    return _LINK.sub(replace, text)


def _without_punctuation(link: str) -> str:
    """The link without the sentence's punctuation behind it, and without a bracket that opened before it."""
    end = len(link)
    unopened = link.count(")") - link.count("(")
    while end:
        if link[end - 1] == ")" and unopened > 0:
            unopened -= 1
        elif link[end - 1] not in _AFTER_LINK:
            break
        end -= 1
    return link[:end]
