"""Seeds: when a baseline from history is taken, when it is left, and that nothing but the baseline changes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import astuple

from streams.monitor import PartitionMonitor
from streams.monitor.bins import from_ms, to_ms
from streams.monitor.rule_files import parse_rules
from streams.monitor.seeds import as_seeded, judge
from streams.monitor.state import BaselineState, Lately, RuleState, Unrest, decode_state
from streams.monitor.usual import usual_share
from streams.records import Alert, Mention, Seed, SeededBaseline, decode_mention, encode
from tests.streams.monitor.invented import (
    EAGER,
    LATENESS_S,
    START,
    Record,
    eager_rules,
    ended,
    heard,
    in_order,
    incident,
    mention,
    monitor,
)

VERSIONS = {rule.alert: rule.version for rule in eager_rules().rules}
MINUTE = timedelta(minutes=1)


def seed(
    until: datetime = START,
    *,
    entity: str = "AURL",
    votes: float = 200.0,
    share: float = 0.1,
    force: bool = False,
    versions: dict[str, str] | None = None,
) -> Seed:
    """What a history up to a time taught; all of its votes in its last minute."""
    learned = {
        name: SeededBaseline(rule_version=version, votes=votes, negative=votes * share, at=until)
        for name, version in (versions or VERSIONS).items()
    }
    return Seed(entity=entity, learned_until=until, learned_at=until, baselines=learned, identity="0" * 16, force=force)


def feed(watching: PartitionMonitor, log: Iterable[Record | Seed], start: int = 0) -> list[Alert]:
    return [alert for offset, record in enumerate(log, start) for alert in watching.absorb(record, offset)]


def memory(watching: PartitionMonitor, rule: str = "Surge", entity: str = "AURL") -> RuleState:
    return watching._entities[entity].rules[rule]


def saved(watching: PartitionMonitor, store: dict[str, bytes]) -> None:
    changes = watching.changes()
    for key, value in [*changes.entities, *changes.clock]:
        if value is None:
            del store[key]
        else:
            store[key] = value


def lived(minutes: int = 30) -> list[Record]:
    """A quiet half hour, of which every bin has closed."""
    return [
        *heard(1),
        *(mention(n, START + n * MINUTE, 0.2) for n in range(minutes)),
        *ended(1, START + (minutes + 10) * MINUTE),
    ]


def firing() -> tuple[PartitionMonitor, int]:
    """A monitor with an alert of both rules open, and the next offset."""
    watching = monitor()
    open_rules: set[str] = set()
    for offset, record in enumerate(in_order(incident(random.Random(4)))):
        for alert in watching.absorb(record, offset):
            (open_rules.add if alert.state == "firing" else open_rules.discard)(alert.rule)
        if len(open_rules) == 2:
            return watching, offset + 1
    raise AssertionError("not both rules fired")


def test_a_company_that_was_never_heard_of_is_warm_at_once() -> None:
    watching = monitor()
    feed(watching, [*heard(1), seed(votes=300)])
    assert memory(watching).baseline == BaselineState(votes=300.0, negative=30.0, at_ms=to_ms(START))
    assert memory(watching, "High").baseline.votes == 300
    assert watching.take_counters().seeds == {"taken": 2}


def test_an_older_baseline_is_replaced_and_a_fresher_one_kept_unless_forced() -> None:
    log = lived()
    own = monitor()
    feed(own, log)
    knows_until = from_ms(memory(own).baseline.at_ms)
    for until, force, outcome in [
        (knows_until, False, "taken"),
        (knows_until - MINUTE, False, "fresher"),
        (knows_until - MINUTE, True, "taken"),
    ]:
        watching = monitor()
        feed(watching, [*log, seed(until, force=force)])
        assert watching.take_counters().seeds == {outcome: 2}
        expected = 200 if outcome == "taken" else memory(own).baseline.votes
        assert memory(watching).baseline.votes == expected


def test_an_open_alert_keeps_its_baseline_even_when_forced() -> None:
    watching, offset = firing()
    before = msgspec.structs.replace(memory(watching).baseline)
    feed(watching, [seed(START + timedelta(days=9), force=True)], offset)
    assert memory(watching).baseline == before
    assert watching.take_counters().seeds == {"alert_open": 2}


def test_an_alert_open_for_one_rule_does_not_keep_another_rule_from_its_seed() -> None:
    watching, offset = firing()
    memory(watching, "High").life.state = "inactive"
    feed(watching, [seed(START + timedelta(days=9))], offset)
    assert watching.take_counters().seeds == {"alert_open": 1, "taken": 1}
    assert memory(watching, "High").baseline.votes == 200


def test_a_pending_alert_is_open_too() -> None:
    watching, offset = firing()
    for name in VERSIONS:
        memory(watching, name).life.state = "pending"
    feed(watching, [seed(START + timedelta(days=9), force=True)], offset)
    assert watching.take_counters().seeds == {"alert_open": 2}


def test_a_seed_of_a_rule_that_is_not_in_force_changes_nothing() -> None:
    watching = monitor()
    feed(watching, [*heard(1), seed(versions={"Surge": "0" * 12, "Gone": VERSIONS["Surge"]})])
    assert watching.take_counters().seeds == {"other_rule": 2}
    assert not list(watching.baselines())
    assert watching.changes().entities == []


def test_a_changed_rule_takes_the_seed_of_its_new_version_although_the_old_one_knew_more() -> None:
    watching = monitor()
    store: dict[str, bytes] = {}
    feed(watching, lived())
    saved(watching, store)
    changed = parse_rules(EAGER.replace("stories: 3", "stories: 2"), name="changed.yaml")
    later = monitor(changed)
    later.restore(store.items())
    feed(later, [seed(versions={rule.alert: rule.version for rule in changed.rules})], 100)
    assert memory(later).rule_version == changed.rules[0].version != VERSIONS["Surge"]
    assert memory(later).baseline.votes == 200
    assert later.take_counters().seeds == {"taken": 1, "fresher": 1}  # High is as it was


def test_a_seed_that_is_read_again_changes_nothing() -> None:
    log: list[Record | Seed] = [*heard(1), seed()]
    later = [mention(n, START + n * MINUTE, 0.2) for n in range(1, 9)]
    once, twice = monitor(), monitor()
    feed(once, [*log, *later, *ended(1, START + timedelta(hours=1))])
    feed(twice, [*log, *later, *ended(1, START + timedelta(hours=1))])
    twice.take_counters()
    feed(twice, log)
    assert twice.take_counters().repeated == 1
    assert memory(once) == memory(twice)


def test_the_same_seed_twice_is_as_good_as_once() -> None:
    watching = monitor()
    feed(watching, [*heard(1), seed(), seed()])
    assert memory(watching).baseline.votes == 200
    assert watching.take_counters().seeds == {"taken": 4}


def test_a_seed_that_was_left_is_left_again_after_a_crash_although_the_alert_is_over_by_then() -> None:
    watching, offset = firing()
    store: dict[str, bytes] = {}
    late_seed = seed(START + timedelta(days=9))
    calm = [mention(9_000 + n, START + timedelta(hours=40, minutes=5 * n), 0.05) for n in range(40)]
    feed(watching, calm, offset)  # of one message partition: the others hold their bins open
    offset += len(calm)
    feed(watching, [late_seed, *ended(3, calm[-1].published_at + timedelta(hours=1))], offset)
    assert watching.take_counters().seeds == {"alert_open": 2}
    saved(watching, store)
    assert memory(watching).life.state == "inactive"
    expected = store["entity\x1fAURL"]
    again = monitor()
    again.restore(store.items())
    feed(again, [late_seed], offset)
    saved(again, store)
    assert store["entity\x1fAURL"] == expected


def test_saved_and_restored_in_between_a_seeded_monitor_goes_on_as_if_nothing_had_happened() -> None:
    later = incident(random.Random(4))
    log: list[Record | Seed] = [*heard(3), seed(START), *later, *ended(3, later[-1].published_at + timedelta(hours=1))]
    expected = [encode(alert) for alert in feed(monitor(), log)]
    found: list[bytes] = []
    store: dict[str, bytes] = {}
    watching = monitor()
    for offset, record in enumerate(log):
        found += [encode(alert) for alert in watching.absorb(record, offset)]
        if offset < 6 or not offset % 25:
            saved(watching, store)
            watching = monitor()
            watching.restore(store.items())
    assert found == expected
    assert any(b'"firing"' in alert for alert in found)
    state = decode_state(store["entity\x1fAURL"])
    assert state is not None
    assert state.rules["Surge"].seeded_until_ms == to_ms(START)


@pytest.mark.parametrize("until", [START - timedelta(days=400), START + timedelta(days=400)])
def test_a_seed_does_not_move_the_clock(until: datetime) -> None:
    watching = monitor()
    feed(watching, [seed(until)])
    assert watching.watermark_ms is None
    feed(watching, lived(), 1)
    before = watching.watermark_ms
    assert feed(watching, [seed(until, entity="BRND")], 100) == []
    assert watching.watermark_ms == before is not None


def test_what_the_history_has_learned_from_is_not_learned_again() -> None:
    watching = monitor()
    until = START + 15 * MINUTE
    feed(watching, [seed(until, share=0.2), *lived()])
    baseline = memory(watching).baseline
    assert baseline.at_ms == to_ms(START + 30 * MINUTE)
    assert baseline.votes == pytest.approx(200 + 15, rel=5e-3)


def test_a_seed_from_years_ahead_breaks_nothing() -> None:
    watching = monitor()
    feed(watching, [seed(START + timedelta(days=36_500)), *lived()])
    assert memory(watching).baseline.votes == 200


def test_what_a_rise_has_held_back_goes_where_the_history_has_seen_it() -> None:
    watching = monitor()
    rise = [mention(n, START + n * MINUTE, 0.95, source="wire-0") for n in range(9)]  # of one voice: it opens no alert
    feed(watching, [*heard(1), *rise, *ended(1, START + timedelta(hours=1))])
    assert memory(watching).held_votes >= 4
    assert memory(watching).held_squares > 3
    feed(watching, [seed(START + timedelta(hours=1))], 50)
    assert memory(watching).held_votes == memory(watching).held_squares == 0
    assert memory(watching).baseline.votes == 200


def test_baselines_are_told_of_those_that_have_learned_in_order() -> None:
    watching = monitor()
    assert not list(watching.baselines())
    feed(watching, [*heard(1), seed(entity="BRND"), seed(), mention(1, START, entity="ZETA")])
    found = dict(watching.baselines())
    assert list(found) == ["AURL", "BRND"]
    assert found["AURL"]["Surge"] == (VERSIONS["Surge"], memory(watching).baseline, Lately(), Unrest())


@st.composite
def quiet_streams(draw: st.DrawFn) -> tuple[list[Mention], int]:
    """Mentions of which no alert comes, in order of time, and where to cut: between two bins, no run under way."""
    gaps = draw(st.lists(st.integers(1, 900), min_size=2, max_size=60))
    # A share that falls and falls: nothing is ever held back, which a seed would not know of.
    shares = sorted(draw(st.lists(st.floats(0.0, 0.25), min_size=len(gaps), max_size=len(gaps))), reverse=True)
    minute, log = 0, []
    for number, (gap, share) in enumerate(zip(gaps, shares, strict=True)):
        minute += gap
        log.append(mention(number, START + minute * MINUTE, share))
    return log, draw(st.integers(1, len(log) - 1))


@given(quiet_streams())
def test_a_seed_and_the_remainder_of_a_stream_come_to_the_baseline_of_the_whole(
    case: tuple[list[Mention], int],
) -> None:
    log, cut = case
    end = log[-1].published_at + timedelta(hours=1)
    whole, history, cold = monitor(), monitor(), monitor()
    alerts = feed(whole, [*heard(1), *log, *ended(1, end)])
    assert not any(alert.state == "firing" for alert in alerts)
    feed(history, [*heard(1), *log[:cut], *ended(1, log[cut].published_at + timedelta(seconds=LATENESS_S))])
    assert history.watermark_ms is not None
    assume(all(memory(history, name).run is None for name in VERSIONS))  # what a rise holds back is in no seed
    (found,) = history.baselines()
    learned = {name: as_seeded(what) for name, what in found[1].items()}
    until = from_ms(history.watermark_ms)
    sent = Seed(entity="AURL", learned_until=until, learned_at=until, baselines=learned, identity="x")
    planted = decode_mention(encode(sent))
    assert planted == sent
    feed(cold, [*heard(1), planted, *log[cut:], *ended(1, end)])
    for name in VERSIONS:
        one, other = memory(whole, name).baseline, memory(cold, name).baseline
        assert other.at_ms == one.at_ms
        assert other.votes == pytest.approx(one.votes, rel=1e-9)
        assert other.negative == pytest.approx(one.negative, rel=1e-9, abs=1e-12)
    one_, other_ = memory(whole), memory(cold)
    assert astuple(other_.lately) == pytest.approx(astuple(one_.lately), rel=1e-9, abs=1e-12)
    assert astuple(other_.unrest) == pytest.approx(astuple(one_.unrest), rel=1e-9, abs=1e-12)


def test_a_seed_of_a_time_that_knew_no_recent_level_starts_it_as_for_a_new_company() -> None:
    text = encode(seed())
    assert b"recent" not in text
    assert b"unrest" not in text
    watching = monitor()
    feed(watching, [*lived(), decode_mention(text)])  # in place of what it has learned
    feed(watching, [seed(START + timedelta(hours=1))], 200)
    assert (memory(watching).lately, memory(watching).unrest) == (Lately(), Unrest())
    assert usual_share(memory(watching).lately, 0.17) == 0.17
    feed(watching, [mention(900 + n, START + timedelta(hours=2, minutes=n), 0.05) for n in range(30)], 300)
    assert memory(watching).lately.votes > 20


def test_a_seed_that_counts_more_negative_than_votes_is_refused() -> None:
    for bad in ({"recent_votes": 1.0, "recent_negative": 1.5}, {"recent_negative": 0.5}):
        with pytest.raises(ValueError, match=r"P\(negative\) adds up to .*, more than the .* votes"):
            SeededBaseline(rule_version="0" * 12, votes=9.0, negative=1.0, at=START, **bad)


def test_a_baseline_of_an_older_schema_is_weighed_as_one_that_stays() -> None:
    old = RuleState(rule_version="old", baseline=BaselineState(200.0, 20.0, to_ms(START)), migrated=True)
    late, early = to_ms(START) + 1, to_ms(START) - 1
    assert judge(old, version="new", learned_until_ms=early, force=False) == "fresher"
    assert judge(old, version="new", learned_until_ms=late, force=False) == "taken"
    dropped = msgspec.structs.replace(old, migrated=False)
    assert judge(dropped, version="new", learned_until_ms=early, force=False) == "taken"
