"""How long it takes until all is as before: after a worker was killed, its state was deleted, the broker restarted.

What is measured, and how:

- **A worker is killed** (SIGKILL) in the middle of a backlog and started again at once, as an orchestrator does. Until
  it is *ready* (it has its partitions and its state, the model is loaded), until it *goes on* (the first mention after
  the kill), and until the backlog is worked off; every message must be accounted for. Once without
  `worker.instance_id`: Kafka then gives the partitions away only after `worker.session_timeout_s`; and once with it.
- **The broker is restarted** under a worker in the middle of a backlog: from when it answers again until the first
  mention after it, and all is accounted for.
- **The state is deleted**: see `deploy.bench.recovery_state`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deploy.bench.accounts import Accounts, account
from deploy.bench.feed import everyday_companies
from deploy.bench.figures import Figure
from deploy.bench.mixed_feed import MixedFeed
from deploy.bench.offer import publish_rows
from deploy.bench.recovery_state import StateRun, delete_state
from deploy.bench.rig import SQUALL, Note, Rig, WorkerProcess, own_broker, rig
from deploy.kafka import LocalBroker
from streams.config import Settings
from streams.errors import InputError

_INSTANCE = "bench"
_SLOWEST_PER_S = 20.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much.

    Attributes:
        repeats: runs of each; the median counts.
        backlog: messages that wait when a worker is killed.
        companies: numbers of companies whose state is deleted.
        days: of history that they have.
        mentions_per_day: of each.
    """

    repeats: int = 3
    backlog: int = 6_000
    companies: tuple[int, ...] = (500, 5_000)
    days: int = 5
    mentions_per_day: int = 12


@dataclass(frozen=True, slots=True)
class Interruption:
    """One interruption; seconds from when the worker was started again, or the broker answered again.

    Attributes:
        ready_s: until the worker was ready.
        on_s: until it wrote a mention.
        done_s: until it had worked off what waited.
        left: messages that waited at the interruption.
        accounts: of all messages.
    """

    ready_s: float
    on_s: float
    done_s: float
    left: int
    accounts: Accounts


def run(
    settings: Settings, plan: Plan, *, note: Note = lambda line: None, worker: Sequence[str] = SQUALL
) -> list[Figure]:
    """Measure, and return the figures.

    Raises:
        InputError: a cluster is named; the broker that is restarted must be one's own.
        SquallError: the broker or a worker fails, with the end of its log.
    """
    if not settings.uses_local_broker:
        raise InputError(
            "squall bench recovery restarts the broker: unset kafka.bootstrap_servers, and it starts its own"
        )
    figures: list[Figure] = []
    with own_broker(settings, note) as (current, broker):
        kinds = (("worker killed", None, None), ("worker killed, with instance_id", _INSTANCE, None))
        for name, instance, restarted in (*kinds, ("broker restarted", None, broker)):
            found = []
            for number in range(plan.repeats):
                note(f"{name}, {number + 1} of {plan.repeats}")
                found.append(interrupt(current, plan, instance=instance, broker=restarted, worker=worker))
            figures += interruption_figures(name, found)
        for count in plan.companies:
            note(f"State of {count:,} companies with {plan.days} days of history: made, deleted, recovered")
            run_of = delete_state(
                current, count, days=plan.days, per_day=plan.mentions_per_day, repeats=plan.repeats, worker=worker
            )
            figures += state_figures(run_of)
    return figures


def interrupt(
    settings: Settings,
    plan: Plan,
    *,
    instance: str | None = None,
    broker: LocalBroker | None = None,
    worker: Sequence[str] = SQUALL,
) -> Interruption:
    """Interrupt a worker in the middle of a backlog, and let it work that off.

    Args:
        settings: for the cluster.
        plan: how much.
        instance: `worker.instance_id`.
        broker: is restarted; None kills the worker.
        worker: how to start `squall`.
    """
    companies = everyday_companies()
    feed = MixedFeed(companies, run="recovery")
    start = datetime.now(UTC) - timedelta(seconds=plan.backlog)
    with rig(settings, companies, sections={"worker": {"instance_id": instance}}, command=worker) as one:
        topics = one.settings.topics
        rows = (feed.row(number, start + timedelta(seconds=number)) for number in range(plan.backlog))
        publish_rows(one.settings, topics.messages, topics.message_partitions, rows)
        with one.worker("all") as process:
            process.wait_ready()
            _wait_until_read(process, plan.backlog // 4)
            before = round(process.metrics()["squall_messages_total"])
            if broker is not None:
                broker.stop()
                broker.start()
                return _finish(one, process, feed, plan, time.monotonic(), done_before=before)
            process.kill()
        began_s = time.monotonic()
        with one.worker("all") as process:
            return _finish(one, process, feed, plan, began_s, left=plan.backlog - before)


def _finish(
    one: Rig,
    process: WorkerProcess,
    feed: MixedFeed,
    plan: Plan,
    began_s: float,
    *,
    done_before: int = 0,
    left: int | None = None,
) -> Interruption:
    process.wait_ready()
    ready_s = time.monotonic() - began_s
    _wait_until_read(process, done_before + 1)
    on_s = time.monotonic() - began_s
    topic = one.settings.topics.messages

    def worked_off() -> bool:
        waiting = [value for name, value in process.metrics().items() if "squall_waiting" in name and topic in name]
        return bool(waiting) and not sum(waiting)

    process.wait(worked_off, "the backlog is not worked off", 60 + plan.backlog / _SLOWEST_PER_S)
    return Interruption(
        ready_s=ready_s,
        on_s=on_s,
        done_s=time.monotonic() - began_s,
        left=plan.backlog - done_before if left is None else left,
        accounts=account(one.settings, feed, plan.backlog, process.metrics()),
    )


def _wait_until_read(process: WorkerProcess, count: int) -> None:
    process.wait(
        lambda: process.metrics().get("squall_messages_total", 0) >= count,
        f"{count:,} messages were not read",
        60 + count / _SLOWEST_PER_S,
    )


def interruption_figures(name: str, found: Sequence[Interruption]) -> list[Figure]:
    """Return the figures of one kind of interruption: medians."""
    lost = sum(one.accounts.missing_ids for one in found)
    twice = sum(one.accounts.second_copies for one in found)
    complete = all(one.accounts.is_complete for one in found)
    spread = ", ".join(f"{one.ready_s:.1f}/{one.on_s:.1f}/{one.done_s:.1f}" for one in found)
    return [
        Figure(name=f"{name}: ready", value=round(statistics.median(one.ready_s for one in found), 1), unit="s"),
        Figure(name=f"{name}: goes on", value=round(statistics.median(one.on_s for one in found), 1), unit="s"),
        Figure(
            name=f"{name}: backlog worked off",
            value=round(statistics.median(one.done_s for one in found), 1),
            unit="s",
            note=f"{found[0].left:,} messages waited in the first run; each run: {spread} s; {lost} lost, {twice} "
            f"mentioned twice{'' if complete else '; NOT ALL ACCOUNTED FOR'}",
        ),
    ]


def state_figures(found: StateRun) -> list[Figure]:
    """Return the figures of one number of companies."""
    return [
        Figure(
            name=f"state of {found.companies:,} companies deleted: recovered",
            value=round(statistics.median(found.ready_s), 1),
            unit="s",
            note=f"each run: {', '.join(f'{seconds:.1f}' for seconds in found.ready_s)} s; with no state "
            f"{found.bare_s:.1f} s; the changelog of {found.mentions:,} mentions has {found.saved:,} records, "
            f"{found.saved_mib:,.1f} MiB",
        ),
        Figure(
            name=f"state of {found.companies:,} companies deleted: alerts as without",
            value=found.same,
            unit="transitions",
            against=f"{found.alerts}",
            ratio=found.same / found.alerts if found.alerts else None,
            note="byte for byte",
        ),
    ]
