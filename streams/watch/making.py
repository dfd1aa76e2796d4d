"""Makes a reference: texts through the very stage that live messages go through, or mentions that it has scored.

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
from streams.records import Mention, Message, encode
from streams.scoring import RawRecord, ScoringStage
from streams.scoring.build import make_stage
from streams.watch.reference import Reference, ReferenceBuilder
from streams.whole_text import whole_text

_TOGETHER = 1_024
_SOURCE = "reference"

T = TypeVar("T")


@dataclass(slots=True)
class Made:
    """What became of the texts so far.

    Attributes:
        texts: texts that were read; a message that is about several companies counts once.
        taken: of those, the ones that the reference is made of.
        scored: of those, the ones that were scored here; the others had this model's answer already.
    """

    texts: int = 0
    taken: int = 0
    scored: int = 0


class ReferenceMaker:
    """Takes texts and mentions in, and scores what has no answer of the model yet.

    Args:
        settings: the configuration: tables of companies, redaction, the model's languages.
        model: the model.
        load: loads it, when a text first needs it.
        at: now, UTC.
        on_progress: told how far it is.
    """

    def __init__(
        self,
        settings: Settings,
        model: ModelId,
        load: Callable[[], Scorer],
        *,
        at: datetime,
        on_progress: Callable[[Made], None],
    ) -> None:
        # Alone: what another language's model would read is no matter of this one's reference.
        alone = settings.classifier.model_copy(update={"languages": {}})
        self._settings = settings.model_copy(update={"classifier": alone})
        self._model = model
        self._load = load
        self._at = at
        self._on_progress = on_progress
        self._stage: ScoringStage | None = None
        self._met: set[str] = set()
        self._builder = ReferenceBuilder()
        self.made = Made()

    def add_texts(self, texts: Iterable[str]) -> None:
        """Score texts and take them in. Raises what loading the model and the classifier raise."""
        for batch in _batches(texts):
            self._score([Message(id="", source=_SOURCE, published_at=self._at, text=text) for text in batch])
            self._count(len(batch))

    def add_mentions(self, mentions: Iterable[Mention]) -> None:
        """Take scored mentions in, each message once; what another model has scored is scored again."""
        for batch in _batches(self._each_once(mentions)):
            others: list[Message] = []
            for mention in batch:
                if ModelId(mention.model.name, mention.model.version.partition("+")[0]) == self._model:
                    self._builder.add(whole_text(mention), mention.negative, mention.topic)
                    self.made.taken += 1
                else:
                    others.append(self._message(mention))
            self._score(others)
            self._count(len(batch))

    def build(self, sources: Iterable[str]) -> Reference:
        """Return the reference. Raises ValueError if too few texts were taken."""
        return self._builder.build(self._model, made_at=self._at, sources=tuple(sources))

    def _count(self, texts: int) -> None:
        self.made.texts += texts
        self._on_progress(self.made)

    def _each_once(self, mentions: Iterable[Mention]) -> Iterator[Mention]:
        for mention in mentions:
            if mention.message_id not in self._met:
                self._met.add(mention.message_id)
                yield mention

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
