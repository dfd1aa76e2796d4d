"""What keeps a firing alert back: a silence of the desk's, or another alert of the same company that says more.

Asked for alerts that fire and for no others, so nothing of it is in the way of a quiet bin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.matchers import Matcher, equals_first
from streams.monitor.bins import to_ms
from streams.monitor.inhibition import InhibitRule
from streams.monitor.state import Life, RuleState
from streams.records import Silence, Suppressed


@dataclass(frozen=True, slots=True)
class _Quiet:
    """A silence, read."""

    silence: Silence
    matchers: tuple[Matcher, ...]
    starts_ms: int
    ends_ms: int


class Keeper:
    """Knows the silences, and which alerts hold back which.

    Args:
        silences: all that are known, also those that are over: what is read late may be of their time.
        inhibit_rules: of the rules in force.

    Raises:
        ValueError: a matcher of a silence holds no regular expression.
    """

    def __init__(self, silences: Sequence[Silence] = (), inhibit_rules: Sequence[InhibitRule] = ()) -> None:
        self._inhibit_rules = tuple(inhibit_rules)
        self._quiet = tuple(
            _Quiet(one, equals_first(one.conditions), to_ms(one.starts_at), to_ms(one.ends_at))
            for one in sorted(silences, key=lambda one: (one.starts_at, one.id))
        )

    def reason(self, rule: str, memories: Mapping[str, RuleState], *, at_ms: int) -> Suppressed | None:
        """Return what keeps back the alert of a rule; None for nothing.

        Args:
            rule: name of the rule, whose alert fires.
            memories: of all rules of the company, by name, as they are after the bin.
            at_ms: event time: end of the bin.
        """
        if not self._quiet and not self._inhibit_rules:
            return None
        labels = labels_of(rule, memories[rule].life)
        for quiet in self._quiet:
            if quiet.starts_ms <= at_ms < quiet.ends_ms and all(one.matches(labels) for one in quiet.matchers):
                return Suppressed(by="silence", what=quiet.silence.id, until=quiet.silence.ends_at)
        for name, memory in sorted(memories.items()) if self._inhibit_rules else ():
            if name == rule or memory.life.state != "firing":
                continue
            source = labels_of(name, memory.life)
            if any(one.holds_back(labels, source) for one in self._inhibit_rules):
                return Suppressed(by="inhibition", what=name)
        return None


def labels_of(rule: str, life: Life) -> dict[str, str]:
    """Return what matchers see of an alert: its labels, and beside them `rule` and `severity`."""
    return {**life.labels, "rule": rule, "severity": life.severity}
