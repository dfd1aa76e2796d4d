"""Makes a reference: texts through the very stage that live messages go through, or mentions that it has scored.

Of a long history a sample is taken, the same each time, so that memory and time are bounded: what is held are `MOST`
texts, however many are read.

So the reference holds what the worker would have scored of these texts: normalised, redacted, about a company of the
tables, in a language of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeVar

import msgspec

from models.prediction import ModelId, Scorer
from streams.config import Settings
from streams.foremost import Foremost, drawn
from streams.records import Mention, Message, encode
from streams.scoring import RawRecord, ScoringStage
from streams.scoring.build import make_stage
from streams.watch.reference import Reference, ReferenceBuilder
from streams.whole_text import whole_text

MOST = 50_000
"""So many texts stand ten times above the window that drift is measured on by default: more would tell no more."""
_TOGETHER = 1_024
_SOURCE = "reference"

T = TypeVar("T")


@dataclass(slots=True)
class Made:
    """What became of the texts so far.

    Attributes:
        read: texts and mentions that were read; a message that is about several companies is one for each.
        texts: of those, the ones that were drawn, each message once.
        taken: of those, the ones that the reference is made of.
        scored: of those, the ones that were scored here; the others had this model's answer already.
    """

    read: int = 0
    texts: int = 0
    taken: int = 0
    scored: int = 0


class ReferenceMaker:
    """Takes texts and mentions in, draws a sample, and scores what has no answer of the model yet.

    Args:
        settings: the configuration: tables of companies, redaction, the model's languages.
        model: the model.
        load: loads it, when a text first needs it.
        at: now, UTC.
        on_progress: told how far it is.
        most: texts that a reference is made of at most.
    """

    def __init__(
        self,
        settings: Settings,
        model: ModelId,
        load: Callable[[], Scorer],
        *,
        at: datetime,
        on_progress: Callable[[Made], None],
        most: int = MOST,
    ) -> None:
        # Alone: what another language's model would read is no matter of this one's reference.
        alone = settings.classifier.model_copy(update={"languages": {}})
        self._settings = settings.model_copy(update={"classifier": alone})
        self._model = model
        self._load = load
        self._at = at
        self._on_progress = on_progress
        self._stage: ScoringStage | None = None
        self._sample: Foremost[str | Mention] = Foremost(most)
        self._builder = ReferenceBuilder()
        self.made = Made()

    def add_texts(self, texts: Iterable[str]) -> None:
        """Draw among texts; a text that comes twice counts twice, as it does live."""
        for text in texts:
            key = f"text {self.made.read}"
            self._draw(key, text)

    def add_mentions(self, mentions: Iterable[Mention]) -> None:
        """Draw among scored mentions, each message once."""
        for mention in mentions:
            self._draw(f"message {mention.message_id}", mention)

    def build(self, sources: Iterable[str]) -> Reference:
        """Score what was drawn and has no answer of this model, and return the reference.

        Raises:
            ValueError: too few texts were taken.
            ModelError: the model cannot be loaded, or fails.
        """
        for batch in _batches(self._sample):
            others: list[Message] = []
            for drawn_one in batch:
                if isinstance(drawn_one, str):
                    others.append(self._of_text(drawn_one))
                elif ModelId(drawn_one.model.name, drawn_one.model.version.partition("+")[0]) == self._model:
                    self._builder.add(whole_text(drawn_one), drawn_one.negative, drawn_one.topic)
                    self.made.taken += 1
                else:
                    others.append(self._message(drawn_one))
            self._score(others)
            self.made.texts += len(batch)
            self._on_progress(self.made)
        return self._builder.build(self._model, made_at=self._at, sources=tuple(sources))

    def _draw(self, key: str, item: str | Mention) -> None:
        self._sample.add(key, drawn(key), item)
        self.made.read += 1
        if self.made.read % _TOGETHER == 0:
            self._on_progress(self.made)

    def _of_text(self, text: str) -> Message:
        return Message(id="", source=_SOURCE, published_at=self._at, text=text)

    def _message(self, mention: Mention) -> Message:
        return Message(
            id="",
            source=_SOURCE,
            published_at=self._at,
            text=mention.text,
            title=mention.title,
            lang=mention.lang,
            symbols=(mention.entity,),
        )

    def _score(self, messages: list[Message]) -> None:
        if not messages:
            return
        if self._stage is None:
            self._stage = make_stage(self._settings, self._load())
        records = []
        for number, message in enumerate(messages):
            # Under an id of its own each: the stage drops a message that it meets twice in a batch.
            value = encode(msgspec.structs.replace(message, id=str(number)))
            records.append(RawRecord(0, number, None, value, self._at))
        prepared = self._stage.prepare(records)
        for text, answer in zip(prepared.texts, self._stage.score(prepared), strict=True):
            if not isinstance(answer, Exception):
                self._builder.add(text, answer.negative, answer.topic)
                self.made.taken += 1
                self.made.scored += 1


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _TOGETHER)):
        yield batch
