from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from retrain.labels.store import FILE, Added, LabelStore
from streams.errors import InputError
from tests.retrain.labels.conftest import Judge


def test_what_is_added_is_there_and_adding_it_again_changes_nothing(tmp_path: Path, judge: Judge) -> None:
    store = LabelStore(tmp_path / "labels")
    said = [judge("negative"), judge("neutral", by="ben"), judge("positive", message="desk:2")]
    assert store.add(said) == Added(new=3, changed=0, known=0)
    before = store.path.read_bytes()
    assert store.add(said) == Added(new=0, changed=0, known=3)
    assert store.path.read_bytes() == before
    assert {one.answer for one in store.read()} == {"negative", "neutral", "positive"}


def test_a_person_s_latest_word_counts_whatever_comes_first(tmp_path: Path, judge: Judge) -> None:
    early, late = judge("negative"), judge("neutral", later_min=1)
    forward, backward = LabelStore(tmp_path / "a"), LabelStore(tmp_path / "b")
    assert forward.add([early, late]) == Added(new=1, changed=1, known=0)
    assert backward.add([late, early]) == Added(new=1, changed=0, known=1)
    assert forward.path.read_bytes() == backward.path.read_bytes()
    assert [one.answer for one in forward.read()] == ["neutral"]


def test_two_words_of_one_moment_end_alike_in_either_order(tmp_path: Path, judge: Judge) -> None:
    one, other = judge("negative"), judge("positive")
    forward, backward = LabelStore(tmp_path / "a"), LabelStore(tmp_path / "b")
    forward.add([one, other])
    backward.add([other, one])
    assert forward.path.read_bytes() == backward.path.read_bytes()


def test_the_same_word_said_again_keeps_its_first_time(tmp_path: Path, judge: Judge) -> None:
    store = LabelStore(tmp_path)
    store.add([judge("neutral")])
    assert store.add([judge("neutral", later_min=60)]) == Added(new=0, changed=0, known=1)
    assert store.read() == [judge("neutral")]


def test_what_was_said_outright_goes_before_what_follows_from_an_alert(tmp_path: Path, judge: Judge) -> None:
    store = LabelStore(tmp_path)
    store.add(
        [judge("positive"), judge("negative", later_min=5, kind="true_alarm"), judge(None, later_min=9, kind="stale")]
    )
    assert sorted(str(one.answer) for one in store.read()) == ["None", "positive"]


def test_texts_are_for_their_owner_alone(tmp_path: Path, judge: Judge) -> None:
    store = LabelStore(tmp_path)
    store.add([judge("neutral")])
    assert store.path.stat().st_mode & 0o077 == 0


def test_a_spoilt_line_is_told_with_its_number_and_nothing_is_written(tmp_path: Path, judge: Judge) -> None:
    store = LabelStore(tmp_path)
    store.add([judge("negative"), judge("neutral", message="desk:2")])
    spoilt = store.path.read_bytes().replace(b'"neutral"', b'"mauve"')
    store.path.write_bytes(spoilt)
    with pytest.raises(InputError, match=rf"{FILE}:2: no judgement .*mauve"):
        store.add([judge("positive", message="desk:3")])
    assert store.path.read_bytes() == spoilt


def test_labels_of_a_newer_squall_are_not_misread(tmp_path: Path, judge: Judge) -> None:
    store = LabelStore(tmp_path)
    store.add([judge("negative", schema=99)])
    with pytest.raises(InputError, match="schema 99"):
        store.read()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, judge: Judge) -> None:
    file = tmp_path / "labels"
    file.write_text("a file stands where the folder should be")
    with pytest.raises(InputError, match="labels cannot be kept there"):
        LabelStore(file).add([judge("negative")])


def test_a_disk_that_is_full_leaves_the_old_labels_and_no_debris(
    tmp_path: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LabelStore(tmp_path)
    store.add([judge("negative")])
    before = store.path.read_bytes()

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(InputError, match="No space left on device"):
        store.add([judge("neutral", message="desk:2")])
    assert store.path.read_bytes() == before
    assert not list(tmp_path.glob("*.new"))


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from retrain.labels.judgement import Judgement
from retrain.labels.store import LabelStore

store, name = LabelStore(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    store.add([Judgement(message_id=f"{name}:{number}", text="t", task="sentiment", answer="neutral", kind="label",
                         by=name, learned_at=datetime(2026, 3, 17, tzinfo=UTC))])
print("done", flush=True)
"""


def _writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count)], stdout=subprocess.PIPE, text=True
    )


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    writers = [_writer(tmp_path, name, 25) for name in ("ana", "ben")]
    for writer in writers:
        assert writer.communicate(timeout=60)[0] == "ready\ndone\n"
    assert len(LabelStore(tmp_path).read()) == 50


def test_a_writer_that_is_killed_leaves_whole_lines(tmp_path: Path) -> None:
    writer = _writer(tmp_path, "ana", 100_000)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    while not (tmp_path / FILE).exists():
        assert writer.poll() is None
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=60)
    assert LabelStore(tmp_path).read()
