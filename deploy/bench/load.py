"""What a worker does under several times the load that it can sustain; and what those who are watched notice of it.

What is measured, and how:

- **The sustainable rate** is that of a worker of role `all` that works off a backlog at full quality, first tier on and
  no quick answers: mentions after the first batch over their time, as `deploy.bench.pipeline` has it. Or it is given.
- **The run.** A worker of role `all` with first tier, `classifier.degrade_after_s` and a watch list of some companies;
  a calm stretch at half the sustainable rate, the burst, and a calm stretch again. The publisher is an open loop, on
  the same machine: broker, publisher, worker and this bench share the cores.
- **Delay.** From a message's arrival at Kafka to its mention's, both by Kafka's clock; by the stretch in which the
  message arrived; watched companies apart.
- **Closing.** An alert is raised when its minute closes: how long minutes wait for that beyond the allowed lateness,
  those of watched companies apart (`deploy.bench.closing`).
- **Recovered** is when the last message that took longer than a second arrived as a mention, counted from the end of
  the burst.
- **Accounts.** Every message's fate is known beforehand (`deploy.bench.mixed_feed`), and all are looked for on the
  topics: the set of mentioned ids, and the refused records by the place that their dead letter names. What leaves
  nothing on a topic, the unlinked and the repeated, is counted by the worker, and all four must agree exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deploy.bench.accounts import account, read_mentions
from deploy.bench.closing import read_closings
from deploy.bench.feed import everyday_companies
from deploy.bench.figures import Figure
from deploy.bench.load_outcome import Delayed, LoadRun, load_figures
from deploy.bench.mixed_feed import MixedFeed
from deploy.bench.offer import Stretch, offer
from deploy.bench.rig import SQUALL, Note, WorkerProcess, cluster, rig
from deploy.bench.sampling import Sampler
from deploy.bench.timing import steady_rate
from streams.config import Settings
from streams.errors import InputError

_CALM = 0.5
"""Share of the sustainable rate before and after the burst."""
_WARM = Stretch(per_s=200.0, seconds=5.0)
"""The first batches of a process are slow, and no part of any stretch."""
_SLOWEST_PER_S = 20.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is offered.

    Attributes:
        rate_per_s: the sustainable rate; None finds it.
        factor: of that, in the burst.
        seconds: length of the burst.
        calm_s: length of the stretch before it, and of the one after it.
        watched: companies on the watch list, of 60.
        degrade_after_s: `classifier.degrade_after_s`.
        backlog: messages from which the sustainable rate is found.
        sample_s: time between two looks at the worker.
    """

    rate_per_s: float | None = None
    factor: float = 5.0
    seconds: float = 120.0
    calm_s: float = 60.0
    watched: int = 3
    degrade_after_s: float = 2.0
    backlog: int = 8_192
    sample_s: float = 1.0


def run(
    settings: Settings, plan: Plan, *, note: Note = lambda line: None, worker: Sequence[str] = SQUALL
) -> list[Figure]:
    """Measure, and return the figures.

    Args:
        settings: the user's; a named cluster is used, with topics that are taken away afterwards.
        plan: how much.
        note: told what is being done.
        worker: how to start `squall`.

    Raises:
        SquallError: the broker or a worker fails, with the end of its log.
    """
    with cluster(settings, note) as current:
        rate = plan.rate_per_s
        if rate is None:
            note(f"Finding the sustainable rate from a backlog of {plan.backlog:,} messages")
            rate = sustainable_rate(current, plan.backlog, worker)
        note(f"Sustainable: {rate:,.0f} messages/s; {plan.factor:g} times that for {plan.seconds:g} s")
        found = _burst(current, plan, rate, note, worker)
    return load_figures(found)


def sustainable_rate(settings: Settings, backlog: int, worker: Sequence[str] = SQUALL) -> float:
    """Return the messages per second at which a worker of role `all` works off a backlog at full quality."""
    feed = MixedFeed(everyday_companies(), run="backlog")
    start = datetime.now(UTC) - timedelta(seconds=backlog)
    options = {"first_tier": True, "degrade_after_s": None}
    with rig(settings, everyday_companies(), sections={"classifier": options}, command=worker) as one:
        at_once = Stretch(per_s=1e6, seconds=backlog / 1e6)
        offer(one.settings, lambda number: feed.row(number, start + timedelta(seconds=number)), at_once)
        with one.worker("all") as process:
            process.wait_ready()
            _wait_until_read(process, backlog)
        mentions = [(mention.scored_at, record.timestamp) for record, mention in read_mentions(one.settings)]
        try:
            return steady_rate(mentions)
        except ValueError as error:
            raise InputError(str(error)) from error


def _burst(current: Settings, plan: Plan, rate: float, note: Note, worker: Sequence[str]) -> LoadRun:
    companies = everyday_companies()
    watched = [company.symbol for company in companies[: plan.watched]]
    feed = MixedFeed(companies, run="load")
    options = {"first_tier": True, "degrade_after_s": plan.degrade_after_s}
    calm = Stretch(rate * _CALM, plan.calm_s)
    with rig(current, companies, watched=watched, sections={"classifier": options}, command=worker) as one:
        with one.worker("all") as process:
            process.wait_ready()
            stretches = []
            first = 0
            with Sampler(process, every_s=plan.sample_s) as sampler:
                for stretch in (_WARM, calm, Stretch(rate * plan.factor, plan.seconds), calm):
                    note(f"{stretch.per_s:,.0f} messages/s for {stretch.seconds:g} s")
                    done = offer(one.settings, lambda number: feed.row(number, datetime.now(UTC)), stretch, first=first)
                    stretches.append(done)
                    first = done.last
                note("Waiting until all is done")
                _wait_until_read(process, first)
            after = process.metrics()
        note("Counting")
        return LoadRun(
            rate_per_s=rate,
            stretches=tuple(stretches[1:]),
            samples=tuple(sampler.samples),
            delays=_delays(one.settings),
            accounts=account(one.settings, feed, first, after),
            topic=one.settings.topics.messages,
            closings=read_closings(one.settings),
        )


def _wait_until_read(process: WorkerProcess, count: int) -> None:
    """Wait until a worker has said of each of so many messages what became of it."""
    process.wait(
        lambda: process.metrics().get("squall_messages_total", 0) >= count,
        f"not all of {count:,} messages were read",
        120 + count / _SLOWEST_PER_S,
    )


def _delays(settings: Settings) -> list[Delayed]:
    return [
        Delayed(
            arrived_ms=round(mention.received_at.timestamp() * 1000),
            mentioned_ms=record.timestamp,
            watched=mention.watched,
            degraded=mention.degraded is True,
        )
        for record, mention in read_mentions(settings)
    ]
