"""The desk's verdicts, joined with the answers that they judge: agreement and calibration on fresh labels. Pure.

What is remembered of an answer is its label and how sure it was. So a verdict that comes when the answer has long been
forgotten, or that is about a message which another worker scored, is `unknown` here.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from models.prediction import ModelId, Prediction
from models.reliability import calibration_error
from streams.records import Verdict, VerdictKind

Outcome = Literal["agreed", "differed", "unknown", "apart"]

_APART: frozenset[VerdictKind] = frozenset(("true_alarm", "false_alarm", "wrong_entity", "duplicate", "stale"))
"""Verdicts that leave the sentiment of a message open."""
_MOST_WORDS = 16
"""Words on one message that are remembered, the latest ones: who judges may name any company, and so may many."""

_Whose = tuple[str | None, str]
"""The company that a word is about, or None, and who said it: of these two each message has one word at most."""


class _Answer(NamedTuple):
    label: str
    confidence: float
    model: ModelId


class _Joined(NamedTuple):
    answer: _Answer
    is_right: bool | None
    """None: the verdict does not say, as "not negative" of a neutral answer, which may have to be positive."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far the model's probabilities are from what the desk says.

    Attributes:
        labels: labels that the error is measured on.
        error: expected calibration error over bins of equal width, as in the model card; None with too few labels.
    """

    labels: int
    error: float | None


class LabelWatch:
    """Remembers answers by message and judges them by the verdicts that come. Its memory is bounded.

    Args:
        remembered: messages whose answer is kept; the oldest go first.
        window_labels: labels that calibration is measured on, the latest ones.
        min_labels: labels below which no error is told: few of them show one for a perfect model too, by chance
            (`models.reliability.error_by_chance` says how large).
    """

    def __init__(self, *, remembered: int, window_labels: int, min_labels: int) -> None:
        self._remembered = remembered
        self._window_labels = window_labels
        self._min_labels = min_labels
        self._answers: dict[str, _Answer] = {}
        self._order: deque[str] = deque()
        self._joined: OrderedDict[str, _Joined] = OrderedDict()
        self._said: OrderedDict[str, OrderedDict[_Whose, VerdictKind]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def answered(self, message_id: str, prediction: Prediction, model: ModelId) -> None:
        """Remember the answer to a message; a later answer to the same one replaces it."""
        confidence = max(prediction.negative, prediction.neutral, prediction.positive)
        if message_id not in self._answers:
            self._order.append(message_id)
        self._answers[message_id] = _Answer(prediction.label, confidence, model)
        while len(self._order) > self._remembered:
            del self._answers[self._order.popleft()]

    def judged(self, verdict: Verdict) -> Outcome | None:
        """Take a verdict in, and return what came of it; None for one that says what was said before.

        A verdict on a message replaces the one before it, whoever said that; should it be taken back, the one before
        it holds again.
        """
        name = verdict.message_id if verdict.message_id is not None else f"alert {verdict.alert_id}"
        words = self._said.setdefault(name, OrderedDict())
        before = _latest(words)
        words[(verdict.entity, verdict.by)] = verdict.verdict
        words.move_to_end((verdict.entity, verdict.by))
        if len(words) > _MOST_WORDS:
            words.popitem(last=False)
        self._said.move_to_end(name)
        while len(self._said) > self._remembered:
            self._said.popitem(last=False)
        return None if before == verdict.verdict else self._join(name, verdict.verdict)

    def withdrawn(self, name: str, *, entity: str | None, by: str) -> None:
        """Forget what one person said of a message for a company: it has been taken back. Other words stand.

        Args:
            name: id of the message; of an alert `alert` and its id.
            entity: the company that was named with it, if any was.
            by: who said it.
        """
        words = self._said.get(name)
        if words is None or (entity, by) not in words:
            return
        before = _latest(words)
        del words[(entity, by)]
        holds = _latest(words)
        if holds is None:
            self.forgotten(name)
        elif holds != before:
            self._join(name, holds)

    def forgotten(self, name: str) -> None:
        """Forget all that was said of a message: where what was taken back does not say whose word it was."""
        self._said.pop(name, None)
        self._joined.pop(name, None)

    def calibration(self, model: ModelId) -> Calibration:
        """Return how well a model is calibrated, on the latest labels of answers of its own."""
        own = [(one.answer.confidence, one.is_right) for one in self._joined.values() if one.answer.model == model]
        told = [(confidence, is_right) for confidence, is_right in own if is_right is not None]
        if len(told) < self._min_labels:
            return Calibration(len(told), None)
        confidence = np.asarray([confidence for confidence, _ in told], dtype=np.float64)
        right = np.asarray([is_right for _, is_right in told], dtype=np.bool_)
        return Calibration(len(told), calibration_error(confidence, right))

    def _join(self, message_id: str, verdict: VerdictKind) -> Outcome:
        before = self._joined.pop(message_id, None)
        if verdict in _APART:
            return "apart"
        answer = self._answers.get(message_id)
        if answer is None and before is not None:
            answer = before.answer  # forgotten among the answers, and not among what was joined
        if answer is None:
            return "unknown"
        agrees, is_right = _compare(verdict, answer.label)
        self._joined[message_id] = _Joined(answer, is_right)
        while len(self._joined) > self._window_labels:
            self._joined.popitem(last=False)
        return "agreed" if agrees else "differed"


def _latest(words: OrderedDict[_Whose, VerdictKind]) -> VerdictKind | None:
    """Return the word that holds."""
    return next(reversed(words.values()), None)


def _compare(verdict: VerdictKind, label: str) -> tuple[bool, bool | None]:
    """Return whether a verdict is in keeping with a label, and whether it says that the label is right."""
    if verdict == "correct":
        return True, True
    if verdict == "not_negative":
        return (False, False) if label == "negative" else (True, None)
    return verdict == label, verdict == label
