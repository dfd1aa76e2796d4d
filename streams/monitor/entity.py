"""One entity: its bins close one after the other, its rules read them, and alert transitions come out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from msgspec import UNSET

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
from streams.monitor.keeping import Keeper
from streams.monitor.lifecycle import Move, Written, advance, end_of, write
from streams.monitor.model_change import change_of, learn_scale, on_scale
from streams.monitor.reading import Reading
from streams.monitor.rules import Rule
from streams.monitor.run import build_evidence
from streams.monitor.signals import is_count
from streams.monitor.state import EntityState, RuleState, Run, Vote
from streams.monitor.tally import Ballot, Tally
from streams.records import Alert, Evidence


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
    keeper: Keeper = field(default_factory=Keeper)
    """Knows what keeps alerts back."""

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
    def counts_silence(self) -> bool:
        """Whether to a rule a minute without mentions is a count of 0, so that it must know when the feed was down."""
        return any(rule.method in ("return_period", "zscore") for rule in self.rules)

    @cached_property
    def has_filters(self) -> bool:
        """Whether a rule reads some mentions and not others."""
        return any(rule.where is not None for rule in self.rules)


class _Step(NamedTuple):
    """What became of the alert of a rule in a bin, before it is known whether something keeps it back."""

    rule: Rule
    memory: RuleState
    moves: list[Move]
    evidence: Evidence
    models: list[str]
    """Names and versions of those that scored what is behind it."""


def close_bin(
    state: EntityState,
    horizon: Horizon,
    context: Context,
    *,
    start_ms: int,
    outages: Sequence[tuple[int, int]] = (),
) -> list[Alert]:
    """Close one of the entity's open bins; they close oldest first, when the watermark has passed their end.

    Args:
        state: changed in place.
        horizon: changed in place.
        context: rules and versions.
        start_ms: start of the bin.
        outages: when nothing was heard of any company.

    Returns:
        The transitions.
    """
    votes = state.open.pop(start_ms)
    if len(votes) > 1:
        votes.sort(key=_event_order)
    on_one_scale = on_scale(state, votes)
    ballots = [_ballot(horizon, vote) for vote in on_one_scale]
    horizon.closed(start_ms)
    tally = count_votes(start_ms, ballots, late=state.late)
    tally.change = change_of(state)
    tally.outages = outages
    state.late = 0
    alerts: list[Alert] = []
    if not _is_settled(state, context):
        alerts += _settle(state, context, start_ms)
    steps: list[_Step] = []
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
        if reading is not None and reading.is_over:
            alerts += _write_end(rule, memory, state, context, own, reading)
            reading = read_bin(rule, memory, own, usual)
        if reading is not None:
            steps += _advance(rule, memory, state.entity, own, reading)
        learn(rule, memory, own, usual)
    for rule in context.composites:
        memory = state.rules[rule.alert]
        reading = composite.read_bin(rule, memory, state.rules, end_ms=tally.end_ms)
        if reading is not None:
            steps += _advance(rule, memory, state.entity, tally, reading)
    alerts += _write_all(steps, state, context, at_ms=tally.end_ms)
    learn_scale(state, context.rules, votes, ballots, at_ms=tally.end_ms)
    if context.on_bin is not None:
        scored = tally.negative
        if on_one_scale is not votes:  # a timeline shows what the models said
            scored = math.fsum([vote.negative for vote, ballot in zip(votes, ballots, strict=True) if ballot.counts])
        context.on_bin(ClosedBin(state.entity, start_ms, len(ballots), len(tally.scores), scored, state.rules))
    return alerts


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
        own = found[where.key] = count_votes(tally.start_ms, ballots, late=tally.late)
        own.change, own.outages = tally.change, tally.outages
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
    if life.state == "inactive" or life.transition < 0 or life.evidence is None:
        return []
    annotations = {"summary": f"{entity}: the rule was changed or taken away, so this alert is closed"}
    if life.state == "firing":
        written = end_of(life)
    else:
        life.transition += 1
        written = Written("inactive", life.transition, life.severity, kept=life.kept)
    models = _models(memory)
    return [_record(memory, name, entity, context, life.evidence, models, annotations, written, at_ms=at_ms)]


def _event_order(vote: Vote) -> tuple[int, str]:
    return vote.at_ms, vote.message_id


def _ballot(horizon: Horizon, vote: Vote) -> Ballot:
    text = vote.text if vote.given_story is None else given_story(vote.given_story)
    found = horizon.story(text, message_id=vote.message_id, at_ms=vote.at_ms)
    counts = not found.copy and horizon.may_vote(vote.author, vote.at_ms)
    return Ballot(vote, found.story, found.copy, counts)


def _advance(rule: Rule, memory: RuleState, entity: str, tally: Tally, reading: Reading) -> list[_Step]:
    """Move an alert on, and let its detector begin anew where it has to; nothing is to be written where none is
    returned.
    """
    life = memory.life
    moves = advance(
        rule,
        life,
        reading.condition,
        labels={"alertname": rule.alert, "entity": entity, **rule.labels},
        bin_start_ms=tally.start_ms,
        bin_end_ms=tally.end_ms,
    )
    if not moves and (life.kept is None or life.state != "firing"):
        return []
    step = _Step(rule, memory, moves, _evidence(rule, memory, tally, reading, moves), _models(memory))
    if "fires" in moves or "rises" in moves or "ends" in moves or "cools" in moves:
        spend_evidence(rule, memory)
    if "ends" in moves or "fades" in moves:
        after_end(memory)
    return [step]


def _write_end(
    rule: Rule, memory: RuleState, state: EntityState, context: Context, tally: Tally, reading: Reading
) -> list[Alert]:
    """Write the end of an alert at once: what the bin holds is to be read after it."""
    return _write_all(_advance(rule, memory, state.entity, tally, reading), state, context, at_ms=tally.end_ms)


def _write_all(steps: list[_Step], state: EntityState, context: Context, *, at_ms: int) -> list[Alert]:
    """Return the records of steps, once all have moved: what keeps one alert back may be another."""
    return [alert for step in steps for alert in _write(step, state, context, at_ms=at_ms)]


def _evidence(rule: Rule, memory: RuleState, tally: Tally, reading: Reading, moves: list[Move]) -> Evidence:
    """Return the evidence of a bin; of an end, what raised the alert, and not the calm that ended it."""
    life, at_ms = memory.life, tally.end_ms
    ended = "ends" in moves or "fades" in moves
    if life.evidence is not None and (moves == ["calms"] or (ended and "rises" not in moves and "fires" not in moves)):
        return life.evidence
    if reading.log_e is not None:
        life.peak_log_e = max(reading.log_e, life.peak_log_e or -math.inf)
    evidence = reading.evidence
    if evidence is None:
        evidence = build_evidence(
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
    if moves and moves != ["returns"]:
        life.evidence = evidence
    return evidence


def _models(memory: RuleState) -> list[str]:
    return sorted(memory.run.models) if memory.run is not None else []


def _write(step: _Step, state: EntityState, context: Context, *, at_ms: int) -> list[Alert]:
    """Return the records of a step, now that all alerts of the company have moved."""
    rule, memory, moves, evidence, models = step
    life, entity = memory.life, state.entity
    may_call = life.state == "firing" or "rises" in moves
    kept_by = context.keeper.reason(rule.alert, state.rules, at_ms=at_ms) if may_call else None
    alerts: list[Alert] = []
    for written in write(rule, life, moves, kept_by, at_ms=at_ms):
        if written.state in ("firing", "suppressed") and not written.again:
            life.evidence = evidence
        annotations = annotations_of(rule, entity, context.names.get(entity), evidence)
        alerts.append(_record(memory, rule.alert, entity, context, evidence, models, annotations, written, at_ms=at_ms))
    if life.state == "inactive":
        life.evidence = None
    return alerts


def _record(
    memory: RuleState,
    rule_name: str,
    entity: str,
    context: Context,
    evidence: Evidence,
    models: list[str],
    annotations: dict[str, str],
    written: Written,
    *,
    at_ms: int,
) -> Alert:
    life, state = memory.life, written.state
    return Alert(
        id=life.alert_id,
        transition=written.transition,
        state=state,
        severity=written.severity,
        rule=rule_name,
        rule_version=memory.rule_version,
        labels=life.labels,
        annotations=annotations,
        at=from_ms(at_ms),
        starts_at=from_ms(life.opened_ms),
        evidence=evidence,
        versions={"squall": context.squall_version, "model": ", ".join(models)},
        replay=f"squall replay kafka: --as-scored --entity {entity} --to {from_ms(at_ms):%Y-%m-%dT%H:%M:%SZ}",
        fired_at=from_ms(life.fired_ms) if state in ("firing", "recovering", "resolved") else None,
        ends_at=from_ms(at_ms) if state in ("resolved", "inactive") else None,
        suppressed=UNSET if written.kept is None else written.kept,
        again=True if written.again else UNSET,
    )
