import gzip
from pathlib import Path

import pytest

from deploy.bench.entities import WORDS_PER_MESSAGE, file_messages, generated_messages, run
from streams.errors import InputError


def test_generated_messages_are_the_same_in_every_run() -> None:
    messages = generated_messages(20)
    assert messages == generated_messages(20)
    assert all(len(message.split()) >= WORDS_PER_MESSAGE for message in messages)


def test_it_measures_generated_messages_and_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.csv.gz"
    path.write_bytes(gzip.compress(b"id,text\n" + b"1,$QZX was flat\n" * 50))
    figures = run(path, count=200)
    assert [name for name, _, _ in figures] == ["entities, generated messages", "entities, own.csv.gz"]
    assert all(value > 0 and unit == "messages/s/core" for _, value, unit in figures)


def test_a_file_without_texts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("id,body\n1,flat\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"own\.csv:1: column 'text' is missing"):
        file_messages(path, limit=5)
