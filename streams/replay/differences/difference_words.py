"""The difference of two runs in words: for a terminal, a pull request and a program. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from streams.deliver.measures import measured
from streams.deliver.text import company
from streams.deliver.words import moment, percent, plural, span
from streams.replay.differences.comparison import Comparison, Side
from streams.replay.differences.difference import Pair
from streams.replay.differences.episodes import Episode, PerDay

KINDS = ("added", "removed", "shifted", "changed")
"""In the order in which they are told; what is the same is only counted."""

_PERCENT = {"share", "usual share"}
_TOLD_OF_SHIFTED = {"share", "stories"}


@dataclass(frozen=True, slots=True)
class Line:
    """One episode, or one pair of them, as a row of a table. Times are UTC."""

    kind: str
    fired: datetime
    rule: str
    entity: str
    company: str
    severity: str
    seen: str
    """The share against the usual one, and on how much it rests."""
    note: str
    """How long it lasted; of a pair, what differs."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many episodes of a rule and a company are of each kind."""

    rule: str
    entity: str
    kinds: dict[str, int]


def headline(comparison: Comparison) -> str:
    """Return what it is that is compared, by what went in differently."""
    names = {fact.name for fact in comparison.facts}
    found = []
    if "scores" in names:
        scores = {side.summary.mode for side in (comparison.old, comparison.new)}
        found.append("scores as they were against scored again" if len(scores) > 1 else "")
    elif "models" in names:
        found.append("two models")
    if "rules" in names:
        found.append("two rule sets")
    # Mentions that were scored again are another content by nature; the input itself is what was named.
    if "input" in names or ("content of the input" in names and "scores" not in names):
        found.append("two inputs")
    if "Squall" in names:
        found.append("two versions of Squall")
    if names & {"from", "to", "entity"}:
        found.append("two ranges or companies")
    return ", ".join(found) or ("other options" if names else "the same input, rules and models")


def lines(comparison: Comparison) -> Iterator[Line]:
    """Yield a line per episode that is not the same, by kind and then in the order of firing."""
    found = comparison.difference
    for kind, alone in (("added", found.added), ("removed", found.removed)):
        yield from (_line(kind, episode, lasted(episode)) for episode in alone)
    for kind, pairs in (("shifted", found.shifted), ("changed", found.changed)):
        yield from (_line(kind, pair.new, what_changed(pair)) for pair in pairs)


def _line(kind: str, episode: Episode, note: str) -> Line:
    return Line(
        kind=kind,
        fired=episode.fired,
        rule=episode.rule,
        entity=episode.entity,
        company=company(episode.alert),
        severity=episode.severity,
        seen=seen(episode),
        note=note,
    )


def seen(episode: Episode) -> str:
    """Return the share against the usual one, and on how much it rests."""
    evidence = episode.alert.evidence
    if said := measured(evidence):
        return said
    observed = evidence.observed
    window = span(observed.window_end - observed.window_start)
    stories = plural(observed.stories, "story", "stories")
    return f"{percent(observed.share)} of {stories} in {window} negative, usually {percent(evidence.baseline.share)}"


def lasted(episode: Episode) -> str:
    """Return how long it fired."""
    if episode.ended is None:
        return "still firing at the end"
    return f"fired for {span(episode.ended - episode.fired)}"


def what_changed(pair: Pair) -> str:
    """Return how much earlier or later the new run fires, and what else differs, from old to new.

    What fires at another time rests on other messages, so of its evidence only share and stories are told then.
    """
    found = [shift_words(pair)] if pair.shift else []
    numbers = pair.old.numbers, pair.new.numbers
    for name in pair.changes:
        if name == "opened" and pair.shift:
            continue  # what matters of a time that moved has been said
        if name not in numbers[0]:
            found.append(_change(name, pair))
        elif not pair.shift or name in _TOLD_OF_SHIFTED:
            old, new = (_shown(name, side[name]) for side in numbers)
            found += [f"{name} {old} → {new}"] if old != new else []
    return "; ".join(found) or "the evidence differs in later digits"


def shift_words(pair: Pair) -> str:
    """Return `20 minutes earlier` or `2 hours later`."""
    return f"{span(abs(pair.shift))} {'earlier' if pair.shift < timedelta() else 'later'}"


def _change(name: str, pair: Pair) -> str:
    old, new = pair.old, pair.new
    if name == "opened":
        return f"opened {_moved(old.opened, new.opened)}"
    if name == "ended":
        if old.ended is None or new.ended is None:
            return "still firing at the end" if new.ended is None else f"ended {moment(new.ended)}, was still firing"
        return f"ended {_moved(old.ended, new.ended)}"
    return f"{name} {getattr(old, name)} → {getattr(new, name)}"


def _moved(old: datetime, new: datetime) -> str:
    return f"{span(abs(new - old))} {'earlier' if new < old else 'later'}"


def _shown(name: str, value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        # To a tenth: a difference of under a point is one that is to be seen here.
        return f"{100 * value:.1f} %" if name in _PERCENT else f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def counts(comparison: Comparison) -> list[Count]:
    """Return the episodes per rule and company, rules and companies in the order of their names."""
    found = comparison.difference
    marked: list[tuple[str, Episode]] = [("added", episode) for episode in found.added]
    marked += [("removed", episode) for episode in found.removed]
    for kind, pairs in (("shifted", found.shifted), ("changed", found.changed), ("same", found.same)):
        marked += [(kind, pair.new) for pair in pairs]
    table: dict[tuple[str, str], dict[str, int]] = {}
    for kind, episode in marked:
        row = table.setdefault((episode.rule, episode.entity), dict.fromkeys((*KINDS, "same"), 0))
        row[kind] += 1
    return [Count(rule, entity, kinds) for (rule, entity), kinds in sorted(table.items())]


def totals(rows: Iterable[Count]) -> dict[str, int]:
    """Return the sum of the counts, by kind."""
    found = dict.fromkeys((*KINDS, "same"), 0)
    for row in rows:
        for kind, count in row.kinds.items():
            found[kind] += count
    return found


def a_day(day: PerDay) -> str:
    """Return alerts a day in words: the mean, and the most on one day."""
    if not day.count:
        return f"no alert in {plural(day.days, 'day')}"
    on = f" ({day.most_on})" if day.most_on else ""
    return f"{plural(day.count, 'alert')} in {plural(day.days, 'day')}: {day.mean:.2f} a day, at most {day.most}{on}"


def unfired_words(comparison: Comparison) -> str | None:
    """Return how many alerts were pending or kept back, and never fired, if there were any."""
    old, new = comparison.difference.old_unfired, comparison.difference.new_unfired
    if not (old or new):
        return None
    return f"pending or kept back, and never fired, not counted above: {old:,} in the old run, {new:,} in the new one"


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return the whole comparison for a program: every episode, with ids, times as RFC 3339 and plain numbers."""
    found = comparison.difference
    return {
        "format": 1,
        "compares": headline(comparison),
        "old": _side_json(comparison.old),
        "new": _side_json(comparison.new),
        "differs_in": [fact._asdict() for fact in comparison.facts],
        "cautions": list(comparison.cautions),
        "counts": totals(counts(comparison)),
        "by_rule_and_company": [{"rule": row.rule, "entity": row.entity, **row.kinds} for row in counts(comparison)],
        "unfired": {"old": found.old_unfired, "new": found.new_unfired},
        "added": [_episode_json(episode) for episode in found.added],
        "removed": [_episode_json(episode) for episode in found.removed],
        "shifted": [_pair_json(pair) for pair in found.shifted],
        "changed": [_pair_json(pair) for pair in found.changed],
    }


def _side_json(side: Side) -> dict[str, Any]:
    day = side.per_day
    return {
        "name": side.name,
        "rules": side.summary.versions.rules,
        "models": sorted(side.summary.versions.models),
        "mode": side.summary.mode,
        "since": side.since,
        "until": side.until,
        "alerts": day.count,
        "days": day.days,
        "alerts_a_day": round(day.mean, 6),
        "most_on_a_day": day.most,
        "most_on": day.most_on,
    }


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "minutes_later": pair.shift.total_seconds() / 60,
        "changes": list(pair.changes),
        "in_words": what_changed(pair),
        "old": _episode_json(pair.old),
        "new": _episode_json(pair.new),
    }


def _episode_json(episode: Episode) -> dict[str, Any]:
    return {
        "id": episode.id,
        "rule": episode.rule,
        "rule_version": episode.alert.rule_version,
        "entity": episode.entity,
        "opened": episode.opened,
        "fired": episode.fired,
        "ended": episode.ended,
        "severity": episode.severity,
        **{name.replace(" ", "_").replace("-", "_"): value for name, value in episode.numbers.items()},
        "in_words": f"{company(episode.alert)}: {seen(episode)}",
    }
