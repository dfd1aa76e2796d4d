from __future__ import annotations

import gzip
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from deploy.cli import main
from deploy.cli.outputs import replaced, written
from deploy.cli.score import ScoredText, good_rows, score_texts
from models.files import DEFAULT_MODEL, MANIFEST
from models.testing import FakeClassifier
from streams.errors import InputError
from streams.ingest.readers import Row


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No squall.yaml of the developer's own shall decide a test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def squall(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_row_of_a_file_gets_its_line_and_bad_rows_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "news.csv", tmp_path / "out.jsonl"
    file.write_text(
        "id,text\n"
        "a1,Dunmore Bank shares plunge after a fraud probe and a profit warning\n"
        "a2,\n"
        "a3,one,too many\n"
        ',"Eastwater Energy, again"\n'
        f"a5,{'Juniper Lane Stores opens a shop. ' * 180}\n"
    )
    assert squall("score", file, "--output", out) == 1
    first, second, third = lines_of(out)
    sentiment, topic, model = first["sentiment"], first["topic"], first["model"]
    assert isinstance(sentiment, dict)
    assert isinstance(topic, dict)
    assert list(first) == ["id", "sentiment", "topic", "model", "truncated"]
    assert sentiment["label"] == "negative"
    assert round(sum(sentiment[name] for name in ("negative", "neutral", "positive")), 4) == 1.0
    assert set(topic) == {"label", "probability"}
    manifest = json.loads((DEFAULT_MODEL / MANIFEST).read_text())
    assert model == {"name": manifest["name"], "version": manifest["version"]}
    assert (first["id"], second["id"], third["id"]) == ("a1", 5, "a5")
    assert (first["truncated"], third["truncated"]) == (False, True)
    told = capsys.readouterr().err
    assert "news.csv:3: the text is empty" in told
    assert "news.csv:4: 3 fields" in told
    assert "2 bad rows were left out" in told
    assert squall("score", file, "--output", out, "--skip-bad") == 0
    assert len(lines_of(out)) == 3


@pytest.mark.parametrize("kind", ["jsonl.gz", "parquet", "txt", "log"])
def test_the_other_kinds_of_files_are_read_too(tmp_path: Path, kind: str) -> None:
    texts = ["Fennick Labs wins approval", "Kestrel Telecom is fined"]
    file = tmp_path / f"rows.{kind}"
    if kind == "jsonl.gz":
        file.write_bytes(gzip.compress("".join(json.dumps({"body": text}) + "\n" for text in texts).encode()))
    elif kind == "parquet":
        parquet.write_table(pyarrow.table({"text": texts, "id": [7, 8]}), file)
    else:
        file.write_text("\n".join(texts))
    extra = ["--text-lines"] if kind == "log" else []
    assert squall("score", file, "-o", tmp_path / "out.jsonl", *extra) == 0
    assert [row["id"] for row in lines_of(tmp_path / "out.jsonl")] == ([7, 8] if kind == "parquet" else [1, 2])


@pytest.mark.parametrize(
    ("file", "output", "words"),
    [
        ("absent.csv", "out.jsonl", "no such file"),
        ("rows.csv", "nowhere/out.jsonl", "a folder that exists"),
        ("rows.csv", "rows.csv", "name another one"),
        ("rows.doc", "out.jsonl", "unknown type"),
    ],
)
def test_wrong_paths_are_told_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, output: str, words: str
) -> None:
    for name in ("rows.csv", "rows.doc"):
        (tmp_path / name).write_text("text\nCobalt Ridge Mining digs\n")
    assert squall("score", tmp_path / file, "--output", tmp_path / output) == 2
    assert words in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "rows.doc"]


def test_a_model_folder_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.txt").write_text("Cobalt Ridge Mining digs\n")
    assert squall("score", tmp_path / "rows.txt", "-o", tmp_path / "out.jsonl", "--model", tmp_path) == 2
    assert "no model folder" in capsys.readouterr().err


def test_an_output_that_fails_midway_leaves_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("old")
    with pytest.raises(RuntimeError, match="midway"), replaced(out) as file:
        file.write(b"half")
        raise RuntimeError("midway")
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_an_output_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"), replaced(tmp_path / "absent" / "out.jsonl"):
        pass


def test_a_symbolic_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "store" / "real.jsonl", tmp_path / "link.jsonl"
    target.parent.mkdir()
    link.symlink_to(target)
    for content in (b"made", b"replaced"):
        with written(link) as file:
            file.write(content)
        assert link.is_symlink()
        assert target.read_bytes() == content
    assert [path.name for path in target.parent.iterdir()] == ["real.jsonl"]


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.touch(mode=0o600)
    with written(out) as file:
        file.write(b"x")
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path, through_a_link: bool) -> None:
    pipe, link, rows = tmp_path / "pipe", tmp_path / "link", tmp_path / "rows.txt"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    rows.write_text("Cobalt Ridge Mining digs\n")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert squall("score", rows, "-o", link if through_a_link else pipe) == 0
    reader.join(timeout=30)
    assert json.loads(got[0])["id"] == 1
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "rows.txt"]


def test_a_dash_is_standard_output_and_the_remarks_stay_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.txt").write_text("Cobalt Ridge Mining digs\n")
    assert squall("score", tmp_path / "rows.txt", "-o", "-") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["id"] == 1
    assert "standard output" in told.err
    assert not (tmp_path / "-").exists()


def test_an_output_that_cannot_be_written_is_told_before_the_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.txt").write_text("Cobalt Ridge Mining digs\n")
    with socket.socket(socket.AF_UNIX) as node:
        node.bind("node")  # something that can be opened by nobody, not even by root
        (tmp_path / "loop").symlink_to("loop")
        for output, words in (("node", "cannot be written"), ("loop", "a symbolic link to itself")):
            assert squall("score", tmp_path / "rows.txt", "-o", tmp_path / output, "--model", tmp_path) == 2
            told = capsys.readouterr().err
            assert words in told
            assert "model" not in told


def test_rows_are_taken_as_they_come_and_not_all_at_once() -> None:
    taken = 0

    def rows() -> Iterator[ScoredText]:
        nonlocal taken
        while True:
            taken += 1
            yield ScoredText(taken, f"Alderney Foods opens shop {taken}")

    batches = score_texts(rows(), FakeClassifier(), batch_rows=10)
    assert len(next(batches)) == 10
    assert taken == 10


def test_columns_are_found_by_usual_names_or_as_told() -> None:
    rows = [Row(2, {"headline": "x", "content": "found", "tweet_id": 9}), Row(3, {"note": "told", "key": ""})]
    bad: list[tuple[int, str]] = []
    assert list(good_rows(rows, {}, lambda line, why: bad.append((line, why)))) == [ScoredText(9, "found")]
    assert bad == [(3, "no text; columns are note, key, --text-column names another one")]
    told = good_rows([rows[1]], {"text": "note", "id": "key"}, lambda line, why: None)
    assert list(told) == [ScoredText(3, "told")], "an empty id is none"


def test_an_empty_text_is_not_called_a_missing_column() -> None:
    rows = [Row(2, {"text": None}), Row(3, {"Text": " "}), Row(4, {"note": None}), Row(5, {"other": "x"})]
    bad: list[tuple[int, str]] = []
    assert not list(good_rows(rows[:2], {}, lambda line, why: bad.append((line, why))))
    assert not list(good_rows(rows[2:], {"text": "note"}, lambda line, why: bad.append((line, why))))
    assert bad == [
        (2, "the text is empty"),
        (3, "the text is empty"),
        (4, "the text is empty"),
        (5, "no column 'note'; there is other"),
    ]


@pytest.mark.parametrize(
    ("header", "option", "words"),
    [
        ("id,note", [], "no column for the text; the columns are id, note; name one with --text-column"),
        ("id,text", ["--id-column", "key"], "no column 'key', which --id-column names; the columns are id, text"),
        ("id;text", [], "It looks separated by semicolons"),
    ],
)
def test_a_missing_column_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], header: str, option: list[str], words: str
) -> None:
    (tmp_path / "rows.csv").write_text(header + "\n" + header + "\n" * 3)
    assert squall("score", tmp_path / "rows.csv", "-o", tmp_path / "out.jsonl", *option) == 2
    told = capsys.readouterr().err
    assert told.count("rows.csv:") == 1
    assert words in told


def test_a_file_without_rows_is_remarked_upon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.csv").write_text("id,text\n")
    assert squall("score", tmp_path / "rows.csv", "-o", tmp_path / "out.jsonl") == 0
    assert "There are no rows in" in capsys.readouterr().err
    assert (tmp_path / "out.jsonl").read_text() == ""


def test_a_text_that_is_no_string_is_told_by_its_type() -> None:
    bad: list[tuple[int, str]] = []
    assert not list(good_rows([Row(4, {"text": 12})], {}, lambda line, why: bad.append((line, why))))
    assert bad == [(4, "the text is no string but int")]
