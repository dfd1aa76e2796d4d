"""What another run would have done to a desk: alerts added, removed, moved and changed. Pure.

How the episodes of two runs are matched:

1. Only episodes of one company are, and of one rule where both runs have a rule of that name. Rules that only one run
   has may be each other under a new name, so their episodes are matched across names.
2. The same id is the same alert (rule version, labels, opening bin).
3. The others that overlap in time are assigned one to one so that the total overlap, in whole seconds from opening to
   end, is the greatest; among equals, so that starts lie closest.
4. Of what is left, pairs at most `NEAR` apart are the same incident seen earlier or later: as many as possible, and
   among equals the closest.
5. What is left then was added or removed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from streams.records import Alert
from streams.replay.differences.episodes import Episode, episodes

NEAR = timedelta(hours=6)
"""Alerts about one company this close to each other are taken as one incident: they fall within a trading day, and
within a rule's usual cooldown (12 hours), in which one run would not have raised both."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One incident as both runs saw it."""

    old: Episode
    new: Episode

    @property
    def shift(self) -> timedelta:
        """How much later the new run fires; negative if it fires earlier."""
        return self.new.fired - self.old.fired

    @property
    def changes(self) -> tuple[str, ...]:
        """What differs beside the time of firing: rule, opened, ended, severity, or a number of the evidence."""
        old, new = self.old, self.new
        found = [name for name in ("rule", "opened", "ended", "severity") if getattr(old, name) != getattr(new, name)]
        numbers = new.numbers
        return (*found, *(name for name, value in old.numbers.items() if value != numbers[name]))


@dataclass(frozen=True, slots=True)
class RunDifference:
    """All episodes of two runs, each in one place, in the order of firing."""

    same: tuple[Pair, ...]
    """Fired, opened and ended at the same times, as severe, with the same numbers."""
    changed: tuple[Pair, ...]
    """Fired at the same time, but something else differs: `Pair.changes` says what."""
    shifted: tuple[Pair, ...]
    """Fired earlier or later; other things may differ as well."""
    added: tuple[Episode, ...]
    """In the new run alone."""
    removed: tuple[Episode, ...]
    """In the old run alone."""
    old_unfired: int = 0
    """Alerts of the old run that were pending or kept back, and never fired: no episodes."""
    new_unfired: int = 0

    @property
    def is_none(self) -> bool:
        """Whether a desk would have seen no difference at all."""
        return not (self.changed or self.shifted or self.added or self.removed)


def compare_runs(
    old: Iterable[Alert],
    new: Iterable[Alert],
    *,
    old_rules: Collection[str] | None = None,
    new_rules: Collection[str] | None = None,
    near: timedelta = NEAR,
) -> RunDifference:
    """Match the episodes of two runs.

    The order of the alerts changes nothing, and swapping the runs swaps what was added and what was removed.

    Args:
        old: alert transitions of one run.
        new: those of the other.
        old_rules: names of the rules that were in force in the old run, also of those that never fired; None if only
            the alerts are known.
        new_rules: of the new run.
        near: how far apart episodes without overlap may be.
    """
    before, after = list(old), list(new)
    last = max((alert.at for alert in [*before, *after]), default=None)
    olds, news = episodes(before), episodes(after)
    shared = _names(olds.fired, old_rules) & _names(news.fired, new_rules)
    pairs: list[Pair] = []
    added: list[Episode] = []
    removed: list[Episode] = []
    groups: dict[tuple[str, str], tuple[list[Episode], list[Episode]]] = {}
    for side, found in enumerate((olds.fired, news.fired)):
        for episode in found:
            name = episode.rule if episode.rule in shared else ""
            groups.setdefault((episode.entity, name), ([], []))[side].append(episode)
    for group_old, group_new in groups.values():
        matched = _match(group_old, group_new, last, near)
        pairs += matched
        removed += _without(group_old, [pair.old for pair in matched])
        added += _without(group_new, [pair.new for pair in matched])
    pairs.sort(key=lambda pair: (min(pair.old.key, pair.new.key), max(pair.old.key, pair.new.key)))
    level = [pair for pair in pairs if not pair.shift]
    return RunDifference(
        same=tuple(pair for pair in level if not pair.changes),
        changed=tuple(pair for pair in level if pair.changes),
        shifted=tuple(pair for pair in pairs if pair.shift),
        added=tuple(sorted(added, key=lambda episode: episode.key)),
        removed=tuple(sorted(removed, key=lambda episode: episode.key)),
        old_unfired=olds.unfired,
        new_unfired=news.unfired,
    )


def _names(found: Sequence[Episode], rules: Collection[str] | None) -> set[str]:
    return {episode.rule for episode in found} | set(rules or ())


def _without(group: Sequence[Episode], matched: Sequence[Episode]) -> list[Episode]:
    gone = {episode.id for episode in matched}
    return [episode for episode in group if episode.id not in gone]


def _match(old: list[Episode], new: list[Episode], last: datetime | None, near: timedelta) -> list[Pair]:
    by_id = {episode.id: episode for episode in new}
    pairs = [Pair(episode, by_id[episode.id]) for episode in old if episode.id in by_id]
    for score in (_overlap_score, _near_score):
        left_old = _without(old, [pair.old for pair in pairs])
        left_new = _without(new, [pair.new for pair in pairs])
        for few_old, few_new in _clusters(left_old, left_new, last, near):
            pairs += _assign(few_old, few_new, score, last, near)
    return pairs


def _end(episode: Episode, last: datetime | None) -> datetime:
    """Return its end; what had not ended lasts as long as the longer of the runs."""
    return episode.ended or max(last or episode.fired, episode.fired)


def _clusters(
    old: Sequence[Episode], new: Sequence[Episode], last: datetime | None, near: timedelta
) -> Iterator[tuple[list[Episode], list[Episode]]]:
    """Cut two lists where nothing on one side of the cut could be matched with anything on the other.

    An assignment costs the cube of its size, and years of alerts fall into clusters of two or three.
    """
    marked = [(episode, 0) for episode in old] + [(episode, 1) for episode in new]
    cluster: tuple[list[Episode], list[Episode]] = ([], [])
    reach: datetime | None = None
    for episode, side in sorted(marked, key=lambda item: (item[0].opened, item[0].key, item[1])):
        if reach is not None and episode.opened > reach + near:
            yield cluster
            cluster, reach = ([], []), None
        cluster[side].append(episode)
        reach = max(reach or _end(episode, last), _end(episode, last))
    yield cluster


Score = Callable[[Episode, Episode, datetime | None, timedelta], tuple[float, float]]
"""Of a pair: what it is worth, 0 if it may not be matched; and, to choose among equals, a distance in seconds."""


def _overlap_score(one: Episode, other: Episode, last: datetime | None, near: timedelta) -> tuple[float, float]:
    overlap = -_gap(one, other, last)
    return max(0.0, float(overlap // timedelta(seconds=1))), abs((one.opened - other.opened).total_seconds())


def _near_score(one: Episode, other: Episode, last: datetime | None, near: timedelta) -> tuple[float, float]:
    gap = max(timedelta(), _gap(one, other, last))
    return float(gap <= near), gap.total_seconds()


def _gap(one: Episode, other: Episode, last: datetime | None) -> timedelta:
    """Return the time between two episodes; negative is their overlap."""
    return max(one.opened, other.opened) - min(_end(one, last), _end(other, last))


def _assign(
    old: Sequence[Episode], new: Sequence[Episode], score: Score, last: datetime | None, near: timedelta
) -> list[Pair]:
    if not old or not new:
        return []
    # Among several best assignments the solver's choice hangs on what is a row: so that swapping the runs changes
    # nothing, the rows are the side whose episodes come first.
    old_first = [episode.key for episode in old] <= [episode.key for episode in new]
    rows, columns = (old, new) if old_first else (new, old)
    scores = np.array([[score(row, column, last, near) for column in columns] for row in rows])  # [rows, columns, 2]
    worth, distance = scores[..., 0], scores[..., 1]
    # All the closeness of an assignment together is worth less than 1, which is one second of overlap or one pair.
    closeness = (1 - distance / (distance.max() + 1)) / (min(len(rows), len(columns)) + 1)
    chosen = zip(*linear_sum_assignment(np.where(worth > 0, worth + closeness, 0.0), maximize=True), strict=True)
    found = [(rows[row], columns[column]) for row, column in chosen if worth[row, column] > 0]
    return [Pair(row, column) if old_first else Pair(column, row) for row, column in found]
