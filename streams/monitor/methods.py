"""What a rule reads off a closed bin beside the share e-detector and the plain share (`streams.monitor.detect`)."""

from __future__ import annotations

from streams.monitor import counted, novel, scored, threshold
from streams.monitor.reading import Reading
from streams.monitor.rules import Rule
from streams.monitor.state import RuleState
from streams.monitor.tally import Tally


def read_bin(rule: Rule, state: RuleState, tally: Tally, usual: float) -> Reading | None:
    """Step one rule over one closed bin, changing `state` in place; None where its alert is inactive and stays so.

    Args:
        rule: the rule, whose type is not composite.
        state: its memory of the entity.
        tally: the bin; not empty.
        usual: the usual share of negative stories, which the evidence shows.
    """
    if rule.type == "novelty":
        return novel.read_bin(rule, state, tally, usual)
    if rule.method == "return_period":
        return counted.read_bin(rule, state, tally, usual)
    if rule.method == "zscore":
        return scored.read_bin(rule, state, tally, usual)
    return threshold.read_bin(rule, state, tally, usual)
