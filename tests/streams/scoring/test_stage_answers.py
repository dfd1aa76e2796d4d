"""Which model answers a message, and what a mention says of the answer: language, tier, overload, abstention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from models.languages import LanguageRouter
from models.prediction import Prediction, Scorer
from models.swap import SwappableScorer
from models.testing import FakeClassifier
from streams.ingest.decode import Limits
from streams.ingest.entities import Entity, EntityTable, Linker
from streams.ingest.entities.watchlist import WatchEntry, Watchlist
from streams.ingest.redact import Redactor
from streams.records import DeadLetter, Mention, Message, encode
from streams.scoring import RawRecord, ScoringStage, StageOptions
from streams.scoring.overload import Overload

NOW = datetime(2026, 3, 18, 10, 0, tzinfo=UTC)
WATCHED = Watchlist(name="desk", entries=(WatchEntry(symbol="QLNTR", names=(), where="desk.csv:1"),))
LINKER = Linker(
    EntityTable([Entity(symbol="BRMFD", name="Brindlemoor Foods"), Entity(symbol="QLNTR", name="Quillentor Systems")]),
    watchlists=[WATCHED],
)


class Tiered(FakeClassifier):
    """The double with quick answers, which it gives for all but short texts unsure; and it abstains where told."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        found = super().predict(texts)
        return [replace(one, abstained="unclear" in text) for one, text in zip(found, texts, strict=True)]

    def predict_quickly(self, texts: Sequence[str]) -> list[Prediction]:
        found = super().predict(texts)
        return [replace(one, tier="linear", degraded=one.tokens > 6) for one in found]


def stage(scorer: Scorer, languages: frozenset[str] | None = None) -> ScoringStage:
    limits = Limits(max_bytes=4096, max_future_s=3600, future_skew_s=60)
    options = StageOptions(limits=limits, topic="squall.messages", refused_by="squall test", languages=languages)
    return ScoringStage(scorer, LINKER, Redactor(), options)


def record(number: int, text: str, lang: str | None = None) -> RawRecord:
    message = Message(id=str(number), source="wire", published_at=NOW, text=text, lang=lang)
    return RawRecord(partition=0, offset=number, key=b"wire", value=encode(message), received_at=NOW)


def through(
    stage: ScoringStage, *records: RawRecord, overloaded: bool = False
) -> tuple[list[Mention], list[DeadLetter]]:
    batch = stage.prepare(records)
    outcome = stage.finish(batch, stage.score(batch, overloaded=overloaded), scored_at=NOW)
    return outcome.mentions, outcome.dead


def test_under_overload_the_watch_list_keeps_full_answers_and_the_others_say_what_they_got() -> None:
    texts = [
        "Brindlemoor Foods falls",  # short: the quick answer is sure
        "Quillentor Systems faces a lawsuit after the recall of a pump",
        "Brindlemoor Foods faces a lawsuit after the recall of a cheese",
    ]
    mentions, _ = through(stage(Tiered()), *(record(n, text) for n, text in enumerate(texts)), overloaded=True)
    told = [(mention.entity, mention.tier, mention.degraded) for mention in mentions]
    unset = msgspec.UNSET
    assert told == [("BRMFD", "linear", unset), ("QLNTR", unset, unset), ("BRMFD", "linear", True)]


def test_without_overload_nobody_gets_a_quick_answer() -> None:
    mentions, _ = through(stage(Tiered()), record(1, "Brindlemoor Foods faces a lawsuit after the recall of a cheese"))
    assert [(mention.tier, mention.degraded) for mention in mentions] == [(msgspec.UNSET, msgspec.UNSET)]
    assert b"degraded" not in encode(mentions[0])
    assert b"tier" not in encode(mentions[0])


def test_a_scorer_without_quick_answers_gives_its_usual_ones_under_overload() -> None:
    records = [record(1, "Brindlemoor Foods faces a lawsuit"), record(2, "Quillentor Systems faces a probe")]
    assert through(stage(FakeClassifier()), *records, overloaded=True) == through(stage(FakeClassifier()), *records)


def test_an_answer_that_is_too_unsure_says_so() -> None:
    mentions, _ = through(
        stage(Tiered()), record(1, "Brindlemoor Foods: unclear"), record(2, "Brindlemoor Foods falls")
    )
    assert [mention.abstained for mention in mentions] == [True, msgspec.UNSET]


def test_each_text_goes_to_the_model_of_its_language_and_the_mention_names_it() -> None:
    english, german = (SwappableScorer(FakeClassifier(name=name)) for name in ("english", "german"))
    router = LanguageRouter({"en": english, "de": german}, undetermined="en")
    mentions, dead = through(
        stage(router, frozenset({"en", "de"})),
        record(1, "Brindlemoor Foods falls after a recall", "en"),
        record(2, "Brindlemoor Foods verliert nach einem Rückruf", "de"),
        record(3, "Brindlemoor Foods", "und"),
    )
    assert dead == []
    assert [mention.model.name for mention in mentions] == ["english", "german", "english"]


def test_a_message_in_a_language_without_a_model_is_kept_and_not_scored() -> None:
    scorer = FakeClassifier()
    unread = record(2, "Brindlemoor Foods perd après un rappel", "fr")
    mentions, dead = through(
        stage(scorer, frozenset({"en"})),
        record(1, "Brindlemoor Foods falls after a recall", "en"),
        unread,
        record(3, "Cette entreprise n'est pas connue", "fr"),  # about no company: nothing is missed
    )
    assert [mention.message_id for mention in mentions] == ["wire:1"]
    assert scorer.calls == [1]
    (letter,) = dead
    assert (letter.reason, letter.value, letter.offset) == ("no_model", unread.value, 2)
    assert "'fr'" in letter.detail
    assert "classifier.languages" in letter.detail


def test_a_message_without_a_model_still_moves_time_and_is_taken_again_later() -> None:
    without = stage(FakeClassifier(), frozenset({"en"}))
    unread = record(2, "Brindlemoor Foods perd après un rappel", "fr")
    batch = without.prepare([unread])
    without.delivered(batch)
    assert [published for _, published, _ in batch.times] == [NOW]
    assert [letter.reason for letter in without.prepare([unread]).dead] == ["no_model"]  # not taken for a repeat


def test_overload_begins_above_the_limit_and_ends_below_half_of_it() -> None:
    overload = Overload(60)
    assert [overload.observe(waited) for waited in (0, 60, 61, 59, 31, 30, 59, 60.5)] == [
        False, False, True, True, True, False, False, True,
    ]  # fmt: skip
    assert not any(Overload(None).observe(waited) for waited in (0, 1e9))
    with pytest.raises(ValueError, match="above 0"):
        Overload(0)
