"""Symbols in one form: `AAPL`, `BRK.B`, `600000.SS`, `000001.SZ`, `00700.HK`."""

from __future__ import annotations

import re

from streams.ingest.entities.fold import fold

SYMBOL = re.compile(r"[A-Z0-9]{1,10}(?:\.[A-Z]{1,3})?")
"""What a symbol in its one form looks like."""

EXCHANGES = {
    "HKEX": "HK",
    "SEHK": "HK",
    "HKG": "HK",
    "HK": "HK",
    "SSE": "SS",
    "SHSE": "SS",
    "SHA": "SS",
    "SH": "SS",
    "SS": "SS",
    "SZSE": "SZ",
    "SHE": "SZ",
    "SZ": "SZ",
    "BSE": "BJ",
    "BJSE": "BJ",
    "BJ": "BJ",
}
"""Names of Chinese exchanges to the suffix of their symbols."""

_CHINESE = {"SS", "SZ", "BJ"}
_PREFIXED_CODE = re.compile(r"(SH|SZ|BJ|HK)\.?(\d{1,6})")


def code_symbol(code: str, exchange: str) -> str | None:
    """The symbol of a numeric code on a Chinese exchange, or None if there can be no such code.

    Six digits for Shanghai, Shenzhen and Beijing; for Hong Kong one to five, written with five.
    """
    suffix = EXCHANGES.get(exchange.strip().upper())
    code = code.strip()
    if suffix is None or not (code.isascii() and code.isdigit()):
        return None
    if suffix in _CHINESE:
        return f"{code}.{suffix}" if len(code) == 6 else None
    digits = code.lstrip("0")
    return f"{digits.zfill(5)}.HK" if 1 <= len(digits) <= 5 else None


def normal_symbol(symbol: str) -> str:
    """Write a symbol as the tables do: `$brk-b`, `NYSE:BRK/B` and `BRK.B` are one, so are `sh600000` and `600000.SH`.

    What is no known form comes back in upper case, for the caller to look up in vain.
    """
    plain = fold(symbol).upper().strip().lstrip("$").strip()
    exchange, colon, rest = plain.partition(":")
    if colon:
        rest = rest.strip()
        return code_symbol(rest, exchange) or normal_symbol(rest.replace(":", ""))
    if prefixed := _PREFIXED_CODE.fullmatch(plain):
        return code_symbol(prefixed[2], prefixed[1]) or plain
    code, dot, suffix = plain.rpartition(".")
    if dot and (coded := code_symbol(code, suffix)):
        return coded
    return plain.replace("-", ".").replace("/", ".")
