"""From raw records to mentions and dead letters, with the classifier's double and a real linker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from models.prediction import Prediction
from models.testing import FakeClassifier
from streams.ingest.decode import Limits
from streams.ingest.entities import Entity, EntityTable, Linker
from streams.ingest.redact import Redactor
from streams.records import FEED_MARK_KEY, DeadLetter, FeedMark, Mention, Message, encode
from streams.scoring import Prepared, RawRecord, ScoringStage, StageOptions

NOW = datetime(2026, 3, 18, 10, 0, tzinfo=UTC)
SCORED = NOW + timedelta(seconds=5)
LIMITS = Limits(max_bytes=4096, max_future_s=3600, future_skew_s=60)
COMPANIES = EntityTable(
    [
        Entity(symbol="BRMFD", name="Brindlemoor Foods", aliases=("Brindlemoor",)),
        Entity(symbol="QLNTR", name="Quillentor Systems", aliases=("Quillentor",)),
    ]
)
LINKER = Linker(COMPANIES)
BAD_NEWS = "Brindlemoor Foods faces a lawsuit after a recall"


class Poisoned(FakeClassifier):
    """Cannot score texts with a certain word, alone or in a batch."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        if any("poison" in text for text in texts):
            raise ValueError("no number comes of this")
        return super().predict(texts)


class Broken(FakeClassifier):
    """Scores nothing at all."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        self.calls.append(len(texts))
        raise RuntimeError("the device is gone")


def make_stage(scorer: FakeClassifier | None = None, redactor: Redactor | None = None, **options: Any) -> ScoringStage:
    settings = {"limits": LIMITS, "topic": "squall.messages", "refused_by": "squall test", **options}
    return ScoringStage(scorer or FakeClassifier(), LINKER, redactor or Redactor(), StageOptions(**settings))


def raw(value: bytes | None, *, offset: int = 0, key: bytes | None = b"wire", partition: int = 2) -> RawRecord:
    return RawRecord(partition=partition, offset=offset, key=key, value=value, received_at=NOW)


def message(text: str = BAD_NEWS, *, id: str = "1", offset: int = 0, **fields: Any) -> RawRecord:  # noqa: A002
    record = Message(
        id=id, source=fields.pop("source", "wire"), published_at=fields.pop("at", NOW), text=text, **fields
    )
    return raw(encode(record), offset=offset)


def through(stage: ScoringStage, *records: RawRecord) -> tuple[Prepared, list[Mention], list[DeadLetter]]:
    batch = stage.prepare(records)
    outcome = stage.finish(batch, stage.score(batch), scored_at=SCORED)
    stage.delivered(batch)
    return batch, outcome.mentions, outcome.dead


def only(*records: RawRecord, **options: Any) -> Mention:
    _, mentions, dead = through(make_stage(**options), *records)
    assert dead == []
    (mention,) = mentions
    return mention


def test_a_message_about_a_company_becomes_a_mention_with_all_that_is_known_of_it() -> None:
    mention = only(message(title="Brindlemoor sued", author="Ines Vallor", url="https://wire.example/1", offset=17))
    assert mention.message_id == "wire:1"
    assert mention.entity == "BRMFD"
    assert 0.2 <= mention.relevance <= 1
    assert (mention.published_at, mention.received_at, mention.scored_at) == (NOW, NOW, SCORED)
    assert mention.negative > mention.neutral > mention.positive
    assert mention.topic == "legal"
    assert (mention.origin.partition, mention.origin.offset) == (2, 17)
    assert (mention.model.name, mention.model.version) == ("fake", "0" * 12)
    assert (mention.title, mention.author, mention.url) == ("Brindlemoor sued", "Ines Vallor", "https://wire.example/1")
    assert mention.lang == "en"
    assert not mention.truncated
    assert not mention.clamped
    assert not mention.watched


def test_a_message_about_two_companies_becomes_two_mentions_of_one_score() -> None:
    scorer = FakeClassifier()
    _, mentions, _ = through(make_stage(scorer), message("Brindlemoor sues Quillentor over a recall"))
    assert {mention.entity for mention in mentions} == {"BRMFD", "QLNTR"}
    assert len({(mention.negative, mention.topic, mention.message_id) for mention in mentions}) == 1
    assert scorer.calls == [1]


def test_only_the_likeliest_topics_are_kept() -> None:
    mention = only(message())
    assert 1 <= len(mention.topics) <= 5
    assert max(mention.topics, key=lambda name: mention.topics[name]) == mention.topic == "legal"
    assert list(mention.topics.values()) == sorted(mention.topics.values(), reverse=True)
    assert min(mention.topics.values()) >= 0.01


def test_a_good_message_about_nobody_we_know_is_not_scored_but_moves_time() -> None:
    scorer = FakeClassifier()
    batch, mentions, dead = through(make_stage(scorer), message("Rain is expected in the north"))
    assert (mentions, dead, scorer.calls) == ([], [], [])
    assert batch.unlinked == 1
    assert batch.times == [(2, NOW, NOW)]


def test_a_passing_word_below_the_least_relevance_is_no_mention() -> None:
    batch, mentions, _ = through(make_stage(min_relevance=1.0), message("A survey of bakers. " * 20 + "Quillentor"))
    assert mentions == []
    assert batch.unlinked == 1


def test_the_classifier_reads_the_title_before_the_text_and_knows_of_a_link() -> None:
    def read(**fields: Any) -> str:
        (ready,) = make_stage().prepare([message(**fields)]).ready
        return ready.scored_text

    assert read(title="A warning") == f"A warning. {BAD_NEWS}"
    assert read(title=BAD_NEWS[:20]) == BAD_NEWS
    assert read(text=f"{BAD_NEWS} https://t.example/x") == f"{BAD_NEWS} https://t.example/x"


def test_the_first_link_of_the_text_stands_in_for_a_missing_url() -> None:
    assert only(message(f"{BAD_NEWS} https://t.example/x")).url == "https://t.example/x"
    assert only(message(f"{BAD_NEWS} https://t.example/x", url="https://own.example/")).url == "https://own.example/"
    assert "https" not in only(message(f"{BAD_NEWS} https://t.example/x")).text


def test_a_title_alone_is_scored_once() -> None:
    (ready,) = make_stage().prepare([message("https://t.example/x", title=BAD_NEWS)]).ready
    assert ready.text == BAD_NEWS
    assert ready.scored_text == f"{BAD_NEWS} https://t.example/x"


def test_a_mention_carries_at_most_so_much_of_the_text_but_all_of_it_is_linked_and_scored() -> None:
    mention = only(message("All is well. " * 50 + BAD_NEWS), mention_text_chars=200)
    assert len(mention.text) == 200
    assert mention.negative > 0.5


def test_what_the_classifier_did_not_read_is_marked() -> None:
    assert only(message("Brindlemoor Foods " * 20), scorer=FakeClassifier(max_length=10)).truncated


def test_authors_can_be_replaced_by_a_pseudonym_that_still_tells_them_apart() -> None:
    stage = make_stage(pseudonymous_authors=True)
    _, mentions, _ = through(
        stage,
        message(id="1", author="Ines Vallor"),
        message(id="2", author="Ines Vallor"),
        message(id="3", author="Bo Tandry"),
        message(id="4"),
    )
    names = [mention.author for mention in mentions]
    assert names[0] == names[1] != names[2]
    assert names[3] is None
    assert not any(name is not None and ("Vallor" in name or "Tandry" in name) for name in names)


def test_personal_data_is_out_of_title_and_text_before_they_are_scored() -> None:
    batch = make_stage().prepare(
        [message(f"{BAD_NEWS}, write to bo@desk.example", title="Brindlemoor: bo@desk.example")]
    )
    (ready,) = batch.ready
    assert "bo@" not in ready.scored_text
    assert ready.title == "Brindlemoor: [email]"


def test_a_message_from_the_near_future_is_set_back_and_marked() -> None:
    mention = only(message(at=NOW + timedelta(minutes=30)))
    assert mention.clamped
    assert mention.published_at == NOW + timedelta(seconds=60)


def test_other_offsets_are_converted_to_utc() -> None:
    mention = only(message(at=datetime.fromisoformat("2026-03-18T11:30:00+02:00")))
    assert mention.published_at.isoformat() == "2026-03-18T09:30:00+00:00"


def test_a_message_that_comes_twice_is_scored_once_within_a_batch_and_across_batches() -> None:
    scorer = FakeClassifier()
    stage = make_stage(scorer)
    first, mentions, _ = through(stage, message(id="1"), message(id="2"), message(id="1", offset=9))
    assert first.repeated == 1
    assert len(mentions) == 2
    second, mentions, _ = through(stage, message(id="2"), message(id="2", source="other"))
    assert second.repeated == 1
    assert [mention.message_id for mention in mentions] == ["other:2"]
    assert scorer.calls == [2, 1]


def test_a_batch_that_was_not_delivered_is_scored_again() -> None:
    stage = make_stage()
    stage.score(stage.prepare([message()]))
    batch, mentions, _ = through(stage, message())
    assert (batch.repeated, len(mentions)) == (0, 1)


def test_beyond_the_horizon_a_message_counts_as_new() -> None:
    stage = make_stage(duplicate_horizon_s=60.0)
    through(stage, message(id="1", at=NOW - timedelta(hours=1)))
    through(stage, message(id="2"))
    batch, _, _ = through(stage, message(id="1", at=NOW - timedelta(hours=1)))
    assert batch.repeated == 0


GOOD = msgspec.json.decode(encode(Message(id="1", source="wire", published_at=NOW, text=BAD_NEWS)))


def altered(**fields: Any) -> bytes:
    return msgspec.json.encode({**GOOD, **fields})


REFUSED: dict[str, bytes | None] = {
    "tombstone": None,
    "too_large": altered(text="x" * 5000),
    "not_utf8": encode(msgspec.convert(GOOD, Message)).replace(b"lawsuit", b"law\xffsuit"),
    "not_json": b'{"id": ',
    "wrong_type": altered(text=7),
    "newer_schema": altered(schema=2),
    "empty_text": altered(text=" \u200b \n"),
    "bad_id": altered(id=""),
    "bad_source": altered(source="wi\u0007re"),
    "too_old": altered(published_at="1999-12-31T23:59:59Z"),
    "in_the_future": altered(published_at="2026-03-18T11:00:01Z"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_refused_keeps_its_bytes_and_says_why_where_from_and_by_whom(reason: str) -> None:
    value = REFUSED[reason]
    batch, mentions, dead = through(make_stage(), raw(value, offset=23, key=b"\xffkey"), message(id="good"))
    (letter,) = dead
    assert letter.reason == reason
    assert letter.detail
    assert (letter.value, letter.key) == (value, b"\xffkey")
    assert (letter.topic, letter.partition, letter.offset) == ("squall.messages", 2, 23)
    assert letter.refused_by == "squall test"
    assert [mention.message_id for mention in mentions] == ["wire:good"]
    assert len(batch.times) == 1


@pytest.mark.parametrize("text", ["https://t.example/x", "<p></p>", "<b> </b> https://t.example/x"])
def test_a_text_that_is_nothing_but_links_and_markup_is_refused_as_empty(text: str) -> None:
    _, mentions, (letter,) = through(make_stage(), message(text))
    assert mentions == []
    assert letter.reason == "empty_text"


def test_a_refused_message_does_not_hide_a_good_one_of_the_same_id() -> None:
    _, mentions, dead = through(make_stage(), message("https://t.example/x", id="1"), message(id="1", offset=1))
    assert (len(mentions), len(dead)) == (1, 1)


def test_one_message_that_cannot_be_scored_goes_to_the_dead_letters_and_the_others_are_scored() -> None:
    good = [message(id=str(number), offset=number) for number in range(3)]
    batch, mentions, (letter,) = through(make_stage(Poisoned()), *good, message(f"{BAD_NEWS} poison", id="p", offset=9))
    assert [mention.message_id for mention in mentions] == ["wire:0", "wire:1", "wire:2"]
    assert letter.reason == "unscorable"
    assert letter.offset == 9
    assert "no number comes of this" in letter.detail
    assert len(batch.times) == 4


@pytest.mark.parametrize("count", [1, 3])
def test_messages_that_all_cannot_be_scored_are_to_blame_if_a_plain_sentence_can(count: int) -> None:
    poison = [message(f"{BAD_NEWS} poison {number}", id=str(number)) for number in range(count)]
    _, mentions, dead = through(make_stage(Poisoned()), *poison)
    assert mentions == []
    assert [letter.reason for letter in dead] == ["unscorable"] * count


@pytest.mark.parametrize("count", [1, 3])
def test_a_broken_classifier_raises_and_blames_no_message(count: int) -> None:
    stage = make_stage(Broken())
    batch = stage.prepare([message(id=str(number)) for number in range(count)])
    with pytest.raises(RuntimeError, match="the device is gone"):
        stage.score(batch)
    assert batch.dead == []


def test_a_feed_mark_is_taken_out_and_not_scored() -> None:
    mark = FeedMark(feed="history", event_time=NOW - timedelta(days=400))
    batch, mentions, dead = through(make_stage(), raw(encode(mark), key=FEED_MARK_KEY, partition=1), message())
    assert batch.marks == [(1, mark)]
    assert len(mentions) == 1
    assert dead == []


def mark_at(event_time: datetime | str | None) -> RawRecord:
    value = msgspec.json.encode({"type": "feed-mark", "feed": "f", "event_time": event_time})
    return raw(value, key=FEED_MARK_KEY)


def test_a_feed_mark_from_the_near_future_is_set_back_as_a_message_is() -> None:
    ((_, mark),) = make_stage().prepare([mark_at(NOW + timedelta(minutes=30))]).marks
    assert mark.event_time == NOW + timedelta(seconds=60)
    ((_, mark),) = make_stage().prepare([mark_at("2026-03-18T10:00:00+02:00")]).marks
    assert mark.event_time is not None
    assert mark.event_time.isoformat() == "2026-03-18T08:00:00+00:00"
    ((_, mark),) = make_stage().prepare([mark_at(None)]).marks
    assert mark.event_time is None


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (raw(None, key=FEED_MARK_KEY), "tombstone"),
        (raw(b"mark!", key=FEED_MARK_KEY), "not_json"),
        (raw(b"{}", key=FEED_MARK_KEY), "wrong_type"),
        (mark_at("9999-12-31T23:59:59Z"), "in_the_future"),
        (mark_at("0001-01-01T00:00:00+14:00"), "too_old"),
    ],
)
def test_a_feed_mark_that_is_none_or_would_close_every_bin_is_refused(record: RawRecord, reason: str) -> None:
    batch = make_stage().prepare([record])
    assert batch.marks == []
    assert [letter.reason for letter in batch.dead] == [reason]


def test_a_message_cannot_pose_as_a_feed_mark() -> None:
    batch = make_stage().prepare([message(source=FEED_MARK_KEY.decode())])
    assert [letter.reason for letter in batch.dead] == ["bad_source"]


def test_it_does_not_matter_how_messages_fall_into_batches() -> None:
    texts = [BAD_NEWS, "Quillentor beats and raises", "Nothing", "Brindlemoor sues Quillentor", "$BRMFD $QLNTR up"]
    records = [message(text, id=str(number), offset=number) for number, text in enumerate(texts)]

    def all_at_once(run: Callable[..., Any], size: int) -> list[Mention]:
        stage = make_stage()
        found: list[Mention] = []
        for start in range(0, len(records), size):
            found += run(stage, *records[start : start + size])[1]
        return found

    assert all_at_once(through, 1) == all_at_once(through, 2) == all_at_once(through, 5)


def test_an_empty_batch_comes_to_nothing() -> None:
    assert through(make_stage(Broken()))[1:] == ([], [])
