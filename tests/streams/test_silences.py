"""Silences: made, ended, how they stand, and which of them a worker knows. Without a broker."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from streams.app import metrics
from streams.app.silences_in_force import SilencesInForce
from streams.errors import InputError
from streams.records import ModelInUse, Silence, SilenceMatcher, control_key, silence_of
from streams.silences import KEPT, applicable, expired, new_silence, standing

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def silence(id_: str = "a", *, since: datetime = NOW, until: datetime = NOW + HOUR, value: str = "ACME") -> Silence:
    matcher = SilenceMatcher(name="entity", op="=~", value=value)
    return Silence(id=id_, matchers=(matcher,), starts_at=since, ends_at=until, by="desk", comment="")


def in_force(now: datetime = NOW) -> SilencesInForce:
    return SilencesInForce(lambda: now)


def test_a_silence_is_made_of_matchers_as_alertmanager_writes_them() -> None:
    made = new_silence(
        ['entity="ACME"', "severity!=critical"],
        starts_at=NOW,
        ends_at=NOW + HOUR,
        by="desk",
        comment="results",
        now=NOW,
    )
    assert [(one.name, one.op, one.value) for one in made.matchers] == [
        ("entity", "=", "ACME"),
        ("severity", "!=", "critical"),
    ]
    assert made.conditions[0].matches({"entity": "ACME"})
    other = new_silence(["entity=ACME"], starts_at=NOW, ends_at=NOW + HOUR, by="desk", comment="results", now=NOW)
    assert other.id != made.id


@pytest.mark.parametrize(
    ("matchers", "until", "words"),
    [
        (["entity"], NOW + HOUR, "is no matcher"),
        (["entity=~["], NOW + HOUR, "holds no regular expression"),
        (["entity!=ACME"], NOW + HOUR, "or it would silence everything"),
        ([], NOW + HOUR, "or it would silence everything"),
        (["entity=ACME"], NOW, "it would end at 2026-03-18 12:00 UTC, and begin at"),
        (["entity=ACME"], NOW - HOUR, "it would end at 2026-03-18 11:00 UTC"),
        (["entity=ACME"], NOW + timedelta(days=367), "a year at most"),
    ],
)
def test_what_would_silence_nothing_or_everything_is_refused(matchers: list[str], until: datetime, words: str) -> None:
    with pytest.raises(InputError, match=words):
        new_silence(matchers, starts_at=NOW, ends_at=until, by="desk", comment="", now=NOW)


def test_a_silence_that_is_to_begin_in_the_past_begins_now_and_ends_as_it_was_meant_to() -> None:
    made = new_silence(
        ["entity=ACME"], starts_at=NOW - 2 * HOUR, ends_at=NOW + HOUR, by="desk", comment="results", now=NOW
    )
    assert (made.starts_at, made.ends_at) == (NOW, NOW + HOUR)
    with pytest.raises(InputError, match="it would end at 2026-03-18 11:00 UTC, and begin at 2026-03-18 12:00 UTC"):
        new_silence(
            ["entity=ACME"], starts_at=NOW - 2 * HOUR, ends_at=NOW - HOUR, by="desk", comment="results", now=NOW
        )


def test_a_silence_is_pending_then_active_then_expired() -> None:
    found = silence()
    assert standing(found, NOW - HOUR) == "pending"
    assert standing(found, NOW) == "active"
    assert standing(found, NOW + HOUR) == "expired"
    assert standing(expired(found, NOW + HOUR / 2), NOW + HOUR / 2) == "expired"
    early = expired(found, NOW - HOUR)  # before it began: it never does
    assert standing(early, NOW + HOUR / 2) == "expired"
    assert expired(early, NOW) == early


def test_a_worker_knows_the_latest_of_each_id_and_forgets_those_that_are_long_over() -> None:
    known = in_force(NOW + HOUR + KEPT)
    decided = ModelInUse(name="m", version="1", at=NOW, by="desk")
    known.begin([decided, silence("old"), silence("new", until=NOW + 2 * HOUR)])
    assert {one.id for one in known.silences} == {"new"}
    changed = silence("new", until=NOW + 3 * HOUR)
    assert known.change(changed)
    assert known.silences == (changed,)


def test_one_that_is_taken_away_is_forgotten_and_one_that_was_not_known_changes_nothing() -> None:
    known = in_force()
    known.begin([silence("a"), silence("b")])
    assert metrics.SILENCES._value.get() == 2
    assert known.forget("a")
    assert known.silences == (silence("b"),)
    assert metrics.SILENCES._value.get() == 1
    assert not known.forget("a")


@pytest.mark.parametrize("value", ["a{2000}", "(" * 3000 + ")" * 3000, "a{2,1}", "("])
def test_no_regular_expression_ends_a_worker(value: str, caplog: pytest.LogCaptureFixture) -> None:
    known = in_force()
    before = metrics.SILENCES_REFUSED._value.get()
    known.begin([silence("broken", value=value), silence("a")])
    assert known.silences == (silence("a"),)
    assert "silence broken of desk cannot be applied" in caplog.text
    assert metrics.SILENCES_REFUSED._value.get() == before + 1
    assert applicable([silence("broken", value=value), silence("a")]) == [silence("a")]
    assert not known.change(expired(silence("broken", value=value), NOW))  # whoever has ended it need not hear of it
    assert metrics.SILENCES_REFUSED._value.get() == before + 1


def test_the_key_of_a_silence_names_it_and_no_other_key_does() -> None:
    assert silence_of(control_key(silence("a-1"))) == "a-1"
    assert silence_of(b"model") is None
    assert silence_of(b"silence:\xff") == "\ufffd"


def test_one_that_cannot_be_applied_is_said_and_leaves_the_one_before_it(caplog: pytest.LogCaptureFixture) -> None:
    known = in_force()
    assert known.change(silence())
    with caplog.at_level(logging.CRITICAL):
        assert not known.change(silence(value="("))
    assert "silence a of desk cannot be applied, and silences nothing: entity=~" in caplog.text
    assert known.silences == (silence(),)
    assert applicable([silence(), silence("b", value="(")]) == [silence()]


def test_times_are_in_utc_or_it_is_no_record() -> None:
    local = NOW.astimezone(tz=None).replace(tzinfo=None)
    with pytest.raises((ValueError, TypeError)):
        msgspec.convert({**msgspec.to_builtins(silence()), "starts_at": local.isoformat()}, Silence)
