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
MODEL = Gauge("squall_model_info", "1 for the model in use, 0 for those before it", ["name", "version"])
MODEL_SWAPS = Counter("squall_model_swaps_total", "Models exchanged under way, by outcome: done, failed", ["outcome"])
RULES = Gauge("squall_rules_info", "1 for the rules in force, 0 for those before them", ["name", "version"])
RULES_RELOADS = Counter(
    "squall_rules_reloads_total", "Rules exchanged under way, by outcome: done, failed", ["outcome"]
)
SCORED = Counter("squall_scored_total", "Texts scored, by what answered: transformer, linear, memory", ["answer"])
DEGRADED = Counter("squall_degraded_total", "Texts that had only the quick score that is given under overload")
ABSTAINED = Counter("squall_abstained_total", "Texts whose likeliest sentiment is too unsure to be acted on")
OVERLOADED = Gauge("squall_overloaded", "1 while quick scores are given to what is not on a watch list")
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
SUPPRESSED = Counter("squall_alerts_suppressed_total", "Firings that a cooldown kept back")
ALERTS = Counter("squall_alerts_total", "Alert transitions written", ["rule", "state", "severity"])
WATERMARK = Gauge("squall_watermark_seconds", "Event time up to which bins are closed, as Unix time", ["partition"])
ALERT_DELAY = Histogram(
    "squall_published_to_alerted_seconds",
    "From the arrival of the mention that closed the bin to its alert's delivery to Kafka",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300),
)
