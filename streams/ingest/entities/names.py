"""What a name looks like in text, and how much it proves: legal forms stripped, spellings varied, certainty judged.

The word lists in `lists/` are our own and hold for every table, the user's included.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import cache
from importlib import resources

from streams.ingest.entities.fold import fold, is_cjk

_LEGAL = (
    r"incorporated|inc|corporation|corp|company|co|companies|plc|limited|ltd|llc|l\.?p|n\.?v|s\.?a|s\.?e|a\.?g|"
    r"holdings?|group|\(the\)|\(class [a-z]\)|-s?w"
)
LEGAL_SUFFIX = re.compile(rf"(?:,? (?:& )?|(?=\(|-))(?:{_LEGAL})\.?$")
"""A legal form at the end of a folded name."""

_CHINESE_FORMS = ("股份有限公司", "有限公司", "股份", "集团")
_MIN_CHINESE_BASE = 3
"""A shorter rest (`上海` of `上海集团`) is more often a place or a thing than the company."""
_ACRONYM_MAX = 5


class Certainty(IntEnum):
    """How much a name in a text proves by itself."""

    SURE = 0
    """In any case, anywhere."""
    EXACT = 1
    """An acronym: only in capitals; one that is a word (`SEA`) needs support even then."""
    CAPITAL = 2
    """Means the company when capitalised; in lower case it needs support."""
    WORD = 3
    """An ordinary word: a capital counts only where capitals mean something, otherwise it needs support."""
    CONTEXT = 4
    """Always needs support: a legal form, a word of business, a possessive, another sign of the company."""
    SUFFIX = 5
    """Only with its legal form or another sign of the company."""


@cache
def word_list(name: str) -> frozenset[str]:
    """The (folded) words of `lists/{name}.txt`; lines that begin with # are comments."""
    return frozenset(word for line in phrase_list(name) for word in line.split())


@cache
def phrase_list(name: str) -> tuple[str, ...]:
    """The (folded) lines of `lists/{name}.txt`; lines that begin with # are comments."""
    text = (resources.files(__package__) / "lists" / f"{name}.txt").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return tuple(fold(line) for line in lines if line and not line.startswith("#"))


def is_chinese(name: str) -> bool:
    """Whether a name is written without spaces between words."""
    return any(is_cjk(character) for character in name)


def base_name(name: str) -> str:
    """The folded name without its legal forms: `apple`, `万科`, `东方雨林` of `东方雨林股份有限公司`."""
    base = re.sub(r"^the (?=\S+ \S)", "", fold(name).strip())
    if is_chinese(base):
        return _chinese_base(base)
    while True:
        shorter = LEGAL_SUFFIX.sub("", base).rstrip(" ,&")
        if shorter == base or not any(character.isalnum() for character in shorter):
            return base
        base = shorter


def _chinese_base(name: str) -> str:
    if len(name) > 2 and name[-1] in "ab" and is_cjk(name[-2]):
        name = name[:-1]  # 万科A: the letter is the class of the share
    for form in _CHINESE_FORMS:
        if name.endswith(form) and len(name) - len(form) >= _MIN_CHINESE_BASE:
            return name[: -len(form)]
    return name


def variants(name: str) -> frozenset[str]:
    """Folded spellings under which a name is found: with `&` or `and`, hyphen or space, dots or none, `'s` or `s`."""
    folded = fold(name).strip().rstrip(",")
    found = {folded, base_name(name)}
    for form in tuple(found):
        found.add(form.replace(" & ", " and "))
        found.add(form.replace(" and ", " & "))
    for form in tuple(found):
        if not re.search(r"(?:^|-)\w{1,3}-|-\w{1,2}$", form) or form.startswith("t-"):
            found.add(form.replace("-", " "))
        found.add(form.rstrip("!").replace("! ", " "))
    for form in tuple(found):
        if re.match(r"(?:[a-z]\. ?)+", form):  # initials: J. B. Hunt, J.B. Hunt, JB Hunt
            found.add(re.sub(r"(?<=\b[a-z])\. ?(?=[a-z]\.)", ".", form))
            found.add(re.sub(r"\b([a-z])\. ?(?=[a-z]\.)", r"\1", form).replace(". ", " ").replace(".", " "))
    for form in tuple(found):
        if form.endswith("'s"):
            found.add(form[:-2] + "s")
    return frozenset(form for form in (re.sub(" +", " ", form).strip() for form in found) if _usable(form))


def _usable(form: str) -> bool:
    letters = sum(character.isalnum() for character in form)
    return letters >= 2


def certainty(name: str, form: str) -> Certainty:
    """How much the folded `form` of `name` proves by itself.

    Words and acronyms are judged by the lists; several words that are all ordinary (Best Buy, Public Storage) need
    their capitals; everything else is sure.
    """
    if LEGAL_SUFFIX.search(form) or form in phrase_list("distinctive"):
        return Certainty.SURE
    for level, listed in (
        (Certainty.SUFFIX, "needs_suffix"),
        (Certainty.CONTEXT, "needs_context"),
        (Certainty.CAPITAL, "capitalised"),
    ):
        if form in word_list(listed):
            return level
    if _is_acronym(name, form) or (len(form) <= 2 and not is_chinese(form)):
        return Certainty.EXACT
    words = form.replace("-", " ").split()
    common = word_list("common_words")
    if len(words) == 1:
        return Certainty.WORD if form in common else Certainty.SURE
    ordinary = all(word in common or len(word) <= 2 for word in words)
    return Certainty.CAPITAL if ordinary else Certainty.SURE


def _is_acronym(name: str, form: str) -> bool:
    if " " in form or len(form) > _ACRONYM_MAX:
        return False
    written = name[: len(form)]
    return fold(written) == form and written == written.upper() and any(c.isalpha() for c in form) and form.isascii()
