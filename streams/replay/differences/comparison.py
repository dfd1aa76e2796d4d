"""Two finished replays side by side: first what went in differently, then what came out differently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from streams.errors import InputError, RuleError
from streams.monitor import RuleSet
from streams.monitor.rule_files import parse_rules
from streams.replay.differences.difference import RunDifference, compare_runs
from streams.replay.differences.episodes import Episode, PerDay, episodes, per_day
from streams.replay.results import RunResult, Summary, load_run

_ENTITY = "entity"
"""Of a summary's options: the one company that was asked for, if one was."""

_SCORES = {"as-scored": "as they were", "rescored": "scored again"}


class Fact(NamedTuple):
    """Something that was not the same for both runs."""

    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs."""

    name: str
    """What a person calls it: its folder, or its rule file."""
    summary: Summary
    episodes: tuple[Episode, ...]
    since: datetime | None
    """Begin of what it reports on: as it was asked for, or its first event; None if there was none."""
    until: datetime | None

    @property
    def per_day(self) -> PerDay:
        """Alerts a day over what it reports on."""
        if self.since is None or self.until is None:
            return PerDay(days=1, count=len(self.episodes), most=len(self.episodes), most_on=None)
        return per_day(self.episodes, since=self.since, until=self.until)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs: what they have not in common, and the difference that it made."""

    old: Side
    new: Side
    facts: tuple[Fact, ...]
    """What differs in input, range, options, rules, models and versions; empty if nothing does."""
    cautions: tuple[str, ...]
    """Why the difference may say less than it seems to."""
    difference: RunDifference


def compare_folders(a: Path, b: Path) -> Comparison:
    """Compare two finished replays by their folders; `a` is the old one.

    Raises:
        InputError: a folder is no finished replay, or the two have no time or no company in common.
    """
    return compare_results(load_run(a), load_run(b), names=(str(a), str(b)))


def compare_results(old: RunResult, new: RunResult, *, names: tuple[str, str]) -> Comparison:
    """Compare two finished replays.

    Args:
        old: one of them.
        new: the other.
        names: what a person calls them.

    Raises:
        InputError: they have no time or no company in common.
    """
    before, after = _side(names[0], old), _side(names[1], new)
    return Comparison(
        old=before,
        new=after,
        facts=tuple(_facts(old, new)),
        cautions=tuple(_cautions(before, after)),
        difference=compare_runs(old.alerts, new.alerts, old_rules=_rule_names(old), new_rules=_rule_names(new)),
    )


def rule_facts(old: RuleSet, new: RuleSet) -> Iterator[Fact]:
    """Yield what differs between two rule sets: rules that only one has, and each key with another value."""
    before = {rule.alert: rule for rule in old.rules}
    after = {rule.alert: rule for rule in new.rules}
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after or name not in before:
            yield Fact(f"rule {name}", *("there" if name in rules else "not there" for rules in (before, after)))
            continue
        one, other = _flat(msgspec.to_builtins(before[name])), _flat(msgspec.to_builtins(after[name]))
        for key in [*one, *(key for key in other if key not in one)]:
            if one.get(key) != other.get(key):
                yield Fact(f"rule {name}: {key}", _text(one.get(key)), _text(other.get(key)))


def _flat(content: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{path}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, dict) and value else {name: value}
    return found


def _text(value: Any) -> str:
    if value is None or value == {}:
        return "unset"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return str(value)


def _side(name: str, run: RunResult) -> Side:
    summary = run.summary
    return Side(
        name=name,
        summary=summary,
        episodes=episodes(run.alerts).fired,
        since=summary.report_from or summary.first_event,
        until=summary.report_until or summary.last_event,
    )


def _rule_names(run: RunResult) -> set[str]:
    return {rule.alert for rule in run.summary.rules}


def _facts(old: RunResult, new: RunResult) -> Iterator[Fact]:
    one, other = old.summary, new.summary
    pairs: list[tuple[str, Any, Any]] = [
        ("scores", _SCORES[one.mode], _SCORES[other.mode]),
        ("input", one.source.text, other.source.text),
        ("content of the input", one.source.identity, other.source.identity),
        ("from", one.report_from, other.report_from),
        ("to", one.report_until, other.report_until),
        ("mentions", f"{one.mentions:,}", f"{other.mentions:,}"),
        ("models", _models(one), _models(other)),
        ("Squall", one.versions.squall, other.versions.squall),
        ("Python", one.versions.python, other.versions.python),
    ]
    options = (_flat(one.options), _flat(other.options))
    pairs += [(name, options[0].get(name), options[1].get(name)) for name in sorted(options[0] | options[1])]
    kinds = one.versions.records | other.versions.records
    pairs += [
        (f"schema of {kind}", one.versions.records.get(kind), other.versions.records.get(kind))
        for kind in sorted(kinds)
    ]
    yield from (Fact(name, _text(before), _text(after)) for name, before, after in pairs if before != after)
    yield from _facts_on_rules(old, new)


def _models(summary: Summary) -> str:
    return ", ".join(sorted(summary.versions.models)) or "none"


def _facts_on_rules(old: RunResult, new: RunResult) -> Iterator[Fact]:
    before, after = old.summary.versions, new.summary.versions
    if before.rules == after.rules:
        return
    yield Fact("rules", f"{before.rules_file} {before.rules}", f"{after.rules_file} {after.rules}")
    try:
        parsed = [parse_rules(run.rules_text, name=run.summary.versions.rules_file) for run in (old, new)]
    except RuleError:
        return  # of a version of Squall whose rules this one does not read: that they differ has been said
    yield from rule_facts(*parsed)


def _cautions(old: Side, new: Side) -> Iterator[str]:
    entities = [side.summary.options.get(_ENTITY) for side in (old, new)]
    if entities[0] != entities[1]:
        whom = [entity or "all companies" for entity in entities]
        if None not in entities:
            msg = f"{old.name} is about {whom[0]} and {new.name} about {whom[1]}: there is nothing to compare"
            raise InputError(msg)
        yield f"the old run is about {whom[0]} and the new one about {whom[1]}: other companies' alerts are in one only"
    if old.since is None or new.since is None or old.until is None or new.until is None:
        empty = [side.name for side in (old, new) if side.since is None]
        if empty:
            yield f"nothing was read for {' and '.join(empty)}"
        return
    if old.until < new.since or new.until < old.since:
        msg = f"{old.name} reports on {_range(old)} and {new.name} on {_range(new)}: they have no time in common"
        raise InputError(msg)
    if (old.since, old.until) != (new.since, new.until):
        yield (
            f"the old run reports on {_range(old)}, the new one on {_range(new)}: alerts outside of what both cover "
            "count as added or removed"
        )


def _range(side: Side) -> str:
    return f"{_text(side.since)} to {_text(side.until)}"
