"""`squall dead-letters` on a real broker: what a person sees of refused records, and what is sent again."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from typer.testing import CliRunner, Result

from deploy.cli import app
from deploy.cli import dead_letters as command
from deploy.cli.dead_letters import LISTED_CHARS, printable
from streams.config import Settings
from streams.errors import InputError
from streams.records import DeadLetter

HOSTILE = b'{"text": "\x1b[2J[red]Ostermere\xe2\x80\xae falls", "id": \xff}' + b"x" * 200
Keep = Callable[..., None]


def run(*arguments: str | Path, answer: str | None = None) -> Result:
    words = ["dead-letters", *(str(one) for one in arguments)]
    return CliRunner().invoke(app, words, input=answer, env={"COLUMNS": "200"})


@pytest.fixture
def keep(settings_with_topics: Settings, monkeypatch: pytest.MonkeyPatch) -> Keep:
    """`keep(reason, *values)`: put letters on partition 0; the command reads the same cluster."""
    settings = settings_with_topics
    monkeypatch.setattr(command, "settings", lambda: settings)

    def send(reason: str, *values: bytes | None, key: bytes = b"wire", **changes: Any) -> None:
        producer = KafkaProducer(**settings.kafka.client_options())
        for value in values:
            fields = {"detail": "why [it] was\x07 refused", "topic": settings.topics.messages, "offset": 17, **changes}
            letter = DeadLetter(value=value, key=key, reason=reason, partition=3, refused_by="squall 0.1.0", **fields)
            topic = settings.topics.dead_letters
            producer.send(topic, value=value, key=key, headers=letter.headers(), partition=0).get(timeout=30)
        producer.close()

    return send


def sent_to(settings: Settings) -> list[bytes]:
    consumer = KafkaConsumer(**settings.kafka.client_options())
    try:
        topic = settings.topics.messages
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        ends = consumer.end_offsets(partitions)
        found = []
        for partition in partitions:
            consumer.assign([partition])
            consumer.seek_to_beginning(partition)
            while consumer.position(partition) < ends[partition]:
                for batch in consumer.poll(timeout_ms=500).values():
                    found += [record.value for record in batch]
        return found
    finally:
        consumer.close()


@pytest.mark.broker
def test_the_list_says_when_why_and_where_from_and_shows_no_more_than_a_beginning_made_harmless(
    keep: Keep, settings_with_topics: Settings
) -> None:
    assert run("list").output == "No dead letters.\n"
    keep("not_utf8", HOSTILE)
    keep("tombstone", None)
    result = run("list")
    assert result.exit_code == 0, result.output
    assert f"Dead letters on {settings_with_topics.topics.dead_letters}" in result.output
    assert f"{datetime.now(UTC):%Y-%m-}" in result.output
    words = "".join(result.output.split())
    for expected in ("0:0", "not_utf8", r"why[it]was\x07refused", f"{settings_with_topics.topics.messages}[3]@17"):
        assert expected in words
    assert "(no bytes: a tombstone)" in result.output
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output
    assert r"\x1b[2J[red]Ostermere\u202efalls" in words
    assert words.count("x" * 100) == 0


@pytest.mark.broker
def test_the_list_holds_the_newest_and_json_is_a_line_each(keep: Keep) -> None:
    keep("not_json", *(b"{%d" % number for number in range(7)))
    result = run("list", "--limit", "3")
    assert "The newest 3 of 7 dead letters; --limit shows more" in result.output
    assert "{6" in result.output
    assert "{3" not in result.output
    rows = [json.loads(line) for line in run("list", "--limit", "3", "--json").output.splitlines()]
    assert [row["offset"] for row in rows] == [4, 5, 6]
    assert (rows[-1]["begins"], rows[-1]["bytes"], rows[-1]["reason"], rows[-1]["key"]) == ("{6", 2, "not_json", "wire")
    assert run("list", "--json", "--reason", "too_old").output == ""


@pytest.mark.broker
def test_the_count_is_by_reason_and_heeds_the_time(keep: Keep) -> None:
    assert run("count").output == "No dead letters.\n"
    keep("too_old", b"1")
    keep("not_json", b"1", b"2")
    lines = [line.split() for line in run("count").output.splitlines() if line.strip()]
    assert [line[:2] for line in lines if line[0] in ("not_json", "too_old")] == [["not_json", "2"], ["too_old", "1"]]
    assert ["in", "all", "3"] in lines
    assert json.loads(run("count", "--json").output) == {"not_json": 2, "too_old": 1}
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert json.loads(run("count", "--json", "--since", tomorrow).output) == {}
    assert json.loads(run("count", "--json", "--until", tomorrow).output) == {"not_json": 2, "too_old": 1}


@pytest.mark.broker
def test_one_letter_is_shown_and_its_bytes_are_written_for_the_owner_alone(keep: Keep, tmp_path: Path) -> None:
    keep("not_utf8", HOSTILE)
    keep("tombstone", None)
    shown = run("show", "0:0")
    assert shown.exit_code == 0, shown.output
    assert r"detail     why [it] was\x07 refused" in shown.output
    assert f"{len(HOSTILE)} bytes" in shown.output
    assert r'{"text": "\x1b[2J[red]Ostermere\u202e falls", "id": \xff}' + "x" * 200 in shown.output
    assert "by squall 0.1.0" in shown.output

    file = tmp_path / "letter.bin"
    written = run("show", "0:0", "--raw", file)
    assert written.exit_code == 0, written.output
    assert file.read_bytes() == HOSTILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "Ostermere" not in written.output

    file.write_bytes(b"the desk's own")
    refused = run("show", "0:0", "--raw", file)
    assert isinstance(refused.exception, InputError)
    assert "is there already" in str(refused.exception)
    assert file.read_bytes() == b"the desk's own"

    assert run("show", "0:0", "--raw", "-").stdout_bytes == HOSTILE
    none = run("show", "0:1", "--raw", tmp_path / "none")
    assert isinstance(none.exception, InputError)
    assert not (tmp_path / "none").exists()
    assert "none: a tombstone" in run("show", "0:1").output
    assert isinstance(run("show", "0:2").exception, InputError)


@pytest.mark.broker
def test_a_long_value_is_cut_with_a_way_to_get_all_of_it(keep: Keep) -> None:
    keep("too_large", b"y" * 100_000)
    shown = run("show", "0:0").output
    assert "100,000 bytes" in shown
    assert shown.count("y") < 5_000
    assert "--raw FILE writes all of it" in shown


@pytest.mark.broker
def test_sending_again_asks_and_says_how_many_and_what_is_left_out(keep: Keep, settings_with_topics: Settings) -> None:
    topic = settings_with_topics.topics.messages
    assert "There is nothing to send again." in run("send-again").output
    keep("not_json", b"{1", b"{2", b"{2", None)
    keep("too_old", b"{3")
    keep("wrong_type", b"{4", topic=settings_with_topics.topics.mentions)

    dry = run("send-again", "--dry-run")
    assert dry.stdout == f"3 messages (2 not_json, 1 too_old) would go to {topic}; nothing was sent\n"
    assert "1 dead letter left out, as another one has the same key and bytes" in dry.stderr
    assert "1 dead letter left out, as a tombstone has no bytes" in dry.stderr
    assert f"1 dead letter left out, as what was refused elsewhere than on {topic} is no message" in dry.stderr

    for answer in ("n\n", ""):  # without a terminal nobody can say yes
        declined = run("send-again", answer=answer)
        assert declined.exit_code == 1
        assert f"Send 3 messages (2 not_json, 1 too_old) to {topic} again?" in declined.output
    assert sent_to(settings_with_topics) == []

    agreed = run("send-again", "--reason", "too_old", answer="y\n")
    assert agreed.exit_code == 0, agreed.output
    assert f"1 message is on {topic} again" in agreed.output
    assert "comes too late for an alert" in agreed.output
    assert sent_to(settings_with_topics) == [b"{3"]

    assert f"2 messages are on {topic} again" in run("send-again", "--reason", "not_json", "--yes").output
    assert sorted(sent_to(settings_with_topics)) == [b"{1", b"{2", b"{3"]


@pytest.mark.broker
def test_other_records_on_the_topic_are_told_the_first_ones_one_by_one(
    keep: Keep, settings_with_topics: Settings
) -> None:
    producer = KafkaProducer(**settings_with_topics.kafka.client_options())
    for _ in range(8):
        producer.send(settings_with_topics.topics.dead_letters, value=b"{}", partition=0).get(timeout=30)
    producer.close()
    keep("not_json", b"{")
    result = run("count", "--json")
    assert json.loads(result.stdout) == {"not_json": 1}
    assert result.stderr.count("is no dead letter") == 5
    assert "... and 3 more such records" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list", "--reason", "not_jsn"], "unknown reason 'not_jsn'; did you mean 'not_json'?"),
        (["count", "--reason", "qqqq"], "unknown reason 'qqqq'; the reasons are bad_id, bad_source"),
        (["list", "--since", "2026-03-17T09:30:00"], "'2026-03-17T09:30:00' is no time with an offset"),
        (["send-again", "--until", "yesterday"], "'yesterday' is no time with an offset"),
        (["show", "12"], "'12' is no PARTITION:OFFSET, such as 0:12"),
        (["show", "0:-1"], "'0:-1' is no PARTITION:OFFSET"),
        (["list", "--limit", "0"], "--limit"),
    ],
)
def test_wrong_use_is_told_before_kafka_is_asked(arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", "").split())


@given(content=st.text() | st.binary(), most=st.integers(1, 100))
def test_what_is_shown_is_one_printable_line_of_bounded_length(content: str | bytes, most: int) -> None:
    shown = printable(content, most)
    assert shown.isprintable()
    assert len(shown) <= most


@given(text=st.text(st.characters(categories=["L", "N", "P"]), max_size=LISTED_CHARS))
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    assert printable(text, LISTED_CHARS) == text
    assert printable(text.encode(), LISTED_CHARS) == text
