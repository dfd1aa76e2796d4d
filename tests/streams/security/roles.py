"""Users of a secured broker with the rights of a role, and `squall` as they run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import yaml

from streams.acls import AclRole, Grant, apply, grants
from streams.config import Settings
from tests.streams.security.secure_broker import ADMIN, Decision, SecureBroker

RULES = """rules:
  - alert: ManyNegative
    type: threshold
    signal: negative_share
    window: 60m
    fire: {gte: 0.5}
    min_support: {stories: 3, voices: 1}
    severity: {warning: {}}
"""
BAD_NEWS = (
    "plunges after a fraud investigation of its chairman", "is sued by regulators over false accounts",
    "warns of a huge loss and cuts its dividend", "loses its largest customer, shares collapse",
    "recalls all products after deadly accidents", "defaults on its bonds and fears bankruptcy",
    "is downgraded to junk by two agencies", "fires nine thousand workers as demand vanishes",
    "is hacked, data of millions stolen", "misses every estimate, the worst quarter in its history",
)  # fmt: skip


@dataclass(frozen=True)
class Installation:
    """One prefix on a secured broker."""

    broker: SecureBroker
    prefix: str
    folder: Path

    def settings(self, user: str = ADMIN, protocol: str = "SASL_SSL", **sections: Any) -> Settings:
        kafka = self.broker.settings(protocol, user, **sections.pop("kafka", {}))
        topics = {"prefix": self.prefix, "message_partitions": 2, "mention_partitions": 2}
        return Settings.model_validate({"kafka": kafka, "topics": topics, **sections})

    def grant(self, role: AclRole, user: str) -> None:
        apply(role, self.settings(), f"User:{user}")

    def needs(self, role: AclRole) -> tuple[Grant, ...]:
        return grants(role, self.settings())

    def squall(
        self, user: str, *arguments: str, protocol: str = "SASL_SSL", kafka: Mapping[str, Any] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a user does: no secret in the file, the password in a variable."""
        values = plain(self.settings(user, protocol, kafka=dict(kafka or {})))
        secrets = taken_out(values)
        config = self.folder / f"{user}-{protocol}.yaml"
        config.write_text(yaml.safe_dump(values))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SQUALL_")}
        return subprocess.run(
            [sys.executable, "-m", "deploy.cli", "--config", str(config), *arguments],
            capture_output=True,
            text=True,
            env=environ | secrets,
            timeout=180,
            check=False,
            cwd=self.folder,
        )


def plain(settings: Settings) -> dict[str, Any]:
    """Settings as a file has them, the password included."""
    values: dict[str, Any] = msgspec.to_builtins(settings.model_dump(mode="json", exclude_unset=True))
    if settings.kafka.sasl_password is not None:
        values["kafka"]["sasl_password"] = settings.kafka.sasl_password.get_secret_value()
    return values


def taken_out(values: dict[str, Any]) -> dict[str, str]:
    """Take the password out of a file's values, and return the variable that holds it."""
    password = values["kafka"].pop("sasl_password", None)
    return {} if password is None else {"SQUALL_KAFKA__SASL_PASSWORD": password}


def write_messages(path: Path) -> int:
    """Bad news of one company over three hours, as CSV; returns how many."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)
    lines = ["published_at,text,source,author,id"]
    for number in range(60):
        at = start + timedelta(minutes=3 * number)
        what = BAD_NEWS[number % len(BAD_NEWS)]
        lines.append(f'{at.isoformat()},"$MSFT {what} ({number * 7919})",wire-{number % 4},author-{number},m{number}')
    path.write_text("\n".join(lines) + "\n")
    return 60


def refused(decisions: list[Decision]) -> set[tuple[str, str, str]]:
    """Who was refused what."""
    return {(one.principal, one.operation, one.resource) for one in decisions if not one.allowed}


def resource(grant: Grant) -> str:
    """A right's resource in the words of the authorizer's log."""
    return f"{grant.kind.capitalize()}:LITERAL:{grant.name}"
