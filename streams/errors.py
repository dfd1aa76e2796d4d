"""What can go wrong on the streams floor, and what the caller can do about it.

SquallError
├── ConfigError     a setting is wrong: the message names the key, where it was set and the nearest known one
├── RecordError     bytes that are no valid record: to the dead letters, with `reason` as the machine-readable word
├── InputError      a user's file is wrong: the message names file and line
├── RuleError       a rule file is wrong: the message names file:line:column and the key
├── BrokerError     Kafka cannot be started or reached: the message says what to install or check
├── TopicError      a topic is missing or differs from the design
├── ReplayError     a replay cannot go on: the message says whether to run it again as it was, or into another folder
└── DeliveryError   an alert could not be handed to a receiver: retried, then kept and counted
"""

from __future__ import annotations


class SquallError(Exception):
    """Base of every error that Squall raises on purpose: what happened, where, and what to do."""


class ConfigError(SquallError):
    """A setting is wrong, unknown or missing."""


class RecordError(SquallError):
    """Bytes that are not a valid record.

    Args:
        reason: one lower-case word of `streams.records.dead_letter.Reason`, for headers and metric labels.
        detail: what exactly is wrong, for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class InputError(SquallError):
    """A file given by the user cannot be read as asked."""


class RuleError(SquallError):
    """A rule file is not valid."""


class BrokerError(SquallError):
    """The local broker cannot be started or stopped, or a cluster cannot be reached."""


class TopicError(SquallError):
    """A topic is missing or differs from the design."""


class ReplayError(SquallError):
    """A replay cannot go on."""


class DeliveryError(SquallError):
    """An alert could not be delivered to a receiver."""
