"""What is locked and has a known vulnerability fails `make lint`: pip-audit, and a list of what is accepted.

A vulnerability fails the gate unless `audit.toml` accepts it with a reason and for a while. What cannot be looked up
(no network, an index that tells nothing) fails nothing and is said loudly: silence would read as "none".
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LOCKS = (ROOT / "requirements.lock", ROOT / "requirements-uv.lock")
ACCEPTED = Path(__file__).parent / "audit.toml"
CACHE = ROOT / ".squall" / "audit.json"
SERVICES = ("pypi", "osv")
"""Asked in this order until one knows all packages."""
LONGEST_DAYS = 180
_TIMEOUT_S = 300.0
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Accepted:
    """A vulnerability that somebody has looked at."""

    id: str
    package: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True)
class Finding:
    """A vulnerability of a package that is locked."""

    package: str
    version: str
    ids: frozenset[str]
    """Its id and aliases."""
    fixed_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found."""

    findings: tuple[Finding, ...]
    audited: int
    """Packages that were looked up."""
    unknown: tuple[str, ...]
    """Packages of which nothing is known."""


@dataclass(slots=True)
class Judgement:
    """What `make lint` says."""

    failures: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_accepted(text: str) -> tuple[Accepted, ...]:
    """Read the list. Pure.

    Raises:
        ValueError: an entry lacks something, or is accepted without a reason.
    """
    entries = []
    for number, entry in enumerate(tomllib.loads(text).get("accepted", ()), start=1):
        wrong = set(entry) ^ {"id", "package", "reason", "until"}
        if wrong or not isinstance(entry["until"], date) or not str(entry["reason"]).strip():
            msg = f"audit.toml: entry {number} needs id, package, a reason, and until (a date)"
            raise ValueError(msg)
        entries.append(Accepted(**entry))
    return tuple(entries)


def read_report(text: str) -> Report:
    """Read pip-audit's JSON. Pure."""
    findings, unknown, audited = [], [], 0
    for package in json.loads(text)["dependencies"]:
        if "skip_reason" in package:
            unknown.append(package["name"])
            continue
        audited += 1
        findings += [
            Finding(
                package["name"], package["version"], frozenset({found["id"], *found["aliases"]}),
                tuple(found["fix_versions"]),
            )
            for found in package["vulns"]
        ]  # fmt: skip
    return Report(tuple(findings), audited, tuple(unknown))


def judge(report: Report, accepted: Sequence[Accepted], today: date) -> Judgement:
    """Decide. Pure: today is an argument."""
    judgement = Judgement()
    for finding in report.findings:
        name = f"{finding.package} {finding.version}: {', '.join(sorted(finding.ids))}"
        entry = next((one for one in accepted if _covers(one, finding)), None)
        if entry is None:
            mend = f"fixed in {', '.join(finding.fixed_in)}" if finding.fixed_in else "no version is without it"
            judgement.failures.append(
                f"{name} ({mend}): upgrade it in requirements.lock, or accept it in deploy/audit.toml with a reason"
            )
        elif entry.until < today:
            judgement.failures.append(f"{name} was accepted until {entry.until}: look at it again ({entry.reason})")
        else:
            judgement.remarks.append(f"{name} is accepted until {entry.until}: {entry.reason}")
    for entry in accepted:
        if entry.until > today + timedelta(days=LONGEST_DAYS):
            judgement.failures.append(f"{entry.id} is accepted until {entry.until}: at most {LONGEST_DAYS} days ahead")
        known = entry.package not in report.unknown
        if known and not any(_covers(entry, finding) for finding in report.findings):
            judgement.failures.append(f"{entry.id} of {entry.package} is accepted and not found any more: take it out")
    if report.unknown:
        named = ", ".join(report.unknown[:_NAMED]) + (", ..." if len(report.unknown) > _NAMED else "")
        judgement.remarks.append(
            f"NOT AUDITED: {len(report.unknown)} of {report.audited + len(report.unknown)} packages: the package index "
            f"tells nothing of them from here ({named}). Run make lint where it does, or where OSV answers"
        )
    elif not judgement.failures:
        judgement.remarks.append(f"{report.audited} packages have no known vulnerability that is not accepted")
    return judgement


def _covers(entry: Accepted, finding: Finding) -> bool:
    return entry.package == finding.package and entry.id in finding.ids


def audit(program: Path, locks: Sequence[Path], cache: Path, now: datetime) -> Report | str:
    """Ask pip-audit, or remember what it said of the same locks: all of it today, less than all within the hour.

    Args:
        program: pip-audit.
        locks: files with pinned, hashed packages; nothing is resolved and nothing installed.
        cache: a file to remember a complete audit in.
        now: UTC.

    Returns:
        The report that knows most, or the reason why there is none.
    """
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()
    of_day, of_hour = f"{digest} {now:%Y-%m-%d}", f"{digest} {now:%Y-%m-%dT%H}"
    if (remembered := _remembered(cache, {of_day, of_hour})) is not None:
        return remembered
    best: tuple[Report, str] | None = None
    for service in SERVICES:
        text = _ask(program, locks, service)
        if text is None:
            continue
        report = read_report(text)
        if best is None or len(report.unknown) < len(best[0].unknown):
            best = report, text
        if not report.unknown:
            break
    if best is None:
        return "pip-audit did not come to an end"
    cache.parent.mkdir(parents=True, exist_ok=True)
    key = of_hour if best[0].unknown else of_day
    cache.write_text(json.dumps({"key": key, "report": best[1]}), encoding="utf-8")
    return best[0]


def _ask(program: Path, locks: Sequence[Path], service: str) -> str | None:
    """Return pip-audit's JSON; None where it could not finish, as without a network."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "audit.json"
        files = [word for lock in locks for word in ("-r", str(lock))]
        how = ["--require-hashes", "--disable-pip", "--progress-spinner", "off", "--timeout", "10"]
        command = [str(program), *how, "--vulnerability-service", service, "-f", "json", "-o", str(output), *files]
        try:
            subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603  # our own
            text = output.read_text(encoding="utf-8")
            read_report(text)
        except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
            return None
        return text


def _remembered(cache: Path, keys: Collection[str]) -> Report | None:
    try:
        kept: dict[str, Any] = json.loads(cache.read_text(encoding="utf-8"))
        return read_report(kept["report"]) if kept["key"] in keys else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main(
    program: Path | None = None, accepted: Path = ACCEPTED, locks: Sequence[Path] = LOCKS, cache: Path = CACHE
) -> int:
    """Audit, say what was found on standard error, and return the exit status: 1 for what must be mended."""
    now = datetime.now(UTC)
    found = audit(program or Path(sys.executable).with_name("pip-audit"), locks, cache, now)
    if isinstance(found, str):
        judgement = Judgement(remarks=[f"NOT AUDITED: no vulnerability was looked up ({found}). Is there a network?"])
    else:
        judgement = judge(found, read_accepted(accepted.read_text(encoding="utf-8")), now.date())
    for line in judgement.remarks:
        sys.stderr.write(f"audit: {line}\n")
    for line in judgement.failures:
        sys.stderr.write(f"audit: FAILED: {line}\n")
    return 1 if judgement.failures else 0


if __name__ == "__main__":
    sys.exit(main())
