"""Topics of one's own, fitted to a model: pooled vectors in, probabilities out.

They cost no pass of their own through the network: the vectors are those that the sentiment was told from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.own_topics.estimate import Estimate, leave_one_out
from models.own_topics.everyday import EVERYDAY
from models.own_topics.file import OwnTopic
from models.own_topics.generic import GENERIC
from models.own_topics.prototypes import Space, TopicModel, Vectors, fit_topic
from models.prediction import PROBABILITY_DECIMALS

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Pooled vectors [texts, hidden] of texts, such as `lambda texts: classifier.outputs(texts).pooled`."""


class OwnTopics:
    """Topics that were added to a model without training; made by `fit`."""

    def __init__(self, topics: Sequence[OwnTopic], space: Space, models: Sequence[TopicModel]) -> None:
        self.topics = tuple(topics)
        self._space = space
        self._models = tuple(models)

    @classmethod
    def fit(cls, topics: Sequence[OwnTopic], embed: Embed) -> OwnTopics:
        """Fit topics to the model that `embed` asks; the same topics and model give the same answers."""
        sentences = Sentences.of(topics, embed)
        models = [
            fit_topic(sentences.examples[at], sentences.counter_examples[at], sentences.others(at))
            for at in range(len(topics))
        ]
        return cls(topics, sentences.space, models)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of the file."""
        return tuple(topic.name for topic in self.topics)

    def probabilities(self, pooled: NDArray[np.float32]) -> list[tuple[tuple[str, float], ...]]:
        """Return (name, probability) of every topic for each row of pooled vectors [rows, hidden].

        A row's answer depends on nothing but the row. A message may be on several of the topics, or on none.
        """
        vectors = self._space(pooled)
        columns = [np.round(model(vectors), PROBABILITY_DECIMALS).tolist() for model in self._models]
        return [tuple(zip(self.names, row, strict=True)) for row in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True)
class Sentences:
    """All sentences that topics are fitted and judged by, as vectors of one space; lists are by topic."""

    space: Space
    everyday: Vectors
    examples: list[Vectors]
    counter_examples: list[Vectors]

    @classmethod
    def of(cls, topics: Sequence[OwnTopic], embed: Embed) -> Sentences:
        """Embed everything in one call."""
        texts = [*GENERIC, *EVERYDAY]
        for topic in topics:
            texts += [*topic.examples, *topic.counter_examples]
        pooled = embed(texts)
        space = Space.of(pooled[: len(GENERIC)])
        vectors = space(pooled[len(GENERIC) :])
        at = len(EVERYDAY)
        examples: list[Vectors] = []
        counter_examples: list[Vectors] = []
        for topic in topics:
            examples.append(vectors[at : at + len(topic.examples)])
            at += len(topic.examples)
            counter_examples.append(vectors[at : at + len(topic.counter_examples)])
            at += len(topic.counter_examples)
        return cls(space, vectors[: len(EVERYDAY)], examples, counter_examples)

    def others(self, topic: int) -> Vectors:
        """Return what is not on a topic: the everyday messages and the examples of the other topics."""
        return np.concatenate([self.everyday, *(rows for at, rows in enumerate(self.examples) if at != topic)])


@dataclass(frozen=True, slots=True)
class Assessment:
    """One topic, what leaving one out shows, and the texts of the messages that it was judged against."""

    topic: OwnTopic
    estimate: Estimate
    others: tuple[str, ...]

    @property
    def missed(self) -> list[tuple[str, float]]:
        """Examples that were not found, with their probability; the least likely first."""
        judged = zip(self.topic.examples, self.estimate.examples, strict=True)
        return sorted((pair for pair in judged if pair[1] < self.estimate.threshold), key=lambda pair: pair[1])

    @property
    def mistaken(self) -> list[tuple[str, float]]:
        """Messages that were taken for the topic and are not on it; the most likely first."""
        texts = (*self.topic.counter_examples, *self.others)
        judged = zip(texts, (*self.estimate.counter_examples, *self.estimate.others), strict=True)
        return sorted((pair for pair in judged if pair[1] >= self.estimate.threshold), key=lambda pair: -pair[1])


def assess(topics: Sequence[OwnTopic], embed: Embed) -> list[Assessment]:
    """Judge every topic by leaving out one sentence at a time; seconds per topic."""
    sentences = Sentences.of(topics, embed)
    found = []
    for at, topic in enumerate(topics):
        estimate = leave_one_out(
            sentences.examples[at], sentences.counter_examples[at], sentences.others(at), topic.threshold
        )
        elsewhere = [text for other in topics if other is not topic for text in other.examples]
        found.append(Assessment(topic, estimate, (*EVERYDAY, *elsewhere)))
    return found
