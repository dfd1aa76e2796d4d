"""What /metrics shows of scoring and monitoring; delivery has counters of its own (`streams.deliver.metrics`).

`deploy/docs/METRICS.md` tells of each what it means and what to do with it; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Literal, NamedTuple, get_args

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streams.monitor import RuleSet
from streams.records import AlertState, KeptBackBy
from streams.records.dead_letter import REASONS

# When a counter was born is asked by nobody, and would double the number of series.
disable_created_metrics()  # type: ignore[no-untyped-call]

WORKER = Gauge("squall_worker_info", "1; what runs here", ["version", "role", "compiled"])

MESSAGES = Counter(
    "squall_messages_total", "Messages read, by outcome: mentioned, unlinked, repeated, refused", ["outcome"]
)
DEAD_LETTERS = Counter("squall_dead_letters_total", "Records refused, by reason", ["reason"])
MENTIONS = Counter("squall_mentions_total", "Mentions written")
BATCH_MESSAGES = Histogram(
    "squall_batch_messages", "Messages scored together", buckets=(1, 4, 16, 64, 128, 256, 512, 1024, 4096)
)
STEP_SECONDS = Histogram(
    "squall_step_seconds",
    "Time of one step for one batch",
    ["step"],
    buckets=(0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60),
)
MENTION_DELAY = Histogram(
    "squall_message_to_mention_seconds",
    "From a message's arrival at Kafka to the acknowledgement of its mentions, by message",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
LAST_MESSAGE = Gauge(
    "squall_last_message_seconds",
    "When a source's last readable message arrived at Kafka, as Unix time",
    ["source"],
)
BATCH_FILL = Histogram(
    "squall_batch_token_fill",
    "Share of a forward pass that is text and not padding, 0 to 1",
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1),
)
BATCH_TOKENS = Counter("squall_batch_tokens_total", "Tokens of text that went through the network, padding left out")
QUEUE_DEPTH = Gauge(
    "squall_queue_depth",
    "Batches that a stage has not begun with: one that waits for it, one held up in the stage before; at most 2",
    ["stage"],
)
TRUNCATED = Counter("squall_truncated_total", "Mentions whose text the classifier read only in part")
MODEL = Gauge("squall_model_info", "1 for the model in use, 0 for those before it", ["name", "version"])
MODEL_SWAPS = Counter("squall_model_swaps_total", "Models exchanged under way, by outcome: done, failed", ["outcome"])
RULES = Gauge("squall_rules_info", "1 for the rules in force, 0 for those before them", ["name", "version"])
SILENCES = Gauge("squall_silences_active", "Silences in force by the clock, as of the last one that came")
SILENCES_REFUSED = Counter(
    "squall_silences_refused_total", "Silences that came and cannot be applied: they silence nothing"
)
RULES_RELOADS = Counter(
    "squall_rules_reloads_total", "Rules exchanged under way, by outcome: done, failed", ["outcome"]
)
SCORED = Counter("squall_scored_total", "Texts scored, by what answered: transformer, linear, memory", ["answer"])
DEGRADED = Counter("squall_degraded_total", "Texts that had only the quick score that is given under overload")
ABSTAINED = Counter("squall_abstained_total", "Texts whose likeliest sentiment is too unsure to be acted on")
OVERLOADED = Gauge("squall_overloaded", "1 while quick scores are given to what is not on a watch list")
TAKEN_AHEAD = Counter(
    "squall_taken_ahead_total", "Messages on watched companies that were scored before their turn, as others waited"
)
REMEMBERED = Gauge("squall_remembered_texts", "Answers in memory, for reposts")
WAITING = Gauge("squall_waiting_records", "Records that are not done: the lag", ["topic", "partition"])
ABSORBED = Counter(
    "squall_monitor_records_total", "Mentions absorbed, by outcome: counted, repeated, late", ["outcome"]
)
PASSED_OVER = Counter(
    "squall_monitor_passed_over_total", "Mentions that were gone, or passed over, before the monitor could read them"
)
SEEDS = Counter(
    "squall_seeded_baselines_total",
    "Baselines that `squall warm` sent, by outcome: taken, fresher, alert_open, other_rule",
    ["outcome"],
)
SUPPRESSED = Counter(
    "squall_alerts_suppressed_total",
    "Alerts that were kept back, by what kept them: cooldown, silence, inhibition",
    ["by"],
)
ALERTS = Counter("squall_alerts_total", "Alert transitions written", ["rule", "state", "severity"])
WATERMARK = Gauge("squall_watermark_seconds", "Event time up to which bins are closed, as Unix time", ["partition"])
ALERT_DELAY = Histogram(
    "squall_published_to_alerted_seconds",
    "From the arrival of the mention that closed the bin to its alert's delivery to Kafka",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 300),
)


class Family(NamedTuple):
    """A metric whose samples are put together as a whole, so that none is left of a company that has moved away."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"

    def made_of(self, samples: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
        """Return the metric with samples: label values and number of each."""
        make = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        made = make(self.name, self.help, labels=self.labels)
        for values, number in samples:
            made.add_metric(values, number)
        return made


CACHE_LOOKUPS = Family(
    "squall_cache_lookups_total",
    "Texts looked up among those remembered, by outcome: hit, miss",
    ("outcome",),
    "counter",
)
GPU_MEMORY = Family(
    "squall_gpu_memory_bytes",
    "Memory of a CUDA device: allocated by tensors, reserved by this process, total",
    ("device", "kind"),
)
BINS_OPEN = Family("squall_bins_open", "Minutes of companies that hold mentions and have not closed", ("partition",))
ENTITIES = Family("squall_entities", "Companies of which something is remembered", ("partition",))
ALERTS_OPEN = Family(
    "squall_alerts_open",
    "Alerts that are open now, by state: pending, firing, recovering, suppressed",
    ("rule", "state"),
)
COMPANY = Family(
    "squall_company_info", "1 for a company of a watch list that is monitored here", ("entity", "name", "sector")
)
COMPANY_SHARE = Family(
    "squall_company_negative_share",
    "Mean P(negative) of a company's votes in the last hour of event time, 0 to 1; watch list only",
    ("entity",),
)
COMPANY_VOTES = Family(
    "squall_company_votes", "Votes of a company in the last hour of event time; watch list only", ("entity",)
)
COMPANY_USUAL = Family(
    "squall_company_usual_share",
    "Negative share that is usual for a company now, by the first spike rule or else the first rule; watch list only",
    ("entity",),
)
COMPANY_MENTIONS = Family(
    "squall_company_mentions_total",
    "Mentions of a company in bins that have closed, copies included; watch list only",
    ("entity",),
    "counter",
)
COMPANY_ALERT = Family(
    "squall_company_alert", "1 while an alert of a company is firing; watch list only", ("entity", "rule", "severity")
)
SECTOR_SHARE = Family(
    "squall_sector_negative_share",
    "Mean P(negative) of the votes of a sector's companies in the last hour of event time, 0 to 1",
    ("sector",),
)
SECTOR_VOTES = Family(
    "squall_sector_votes", "Votes of a sector's companies in the last hour of event time", ("sector",)
)
SECTOR_MENTIONS = Family(
    "squall_sector_mentions_total",
    "Mentions of a sector's companies in bins that have closed, copies included",
    ("sector",),
    "counter",
)


def begin_scoring() -> None:
    """Let what a scorer counts stand at 0: of a series that begins with 1 Prometheus does not see the step."""
    for outcome in ("mentioned", "unlinked", "repeated", "refused"):
        MESSAGES.labels(outcome)
    for answer in ("transformer", "linear", "memory"):
        SCORED.labels(answer)
    for outcome in ("done", "failed"):
        MODEL_SWAPS.labels(outcome)
    for reason in sorted(REASONS):
        DEAD_LETTERS.labels(reason)


def begin_monitoring(rules: RuleSet) -> None:
    """The same for a monitor with these rules."""
    for outcome in ("counted", "repeated", "late"):
        ABSORBED.labels(outcome)
    for outcome in ("done", "failed"):
        RULES_RELOADS.labels(outcome)
    for kept_by in get_args(KeptBackBy):
        SUPPRESSED.labels(kept_by)
    for reason in sorted(REASONS):
        DEAD_LETTERS.labels(reason)
    for rule in rules.rules:
        for state, severity in product(get_args(AlertState), rule.severity):
            ALERTS.labels(rule.alert, state, severity)
