"""`squall warm` against a real broker and a real worker: a cold company is warm, and a replay of the log agrees."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from deploy.cli import ENTRIES, load
from deploy.cli import replay as replay_command
from deploy.cli import warm as warm_command
from streams.config import Settings
from streams.errors import BrokerError, InputError, TopicError
from streams.monitor import default_rules
from streams.monitor.baseline import share
from streams.monitor.seeds import from_seeded
from streams.monitor.usual import usual_share
from streams.records import Alert, Mention, Seed, decode_alert, decode_mention, encode
from streams.replay.sources.partitioner import partition_of
from streams.replay.warming.warm import read_live
from tests.streams.app.harness import WorkerProcess, end_of, records_of, until
from tests.streams.monitor.invented import START, ended, heard, mention

COLD, SILENT = "PLNDR", "TAMAR"
QUIET_SHARE = 0.05

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]


@pytest.fixture
def squall(settings_with_topics: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `squall warm` or `squall replay` with the test's settings."""

    def run(name: str, *arguments: str) -> Result:
        return _run(settings_with_topics, monkeypatch, name, *arguments)

    return run


def _run(settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str) -> Result:
    module = {"warm": warm_command, "replay": replay_command}[name]
    monkeypatch.setattr(module, "settings", lambda: settings)
    assert load(next(entry for entry in ENTRIES if entry.name == name)).name == name
    app = typer.Typer(add_completion=False)
    app.command()(getattr(module, name))
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def history(folder: Path, *, days: int = 3, last_day: int = 0) -> Path:
    """Quiet days of two companies, scored, up to some days before the live feed begins."""
    path = folder / f"history-{days}-{last_day}.jsonl"
    first = START - timedelta(days=days + last_day)
    lines = []
    for number in range(days * 240):
        entity = (COLD, SILENT)[number % 2]
        made = mention(number, first + timedelta(minutes=6 * number), QUIET_SHARE, entity=entity)
        row = {
            "id": f"h{number}",
            "entity": entity,
            "source": made.source,
            "text": made.text,
            "negative": made.negative,
        }
        lines.append(json.dumps({**row, "published_at": made.published_at.isoformat()}))
    path.write_text("\n".join(lines) + "\n")
    return path


def live_feed() -> list[Any]:
    """A quiet hour of one company, and then an hour of bad news."""
    dice = random.Random(8)
    quiet = [mention(5_000 + n, START + timedelta(minutes=15 * n), QUIET_SHARE, entity=COLD) for n in range(4)]
    rise = START + timedelta(hours=1)
    bad = [
        mention(6_000 + n, rise + timedelta(minutes=n), round(dice.uniform(0.85, 0.99), 3), entity=COLD)
        for n in range(60)
    ]
    return [*heard(2), *quiet, *bad, *ended(2, rise + timedelta(hours=1))]


def put(settings: Settings, log: list[Any]) -> None:
    partitions = settings.topics.mention_partitions
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    for record in log:
        chosen = [partition_of(record.entity, partitions)] if isinstance(record, Mention) else range(partitions)
        for number in chosen:
            producer.send(settings.topics.mentions, value=encode(record), partition=number)
    producer.flush()
    producer.close()


def seeds_on(settings: Settings) -> list[Seed]:
    found = [decode_mention(record.value) for record in records_of(settings, settings.topics.mentions)]
    return [record for record in found if isinstance(record, Seed)]


def fired_on(settings: Settings) -> list[Alert]:
    found = [decode_alert(record.value) for record in records_of(settings, settings.topics.alerts)]
    return [alert for alert in found if alert.state == "firing"]


def test_a_cold_company_is_warm_in_the_live_worker_and_a_replay_of_the_log_agrees(
    settings_with_topics: Settings, squall: Any, tmp_path: Path
) -> None:
    settings = settings_with_topics
    path = str(history(tmp_path))
    result = squall("warm", path, "--as-scored", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "2 seeds would be sent; nothing was" in result.output
    assert end_of(settings, settings.topics.mentions) == 0

    result = squall("warm", path, "--as-scored")
    assert result.exit_code == 0, result.output
    assert "2 companies in the history: 2 new" in result.output
    seeds = {seed.entity: seed for seed in seeds_on(settings)}
    assert seeds.keys() == {COLD, SILENT}
    assert all(seed.learned_until <= START and not seed.force for seed in seeds.values())

    rules = default_rules().rules
    with WorkerProcess(settings, tmp_path, role="monitor") as worker:
        worker.wait_ready()
        until(lambda: worker.metric("squall_seeded_baselines_total") == 2 * len(rules), "the seeds were not taken")
        put(settings, live_feed())
        (alert, *_) = until(lambda: fired_on(settings), "nothing fired")
        until(lambda: len(read_live(settings, {COLD, SILENT})) == 2, "the state is not saved")
        until(
            lambda: any(m.life.state == "firing" for m in read_live(settings, {COLD})[COLD].rules.values()),
            "the alert is not saved",
        )

        result = squall("warm", path, "--as-scored", "--force", "--dry-run")
        assert result.exit_code == 0, result.output
        assert "alert open: refused" in result.output
        result = squall("warm", path, "--as-scored")
        assert result.exit_code == 1
        assert f"{SILENT} " in result.output
        assert "1 there already" in result.output
        assert len(seeds_on(settings)) == 2, "an open alert's company, and one that has its seed, need none"
        older = squall("warm", str(history(tmp_path, last_day=2)), "--as-scored", "--entity", SILENT)
        assert older.exit_code == 1
        assert "fresher: kept" in older.output

    rule = next(rule for rule in rules if rule.alert == alert.rule)
    learned = from_seeded(seeds[COLD].baselines[rule.alert])
    assert learned.lately.votes > 0
    seeded = usual_share(learned.lately, share(learned.baseline, rule.baseline))
    baseline = alert.evidence.baseline
    assert alert.labels["entity"] == COLD
    assert baseline.warm
    assert baseline.share == pytest.approx(seeded, abs=0.01)
    assert baseline.share < rule.baseline.prior_share / 2

    result = squall("replay", "kafka:", "--as-scored", "--check", "--out", str(tmp_path / "again"))
    assert result.exit_code == 0, result.output
    assert "byte for byte" in result.output


def test_force_overwrites_what_is_fresher_and_the_log_says_so(
    settings_with_topics: Settings, squall: Any, tmp_path: Path
) -> None:
    settings = settings_with_topics
    with WorkerProcess(settings, tmp_path, role="monitor") as worker:
        worker.wait_ready()
        put(settings, [*heard(2), *live_feed()[2:6], *ended(2, START + timedelta(hours=2))])
        until(lambda: COLD in read_live(settings, {COLD}) and _learned(settings) > 0, "nothing was learned")
        path = str(history(tmp_path))
        kept = squall("warm", path, "--as-scored", "--entity", COLD)
        assert kept.exit_code == 1
        assert "overwrite them with --force" in kept.output
        assert not seeds_on(settings)
        forced = squall("warm", path, "--as-scored", "--entity", COLD, "--force")
        assert forced.exit_code == 0, forced.output
        assert "fresher: overwritten" in forced.output
        until(lambda: _learned(settings) > 100, "the forced seed was not taken")
    (seed,) = seeds_on(settings)
    assert seed.force


def _learned(settings: Settings) -> float:
    return max((m.baseline.votes for m in read_live(settings, {COLD})[COLD].rules.values()), default=0.0)


def test_a_history_from_the_future_is_refused_and_sends_nothing(
    settings_with_topics: Settings, squall: Any, tmp_path: Path
) -> None:
    result = squall("warm", str(history(tmp_path, last_day=-36_500)), "--as-scored")
    assert isinstance(result.exception, InputError)
    assert "yet to come: leave that out with --to" in str(result.exception)
    assert end_of(settings_with_topics, settings_with_topics.topics.mentions) == 0


def test_without_topics_nothing_is_read(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = _run(settings, monkeypatch, "warm", str(history(tmp_path)), "--as-scored")
    assert isinstance(result.exception, TopicError)
    assert "squall topics create" in str(result.exception)
    assert "learning" not in result.output


def test_without_a_broker_it_says_so(make_settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nowhere = make_settings("127.0.0.1:1", "nowhere")
    result = _run(nowhere, monkeypatch, "warm", str(history(tmp_path)), "--as-scored")
    assert isinstance(result.exception, BrokerError)
    assert "cannot reach Kafka" in str(result.exception)


def test_raw_messages_are_scored_first_and_bad_rows_are_told(
    settings_with_topics: Settings, squall: Any, tmp_path: Path
) -> None:
    path = tmp_path / "wire.csv"
    rows = [
        f"{n},2026-03-0{n}T10:00:00Z,$MSFT opens data centre number {n} to the public on a day" for n in range(1, 8)
    ]
    path.write_text("\n".join(["id,published_at,text", "0,yesterday,$MSFT has no time", *rows]) + "\n")
    result = squall("warm", str(path), "--workers", "1", "--to", "2026-03-04T00:00:00Z")
    assert result.exit_code == 1, "there was a bad row"
    assert "wire.csv:2" in result.output
    assert "1 company in the history: 1 new" in result.output
    (seed,) = seeds_on(settings_with_topics)
    assert seed.entity == "MSFT"
    assert {round(learned.votes) for learned in seed.baselines.values()} == {3}
    assert f"{seed.learned_until:%Y-%m-%d}" == "2026-03-03"


def test_bad_rows_end_with_1_unless_they_may_be_passed_over(
    settings_with_topics: Settings, squall: Any, tmp_path: Path
) -> None:
    path = history(tmp_path)
    path.write_text('{"broken\n' + path.read_text())
    arguments = ("warm", str(path), "--as-scored", "--dry-run")
    assert squall(*arguments).exit_code == 1
    passed = squall(*arguments, "--skip-bad")
    assert passed.exit_code == 0, passed.output
    assert f"{path}:1" in passed.output
    assert end_of(settings_with_topics, settings_with_topics.topics.mentions) == 0
