"""What a foreign model's labels mean here: told by the user, or read off the labels' own words, never assumed.

Many models call their labels LABEL_0, LABEL_1, ... and mean by them whatever the author meant: a guess would turn bad
news into good news without a trace. So a label that says nothing is a question to the user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import LabelsError
from models.labels import SENTIMENTS, TOPIC_IDS, TOPICS

SENTIMENT_WORDS: dict[str, str] = {
    **dict.fromkeys(("negative", "neg", "bearish", "bear", "消极", "负面", "利空", "看空"), "negative"),
    **dict.fromkeys(("neutral", "neu", "中性", "中立"), "neutral"),
    **dict.fromkeys(("positive", "pos", "bullish", "bull", "积极", "正面", "利好", "看多"), "positive"),
}
"""Words that say by themselves what a label means, in lower case."""

TOPIC_WORDS: dict[str, str] = {
    word.casefold(): topic.id for topic in TOPICS for word in (topic.id, topic.name, topic.source_name)
}
"""The names that our topics go by."""

NONE = "none"
"""What a mapping says of a sentiment that the model does not know."""


@dataclass(frozen=True, slots=True)
class LabelMapping:
    """From the outputs of a foreign model to ours; several of its labels may come to one of ours.

    Attributes:
        names: the model's labels, by output.
        ours: for each output, the index of what it comes to here.
        count: how many there are here.
    """

    names: tuple[str, ...]
    ours: tuple[int, ...]
    count: int

    def fold(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities [rows, ours] of probabilities [rows, labels]; what the model does not know has 0."""
        folded = np.zeros((len(probabilities), self.count))
        for label, our in enumerate(self.ours):
            folded[:, our] += probabilities[:, label]
        return folded


def read_label_names(config: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Return the labels of a model's `config.json`, by output.

    Raises:
        LabelsError: there are fewer than two, they are numbered with gaps, two are alike, the two tables of the file
            contradict each other, or they do not exclude each other.
    """
    if config.get("problem_type") not in (None, "single_label_classification"):
        raise LabelsError(
            f"{where}: problem_type is {config['problem_type']!r}, so its outputs are no probabilities of labels that "
            "exclude each other; choose a model with single_label_classification"
        )
    table = config.get("id2label")
    if table is None:  # transformers leaves the table out where there are two labels without names
        table = {number: f"LABEL_{number}" for number in range(_count(config, where))}
    try:
        by_number = {int(number): str(name).strip() for number, name in table.items()}
    except (ValueError, AttributeError):
        raise LabelsError(f"{where}: id2label is no table from numbers to labels; take another model") from None
    names = tuple(name for _, name in sorted(by_number.items()))
    if sorted(by_number) != list(range(len(names))) or len(table) != len(names):
        raise LabelsError(f"{where}: id2label must number the labels 0, 1, 2, ..., it has {_shown(by_number)}")
    if len(names) < 2:
        raise LabelsError(f"{where}: the model has {len(names)} label, so it does not classify; choose another one")
    if len({name.casefold() for name in names}) < len(names):
        raise LabelsError(f"{where}: two labels have the same name: {_shown(by_number)}; give them names in id2label")
    _check_reverse(config.get("label2id"), names, where)
    return names


def map_sentiments(names: Sequence[str], told: Mapping[str, Any] | None, where: str) -> LabelMapping:
    """Return what the labels mean as sentiments.

    Args:
        names: the model's labels, by output.
        told: `{"negative": label, "neutral": label, "positive": label}`; a list of labels is their sum, and `none` says
            that the model does not know the sentiment. None: by the labels' own words.
        where: names the model in messages.

    Raises:
        LabelsError: a label is not accounted for, or is accounted for twice, or says the opposite itself.
    """
    if told is None:
        mapping = _by_words(names, SENTIMENT_WORDS, SENTIMENTS)
        if mapping is None:
            raise LabelsError(_unclear(names, where))
        missing = sorted(set(range(len(SENTIMENTS))) - set(mapping.ours))
        if missing:
            raise LabelsError(
                f"{where}: the model has no label for {' and '.join(SENTIMENTS[at] for at in missing)} "
                f"({_listed(names)}), so that probability would always be 0; if that is what you want, say so:\n"
                f"  {_example(names)}"
            )
        return mapping
    if set(told) != set(SENTIMENTS):
        raise LabelsError(f"{where}: labels needs the keys {', '.join(SENTIMENTS)}, found {_keys(told)}")
    mapping = _as_told(names, told, SENTIMENTS, where)
    known = set(mapping.ours)
    for needed in ("negative", "positive"):
        if SENTIMENTS.index(needed) not in known:
            raise LabelsError(f"{where}: a label for {needed} is needed; the model has {_listed(names)}")
    for name, our in zip(names, mapping.ours, strict=True):
        says = SENTIMENT_WORDS.get(name.casefold(), SENTIMENTS[our])
        if says != SENTIMENTS[our]:
            raise LabelsError(
                f"{where}: labels takes {name} for {SENTIMENTS[our]}, and by its name it is {says}; "
                "correct the mapping, or the names in the model's config.json"
            )
    return mapping


def map_topics(names: Sequence[str], told: Mapping[str, Any] | None, where: str) -> LabelMapping:
    """Return what the labels mean as our topics; several labels may be one topic, and a topic may have none.

    Args:
        names: the model's labels, by output.
        told: from our topic ids to a label or a list of labels. None: by the labels' own words.
        where: names the model in messages.

    Raises:
        LabelsError: a label is not accounted for, or is accounted for twice, or a topic is unknown.
    """
    if told is None:
        mapping = _by_words(names, TOPIC_WORDS, TOPIC_IDS)
        if mapping is None:
            foreign = [name for name in names if name.casefold() not in TOPIC_WORDS]
            raise LabelsError(
                f"{where}: not known as topics here: {_listed(foreign)}; say which topic each label is, as in\n"
                f"  labels: {{general-news: [{', '.join(foreign[:2])}], ...}}\nTopics: {', '.join(TOPIC_IDS)}"
            )
        return mapping
    strange = [key for key in told if key not in TOPIC_IDS]
    if strange:
        raise LabelsError(f"{where}: no topic here: {_listed(strange)}; topics: {', '.join(TOPIC_IDS)}")
    return _as_told(names, told, TOPIC_IDS, where)


def _by_words(names: Sequence[str], words: Mapping[str, str], ours: Sequence[str]) -> LabelMapping | None:
    meant = [words.get(name.casefold()) for name in names]
    found = [meaning for meaning in meant if meaning is not None]
    if len(found) < len(meant) or len(set(found)) < len(found):
        return None
    return LabelMapping(tuple(names), tuple(ours.index(meaning) for meaning in found), len(ours))


def _as_told(names: Sequence[str], told: Mapping[str, Any], ours: Sequence[str], where: str) -> LabelMapping:
    places: dict[str, int] = {}
    for our, labels in told.items():
        for label in _labels(labels, names):
            if label not in names:
                raise LabelsError(f"{where}: labels names {label!r} for {our}, and the model has {_listed(names)}")
            if label in places:
                raise LabelsError(f"{where}: labels names {label} twice, for {ours[places[label]]} and for {our}")
            places[label] = ours.index(our)
    left = [name for name in names if name not in places]
    if left:
        raise LabelsError(f"{where}: labels does not say what {_listed(left)} means; name every label of the model")
    return LabelMapping(tuple(names), tuple(places[name] for name in names), len(ours))


def _labels(value: Any, names: Sequence[str]) -> list[str]:
    """Return the labels that a value of the mapping names; numbers are labels that look like numbers."""
    if value is None or (value == NONE and NONE not in names):
        return []
    return [str(label).strip() for label in (value if isinstance(value, (list, tuple)) else [value])]


def _count(config: Mapping[str, Any], where: str) -> int:
    count = config.get("num_labels", 2)
    if isinstance(count, bool) or not isinstance(count, int) or not 0 < count < 10_000:
        raise LabelsError(f"{where}: num_labels is {count!r}, which is no number of labels")
    return count


def _check_reverse(reverse: Any, names: Sequence[str], where: str) -> None:
    if reverse is None:
        return
    numbered = {f"LABEL_{number}": number for number in range(len(names))}  # what is left when only id2label is edited
    try:
        agrees = {str(name).strip(): int(number) for name, number in reverse.items()} in (
            {name: number for number, name in enumerate(names)},
            numbered,
        )
    except (AttributeError, TypeError, ValueError):
        agrees = False
    if not agrees:
        raise LabelsError(
            f"{where}: label2id says {reverse!r} and id2label {_listed(names)}: they contradict each other; "
            "find out which is right, and correct the file"
        )


def _unclear(names: Sequence[str], where: str) -> str:
    return (
        f"{where}: the labels do not say what they mean: {_listed(names)}; look it up in the model's card and say it, "
        f"with a label (or a list of labels) for each:\n  {_example(names)}"
    )


def _example(names: Sequence[str]) -> str:
    neutral = NONE if len(names) == 2 else "<label>"
    return f"labels: {{negative: <label>, neutral: {neutral}, positive: <label>}}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(str, names))


def _keys(told: Mapping[str, Any]) -> str:
    return ", ".join(map(str, told)) or "none"


def _shown(by_number: Mapping[int, str]) -> str:
    return ", ".join(f"{number}: {name}" for number, name in sorted(by_number.items()))
