"""How far message partitions have come, and which of them hold nobody up: the clocks are arguments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from streams.records import AheadProgress, FeedMark, Progress
from streams.scoring import AheadClock, FeedClock
from streams.scoring.feeds import ABANDONED_AFTER, LIVE_WITHIN

IDLE_S = 5.0
NOW = datetime(2026, 3, 18, 10, 0, tzinfo=UTC)
NOTHING: set[int] = set()


def clock(*partitions: int) -> FeedClock:
    feeds = FeedClock(partitions=4, idle_after_s=IDLE_S)
    feeds.assign(set(partitions) or {0})
    return feeds


def live(feeds: FeedClock, at: datetime, partition: int = 0) -> None:
    feeds.seen(partition, at, at + timedelta(seconds=1))


def old(feeds: FeedClock, at: datetime, partition: int = 0) -> None:
    feeds.seen(partition, at, at + timedelta(days=30))


def progress(event_time: datetime | None, *, idle: bool, partition: int = 0) -> Progress:
    return Progress(partition=partition, partitions=4, event_time=event_time, idle=idle)


def test_a_partition_is_idle_only_after_it_was_silent_for_long_enough() -> None:
    feeds = clock(0)
    assert feeds.tick(NOW, 100.0, NOTHING) == []
    assert feeds.tick(NOW, 100.0 + IDLE_S - 0.1, NOTHING) == []
    assert feeds.tick(NOW, 100.0 + IDLE_S, NOTHING) == [progress(None, idle=True)]
    assert feeds.has_idle


def test_idle_is_said_once() -> None:
    feeds = clock(0)
    old(feeds, NOW)
    feeds.tick(NOW, 0.0, NOTHING)
    assert feeds.tick(NOW, IDLE_S, NOTHING) == [progress(NOW, idle=True)]
    assert feeds.tick(NOW, 10 * IDLE_S, NOTHING) == []


def test_a_partition_on_which_something_waits_is_never_idle() -> None:
    feeds = clock(0, 1)
    for second in range(60):
        assert all(item.partition == 1 for item in feeds.tick(NOW, float(second), {0}))
    assert feeds.tick(NOW, 60.0, NOTHING) == []  # its silence begins only now
    assert feeds.tick(NOW, 60.0 + IDLE_S, NOTHING) == [progress(None, idle=True)]


def test_a_message_breaks_the_silence() -> None:
    feeds = clock(0)
    feeds.tick(NOW, 0.0, NOTHING)
    old(feeds, NOW)
    assert feeds.tick(NOW, IDLE_S, NOTHING) == []
    assert feeds.tick(NOW, 2 * IDLE_S, NOTHING) == [progress(NOW, idle=True)]


def test_an_idle_partition_is_woken_before_what_waits_on_it_is_delivered() -> None:
    feeds = clock(0, 1)
    feeds.tick(NOW, 0.0, NOTHING)
    assert len(feeds.tick(NOW, IDLE_S, NOTHING)) == 2
    assert feeds.wake({1, 3}) == [progress(None, idle=False, partition=1)]
    assert feeds.wake({1}) == []
    assert feeds.has_idle
    assert feeds.tick(NOW, IDLE_S + 0.1, {0}) == [progress(None, idle=False, partition=0)]
    assert not feeds.has_idle


def test_the_time_of_an_idle_live_partition_goes_on_with_the_clock_minute_by_minute() -> None:
    feeds = clock(0)
    live(feeds, NOW)
    feeds.advanced()
    feeds.tick(NOW, 0.0, NOTHING)
    first = NOW + timedelta(seconds=10)
    assert feeds.tick(first, IDLE_S, NOTHING) == [progress(first, idle=True)]
    assert feeds.tick(NOW + timedelta(seconds=50), 45.0, NOTHING) == []
    later = NOW + timedelta(seconds=61)
    assert feeds.tick(later, 56.0, NOTHING) == [progress(later, idle=True)]


def test_the_time_of_an_idle_historical_partition_stands_still() -> None:
    feeds = clock(0)
    old(feeds, NOW)
    feeds.tick(NOW, 0.0, NOTHING)
    assert feeds.tick(NOW + timedelta(days=40), IDLE_S, NOTHING) == [progress(NOW, idle=True)]
    assert feeds.tick(NOW + timedelta(days=41), 99 * IDLE_S, NOTHING) == []


def test_a_feed_is_live_if_its_messages_arrive_soon_after_they_were_published() -> None:
    for delay, moves in ((LIVE_WITHIN, True), (LIVE_WITHIN + timedelta(seconds=1), False)):
        feeds = clock(0)
        feeds.seen(0, NOW, NOW + delay)
        feeds.tick(NOW, 0.0, NOTHING)
        later = NOW + timedelta(hours=1)
        assert feeds.tick(later, IDLE_S, NOTHING) == [progress(later if moves else NOW, idle=True)]


def test_time_goes_forward_only() -> None:
    feeds = clock(0)
    live(feeds, NOW)
    live(feeds, NOW - timedelta(minutes=5))
    assert feeds.advanced() == [progress(NOW, idle=False)]
    feeds.tick(NOW, 0.0, NOTHING)
    assert feeds.tick(NOW - timedelta(hours=1), IDLE_S, NOTHING) == [progress(NOW, idle=True)]


def test_progress_is_told_at_most_once_per_minute_of_event_time() -> None:
    feeds = clock(0)
    live(feeds, NOW)
    assert feeds.advanced() == [progress(NOW, idle=False)]
    live(feeds, NOW + timedelta(seconds=59))
    assert feeds.advanced() == []
    later = NOW + timedelta(seconds=60)
    live(feeds, later)
    assert feeds.advanced() == [progress(later, idle=False)]


def test_a_partition_that_never_held_a_message_has_no_progress_but_that_it_is_idle() -> None:
    feeds = clock(0, 1)
    live(feeds, NOW)
    assert [item.partition for item in feeds.advanced()] == [0]


def test_a_historical_partition_is_not_idle_until_its_feed_is_done() -> None:
    feeds = clock(0)
    feeds.marked(0, FeedMark(feed="a", event_time=NOW))
    feeds.tick(NOW, 0.0, NOTHING)
    assert feeds.tick(NOW, IDLE_S, NOTHING) == []
    feeds.marked(0, FeedMark(feed="a", event_time=NOW + timedelta(hours=1), done=True))
    feeds.tick(NOW, 10.0, NOTHING)
    assert feeds.tick(NOW, 10.0 + IDLE_S, NOTHING) == [progress(NOW + timedelta(hours=1), idle=True)]


def test_a_mark_moves_time_as_a_message_does_whatever_its_offset() -> None:
    feeds = clock(0)
    feeds.marked(0, FeedMark(feed="a", event_time=None))
    assert feeds.advanced() == []
    feeds.marked(0, FeedMark(feed="a", event_time=datetime.fromisoformat("2026-03-18T12:00:00+02:00")))
    assert feeds.advanced() == [progress(NOW, idle=False)]


def test_two_feeds_on_one_partition_must_both_be_done() -> None:
    feeds = clock(0)
    for feed in ("a", "b"):
        feeds.marked(0, FeedMark(feed=feed, event_time=NOW))
    feeds.marked(0, FeedMark(feed="a", event_time=NOW, done=True))
    feeds.tick(NOW, 0.0, NOTHING)
    assert feeds.tick(NOW, IDLE_S, NOTHING) == []
    feeds.marked(0, FeedMark(feed="b", event_time=NOW, done=True))
    feeds.marked(0, FeedMark(feed="never begun here", event_time=None, done=True))
    feeds.tick(NOW, 10.0, NOTHING)
    assert feeds.tick(NOW, 10.0 + IDLE_S, NOTHING) == [progress(NOW, idle=True)]


def test_a_feed_that_died_without_an_end_holds_its_partition_for_a_while_and_then_never_again() -> None:
    feeds = clock(0)
    feeds.marked(0, FeedMark(feed="dead", event_time=NOW))
    feeds.tick(NOW, 0.0, NOTHING)
    patience = ABANDONED_AFTER * IDLE_S
    assert feeds.tick(NOW, patience - 0.1, NOTHING) == []
    assert feeds.tick(NOW, patience, NOTHING) == [progress(NOW, idle=True)]
    feeds.wake({0})
    old(feeds, NOW)
    feeds.tick(NOW, 1000.0, NOTHING)
    assert feeds.tick(NOW, 1000.0 + IDLE_S, NOTHING) == [progress(NOW, idle=True)]


def test_after_a_historical_feed_time_does_not_jump_to_the_wall_clock() -> None:
    feeds = clock(0)
    live(feeds, NOW)  # the last messages of a history may be of this very minute
    feeds.marked(0, FeedMark(feed="a", event_time=NOW, done=True))
    feeds.tick(NOW, 0.0, NOTHING)
    assert feeds.tick(NOW + timedelta(days=1), IDLE_S, NOTHING) == [progress(NOW, idle=True)]


def test_history_that_is_played_with_its_own_times_of_arrival_is_not_taken_for_a_live_feed() -> None:
    feeds = clock(0)
    feeds.marked(0, FeedMark(feed="a", event_time=None, done=False))
    feeds.seen(0, NOW, NOW)
    later = NOW + timedelta(days=900)
    feeds.tick(later, 0.0, NOTHING)
    told = feeds.tick(later, (ABANDONED_AFTER + 1) * IDLE_S, NOTHING)  # its player was killed
    assert told == [progress(NOW, idle=True)]


def test_a_partition_that_moved_away_is_forgotten_and_one_that_stayed_is_not() -> None:
    feeds = clock(0, 1)
    live(feeds, NOW, partition=0)
    live(feeds, NOW, partition=1)
    feeds.assign({1, 2})
    assert feeds.advanced() == [progress(NOW, idle=False, partition=1)]
    feeds.tick(NOW, 0.0, NOTHING)
    told = feeds.tick(NOW, IDLE_S, NOTHING)
    assert [item.partition for item in told] == [1, 2]
    assert all(item.partitions == 4 for item in told)


def test_a_clock_that_goes_on_from_a_snapshot_says_what_the_first_one_would_have_said() -> None:
    first = clock(0, 1)
    live(first, NOW)
    first.marked(1, FeedMark(feed="history", event_time=NOW - timedelta(days=3)))
    told = first.advanced()
    first.tick(NOW, 100.0, NOTHING)
    second = clock()
    second.restore(first.snapshot())
    assert second.advanced() == [] != told
    for feeds in (first, second):
        assert feeds.tick(NOW + timedelta(minutes=5), 200.0, {1}) == [
            progress(NOW + timedelta(minutes=5), idle=True, partition=0)
        ]
        assert [news.partition for news in feeds.wake({0, 1})] == [0]
    assert first.snapshot() == second.snapshot()


def test_when_a_historical_feed_has_ended_nobody_waits_for_late_messages_of_it() -> None:
    feeds = FeedClock(partitions=4, idle_after_s=IDLE_S, lateness_s=120.0)
    feeds.assign({0})
    feeds.marked(0, FeedMark(feed="archive", event_time=None))
    old(feeds, NOW)
    feeds.marked(0, FeedMark(feed="archive", event_time=NOW, done=True))
    feeds.tick(NOW, 0.0, NOTHING)
    assert feeds.tick(NOW, IDLE_S, NOTHING) == [progress(NOW + timedelta(seconds=120), idle=True)]
    assert feeds.tick(NOW, 10 * IDLE_S, NOTHING) == [], "once: its end is no clock that goes on"


def test_the_end_of_one_feed_hurries_no_other_and_a_continuation_is_in_time() -> None:
    feeds = FeedClock(partitions=4, idle_after_s=IDLE_S, lateness_s=120.0)
    feeds.assign({0})
    for feed in ("archive", "other"):
        feeds.marked(0, FeedMark(feed=feed, event_time=None))
    old(feeds, NOW)
    feeds.marked(0, FeedMark(feed="archive", event_time=NOW, done=True))
    assert feeds.tick(NOW, 0.0, NOTHING) == feeds.tick(NOW, IDLE_S, NOTHING) == []
    feeds.marked(0, FeedMark(feed="other", event_time=NOW, done=True))
    old(feeds, NOW + timedelta(seconds=5))
    feeds.tick(NOW, 100.0, NOTHING)
    later = NOW + timedelta(seconds=5)
    assert feeds.tick(NOW, 100.0 + IDLE_S, NOTHING) == [progress(later, idle=True)], "a message came after the end"


def test_a_partition_that_another_watched_is_said_to_be_awake_before_what_waits_on_it_is_delivered() -> None:
    feeds = FeedClock(partitions=4, idle_after_s=IDLE_S)
    feeds.assign({0, 1}, inherited=True)
    assert feeds.has_idle  # for all that is known here: the one before may have told so
    assert feeds.wake({1}) == [progress(None, idle=False, partition=1)]
    assert feeds.wake({1}) == []
    assert feeds.has_idle
    assert feeds.tick(NOW, 100.0, NOTHING) == []
    assert feeds.tick(NOW, 100.0 + IDLE_S, {1}) == [progress(None, idle=True, partition=0)]
    assert feeds.wake({0}) == [progress(None, idle=False, partition=0)]
    assert not feeds.has_idle


def test_a_partition_that_was_watched_here_all_along_is_not_told_of_again() -> None:
    feeds = FeedClock(partitions=4, idle_after_s=IDLE_S)
    feeds.assign({0}, inherited=True)
    feeds.wake({0})
    feeds.assign({0, 2}, inherited=True)
    assert feeds.wake({0}) == []
    assert feeds.wake({2}) == [progress(None, idle=False, partition=2)]


def test_the_message_that_came_before_a_handover_keeps_a_slower_partition_from_being_passed_by() -> None:
    from streams.monitor.clock import observe
    from streams.monitor.state import ClockState

    state, lateness_ms = ClockState(), 120_000
    for told in (progress(NOW, idle=True, partition=0), progress(NOW, idle=False, partition=1)):
        observe(
            state,
            Progress(partition=told.partition, partitions=2, event_time=NOW, idle=told.idle),
            lateness_ms=lateness_ms,
        )
    before = state.watermark_ms
    feeds = FeedClock(partitions=2, idle_after_s=IDLE_S)
    feeds.assign({0, 1}, inherited=True)
    for news in feeds.wake({0, 1}):
        observe(state, news, lateness_ms=lateness_ms)
    ahead = Progress(partition=1, partitions=2, event_time=NOW + timedelta(hours=1), idle=False)
    assert observe(state, ahead, lateness_ms=lateness_ms) == before  # what waits on the other one is not late


def at_minute(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def test_how_far_was_read_ahead_is_told_once_a_minute_and_never_backwards() -> None:
    ahead = AheadClock()
    assert ahead.news(NOTHING) == []
    ahead.read({1: at_minute(3.2), 0: at_minute(5)})
    assert ahead.news(NOTHING) == [
        AheadProgress(partition=0, event_time=at_minute(5)),
        AheadProgress(partition=1, event_time=at_minute(3.2)),
    ]
    ahead.read({1: at_minute(3.9), 0: at_minute(4)})
    assert ahead.news(NOTHING) == []
    ahead.read({1: at_minute(4)})
    assert ahead.news(NOTHING) == [AheadProgress(partition=1, event_time=at_minute(4))]


def test_what_is_told_of_a_partition_waits_for_what_is_under_way_in_its_turn() -> None:
    ahead = AheadClock()
    ahead.read({0: at_minute(1), 1: at_minute(2)})
    assert ahead.news({0}) == [AheadProgress(partition=1, event_time=at_minute(2))]
    assert ahead.news(NOTHING) == [AheadProgress(partition=0, event_time=at_minute(1))]


def test_what_was_read_ahead_of_a_partition_that_moved_away_is_told_no_more() -> None:
    ahead = AheadClock()
    ahead.read({0: at_minute(1), 1: at_minute(2)})
    ahead.keep({1})
    assert ahead.news(NOTHING) == [AheadProgress(partition=1, event_time=at_minute(2))]
    ahead.keep(NOTHING)
    ahead.read({1: at_minute(2)})  # it came back, and with it whoever told of it last may not have been this process
    assert ahead.news(NOTHING) == [AheadProgress(partition=1, event_time=at_minute(2))]
