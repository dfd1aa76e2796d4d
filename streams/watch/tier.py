"""What the first tier's own audit has found, as counts that only ever grow.

The audit is the tiered scorer's (`models.first_tier.audit`): a share of what the linear tier is sure of is answered by
the network instead, and the two are compared. Here its counts are only read; each model in use begins its own anew.
"""

from __future__ import annotations

from models.first_tier import TieredScorer
from models.prediction import Scorer


def tiered(scorer: Scorer) -> TieredScorer | None:
    """Return the tiered scorer inside of scorers that stand before it, or None if there is none."""
    inner: object | None = scorer
    while inner is not None and not isinstance(inner, TieredScorer):
        inner = getattr(inner, "scorer", None)
    return inner


class AuditCounts:
    """Reads what has been compared since the last look."""

    def __init__(self) -> None:
        self._scorer: TieredScorer | None = None
        self._compared = self._errors = 0

    def since(self, scorer: TieredScorer | None) -> tuple[int, int]:
        """Return how many texts agreed and differed since the last look; another scorer is counted from its begin."""
        if scorer is not self._scorer:
            self._scorer, self._compared, self._errors = scorer, 0, 0
        if scorer is None:
            return 0, 0
        figures = scorer.figures
        compared, errors = figures.audited - self._compared, figures.audit_errors - self._errors
        self._compared, self._errors = figures.audited, figures.audit_errors
        return compared - errors, errors
