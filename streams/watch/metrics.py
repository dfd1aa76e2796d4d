"""What /metrics shows of the model under watch.

A figure that too few texts or labels stand behind is not shown: a series with labels is absent until then, and one
without reads NaN, for which no alerting rule fires.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge

UNKNOWN = float("nan")
"""What a gauge without labels shows while there is too little to say anything."""

DRIFT_PSI = Gauge(
    "squall_drift_psi",
    "Population stability index of the latest texts against the model's reference, by signal: "
    "sentiment, topic, length, unknown_tokens",
    ["signal"],
)
DRIFT_EMBEDDING = Gauge(
    "squall_drift_embedding",
    "Distance of the latest texts from the model's reference, both as bags of words projected to 32 dimensions, in "
    "standard deviations",
)
DRIFT_TEXTS = Gauge("squall_drift_texts", "Texts in the window that drift is measured on")
CALIBRATION_ERROR = Gauge(
    "squall_calibration_error", "Expected calibration error of the sentiment on the latest labels, 0 to 1"
)
CALIBRATION_LABELS = Gauge("squall_calibration_labels", "Labels that the calibration error is measured on")
LABELS = Counter(
    "squall_labels_total",
    "Verdicts read, by what the model had answered: agreed, differed, unknown (this worker did not score the message, "
    "or no longer knows), apart (a verdict that says nothing of a sentiment)",
    ["verdict", "outcome"],
)
SHADOW_TEXTS = Counter(
    "squall_shadow_texts_total",
    "Live texts for the challenger, by outcome: agreed and differed (its sentiment and the live one), skipped (it was "
    "busy), failed",
    ["outcome"],
)
SHADOW_DIVERGENCE = Gauge(
    "squall_shadow_divergence",
    "Mean Jensen-Shannon divergence in bits, 0 to 1, between live and challenger sentiment on the latest shared texts",
)
SHADOW = Gauge(
    "squall_shadow_info",
    "1 for the challenger that scores in the shadow, 0 once it has failed for good",
    ["name", "version"],
)
TIER_AUDITS = Counter(
    "squall_tier_audits_total",
    "Texts that the first tier was sure of and the network answered for comparison, by outcome: agreed, differed",
    ["outcome"],
)

DRIFT_EMBEDDING.set(UNKNOWN)
CALIBRATION_ERROR.set(UNKNOWN)
SHADOW_DIVERGENCE.set(UNKNOWN)
