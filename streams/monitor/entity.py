"""One entity: its bins close one after the other, its rules read them, and alert transitions come out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.monitor.baseline import BaselineState
from streams.monitor.bins import BIN_MS, from_ms
from streams.monitor.detect import Ballot, Reading, after_end, learn, read_bin, spend_evidence
from streams.monitor.horizon import Horizon
from streams.monitor.lifecycle import advance
from streams.monitor.rules import Rule, fill
from streams.monitor.run import build_evidence
from streams.monitor.state import EntityState, RuleState, Run, Vote
from streams.records import Alert, AlertState, Evidence


class ClosedBin(NamedTuple):
    """What a bin of an entity held, for whoever draws a timeline."""

    entity: str
    start_ms: int
    mentions: int
    """All of them, copies included."""
    votes: int
    """Those that counted."""
    negative: float
    """Sum of P(negative) over the votes."""
    baselines: dict[str, BaselineState]
    """By rule, as they are after the bin; to be read, not kept: they go on changing."""


@dataclass(frozen=True, slots=True)
class Context:
    """What all entities of a monitor share."""

    rules: tuple[Rule, ...]
    squall_version: str
    names: Mapping[str, str] = field(default_factory=dict)
    """Display names by entity, for people; an entity without one goes by its symbol."""
    on_bin: Callable[[ClosedBin], None] | None = None
    """Told of every bin that has closed."""


def close_bin(state: EntityState, horizon: Horizon, context: Context, *, start_ms: int) -> list[Alert]:
    """Close one of the entity's open bins; they close oldest first, when the watermark has passed their end.

    Args:
        state: changed in place.
        horizon: changed in place.
        context: rules and versions.
        start_ms: start of the bin.
    """
    votes = sorted(state.open.pop(start_ms), key=_event_order)
    ballots = [_ballot(horizon, vote) for vote in votes]
    horizon.closed(start_ms)
    horizon.expire(start_ms)
    late, state.late = state.late, 0
    alerts: list[Alert] = []
    in_force = {rule.alert: rule.version for rule in context.rules}
    for name, memory in sorted(state.rules.items()):
        if memory.rule_version != in_force.get(name):
            alerts += _withdrawn(memory, name, state.entity, context, start_ms)
            del state.rules[name]
    for rule in context.rules:
        memory = state.rules.setdefault(rule.alert, RuleState(rule_version=rule.version))
        alerts += _apply(rule, memory, state.entity, context, ballots, start_ms, late)
    if context.on_bin is not None:
        counted = [ballot.vote.negative for ballot in ballots if ballot.counts]
        baselines = {name: memory.baseline for name, memory in state.rules.items()}
        total = math.fsum(counted)
        context.on_bin(ClosedBin(state.entity, start_ms, len(ballots), len(counted), total, baselines))
    return alerts


def _withdrawn(memory: RuleState, name: str, entity: str, context: Context, at_ms: int) -> list[Alert]:
    """End an alert whose rule was changed or taken away: nobody would ever say that it is over."""
    life = memory.life
    if life.state != "firing" or life.evidence is None:
        return []
    annotations = {"summary": f"{entity}: the rule was changed or taken away, so this alert is closed"}
    life.transition += 1
    return [_record(memory, name, entity, context, life.evidence, annotations, state="resolved", at_ms=at_ms)]


def _event_order(vote: Vote) -> tuple[int, str]:
    return vote.at_ms, vote.message_id


def _ballot(horizon: Horizon, vote: Vote) -> Ballot:
    found = horizon.story(vote.text, message_id=vote.message_id, at_ms=vote.at_ms)
    counts = not found.copy and horizon.may_vote(vote.author, vote.at_ms)
    return Ballot(vote=vote, story=found.story, copy=found.copy, counts=counts)


def _apply(
    rule: Rule,
    memory: RuleState,
    entity: str,
    context: Context,
    ballots: Sequence[Ballot],
    start_ms: int,
    late: int,
) -> list[Alert]:
    reading = read_bin(rule, memory, ballots, start_ms=start_ms, late=late)
    labels = {"alertname": rule.alert, "entity": entity, **rule.labels}
    suppressed = memory.life.suppressed
    written = advance(
        rule,
        memory.life,
        reading.condition,
        labels=labels,
        bin_start_ms=start_ms,
        bin_end_ms=start_ms + BIN_MS,
    )
    alerts = [_alert(rule, memory, entity, context, reading, state=state, at_ms=start_ms + BIN_MS) for state in written]
    if "firing" in written or "resolved" in written or memory.life.suppressed > suppressed:
        spend_evidence(rule, memory)
    if "resolved" in written or "inactive" in written:
        after_end(memory)
    learn(rule, memory, ballots, end_ms=start_ms + BIN_MS)
    return alerts


def _alert(
    rule: Rule,
    memory: RuleState,
    entity: str,
    context: Context,
    reading: Reading,
    *,
    state: AlertState,
    at_ms: int,
) -> Alert:
    life = memory.life
    ended = state in ("resolved", "inactive")
    if reading.log_e is not None:
        life.peak_log_e = max(reading.log_e, life.peak_log_e or -math.inf)
    if not ended or life.evidence is None:
        life.evidence = build_evidence(
            rule,
            memory,
            memory.run or Run(onset_ms=at_ms - BIN_MS),
            at_ms=at_ms,
            weights=reading.weights,
            log_e=life.peak_log_e,
            threshold=reading.threshold,
            tested=reading.tested,
        )
    evidence = life.evidence  # an end shows what raised the alert, not the calm that ended it
    if ended:
        life.evidence = None
    annotations = _annotations(rule, entity, context.names.get(entity), evidence)
    return _record(memory, rule.alert, entity, context, evidence, annotations, state=state, at_ms=at_ms)


def _record(
    memory: RuleState,
    rule_name: str,
    entity: str,
    context: Context,
    evidence: Evidence,
    annotations: dict[str, str],
    *,
    state: AlertState,
    at_ms: int,
) -> Alert:
    life = memory.life
    models = sorted(memory.run.models) if memory.run is not None else []
    return Alert(
        id=life.alert_id,
        transition=life.transition,
        state=state,
        severity=life.severity,
        rule=rule_name,
        rule_version=memory.rule_version,
        labels=life.labels,
        annotations=annotations,
        at=from_ms(at_ms),
        starts_at=from_ms(life.opened_ms),
        evidence=evidence,
        versions={"squall": context.squall_version, "model": ", ".join(models)},
        replay=f"squall replay --entity {entity} --until {from_ms(at_ms):%Y-%m-%dT%H:%M:%SZ}",
        fired_at=from_ms(life.fired_ms) if state in ("firing", "resolved") else None,
        ends_at=from_ms(at_ms) if state in ("resolved", "inactive") else None,
    )


def _annotations(rule: Rule, entity: str, name: str | None, evidence: Evidence) -> dict[str, str]:
    observed = evidence.observed
    minutes = (observed.window_end - observed.window_start).total_seconds() / 60
    values = {
        "entity": entity if name is None else f"{name} ({entity})",
        "share": f"{observed.share:.0%}",
        "baseline": f"{evidence.baseline.share:.0%}",
        "stories": str(observed.stories),
        "sources": str(observed.sources),
        "minutes": f"{minutes:.0f}",
        "in_words": evidence.in_words,
    }
    filled = {key: fill(text, values) for key, text in sorted(rule.annotations.items())}
    return filled if name is None else {"name": name, **filled}
