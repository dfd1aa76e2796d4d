"""What `squall warm` learns from a file, what it says where that is nothing, and of seeds that are sent in part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from deploy.cli import warm as warm_command
from deploy.cli.replay_progress import RunDisplay
from deploy.cli.warm_heard import COMPANIES_TOLD, Heard
from deploy.cli.warm_history import History, Learned, learn_history
from deploy.cli.warm_words import print_proposals
from streams.config import Settings
from streams.errors import InputError
from streams.records import Mention
from streams.replay.warming.lessons import learn
from streams.replay.warming.warm import propose
from tests.streams.monitor.invented import START, eager_rules, mention
from tests.streams.replay.warming.test_warm import MINUTE, OPTIONS, Source, lived, quiet, seeds

COMPANIES = ("PLNDR", "TAMAR", "QUOLL")


def history(
    folder: Path, *, share: float = 0.1, entities: Sequence[str] = COMPANIES, apart: timedelta = MINUTE
) -> Path:
    """Messages on each company in turn, scored: two hours of them, or so long as they are apart."""
    path = folder / "history.jsonl"
    lines = []
    for number in range(120):
        made = mention(number, START + number * apart, share)
        row = {"id": f"h{number}", "entity": entities[number % len(entities)], "source": made.source, "text": made.text}
        lines.append(json.dumps({**row, "negative": made.negative, "published_at": made.published_at.isoformat()}))
    path.write_text("\n".join(lines))
    return path


def learned(path: Path, *entities: str) -> Learned:
    """What comes of a file under the rules that fire on a dozen stories."""
    console = Console(file=StringIO(), width=200)
    with RunDisplay(console) as display:
        return learn_history(
            Settings(),
            History((str(path),), as_scored=True, entities=frozenset(entities)),
            eager_rules(),
            path.parent,
            display=display,
            on_bad=lambda bad: None,
            now=datetime(2026, 6, 1, tzinfo=UTC),
        )


def test_each_company_that_is_asked_for_is_learned(tmp_path: Path) -> None:
    path = history(tmp_path)
    assert [seed.entity for seed in learned(path).seeds] == sorted(COMPANIES)
    assert [seed.entity for seed in learned(path, "TAMAR").seeds] == ["TAMAR"]
    assert learned(path).why_nothing is None


def test_a_company_that_the_history_does_not_mention_is_refused_with_those_that_it_does(tmp_path: Path) -> None:
    path = history(tmp_path)
    with pytest.raises(InputError) as caught:
        learned(path, "TAMAR", "NOPE")
    assert str(caught.value) == (
        f"--entity: there are no mentions of NOPE in {path}, there are those of PLNDR, TAMAR, QUOLL"
    )
    with pytest.raises(InputError, match=r"there are no mentions of TAMARA in .*; did you mean TAMAR\?"):
        learned(path, "TAMARA")
    many = history(tmp_path, entities=[f"CO{number}" for number in range(COMPANIES_TOLD + 2)])
    with pytest.raises(InputError, match=r"CO7 and 2 more companies"):
        learned(many, "NOPE")


def test_a_history_that_is_one_rise_teaches_nothing_and_says_so(tmp_path: Path) -> None:
    # All at once: before there is some evidence of a rise, its first votes are learned like any others.
    found = learned(history(tmp_path, share=0.95, apart=timedelta(seconds=1)))
    assert found.seeds == ()
    assert found.why_nothing == (
        "the rules hold all of it back (120 mentions of 3 companies): they do not learn from a rise that is still "
        "under way"
    )


def why_nothing(*records: Mention, closing: bool) -> str:
    source = Heard(Source([*(quiet("AURL", 1) if closing else []), *records]))
    learn(source, rules=eager_rules(), options=OPTIONS, entities={"BRND"}, on_closed=source.closed)
    return source.why_nothing({"BRND"})


def test_a_history_in_which_no_bin_has_closed_teaches_nothing_and_says_why() -> None:
    one = mention(7, START + 40 * MINUTE, entity="BRND")
    assert why_nothing(one, closing=False).startswith("no bin has closed, as nothing in the history says how far")
    assert why_nothing(one, closing=True) == (
        f"no bin of theirs has closed (1 mention of 1 company): the first is from {one.published_at:%Y-%m-%dT%H:%M:%SZ}"
        f", and the history is complete up to {START + 38 * MINUTE:%Y-%m-%dT%H:%M:%SZ} only"
    )
    assert why_nothing(closing=True) == "the history has no mentions of that range"


def warm(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """Run the command where the topics are there, and the live state must not be asked for."""
    monkeypatch.setattr(warm_command, "settings", Settings)
    monkeypatch.setattr(warm_command, "require_topics", lambda settings: None)
    app = typer.Typer(add_completion=False)
    app.command()(warm_command.warm)
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_the_command_ends_with_1_where_nothing_was_learned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = warm(monkeypatch, str(history(tmp_path, share=0.95, apart=timedelta(seconds=1))), "--as-scored")
    assert shown.exit_code == 1, shown.output
    assert "Nothing was learned, and nothing was sent: the rules hold all of it back" in shown.stderr
    assert "seed" not in shown.stdout


def test_a_seed_of_which_an_open_alert_refuses_a_part_is_told_by_rule() -> None:
    live = lived(quiet("AURL"))
    later = seeds(quiet("AURL", first=START + timedelta(days=1)))
    live["AURL"].rules["Surge"].life.state = "pending"
    console = Console(file=StringIO(), width=200)
    print_proposals(console, propose(later, live, eager_rules()), force=False, dry_run=True)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "alert open: refused for Surge, sent for High" in shown
    assert "1 seed (1 in part) would be sent; nothing was" in shown
    live["AURL"].rules["High"].life.state = "pending"
    print_proposals(console, propose(later, live, eager_rules()), force=False, dry_run=True)
    shown = console.file.getvalue().removeprefix(shown)  # type: ignore[attr-defined]
    assert "alert open: refused\n" in shown.replace(" \n", "\n")
    assert "0 seeds would be sent; nothing was" in shown
