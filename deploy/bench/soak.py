"""Whether a worker can run for long: steady load, event time many times faster than the clock, and memory looked at.

Companies, authors and stories come and go, companies surge, messages come twice or are no JSON. Event time runs
`speed` times as fast as the clock, so that bins, stories, remembered ids and the day's memory of a company have had
their time many times over within the run: what is kept for longer than it is needed shows as memory that grows. What
grows by design up to a bound (remembered texts) gets a small bound, which is reached while it warms up. So is the
memory that full batches take, which the allocators then keep: the run begins with a backlog, or else a stall of the
machine in its midst would bring the first full batches, and look like a leak.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deploy.bench.accounts import Accounts, account
from deploy.bench.feed import everyday_companies, surging_companies
from deploy.bench.figures import Figure
from deploy.bench.mixed_feed import Habits, MixedFeed
from deploy.bench.offer import Stretch, offer, publish_rows
from deploy.bench.rig import SQUALL, Note, WorkerProcess, cluster, rig
from deploy.bench.sampling import Sample, Sampler, slope_per_h
from streams.config import Settings

_ROTATING = 400
"""Companies that come and go, beside the sixty of every day; one in four of all is spoken of at a time."""
_BY_THEN = 0.8
"""Of the warm-up has passed when the last company appears, and when the last one surges for the first time."""
_SURGES = 2_000
"""Messages from one surge to the next."""
_REMEMBERED = 5_000
_SLOWEST_PER_S = 20.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and what is still flat.

    Attributes:
        minutes: how long.
        rate_per_s: messages per second.
        speed: seconds of event time in a second.
        warm_up: share of the time in which memory may grow.
        most_mib_per_h: slope after it that is still called flat.
        sample_s: time between two looks.
        backlog: messages that wait at the beginning.
    """

    minutes: float = 30.0
    rate_per_s: float = 300.0
    speed: float = 720.0
    warm_up: float = 1 / 3
    most_mib_per_h: float = 30.0
    sample_s: float = 30.0
    backlog: int = 8_192


@dataclass(frozen=True, slots=True)
class SoakRun:
    """What came of it.

    Attributes:
        plan: what was planned.
        samples: of the worker while messages came.
        topic: name of the messages topic.
        alerts: transitions that the monitor wrote.
        accounts: of all messages.
    """

    plan: Plan
    samples: Sequence[Sample]
    topic: str
    alerts: int
    accounts: Accounts

    @property
    def settled(self) -> list[Sample]:
        """The samples after the warm-up."""
        if not self.samples:
            return []
        from_s = self.samples[0].at_s + self.plan.minutes * 60 * self.plan.warm_up
        return [sample for sample in self.samples if sample.at_s >= from_s]

    @property
    def mib_per_h(self) -> float:
        """Slope of the memory after the warm-up. Raises ValueError if there are too few samples."""
        return slope_per_h([(sample.at_s, sample.rss_mib) for sample in self.settled])

    @property
    def is_flat(self) -> bool:
        """Whether memory, threads and files have stopped growing, and nothing was lost."""
        settled = self.settled
        return (
            self.mib_per_h <= self.plan.most_mib_per_h
            and settled[-1].threads <= settled[0].threads + 2
            and settled[-1].files <= settled[0].files + 8
            and self.accounts.is_complete
        )


def run(settings: Settings, plan: Plan, *, note: Note = lambda line: None, worker: Sequence[str] = SQUALL) -> SoakRun:
    """Let a worker run, and tell of each look at it.

    Raises:
        SquallError: the broker or the worker fails, with the end of its log.
    """
    companies = everyday_companies() + surging_companies(_ROTATING)
    # Every company has been there before the warm-up ends: a company that is new is new state, and no leak.
    moves_on_after = max(1, int(plan.rate_per_s * plan.minutes * 60 * plan.warm_up * _BY_THEN / len(companies)))
    # So has every company that surges at all: an alert keeps its evidence for as long as it fires.
    surging = max(1, int(plan.rate_per_s * plan.minutes * 60 * plan.warm_up * _BY_THEN / _SURGES))
    habits = Habits(
        at_once=len(companies) // 4, copies=20, surges=_SURGES, surging=surging, moves_on_after=moves_on_after
    )
    feed = MixedFeed(companies, run="soak", habits=habits)
    seconds = plan.minutes * 60
    event_s = seconds * plan.speed
    start = datetime.now(UTC) - timedelta(seconds=event_s + plan.backlog / plan.rate_per_s * plan.speed + 3600)

    def event_time(number: int) -> datetime:
        return start + timedelta(seconds=number / plan.rate_per_s * plan.speed)

    days = event_s / 86_400
    note(f"{plan.rate_per_s:g} messages/s for {plan.minutes:g} min, in which {days:.1f} days of event time pass")
    with (
        cluster(settings, note) as current,
        rig(
            current,
            companies,
            watched=[company.symbol for company in companies[:10]],
            sections={
                "classifier": {"first_tier": True, "remembered_texts": _REMEMBERED},
                "watch": {"remembered_answers": _REMEMBERED},
            },
            command=worker,
        ) as one,
    ):
        topic = one.settings.topics.messages
        with one.worker("all") as process:
            process.wait_ready()
            note(f"A backlog of {plan.backlog:,} messages first")
            rows = (feed.row(number, event_time(number)) for number in range(plan.backlog))
            publish_rows(one.settings, topic, one.settings.topics.message_partitions, rows)
            _wait_until_read(process, plan.backlog)
            began_s = time.time()

            def told(sample: Sample) -> None:
                note(line(sample, topic, sample.at_s - began_s))

            with Sampler(process, every_s=plan.sample_s, told=told) as sampler:
                done = offer(
                    one.settings,
                    lambda number: feed.row(number, event_time(number)),
                    Stretch(plan.rate_per_s, seconds),
                    first=plan.backlog,
                    lump_s=0.2,
                )
            _wait_until_read(process, done.last)
            after = process.metrics()
        return SoakRun(
            plan=plan,
            samples=tuple(sampler.samples),
            topic=topic,
            alerts=round(after.get("squall_alerts_total", 0)),
            accounts=account(one.settings, feed, done.last, after),
        )


def _wait_until_read(process: WorkerProcess, count: int) -> None:
    process.wait(
        lambda: process.metrics().get("squall_messages_total", 0) >= count,
        "not all messages were read",
        120 + count / _SLOWEST_PER_S,
    )


def line(sample: Sample, topic: str, at_s: float) -> str:
    """Return what one look at the worker shows, for a person."""
    return (
        f"{at_s / 60:5.1f} min  {sample.rss_mib:8,.1f} MiB  {sample.threads:3} threads  {sample.files:3} files  "
        f"lag {sample.waiting(topic):6,.0f}  {sample.total('squall_messages_total'):9,.0f} messages  "
        f"{sample.total('squall_entities'):5,.0f} companies  {sample.total('squall_alerts_total'):4,.0f} alerts"
    )


def soak_figures(found: SoakRun) -> list[Figure]:
    """Return the figures. Raises ValueError if the run was too short for a slope."""
    plan, settled = found.plan, found.settled
    first, last = settled[0], settled[-1]
    accounts = found.accounts
    return [
        Figure(
            name="memory grows by",
            value=round(found.mib_per_h, 2),
            unit="MiB/h",
            against=f"flat is at most {plan.most_mib_per_h:g}",
            ratio=found.mib_per_h / plan.most_mib_per_h,
            note=f"least squares over {len(settled)} samples of the last {1 - plan.warm_up:.0%} of the time",
        ),
        Figure(
            name="memory",
            value=round(last.rss_mib, 1),
            unit="MiB",
            against=f"after the warm-up {first.rss_mib:,.0f}",
            ratio=last.rss_mib / first.rss_mib,
            note=f"at the start {found.samples[0].rss_mib:,.0f}, at its highest "
            f"{max(sample.rss_mib for sample in found.samples):,.0f}",
        ),
        Figure(name="threads", value=last.threads, unit="", against=f"{first.threads}"),
        Figure(name="open files", value=last.files, unit="", against=f"{first.files}"),
        Figure(
            name="lag at its highest",
            value=max(sample.waiting(found.topic) for sample in settled),
            unit="messages",
        ),
        Figure(name="alert transitions", value=found.alerts, unit=""),
        Figure(
            name="accounted for",
            value=sum(accounts.counted.values()),
            unit="messages",
            against=f"published {sum(accounts.expected.values()):,}",
            ratio=sum(accounts.counted.values()) / max(1, sum(accounts.expected.values())),
            note=f"{accounts.missing_ids} missing, {accounts.second_copies} twice",
        ),
    ]
