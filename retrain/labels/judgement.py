"""A judgement: what one person said of one message, with the text that it was said of."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from retrain.data import HEADS, Task
from retrain.split import normalise_text
from streams.records import VerdictKind
from streams.records.codec import UtcTime, require_utc

SCHEMA = 1

NOT_NEGATIVE = "not_negative"
"""An answer that leaves open which of the two others is right."""

Kind = VerdictKind | Literal["label"]
"""Where a judgement comes from: a verdict of the desk, or a label of an annotator."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One person's word on one message.

    Attributes:
        message_id: of the message, as mentions have it; of a text without one, a hash of the normalised text.
        text: what was judged; normalised and redacted where it comes from a mention.
        task: which head the answer is for.
        answer: a class of the head, or `NOT_NEGATIVE`; None where the judgement says nothing of it.
        kind: the verdict, or `label`.
        by: who judged: a name or an account, never an e-mail address.
        learned_at: when it became known. Nothing that is told to be of an earlier time may learn from it.
        entity: the company that it is about, if one was named.
        source: where the message came from.
        lang: language of the text, ISO 639.
        topic: the topic that the message has or was given, for slices.
        model: name and version of the model whose answer was judged.
        predicted: that model's class.
        alert_id: the alert behind it, of a judgement that follows from one.
        note: what was said beside it.
        record_key: the key on squall.labels that it came by, by which it can be taken back; None of a file.
    """

    message_id: str
    text: str
    task: Task
    answer: str | None
    kind: Kind
    by: str
    learned_at: UtcTime
    entity: str | None = None
    source: str | None = None
    lang: str | None = None
    topic: str | None = None
    model: str | None = None
    predicted: str | None = None
    alert_id: str | None = None
    note: str | None = None
    record_key: str | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require_utc(self.learned_at)
        if not self.text.strip():
            raise ValueError("the text is empty")
        if self.answer is not None and self.answer not in allowed_answers(self.task):
            raise ValueError(f"unknown {self.task} answer {self.answer!r}")

    @property
    def key(self) -> tuple[str, str, str, str]:
        """A person has one word on a message and task; a remark that gives no answer takes none away."""
        return (self.message_id, self.task, self.by, "remark" if self.answer is None else "answer")

    @property
    def is_implied(self) -> bool:
        """Whether the answer follows from something else that was said; what was said outright goes before it."""
        return self.kind in ("correct", "true_alarm")


def allowed_answers(task: Task) -> tuple[str, ...]:
    """Return what can be answered: the classes of the head, and of sentiment also `NOT_NEGATIVE`."""
    return (*HEADS[task], NOT_NEGATIVE) if task == "sentiment" else HEADS[task]


def id_of_text(text: str) -> str:
    """Return the id of a text that came without one: equal normalised texts have the same."""
    return "text:" + hashlib.sha256(normalise_text(text).encode()).hexdigest()[:16]
