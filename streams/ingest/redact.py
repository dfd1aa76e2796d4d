"""Personal data out of a text before anything stores or scores it: e-mail addresses, phone numbers and handles.

Each is replaced by a stable placeholder, so that two copies of a text stay equal. Figures are what these texts are
about, so a number is taken for a phone number only if it is written as one: see `_Phones`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import phonenumbers
from phonenumbers import Leniency, PhoneNumberMatch, PhoneNumberMatcher

EMAIL = "[email]"
PHONE = "[phone]"
HANDLE = "[handle]"

DEFAULT_REGIONS = ("US", "GB", "CN", "HK")
"""Where a number without a country code may be from."""

_LOCAL_PART = r"""(?:"[^"\n]{1,64}"|[\w.!#$%&'*+/=?^`{|}~-]{1,64})"""
_DOMAIN = r"(?:(?:[\w-]{1,63}\.){1,20}[\w-]{2,63}|\[[0-9A-Fa-f:.]{2,45}\])"
_EMAIL = re.compile(rf"(?:mailto:)?{_LOCAL_PART}@{_DOMAIN}", re.IGNORECASE)
"""Wider than RFC 5321 in what a name may be (any script's letters, as in RFC 6531), narrower in that a domain needs a
dot: nobody is reached at `@5` or `@desk` from outside."""

_HANDLE = re.compile(r"(?<![\w@])@(?!\d[\d.,]*(?:[kmb]|bn)?\b)[\w.-]*\w", re.IGNORECASE)
"""`@5.20` and `@5k` are prices."""

_BETWEEN = r"[ ().\-\u2010-\u2015/\u00a0]"
_EIGHT_DIGITS = re.compile(rf"(?:\d{_BETWEEN}{{0,4}}){{7}}\d")
_TEN_DIGITS = re.compile(rf"(?:\d{_BETWEEN}{{0,4}}){{9}}\d")
_COUNTRY_CODE = re.compile(r"\+[ (]{0,2}\d")
_CUE_WORD = (
    r"(?:\b(?:tel|phone|telephone|call|dial|mobile|cell|fax|hotline|whatsapp|sms|text|wechat)|"
    r"☎|📞|📱|电话|電話|致电|手机|热线|传真|微信|拨打)"
)
_CUE_ANYWHERE = re.compile(_CUE_WORD, re.IGNORECASE)
_CUE = re.compile(rf"{_CUE_WORD}(?:[\s:：.,()#-]|us|me|at|on|now|no|number|号码|号){{0,12}}$", re.IGNORECASE)
_CUE_CHARS = 32
_CHINESE_MOBILE = re.compile(r"1[3-9]\d{9}")
_QUANTITY = re.compile(
    r"\s?(?:shares|股|元|手(?!机)|万|亿|usd|dollars|units|contracts|tons|tonnes|barrels|%)", re.IGNORECASE
)
_MONEY_BEFORE = re.compile(r"[$€£¥₹#]\s?$|\d[.,]$")
_DATE = re.compile(r"(?:19|20)\d\d[-./ ]?(?:0?[1-9]|1[0-2])[-./ ]?(?:0?[1-9]|[12]\d|3[01])")
_GROUPED = re.compile(_BETWEEN)


class _Phones:
    """Finds phone numbers by Google's libphonenumber, and leaves figures alone.

    A number with a country code (`+44 ...`) counts if it is valid. One without counts if it is valid in one of the
    regions, and either a word before it says so (`call`, `电话`), or it has ten digits or more in that region's own
    grouping, or it is a Chinese mobile number (eleven digits, written in one).
    """

    def __init__(self, regions: Iterable[str]) -> None:
        self._regions = tuple(regions)
        unknown = sorted(set(self._regions) - phonenumbers.SUPPORTED_REGIONS)
        if unknown:
            msg = f"{', '.join(unknown)}: no such region; use ISO 3166 codes such as US or CN"
            raise ValueError(msg)

    def redact(self, text: str) -> str:
        """Replace each phone number; a text without eight digits in one run costs one search."""
        # A number beside one that is gone may only now stand free. Each round takes digits away, so it ends.
        while _EIGHT_DIGITS.search(text):
            spans = _merged(self._spans(text))
            if not spans:
                break
            for start, end in reversed(spans):
                text = text[:start] + PHONE + text[end:]
        return text

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        # A search for phone numbers takes 0.1 ms per region, so none is begun that could not find one.
        if _COUNTRY_CODE.search(text):
            for match in PhoneNumberMatcher(text, None, leniency=Leniency.VALID):
                if not _QUANTITY.match(text, match.end):
                    yield match.start, match.end
        if _TEN_DIGITS.search(text) or _CUE_ANYWHERE.search(text):
            for region in self._regions:
                for match in PhoneNumberMatcher(text, region, leniency=Leniency.VALID):
                    if _is_national(text, match, region):
                        yield match.start, match.end


def _is_national(text: str, match: PhoneNumberMatch, region: str) -> bool:
    written: str = match.raw_string
    before = text[max(0, match.start - _CUE_CHARS) : match.start]
    if _DATE.fullmatch(written) or _MONEY_BEFORE.search(before) or _QUANTITY.match(text, match.end):
        return False
    if _CUE.search(before) or (region == "CN" and _CHINESE_MOBILE.fullmatch(written)):
        return True
    if sum(char.isdigit() for char in written) < 10 or not _GROUPED.search(written):
        return False
    return _has_own_grouping(written, region)


def _has_own_grouping(written: str, region: str) -> bool:
    return bool(PhoneNumberMatcher(written, region, leniency=Leniency.EXACT_GROUPING).has_next())


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


class Redactor:
    """Replaces personal data by placeholders; a text that is redacted already stays as it is.

    Args:
        emails: replace e-mail addresses by `[email]`.
        phones: replace phone numbers by `[phone]`.
        handles: replace @handles by `[handle]`.
        regions: ISO 3166 codes of the countries whose numbers are known without a country code.

    Raises:
        ValueError: if a region is unknown.
    """

    def __init__(
        self,
        emails: bool = True,
        phones: bool = True,
        handles: bool = False,
        *,
        regions: Iterable[str] = DEFAULT_REGIONS,
    ) -> None:
        self._emails = emails
        self._handles = handles
        self._phones = _Phones(regions) if phones else None

    def redact(self, text: str) -> str:
        """The text with placeholders in place of what was personal."""
        if "@" in text:
            if self._emails:
                text = _until_stable(_EMAIL, EMAIL, text)
            if self._handles:
                text = _until_stable(_HANDLE, HANDLE, text)
        if self._phones is not None:
            text = self._phones.redact(text)
        return text


def _until_stable(pattern: re.Pattern[str], placeholder: str, text: str) -> str:
    # Each round takes an @ away and adds none, so it ends.
    while True:
        text, count = pattern.subn(placeholder, text)
        if not count:
            return text
