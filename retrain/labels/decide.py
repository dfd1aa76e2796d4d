"""One label per message, from what several people said; and how far they agree. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from retrain.data import Task
from retrain.labels.judgement import NOT_NEGATIVE, Judgement


@dataclass(frozen=True, slots=True)
class Decided:
    """A message whose label is settled.

    Attributes:
        judgement: the latest one that gives the label; its text, time and slices are the message's.
        answer: the label.
        votes: how many people gave it.
        against: how many gave another.
    """

    judgement: Judgement
    answer: str
    votes: int
    against: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of the judgements of all messages of one task.

    Attributes:
        decided: messages with a label, in the order of their ids.
        conflicts: judgements of each message on which as many people said one thing as another, and none of them is
            the label, by id.
        open: messages of which nobody has given a label: ruled out is not yet said.
    """

    decided: tuple[Decided, ...]
    conflicts: Mapping[str, tuple[Judgement, ...]]
    open: tuple[str, ...]


def decide(judgements: Iterable[Judgement], task: Task) -> Decision:
    """Settle the label of every message: the answer that most people gave.

    Somebody who says "not negative" backs neutral and positive, whichever of them is given, and contradicts negative.
    What is tied is left out of training, and told.

    Args:
        judgements: at most one per message, task and person, as the store keeps them; others of a person count too.
        task: the head that is asked for.
    """
    by_message: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        if judgement.task == task:
            by_message[judgement.message_id].append(judgement)
    decided: list[Decided] = []
    conflicts: dict[str, tuple[Judgement, ...]] = {}
    undecided: list[str] = []
    for message_id, words in sorted(by_message.items()):
        answered = [word for word in words if word.answer is not None]
        votes = Counter(word.answer for word in answered if word.answer != NOT_NEGATIVE)
        ruled_out = sum(word.answer == NOT_NEGATIVE for word in answered)
        if not votes:
            undecided.append(message_id)
            continue
        support = {answer: count + (ruled_out if answer != "negative" else 0) for answer, count in votes.items()}
        most = max(support.values())
        winners = [answer for answer, count in support.items() if count == most]
        if len(winners) > 1 or (winners == ["negative"] and ruled_out >= most):
            conflicts[message_id] = tuple(answered)
            continue
        (answer,) = winners
        assert answer is not None  # noqa: S101  # those without an answer were left out above
        latest = max((word for word in answered if word.answer == answer), key=lambda word: (word.learned_at, word.by))
        against = sum(_contradicts(word.answer, answer) for word in answered)
        decided.append(Decided(latest, answer, len(answered) - against, against))
    return Decision(tuple(decided), conflicts, tuple(undecided))


def _contradicts(said: str | None, answer: str) -> bool:
    return answer == "negative" if said == NOT_NEGATIVE else said != answer


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far people agree on one task.

    Attributes:
        alpha: Krippendorff's alpha for nominal data; None where no message was judged twice. 1 is perfect, 0 is chance.
        messages: messages that at least two people answered.
        pairs: by pair of people: messages that both answered, and on how many of them they agree.
    """

    alpha: float | None
    messages: int
    pairs: Mapping[tuple[str, str], tuple[int, int]]


def agreement(judgements: Iterable[Judgement], task: Task) -> Agreement:
    """Return how far people agree, from what they said outright.

    What follows from something else (a true alarm, an answer that was confirmed) is no opinion of a person on the text,
    and does not count; nor does "not negative", which names no class.
    """
    units: dict[str, dict[str, str]] = defaultdict(dict)
    for judgement in judgements:
        if judgement.task == task and judgement.answer not in (None, NOT_NEGATIVE) and not judgement.is_implied:
            units[judgement.message_id][judgement.by] = str(judgement.answer)
    twice = [answers for answers in units.values() if len(answers) > 1]
    pairs: dict[tuple[str, str], tuple[int, int]] = {}
    for answers in twice:
        for one, other in combinations(sorted(answers), 2):
            both, agreed = pairs.get((one, other), (0, 0))
            pairs[(one, other)] = (both + 1, agreed + (answers[one] == answers[other]))
    return Agreement(krippendorff_alpha([list(answers.values()) for answers in twice]), len(twice), pairs)


def krippendorff_alpha(units: Sequence[Sequence[str]]) -> float | None:
    """Return Krippendorff's alpha for nominal data; None where no unit has two values, or all values are the same one.

    With n values in units of two and more, m_u of them in unit u, and o the coincidences, each pair of a unit weighing
    1 / (m_u - 1): alpha = 1 - (n - 1) sum_(c != k) o_ck / sum_(c != k) n_c n_k (Krippendorff 2011, "Computing
    Krippendorff's alpha-reliability").

    Args:
        units: the values that each unit was given.
    """
    paired = [unit for unit in units if len(unit) > 1]
    totals = Counter(value for unit in paired for value in unit)
    n = sum(totals.values())
    expected = n * n - sum(count * count for count in totals.values())
    if expected == 0:
        return None
    observed = 0.0
    for unit in paired:
        counts = Counter(unit)
        observed += sum(count * (len(unit) - count) for count in counts.values()) / (len(unit) - 1)
    return 1 - (n - 1) * observed / expected
