"""What the report's tests share: a finished run that never was, on companies that do not exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from streams.records import Alert, Baseline, Counterfactual, Evidence, EvidenceMessage, Observed, Quality
from streams.replay.report import Facts, Figures, ReportData, ReportOptions
from streams.replay.results import TimelinePoint

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
RULES = """rules:
  - alert: Surge
    type: spike
    margin: 0.1
    fire: {arl: 30d}  # <script>alert("rules")</script> & more
"""
HOSTILE = "</script><script>document.title = 'broken out'</script><img src=x onerror=\"document.title='broken out'\">"


def message(number: int = 0, **changes: Any) -> EvidenceMessage:
    """A story about trouble that nobody has."""
    values: dict[str, Any] = {
        "message_id": f"wire:{number}",
        "text": f"Quillmark halts its ferries for week {number}",
        "source": "wire",
        "published_at": START + 9 * HOUR,
        "negative": 0.91,
        "contribution": 0.4,
        "copies": 1,
        "story": f"s{number}",
        "topic": "company-news",
        "author": "Ada Fenwick",
    }
    return EvidenceMessage(**{**values, **changes})


def evidence(at: datetime, **changes: Any) -> Evidence:
    """What an alert at that time rests on."""
    values: dict[str, Any] = {
        "signal": "negative_share",
        "observed": Observed(
            share=0.78,
            low=0.61,
            high=0.89,
            votes=12.0,
            messages=31,
            stories=12,
            sources=5,
            authors=9,
            window_start=at - HOUR,
            window_end=at,
        ),
        "baseline": Baseline(share=0.24, low=0.22, high=0.27, margin=0.1, votes=412.0, warm=True),
        "e_value": 86_400.0,
        "threshold": 43_200.0,
        "in_words": "by chance, a rise like this comes at most once in about 60 days at this company",
        "onset": at - HOUR,
        "delay_s": 3600.0,
        "topics": {"legal": 0.7, "company-news": 0.3},
        "counterfactual": Counterfactual(e_value=51_000.0, fires=True),
        "messages": (message(1), message(2, contribution=0.2, copies=7, url="https://quill.example/ferries?a=1&b=2")),
        "quality": Quality(late=0, truncated=0, clamped=0, capped=0, warm=True),
    }
    return Evidence(**{**values, **changes})


def transition(name: str, state: str, at: datetime, number: int, **changes: Any) -> Alert:
    """One record of an alert's life."""
    fired = at if state == "firing" else at - HOUR if state == "resolved" else None
    values: dict[str, Any] = {
        "id": name,
        "transition": number,
        "state": state,
        "severity": "warning",
        "rule": "Surge",
        "rule_version": "0123456789ab",
        "labels": {"alertname": "Surge", "entity": "QLMK"},
        "annotations": {"name": "Quillmark Ferries", "summary": "Quillmark Ferries (QLMK): 78 % are negative"},
        "at": at,
        "starts_at": at - HOUR,
        "evidence": evidence(at),
        "versions": {"squall": "0.1.0", "model": "small@3"},
        "replay": "squall replay kafka: --as-scored --entity QLMK --to 2026-03-03T09:00:00Z",
        "fired_at": fired,
        "ends_at": at if state in ("resolved", "inactive") else None,
    }
    return Alert(**{**values, **changes})


def life(name: str, at: datetime, **changes: Any) -> list[Alert]:
    """An alert that is pending, fires at the time given, and is over two hours later."""
    over = transition(name, "resolved", at + 2 * HOUR, 2, **changes)
    return [
        transition(name, "pending", at - HOUR / 2, 0, **changes),
        transition(name, "firing", at, 1, **changes),
        msgspec.structs.replace(over, fired_at=at),
    ]


def of_company(entity: str, name: str | None = None) -> dict[str, Any]:
    """Changes that make a transition one of another company."""
    annotations = {"name": name} if name else {}
    return {"labels": {"alertname": "Surge", "entity": entity}, "annotations": annotations}


def hours(entity: str, count: int, *, every: int = 1, start: datetime = START) -> Iterator[TimelinePoint]:
    """A company's timeline: an hour of four votes, one of them negative, every so many hours."""
    for number in range(0, count, every):
        yield TimelinePoint(
            entity=entity,
            at=start + number * HOUR,
            mentions=6,
            votes=4,
            negative=1.0 + (number % 7) / 10,
            baseline=0.25,
            low=0.22,
            high=0.29,
            margin=0.06,
        )


def report(alerts: Sequence[Alert] = (), *, days: int = 14, **changes: Any) -> ReportData:
    """A report on two companies over so many days."""
    timeline = [*hours("QLMK", 24 * days), *hours("BRYN", 24 * days, every=5)]
    values: dict[str, Any] = {
        "facts": Facts(
            source="history.csv",
            parts=("history.csv, sha256 77aa",),
            input_hash="00ff00ff00ff00ff",
            scoring="scored again",
            first_event=START,
            last_event=START + days * DAY - timedelta(minutes=1),
            rules_version="ba9876543210",
            models=("small@3",),
            command="squall replay history.csv --out run",
        ),
        "figures": Figures(
            mentions_read=sum(point.mentions for point in timeline),
            companies=2,
            late=0,
            duplicates=0,
            suppressed=0,
            bad={},
        ),
        "names": {"QLMK": "Quillmark Ferries"},
        "timeline": timeline,
        "alerts": list(alerts),
        "rules_text": RULES,
        "versions": {"Squall": "0.1.0", "rule Surge": "0123456789ab"},
        "options": ReportOptions(),
    }
    return ReportData(**{**values, **changes})
