"""Compiled, the monitor answers as its sources do, to the last bit; and nothing stale is ever run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import compile as compiling
from deploy.compile import CompileError, compile_modules
from streams import compiled

PARITY = """
import hashlib, random, sys
from streams import compiled
from streams.monitor import ClosedBin
from streams.records import encode
from streams.replay.timeline import Timeline
from tests.streams.monitor.invented import eager_rules, in_order, incident, monitor
from streams.monitor import MonitorOptions, PartitionMonitor, default_rules

found = hashlib.sha256()
fired = 0
for seed in range(6):
    for rules in (eager_rules(), default_rules()):
        timeline = Timeline(rules)
        def new(state):
            watching = PartitionMonitor(0, rules, MonitorOptions(), on_bin=timeline.add)
            watching.restore(state.items())
            return watching
        state = {}
        watching = new(state)
        for offset, record in enumerate(in_order(incident(random.Random(seed), hours=40))):
            for alert in watching.absorb(record, offset):
                found.update(encode(alert))
                fired += alert.state == "firing"
            if offset % 50 == 0:
                changes = watching.changes()
                for key, value in (*changes.entities, *changes.clock):
                    found.update(key.encode() + (value or b""))
                    state[key] = value
                state = {key: value for key, value in state.items() if value is not None}
                watching = new(state)
        found.update(repr(timeline.ended(None)).encode())
print(compiled.is_used(), fired, found.hexdigest())
"""


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of builds of the test's own."""
    home = tmp_path / "builds"
    monkeypatch.setattr(compiled, "home", lambda: home)
    return home


def answers(*, with_compiled: bool) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PARITY],
        env=os.environ | {compiled.ENVIRONMENT: "1" if with_compiled else "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.timeout(600)
def test_compiled_and_sources_write_the_same_alerts_states_and_timelines() -> None:
    folder = compile_modules()
    assert compile_modules() == folder, "nothing is left to be done"
    used, fired, digest = answers(with_compiled=True)
    of_sources = answers(with_compiled=False)
    assert used == "True"
    assert int(fired) >= 6, "nothing fired: the comparison says little"
    assert of_sources == ["False", fired, digest]


def test_an_edit_or_another_python_is_another_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    for pattern in compiled._READ:
        for path in compiled._ROOT.glob(pattern):
            copy = sources / path.relative_to(compiled._ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    fresh = compiled.digest.__wrapped__
    here = fresh()
    monkeypatch.setattr(compiled, "_ROOT", sources)
    assert fresh() == here, "where the sources lie is no part of it"
    with (sources / "streams" / "records" / "alert.py").open("a") as file:
        file.write("# an edit\n")
    edited = fresh()
    assert edited != here
    monkeypatch.setattr(sys, "version", "3.99")
    assert fresh() not in (here, edited)


def test_only_a_build_of_these_sources_comes_before_them(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(compiled.ENVIRONMENT, raising=False)
    (own_home / "0123456789abcdef" / "streams" / "monitor").mkdir(parents=True)  # of yesterday's sources
    path = ["sources"]
    compiled.prefer_compiled("streams.monitor", path)
    assert path == ["sources"]
    built = compiled.folder() / "streams" / "monitor"
    built.mkdir(parents=True)
    compiled.prefer_compiled("streams.monitor", path)
    assert path == [str(built), "sources"]
    monkeypatch.setenv(compiled.ENVIRONMENT, "0")
    path = ["sources"]
    compiled.prefer_compiled("streams.monitor", path)
    assert path == ["sources"]


def test_every_module_named_is_there_and_its_package_looks_for_the_compiled_one() -> None:
    for path in compiled.sources():
        assert path.is_file()
        assert "prefer_compiled(__name__, __path__)" in (path.parent / "__init__.py").read_text()


def test_what_is_missing_is_named_with_what_to_install(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -pthread")
    with pytest.raises(CompileError, match=r"no C compiler \(no-such-compiler\).*apt-get install gcc"):
        compile_modules()
    monkeypatch.delenv("CC")
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"include": "/nowhere"})
    with pytest.raises(CompileError, match=r"/nowhere/Python\.h is missing.*python3-dev"):
        compile_modules()
    monkeypatch.undo()
    monkeypatch.setattr(compiled, "home", lambda: own_home)
    monkeypatch.setitem(sys.modules, "mypyc", None)
    with pytest.raises(CompileError, match=r"needs mypyc, which is not installed: pip install mypy setuptools"):
        compile_modules()
    assert not any(own_home.iterdir()) if own_home.exists() else True


@pytest.mark.timeout(600)
def test_a_build_that_fails_says_why_and_leaves_nothing(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "false")  # there, and compiles nothing
    with pytest.raises(CompileError, match=r"could not be compiled:\n(.*\n)*.*false"):
        compile_modules()
    assert list(own_home.iterdir()) == []


def test_an_environment_that_is_not_ones_own_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "builds").write_text("a file where the folder should be")
    monkeypatch.setattr(compiled, "home", lambda: tmp_path / "builds")
    with pytest.raises(CompileError, match=r"cannot write to .*builds: .*Compile as who installed Squall"):
        compile_modules()


def test_sources_that_change_meanwhile_are_not_taken_for_what_was_compiled(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled.digest()  # as it was when the build began

    def edited(scratch: Path) -> Path:
        monkeypatch.setattr(compiled, "_READ", ("streams/monitor/bins.py",))
        (scratch / "lib").mkdir()
        return scratch / "lib"

    monkeypatch.setattr(compiling, "_build", edited)
    with pytest.raises(CompileError, match="the sources changed while they were compiled: run it again"):
        compile_modules()
    assert list(own_home.iterdir()) == []


def test_a_new_build_takes_the_place_of_the_old_ones(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = own_home / "0123456789abcdef"
    old.mkdir(parents=True)

    def build(scratch: Path) -> Path:
        (scratch / "lib").mkdir()
        return scratch / "lib"

    monkeypatch.setattr(compiling, "_build", build)
    assert compile_modules() == compiled.folder()
    assert list(own_home.iterdir()) == [compiled.folder()]
