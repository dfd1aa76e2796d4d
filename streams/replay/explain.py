"""What every rule knew of a company at a moment of its history: a replay that stops there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from streams.errors import InputError
from streams.monitor import ClosedBin, MonitorOptions, PartitionMonitor, RuleSet
from streams.monitor.bins import BIN_MS, from_ms, to_ms
from streams.monitor.explain import Explanation, explain
from streams.monitor.state import RuleState
from streams.records import Alert, Mention
from streams.replay.core import time_alone
from streams.replay.sources.source import MentionSource, OnBad

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, RuleState]).decode


@dataclass(frozen=True, slots=True)
class Moment:
    """A company at a moment.

    Attributes:
        entity: its symbol.
        at: the moment that was asked for.
        bin_end: end of the last bin with mentions of it until then.
        mentions: mentions of that bin.
        votes: those that counted.
        rules: what each rule knew after it, in the order of the rules.
        alerts: the company's records of alerts until then, oldest first.
    """

    entity: str
    at: datetime
    bin_end: datetime
    mentions: int
    votes: int
    rules: tuple[Explanation, ...]
    alerts: tuple[Alert, ...]


def explain_at(
    source: MentionSource, rules: RuleSet, options: MonitorOptions, *, entity: str, at: datetime, on_bad: OnBad
) -> Moment:
    """Replay scored mentions up to a moment, and say what each rule knew then of a company.

    Args:
        source: mentions as they were scored, from long enough before the moment for the baselines.
        rules: the rules.
        options: the monitor's options.
        entity: the company's symbol.
        at: the moment, UTC. Bins that end later are not looked at.
        on_bad: told of what cannot be read.

    Raises:
        InputError: there is no mention of the company until then, or the source cannot be read.
    """
    until_ms = to_ms(at)
    last: tuple[ClosedBin, bytes] | None = None

    def note(closed: ClosedBin) -> None:
        nonlocal last
        if closed.entity == entity and closed.start_ms + BIN_MS <= until_ms:
            last = closed, _encode(closed.rules)  # the rules' memories go on changing

    alerts: list[Alert] = []
    for partition in source.partitions:
        monitor = PartitionMonitor(partition, rules, options, on_bin=note)
        for offset, record in source.records(partition, on_bad=on_bad):
            other = isinstance(record, Mention) and record.entity != entity
            alerts += monitor.absorb(time_alone(record) if other else record, offset)  # type: ignore[arg-type]
            if (monitor.watermark_ms or 0) >= until_ms:
                break
    if last is None:
        msg = f"there is no mention of {entity} until {at:%Y-%m-%dT%H:%M:%SZ} in {source.facts.text}"
        raise InputError(msg)
    closed, memories = last
    known = _decode(memories)
    end_ms = closed.start_ms + BIN_MS
    return Moment(
        entity=entity,
        at=at,
        bin_end=from_ms(end_ms),
        mentions=closed.mentions,
        votes=closed.votes,
        rules=tuple(explain(rule, known[rule.alert], end_ms=end_ms, others=known) for rule in rules.rules),
        alerts=tuple(alert for alert in alerts if alert.at <= at),
    )
