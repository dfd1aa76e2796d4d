"""One invented alert with all its evidence, and variations of it, for every test that needs an alert at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from streams.records import (
    Alert,
    Baseline,
    Counterfactual,
    Evidence,
    EvidenceMessage,
    Observed,
    Quality,
)

AT = datetime(2026, 3, 18, 10, 4, tzinfo=UTC)

STORIES = (
    EvidenceMessage(
        message_id="newswire-1:881",
        text="Brindlemoor Foods pulls three frozen lines after glass is found in a Corrin Bay plant",
        source="newswire-1",
        author="Ines Vallor",
        published_at=AT - timedelta(minutes=41),
        negative=0.97,
        contribution=0.31,
        copies=4,
        story="9f0c",
        topic="company-news",
    ),
    EvidenceMessage(
        message_id="chirp:12",
        text="$BRMFD again?? second recall this year, I am out",
        source="chirp",
        author="@dusty_heron",
        published_at=AT - timedelta(minutes=20),
        negative=0.91,
        contribution=0.22,
        copies=1,
        story="77aa",
        topic="commentary",
    ),
)

EVIDENCE = Evidence(
    signal="negative_share",
    observed=Observed(
        share=0.62,
        low=0.51,
        high=0.72,
        votes=39.0,
        messages=57,
        stories=41,
        sources=5,
        authors=33,
        window_start=AT - timedelta(minutes=60),
        window_end=AT,
    ),
    baseline=Baseline(share=0.24, low=0.21, high=0.27, margin=0.12, votes=480.0, warm=True),
    e_value=51_200.0,
    threshold=43_200.0,
    in_words="by chance, a rise like this comes at most once in about 36 days at this company",
    onset=AT - timedelta(minutes=52),
    delay_s=3_120.0,
    topics={"company-news": 0.7, "commentary": 0.27, "macro": 0.03},
    counterfactual=Counterfactual(e_value=44_000.0, fires=True),
    messages=STORIES,
    quality=Quality(late=0, truncated=0, clamped=0, capped=0, warm=True),
)

ALERT = Alert(
    id="a1b2c3d4e5f60718",
    transition=1,
    state="firing",
    severity="critical",
    rule="negative-surge",
    rule_version="5f2e",
    labels={"alertname": "negative-surge", "entity": "BRMFD", "sector": "Consumer Staples"},
    annotations={"name": "Brindlemoor Foods"},
    at=AT,
    starts_at=AT - timedelta(minutes=10),
    fired_at=AT,
    evidence=EVIDENCE,
    versions={"squall": "0.1.0", "model": "minilm-2"},
    replay="squall replay --entity BRMFD --from 2026-03-18T09:04:00Z --to 2026-03-18T10:04:00Z",
)


def sample_alert(**changes: Any) -> Alert:
    """Return the alert with some fields changed.

    Args:
        changes: fields of the alert, or of its evidence by their own names. A dictionary changes single fields of a
            part of the evidence: `observed={"share": 0.3}`.
    """
    inner = {name: changes.pop(name) for name in list(changes) if name in Evidence.__struct_fields__}
    for name, value in inner.items():
        part = getattr(EVIDENCE, name)
        is_part = isinstance(value, dict) and isinstance(part, msgspec.Struct)
        inner[name] = msgspec.structs.replace(part, **value) if is_part else value
    return msgspec.structs.replace(ALERT, evidence=msgspec.structs.replace(EVIDENCE, **inner), **changes)
