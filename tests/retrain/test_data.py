from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.errors import TrainingDataError
from models.labels import TOPICS
from retrain.data import read_examples


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_labels_of_public_sets_are_understood_in_any_case(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffid,text,label\n1,down,Bearish\n2,up,positive\n3,flat,NEUTRAL\n")
    examples = read_examples([path], "sentiment")
    assert [(row.text, row.label, row.line) for row in examples] == [("down", 0, 2), ("up", 2, 3), ("flat", 1, 4)]


def test_topics_go_by_id_and_by_source_name(tmp_path: Path) -> None:
    rows = "".join(f"a,{topic.id}\nb,{topic.source_name}\n" for topic in TOPICS)
    examples = read_examples([written(tmp_path, "text,label\n" + rows)], "topic")
    assert [row.label for row in examples] == [label for label in range(20) for _ in range(2)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,label\nup,positive\nx,great\n", r"rows\.csv:3: unknown sentiment label 'great'"),
        ('text,label\n"two\nlines",positive\n,negative\n', r"rows\.csv:4: the text is empty"),
        ("text,label\nlone\n", r"rows\.csv:2: unknown sentiment label ''"),
        ("body,label\nx,positive\n", r"rows\.csv:1: column text missing; the header names body, label"),
        ('text,label\n"open,positive\n', r"rows\.csv:\d: not valid CSV"),
        ("text,label\n", r"rows\.csv: holds no rows"),
        ("", r"rows\.csv:1: column text and label missing; the header names none"),
        (b"text,label\n\xff\xfe,positive\n", r"rows\.csv: not UTF-8"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(TrainingDataError, match=words):
        read_examples([written(tmp_path, content)], "sentiment")


def test_a_missing_file_is_named_with_its_option(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="no such file; check the path given for --topic"):
        read_examples([tmp_path / "absent.csv"], "topic")


TIMED = (
    "text,label,learned_at\nearly,positive,2026-01-01T00:00:00Z\nlate,positive,2026-03-01T00:00:00+01:00\n"
    "always,neutral,\nat once,negative,2026-02-28T23:00:00+00:00\n"
)


def test_rows_that_became_known_later_are_not_read_and_those_without_a_time_always_are(tmp_path: Path) -> None:
    path = written(tmp_path, TIMED)
    assert len(read_examples([path], "sentiment")) == 4

    def known(*day: int) -> list[str]:
        return [row.text for row in read_examples([path], "sentiment", until=datetime(*day, tzinfo=UTC))]

    assert known(2026, 2, 1) == ["early", "always"]
    assert known(2026, 2, 28, 23) == ["early", "late", "always", "at once"]
    assert known(2025, 1, 1) == ["always"]


def test_a_time_that_is_none_and_a_file_of_which_nothing_was_known_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, TIMED.replace("2026-01-01T00:00:00Z", "2026-01-01"))
    assert len(read_examples([path], "sentiment")) == 4  # nobody asks for it
    with pytest.raises(TrainingDataError, match=r"rows\.csv:2: learned_at '2026-01-01' is no time with an offset"):
        read_examples([path], "sentiment", until=datetime(2026, 2, 1, tzinfo=UTC))
    path = written(tmp_path, "text,label,learned_at\nlate,positive,2026-03-01T00:00:00Z\n")
    with pytest.raises(TrainingDataError, match="holds no row that was known on 2026-02-01 00:00; leave the file out"):
        read_examples([path], "sentiment", until=datetime(2026, 2, 1, tzinfo=UTC))
