"""Personal data leaves the text, figures stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.redact import Redactor

REDACTOR = Redactor()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to joe.doe+ir@acme.example today", "write to [email] today"),
        ("mailto:Joe@Sub.Acme.Example.", "[email]."),
        ("jürgen@müller.example, 张三@例子.公司", "[email], [email]"),
        ("a@xn--mller-kva.example;b@acme.co.uk", "[email];[email]"),
        ("<joe@acme.example> and joe@[192.0.2.7]", "<[email]> and [email]"),
    ],
)
def test_email_addresses_are_replaced(text: str, expected: str) -> None:
    assert REDACTOR.redact(text) == expected


@pytest.mark.parametrize(
    "number",
    ["+1 212 736 5000", "+442079460018", "+44 20 7946 0018", "+86 138 0013 8000", "(212) 736-5000", "212-736-5000",
     "212.736.5000", "020 7946 0018", "13800138000", "138 0013 8000", "010-6552 9988"],
)  # fmt: skip
def test_phone_numbers_are_replaced(number: str) -> None:
    assert REDACTOR.redact(f"Acme desk {number}, ask for Ann") == "Acme desk [phone], ask for Ann"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call 2345 6789 now", "call [phone] now"),
        ("Tel.: 2127365000", "Tel.: [phone]"),
        ("电话：010-65529988 手机13800138000", "电话：[phone] 手机[phone]"),
        ("call us on 212-736-5000/+1 212 736 5001", "call us on [phone]/[phone]"),
    ],
)
def test_a_word_before_it_makes_a_plain_number_a_phone_number(text: str, expected: str) -> None:
    assert REDACTOR.redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Acme at $1,234,567.89, was $1234567890",
        "12,345,678 shares and 12345678 shares, 4155552671 shares, volume 2127365000",
        "云海钢铁 600000 跌停，000001 涨停，成交13800138000股",
        "filed a 10-Q on 2024-01-15, a 10-K on 2024/02/29 10:30:00 and 20240115",
        "range 10000-20000 tonnes, 2000-3000 barrels, 2000 3000, 3,500.25-3,600.75",
        "CUSIP 037833100, ISIN US0378331005, CIK 0000320193",
        "$ACME $BRK.B EPS 1.23 vs 2.34, revenue 5.67B +12.5% +1,234,567",
        "call options 2024-01-19, 450 calls 10000 10000, call volume 22334455, buy the call 20231215",
        "between 14:30-15:45 on 01/02/2024 - 01/05/2024",
        "cash call 12345678 shares, phone maker sold 12345678 units",
        "bought @5.20 and @ $6, @10k",
    ],
)
def test_prices_counts_codes_and_dates_are_left_alone(text: str) -> None:
    assert Redactor(handles=True).redact(text) == text


def test_handles_are_replaced_only_if_asked() -> None:
    text = "RT @joe_x: @张三 says $ACME @5.20, joe@acme.example"
    assert REDACTOR.redact(text) == "RT @joe_x: @张三 says $ACME @5.20, [email]"
    assert Redactor(handles=True).redact(text) == "RT [handle]: [handle] says $ACME @5.20, [email]"


def test_each_kind_can_be_switched_off() -> None:
    text = "joe@acme.example +1 212 736 5000"
    assert Redactor(emails=False).redact(text) == "joe@acme.example [phone]"
    assert Redactor(phones=False).redact(text) == "[email] +1 212 736 5000"


def test_other_regions_can_be_named_and_unknown_ones_are_refused() -> None:
    assert Redactor(regions=["FR"]).redact("bureau 01 42 68 53 00") == "bureau [phone]"
    with pytest.raises(ValueError, match="XX: no such region"):
        Redactor(regions=["US", "XX"])


PIECES = ["joe", "@", "acme.example", ".", "-", " ", "+1", "212", "736", "5000", "212-736-5000", "13800138000", "[",
          "]", "(", ")", "call", "tel:", "2024-01-15", "1,234", "[phone]", "[email]", "mailto:", '"', "@joe",
          "中", "/"]  # fmt: skip


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=20).map("".join)), st.booleans())
def test_a_redacted_text_stays_as_it_is(text: str, handles: bool) -> None:
    redactor = Redactor(handles=handles)
    once = redactor.redact(text)
    assert redactor.redact(once) == once


@given(
    st.emails(), st.sampled_from(["", " ", "(", "mail:", "，"]), st.sampled_from(["", " ", ".", ")", "，", ", thanks"])
)
def test_no_address_survives(address: str, before: str, after: str) -> None:
    assert address not in REDACTOR.redact(f"{before}{address}{after}")
