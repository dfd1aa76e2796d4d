"""Results appear when they are complete, one process works on a folder at a time, and nothing of a user's is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streams.errors import InputError, ReplayError
from streams.replay.workdir import WorkFolder


def _finished(folder: Path, word: str = "{}") -> Path:
    folder.mkdir()
    (folder / "summary.json").write_text(word)
    return folder


def _work(out: Path, word: str, **options: bool) -> None:
    with WorkFolder(out, **options) as work:
        (work.new_result() / "summary.json").write_text(word)
        work.publish()


def test_results_appear_when_they_are_published_and_the_work_is_gone(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    with WorkFolder(out) as work:
        (work.new_result() / "summary.json").write_text("new")
        assert not out.exists()
        work.publish()
    assert (out / "summary.json").read_text() == "new"
    assert [entry.name for entry in out.parent.iterdir()] == ["run"]


def test_an_earlier_result_is_refused_and_replaced_by_force_alone(tmp_path: Path) -> None:
    out = _finished(tmp_path / "run", "old")
    with pytest.raises(InputError, match=r"is there already: name another folder with --out, or replace it"):
        WorkFolder(out)
    assert (out / "summary.json").read_text() == "old"
    _work(out, "new", force=True)
    assert (out / "summary.json").read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_force_replaces_nothing_but_a_replay(tmp_path: Path) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter").write_text("years of work")
    (tmp_path / "link").symlink_to(_finished(tmp_path / "run"))
    (tmp_path / "file").write_text("")
    for name in ("thesis", "link", "file"):
        with pytest.raises(InputError, match="is not the folder of a finished replay, so --force does not replace it"):
            WorkFolder(tmp_path / name, force=True)
    assert (out / "chapter").read_text() == "years of work"


def test_what_came_there_while_it_worked_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with WorkFolder(out) as work:
        work.new_result()
        _finished(out, "of somebody else")
        with pytest.raises(InputError, match="is there already"):
            work.publish()
    assert (out / "summary.json").read_text() == "of somebody else"


def test_an_unfinished_run_is_kept_until_it_is_told_to_be_forgotten(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with WorkFolder(out) as work:
        (work.path / "segments").mkdir()
        (work.path / "segments" / "one").write_text("")
        work.journal.write_text("half")
    with WorkFolder(out) as work:
        assert work.journal.read_text() == "half"
    with WorkFolder(out, fresh=True) as work:
        assert [entry.name for entry in work.path.iterdir()] == ["lock"]


def test_a_half_written_result_is_written_anew(tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "run") as work:
        (work.new_result() / "half").write_text("")
        assert list(work.new_result().iterdir()) == []


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run.partial").mkdir()
    (tmp_path / "run.partial" / "notes").write_text("mine")
    with pytest.raises(InputError, match="holds something that is no unfinished replay"):
        WorkFolder(tmp_path / "run", fresh=True)
    assert (tmp_path / "run.partial" / "notes").read_text() == "mine"


def test_another_process_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from streams.replay.workdir import WorkFolder\n"
        "work = WorkFolder(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ReplayError, match=r"another process works on .*run\.partial now"):
            WorkFolder(tmp_path / "run", fresh=True)
    finally:
        holder.kill()
        holder.communicate()
    with WorkFolder(tmp_path / "run"):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        WorkFolder(tmp_path / "file" / "run")
    with pytest.raises(InputError, match="cannot be the folder"):
        WorkFolder(Path("/"))
