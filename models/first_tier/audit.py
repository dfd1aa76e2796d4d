"""Whether a tier keeps its level on the texts that really come: a sample of what it is sure of is asked of the network.

The proof of a threshold is about texts like those that it was counted on, and a stream may be of another kind, or
become so. So a share of the texts that a tier is sure of goes to the network all the same, and the two are compared.
Against "at most 1 - level disagree" runs a likelihood ratio test that may be looked at after every text: if the level
is kept, the ratio ever reaches 1 / risk with a probability of at most `risk` (Ville, "Etude critique de la notion de
collectif", 1939; Wald's test, 1945, with one side of it used).
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace

AUDIT_SHARE = 0.05
"""Share of the texts that a tier is sure of that the network answers: a twentieth of what the tier saves."""
AUDIT_RISK = 0.001

_FACTOR = 3.0
"""The ratio is that of three times as many disagreements as the level allows, where it finds trouble soonest."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What the comparison has come to.

    Attributes:
        level: agreement that is to be kept, above 0 and below 1.
        risk: probability that a level that is kept is called broken.
        compared, errors: texts that both have answered, and those on which their labels are not the same.
        evidence: logarithm of the likelihood ratio.
        broken: whether it has ever reached 1 / risk.
    """

    level: float
    risk: float = AUDIT_RISK
    compared: int = 0
    errors: int = 0
    evidence: float = 0.0
    broken: bool = False

    def add(self, agrees: bool) -> Audit:
        """Return the audit after one more text."""
        expected = 1.0 - self.level
        feared = min(_FACTOR * expected, (1.0 + expected) / 2)
        ratio = (1.0 - feared) / (1.0 - expected) if agrees else feared / expected
        evidence = self.evidence + math.log(ratio)
        return replace(
            self,
            compared=self.compared + 1,
            errors=self.errors + (not agrees),
            evidence=evidence,
            broken=self.broken or evidence >= -math.log(self.risk),
        )


def is_audited(text: str, share: float) -> bool:
    """Whether a text belongs to the sample; that follows from the text alone, so that a replay takes the same."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) < share * 2**32
