"""How good a topic of one's own is: leave-one-out precision and recall.

Every sentence in turn, example or not, is judged by a topic that was fitted without it: its prototype, and the curve
from likeness to probability with its own inner leaving-out, both know nothing of it. What a handful of sentences can
say is little, so counts are told beside shares, and the interval that they allow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.own_topics.prototypes import TopicModel, Vectors, fit_topic, without

WARN_BELOW = 5
"""Fewer examples than this say next to nothing."""

LEAST_SHARE = 0.5
"""A topic that misses half of its own examples, or whose finds are wrong half of the time, is of no use."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What leaving one out shows.

    Attributes:
        examples: probabilities of the examples, in their order.
        counter_examples: the same of the counter-examples.
        others: the same of the messages about something else.
        threshold: what a find is.
    """

    examples: tuple[float, ...]
    counter_examples: tuple[float, ...]
    others: tuple[float, ...]
    threshold: float

    @property
    def found(self) -> int:
        """Examples that were found."""
        return sum(value >= self.threshold for value in self.examples)

    @property
    def false(self) -> int:
        """Messages that were taken for the topic and are not on it."""
        return sum(value >= self.threshold for value in (*self.counter_examples, *self.others))

    @property
    def negatives(self) -> int:
        """Messages that are not on the topic."""
        return len(self.counter_examples) + len(self.others)

    @property
    def recall(self) -> float:
        """Share of the examples that were found."""
        return self.found / len(self.examples)

    @property
    def precision(self) -> float | None:
        """Share of the finds that are right, among these sentences; None if nothing was found."""
        finds = self.found + self.false
        return self.found / finds if finds else None

    @property
    def usable(self) -> bool:
        """Whether it finds at least half of its examples, and at least half of its finds are right."""
        return self.recall >= LEAST_SHARE and (self.precision or 0.0) >= LEAST_SHARE

    @property
    def better_threshold(self) -> float | None:
        """The threshold with the highest F1 on these sentences, two decimals; None if there is nothing to gain.

        It is chosen on the sentences that judge it, so its own figures are a little too good.
        """
        judged = np.asarray([*self.examples, *self.counter_examples, *self.others])
        is_example = np.arange(len(judged)) < len(self.examples)
        candidates = sorted({self.threshold, *(round(step / 100, 2) for step in range(5, 100, 5))})
        scores = {at: _f1(judged >= at, is_example) for at in candidates}
        # Of equals the one nearest to the threshold set.
        best = max(candidates, key=lambda at: (scores[at], -abs(at - self.threshold)))
        return None if scores[best] <= scores[self.threshold] + 1e-9 else best

    @property
    def warning(self) -> str | None:
        """What must be said beside the figures."""
        if len(self.examples) < WARN_BELOW:
            low, high = wilson(self.found, len(self.examples))
            return (
                f"only {len(self.examples)} examples: the true recall may be anything from {low:.0%} to {high:.0%}; "
                "give at least five, better ten"
            )
        return None


def leave_one_out(examples: Vectors, counter_examples: Vectors, others: Vectors, threshold: float) -> Estimate:
    """Judge every sentence by a topic that was fitted without it.

    Args:
        examples, counter_examples, others: in the space of `prototypes.Space`, each [sentences, hidden].
        threshold: least probability of a find.

    Raises:
        ValueError: there are fewer than three examples.
    """
    if len(examples) < 3:
        raise ValueError(f"leaving one out needs at least three examples, got {len(examples)}")
    return Estimate(
        tuple(
            _judge(examples[at], fit_topic(without(examples, at), counter_examples, others))
            for at in range(len(examples))
        ),
        tuple(
            _judge(counter_examples[at], fit_topic(examples, without(counter_examples, at), others))
            for at in range(len(counter_examples))
        ),
        tuple(
            _judge(others[at], fit_topic(examples, counter_examples, without(others, at))) for at in range(len(others))
        ),
        threshold,
    )


def _judge(vector: Vectors, topic: TopicModel) -> float:
    return float(topic(vector[np.newaxis])[0])


def _f1(taken: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    """Return the harmonic mean of precision and recall; 0 if nothing right is taken."""
    return 2 * float((taken & wanted).sum()) / float(taken.sum() + wanted.sum())


def wilson(found: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Return the interval of a share at 95 % (Wilson, 1927), which behaves with few cases and at 0 and 1.

    Raises:
        ValueError: there are no cases.
    """
    if of < 1:
        raise ValueError("no cases, no share")
    share = found / of
    middle = share + z * z / (2 * of)
    spread = z * float(np.sqrt(share * (1 - share) / of + z * z / (4 * of * of)))
    scale = 1 + z * z / of
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
