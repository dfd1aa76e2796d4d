"""What keeps a firing alert back: a silence of the desk's, or another alert of the same company that says more.

Asked for alerts that fire and for no others, so nothing of it is in the way of a quiet bin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.matchers import Matcher
from streams.monitor.bins import to_ms
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
    """Knows the silences.

    Args:
        silences: all that are known, also those that are over: what is read late may be of their time.

    Raises:
        ValueError: a matcher of a silence holds no regular expression.
    """

    def __init__(self, silences: Sequence[Silence] = ()) -> None:
        self._quiet = tuple(
            _Quiet(one, one.conditions, to_ms(one.starts_at), to_ms(one.ends_at))
            for one in sorted(silences, key=lambda one: (one.starts_at, one.id))
        )

    def reason(self, rule: str, memories: Mapping[str, RuleState], *, at_ms: int) -> Suppressed | None:
        """Return what keeps back the alert of a rule; None for nothing.

        Args:
            rule: name of the rule, whose alert fires.
            memories: of all rules of the company, by name, as they are after the bin.
            at_ms: event time: end of the bin.
        """
        labels = None
        for quiet in self._quiet:
            if quiet.starts_ms <= at_ms < quiet.ends_ms:
                labels = labels or labels_of(rule, memories[rule].life)
                if all(matcher.matches(labels) for matcher in quiet.matchers):
                    return Suppressed(by="silence", what=quiet.silence.id, until=quiet.silence.ends_at)
        return None


def labels_of(rule: str, life: Life) -> dict[str, str]:
    """Return what matchers see of an alert: its labels, and beside them `rule` and `severity`."""
    return {**life.labels, "rule": rule, "severity": life.severity}
