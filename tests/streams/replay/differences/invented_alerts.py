"""Invented alerts: the transitions of one incident, with as much evidence as a comparison looks at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.records import Alert, Baseline, Evidence, Observed, Quality
from streams.records.alert import Severity

START = datetime(2026, 3, 2, tzinfo=UTC)


def minutes(count: float) -> datetime:
    """Return a time of the invented days, so many minutes after their start."""
    return START + timedelta(minutes=count)


def evidence(at: datetime, *, share: float = 0.7, stories: int = 12, usual: float = 0.25, **more: Any) -> Evidence:
    """Return evidence for something at a time."""
    observed = Observed(
        share=share,
        low=share - 0.1,
        high=share + 0.1,
        votes=float(stories),
        messages=more.get("messages", stories + 3),
        stories=stories,
        sources=4,
        authors=9,
        window_start=at - timedelta(minutes=40),
        window_end=at,
    )
    return Evidence(
        signal="negative_share",
        observed=observed,
        baseline=Baseline(share=usual, low=usual - 0.05, high=usual + 0.05, margin=0.12, votes=300.0, warm=True),
        e_value=more.get("e_value", 52_000.0),
        threshold=43_200.0,
        in_words="by chance, a rise like this comes at most once in about 36 days at this company",
        onset=at - timedelta(minutes=40),
        delay_s=2400.0,
        topics={"legal": 1.0},
        counterfactual=None,
        messages=(),
        quality=Quality(late=0, truncated=0, clamped=0, capped=0, warm=True),
    )


def incident(
    opened: float = 60,
    *,
    fired: float | None = 80,
    ended: float | None = 140,
    rule: str = "Surge",
    version: str = "v1",
    entity: str = "AURL",
    severity: Severity = "warning",
    rises: Sequence[tuple[float, Severity]] = (),
    **seen: Any,
) -> list[Alert]:
    """Return the transitions of one alert; times in minutes after the start.

    Args:
        opened: when it became pending.
        fired: when it fired; None if it never did.
        ended: when it was over; None if it never was.
        rule: its rule's name.
        version: its rule's version.
        entity: its company.
        severity: at its firing.
        rises: when its severity rose, and to what.
        seen: numbers of the evidence.
    """
    life: list[tuple[float, str, Severity]] = [(opened + 1, "pending", "info")]
    if fired is not None:
        life += [(fired, "firing", severity), *((at, "firing", rise) for at, rise in rises)]
    if ended is not None:
        life += [(ended, "inactive" if fired is None else "resolved", rises[-1][1] if rises else severity)]
    identity = hashlib.sha256(f"{rule} {version} {entity} {opened}".encode()).hexdigest()[:16]
    fired_at = None if fired is None else minutes(fired)
    return [
        Alert(
            id=identity,
            transition=number,
            state=state,  # type: ignore[arg-type]
            severity=grave,
            rule=rule,
            rule_version=version,
            labels={"alertname": rule, "entity": entity},
            annotations={"name": f"{entity} Invented plc"},
            at=minutes(at),
            starts_at=minutes(opened),
            evidence=evidence(minutes(fired if fired is not None and state != "pending" else at), **seen),
            versions={"squall": "test", "model": "fake@1"},
            replay=f"squall replay --entity {entity}",
            fired_at=fired_at if state in ("firing", "resolved") else None,
            ends_at=minutes(at) if state in ("resolved", "inactive") else None,
        )
        for number, (at, state, grave) in enumerate(life)
    ]
