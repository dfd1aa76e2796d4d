"""The counts of the first tier's own audit."""

from __future__ import annotations

from models.cache import CachedScorer, PredictionCache
from models.first_tier import TieredScorer
from models.swap import SwappableScorer
from models.testing import FakeClassifier
from streams.watch.tier import AuditCounts, tiered
from tests.models.first_tier.toy_tier import proven_curve, toy_tier


def audited(level: float = 0.9) -> TieredScorer:
    """A tier that finds "ruin" negative and legal; the network behind it takes it for neutral commentary."""
    return TieredScorer(FakeClassifier(), toy_tier(proven_curve()), level=level, audit_share=1.0)


def test_the_tier_is_found_behind_the_memory_and_the_swap() -> None:
    tier = audited()
    assert tiered(SwappableScorer(CachedScorer(tier, PredictionCache(10)))) is tier
    assert tiered(SwappableScorer(FakeClassifier())) is None


def test_each_audited_text_counts_once() -> None:
    tier, counts = audited(), AuditCounts()
    tier.predict(["ruin", "perhaps"])
    assert counts.since(tier) == (0, 1)
    assert counts.since(tier) == (0, 0)
    tier.predict(["boon"])
    assert sum(counts.since(tier)) == 1


def test_another_model_is_counted_from_its_begin() -> None:
    one, other, counts = audited(), audited(), AuditCounts()
    one.predict(["ruin"])
    other.predict(["ruin", "boon", "flat"])
    assert sum(counts.since(one)) == 1
    assert sum(counts.since(other)) == 3
    assert counts.since(None) == (0, 0)
