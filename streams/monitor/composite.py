"""Rules made of rules: "the share rises while the volume does, and nobody has spoken of a recall".

A part holds while its alert fires, also where a silence, an inhibition or a cooldown keeps it back, as that is about
calling somebody; and for `within` after it fired, whatever became of it since. All parts that stand
under `all`, one at least under `any` and none under `none` must hold. The rules that read bins go first and composites
after the rules that they are made of, so that what a bin brings about is seen in the same bin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

import msgspec

from streams.monitor.lifecycle import Condition, severity_of
from streams.monitor.method_states import Composed
from streams.monitor.reading import Reading
from streams.monitor.rules import Rule
from streams.monitor.run import Usual
from streams.monitor.state import RuleState, Run
from streams.records import Severity

_ORDER: tuple[Severity, ...] = get_args(Severity)
_STANDS = ("firing", "suppressed")


def in_order(rules: Iterable[Rule]) -> list[Rule]:
    """Return the composite rules, each after its parts; of those that do not hang on one another in file order."""
    left = {rule.alert: rule for rule in rules if rule.type == "composite"}
    found: list[Rule] = []
    while left:
        ready = [rule for rule in left.values() if not any(part in left for part in rule.parts)]
        for rule in ready or list(left.values()):  # a cycle is refused where rules are read
            found.append(rule)
            del left[rule.alert]
    return found


def cycle_of(rule: Rule, composites: Mapping[str, Rule]) -> list[str] | None:
    """Return the names on the way from a composite rule back to itself; None if there is no such way.

    Args:
        rule: the rule.
        composites: all composite rules of the file, by name.
    """
    seen: set[str] = set()
    ways = [[rule.alert, part] for part in rule.parts]
    while ways:
        way = ways.pop()
        if way[-1] == rule.alert:
            return way
        if way[-1] in composites and way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, part] for part in composites[way[-1]].parts]
    return None


def held_parts(rule: Rule, memories: Mapping[str, RuleState], *, end_ms: int) -> tuple[str, ...]:
    """Return the parts that hold at the end of a bin, in the order in which the rule names them."""
    return tuple(part for part in rule.parts if _holds(memories.get(part), within_ms=rule.within_ms, end_ms=end_ms))


def _holds(memory: RuleState | None, *, within_ms: int, end_ms: int) -> bool:
    if memory is None:
        return False
    life = memory.life
    return life.state in _STANDS or bool(within_ms and life.fired_ms and end_ms - life.fired_ms <= within_ms)


def is_met(rule: Rule, held: tuple[str, ...]) -> bool:
    """Whether what a composite asks for is there, these parts holding."""
    fire = rule.fire
    if not all(part in held for part in fire.all_) or any(part in held for part in fire.none):
        return False
    return not fire.any_ or any(part in held for part in fire.any_)


def read_bin(rule: Rule, memory: RuleState, memories: Mapping[str, RuleState], *, end_ms: int) -> Reading | None:
    """Step a composite rule over a closed bin, its parts having read it; None where its alert stays inactive.

    Args:
        rule: the rule.
        memory: its memory of the company; changed in place.
        memories: those of all rules, by name.
        end_ms: end of the bin.
    """
    held = held_parts(rule, memories, end_ms=end_ms)
    # What is not to hold is no reason for the alert.
    reasons = tuple(part for part in held if part not in rule.fire.none)
    if memory.life.state == "inactive" and not reasons:
        memory.composed = memory.run = None
        return None
    _remember(memory, memories, reasons)
    composed, met = memory.composed, is_met(rule, held)
    if composed is None or (memory.life.state == "inactive" and not met):
        return None
    shown = composed.evidence
    if memory.run is None:
        memory.run = Run(onset_ms=end_ms)
    memory.run.models = set(composed.models)
    effect = shown.observed.share - shown.baseline.share
    together = f"{' and '.join(reasons)} held together" if len(reasons) > 1 else f"{''.join(reasons) or 'it'} held"
    return Reading(
        condition=Condition(
            opens=met,
            holds=met,
            fires=met,
            calm=not met,
            severity=severity_of(rule, effect=effect, stories=shown.observed.stories),
        ),
        log_e=None,
        threshold=shown.threshold,
        against=Usual(shown.baseline.share, shown.baseline.margin),
        evidence=msgspec.structs.replace(shown, in_words=f"{together}; {shown.in_words}", parts=reasons),
    )


def _remember(memory: RuleState, memories: Mapping[str, RuleState], reasons: tuple[str, ...]) -> None:
    """Keep the evidence of the strongest part: the one of the highest severity, and of equal ones that named first."""
    kept = memory.composed
    if kept is not None and kept.part not in reasons:
        kept = None
    for part in reasons:
        found = memories[part]
        evidence = found.life.evidence
        if found.life.state not in _STANDS or evidence is None:
            continue
        rank = _ORDER.index(found.life.severity)
        if kept is None or kept.part == part or rank > kept.severity:
            models = sorted(found.run.models) if found.run is not None else []
            kept = Composed(part=part, severity=rank, evidence=evidence, models=models)
    if kept is not None:
        memory.composed = kept
