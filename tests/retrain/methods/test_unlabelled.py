from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from models.errors import TrainingDataError
from retrain.methods.unlabelled import read_unlabelled

HELD_OUT = "Bracken Motors shares tumble after the recall of all electric vans"


def test_texts_come_from_any_file_that_squall_reads(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,source\nAlpha gains,x\n")
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write(json.dumps({"text": "Beta falls"}) + "\n")
    (tmp_path / "c.txt").write_text("Gamma waits\n")
    paths = [tmp_path / "a.csv", tmp_path / "b.jsonl.gz", tmp_path / "c.txt"]
    found = read_unlabelled(paths, known=[], held_out=[])
    assert found.texts == ("Alpha gains", "Beta falls", "Gamma waits")
    assert [(entry["name"], entry["rows"]) for entry in found.files] == [
        ("a.csv", 1),
        ("b.jsonl.gz", 1),
        ("c.txt", 1),
    ]


def test_what_is_known_repeated_or_like_a_held_out_text_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text(
        "\n".join(
            (
                "Alpha gains https://a.example/1",
                "ALPHA gains!",
                "Delta pays out",
                HELD_OUT.replace(" all ", " its ") + " https://b.example",
                "Beta falls",
            )
        )
    )
    found = read_unlabelled([path], known=["delta pays out"], held_out=[HELD_OUT])
    assert found.texts == ("Alpha gains https://a.example/1", "Beta falls")
    assert (found.repeated, found.held_out) == (2, 1)
    assert found.facts()["texts"] == 2
    assert "Alpha" not in str(found.facts()), "texts are nobody's but their owner's"


def test_a_few_bad_rows_are_counted_and_a_file_of_them_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "one"}\n{"text": "two"}\n{"text": 3}\n')
    assert read_unlabelled([path], known=[], held_out=[]).unreadable == 1
    path.write_text('{"body": "one"}\n{"text": "two"}\nnot json\n')
    with pytest.raises(TrainingDataError, match=r"rows\.jsonl:1: no text in the column text, and so on: 2 of 3"):
        read_unlabelled([path], known=[], held_out=[])


def test_a_missing_file_and_one_without_new_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="no such file"):
        read_unlabelled([tmp_path / "nowhere.csv"], known=[], held_out=[])
    path = tmp_path / "texts.txt"
    path.write_text("Alpha gains\n")
    with pytest.raises(TrainingDataError, match="no text that is new and not held out"):
        read_unlabelled([path], known=["alpha gains"], held_out=[])
    assert read_unlabelled([], known=[], held_out=[]).texts == ()
