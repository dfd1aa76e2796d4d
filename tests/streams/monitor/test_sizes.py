"""What is saved of a company: what its rules know is small however much comes in, and a rise is bounded."""

from __future__ import annotations

import random
from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitor import Rule, RuleSet, default_rules
from streams.monitor.partition import PartitionMonitor
from streams.monitor.rule_files import parse_rules
from streams.monitor.sizes import sizes
from streams.monitor.state import decode_state, encode_state
from tests.streams.monitor.invented import START, Record, eager_rules, heard, mention, monitor, words

MOST = 4096
"""Bytes that five rules may take."""
MINUTES = 3 * 60


def five_rules(window: str) -> RuleSet:
    surge, high = default_rules().rules[:2]
    more: list[Rule] = [
        msgspec.structs.replace(surge, alert="NegativeShareSurgeWide", margin=0.2),
        msgspec.structs.replace(surge, alert="NegativeShareSurgeNarrow", margin=0.02),
        msgspec.structs.replace(high, alert="NegativeShareHighLong", window=window),
    ]
    return RuleSet(rules=(surge, high, *more))


def feed(watching: PartitionMonitor, *, minutes: int, per_minute: int, rng: random.Random, text: str = "") -> None:
    """Every minute of some hours holds stories with scores of all their digits; rises come and go."""
    number = 0
    for minute in range(minutes):
        level = 0.9 if rng.random() < 0.1 else 0.2
        for _ in range(rng.randint(1, per_minute)):
            number += 1
            watching.absorb(
                mention(
                    number,
                    START + timedelta(minutes=minute),
                    rng.random() * level,
                    text=f"{words(rng)} {text}",
                    source=f"source-{rng.randrange(900)}",
                    author=f"author-{rng.randrange(5000)}",
                ),
                number,
            )


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), window=st.sampled_from(["61m", "3h", "24h", "30d"]), per_minute=st.integers(1, 5))
def test_what_five_rules_know_of_a_company_takes_4_kb_at_most(seed: int, window: str, per_minute: int) -> None:
    rng = random.Random(seed)
    watching = monitor(five_rules(window))
    for record in heard(1):
        watching.absorb(record, 0)
    feed(watching, minutes=MINUTES, per_minute=per_minute, rng=rng)
    (state,) = watching.entities.values()
    assert sizes(state).rules <= MOST
    again = decode_state(encode_state(state))
    assert again is not None
    assert sizes(again) == sizes(state)


def test_five_rules_one_of_each_method_take_no_more_after_sixty_hours() -> None:
    text = """
rules:
  - {alert: Share, type: spike, fire: {arl: 30d}}
  - {alert: Volume, type: spike, method: return_period, signal: volume, fire: {return_period: 14d}}
  - {alert: Sentiment, type: spike, method: zscore, signal: mean_sentiment, fire: {lte: -4}}
  - {alert: High, type: threshold, window: 24h, fire: {gte: 0.7}}
  - {alert: Novel, type: novelty, fire: {gte: 0.9}, quiet_below: 60}
"""
    watching = monitor(parse_rules(text, name="five.yaml"))
    for record in heard(1):
        watching.absorb(record, 0)
    feed(watching, minutes=60 * 60, per_minute=2, rng=random.Random(1))
    (state,) = watching.entities.values()
    assert 1000 < sizes(state).rules <= MOST


def test_a_rise_takes_no_more_for_longer_texts_and_more_messages() -> None:
    taken = []
    for minutes, length in ((60, 100), (240, 100), (240, 20_000)):
        watching = monitor(eager_rules())
        for record in heard(1):
            watching.absorb(record, 0)
        rng = random.Random(5)
        for number in range(1, 2 * minutes):
            at = START + timedelta(seconds=30 * number)
            text = f"{words(rng)} {'long ' * (length // 5)}"
            bad: Record = mention(number, at, 0.95, text=text, source=f"s{number % 700}", author=f"a{number}")
            watching.absorb(bad, number)
        (state,) = watching.entities.values()
        assert any(memory.run is not None for memory in state.rules.values())
        taken.append(sizes(state).rises)
    assert taken[0] > 1000
    assert max(taken) < 16_000


def test_a_window_of_hours_moves_on_in_sixty_steps_and_one_of_an_hour_to_the_minute() -> None:
    text = """
rules:
  - {alert: Long, type: threshold, window: 2h, fire: {gte: 0.7}, min_support: {stories: 3, sources: 1}}
  - {alert: Short, type: threshold, window: 60m, fire: {gte: 0.7}, min_support: {stories: 3, sources: 1}}
"""
    rules = parse_rules(text, name="two.yaml")
    assert [rule.window_step_ms for rule in rules.rules] == [120_000, 60_000]
    watching = monitor(rules)
    for record in heard(1):
        watching.absorb(record, 0)
    for minute in range(300):
        watching.absorb(mention(minute, START + timedelta(minutes=minute), 0.25), minute)
    (state,) = watching.entities.values()
    assert [len(state.rules[name].window) for name in ("Long", "Short")] == [60, 60]
    assert {votes for _, votes, _ in state.rules["Long"].window[:-1]} == {2}
    assert sum(votes for _, votes, _ in state.rules["Long"].window) in (119, 120)
