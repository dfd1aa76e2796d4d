"""What was said, before it is known of which text: from files, from Label Studio, from squall.labels. Then the join."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from models.labels import SENTIMENTS
from retrain.data import HEADS, SENTIMENT_WORDS, TOPIC_WORDS, Task
from retrain.labels.judgement import NOT_NEGATIVE, Judgement, allowed_answers, id_of_text
from retrain.labels.verdicts import MEANINGS, answer_of
from streams.config import nearest
from streams.records import Alert, Mention, VerdictKind
from streams.verdicts import OF_ALERTS
from streams.whole_text import whole_text, with_title

_NEGATIVE_FROM = 0.5
"""An evidence message with at least this P(negative) was found negative: no other sentiment can be likelier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing that was said of a message or an alert.

    Attributes:
        where: file and line, or topic, partition and offset; for messages to people.
        by: who said it.
        learned_at: when it became known, UTC.
        verdict: what the desk said; None for a label.
        answer: the label; None for a verdict.
        task: which head a label is for.
        message_id: of which message; None for a text of its own, or an alert.
        alert_id: of which alert.
        text: the text, where it came along.
        record_key: the key on squall.labels; None of a file.
    """

    where: str
    by: str
    learned_at: datetime
    verdict: VerdictKind | None = None
    answer: str | None = None
    task: Task = "sentiment"
    message_id: str | None = None
    alert_id: str | None = None
    text: str | None = None
    entity: str | None = None
    source: str | None = None
    lang: str | None = None
    topic: str | None = None
    note: str | None = None
    record_key: str | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of things said.

    Attributes:
        judgements: with their texts.
        unknown: of messages and alerts that were not found.
    """

    judgements: tuple[Judgement, ...]
    unknown: tuple[Said, ...]


def read_answer(text: str, task: Task) -> str:
    """Return the class that a word stands for; the words are those of training files, and `not_negative`.

    Raises:
        ValueError: nothing is known by this name; the nearest known one is told.
    """
    word = text.strip().casefold()
    if task == "sentiment" and word.replace(" ", "_").replace("-", "_") == NOT_NEGATIVE:
        return NOT_NEGATIVE
    words = SENTIMENT_WORDS if task == "sentiment" else TOPIC_WORDS
    index = words.get(word)
    if index is None:
        known = sorted({*words, *allowed_answers(task)})
        hint = nearest(word, known) or f"; known are {', '.join(allowed_answers(task))}"
        raise ValueError(f"unknown {task} label {text.strip()!r}{hint}")
    return HEADS[task][index]


def read_verdict(text: str) -> VerdictKind:
    """Return the verdict of this name. Raises ValueError, which tells the nearest known one."""
    word = text.strip().casefold().replace(" ", "_").replace("-", "_")
    for verdict in MEANINGS:
        if verdict == word:
            return verdict
    hint = nearest(word, list(MEANINGS)) or f"; known are {', '.join(MEANINGS)}"
    raise ValueError(f"unknown verdict {text.strip()!r}{hint}")


def join(
    said: Iterable[Said],
    *,
    mentions: Mapping[str, Mention],
    alerts: Mapping[str, Alert],
) -> Joined:
    """Give what was said its texts.

    Args:
        said: from wherever.
        mentions: by message id; of a message that mentions several companies any of them will do.
        alerts: by id, with their evidence.
    """
    judgements: list[Judgement] = []
    unknown: list[Said] = []
    for one in said:
        found = list(_of_alert(one, mentions, alerts) if _is_of_alert(one) else _of_message(one, mentions))
        judgements += found
        if not found and not (_is_of_alert(one) and one.alert_id in alerts):
            unknown.append(one)
    return Joined(tuple(judgements), tuple(unknown))


def _is_of_alert(said: Said) -> bool:
    """Whether an alert is judged; a verdict on one may name the message that it was seen on as well."""
    return said.alert_id is not None and (said.message_id is None or said.verdict in OF_ALERTS)


def _of_message(said: Said, mentions: Mapping[str, Mention]) -> Iterator[Judgement]:
    mention = None if said.message_id is None else mentions.get(said.message_id)
    text = said.text if said.text is not None else (None if mention is None else whole_text(mention))
    if text is None:
        return
    predicted = None if mention is None else likeliest(mention)
    answer = said.answer if said.verdict is None else answer_of(said.verdict, predicted)
    yield Judgement(
        message_id=said.message_id or id_of_text(text),
        text=text,
        task=said.task,
        answer=answer,
        kind=said.verdict or "label",
        by=said.by,
        learned_at=said.learned_at,
        entity=said.entity or (None if mention is None else mention.entity),
        source=said.source or (None if mention is None else mention.source),
        lang=said.lang or (None if mention is None else mention.lang),
        topic=said.topic or (None if mention is None else mention.topic),
        model=None if mention is None else f"{mention.model.name}@{mention.model.version}",
        predicted=predicted,
        alert_id=said.alert_id,
        note=said.note,
        record_key=said.record_key,
    )


def _of_alert(said: Said, mentions: Mapping[str, Mention], alerts: Mapping[str, Alert]) -> Iterator[Judgement]:
    alert = alerts.get(said.alert_id or "")
    if alert is None or said.verdict is None or MEANINGS[said.verdict].effect != "evidence":
        return
    for message in alert.evidence.messages:
        if message.negative < _NEGATIVE_FROM:
            continue
        mention = mentions.get(message.message_id)
        yield Judgement(
            message_id=message.message_id,
            text=with_title(message.title, message.text) if mention is None else whole_text(mention),
            task="sentiment",
            answer="negative",
            kind=said.verdict,
            by=said.by,
            learned_at=said.learned_at,
            entity=said.entity or alert.labels.get("entity"),
            source=message.source,
            lang=None if mention is None else mention.lang,
            topic=message.topic,
            model=alert.versions.get("model"),
            predicted="negative",
            alert_id=alert.id,
            note=said.note,
            record_key=said.record_key,
        )


def likeliest(mention: Mention) -> str:
    """Return the sentiment that the model thought likeliest; of equal ones the first in the order of the classes."""
    scores = dict(zip(SENTIMENTS, (mention.negative, mention.neutral, mention.positive), strict=True))
    return max(scores, key=lambda name: scores[name])
