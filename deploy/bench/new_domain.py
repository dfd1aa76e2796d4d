"""What the loop makes of labels from another domain, right ones and wrong ones.

The shipped model knows tweets. A few hundred headlines are labelled, the loop goes round once, and champion and
challenger answer the headlines that nobody labelled and the tweets that the champion held out. Then a batch of flipped
labels comes, and has to be refused. All of it runs through `retrain.cycle`, with a registry of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.classifier import Classifier
from models.labels import SENTIMENTS
from retrain.cycle.steps import Ended, Run, run_once
from retrain.data import Example, read_both, read_examples
from retrain.evaluation import evaluate_head
from retrain.labels.judgement import Judgement, id_of_text
from retrain.labels.store import LabelStore
from retrain.registry.mlflow_registry import Registry
from retrain.registry.promotion import Desk
from retrain.split import group_texts, split_examples
from streams.config import Settings
from streams.records import ModelInUse

_FLIPPED = {"negative": "positive", "positive": "negative", "neutral": "negative"}


@dataclass(frozen=True, slots=True)
class Judged:
    """A model on two sets of rows.

    Attributes:
        headlines: macro F1 of sentiment on headlines that nobody labelled.
        tweets: the same on the tweets that the first champion held out.
        headline_accuracy: accuracy on the headlines.
        tweet_accuracy: accuracy on the tweets.
    """

    headlines: float
    tweets: float
    headline_accuracy: float
    tweet_accuracy: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Attributes:
        before: the champion.
        after: the challenger of the right labels.
        ended: how that run ended.
        poisoned: how the run with flipped labels ended.
        headlines: how many were held out.
        tweets: how many were held out.
    """

    before: Judged
    after: Judged
    ended: Ended
    poisoned: Ended | None
    headlines: int
    tweets: int


def run(
    champion: Path,
    sentiment: Path,
    topic: Path,
    headlines: Path,
    *,
    labels: int,
    flipped: int,
    training: Path | None,
    most_old: int | None,
    seed: int,
    work: Path,
    say: Callable[[str], None],
) -> Outcome:
    """Go round with right labels, and then with wrong ones.

    Args:
        champion: the model to begin with.
        sentiment: its training file for sentiment.
        topic: its training file for topics.
        headlines: labelled rows of the other domain.
        labels: how many of them are labelled.
        flipped: how many wrong labels come afterwards; 0 leaves that out.
        training: settings of the training.
        most_old: old rows that are kept for each head.
        seed: of the draw.
        work: an empty folder for everything.
        say: told what is under way.
    """
    rows = read_examples([headlines], "sentiment")
    groups = group_texts([row.text for row in rows])
    order = random.Random(seed).sample(range(int(groups.max()) + 1), int(groups.max()) + 1)  # noqa: S311
    first_of = {int(group): index for index, group in reversed(list(enumerate(groups.tolist())))}
    drawn = [rows[first_of[group]] for group in order[: labels + flipped]]
    held = [rows[first_of[group]] for group in order[labels + flipped :]]
    examples = read_both([sentiment], [topic])
    split = split_examples(examples, 0.1, 20)
    tweets = [examples[index] for index in split.dev if examples[index].task == "sentiment"]

    told: list[ModelInUse] = []
    settings = _settings(champion, sentiment, topic, training, most_old, work)
    retrain = settings.retrain
    desk = Desk(
        registry=Registry(retrain.registry, retrain.registry_name),
        models=retrain.models,
        runs=retrain.runs,
        tell=told.append,
        by="bench",
        now=lambda: datetime.now(UTC).replace(microsecond=0),
    )
    one_round = Run(settings=settings, desk=desk, say=say)
    store = LabelStore(retrain.labels)
    store.add(_judgements(drawn[:labels], wrong=False))
    before = _judge(champion, held, tweets)
    ended = run_once(one_round)
    say(ended.words)
    challenger = desk.registry.find(ended.model.version if ended.model is not None else "challenger")
    after = _judge(desk.registry.fetch(challenger, retrain.models), held, tweets)
    poisoned = None
    if flipped:
        store.add(_judgements(drawn[labels:], wrong=True))
        poisoned = run_once(one_round)
        say(poisoned.words)
    return Outcome(before, after, ended, poisoned, len(held), len(tweets))


def _settings(
    champion: Path, sentiment: Path, topic: Path, training: Path | None, most_old: int | None, work: Path
) -> Settings:
    return Settings.model_validate(
        {
            "classifier": {"model": champion},
            "retrain": {
                **{name: work / name for name in ("labels", "datasets", "runs", "models")},
                "registry": str(work / "registry"),
                "sentiment": [sentiment],
                "topic": [topic],
                "training": training,
                "most_old": most_old,
                "gate_history_days": 0,
            },
        }
    )


def _judgements(rows: Sequence[Example], *, wrong: bool) -> list[Judgement]:
    found = []
    for row in rows:
        label = SENTIMENTS[row.label]
        found.append(
            Judgement(
                message_id=id_of_text(row.text),
                text=row.text,
                task="sentiment",
                answer=_FLIPPED[label] if wrong else label,
                kind="label",
                by="vandal" if wrong else "bench",
                learned_at=datetime.now(UTC).replace(microsecond=0),
                source="headlines",
                lang="en",
            )
        )
    return found


def _judge(model: Path, headlines: Sequence[Example], tweets: Sequence[Example]) -> Judged:
    classifier = Classifier.load(model)
    found = []
    for rows in (headlines, tweets):
        answers = classifier.predict([row.text for row in rows])
        probabilities = np.array([(one.negative, one.neutral, one.positive) for one in answers])
        found.append(evaluate_head(probabilities, [row.label for row in rows], SENTIMENTS))
    return Judged(found[0].macro_f1, found[1].macro_f1, found[0].accuracy, found[1].accuracy)
