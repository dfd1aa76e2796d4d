"""A baseline from history takes the place of one that knows less: what the monitor does with a Seed.

A seed is taken rule by rule. It replaces nothing fresher unless it is forced, and never what an open alert rests on:
its evidence would no longer be what it was raised on. Both are read off the entity's own state, so that a replay of the
log decides as the live monitor did.

Bins that end by the seed's `learned_until` are not learned from again, however late they come (a backlog that is being
read overlaps with the history), so that a baseline is never faded backwards in time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from streams.monitor.baseline import BaselineState
from streams.monitor.bins import to_ms
from streams.monitor.state import EntityState, RuleState
from streams.records import Seed

SeedOutcome = Literal["taken", "fresher", "alert_open", "other_rule"]
"""Taken; or left, as the own baseline is fresher, as an alert of the rule is open, or as no such rule is in force."""

SEED_OUTCOMES: tuple[SeedOutcome, ...] = get_args(SeedOutcome)


def known_until_ms(memory: RuleState) -> int:
    """Event time up to which a rule's baseline knows its entity, in milliseconds; 0 if it knows nothing."""
    return max(memory.baseline.at_ms, memory.seeded_until_ms)


def judge(memory: RuleState | None, *, version: str, learned_until_ms: int, force: bool) -> SeedOutcome:
    """Say what becomes of a seed of a rule that is in force.

    Args:
        memory: what the rule remembers of the entity, in whatever version; None if nothing.
        version: the version that is in force: what another one has learned is about to be dropped.
        learned_until_ms: how far the seed's history reaches.
        force: replace what is fresher.
    """
    if memory is None:
        return "taken"
    if memory.life.state != "inactive":
        return "alert_open"
    is_older = memory.rule_version != version or known_until_ms(memory) <= learned_until_ms
    return "taken" if is_older or force else "fresher"


def decide(seed: Seed, state: EntityState | None, in_force: Mapping[str, str]) -> dict[str, SeedOutcome]:
    """Say what becomes of each of a seed's baselines, by rule name.

    Args:
        seed: the seed.
        state: what is known of its entity; None if it was never heard of.
        in_force: versions of the rules, by name.
    """
    until_ms = to_ms(seed.learned_until)
    found: dict[str, SeedOutcome] = {}
    for name, learned in sorted(seed.baselines.items()):
        if in_force.get(name) != learned.rule_version:
            found[name] = "other_rule"
            continue
        memory = None if state is None else state.rules.get(name)
        found[name] = judge(memory, version=learned.rule_version, learned_until_ms=until_ms, force=seed.force)
    return found


def plant(seed: Seed, state: EntityState, decided: Mapping[str, SeedOutcome]) -> None:
    """Put the baselines that are to be taken in place; `state` is changed in place."""
    until_ms = to_ms(seed.learned_until)
    for name, outcome in decided.items():
        if outcome != "taken":
            continue
        learned = seed.baselines[name]
        memory = state.rules.get(name)
        if memory is None or memory.rule_version != learned.rule_version:
            memory = state.rules[name] = RuleState(rule_version=learned.rule_version)
        memory.baseline = BaselineState(votes=learned.votes, negative=learned.negative, at_ms=to_ms(learned.at))
        memory.seeded_until_ms = until_ms
        if memory.run is not None and memory.run.onset_ms < until_ms:
            memory.held_votes = memory.held_negative = 0.0  # the history has seen them


def lessons(state: EntityState, in_force: Mapping[str, str]) -> Iterator[tuple[str, str, BaselineState]]:
    """Yield name, version and baseline of the rules in force that have learned something of an entity."""
    for name, memory in sorted(state.rules.items()):
        if memory.rule_version == in_force.get(name) and memory.baseline.votes > 0:
            yield name, memory.rule_version, memory.baseline
