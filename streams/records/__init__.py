"""The words that all rooms speak: Message, FeedMark, Mention, Progress, Seed, Alert, Verdict, DeadLetter.

JSON with a schema version, times in UTC. `encode` writes any of them; each has a decoder of its own that raises
`RecordError` with a reason for the dead letters.
"""

from streams.records.alert import (
    Alert,
    AlertState,
    Baseline,
    Counterfactual,
    Evidence,
    EvidenceMessage,
    KeptBackBy,
    Measure,
    ModelChange,
    Observed,
    Quality,
    Severity,
    Suppressed,
    decode_alert,
)
from streams.records.codec import encode
from streams.records.control import (
    CONTROL_KEYS,
    Control,
    ModelInUse,
    RulesInUse,
    Silence,
    SilenceMatcher,
    control_key,
    decode_control,
    silence_of,
)
from streams.records.dead_letter import DeadLetter, Reason
from streams.records.mention import (
    AheadProgress,
    LogEntry,
    Mention,
    ModelVersion,
    Origin,
    Progress,
    Seed,
    SeededBaseline,
    SeededUnrest,
    decode_mention,
)
from streams.records.message import FEED_MARK_KEY, FeedMark, Message, decode_feed_mark, decode_message
from streams.records.verdict import Verdict, VerdictKind, decode_verdict

__all__ = [
    "CONTROL_KEYS",
    "FEED_MARK_KEY",
    "AheadProgress",
    "Alert",
    "AlertState",
    "Baseline",
    "Control",
    "Counterfactual",
    "DeadLetter",
    "Evidence",
    "EvidenceMessage",
    "FeedMark",
    "KeptBackBy",
    "LogEntry",
    "Measure",
    "Mention",
    "Message",
    "ModelChange",
    "ModelInUse",
    "ModelVersion",
    "Observed",
    "Origin",
    "Progress",
    "Quality",
    "Reason",
    "RulesInUse",
    "Seed",
    "SeededBaseline",
    "SeededUnrest",
    "Severity",
    "Silence",
    "SilenceMatcher",
    "Suppressed",
    "Verdict",
    "VerdictKind",
    "control_key",
    "decode_alert",
    "decode_control",
    "decode_feed_mark",
    "decode_mention",
    "decode_message",
    "decode_verdict",
    "encode",
    "silence_of",
]
