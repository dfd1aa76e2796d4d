"""`squall config`: values with their sources, secrets masked, the schema."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from deploy.cli import app
from deploy.cli.frame import invocation
from streams.config import keys, load_settings
from streams.errors import ConfigError


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SQUALL_")]:
        monkeypatch.delenv(name)
    yield
    invocation.config = None


def run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=dict(variables))  # type: ignore[return-value]


def line_of(text: str, key: str) -> str:
    (line,) = (line for line in text.splitlines() if line.strip().startswith(f"{key}:"))
    return line.strip()


def test_every_key_is_shown_with_its_help_and_its_source() -> None:
    shown = run("config", "show").stdout
    values = yaml.safe_load(shown)
    for key, _, _, text in keys():
        section, name = key.split(".")
        assert name in values[section]
        assert text, f"{key} has no help"
        assert " ".join(text.split()[:3]) in shown
    assert line_of(shown, "message_partitions") == "message_partitions: 4  # default"
    assert line_of(shown, "bootstrap_servers").endswith("# the local broker: broker.port")


def test_a_value_names_the_file_or_the_variable_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "desk.yaml"
    file.write_text("topics: {prefix: desk, message_partitions: 8}\nworker:\n", encoding="utf-8")
    shown = run("--config", str(file), "config", "show", SQUALL_TOPICS__MESSAGE_PARTITIONS="16").stdout
    assert line_of(shown, "prefix") == f"prefix: desk  # {file}"
    assert line_of(shown, "message_partitions") == "message_partitions: 16  # SQUALL_TOPICS__MESSAGE_PARTITIONS"


def test_the_address_that_receivers_are_told_names_the_port_it_follows() -> None:
    shown = run("config", "show", SQUALL_WORKER__PORT="7000").stdout
    assert line_of(shown, "external_url") == "external_url: http://127.0.0.1:7000  # this worker: worker.port"
    shown = run("config", "show", SQUALL_DELIVERY__EXTERNAL_URL="https://squall.example").stdout
    assert line_of(shown, "external_url") == "external_url: https://squall.example  # SQUALL_DELIVERY__EXTERNAL_URL"


def test_the_file_of_the_folder_is_found_without_being_named(tmp_path: Path) -> None:
    (tmp_path / "squall.yaml").write_text("broker: {port: 19092}\n", encoding="utf-8")
    shown = run("config", "show").stdout
    assert line_of(shown, "bootstrap_servers").startswith("bootstrap_servers: ['127.0.0.1:19092']")
    assert "port: 19092  # squall.yaml" in shown


def test_secrets_are_masked() -> None:
    secrets = ("SQUALL_KAFKA__SASL_PASSWORD", "SQUALL_KAFKA__SSL_KEY_PASSWORD", "SQUALL_DELIVERY__WEBHOOK_TOKEN")
    shown = run("config", "show", **dict.fromkeys(secrets, "hunter2")).output
    assert "hunter" not in shown
    assert line_of(shown, "sasl_password") == "sasl_password: '**********'  # SQUALL_KAFKA__SASL_PASSWORD"


def test_the_output_is_a_configuration_that_gives_the_same_settings(tmp_path: Path) -> None:
    shown = run("config", "show", SQUALL_WORKER__PORT="7077", SQUALL_KAFKA__BOOTSTRAP_SERVERS="a:1,b:2").stdout
    copy = tmp_path / "copy.yaml"
    copy.write_text(shown, encoding="utf-8")
    expected = load_settings(environ={"SQUALL_WORKER__PORT": "7077", "SQUALL_KAFKA__BOOTSTRAP_SERVERS": "a:1,b:2"})
    assert load_settings(copy, environ={}) == expected


def test_an_unknown_key_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "squall.yaml").write_text("topics: {prefixx: desk}\n", encoding="utf-8")
    refused = run("config", "show")
    assert isinstance(refused.exception, ConfigError)
    assert "unknown key 'topics.prefixx'; did you mean 'topics.prefix'?" in str(refused.exception)


def test_the_schema_describes_every_key_and_refuses_others() -> None:
    schema = json.loads(run("config", "schema").stdout)
    for key, _, _, text in keys():
        section, name = key.split(".")
        reference = schema["properties"][section]
        part = schema["$defs"][(reference.get("$ref") or reference["allOf"][0]["$ref"]).rpartition("/")[2]]
        assert part["additionalProperties"] is False
        assert " ".join(part["properties"][name]["description"].split()) == text
