"""The pipeline's dashboard: how fast messages become alerts, and what is in the way."""

from __future__ import annotations

from deploy.grafana.dashboards.board import INSTANCE, Board, Row, instance_variable
from deploy.grafana.dashboards.panels import (
    GREEN,
    RED,
    YELLOW,
    ZERO_IS_GOOD,
    Panel,
    Query,
    figure,
    lines,
    or_word,
    or_zero,
    quantile,
    states,
)

_JOB = 'job=~"$job"'
_RATE = "[$__rate_interval]"
_OBJECTIVE = ((None, "transparent"), (0.01, RED))
_FIVE_S = ((None, "transparent"), (5, RED))


def pipeline() -> Board:
    """Return the dashboard."""
    return Board(
        uid="squall-pipeline",
        title="Squall: Pipeline",
        description="For those who run Squall: flow, lag, latency, batches, the monitor, and the workers themselves.",
        variables=[instance_variable()],
        rows=[
            Row("At a glance", _glance()),
            Row("Flow", _flow()),
            Row("Latency", _latency()),
            Row("Scoring", _scoring()),
            Row("Monitor", _monitor()),
            Row("Workers", _workers()),
        ],
        since="now-3h",
    )


def _glance() -> list[Panel]:
    return [
        figure(
            "Workers",
            "Workers that answer Prometheus. Fewer than you run: SquallWorkerDown.",
            Query(or_zero(f"count(up{{{_JOB}}} == 1)")),
            width=3,
            steps=((None, RED), (1, GREEN)),
        ),
        figure(
            "Messages a second",
            "Read in the last minutes. 0 on a live feed: either it is silent or the scorers are.",
            Query(f"sum(rate(squall_messages_total{{{INSTANCE}}}{_RATE}))"),
            unit="cps",
            width=3,
        ),
        figure(
            "Records waiting",
            "The lag of both topics. A few hundred are on their way; thousands that grow are not: SquallLagGrows.",
            Query(f"sum(max by (topic, partition) (squall_waiting_records{{{_JOB}}}))"),
            width=3,
            steps=((None, GREEN), (1000, YELLOW), (100_000, RED)),
        ),
        figure(
            "Slowest messages",
            "99 of 100 messages became mentions faster than this. The objective is 5 s.",
            Query(or_zero(f"{quantile(0.99, 'squall_message_to_mention_seconds', selector=INSTANCE)} >= 0")),
            unit="s",
            width=3,
            steps=((None, GREEN), (2, YELLOW), (5, RED)),
        ),
        figure(
            "Scores",
            "Degraded: a worker is overloaded, and the first tier alone answers for companies on no watch list.",
            Query(or_zero(f"max(squall_overloaded{{{INSTANCE}}})")),
            width=3,
            words={"0": "full", "1": "DEGRADED"},
            steps=((None, GREEN), (1, RED)),
        ),
        figure(
            "Refused",
            "Share of messages that go to the dead letters. More than 1 %: SquallDeadLetters.",
            Query(
                or_zero(
                    f"sum(rate(squall_dead_letters_total{{{INSTANCE}}}{_RATE}))"
                    f" / sum(rate(squall_messages_total{{{INSTANCE}}}{_RATE})) >= 0"
                )
            ),
            unit="percentunit",
            width=3,
            steps=((None, GREEN), (0.01, YELLOW), (0.2, RED)),
        ),
        figure(
            "Bins closed up to",
            "How far the slowest partition's watermark is behind the clock: monitor.allowed_lateness_s and a minute "
            "on a live feed. More: a feed partition, or the monitor, holds bins open. In a replay it is the age of "
            "the data.",
            Query(f"time() - min(max by (partition) (squall_watermark_seconds{{{_JOB}}}))"),
            unit="s",
            width=3,
            steps=((None, GREEN), (600, YELLOW), (1800, RED)),
        ),
        figure(
            "Mentions lost",
            "Mentions of the last day that retention deleted before a monitor read them. Any is one too many.",
            Query(or_zero(f"sum(increase(squall_monitor_passed_over_total{{{_JOB}}}[1d]))")),
            width=3,
            steps=ZERO_IS_GOOD,
            decimals=0,
        ),
    ]


def _flow() -> list[Panel]:
    return [
        lines(
            "Messages by outcome",
            "Mentioned: they speak of a company. Unlinked: of none that is known. Repeated: an id that was seen. "
            "Refused: to the dead letters. A new share of refused or unlinked follows a change at a publisher.",
            Query(f"sum by (outcome) (rate(squall_messages_total{{{INSTANCE}}}{_RATE}))", "{{outcome}}"),
            unit="cps",
            stacked=True,
        ),
        lines(
            "Records waiting",
            "The lag of each topic. It may jump; worry where it does not come down again.",
            Query(f"sum by (topic) (max by (topic, partition) (squall_waiting_records{{{_JOB}}}))", "{{topic}}"),
        ),
        lines(
            "Time to work off what waits",
            "Records waiting over the present rate. Ten minutes: SquallLagNotDraining.",
            Query(
                or_zero(
                    f'sum(max by (topic, partition) (squall_waiting_records{{{_JOB}, topic=~".+[.]messages"}}))'
                    f" / (sum(rate(squall_messages_total{{{_JOB}}}{_RATE})) > 0)"
                ),
                "messages",
            ),
            Query(
                or_zero(
                    f'sum(max by (topic, partition) (squall_waiting_records{{{_JOB}, topic=~".+[.]mentions"}}))'
                    f" / (sum(rate(squall_monitor_records_total{{{_JOB}}}{_RATE})) > 0)"
                ),
                "mentions",
            ),
            unit="s",
            width=8,
            limits=((None, "transparent"), (600, RED)),
        ),
        lines(
            "Silence by source",
            "How long ago each source's last message arrived. A line that climbs while it usually does not: "
            "SquallSourceSilent.",
            Query(f"time() - max by (source) (squall_last_message_seconds{{{_JOB}}})", "{{source}}"),
            unit="s",
            width=8,
        ),
        lines(
            "Dead letters by reason",
            "squall dead-letters list shows them. newer_schema: a publisher or a worker was upgraded before the "
            "others.",
            Query(
                or_word(f"sum by (reason) (rate(squall_dead_letters_total{{{INSTANCE}}}{_RATE}))", "reason", "none"),
                "{{reason}}",
            ),
            unit="cps",
            width=8,
            stacked=True,
        ),
    ]


def _latency() -> list[Panel]:
    return [
        lines(
            "Message to mention",
            "From a message's arrival at Kafka to the acknowledgement of its mentions. Objective: 99 of 100 within 5 "
            "s.",
            *(
                Query(
                    or_zero(f"{quantile(share, 'squall_message_to_mention_seconds', selector=INSTANCE)} >= 0"),
                    f"{share:.0%}",
                )
                for share in (0.5, 0.95, 0.99)
            ),
            unit="s",
            width=8,
            limits=_FIVE_S,
        ),
        lines(
            "Record to alert",
            "From the arrival of the record that closes a bin to its alert's acknowledgement. Alerts are few; 0 where "
            "there was none. Objective: 99 of 100 within 5 s.",
            *(
                Query(
                    or_zero(f"{quantile(share, 'squall_published_to_alerted_seconds', selector=INSTANCE)} >= 0"),
                    f"{share:.0%}",
                )
                for share in (0.5, 0.95)
            ),
            unit="s",
            width=8,
            limits=_FIVE_S,
        ),
        lines(
            "Time of a step",
            "95 of 100 batches take less than this in each step. prepare, score and deliver are the scorer's; absorb "
            "and save the monitor's. Long deliver or save: look at the brokers.",
            Query(
                f"{quantile(0.95, 'squall_step_seconds', by='step', selector=INSTANCE)} >= 0",
                "{{step}}",
            ),
            unit="s",
            width=8,
        ),
        lines(
            "Late messages against the objective",
            "Share of messages that took longer than 5 s, over an hour and six hours. Above the line the budget of 30 "
            "days is used up faster than it grows; at 14 and at 6 times the line somebody is called.",
            *(
                Query(
                    or_zero(
                        f'1 - sum(rate(squall_message_to_mention_seconds_bucket{{{_JOB}, le="5.0"}}[{window}]))'
                        f" / sum(rate(squall_message_to_mention_seconds_count{{{_JOB}}}[{window}])) >= 0"
                    ),
                    window,
                )
                for window in ("1h", "6h")
            ),
            unit="percentunit",
            width=24,
            height=6,
            limits=_OBJECTIVE,
        ),
    ]


def _scoring() -> list[Panel]:
    return [
        lines(
            "What answers",
            "Texts a second by what answered: the network (transformer), the first tier (linear), or memory. Linear "
            "alone: overload.",
            Query(f"sum by (answer) (rate(squall_scored_total{{{INSTANCE}}}{_RATE}))", "{{answer}}"),
            unit="cps",
            stacked=True,
        ),
        lines(
            "Quick scores and reposts",
            "Share of texts with only the quick score of overload, and of texts that were found in memory.",
            Query(
                or_zero(
                    f"sum(rate(squall_degraded_total{{{INSTANCE}}}{_RATE}))"
                    f" / sum(rate(squall_scored_total{{{INSTANCE}}}{_RATE})) >= 0"
                ),
                "quick score",
            ),
            Query(
                or_zero(
                    f'sum(rate(squall_cache_lookups_total{{{INSTANCE}, outcome="hit"}}{_RATE}))'
                    f" / sum(rate(squall_cache_lookups_total{{{INSTANCE}}}{_RATE})) >= 0"
                ),
                "from memory",
            ),
            unit="percentunit",
            maximum=1,
        ),
        lines(
            "Batch size",
            "Messages scored together. At worker.batch_messages all the time: the scorer has more than it can do.",
            *(
                Query(or_zero(f"{quantile(share, 'squall_batch_messages', selector=INSTANCE)} >= 0"), f"{share:.0%}")
                for share in (0.5, 0.95)
            ),
            width=6,
        ),
        lines(
            "Token fill",
            "Median share of a forward pass that is text and not padding. Below 0.8 for long: batches hold texts of "
            "too different lengths; larger ones help.",
            Query(or_zero(f"{quantile(0.5, 'squall_batch_token_fill', selector=INSTANCE)} >= 0"), "median"),
            unit="percentunit",
            width=6,
            maximum=1,
        ),
        lines(
            "Tokens a second",
            "What the network works through, padding left out. It bounds how many messages are scored.",
            Query(f"sum by (instance) (rate(squall_batch_tokens_total{{{INSTANCE}}}{_RATE}))", "{{instance}}"),
            unit="cps",
            width=6,
        ),
        lines(
            "Texts remembered",
            "Answers in memory, for reposts; bounded by classifier.remembered_texts.",
            Query(f"sum by (instance) (squall_remembered_texts{{{INSTANCE}}})", "{{instance}}"),
            width=6,
        ),
        lines(
            "Batches that wait for a stage",
            "2 for long: this stage is the bottleneck, and the ones before it are held back.",
            Query(f"avg by (stage) (avg_over_time(squall_queue_depth{{{INSTANCE}}}{_RATE}))", "{{stage}}"),
            width=8,
            maximum=2,
        ),
        lines(
            "Taken ahead",
            "Messages on watched companies that were scored before their turn while others waited. Above 0: overload, "
            "and the watch list is being looked after.",
            Query(f"sum(rate(squall_taken_ahead_total{{{INSTANCE}}}{_RATE}))", "messages"),
            unit="cps",
            width=8,
        ),
        states(
            "Degraded",
            "When a worker gave quick scores to companies on no watch list, as messages waited longer than "
            "classifier.degrade_after_s.",
            Query(f"max by (instance) (squall_overloaded{{{INSTANCE}}})", "{{instance}}"),
            {"0": "full scores", "1": "quick scores"},
            width=8,
        ),
    ]


def _monitor() -> list[Panel]:
    return [
        lines(
            "Watermark age by partition",
            "How far each partition's closed bins are behind the clock. One that climbs alone: SquallWatermarkStuck.",
            Query(f"time() - max by (partition) (squall_watermark_seconds{{{_JOB}}})", "partition {{partition}}"),
            unit="s",
            width=8,
        ),
        lines(
            "Mentions by outcome",
            "Counted; repeated (read again after a crash, harmless); late (further behind the feed than "
            "monitor.allowed_lateness_s: kept, without a vote).",
            Query(f"sum by (outcome) (rate(squall_monitor_records_total{{{INSTANCE}}}{_RATE}))", "{{outcome}}"),
            unit="cps",
            width=8,
            stacked=True,
        ),
        lines(
            "Bins open, companies remembered",
            "Minutes of companies that have not closed, and companies with state. Both level off; open bins that only "
            "grow go with a watermark that stands still.",
            Query(f"sum(squall_bins_open{{{INSTANCE}}})", "bins open"),
            Query(f"sum(squall_entities{{{INSTANCE}}})", "companies"),
            width=8,
        ),
    ]


def _workers() -> list[Panel]:
    return [
        lines(
            "Processor",
            "Cores in use by each worker. All of them, and lag grows: add workers or a GPU.",
            Query(f"rate(process_cpu_seconds_total{{{INSTANCE}}}{_RATE})", "{{instance}}"),
            width=6,
        ),
        lines(
            "Memory",
            "Resident memory. It rises while caches fill, then is flat; if not: SquallMemoryGrows.",
            Query(f"process_resident_memory_bytes{{{INSTANCE}}}", "{{instance}}"),
            unit="bytes",
            width=6,
        ),
        lines(
            "Memory of GPUs",
            "Reserved share of each GPU's memory. Above 95 %: SquallGpuMemory. One flat 0: no worker has a GPU.",
            Query(
                or_word(
                    f'squall_gpu_memory_bytes{{{INSTANCE}, kind="reserved"}}'
                    f' / on (job, instance, device) squall_gpu_memory_bytes{{{INSTANCE}, kind="total"}}',
                    "device",
                    "no GPU",
                ),
                "{{instance}} {{device}}",
            ),
            unit="percentunit",
            width=6,
            maximum=1,
        ),
        lines(
            "Open file descriptors",
            "Share of those that a worker may open. Above 80 %: SquallFileDescriptors.",
            Query(f"process_open_fds{{{INSTANCE}}} / process_max_fds{{{INSTANCE}}}", "{{instance}}"),
            unit="percentunit",
            width=6,
            maximum=1,
        ),
    ]
