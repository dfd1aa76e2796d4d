"""An alert's life: inactive, pending, firing, resolved; cooldown. Pure decisions, no evidence and no I/O.

    inactive --opens--> pending --fires for long enough--> firing --calm for long enough--> resolved (inactive)
                           |                                 |
                           +--gone--> inactive               +--severity rises--> firing (another record)

States change on bins that hold votes, and on no others: silence never looks like "resolved".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from streams.monitor.rules import Rule
from streams.monitor.state import Life
from streams.records import AlertState, Severity

_ORDER: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True, slots=True)
class Condition:
    """What the detector says at the end of a bin."""

    opens: bool
    """Worth a look: an inactive alert becomes pending."""
    holds: bool
    """A pending alert may stay so."""
    fires: bool
    calm: bool
    """Back to usual, by the rule's own lower threshold."""
    severity: Severity


def outranks(one: Severity, other: Severity) -> bool:
    """Whether the first severity is higher than the second."""
    return _ORDER.index(one) > _ORDER.index(other)


def severity_of(rule: Rule, *, effect: float, stories: int) -> Severity:
    """Return the highest severity whose step is reached; the lowest one listed where none is."""
    reached = [name for name, need in rule.severity.items() if effect >= need.effect and stories >= need.stories]
    return max(reached or [min(rule.severity, key=_ORDER.index)], key=_ORDER.index)


def alert_id(rule: Rule, labels: Mapping[str, str], opening_bin_ms: int) -> str:
    """Hash of (rule version, labels, opening bin), 16 hexadecimal digits: the same after a restart or in a replay."""
    identity = "\n".join([rule.version, *(f"{k}={v}" for k, v in sorted(labels.items())), str(opening_bin_ms)])
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def advance(
    rule: Rule, life: Life, condition: Condition, *, labels: Mapping[str, str], bin_start_ms: int, bin_end_ms: int
) -> list[AlertState]:
    """Step the life over one closed bin and return the states to be written, oldest first.

    `life` is changed in place. A firing that a cooldown keeps back is counted in `life.suppressed`.
    """
    if life.state == "inactive":
        if not (condition.opens or condition.fires):
            return []
        _open(rule, life, condition, labels, bin_start_ms)
        written = _while_pending(rule, life, condition, bin_start_ms, bin_end_ms)
        return [_write(life, "pending")] if _is_pending(life) else written
    if life.state == "pending":
        return _while_pending(rule, life, condition, bin_start_ms, bin_end_ms)
    return _while_firing(rule, life, condition, bin_end_ms)


def _open(rule: Rule, life: Life, condition: Condition, labels: Mapping[str, str], bin_start_ms: int) -> None:
    life.state = "pending"
    life.alert_id = alert_id(rule, labels, bin_start_ms)
    life.labels = dict(labels)
    life.transition = -1
    life.opened_ms = bin_start_ms
    life.holding_since_ms = None
    life.calm_since_ms = None
    life.severity = condition.severity
    life.evidence = None
    life.peak_log_e = None


def _is_pending(life: Life) -> bool:
    return life.state == "pending"


def _write(life: Life, state: AlertState) -> AlertState:
    life.transition += 1
    return state


def _while_pending(
    rule: Rule, life: Life, condition: Condition, bin_start_ms: int, bin_end_ms: int
) -> list[AlertState]:
    if not condition.fires:
        life.holding_since_ms = None
        if condition.holds:
            return []
        life.state = "inactive"
        return [_write(life, "inactive")] if life.transition >= 0 else []
    if life.holding_since_ms is None:
        life.holding_since_ms = bin_start_ms
    if bin_end_ms - life.holding_since_ms < rule.for_ms:
        return []
    if bin_end_ms <= life.cooldown_until_ms and not _breaks_cooldown(rule, life, condition):
        life.suppressed += 1
        life.state = "inactive"
        return [_write(life, "inactive")] if life.transition >= 0 else []
    life.state = "firing"
    life.fired_ms = bin_end_ms
    life.calm_since_ms = None
    life.severity = condition.severity
    life.last_severity = condition.severity
    life.cooldown_until_ms = bin_end_ms + rule.cooldown.for_ms
    return [_write(life, "firing")]


def _breaks_cooldown(rule: Rule, life: Life, condition: Condition) -> bool:
    return rule.cooldown.unless == "severity_increases" and outranks(condition.severity, life.last_severity)


def _while_firing(rule: Rule, life: Life, condition: Condition, bin_end_ms: int) -> list[AlertState]:
    written: list[AlertState] = []
    if outranks(condition.severity, life.severity):
        life.severity = condition.severity
        life.last_severity = condition.severity
        written.append(_write(life, "firing"))
    if not condition.calm:
        life.calm_since_ms = None
        return written
    if life.calm_since_ms is None:
        life.calm_since_ms = bin_end_ms
    if bin_end_ms - life.calm_since_ms >= rule.keep_firing_for_ms:
        life.state = "inactive"
        written.append(_write(life, "resolved"))
    return written
