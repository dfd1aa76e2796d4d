"""What the pipeline bench found, as figures. Pure; `deploy.bench.pipeline` says how it was measured."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.bench.alone import Alone
from deploy.bench.figures import Figure, percentile
from deploy.bench.timing import Delay

AIM = 0.85
"""The pipeline's share of the classifier's rate, at least."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """What a worker of one role did with the backlog."""

    role: str
    per_s: float
    """Messages per second, from `squall.messages` to `squall.mentions`."""
    mean_batch: float
    step_s: dict[str, float]
    """Seconds per message in each step; steps overlap."""
    cpu_s: float
    """CPU seconds of the worker per message; 0 where that is not known."""


@dataclass(frozen=True, slots=True)
class Live:
    """What a worker did with the live feed."""

    per_s: float
    """Messages per second that were published."""
    surges: int
    delays: list[Delay]
    mentioned_ms: list[int]
    """From each message's arrival to its mention's."""


def alone_figures(alone: Alone, repeats: int) -> list[Figure]:
    """The figures of the classifier alone."""
    note = f"{alone.model}; {alone.mean_tokens:.1f} tokens a message; {alone.cpu_s_per_message * 1e6:,.0f} us CPU each"
    return [
        Figure(
            name=f"classifier alone, best of {repeats}",
            value=round(alone.best_per_s, 1),
            unit="messages/s",
            against=f"median {alone.median_per_s:,.0f}",
            ratio=alone.best_per_s / alone.median_per_s,
            note=note,
        )
    ]


def throughput_figures(found: Throughput, alone: Alone) -> list[Figure]:
    """The figures of one role: its rate against the classifier alone, and where the rest goes."""
    name = f"pipeline, role {found.role}"
    in_all_us, alone_us = 1e6 / found.per_s, 1e6 / alone.median_per_s
    score_us = found.step_s["score"] * 1e6
    steps = ", ".join(f"{step} {seconds * 1e6:,.0f}" for step, seconds in sorted(found.step_s.items()))
    figures = [
        Figure(
            name=name,
            value=round(found.per_s, 1),
            unit="messages/s",
            against=f"classifier alone (median) {alone.median_per_s:,.0f}; aim {AIM:.2f}",
            ratio=found.per_s / alone.median_per_s,
            note=f"batches of {found.mean_batch:,.0f}",
        ),
        Figure(
            name=f"{name}: the classifier is slower",
            value=round(score_us - alone_us, 1),
            unit="us/message",
            against=f"classifier alone {alone_us:,.0f}",
            ratio=(score_us - alone_us) / alone_us,
            note="others use the cores and the interpreter",
        ),
        Figure(
            name=f"{name}: the classifier waits",
            value=round(in_all_us - score_us, 1),
            unit="us/message",
            against=f"classifier alone {alone_us:,.0f}",
            ratio=(in_all_us - score_us) / alone_us,
            note=f"steps, us/message, overlapping: {steps}",
        ),
    ]
    if found.cpu_s:
        figures.append(
            Figure(
                name=f"{name}: CPU of the worker",
                value=round(found.cpu_s * 1e6, 1),
                unit="us/message",
                against=f"classifier alone {alone.cpu_s_per_message * 1e6:,.0f}",
                ratio=found.cpu_s / alone.cpu_s_per_message,
                note="without Kafka's own",
            )
        )
    return figures


def live_figures(found: Live) -> list[Figure]:
    """The figures of the live feed."""
    fired = len(found.delays)
    figures = [
        Figure(
            name="live: surges that fired",
            value=fired,
            unit="alerts",
            against=f"{found.surges} surges",
            ratio=fired / found.surges if found.surges else None,
            note=f"feed of {found.per_s:.0f} messages/s, allowed lateness 0 s",
        )
    ]
    parts = (
        ("published to alerted, service", [delay.service_ms for delay in found.delays], "from the bin's closing on"),
        ("published to alerted, waiting", [delay.waiting_ms for delay in found.delays], "for the end of the minute"),
        ("published to alerted, in all", [delay.waiting_ms + delay.service_ms for delay in found.delays], ""),
        ("published to mentioned", found.mentioned_ms, f"{len(found.mentioned_ms):,} messages"),
    )
    for name, values_ms, note in parts:
        if not values_ms:
            continue
        p50, p99 = percentile(values_ms, 50), percentile(values_ms, 99)
        figures.append(Figure(name=f"live: {name}, p50", value=p50, unit="ms", note=note))
        figures.append(
            Figure(
                name=f"live: {name}, p99",
                value=p99,
                unit="ms",
                against=f"p50 {p50:,.0f}",
                ratio=p99 / p50 if p50 else None,
                note=f"of {len(values_ms):,}",
            )
        )
    return figures
