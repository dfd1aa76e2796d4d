"""A message is scored once, in its turn or ahead of it: the bookkeeping, and the stage that goes by it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from models.testing import FakeClassifier
from streams.ingest.entities import Linker, Watchlist
from streams.ingest.entities.watchlist import WatchEntry
from streams.ingest.redact import Redactor
from streams.scoring import AheadClock, Prepared, RawRecord, ScoringStage, StageOptions
from streams.scoring.turns import Turns
from tests.streams.scoring.test_stage import BAD_NEWS, COMPANIES, LIMITS, NOW, SCORED, make_stage, message, raw

OTHER_NEWS = "Quillentor opens a plant"


def watching_stage(**options: object) -> ScoringStage:
    """Brindlemoor is watched, Quillentor is not."""
    linker = Linker(COMPANIES, watchlists=[Watchlist("desk", (WatchEntry("BRMFD", (), "desk:1"),))])
    settings = {"limits": LIMITS, "topic": "squall.messages", "refused_by": "squall test", **options}
    return ScoringStage(FakeClassifier(), linker, Redactor(), StageOptions(**settings))


def deliver(stage: ScoringStage, batch: Prepared) -> list[str]:
    """Score and deliver a batch; return the message ids of its mentions."""
    mentions = stage.finish(batch, stage.score(batch), scored_at=SCORED).mentions
    stage.delivered(batch)
    return [mention.message_id for mention in mentions]


def feed(count: int) -> list[RawRecord]:
    """Messages of which each third is about the watched company."""
    return [message(BAD_NEWS if n % 3 == 0 else OTHER_NEWS, id=str(n), offset=n) for n in range(count)]


def test_only_watched_companies_are_taken_ahead_and_their_turn_finds_nothing_to_do() -> None:
    stage, records = watching_stage(), feed(9)
    assert deliver(stage, stage.prepare(records[:2])) == ["wire:0", "wire:1"]
    ahead = stage.prepare_ahead(records)
    assert deliver(stage, ahead) == ["wire:3", "wire:6"]
    assert [record.offset for record in ahead.records] == [3, 6]
    rest = stage.prepare(records[2:])
    assert deliver(stage, rest) == ["wire:2", "wire:4", "wire:5", "wire:7", "wire:8"]
    assert (rest.ahead, rest.repeated, len(rest.times)) == (2, 0, 7)
    assert stage.turns.ahead == 0


def test_what_is_taken_ahead_says_the_same_as_in_its_turn() -> None:
    record = message(offset=5)
    first, second = watching_stage(), watching_stage()
    first.prepare([message(OTHER_NEWS, id="0")])
    ahead, in_turn = first.prepare_ahead([record]), second.prepare([record])
    taken = first.finish(ahead, first.score(ahead), scored_at=SCORED).mentions
    assert {mention.ahead for mention in taken} == {True}
    assert [msgspec.structs.replace(mention, ahead=msgspec.UNSET) for mention in taken] == (
        second.finish(in_turn, second.score(in_turn), scored_at=SCORED).mentions
    )


def test_nothing_is_taken_ahead_of_a_partition_that_was_not_read_nor_where_its_turn_has_come() -> None:
    stage = watching_stage()
    assert stage.prepare_ahead([message(offset=3)]).ready == []
    stage.prepare([message(offset=3)])
    assert stage.prepare_ahead([message(offset=3), message(id="2", offset=2)]).ready == []
    assert stage.turns.next_offsets == {2: 4}


def test_what_cannot_be_read_waits_for_its_turn_to_be_refused() -> None:
    stage = watching_stage()
    stage.prepare([message(id="0", offset=0)])
    spoilt = raw(b"{", offset=1)
    assert stage.prepare_ahead([spoilt]).ready == []
    (letter,) = stage.prepare([spoilt]).dead
    assert (letter.reason, letter.offset) == ("not_json", 1)


def test_a_repeat_of_a_message_under_way_is_no_second_mention() -> None:
    stage = make_stage()
    first = stage.prepare([message(offset=0)])
    again = stage.prepare([message(offset=1)])
    assert (again.repeated, again.ready) == (1, [])
    assert deliver(stage, first) == ["wire:1"]
    assert stage.prepare([message(offset=2)]).repeated == 1


def test_a_message_taken_ahead_makes_its_repeat_elsewhere_a_repeat() -> None:
    stage = watching_stage()
    stage.prepare([message(OTHER_NEWS, id="0", offset=0)])
    ahead = stage.prepare_ahead([message(offset=7)])
    assert stage.prepare([message(offset=1)]).repeated == 1
    deliver(stage, ahead)
    assert stage.prepare([message(offset=2)]).repeated == 1
    assert stage.prepare([message(offset=7)]).ahead == 1


def test_a_batch_knows_whether_what_it_passes_over_was_delivered() -> None:
    stage = watching_stage()
    stage.prepare([message(OTHER_NEWS, id="0", offset=0)])
    ahead = stage.prepare_ahead([message(offset=3), message(id="2", offset=4)])
    assert stage.prepare([message(offset=3)]).unsettled
    deliver(stage, ahead)
    settled = stage.prepare([message(id="2", offset=4)])
    assert (settled.ahead, settled.unsettled) == (1, False)
    assert not stage.prepare([message(id="2", offset=5)]).unsettled


def test_partitions_that_go_elsewhere_are_forgotten() -> None:
    turns = Turns()
    turns.in_turn(0, 4)
    turns.in_turn(1, 9)
    turns.take_ahead(0, 7)
    turns.take_ahead(1, 12)
    turns.keep({1})
    assert turns.next_offsets == {1: 10}
    assert turns.ahead == 1
    assert not turns.is_to_come(0, 8)
    assert not turns.in_turn(0, 7)
    assert turns.in_turn(1, 12)


@settings(deadline=None, max_examples=40)  # the first examples build tables
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 12)), max_size=12))
def test_however_reading_ahead_and_in_turn_interleave_each_message_is_mentioned_once(
    steps: list[tuple[bool, int]],
) -> None:
    stage, records = watching_stage(), feed(30)
    read, read_ahead = 0, 0
    mentioned: Counter[str] = Counter()
    for ahead, count in [*steps, (False, len(records))]:
        if ahead:
            read_ahead = max(read, read_ahead)
            batch = stage.prepare_ahead(records[read_ahead : read_ahead + count])
            read_ahead += count
        else:
            batch = stage.prepare(records[read : read + count])
            read += count
        mentioned.update(deliver(stage, batch))
    assert mentioned == Counter(f"wire:{n}" for n in range(len(records)))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["turn", "ahead", "deliver"]), st.integers(1, 12)), max_size=30))
def test_nobody_is_told_of_a_time_before_all_that_watched_companies_had_until_then_is_delivered(
    steps: list[tuple[str, int]],
) -> None:
    stage, clock = watching_stage(), AheadClock()
    records = [
        message(BAD_NEWS if n % 3 == 0 else OTHER_NEWS, id=str(n), offset=n, at=NOW - timedelta(minutes=40 - n))
        for n in range(40)
    ]
    due = {f"wire:{n}": NOW - timedelta(minutes=40 - n) for n in range(0, 40, 3)}
    read, read_ahead = 0, 0
    in_turn: list[Prepared] = []
    told: list[datetime] = []
    for step, count in steps:
        if step == "turn":
            in_turn.append(stage.prepare(records[read : read + count]))
            read = min(len(records), read + count)
        elif step == "deliver" and in_turn:
            for name in deliver(stage, in_turn.pop(0)):
                due.pop(name, None)
        elif step == "ahead":
            read_ahead = max(read, read_ahead)
            batch = stage.prepare_ahead(records[read_ahead : read_ahead + count])
            read_ahead = read_ahead + count if read else read_ahead
            for name in deliver(stage, batch):
                del due[name]
            clock.read(batch.ahead_to)
            told += [news.event_time for news in clock.news(stage.turns.watched_under_way())]
        assert not told or all(at > max(told) for at in due.values())


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(1, 12), st.booleans())
def test_a_batch_in_pieces_is_the_batch(prepared_by: int, scored_by: int, overloaded: bool) -> None:
    records = [
        *feed(20),
        message(OTHER_NEWS, id="1", offset=20),
        raw(b"no json", offset=21),
        message("Rain", id="r", offset=22),
    ]
    whole_stage, stage = watching_stage(), watching_stage()
    whole = whole_stage.prepare(records)
    pieces = Prepared([])
    for at in range(0, len(records), prepared_by):
        pieces.extend(stage.prepare(records[at : at + prepared_by]))
    assert pieces == whole
    predictions = []
    for at in range(0, len(pieces.ready), scored_by):
        predictions += stage.score(pieces, overloaded=overloaded, part=slice(at, at + scored_by))
    assert predictions == whole_stage.score(whole, overloaded=overloaded)
