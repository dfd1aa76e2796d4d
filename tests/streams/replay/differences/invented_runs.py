"""Invented finished replays: their folders, without a replay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from streams.monitor.rule_files import parse_rules
from streams.records import Alert, encode
from streams.replay import results
from streams.replay.results import RuleSummary, SourceSummary, Summary, Versions, alert_line
from tests.streams.replay.differences.invented_alerts import minutes

RULES = """
rules:
  - alert: Surge
    type: spike
    fire: {arl: 30d}
    margin: 0.12
"""


def run_folder(
    folder: Path,
    alerts: Sequence[Alert] = (),
    *,
    rules: str = RULES,
    since: datetime | None = None,
    until: datetime | None = None,
    entity: str | None = None,
    models: Sequence[str] = ("fake@1",),
    identity: str = "0123456789abcdef",
    **fields: Any,
) -> Path:
    """Write the folder of a finished replay and return it."""
    found = parse_rules(rules, name="desk.yaml")
    summary = Summary(
        mode=fields.pop("mode", "as-scored"),
        source=SourceSummary(kind="files", text=fields.pop("text", "history.jsonl"), identity=identity, parts=[]),
        options={"entity": entity, "monitor.allowed_lateness_s": 120, **fields.pop("options", {})},
        report_from=since,
        report_until=until,
        first_event=fields.pop("first_event", minutes(0)),
        last_event=fields.pop("last_event", minutes(5 * 24 * 60 - 1)),
        mentions=1000,
        companies=2,
        late=0,
        duplicates=0,
        suppressed=0,
        bad={},
        transitions=len(alerts),
        fired=0,
        fired_by_severity={},
        fired_per_day={},
        most_alerts=[],
        rules=[
            RuleSummary(alert=rule.alert, type=rule.type, version=rule.version, transitions={}, alerts={})
            for rule in found.rules
        ],
        versions=Versions(
            squall=fields.pop("squall", "0.1.0"),
            python="3.11.7",
            records={"alert": 1, "mention": 1},
            rules=found.version,
            rules_file=fields.pop("rules_file", "desk.yaml"),
            rules_sha256="0" * 64,
            models=dict.fromkeys(models, 1000),
        ),
        **fields,
    )
    folder.mkdir(parents=True)
    (folder / results.SUMMARY).write_bytes(msgspec.json.format(encode(summary), indent=2))
    (folder / results.ALERTS).write_bytes(b"".join(alert_line(alert) for alert in alerts))
    (folder / results.RULES).write_text(rules, encoding="utf-8")
    return folder
