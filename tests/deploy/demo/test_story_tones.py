"""The shipped classifier reads the demonstration's messages as they are meant."""

import random
from collections import defaultdict
from functools import cache
from statistics import fmean

import pytest

from deploy.demo import crises, phrases
from deploy.demo.companies import COMPANIES
from deploy.demo.messages import Writer
from deploy.demo.phrases import Phrases
from models import Classifier
from models.files import DEFAULT_MODEL

pytestmark = pytest.mark.skipif(not DEFAULT_MODEL.exists(), reason="no model is shipped in this checkout")

GROUPS = {
    "bad news": phrases.NEGATIVE,
    "recall": crises.RECALL,
    "bank run": crises.BANK_RUN,
    "neutral": phrases.NEUTRAL,
    "good news": phrases.POSITIVE,
}
FOLLOWED_BY = 4
"""How many consequences or reactions each phrase is tried with."""


@cache
def classifier() -> Classifier:
    return Classifier.load(device="cpu")


def negative_by_phrase(words: Phrases) -> dict[str, float]:
    """Mean P(negative) of messages that begin with each phrase, over several companies."""
    dice = random.Random(1)
    texts: list[tuple[str, str]] = []
    for firsts, seconds, form in (
        (words.clauses, words.consequences, "{name} {first}; {second}"),
        (words.posts, words.reactions, "${symbol} {first}. {second}"),
    ):
        for phrase in firsts:
            for second in dice.sample(seconds, FOLLOWED_BY):
                company = dice.choice(COMPANIES)
                writer = Writer(company, dice)
                said = {"first": writer.filled(phrase), "second": writer.filled(second)}
                texts.append((phrase, form.format(name=company.name, symbol=company.symbol, **said)))
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for (phrase, _), prediction in zip(texts, classifier().predict([text for _, text in texts]), strict=True):
        scores[phrase].append(prediction.negative)
    return {phrase: fmean(values) for phrase, values in scores.items()}


@pytest.mark.parametrize("group", ["bad news", "recall", "bank run"])
def test_bad_news_reads_as_negative(group):
    by_phrase = negative_by_phrase(GROUPS[group])
    misread = {phrase: round(value, 2) for phrase, value in by_phrase.items() if value < 0.4}
    assert fmean(by_phrase.values()) > 0.7, misread
    assert len(misread) <= len(by_phrase) // 10, misread


@pytest.mark.parametrize("group", ["neutral", "good news"])
def test_other_news_does_not_read_as_negative(group):
    by_phrase = negative_by_phrase(GROUPS[group])
    misread = {phrase: round(value, 2) for phrase, value in by_phrase.items() if value > 0.4}
    assert fmean(by_phrase.values()) < 0.15, misread
    assert len(misread) <= len(by_phrase) // 20, misread
