"""One entity: its bins close one after the other, its rules read them, and alert transitions come out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from streams.monitor import composite
from streams.monitor.annotations import annotations_of
from streams.monitor.bins import BIN_MS, from_ms
from streams.monitor.detect import (
    after_end,
    count_votes,
    learn,
    read_bin,
    spend_evidence,
    usual_share_of,
)
from streams.monitor.fingerprint import given_story
from streams.monitor.horizon import Horizon
from streams.monitor.lifecycle import advance
from streams.monitor.model_change import change_of, learn_scale, on_scale
from streams.monitor.reading import Reading
from streams.monitor.rules import Rule
from streams.monitor.run import build_evidence
from streams.monitor.signals import is_count
from streams.monitor.state import EntityState, RuleState, Run, Vote
from streams.monitor.tally import Ballot, Tally
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
    rules: Mapping[str, RuleState]
    """By name, as they are after the bin; to be read, not kept: they go on changing."""


@dataclass(frozen=True)
class Context:
    """What all entities of a monitor share."""

    rules: tuple[Rule, ...]
    squall_version: str
    names: Mapping[str, str] = field(default_factory=dict)
    """Display names by entity, for people; an entity without one goes by its symbol."""
    on_bin: Callable[[ClosedBin], None] | None = None
    """Told of every bin that has closed."""

    @cached_property
    def in_force(self) -> dict[str, str]:
        """The rules' versions, by name."""
        return {rule.alert: rule.version for rule in self.rules}

    @cached_property
    def readers(self) -> list[Rule]:
        """The rules that read bins themselves, in their order."""
        return [rule for rule in self.rules if rule.type != "composite"]

    @cached_property
    def composites(self) -> list[Rule]:
        """The rules made of others, each after those that it is made of."""
        return composite.in_order(self.rules)

    @cached_property
    def has_filters(self) -> bool:
        """Whether a rule reads some mentions and not others."""
        return any(rule.where is not None for rule in self.rules)


def close_bin(state: EntityState, horizon: Horizon, context: Context, *, start_ms: int) -> tuple[list[Alert], int]:
    """Close one of the entity's open bins; they close oldest first, when the watermark has passed their end.

    Args:
        state: changed in place.
        horizon: changed in place.
        context: rules and versions.
        start_ms: start of the bin.

    Returns:
        The transitions, and how many firings a cooldown kept back.
    """
    votes = state.open.pop(start_ms)
    if len(votes) > 1:
        votes.sort(key=_event_order)
    on_one_scale = on_scale(state, votes)
    ballots = [_ballot(horizon, vote) for vote in on_one_scale]
    horizon.closed(start_ms)
    tally = count_votes(start_ms, ballots, late=state.late)
    tally.change = change_of(state)
    state.late = suppressed = 0
    alerts: list[Alert] = []
    if not _is_settled(state, context):
        alerts += _settle(state, context, start_ms)
    narrowed = _narrowed(context, tally) if context.has_filters else None
    for rule in context.readers:
        memory = state.rules[rule.alert]
        own = tally
        if narrowed is not None and rule.where is not None and rule.type != "novelty":
            own = narrowed[rule.where.key]
            if not own.ballots and (memory.life.state == "inactive" or not is_count(rule.signal)):
                continue
        usual = usual_share_of(rule, memory)
        reading = read_bin(rule, memory, own, usual)
        own.change = tally.change
        while reading is not None:
            before = memory.life.suppressed
            alerts += _advance(rule, memory, state.entity, context, own, reading)
            suppressed += memory.life.suppressed - before
            reading = read_bin(rule, memory, own, usual) if reading.is_over else None
        learn(rule, memory, own, usual)
    for rule in context.composites:
        memory = state.rules[rule.alert]
        reading = composite.read_bin(rule, memory, state.rules, end_ms=tally.end_ms)
        if reading is not None:
            before = memory.life.suppressed
            alerts += _advance(rule, memory, state.entity, context, tally, reading)
            suppressed += memory.life.suppressed - before
    learn_scale(state, context.rules, votes, ballots, at_ms=tally.end_ms)
    if context.on_bin is not None:
        context.on_bin(ClosedBin(state.entity, start_ms, len(ballots), len(tally.scores), tally.negative, state.rules))
    return alerts, suppressed


def _narrowed(context: Context, tally: Tally) -> dict[str, Tally]:
    """Sum up the bin for each filter that a rule in force has.

    Of a bin of which its filter lets nothing pass a rule knows as little as of a minute without mentions. Only a count
    is then known to be 0, which may end its alert. Novelty reads a company's pace off all of its stories, and filters
    them itself.
    """
    found: dict[str, Tally] = {}
    for rule in context.readers:
        where = rule.where
        if where is None or where.key in found:
            continue
        ballots = [ballot for ballot in tally.ballots if where.takes(ballot.vote)]
        found[where.key] = count_votes(tally.start_ms, ballots, late=tally.late)
    return found


def _is_settled(state: EntityState, context: Context) -> bool:
    """Whether the rules that are remembered are the rules in force."""
    if len(state.rules) != len(context.in_force):
        return False
    for name, version in context.in_force.items():
        memory = state.rules.get(name)
        if memory is None or memory.rule_version != version:
            return False
    return True


def _settle(state: EntityState, context: Context, start_ms: int) -> list[Alert]:
    """Give every rule in force a memory, and take away those of other rules."""
    alerts: list[Alert] = []
    for name, memory in sorted(state.rules.items()):
        version = context.in_force.get(name)
        if memory.rule_version != version:
            alerts += _withdrawn(memory, name, state.entity, context, start_ms)
            del state.rules[name]
            if memory.migrated and version is not None:
                state.rules[name] = RuleState(
                    rule_version=version, baseline=memory.baseline, seeded_until_ms=memory.seeded_until_ms
                )
    for rule in context.rules:
        state.rules.setdefault(rule.alert, RuleState(rule_version=rule.version))
    return alerts


def _withdrawn(memory: RuleState, name: str, entity: str, context: Context, at_ms: int) -> list[Alert]:
    """End an alert whose rule was changed or taken away: nobody would ever say that it is over."""
    life = memory.life
    told = life.state == "firing" or (life.state == "pending" and life.transition >= 0)
    if not told or life.evidence is None:
        return []
    annotations = {"summary": f"{entity}: the rule was changed or taken away, so this alert is closed"}
    life.transition += 1
    state: AlertState = "resolved" if life.state == "firing" else "inactive"
    return [_record(memory, name, entity, context, life.evidence, annotations, state=state, at_ms=at_ms)]


def _event_order(vote: Vote) -> tuple[int, str]:
    return vote.at_ms, vote.message_id


def _ballot(horizon: Horizon, vote: Vote) -> Ballot:
    text = vote.text if vote.given_story is None else given_story(vote.given_story)
    found = horizon.story(text, message_id=vote.message_id, at_ms=vote.at_ms)
    counts = not found.copy and horizon.may_vote(vote.author, vote.at_ms)
    return Ballot(vote, found.story, found.copy, counts)


def _advance(
    rule: Rule, memory: RuleState, entity: str, context: Context, tally: Tally, reading: Reading
) -> list[Alert]:
    suppressed = memory.life.suppressed
    written = advance(
        rule,
        memory.life,
        reading.condition,
        labels={"alertname": rule.alert, "entity": entity, **rule.labels},
        bin_start_ms=tally.start_ms,
        bin_end_ms=tally.end_ms,
    )
    alerts = [_alert(rule, memory, entity, context, tally, reading, state=state) for state in written]
    if "firing" in written or "resolved" in written or memory.life.suppressed > suppressed:
        spend_evidence(rule, memory)
    if "resolved" in written or "inactive" in written:
        after_end(memory)
    return alerts


def _alert(
    rule: Rule,
    memory: RuleState,
    entity: str,
    context: Context,
    tally: Tally,
    reading: Reading,
    *,
    state: AlertState,
) -> Alert:
    life, at_ms = memory.life, tally.end_ms
    ended = state in ("resolved", "inactive")
    log_e = reading.log_e
    if log_e is not None:
        life.peak_log_e = max(log_e, life.peak_log_e or -math.inf)
    if reading.evidence is not None:
        if not ended or life.evidence is None:
            life.evidence = reading.evidence
    elif not ended or life.evidence is None:
        life.evidence = build_evidence(
            rule,
            memory,
            memory.run or Run(onset_ms=at_ms - BIN_MS),
            at_ms=at_ms,
            against=reading.against,
            log_e=life.peak_log_e,
            threshold=reading.threshold,
            tested=reading.tested,
            measure=reading.measure,
            in_words=reading.in_words,
            signal=reading.signal,
            change=tally.change,
        )
    evidence = life.evidence  # an end shows what raised the alert, not the calm that ended it
    if ended:
        life.evidence = None
    annotations = annotations_of(rule, entity, context.names.get(entity), evidence)
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
        replay=f"squall replay kafka: --as-scored --entity {entity} --to {from_ms(at_ms):%Y-%m-%dT%H:%M:%SZ}",
        fired_at=from_ms(life.fired_ms) if state in ("firing", "resolved") else None,
        ends_at=from_ms(at_ms) if state in ("resolved", "inactive") else None,
    )
