"""deploy/docs/SECURITY.md and the code say the same of rights on Kafka, and of every key that it names."""

from __future__ import annotations

import re
from pathlib import Path

from streams.acls import PURPOSES, AclRole, grants
from streams.config import Settings, keys

DOCUMENT = Path(__file__).parents[2] / "deploy" / "docs" / "SECURITY.md"
BEGIN, END = "<!-- rights: begin -->\n", "<!-- rights: end -->\n"


def rights_table() -> str:
    """The table of all roles, for topics under the usual prefix."""
    settings = Settings()
    lines = ["| role | for | on | may | why |", "|---|---|---|---|---|"]
    for role in AclRole:
        if role is AclRole.ALL:
            lines.append(f"| `{role}` | {PURPOSES[role]} | | | what `scorer` and `monitor` may, together |")
            continue
        first = (f"`{role}`", PURPOSES[role])
        resources: dict[str, tuple[list[str], list[str]]] = {}
        for one in grants(role, settings):
            name = f"{one.kind} `{one.name}{'*' if one.prefixed else ''}`"
            operations, reasons = resources.setdefault(name, ([], []))
            operations.append(one.operation)
            if one.why not in reasons:
                reasons.append(one.why)
        for name, (operations, reasons) in resources.items():
            lines.append(f"| {first[0]} | {first[1]} | {name} | {', '.join(operations)} | {'; '.join(reasons)} |")
            first = ("", "")
    return "\n".join(lines) + "\n"


def test_the_table_of_rights_is_that_of_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    found = text.partition(BEGIN)[2].partition(END)[0]
    assert found == rights_table(), f"put this between the two marks of {DOCUMENT.name}:\n{rights_table()}"


def test_every_key_that_it_names_is_one() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    known = [key for key, *_ in keys()]
    sections = "|".join(Settings.model_fields)
    named = set(re.findall(rf"`((?:{sections})\.[a-z_*]+)`", text))
    assert named
    for name in named:
        assert any(re.fullmatch(name.replace("*", ".*"), key) for key in known), name


def test_every_secret_of_the_configuration_is_named() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    secrets = [
        f"{section}.{name}"
        for section, outer in Settings.model_fields.items()
        for name, field in outer.annotation.model_fields.items()  # type: ignore[union-attr]
        if "SecretStr" in str(field.annotation)
    ]
    assert len(secrets) >= 4
    assert [secret for secret in secrets if f"`{secret}`" not in text] == []
