"""What /metrics shows of scoring and monitoring; delivery has counters of its own (`streams.deliver.metrics`)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

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
TRUNCATED = Counter("squall_truncated_total", "Mentions whose text the classifier read only in part")
MODEL = Gauge("squall_model_info", "The model in use, always 1", ["name", "version"])
WAITING = Gauge("squall_waiting_records", "Records that are not done: the lag", ["topic", "partition"])
ABSORBED = Counter(
    "squall_monitor_records_total", "Mentions absorbed, by outcome: counted, repeated, late", ["outcome"]
)
SEEDS = Counter(
    "squall_seeded_baselines_total",
    "Baselines that `squall warm` sent, by outcome: taken, fresher, alert_open, other_rule",
    ["outcome"],
)
SUPPRESSED = Counter("squall_alerts_suppressed_total", "Firings that a cooldown kept back")
ALERTS = Counter("squall_alerts_total", "Alert transitions written", ["rule", "state", "severity"])
WATERMARK = Gauge("squall_watermark_seconds", "Event time up to which bins are closed, as Unix time", ["partition"])
ALERT_DELAY = Histogram(
    "squall_published_to_alerted_seconds",
    "From the arrival of the mention that closed the bin to its alert's delivery to Kafka",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300),
)
