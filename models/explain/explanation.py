"""What an explanation says. No torch is imported here."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from models.prediction import ModelId
from models.spans import AlignedText, words_of

if TYPE_CHECKING:
    from models.tokens import Place

Method = Literal["integrated-gradients", "occlusion"]


@dataclass(frozen=True, slots=True)
class Word:
    """A stretch of the original text, and the tokens (by their place in the text) that it was read as."""

    start: int
    end: int
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WordContribution:
    """What one word adds to the score; below 0 it speaks against the class.

    Attributes:
        start, end: characters of the text that was given.
        text: these characters.
        contribution: in log-odds.
    """

    start: int
    end: int
    text: str
    contribution: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one class of one head has the probability it has.

    The score is a log-odds: log(p / (1 - p)) of the class, after calibration, computed in float32. The baseline is the
    score of the same text with every word unknown to the network. By integrated gradients, `baseline` plus all
    contributions is the score, within `tolerance`; `delta` is what is missing. Contributions by occlusion are what the
    score loses when a word becomes unknown: they need not add up, and `delta` says by how much they do not.

    Attributes:
        text: the text as it was given.
        head: "sentiment" or "topic".
        label: the class whose score is explained.
        method: how contributions were found.
        words: in the order of the text, not overlapping; characters that the network does not see belong to none.
        score, baseline: log-odds with the text, and with all its words unknown.
        rest: what the tokens that stand for no character add; 0 with the tokenizers that we know.
        delta: score - baseline - (all contributions and the rest).
        tolerance: what `delta` is below, by its amount; None for occlusion.
        steps: points of the path that were computed; words, for occlusion.
        tokens, windows, truncated: as in a prediction.
        model: which model was asked.
    """

    text: str
    head: str
    label: str
    method: Method
    words: tuple[WordContribution, ...]
    score: float
    baseline: float
    rest: float
    delta: float
    tolerance: float | None
    steps: int
    tokens: int
    windows: int
    truncated: bool
    model: ModelId

    @property
    def total(self) -> float:
        """All contributions and the rest."""
        return math.fsum((*(word.contribution for word in self.words), self.rest))

    @property
    def probability(self) -> float:
        """The probability of the class."""
        return 1.0 / (1.0 + math.exp(-self.score))

    @property
    def strongest(self) -> list[WordContribution]:
        """Words by the amount of their contribution, the greatest first; equals in the order of the text."""
        return sorted(self.words, key=lambda word: -abs(word.contribution))


def group_words(aligned: AlignedText, places: Sequence[Place]) -> list[Word]:
    """Return the words of a text, each with the tokens that it was read as.

    Tokens of one word as a reader sees it (`models.spans.words_of`) belong together; elsewhere those that the
    tokenizer counts to one word. Words keep the order of the text and do not overlap.

    Args:
        aligned: the prepared text.
        places: where its tokens stand, in order.
    """
    word_at: dict[int, int] = {}
    for number, (start, end) in enumerate(words_of(aligned.text)):
        word_at.update(dict.fromkeys(range(start, end), number))
    words: list[Word] = []
    last: tuple[str, int] | None = None
    for token, place in enumerate(places):
        start, end = place.start, place.end
        while start < end and aligned.text[start].isspace():  # some tokenizers count the space before a word to it
            start += 1
        if start == end:
            continue
        while end < len(aligned.text) and unicodedata.category(aligned.text[end]) in ("Mn", "Me"):
            end += 1  # an accent that is a character of its own and that the tokenizer takes away
        begin, stop = aligned.original(start, end)
        piece = token if place.word is None else place.word
        key = ("read", word_at[start]) if start in word_at else ("piece", piece)
        # What stands for the same original characters, such as two letters of one entity, cannot be told apart.
        if words and (key == last or begin < words[-1].end):
            before = words.pop()
            words.append(Word(before.start, max(stop, before.end), (*before.tokens, token)))
        else:
            words.append(Word(begin, stop, (token,)))
        last = key
    return words
