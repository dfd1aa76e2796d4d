"""The audit calls a level broken when it is, soon, and hardly ever when it is kept, however often one looks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.first_tier.audit import Audit, is_audited


def after(audit: Audit, generator: np.random.Generator, rate: float, most: int) -> Audit:
    """Return the audit when it broke, or after the most texts."""
    for wrong in generator.random(most) < rate:
        audit = audit.add(not wrong)
        if audit.broken:
            break
    return audit


@pytest.mark.parametrize("level", [0.9, 0.97, 0.99])
def test_a_level_that_is_just_kept_is_called_broken_no_more_often_than_the_risk_says(level: float) -> None:
    generator = np.random.default_rng(4)
    broken = sum(after(Audit(level, risk=0.1), generator, 1 - level, 1_500).broken for _ in range(150))
    assert broken <= 150 * (0.1 + 4 * (0.1 * 0.9 / 150) ** 0.5)


def test_a_broken_level_is_found_within_a_few_hundred_texts() -> None:
    generator = np.random.default_rng(5)
    runs = [after(Audit(0.99), generator, 0.05, 3_000) for _ in range(30)]
    assert all(audit.broken for audit in runs)
    assert np.median([audit.compared for audit in runs]) < 400


def test_what_is_broken_stays_so() -> None:
    audit = Audit(0.99)
    for _ in range(10):
        audit = audit.add(False)
    assert (audit.compared, audit.errors, audit.broken) == (10, 10, True)
    for _ in range(2_000):
        audit = audit.add(True)
    assert audit.broken
    assert audit.evidence < 0


@given(st.floats(0.01, 0.999), st.lists(st.booleans(), max_size=50))
def test_evidence_rises_with_errors_alone(level: float, answers: list[bool]) -> None:
    audit = Audit(level)
    for agrees in answers:
        following = audit.add(agrees)
        assert (following.evidence > audit.evidence) == (not agrees)
        audit = following
    assert (audit.compared, audit.errors) == (len(answers), answers.count(False))


@settings(deadline=None)
@given(st.text(st.characters()))
def test_the_sample_follows_from_the_text_alone(text: str) -> None:
    assert is_audited(text, 0.3) == is_audited(text, 0.3)
    assert is_audited(text, 1.0)
    assert not is_audited(text, 0.0)
    assert is_audited(text, 0.5) or not is_audited(text, 0.3)


def test_the_sample_is_as_large_as_asked_for() -> None:
    assert 0.03 < np.mean([is_audited(f"text {place}", 0.05) for place in range(5_000)]) < 0.07
