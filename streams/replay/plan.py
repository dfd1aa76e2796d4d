"""What decides a run beside its source: the rules as they were read, the monitor's options, and what is reported."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec

from streams.errors import RuleError
from streams.monitor import MonitorOptions, RuleSet
from streams.monitor.rule_files import parse_rules
from streams.records import Silence
from streams.replay.results import FORMAT
from streams.replay.sources.source import SourceFacts

Mode = Literal["as-scored", "rescored"]

_DEFAULT_RULES = "default_rules.yaml"


@dataclass(frozen=True, slots=True)
class RulesRead:
    """A rule file that was read.

    Attributes:
        name: of the file, without its folder.
        text: what it says.
        rules: what it means.
    """

    name: str
    text: str
    rules: RuleSet

    @property
    def sha256(self) -> str:
        """Hash of the text, 64 hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_rules(path: Path | None) -> RulesRead:
    """Read a rule file, or the rules that are shipped if there is no path.

    Raises:
        RuleError: the file cannot be read, or a rule of it is not valid.
    """
    if path is None:
        text = resources.files("streams.monitor").joinpath(_DEFAULT_RULES).read_text(encoding="utf-8")
        return RulesRead(_DEFAULT_RULES, text, parse_rules(text, name=_DEFAULT_RULES))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the rule file {path}: {error}"
        raise RuleError(msg) from error
    return RulesRead(path.name, text, parse_rules(text, name=str(path)))


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: everything that decides its results, apart from the records that go in.

    Attributes:
        rules: the rules to apply.
        options: the monitor's.
        mode: mentions as they were scored, or messages scored again.
        names: display names by entity.
        report_from: first event time of a transition that is reported, UTC; what came before is warm-up.
        report_until: last event time of a transition that is reported, UTC.
        entity: this company only; the mentions of others then move the clock and no more.
        remarks: what else decided the records, to be shown: the model, the warm-up, what was known when, ...
        silences: what the desk had silenced; applied by event time, as live.
    """

    rules: RulesRead
    options: MonitorOptions
    mode: Mode = "as-scored"
    names: Mapping[str, str] = field(default_factory=dict)
    report_from: datetime | None = None
    report_until: datetime | None = None
    entity: str | None = None
    remarks: Mapping[str, Any] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()

    def identity(self, facts: SourceFacts) -> dict[str, str]:
        """Return in words all that decides the results of this run on a source: a run goes on only as what it was."""
        names = msgspec.json.encode(dict(self.names), order="deterministic")
        return {
            "the source": facts.identity,
            "the mode": self.mode,
            "the rules": f"{self.rules.rules.version} ({self.rules.sha256[:12]})",
            "the begin of the range": _said(self.report_from, "open"),
            "the end of the range": _said(self.report_until, "open"),
            "the company": self.entity or "all",
            "the company names": _digest(names),
            "the format": str(FORMAT),
            **{f"monitor.{key}": str(value) for key, value in msgspec.structs.asdict(self.options).items()},
            **{key: str(value) for key, value in self.remarks.items()},
            **({"the silences": _digest(msgspec.json.encode(self.silences))} if self.silences else {}),
        }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _said(time: datetime | None, unset: str) -> str:
    return unset if time is None else time.isoformat()
