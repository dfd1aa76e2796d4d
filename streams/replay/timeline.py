"""The timeline of a run: what each hour of a company held, and what was usual then. Pure.

Only hours that may still grow are kept; those that have ended are handed over.
"""

from __future__ import annotations

from streams.monitor import ClosedBin, Rule, RuleSet
from streams.monitor import baseline as baselines
from streams.monitor.bins import BIN_MS, HOUR_MS
from streams.monitor.state import BaselineState, Lately, Unrest
from streams.monitor.usual import margin, usual_share, usual_votes
from streams.replay.hours import Hour, TimelineRow, decode_hours, encode_hours


class Timeline:
    """Gathers the closed bins of one partition by company and hour.

    Args:
        rules: the rules in force; the baseline shown is that of `RuleSet.for_baselines`.
        since_ms: bins that end at or before this are left out; None takes all.
        until_ms: bins that begin after this are left out.
    """

    def __init__(self, rules: RuleSet, *, since_ms: int | None = None, until_ms: int | None = None) -> None:
        self._rule = shown_rule(rules)
        self._rule_name = self._rule.alert
        self._since_ms = since_ms
        self._until_ms = until_ms
        self._open: dict[str, Hour] = {}
        self._ended: list[tuple[str, Hour]] = []

    def add(self, closed: ClosedBin) -> None:
        """Take a bin; an entity's bins come in the order of time."""
        start_ms = closed.start_ms
        if self._since_ms is not None and start_ms + BIN_MS <= self._since_ms:
            return
        if self._until_ms is not None and start_ms > self._until_ms:
            return
        entity = closed.entity
        hour = self._open.get(entity)
        at_ms = start_ms - start_ms % HOUR_MS
        if hour is None or hour.at_ms != at_ms:
            if hour is not None:
                self._ended.append((entity, hour))
            hour = self._open[entity] = Hour(at_ms)
        hour.mentions += closed.mentions
        hour.votes += closed.votes
        hour.negative += closed.negative
        memory = closed.rules.get(self._rule_name)
        if memory is not None:
            usual, lately, unrest = memory.baseline, memory.lately, memory.unrest
            hour.usual_votes, hour.usual_negative = usual.votes, usual.negative
            hour.recent_votes, hour.recent_negative = lately.votes, lately.negative
            hour.unrest, hour.unrest_blocks = unrest.variance, unrest.blocks

    def ended(self, watermark_ms: int | None) -> list[TimelineRow]:
        """Hand over the hours that cannot grow any more, each once.

        Args:
            watermark_ms: event time up to which all bins are closed; None: no hour grows any more.
        """
        if watermark_ms is None:
            over = list(self._open)
        else:
            over = [entity for entity, hour in self._open.items() if hour.at_ms + HOUR_MS <= watermark_ms]
        self._ended += [(entity, self._open.pop(entity)) for entity in over]
        rows = [self._row(entity, hour) for entity, hour in self._ended]
        self._ended.clear()
        return rows

    def dump(self) -> bytes:
        """Return the hours that may still grow, for `load`; call it after `ended`."""
        return encode_hours(self._open)

    def load(self, data: bytes) -> None:
        """Take in what `dump` returned."""
        self._open = decode_hours(data)

    def _row(self, entity: str, hour: Hour) -> TimelineRow:
        usual = low = high = above = None
        if hour.usual_votes is not None:
            options = self._rule.baseline
            state = BaselineState(votes=hour.usual_votes, negative=hour.usual_negative)
            usual = baselines.share(state, options)
            rests_on = state.votes + options.prior_votes  # the prior counts as votes, as it does in an alert's evidence
            if self._rule.is_e_detector:
                lately = Lately(votes=hour.recent_votes, negative=hour.recent_negative)
                usual, rests_on = usual_share(lately, usual), usual_votes(lately, rests_on)
                above = margin(self._rule.margin, Unrest(variance=hour.unrest, blocks=hour.unrest_blocks))
            low, high = baselines.interval(usual, rests_on)
        return TimelineRow(entity, hour.at_ms, hour.mentions, hour.votes, hour.negative, usual, low, high, above)


def shown_rule(rules: RuleSet) -> Rule:
    """Return the rule whose baseline a timeline shows."""
    return rules.for_baselines or rules.rules[0]
