"""What each verdict of the desk means for a label; `squall labels verdicts` prints the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from retrain.labels.judgement import NOT_NEGATIVE
from streams.records import VerdictKind

Effect = Literal["negative", "neutral", "positive", "not_negative", "predicted", "evidence", "none"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a verdict is worth.

    Attributes:
        effect: the answer it gives; `predicted`: that of the model; `evidence`: negative for each message of the
            alert's evidence that the model found negative; `none`: no answer.
        words: the same in a sentence.
    """

    effect: Effect
    words: str


MEANINGS: dict[VerdictKind, Meaning] = {
    "negative": Meaning("negative", "the message is negative"),
    "neutral": Meaning("neutral", "the message is neutral"),
    "positive": Meaning("positive", "the message is positive"),
    "correct": Meaning("predicted", "the model's answer is the label"),
    "not_negative": Meaning(
        "not_negative", "negative is ruled out; a label only once somebody says neutral or positive as well"
    ),
    "true_alarm": Meaning(
        "evidence", "negative, for each message of the alert's evidence that the model found negative"
    ),
    "false_alarm": Meaning("none", "no label: it does not say which message was misread, or whether one was"),
    "wrong_entity": Meaning("none", "no label: the link to the company was wrong, which says nothing of the sentiment"),
    "duplicate": Meaning("none", "no label: the story was known, its sentiment may be right"),
    "stale": Meaning("none", "no label: old news keeps its sentiment"),
}

assert set(MEANINGS) == set(get_args(VerdictKind))  # noqa: S101  # a verdict without a meaning is a defect


def answer_of(verdict: VerdictKind, predicted: str | None) -> str | None:
    """Return the sentiment that a verdict on one message gives, or None.

    Args:
        verdict: what was said.
        predicted: the model's likeliest sentiment of the message, where it is known.
    """
    effect = MEANINGS[verdict].effect
    if effect == "predicted":
        return predicted
    if effect in ("none", "evidence"):
        return None
    return NOT_NEGATIVE if effect == "not_negative" else effect
