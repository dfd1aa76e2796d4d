"""The demonstration's story through the pure rooms: what it plants must be found, what is a decoy must not fire."""

import json
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from deploy.demo import crises, phrases, story
from deploy.demo.companies import COMPANIES, write_table
from streams.errors import RecordError
from streams.ingest.decode import Decoder
from streams.ingest.entities.linker import Linker
from streams.ingest.entities.table import load_table, sp500
from streams.monitor.partition import PartitionMonitor
from streams.monitor.rule_files import default_rules
from streams.monitor.stories import StoryIndex
from streams.records import Mention, Message, ModelVersion, Origin, Progress, decode_message, encode

PLACEHOLDERS = {"product", "place", "pct", "pct2", "n", "broker", "person", "rival"}
ALL_PHRASES = {
    "negative": phrases.NEGATIVE,
    "neutral": phrases.NEUTRAL,
    "positive": phrases.POSITIVE,
    "recall": crises.RECALL,
    "bank run": crises.BANK_RUN,
}


@pytest.fixture(scope="module")
def linker(tmp_path_factory: pytest.TempPathFactory) -> Linker:
    path = tmp_path_factory.mktemp("demo") / "companies.csv"
    write_table(path)
    return Linker(sp500(), extra_tables=[load_table(path)])


def whole(seed: int) -> tuple[list[Message], list[story.Incident]]:
    messages, incidents = story.demo_days(seed)
    return [*story.demo_history(seed), *messages], incidents


def told_of(message: Message) -> str:
    """The company a message was written about, found without the linker."""
    (symbol,) = [
        company.symbol
        for company in COMPANIES
        if f"${company.symbol}" in message.text or any(n in message.text for n in (company.short, *company.aliases))
    ]
    return symbol


def is_negative(text: str) -> bool:
    """What an ideal classifier would say: the text is made of negative phrases."""
    return "toxic" in text or "poisonous" in text or any(pattern.search(text) for pattern in NEGATIVE_PATTERNS)


def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", ".+?", re.escape(phrase)))


NEGATIVE_PATTERNS = [
    _pattern(phrase)
    for words in (phrases.NEGATIVE, crises.RECALL, crises.BANK_RUN)
    for phrase in (*words.clauses, *words.posts)
]


def test_the_same_seed_tells_the_same_story_and_another_seed_another():
    first, again, other = (b"\n".join(encode(m) for m in whole(seed)[0]) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_messages_come_in_time_order_in_utc_with_ids_of_their_own():
    messages, _ = whole(7)
    assert all(a.published_at <= b.published_at for a, b in pairwise(messages))
    assert {m.published_at.utcoffset() for m in messages} == {timedelta(0)}
    assert len({m.id for m in messages}) == len(messages)
    assert messages[0].published_at.date() == datetime(2026, 3, 2, tzinfo=UTC).date()


def test_a_company_has_an_ordinary_number_of_messages_a_day_more_by_day_than_by_night():
    messages = [m for m in story.demo_history(7) if m.published_at.weekday() < 5]
    weekdays = len({m.published_at.date() for m in messages})
    per_day = [count / weekdays for count in Counter(map(told_of, messages)).values()]
    assert len(per_day) == 12
    assert min(per_day) >= 22
    assert max(per_day) <= 44
    hours = Counter(m.published_at.hour for m in messages)
    assert hours[9] > 5 * hours[2]


def test_about_a_fifth_of_the_ordinary_messages_are_negative():
    messages = list(story.demo_history(7))
    share = sum(is_negative(m.text) for m in messages) / len(messages)
    assert 0.19 <= share <= 0.25


def test_the_incidents_lie_within_the_days_and_tell_surges_from_decoys():
    messages, incidents = whole(7)
    assert Counter(i.kind for i in incidents) == {
        "surge": 2, "volume_burst": 1, "syndicated_story": 1, "bot_flood": 1,
    }  # fmt: skip
    assert all(i.should_fire == (i.kind == "surge") for i in incidents)
    assert len({i.entity for i in incidents}) == len(incidents)
    assert all(messages[0].published_at < i.start < i.end < messages[-1].published_at for i in incidents)


def within(messages: list[Message], incident: story.Incident) -> list[Message]:
    return [m for m in messages if incident.start <= m.published_at <= incident.end and told_of(m) == incident.entity]


def test_a_surge_is_many_stories_of_many_authors_and_four_times_as_negative():
    messages, incidents = whole(7)
    for incident in (i for i in incidents if i.kind == "surge"):
        found = within(messages, incident)
        share = sum(is_negative(m.text) for m in found) / len(found)
        assert 0.8 <= share <= 1.0
        assert len(found) >= 70
        assert len({m.source for m in found}) >= 5
        assert len({m.author for m in found}) >= 30


def test_a_volume_burst_is_six_times_the_usual_number_with_the_usual_mix():
    messages, incidents = whole(7)
    (incident,) = (i for i in incidents if i.kind == "volume_burst")
    found = within(messages, incident)
    usual = [
        m
        for m in story.demo_history(7)
        if m.published_at.weekday() < 5 and 13 <= m.published_at.hour < 17 and told_of(m) == incident.entity
    ]
    weekdays = len({m.published_at.date() for m in usual})
    assert 5 <= len(found) / (len(usual) / weekdays) <= 8
    assert 0.12 <= sum(is_negative(m.text) for m in found) / len(found) <= 0.32


def test_a_bot_flood_is_many_messages_of_two_accounts():
    messages, incidents = whole(7)
    (incident,) = (i for i in incidents if i.kind == "bot_flood")
    authors = Counter(m.author for m in within(messages, incident)).most_common(2)
    assert sum(count for _, count in authors) == 200


@pytest.mark.parametrize("seed", [7, 8])
def test_different_messages_are_different_stories_and_reposts_are_one(seed):
    messages, incidents = whole(seed)
    (syndicated,) = (i for i in incidents if i.kind == "syndicated_story")
    indices: defaultdict[str, StoryIndex] = defaultdict(StoryIndex)
    copies, reposts = 0, Counter()
    for message in messages:
        entity = told_of(message)
        found = indices[entity].assign(message.text, message_id=message.id, at_s=message.published_at.timestamp())
        if entity == syndicated.entity and syndicated.start <= message.published_at <= syndicated.end:
            reposts[found.story] += 1
        else:
            copies += found.copy
    assert copies / len(messages) < 0.01
    assert reposts.most_common(1)[0][1] == 40


def test_every_message_is_valid_and_linked_to_its_company_and_no_other(linker):
    decoder = Decoder()
    messages, _ = whole(7)
    for message in messages:
        at = message.published_at
        decoded = decoder.decode(encode(message), received_at=at).message
        assert [link.entity for link in linker.link(decoded.text, title=decoded.title)] == [told_of(message)]


def test_no_company_bears_a_symbol_or_a_name_of_the_shipped_table():
    known = {symbol for entity in sp500() for symbol in (entity.symbol, *entity.other_symbols)}
    names = {name.casefold() for entity in sp500() for name in (entity.name, *entity.aliases)}
    for company in COMPANIES:
        assert company.symbol not in known
        assert not {n.casefold() for n in (company.name, company.short, *company.aliases)} & names


def test_malformed_records_are_refused_for_the_reason_given():
    decoder = Decoder()
    assert len({reason for reason, _ in story.malformed()}) >= 7
    for reason, data in story.malformed():
        with pytest.raises(RecordError) as caught:
            decoder.decode(data, received_at=datetime(2026, 3, 17, 9, tzinfo=UTC))
        assert caught.value.reason == reason


def test_a_few_messages_are_chinese_and_about_one_company():
    chinese = [m for m in whole(7)[0] if m.lang == "zh"]
    assert len(chinese) == 6
    assert {told_of(m) for m in chinese} == {"LNQOP"}


def test_every_placeholder_is_known_and_every_phrase_is_there_once():
    for name, words in ALL_PHRASES.items():
        for group in (words.clauses, words.consequences, words.posts, words.reactions):
            assert len(set(group)) == len(group), name
            for phrase in group:
                assert set(re.findall(r"\{(\w*)\}", phrase)) <= PLACEHOLDERS, phrase
    assert not any("{" in m.text for m in whole(7)[0])


def test_one_day_is_enough_for_every_incident_and_none_is_an_error():
    messages, incidents = story.demo_days(7, days=1)
    assert {i.start.date() for i in incidents} == {datetime(2026, 3, 17, tzinfo=UTC).date()}
    assert len(list(messages)) > 500
    with pytest.raises(ValueError, match="at least 1 day"):
        story.demo_days(7, days=0)


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_with_an_ideal_classifier_the_surges_fire_and_nothing_else_does(seed):
    messages, incidents = whole(seed)
    monitor = PartitionMonitor(0, default_rules())
    alerts = []
    for offset, message in enumerate(messages):
        alerts += monitor.absorb(mention_of(message, offset), 2 * offset)
        progress = Progress(partition=0, partitions=1, event_time=message.published_at, idle=False)
        alerts += monitor.absorb(progress, 2 * offset + 1)
    fired = [alert for alert in alerts if alert.state == "firing" and alert.is_news]
    expected = {i.entity: i for i in incidents if i.should_fire}
    assert {alert.labels["entity"] for alert in fired} == set(expected)
    for alert in fired:
        incident = expected[alert.labels["entity"]]
        assert incident.start < alert.at <= incident.end + timedelta(minutes=5)


def mention_of(message: Message, offset: int) -> Mention:
    negative = 0.93 if is_negative(message.text) else 0.04
    at = message.published_at
    return Mention(
        message_id=f"{message.source}:{message.id}",
        entity=told_of(message),
        relevance=1.0,
        source=message.source,
        published_at=at,
        received_at=at,
        scored_at=at,
        text=message.text,
        negative=negative,
        neutral=0.97 - negative,
        positive=0.03,
        topic="company-news",
        topics={"company-news": 1.0},
        model=ModelVersion(name="ideal", version="1"),
        origin=Origin(partition=0, offset=offset),
        author=message.author,
    )


def test_the_command_writes_messages_and_companies_and_tells_what_is_planted(tmp_path, capsys):
    out, table = tmp_path / "messages.jsonl", tmp_path / "companies.csv"
    assert story.main(["--out", str(out), "--companies", str(table), "--history-days", "1", "--days", "1"]) == 0
    lines = out.read_bytes().splitlines()
    assert all(decode_message(line).id == json.loads(line)["id"] for line in lines)
    assert len(load_table(table)) == 12
    said = capsys.readouterr().out
    assert f"{len(lines):,} messages" in said
    assert "Brindlemoor Foods (BRMFD): a food recall, reported and discussed by many; must fire" in said
    assert "must not fire" in said
