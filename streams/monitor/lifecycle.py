"""An alert's life: inactive, pending, firing, recovering, resolved; suppressed. Pure decisions, no evidence and no I/O.

    inactive --opens--> pending --fires for long enough--> firing <----> recovering --calm for long enough--> resolved
                           |  |                              |
                           |  +--within a cooldown--> suppressed --after it--> firing
                           +--gone--> inactive               +--severity rises--> firing (another record)

States change on bins that hold votes, and on no others: silence never looks like "resolved".

It goes in two steps, as what keeps an alert back may depend on other alerts: `advance` moves the life on, `write` says
which records that makes. What a silence or an inhibition keeps back lives on as if it fired, and is written
`suppressed`; when it is kept back no longer and still fires, `firing` is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from streams.monitor.bins import from_ms
from streams.monitor.rules import Rule
from streams.monitor.state import Life
from streams.records import AlertState, Severity, Suppressed

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


Move = Literal["opens", "fires", "cools", "rises", "calms", "returns", "ends", "fades"]
"""`cools`: it would fire within a cooldown. `rises`: its severity does. `calms` and `returns`: to and from recovering.
`ends`: it fired and is over. `fades`: it never fired and is over."""


class Written(NamedTuple):
    """A record that is to be written."""

    state: AlertState
    transition: int
    severity: Severity
    """Of an end that somebody is told: the one that was told last, and none of a rise that was kept back."""
    again: bool = False
    """It fires again after it had begun to recover: no news."""
    kept: Suppressed | None = None
    """What keeps it back, or kept it back to its end."""


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
) -> list[Move]:
    """Step the life over one closed bin and return what happened, oldest first.

    `life` is changed in place. A firing that a cooldown keeps back is counted in `life.suppressed`.
    """
    if life.state == "inactive":
        if not (condition.opens or condition.fires):
            return []
        _open(rule, life, condition, labels, bin_start_ms)
        moves = _before_firing(rule, life, condition, bin_start_ms, bin_end_ms)
        return ["opens"] if _is_pending(life) else moves
    if life.state == "firing":
        return _while_firing(rule, life, condition, bin_end_ms)
    return _before_firing(rule, life, condition, bin_start_ms, bin_end_ms)


def write(rule: Rule, life: Life, moves: Sequence[Move], kept_by: Suppressed | None, *, at_ms: int) -> list[Written]:
    """Return the records that moves make, numbered, oldest first.

    Args:
        rule: the rule.
        life: the alert's, as it is after the moves; changed in place.
        moves: from `advance`.
        kept_by: what keeps the alert back now, of silences and inhibitions.
        at_ms: end of the bin.
    """
    found: list[Written] = []
    called = False
    if life.untold and "ends" in moves:
        moves = [move for move in moves if move != "rises"]  # nobody is called for what is over
    for move in moves:
        if move == "fires":
            life.untold, life.kept = True, None
        if move in ("fires", "rises"):
            called = True
            found.append(_call(rule, life, kept_by, at_ms))
        elif move == "cools":
            if life.kept is None:  # once, however often it would fire again
                life.kept = Suppressed(by="cooldown", what=rule.alert, until=from_ms(life.cooldown_until_ms))
                found.append(_numbered(life, "suppressed", kept=life.kept))
        elif move in ("ends", "fades"):
            found.append(end_of(life) if move == "ends" else _numbered(life, "inactive", kept=life.kept))
            life.kept, life.untold = None, False
        elif move == "opens":
            found.append(_numbered(life, "pending"))
        elif life.kept is None:  # of what is kept back only its end is said
            found.append(_numbered(life, "recovering" if move == "calms" else "firing", again=move == "returns"))
    if life.state == "firing" and life.kept is not None and not called:
        found += _call_later(rule, life, life.kept, kept_by, at_ms)
    return found


def end_of(life: Life) -> Written:
    """Return the record of the end of an alert that fires: for those who were told of it, in the words they know."""
    if life.untold:
        return _numbered(life, "inactive", kept=life.kept)
    life.severity = life.last_severity
    return _numbered(life, "resolved")


def _call(rule: Rule, life: Life, kept_by: Suppressed | None, at_ms: int) -> Written:
    """Somebody is called, unless something keeps the alert back. A cooldown counts from the first call."""
    life.kept = kept_by
    if kept_by is not None:
        return _numbered(life, "suppressed", kept=kept_by)
    if life.untold:
        life.cooldown_until_ms = at_ms + rule.cooldown.for_ms
    life.untold = False
    life.last_severity = life.severity
    return _numbered(life, "firing")


def _call_later(rule: Rule, life: Life, kept: Suppressed, kept_by: Suppressed | None, at_ms: int) -> list[Written]:
    """Of an alert that was kept back and still fires: something else keeps it back now, or nothing does."""
    is_calm = life.calm_since_ms is not None
    # A story is as new in a calm minute as in any other: without more of its kind all minutes after it are calm.
    if is_calm and not (rule.type == "novelty" and life.untold):
        return []
    if kept_by is not None and (kept_by.by, kept_by.what) == (kept.by, kept.what):
        life.kept = kept_by  # it may last longer now
        return []
    found = [_call(rule, life, kept_by, at_ms)]
    if is_calm and kept_by is None:
        found.append(_numbered(life, "recovering"))
    return found


def _numbered(life: Life, state: AlertState, *, again: bool = False, kept: Suppressed | None = None) -> Written:
    life.transition += 1
    return Written(state, life.transition, life.severity, again, kept)


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


def _before_firing(rule: Rule, life: Life, condition: Condition, bin_start_ms: int, bin_end_ms: int) -> list[Move]:
    """Of a pending alert, and of one that a cooldown keeps back."""
    if not condition.fires:
        life.holding_since_ms = None
        if condition.holds and not (life.state == "suppressed" and _is_calm(rule, life, condition, bin_end_ms)):
            return []
        life.state = "inactive"
        return ["fades"] if life.transition >= 0 else []
    life.calm_since_ms = None
    if life.holding_since_ms is None:
        life.holding_since_ms = bin_start_ms
    if bin_end_ms - life.holding_since_ms < rule.for_ms:
        return []
    life.severity = condition.severity
    if bin_end_ms <= life.cooldown_until_ms and not _breaks_cooldown(rule, life, condition):
        life.suppressed += 1
        life.state = "suppressed"
        life.holding_since_ms = None
        return ["cools"]
    life.state = "firing"
    life.fired_ms = bin_end_ms
    return ["fires"]


def _breaks_cooldown(rule: Rule, life: Life, condition: Condition) -> bool:
    return rule.cooldown.unless == "severity_increases" and outranks(condition.severity, life.last_severity)


def _is_calm(rule: Rule, life: Life, condition: Condition, bin_end_ms: int) -> bool:
    """Whether it has been calm for long enough to be over."""
    if not condition.calm:
        life.calm_since_ms = None
        return False
    if life.calm_since_ms is None:
        life.calm_since_ms = bin_end_ms
    return bin_end_ms - life.calm_since_ms >= rule.keep_firing_for_ms


def _while_firing(rule: Rule, life: Life, condition: Condition, bin_end_ms: int) -> list[Move]:
    moves: list[Move] = []
    was_calm = life.calm_since_ms is not None
    if outranks(condition.severity, life.severity):
        life.severity = condition.severity
        moves.append("rises")
    if _is_calm(rule, life, condition, bin_end_ms):
        life.state = "inactive"
        moves.append("ends")
    elif condition.calm and (moves or not was_calm):
        moves.append("calms")
    elif not condition.calm and was_calm and not moves:
        moves.append("returns")
    return moves
