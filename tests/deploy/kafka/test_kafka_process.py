"""Detached processes and their marks."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from deploy.kafka.process import is_alive, send_signal, spawn_detached, start_mark, wait_ended


def test_a_process_has_one_mark_and_two_processes_have_two(tmp_path: Path) -> None:
    assert start_mark(os.getpid()) == start_mark(os.getpid()) is not None
    pid, mark = spawn_detached(["sleep", "600"], tmp_path / "out")
    try:
        assert mark != start_mark(os.getpid())
        assert is_alive(pid, mark)
        assert not is_alive(pid, "another boot:1")
        assert not wait_ended(pid, mark, timeout_s=0)
    finally:
        send_signal(pid, mark, signal.SIGKILL)
    assert wait_ended(pid, mark, timeout_s=10)
    assert start_mark(pid) != mark


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen(["true"])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert start_mark(child.pid) is None
    finally:
        child.wait()


def test_a_signal_for_another_mark_is_not_sent() -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        send_signal(child.pid, "another boot:1", signal.SIGKILL)
        assert child.poll() is None
        child.kill()


def test_arguments_reach_the_program_unchanged_and_its_output_the_file(tmp_path: Path) -> None:
    out = tmp_path / "with a space"
    pid, mark = spawn_detached(["/bin/sh", "-c", 'printf "%s|" "$@"; exec sleep 600', "sh", "a b", "$HOME", "*"], out)
    try:
        while is_alive(pid, mark) and not out.read_text(encoding="utf-8"):
            pass
        assert out.read_text(encoding="utf-8") == "a b|$HOME|*|"
    finally:
        send_signal(pid, mark, signal.SIGKILL)


@pytest.mark.parametrize("pid", [2**22 + 1, 99_999_999])
def test_no_process_has_no_mark(pid: int) -> None:
    assert start_mark(pid) is None
