"""What a rule read off a bin in which its alert may change: the condition, and what the evidence is made of."""

from __future__ import annotations

from typing import NamedTuple

from streams.monitor.lifecycle import Condition
from streams.monitor.run import Tested, Usual
from streams.records import Evidence, Measure


class Reading(NamedTuple):
    """What a rule read off a bin in which its alert may change, for the evidence."""

    condition: Condition
    log_e: float | None
    """Log of the e-value; None for a rule without one."""
    threshold: float
    against: Usual
    tested: Tested | None = None
    """What a threshold rule tested; an e-detector tests the run."""
    measure: Measure | None = None
    """What a rule of another signal or method measured."""
    in_words: str | None = None
    """How unusual it is; None: as the e-value says."""
    signal: str | None = None
    """None: the rule's."""
    evidence: Evidence | None = None
    """composite: the evidence, which is that of a part."""
    is_over: bool = False
    """novelty: this ends an alert of an older story, and what the bin holds is to be read after that."""
