"""Which alerts either model would have raised: a stretch of mentions, scored by both, through the same monitor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from models.prediction import Prediction
from streams.monitor import MonitorOptions, PartitionMonitor, RuleSet
from streams.records import Alert, Mention
from streams.replay.differences.difference import RunDifference, compare_runs
from streams.replay.sources.source import BadRecord, MentionSource, Numbered
from streams.whole_text import whole_text

Predict = Callable[[Sequence[str]], Sequence[Prediction]]

_TOGETHER = 512
"""Texts that are scored in one call."""
_SAVED_EVERY = 1_024


@dataclass(frozen=True, slots=True)
class AlertDifference:
    """What the challenger would have changed for the desk.

    Attributes:
        mentions: how many were scored.
        champion: alerts that the champion's scores raise.
        challenger: alerts that the challenger's scores raise.
        difference: which of them belong together.
    """

    mentions: int
    champion: int
    challenger: int
    difference: RunDifference


def compare_alerts(
    source: MentionSource,
    predict_champion: Predict,
    predict_challenger: Predict,
    *,
    rules: RuleSet,
    options: MonitorOptions,
    on_progress: Callable[[int], None] | None = None,
) -> AlertDifference:
    """Score a stretch of mentions with both models and see which alerts come of it.

    The stretch is read once, a batch of mentions at a time; what is held beside the state of the two monitors are the
    alerts, without their messages.

    Both score the text as the mention has it. Feed marks, order and companies are those of the stretch, so whatever
    differs is the models' doing.

    Args:
        source: mentions as they were scored; their own scores are not looked at.
        predict_champion: the champion.
        predict_challenger: the challenger.
        rules: the rules in force.
        options: of the monitor.
        on_progress: told from time to time how many mentions were scored.

    Raises:
        InputError: the source breaks off.
        BrokerError: Kafka stops answering.
    """
    alerts: tuple[list[Alert], list[Alert]] = ([], [])
    mentions = 0
    for number in source.partitions:
        monitors = tuple(PartitionMonitor(number, rules, options) for _ in alerts)
        for place, batch in enumerate(_batches(source, number)):
            texts = [whole_text(one.record) for one in batch if isinstance(one.record, Mention)]
            mentions += len(texts)
            for predict, monitor, raised in zip((predict_champion, predict_challenger), monitors, alerts, strict=True):
                answers = iter(predict(texts) if texts else ())
                for one in batch:
                    record = _scored(one.record, next(answers)) if isinstance(one.record, Mention) else one.record
                    raised += map(_without_texts, monitor.absorb(record, one.offset))
                if place % (_SAVED_EVERY // _TOGETHER) == 0:
                    monitor.changes()  # it lets go of what it would have saved: memory stays that of the live one
            if on_progress is not None:
                on_progress(mentions)
    names = {rule.alert for rule in rules.rules}
    difference = compare_runs(*alerts, old_rules=names, new_rules=names)
    together = len(difference.same) + len(difference.changed) + len(difference.shifted)
    return AlertDifference(mentions, together + len(difference.removed), together + len(difference.added), difference)


def _batches(source: MentionSource, partition: int) -> Iterator[list[Numbered]]:
    batch: list[Numbered] = []
    for one in source.records(partition, on_bad=_pass_over):
        batch.append(one)
        if len(batch) == _TOGETHER:
            yield batch
            batch = []
    if batch:
        yield batch


def _pass_over(_: BadRecord) -> None:
    """What cannot be read is the same for both."""


def _without_texts(alert: Alert) -> Alert:
    """Of an alert its numbers are compared: months of them are held, and their messages need not be."""
    return msgspec.structs.replace(alert, evidence=msgspec.structs.replace(alert.evidence, messages=()))


def _scored(mention: Mention, answer: Prediction) -> Mention:
    return msgspec.structs.replace(
        mention, negative=answer.negative, neutral=answer.neutral, positive=answer.positive, topic=answer.topic
    )
