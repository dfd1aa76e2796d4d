"""What a SOURCE names: files, folders, stretches of topics; and what is said of one that names nothing."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.config import Settings
from streams.errors import InputError
from streams.replay.sources.kafka_source import no_topic
from streams.replay.sources.open_source import open_messages
from streams.replay.sources.spec import FileSpec, KafkaSpec, parse_sources


def complaint(*texts: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_sources(texts)
    return str(caught.value)


def touched(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_files_are_read_in_the_order_named_and_a_folder_in_the_order_of_its_names(tmp_path: Path) -> None:
    folder = touched(tmp_path / "history", "b.parquet", "a.csv.gz", "c.JSONL", "notes.md", ".hidden.csv")
    touched(folder / "deeper", "d.csv")
    touched(tmp_path, "z.csv")
    spec = parse_sources([str(tmp_path / "z.csv"), str(folder)])
    assert isinstance(spec, FileSpec)
    assert [path.name for path in spec.paths] == ["z.csv", "a.csv.gz", "b.parquet", "c.JSONL"]
    assert spec.text == f"{tmp_path / 'z.csv'} {folder}"
    assert spec.left_out == (folder / "deeper",)


def test_a_folder_of_folders_is_refused_with_their_names(tmp_path: Path) -> None:
    for year in ("2019", "2020"):
        touched(tmp_path / year, "a.csv")
    assert complaint(str(tmp_path)).endswith("are not searched: name those that are meant (2019, 2020)")
    touched(tmp_path, "notes.md")
    assert complaint(str(tmp_path)).endswith("there is notes.md; the folders in it are not searched (2019, 2020)")


def test_subfolders_that_are_left_out_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "history"
    touched(folder)
    for year in ("2019", "2020"):
        touched(folder / year, "a.csv")
    (folder / "b.jsonl").write_text('{"id": "x"}\n')
    open_messages([str(folder / "b.jsonl")], Settings())
    assert not caplog.messages
    open_messages([str(folder)], Settings())
    assert caplog.messages == [
        f"2 subfolders are left out ({folder / '2019'}, {folder / '2020'}): a folder's own files are read alone; "
        "name what is meant"
    ]


def test_a_link_that_leads_nowhere_is_not_told_to_be_meant_itself(tmp_path: Path) -> None:
    for name, target in (("loop.csv", "loop.csv"), ("gone.csv", "nowhere.csv")):
        (tmp_path / name).symlink_to(tmp_path / target)
        assert complaint(str(tmp_path / name)) == f"{tmp_path / name}: is a link that leads to no file"


def test_a_bare_topic_has_one_colon_before_what_is_said_of_it() -> None:
    assert KafkaSpec("kafka:").label == "kafka"
    assert KafkaSpec("kafka:desk").label == "kafka:desk"
    assert no_topic("nope", {"squall.messages"}, ["b", "a", "__x"]) == (
        "there is no topic nope on this cluster; there is a, b"
    )
    assert no_topic("desc", (), ["desk"]).endswith("; did you mean desk?")
    assert no_topic("nope", (), []).endswith("there are none")
    assert no_topic("squall.messages", {"squall.messages"}, ["a"]).endswith("squall topics create")


def test_nothing_named_is_told_with_what_could_be() -> None:
    assert "name a source: a file or a folder" in complaint()


def test_a_missing_file_is_told_with_the_nearest_there(tmp_path: Path) -> None:
    touched(tmp_path, "mentions.jsonl")
    assert complaint(str(tmp_path / "mention.jsonl")) == (
        f"{tmp_path / 'mention.jsonl'}: no such file; did you mean {tmp_path / 'mentions.jsonl'}?"
    )
    assert complaint(str(tmp_path / "nowhere" / "x.csv")).endswith("x.csv: no such file")


def test_a_folder_with_nothing_to_read_is_told_with_what_is_there(tmp_path: Path) -> None:
    assert complaint(str(tmp_path)) == f"{tmp_path}: the folder holds no files"
    touched(tmp_path, "notes.md", "picture.png")
    assert "holds no file of a known kind" in complaint(str(tmp_path))
    assert complaint(str(tmp_path)).endswith("there is notes.md, picture.png")


def test_a_file_packed_beside_itself_is_not_read_twice(tmp_path: Path) -> None:
    touched(tmp_path, "march.csv", "march.csv.gz")
    assert complaint(str(tmp_path)) == (
        f"{tmp_path}: holds both march.csv and march.csv.gz; name the one that is meant"
    )


def test_a_file_named_twice_is_refused_also_by_another_way_to_it(tmp_path: Path) -> None:
    folder = touched(tmp_path / "history", "a.csv")
    (tmp_path / "link.csv").symlink_to(folder / "a.csv")
    assert "is named twice" in complaint(str(folder), str(folder / "a.csv"))
    assert "is named twice" in complaint(str(folder / "a.csv"), str(tmp_path / "link.csv"))


def test_files_of_one_name_in_two_folders_are_two_files(tmp_path: Path) -> None:
    spec = parse_sources([str(touched(tmp_path / year, "tweets.csv")) for year in ("2019", "2020")])
    assert isinstance(spec, FileSpec)
    assert len(spec.paths) == 2


def test_a_pipe_is_no_source_for_it_cannot_be_read_again(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert "no regular file" in complaint(str(tmp_path / "pipe.csv"))


def test_kafka_alone_is_the_whole_topic_of_the_settings() -> None:
    assert parse_sources(["kafka:"]) == KafkaSpec("kafka:")


@pytest.mark.parametrize("sign", ["+", " "])
def test_a_stretch_of_a_topic_by_time_of_arrival(sign: str) -> None:
    text = f"kafka:desk.messages?from=2026-03-01T00:00:00Z&to=2026-03-08T08:00:00{sign}08:00"
    assert parse_sources([text]) == KafkaSpec(
        text,
        topic="desk.messages",
        since=datetime(2026, 3, 1, tzinfo=UTC),
        until=datetime(2026, 3, 8, tzinfo=UTC),
    )


def test_a_stretch_of_a_topic_by_offset() -> None:
    spec = parse_sources(["kafka:?offsets=1:0-50,0:100-200"])
    assert isinstance(spec, KafkaSpec)
    assert spec.offsets == ((0, 100, 200), (1, 0, 50))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kafka:a/b", "'a/b' is no name of a topic"),
        ("kafka:?form=2026-03-01T00:00:00Z", "did you mean from=?"),
        ("kafka:?from", "there are from=, to= and offsets="),
        ("kafka:?from=2026-03-01T00:00:00", "has no offset"),
        ("kafka:?to=soon", "to=soon is no time"),
        ("kafka:?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "an empty range"),
        ("kafka:?from=2026-03-02T00:00:00Z&from=2026-03-02T00:00:00Z", "from= stands twice"),
        ("kafka:?offsets=0:1-2&to=2026-03-01T00:00:00Z", "either offsets=, or from= and to="),
        ("kafka:?offsets=0:9-2", "an empty range, 0:9-2 ends before it begins"),
        ("kafka:?offsets=0:1-2,0:5-6", "partition 0 stands twice"),
        ("kafka:?offsets=0-5", "write PARTITION:FIRST-LAST"),
    ],
)
def test_a_kafka_source_that_cannot_be_understood_is_told_what_is_wrong(text: str, said: str) -> None:
    assert said in complaint(text)


def test_kafka_and_files_do_not_mix(tmp_path: Path) -> None:
    touched(tmp_path, "a.csv")
    assert "stands alone" in complaint("kafka:", str(tmp_path / "a.csv"))
    assert "stands alone" in complaint("kafka:a", "kafka:b")
