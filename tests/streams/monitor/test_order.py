"""Whatever the order of arrival within the lateness, and wherever it crashes: the same alerts, byte for byte."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitor import RuleSet
from streams.records import Alert, Mention, Progress, encode
from tests.streams.monitor.invented import (
    LATENESS_S,
    START,
    Record,
    as_bytes,
    eager_rules,
    ended,
    heard,
    in_order,
    incident,
    monitor,
    rescored,
    run,
)
from tests.streams.monitor.invented_rules import NAMES, all_rules

PARTITIONS = 3
RULES = [
    pytest.param(eager_rules(), {"Surge", "High"}, id="shares"),
    pytest.param(all_rules(), NAMES - {"Surge", "High"}, id="every type"),
]
"""Rules, and the names of which one at least fires."""
seeds = st.integers(0, 2**32 - 1)


def disturbed(mentions: list[Mention], rng: random.Random, *, redelivered: float = 0.2) -> list[Record]:
    """Another log of the same mentions: late within bounds, partitions interleaved at random, some sent again.

    A mention comes after its time by up to the allowed lateness, so it is never further than that behind the newest
    of its partition; how the partitions are merged does not matter then.
    """
    queues: list[list[Record]] = []
    for partition in range(PARTITIONS):
        own = [m for m in mentions if m.origin.partition == partition]
        own.sort(key=lambda m: (m.published_at + timedelta(seconds=rng.uniform(0, LATENESS_S)), m.message_id))
        queue: list[Record] = []
        high = None
        for m in own:
            queue.append(m)
            high = m.published_at if high is None else max(high, m.published_at)
            if rng.random() < 0.3:
                queue.append(Progress(partition=partition, partitions=PARTITIONS, event_time=high, idle=False))
        if rng.random() < 0.3:  # it is read to its end before the others are
            queue.append(Progress(partition=partition, partitions=PARTITIONS, event_time=high, idle=True))
        queues.append(queue)
    log: list[Record] = list(heard(PARTITIONS))
    rng.shuffle(log)
    favourite = rng.choice([0.34, 0.6, 0.95])  # a backlog is read partition by partition, a live feed evenly
    while any(queues):
        full = [queue for queue in queues if queue]
        queue = full[0] if rng.random() < favourite else rng.choice(full)
        log.append(queue.pop(0))
        if rng.random() < 0.05:
            rng.shuffle(queues)
    for m in rng.sample(mentions, round(redelivered * len(mentions))):
        first = log.index(m)
        log.insert(rng.randint(first + 1, len(log)), rescored(m, timedelta(minutes=5)))
    return [*log, *ended(PARTITIONS, max(m.published_at for m in mentions) + timedelta(hours=1))]


def crashing(log: list[Record], rng: random.Random, rules: RuleSet) -> list[Alert]:
    """Run a log in batches, and crash at every second one: while its alerts are sent, or while its state is saved.

    The state is a log as well: what is saved of a batch is any beginning of it, cut off between two keys.
    """
    saved: dict[str, bytes] = {}
    sent: list[Alert] = []
    committed = 0
    watching = monitor(rules)
    while committed < len(log):
        end = min(len(log), committed + rng.randint(1, 60))
        alerts = [alert for offset in range(committed, end) for alert in watching.absorb(log[offset], offset)]
        changes = watching.changes()
        to_save = [*changes.entities, *changes.clock]
        cut = rng.choice([None, None, None, -1, 0, len(changes.entities), rng.randint(0, len(to_save))])
        if cut == -1:
            sent += alerts[: rng.randint(0, len(alerts))]
        else:
            sent += alerts
            for key, value in to_save[:cut]:
                if value is None:
                    saved.pop(key, None)
                else:
                    saved[key] = value
        if cut is None:
            committed = end
        else:
            watching = monitor(rules)
            keys = list(saved)
            rng.shuffle(keys)
            watching.restore((key, saved[key]) for key in keys)
    return sent


@settings(max_examples=20, deadline=None)
@given(stream=seeds, order=seeds)
def test_after_an_outage_of_the_feed_too(stream: int, order: int) -> None:
    mentions = incident(random.Random(stream), hours=44)
    down = START + timedelta(hours=8), START + timedelta(hours=18)
    mentions = [m for m in mentions if not down[0] <= m.published_at < down[1]]
    watching = monitor(all_rules())
    expected = [alert for offset, record in enumerate(in_order(mentions)) for alert in watching.absorb(record, offset)]
    heard_of = watching._clock.heard
    assert heard_of is not None
    assert len(heard_of.outages) == 1
    log = disturbed(mentions, random.Random(order))
    assert as_bytes(run(log, rules=all_rules())) == as_bytes(expected)
    found = {(alert.id, alert.transition): encode(alert) for alert in crashing(log, random.Random(order), all_rules())}
    assert found == {(alert.id, alert.transition): encode(alert) for alert in expected}


def test_the_undisturbed_stream_fires_and_resolves() -> None:
    alerts = run(in_order(incident(random.Random(1))))
    assert {(alert.rule, alert.state) for alert in alerts} >= {
        ("Surge", "firing"),
        ("Surge", "resolved"),
        ("High", "firing"),
        ("High", "resolved"),
    }
    assert {alert.labels["entity"] for alert in alerts} == {"AURL"}


@pytest.mark.parametrize(("rules", "names"), RULES)
@settings(max_examples=50, deadline=None)
@given(stream=seeds, order=seeds)
def test_any_order_within_the_lateness_with_a_fifth_redelivered_gives_byte_identical_alerts(
    stream: int, order: int, rules: RuleSet, names: set[str]
) -> None:
    mentions = incident(random.Random(stream))
    expected = run(in_order(mentions), rules=rules)
    assert {alert.rule for alert in expected if alert.state == "firing"} & names
    assert as_bytes(run(disturbed(mentions, random.Random(order)), rules=rules)) == as_bytes(expected)


@pytest.mark.parametrize(("rules", "names"), RULES)
@settings(max_examples=50, deadline=None)
@given(stream=seeds, order=seeds)
def test_a_crash_at_any_point_gives_the_same_alerts_and_repeats_are_byte_identical(
    stream: int, order: int, rules: RuleSet, names: set[str]
) -> None:
    mentions = incident(random.Random(stream))
    rng = random.Random(order)
    log = disturbed(mentions, rng)
    expected = {(alert.id, alert.transition): encode(alert) for alert in run(log, rules=rules)}
    assert expected, names
    found: dict[tuple[str, int], bytes] = {}
    for alert in crashing(log, rng, rules):
        assert found.setdefault((alert.id, alert.transition), encode(alert)) == encode(alert)
    assert found == expected
