"""A baseline from history takes the place of one that knows less: what the monitor does with a Seed.

With the level of days travels what a spike rule has learned beside it, of the last hours and of the company's unrest
(`streams.monitor.usual`). A seed of before these were known, or of a rule that has none, leaves them to begin as they
do for a new company: what is usual is the level of days, and the unrest that of the prior.

A seed is taken rule by rule. It replaces nothing fresher unless it is forced, and never what an open alert rests on:
its evidence would no longer be what it was raised on. Both are read off the entity's own state, so that a replay of the
log decides as the live monitor did.

Bins that end by the seed's `learned_until` are not learned from again, however late they come (a backlog that is being
read overlaps with the history), so that a baseline is never faded backwards in time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, get_args

import msgspec

from streams.monitor.bins import from_ms, to_ms
from streams.monitor.state import BaselineState, EntityState, Lately, RuleState, Unrest
from streams.records import Seed, SeededBaseline, SeededUnrest

SeedOutcome = Literal["taken", "fresher", "alert_open", "other_rule"]
"""Taken; or left, as the own baseline is fresher, as an alert of the rule is open, or as no such rule is in force."""

SEED_OUTCOMES: tuple[SeedOutcome, ...] = get_args(SeedOutcome)


class Learned(NamedTuple):
    """What a rule has learned of an entity."""

    version: str
    """The rule's, as it was when it learned."""
    baseline: BaselineState
    lately: Lately
    unrest: Unrest

    def copy(self) -> Learned:
        """Return it as it is now: the monitor's own goes on changing."""
        replace = msgspec.structs.replace
        return Learned(self.version, replace(self.baseline), replace(self.lately), replace(self.unrest))


def as_seeded(learned: Learned) -> SeededBaseline:
    """Return what was learned as it travels; what begins as for a new company is left out."""
    _, baseline, lately, unrest = learned
    kept: SeededUnrest | msgspec.UnsetType = msgspec.UNSET
    if unrest != Unrest():
        kept = SeededUnrest(
            variance=unrest.variance,
            blocks=unrest.blocks,
            votes=unrest.votes,
            negative=min(unrest.negative, unrest.votes),
            squares=unrest.squares,
            usual=unrest.usual,
            began=from_ms(unrest.began_ms),
        )
    return SeededBaseline(
        rule_version=learned.version,
        votes=baseline.votes,
        negative=min(baseline.negative, baseline.votes),  # sums may be off by a hair, and no reader would take that
        at=from_ms(baseline.at_ms),
        recent_votes=lately.votes if lately.votes else msgspec.UNSET,
        recent_negative=min(lately.negative, lately.votes) if lately.votes else msgspec.UNSET,
        unrest=kept,
    )


def from_seeded(seeded: SeededBaseline) -> Learned:
    """Return what a seed says of one rule, as the monitor remembers it."""
    at_ms = to_ms(seeded.at)
    lately, unrest, kept = Lately(), Unrest(), seeded.unrest
    if seeded.recent_votes is not msgspec.UNSET and seeded.recent_negative is not msgspec.UNSET:
        lately = Lately(votes=seeded.recent_votes, negative=seeded.recent_negative, at_ms=at_ms)
    if kept is not msgspec.UNSET:
        unrest = Unrest(
            votes=kept.votes,
            negative=kept.negative,
            squares=kept.squares,
            usual=kept.usual,
            began_ms=to_ms(kept.began),
            variance=kept.variance,
            blocks=kept.blocks,
        )
    baseline = BaselineState(votes=seeded.votes, negative=seeded.negative, at_ms=at_ms)
    return Learned(seeded.rule_version, baseline, lately, unrest)


def known_until_ms(memory: RuleState) -> int:
    """Event time up to which a rule's baseline knows its entity, in milliseconds; 0 if it knows nothing."""
    return max(memory.baseline.at_ms, memory.seeded_until_ms)


def is_dropped(memory: RuleState, version: str | None) -> bool:
    """Whether what a rule has learned goes with its next bin, as another version is in force; None if no version is."""
    return memory.rule_version != version and not (memory.migrated and version is not None)


def judge(memory: RuleState | None, *, version: str, learned_until_ms: int, force: bool) -> SeedOutcome:
    """Say what becomes of a seed of a rule that is in force.

    Args:
        memory: what the rule remembers of the entity, in whatever version; None if nothing.
        version: the version that is in force; see `is_dropped`.
        learned_until_ms: how far the seed's history reaches.
        force: replace what is fresher.
    """
    if memory is None:
        return "taken"
    if memory.life.state != "inactive":
        return "alert_open"
    is_older = is_dropped(memory, version) or known_until_ms(memory) <= learned_until_ms
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
    if "taken" in decided.values():
        state.scale = None  # a history scored by the model in use has nothing that could be off
    for name, outcome in decided.items():
        if outcome != "taken":
            continue
        learned = seed.baselines[name]
        memory = state.rules.get(name)
        if memory is None or memory.rule_version != learned.rule_version:
            memory = state.rules[name] = RuleState(rule_version=learned.rule_version)
        _, memory.baseline, memory.lately, memory.unrest = from_seeded(learned)
        memory.seeded_until_ms = until_ms
        if memory.run is not None and memory.run.onset_ms < until_ms:
            memory.held_votes = memory.held_negative = memory.held_squares = 0.0  # the history has seen them


def lessons(state: EntityState, in_force: Mapping[str, str]) -> Iterator[tuple[str, Learned]]:
    """Yield name and what was learned of the rules in force that have learned something of an entity."""
    for name, memory in sorted(state.rules.items()):
        if memory.rule_version == in_force.get(name) and memory.baseline.votes > 0:
            yield name, Learned(memory.rule_version, memory.baseline, memory.lately, memory.unrest)
