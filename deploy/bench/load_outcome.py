"""What the load bench found, as figures. Pure; `deploy.bench.load` says how it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from deploy.bench.accounts import Accounts
from deploy.bench.closing import Closing, closing_figures
from deploy.bench.figures import Figure, percentile
from deploy.bench.offer import Offered
from deploy.bench.sampling import Sample

_SLOW_MS = 1_000
"""A message that takes longer than this shows that the burst is not over yet."""
_STRETCHES = ("before", "during", "after")


class Delayed(NamedTuple):
    """One mention: when its message arrived and when it did, in Kafka's milliseconds."""

    arrived_ms: int
    mentioned_ms: int
    watched: bool
    degraded: bool


@dataclass(frozen=True, slots=True)
class LoadRun:
    """One run.

    Attributes:
        rate_per_s: the sustainable rate.
        stretches: what was published before, during and after the burst.
        samples: of the worker.
        delays: of all mentions.
        accounts: of all messages.
        topic: name of the messages topic.
        closings: of minutes, by the log.
    """

    rate_per_s: float
    stretches: Sequence[Offered]
    samples: Sequence[Sample]
    delays: Sequence[Delayed]
    accounts: Accounts
    topic: str
    closings: Sequence[Closing] = ()


def load_figures(found: LoadRun) -> list[Figure]:
    """Return the figures of a run."""
    before, burst, _ = found.stretches
    figures = [
        Figure(name="sustainable rate", value=round(found.rate_per_s, 1), unit="messages/s"),
        Figure(
            name="published in the burst",
            value=round(burst.per_s, 1),
            unit="messages/s",
            against="sustainable",
            ratio=burst.per_s / found.rate_per_s,
            note=f"{burst.last - burst.first:,} messages in {(burst.ended_ms - burst.began_ms) / 1000:.0f} s, "
            f"at most {burst.late_s:.2f} s after their time",
        ),
    ]
    figures += _lag_figures(found)
    figures += _delay_figures(found)
    figures += closing_figures(found.closings, list(zip(_STRETCHES, found.stretches, strict=True)))
    figures += _memory_figures(found, before.began_ms / 1000)
    figures += _account_figures(found)
    return figures


def _lag_figures(found: LoadRun) -> list[Figure]:
    _, burst, _ = found.stretches
    in_burst = [sample for sample in found.samples if burst.began_ms <= sample.at_s * 1000 <= burst.ended_ms]
    waiting = [sample.waiting(found.topic) for sample in found.samples]
    length_s = (burst.ended_ms - burst.began_ms) / 1000
    slow = [at.mentioned_ms for at in found.delays if at.mentioned_ms - at.arrived_ms > _SLOW_MS]
    done = sum(1 for at in found.delays if burst.began_ms <= at.mentioned_ms <= burst.ended_ms)
    overloaded = [sample for sample in found.samples if sample.total("squall_overloaded")]
    degraded = sum(at.degraded for at in found.delays)
    counted = found.samples[-1].total("squall_degraded_total") if found.samples else 0.0
    return [
        Figure(
            name="mentioned while it lasts",
            value=round(done / length_s, 1),
            unit="messages/s",
            against="sustainable",
            ratio=done / length_s / found.rate_per_s,
            note=f"us/message in the worker's steps, which overlap: {_steps(in_burst)}",
        ),
        Figure(
            name="lag at its highest",
            value=max(waiting, default=0.0),
            unit="messages",
            note=f"it grows by {_growth(in_burst, found.topic):,.0f} messages/s in the burst",
        ),
        Figure(
            name="recovered after the burst",
            value=round(max(0.0, (max(slow, default=burst.ended_ms) - burst.ended_ms) / 1000), 1),
            unit="s",
            note="until no message takes longer than a second any more",
        ),
        Figure(
            name="squall_overloaded is 1",
            value=len(overloaded),
            unit=f"of {len(found.samples)} samples",
            note="" if not overloaded else f"first {overloaded[0].at_s - burst.began_ms / 1000:.1f} s into the burst",
        ),
        Figure(
            name="mentions marked degraded",
            value=degraded,
            unit="mentions",
            note=f"squall_degraded_total: {counted:,.0f}; of watched companies "
            f"{sum(at.degraded for at in found.delays if at.watched):,}",
        ),
    ]


def _steps(samples: Sequence[Sample]) -> str:
    """Say what each step took per message, and the process in all."""
    if len(samples) < 2:
        return "not known"
    first, last = samples[0].metrics, samples[-1].metrics
    read = max(1.0, last.get("squall_messages_total", 0.0) - first.get("squall_messages_total", 0.0))
    prefix = "squall_step_seconds_sum{"
    names = {name[len(prefix) : -1]: name for name in last if name.startswith(prefix)}
    names["CPU"] = "process_cpu_seconds_total"
    return ", ".join(
        f"{words} {(last.get(name, 0.0) - first.get(name, 0.0)) / read * 1e6:,.0f}" for words, name in names.items()
    )


def _growth(samples: Sequence[Sample], topic: str) -> float:
    if len(samples) < 2:
        return 0.0
    first, last = samples[0], samples[-1]
    return (last.waiting(topic) - first.waiting(topic)) / max(1e-3, last.at_s - first.at_s)


def _delay_figures(found: LoadRun) -> list[Figure]:
    figures = []
    for watched, who in ((True, "watched"), (False, "the others")):
        calm_ms = 0.0
        for name, stretch in zip(_STRETCHES, found.stretches, strict=True):
            values = [
                at.mentioned_ms - at.arrived_ms
                for at in found.delays
                if at.watched is watched and stretch.began_ms <= at.arrived_ms < stretch.ended_ms
            ]
            if not values:
                continue
            p50, p99 = percentile(values, 50), percentile(values, 99)
            calm_ms = calm_ms or p99
            figures.append(
                Figure(
                    name=f"{who}, {name}: message to mention, p99",
                    value=p99,
                    unit="ms",
                    against="" if name == "before" else f"before {calm_ms:,.0f}",
                    ratio=None if name == "before" else p99 / max(1.0, calm_ms),
                    note=f"p50 {p50:,.0f} ms, longest {max(values):,} ms, of {len(values):,}",
                )
            )
    return figures


def _memory_figures(found: LoadRun, from_s: float) -> list[Figure]:
    _, burst, _ = found.stretches
    before = [at.rss_mib for at in found.samples if from_s <= at.at_s < burst.began_ms / 1000]
    during = [at.rss_mib for at in found.samples if burst.began_ms <= at.at_s * 1000]
    if not before or not during:
        return []
    calm = percentile(before, 50)
    return [
        Figure(
            name="memory at its highest",
            value=round(max(during), 1),
            unit="MiB",
            against=f"before the burst {calm:,.0f}",
            ratio=max(during) / calm,
            note=f"at the end {during[-1]:,.0f} MiB; {found.samples[-1].threads} threads, "
            f"{found.samples[-1].files} files",
        )
    ]


def _account_figures(found: LoadRun) -> list[Figure]:
    accounts = found.accounts
    published = sum(accounts.expected.values())
    counted = " + ".join(f"{number:,} {fate}" for fate, number in accounts.counted.items())
    return [
        Figure(
            name="accounted for",
            value=sum(accounts.counted.values()),
            unit="messages",
            against=f"published {published:,}",
            ratio=sum(accounts.counted.values()) / published,
            note=f"{counted}; on the topics {accounts.mentioned_ids:,} mentioned ({accounts.missing_ids} missing, "
            f"{accounts.second_copies} twice) and {accounts.refused_places:,} refused; "
            f"{'all agree' if accounts.is_exact else 'THEY DO NOT AGREE'}",
        )
    ]
