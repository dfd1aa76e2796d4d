"""Invented alerts: to try templates with, and for `squall notify test`. Nobody is to take them for real ones. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from streams import __version__
from streams.records import (
    Alert,
    Baseline,
    Counterfactual,
    Evidence,
    EvidenceMessage,
    Observed,
    Quality,
)

TEST_RULE = "squall-test"
TEST_ENTITY = "SQUALL-TEST"
_SOME_TIME = datetime(2026, 3, 18, 10, 4, tzinfo=UTC)


def invented_alerts(at: datetime = _SOME_TIME, *, id_: str = "0123456789abcdef") -> tuple[Alert, Alert]:
    """Return an alert that fires and its end, both marked as a test in every text.

    Args:
        at: when it fires, UTC; it ends a minute later in its records' own time.
        id_: of the alert.
    """
    begin = at - timedelta(minutes=60)
    message = EvidenceMessage(
        message_id="squall-test:1",
        text="This is a test of Squall's delivery. Nothing has happened, and nothing is to be done.",
        source="squall-test",
        author="squall notify test",
        published_at=at - timedelta(minutes=20),
        negative=0.9,
        contribution=0.6,
        copies=2,
        story="test",
        topic="company-news",
    )
    evidence = Evidence(
        signal="negative_share",
        observed=Observed(
            share=0.6,
            low=0.5,
            high=0.7,
            votes=10.0,
            messages=12,
            stories=10,
            sources=3,
            authors=9,
            window_start=begin,
            window_end=at,
        ),
        baseline=Baseline(share=0.2, low=0.15, high=0.25, margin=0.1, votes=200.0, warm=True),
        e_value=50_000.0,
        threshold=43_200.0,
        in_words="this is a test, and says nothing about any company",
        onset=at - timedelta(minutes=50),
        delay_s=3_000.0,
        topics={"company-news": 1.0},
        counterfactual=Counterfactual(e_value=40_000.0, fires=False),
        messages=(message,),
        quality=Quality(late=1, truncated=0, clamped=0, capped=0, warm=False),
    )
    firing = Alert(
        id=id_,
        transition=0,
        state="firing",
        severity="info",
        rule=TEST_RULE,
        rule_version="test",
        labels={"alertname": TEST_RULE, "entity": TEST_ENTITY},
        annotations={"name": "TEST of Squall's delivery"},
        at=at,
        starts_at=begin,
        evidence=evidence,
        versions={"squall": __version__, "model": "none"},
        replay="squall notify test",
        fired_at=at,
    )
    end = at + timedelta(minutes=1)
    resolved = Alert(
        id=id_,
        transition=1,
        state="resolved",
        severity="info",
        rule=TEST_RULE,
        rule_version="test",
        labels=firing.labels,
        annotations=firing.annotations,
        at=end,
        starts_at=begin,
        evidence=evidence,
        versions=firing.versions,
        replay=firing.replay,
        fired_at=at,
        ends_at=end,
    )
    return firing, resolved
