"""A market's sessions as seasons: half days, holidays, daylight saving, and what the calendar does not know."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import RuleError
from streams.monitor.bins import HOUR_MS, from_ms, to_ms
from streams.monitor.rule_files import parse_rules
from streams.monitor.sessions import KINDS, Sessions, check_reach, sessions
from streams.monitor.volume import (
    LARGEST_SEASON_KEY,
    VolumeOptions,
    VolumeState,
    expected,
    hour_and_weekend,
    update,
)
from tests.streams.monitor.invented import heard, mention, monitor

MARKETS = ("XNYS", "XLON", "XHKG", "XTKS", "XBOM", "24/7")
FIRST_HOUR = to_ms(datetime(2001, 1, 1, tzinfo=UTC)) // HOUR_MS
LAST_HOUR = to_ms(datetime(2026, 12, 1, tzinfo=UTC)) // HOUR_MS


def kinds(market: str, day: str, hours: int = 24) -> list[str]:
    """The kinds of a day's hours, UTC."""
    start_ms = to_ms(datetime.fromisoformat(f"{day}T00:00+00:00"))
    return [KINDS[sessions(market)(start_ms + hour * HOUR_MS)] for hour in range(hours)]


def day_of(market: str, day: str) -> list[str]:
    """The same, as runs: `night x5`."""
    found: list[tuple[str, int]] = []
    for kind in kinds(market, day):
        if found and found[-1][0] == kind:
            found[-1] = (kind, found[-1][1] + 1)
        else:
            found.append((kind, 1))
    return [f"{kind} x{count}" for kind, count in found]


def test_a_trading_day_in_new_york() -> None:
    assert day_of("XNYS", "2026-03-18") == [
        "night x9",
        "pre_market x4",
        "open x1",
        "midday x5",
        "close x1",
        "after_hours x4",
    ]


def test_a_change_of_daylight_saving_time_moves_the_hours_in_utc() -> None:
    before, after = kinds("XNYS", "2026-03-06"), kinds("XNYS", "2026-03-09")
    assert (before.index("open"), before.index("close")) == (14, 20)
    assert (after.index("open"), after.index("close")) == (13, 19)
    assert kinds("XLON", "2026-10-23").index("open") == 7
    assert kinds("XLON", "2026-10-26").index("open") == 8


def test_a_half_day_closes_early() -> None:
    assert day_of("XNYS", "2026-11-27")[2:] == ["open x1", "midday x2", "close x1", "after_hours x4", "closed x2"]


def test_weekends_and_holidays_are_closed_and_nights_are_not() -> None:
    assert day_of("XNYS", "2026-12-25") == ["closed x24"]
    assert day_of("XNYS", "2026-03-21") == ["closed x24"]
    assert day_of("XHKG", "2026-02-18") == ["closed x24"]  # the second day of the lunar year
    assert "night" in kinds("XNYS", "2026-03-19")


def test_a_lunch_break_is_midday() -> None:
    assert kinds("XTKS", "2026-03-18")[2:5] == ["midday", "midday", "midday"]


def test_a_market_that_never_closes_opens_once_a_day() -> None:
    assert day_of("24/7", "2026-03-18") == ["open x1", "midday x22", "close x1"]


@settings(max_examples=60, deadline=None)
@given(market=st.sampled_from(MARKETS), hour=st.integers(FIRST_HOUR, LAST_HOUR))
def test_an_hour_has_one_kind_that_is_the_same_at_each_of_its_moments(market: str, hour: int) -> None:
    key = sessions(market)
    found = key(hour * HOUR_MS)
    assert 0 <= found < len(KINDS) <= LARGEST_SEASON_KEY
    assert {key(hour * HOUR_MS + part) for part in (1, HOUR_MS // 2, HOUR_MS - 1)} == {found}
    assert Sessions(market, key._opens, key._closes)(hour * HOUR_MS) == found  # whatever was asked before


@settings(max_examples=40, deadline=None)
@given(market=st.sampled_from(MARKETS), first=st.integers(FIRST_HOUR, LAST_HOUR - 24 * 40))
def test_a_month_has_an_open_for_each_of_its_sessions_and_trades_when_the_market_does(market: str, first: int) -> None:
    key = sessions(market)
    hours = range(first, first + 24 * 30)
    found = {hour: KINDS[key(hour * HOUR_MS)] for hour in hours}
    opens = {ms // HOUR_MS for ms in key._opens}
    assert {hour for hour, kind in found.items() if kind == "open"} == opens & set(hours)
    trading = {
        hour
        for opened, closed in zip(key._opens, key._closes, strict=True)
        for hour in range(opened // HOUR_MS, -(-closed // HOUR_MS))
    }
    assert {hour for hour, kind in found.items() if kind in ("open", "midday", "close")} == trading & set(hours)


def test_a_market_that_is_not_known_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(RuleError, match="no market 'XNYSE' is known; did you mean XNYS"):
        sessions("XNYSE")
    with pytest.raises(RuleError, match="no market 'nowhere' is known; write a market's code"):
        sessions("nowhere")


@pytest.mark.parametrize("year", [1990, 2061])
def test_what_the_calendar_does_not_reach_is_told_to_who_asks_and_taken_from_the_nearest_year(year: int) -> None:
    at = datetime(year, 3, 2, 14, tzinfo=UTC)
    assert not sessions("XNYS").covers(to_ms(at))
    with pytest.raises(RuleError, match=rf"season XNYS: its sessions are known to 2049-12-31, and {year}-03-02 lies"):
        check_reach("XNYS", at)
    check_reach("XNYS", datetime(2026, 3, 2, tzinfo=UTC))
    monday = at - timedelta(days=at.weekday(), hours=14)
    week = [KINDS[sessions("XNYS")(to_ms(monday + timedelta(hours=hour)))] for hour in range(168)]
    assert 4 <= week.count("open") <= 5
    assert set(week[5 * 24 + 4 :][:40]) == {"closed"}


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(RuleError, match=r"install squall\[calendars\]"):
        sessions.__wrapped__("XNYS")


def test_what_is_learned_of_the_open_holds_after_the_clocks_have_changed() -> None:
    """Forty mentions in the hour of the open and two in any other: by sessions the next open is expected to be busy on
    either side of the change; by the hour of the day it is not.
    """
    options, season = VolumeOptions(), sessions("XNYS")
    by_session, by_hour = VolumeState(), VolumeState()
    start_ms = to_ms(datetime(2026, 2, 1, tzinfo=UTC))
    change_ms = to_ms(datetime(2026, 3, 8, tzinfo=UTC))
    for at_ms in range(start_ms, change_ms, HOUR_MS):
        count = 40.0 if KINDS[season(at_ms)] == "open" else 2.0
        update(by_session, options, count=count, at_ms=at_ms, window_ms=HOUR_MS, season=season)
        update(by_hour, options, count=count, at_ms=at_ms, window_ms=HOUR_MS)
    monday_open_ms = to_ms(datetime(2026, 3, 9, 13, tzinfo=UTC))
    assert expected(by_session, options, monday_open_ms, HOUR_MS, season=season) > 15
    assert expected(by_hour, options, monday_open_ms, HOUR_MS) < 6
    assert timedelta(milliseconds=monday_open_ms - change_ms) < timedelta(days=2)


BUSY = """
rules:
  - alert: Busy
    type: spike
    method: return_period
    signal: volume
    fire: {return_period: 30d}
    baseline: {season: XNYS}
"""


def test_a_rule_names_a_market_whose_sessions_are_its_seasons() -> None:
    (rule,) = parse_rules(BUSY, name="busy.yaml").rules
    assert rule.season is sessions("XNYS")
    (plain,) = parse_rules(BUSY.replace("    baseline: {season: XNYS}\n", ""), name="busy.yaml").rules
    assert plain.season is hour_and_weekend
    assert plain.version != rule.version


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("XNYS", "XNYSE"), r"busy.yaml:8:16: .*baseline.season: no market 'XNYSE' is known; did you mean XNYS"),
        (
            ("method: return_period", "method: zscore"),
            "baseline.season: a rule of type spike with method zscore has none",
        ),
    ],
)
def test_a_season_that_cannot_be_is_refused_where_it_stands(change: tuple[str, str], said: str) -> None:
    text = BUSY.replace(*change)
    if "zscore" in text:
        text = text.replace("{return_period: 30d}", "{gte: 4}")
    with pytest.raises(RuleError, match=said):
        parse_rules(text, name="busy.yaml")


def test_a_rule_with_sessions_learns_by_sessions() -> None:
    """A dozen in each hour of the open and one in any other, for five weeks: the season is learned by sessions."""
    rules = parse_rules(BUSY, name="busy.yaml")
    watching = monitor(rules)
    for record in heard(1):
        watching.absorb(record, 0)
    season = sessions("XNYS")
    first_ms = to_ms(datetime(2026, 2, 1, tzinfo=UTC))
    last_ms = to_ms(datetime(2026, 3, 10, tzinfo=UTC))
    number = 0
    for at_ms in range(first_ms, last_ms, HOUR_MS):
        for part in range(12 if KINDS[season(at_ms)] == "open" else 1):
            number += 1
            watching.absorb(mention(number, from_ms(at_ms + part * 300_000), 0.1), number)
    (state,) = watching.entities.values()
    counting = state.rules["Busy"].counting
    assert counting is not None
    seen = counting.period.volume.season_counts
    assert len(seen) == len(KINDS)
    assert seen[KINDS.index("open")] > 5 * seen[KINDS.index("pre_market")] / 4
