"""A rule on a return period of a week fires about once a week on streams to which nothing happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from deploy.bench.return_periods import quiet_stream
from streams.monitor.rule_files import parse_rules
from streams.records import Mention
from tests.streams.monitor.invented import START, heard, mention, monitor

KEYS, DAYS, COUNTED_FROM_DAY = 3, 60, 16
RULES = """
rules:
  - alert: Week
    type: spike
    method: return_period
    signal: volume
    fire: {return_period: 7d}
    min_support: {stories: 1, voices: 0}
    cooldown: {for: 12h, unless: never}
"""


def stream(key: int) -> Iterator[Mention]:
    """Stories at 6 an hour, with days and weekends, wandering levels and bursts."""
    rng = np.random.default_rng([7, key])
    number = 0
    for step, count in enumerate(quiet_stream(6, DAYS, rng).tolist()):
        for second in sorted(rng.uniform(0, 300, size=count).tolist()):
            number += 1
            at = START + timedelta(seconds=300 * step + second)
            yield mention(number, at, entity=f"K{key}", text="", story=f"story-{key}-{number}")


def test_the_rule_fires_as_often_as_it_says() -> None:
    raised: Counter[int] = Counter()
    for key in range(KEYS):
        watching = monitor(parse_rules(RULES, name="test"))
        watching.absorb(heard(1)[0], 0)
        for offset, told in enumerate(stream(key), 1):
            for alert in watching.absorb(told, offset):
                day = (alert.at - START).days
                raised[key] += alert.state == "firing" and alert.again is not True and day >= COUNTED_FROM_DAY
    nominal = KEYS * (DAYS - COUNTED_FROM_DAY) / 7
    assert 0.5 * nominal <= raised.total() <= 1.5 * nominal
