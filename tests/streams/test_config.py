"""The configuration: variable before file before default, what is refused and in which words, and no secret shown."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from streams.config import Settings, keys, load_settings, nearest, shown
from streams.errors import ConfigError

SECRET = "hunter2-correct-horse"  # noqa: S105  # nobody's
SASL = {
    "SQUALL_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
    "SQUALL_KAFKA__SASL_USERNAME": "desk",
    "SQUALL_KAFKA__SASL_PASSWORD": SECRET,
}
Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """`load(text, **variables)`: settings from a file with this text (none without) and these variables."""
    monkeypatch.chdir(tmp_path)

    def from_text(text: str | bytes | None = None, **variables: str) -> Settings:
        if text is None:
            return load_settings(environ=variables)
        file = tmp_path / "desk.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_settings(file, environ=variables)

    return from_text


def refused(load: Load, *text: str | bytes, **variables: str) -> str:
    with pytest.raises(ConfigError) as error:
        load(*text, **variables)
    assert SECRET not in "".join(traceback.format_exception(error.value))
    return str(error.value)


def test_a_variable_goes_before_the_file_and_the_file_before_the_default(load: Load) -> None:
    text = "topics: {prefix: from-file, replication_factor: 3}\n"
    settings = load(text, SQUALL_TOPICS__PREFIX="from-variable")
    assert settings.topics.prefix == "from-variable"
    assert settings.topics.replication_factor == 3
    assert settings.topics.message_partitions == 4


def test_the_file_is_the_one_given_or_the_variables_or_the_folders(load: Load, tmp_path: Path) -> None:
    (tmp_path / "squall.yaml").write_text("topics: {prefix: folder}", encoding="utf-8")
    (tmp_path / "named.yaml").write_text("topics: {prefix: named}", encoding="utf-8")
    assert load().topics.prefix == "folder"
    named = str(tmp_path / "named.yaml")
    assert load(SQUALL_CONFIG=named).topics.prefix == "named"
    assert load("topics: {prefix: given}", SQUALL_CONFIG=named).topics.prefix == "given"


def test_without_any_file_the_defaults_hold(load: Load) -> None:
    assert load().topics.prefix == "squall"


@pytest.mark.parametrize("text", ["", "# nothing\n", "topics:\n", "topics: {}\nworker:\n"])
def test_a_file_may_be_empty_and_so_may_a_section(load: Load, text: str) -> None:
    assert load(text).topics.prefix == "squall"


def test_a_named_file_must_be_there(load: Load, tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    words = f"cannot read the configuration file {re.escape(str(missing))}: No such"
    with pytest.raises(ConfigError, match=words):
        load_settings(missing, environ={})
    with pytest.raises(ConfigError, match=words):
        load(SQUALL_CONFIG=str(missing))


def test_only_variables_of_ours_are_looked_at_in_any_case(load: Load) -> None:
    assert load(PATH="x", SQUALLED="y", squall_topics__prefix="lower").topics.prefix == "lower"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kafkaa: {}", "unknown section 'kafkaa'; did you mean 'kafka'?"),
        ("topics: {prefx: a}", "unknown key 'topics.prefx'; did you mean 'topics.prefix'?"),
        ("worker: {prefix: a}", "unknown key 'worker.prefix'; did you mean "),
        ("zzzz: {}", "unknown section 'zzzz'"),
        ("1: {}", "unknown section 1"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(load: Load, text: str, words: str) -> None:
    message = refused(load, text)
    assert words in message
    assert "desk.yaml" in message


def test_an_unknown_variable_is_refused_with_the_nearest_known_one(load: Load) -> None:
    message = refused(load, SQUALL_KAFKA__BOOTSTRAP="a:1")
    assert message == "unknown variable SQUALL_KAFKA__BOOTSTRAP; did you mean 'SQUALL_KAFKA__BOOTSTRAP_SERVERS'?"
    assert "SQUALL_KAFKA" in refused(load, SQUALL_KAFKA="a:1")


def test_what_is_like_nothing_known_is_given_no_hint() -> None:
    assert nearest("qqqq", ["prefix"]) == ""


@pytest.mark.parametrize("text", ["- a\n", "topics: 5\n", "just words\n", "topics: [a]\n", "7"])
def test_a_file_that_is_not_made_of_sections_says_what_is_expected(load: Load, text: str) -> None:
    assert "expected sections (kafka, topics," in refused(load, text)


@pytest.mark.parametrize(
    ("text", "place"),
    [("topics:\n  prefix: [a\n", ":3:1"), ("kafka:\n\tx: 1\n", ":2:1"), ("topics: {prefix: a}}\n", ":1:20")],
)
def test_broken_yaml_is_refused_with_line_and_column(load: Load, text: str, place: str) -> None:
    assert f"desk.yaml{place}: not valid YAML: " in refused(load, text)


@pytest.mark.parametrize("text", [b"topics: {prefix: \xff}", b"topics: {prefix: \x00}"])
def test_a_file_that_is_no_text_is_refused(load: Load, text: bytes) -> None:
    assert "desk.yaml" in refused(load, text)


@pytest.mark.parametrize(
    ("text", "variables", "place"),
    [
        ("topics: {message_partitions: none}", {}, "desk.yaml: topics.message_partitions: "),
        ("topics: {message_partitions: 0}", {}, "desk.yaml: topics.message_partitions: "),
        ("topics: {prefix: 'a b'}", {}, "desk.yaml: topics.prefix: "),
        ("worker: {log_level: LOUD}", {}, "desk.yaml: worker.log_level: "),
        ("kafka: {bootstrap_servers: [a]}", {}, "desk.yaml: kafka.bootstrap_servers: 'a' is not host:port"),
        ("kafka: {bootstrap_servers: ''}", {}, "desk.yaml: kafka.bootstrap_servers: needs at least one host:port"),
        ("ingest: {oldest: 2015-01-01}", {}, "desk.yaml: ingest.oldest: "),
        ("ingest: {max_future_s: .inf}", {}, "desk.yaml: ingest.max_future_s: "),
        ("ingest: {max_future_s: 1.0e+300}", {}, "desk.yaml: ingest.max_future_s: "),
        ("worker: {idle_after_s: .nan}", {}, "desk.yaml: worker.idle_after_s: "),
        ("topics: {prefix: good}", {"SQUALL_BROKER__PORT": "many"}, "SQUALL_BROKER__PORT: "),
        ("broker: {port: 9092}", {"SQUALL_BROKER__PORT": "70000"}, "SQUALL_BROKER__PORT: "),
        ("delivery: {webhook_url: 'ftp://x'}", {}, "desk.yaml: delivery.webhook_url: must begin with http"),
    ],
)
def test_a_wrong_value_is_refused_with_the_place_it_was_set(
    load: Load, text: str, variables: dict[str, str], place: str
) -> None:
    message = refused(load, text, **variables)
    assert message.startswith(place) or f"/{place}" in message
    assert len(message.splitlines()) == 1


def test_all_wrong_values_are_told_at_once(load: Load) -> None:
    assert len(refused(load, "broker: {port: x}\nworker: {port: y}\n", SQUALL_TOPICS__PREFIX=" ").splitlines()) == 3


def test_servers_are_a_list_or_words_with_commas(load: Load) -> None:
    for text in ("kafka: {bootstrap_servers: [a:1, 'b:2']}", "kafka: {bootstrap_servers: 'a:1, b:2,'}"):
        assert load(text).kafka.bootstrap_servers == ("a:1", "b:2")
    assert load(SQUALL_KAFKA__BOOTSTRAP_SERVERS="[::1]:9092").kafka.bootstrap_servers == ("[::1]:9092",)


def test_paths_in_a_variable_are_separated_as_in_path(load: Load) -> None:
    found = load(SQUALL_ENTITIES__TABLES=os.pathsep.join(["a.csv", "b c.csv"]), SQUALL_ENTITIES__WATCHLISTS="w.txt")
    assert found.entities.tables == (Path("a.csv"), Path("b c.csv"))
    assert found.entities.watchlists == (Path("w.txt"),)
    assert load("entities: {tables: [a.csv]}", SQUALL_ENTITIES__TABLES="").entities.tables == ()


def test_without_a_cluster_the_local_broker_is_meant_on_its_own_port(load: Load) -> None:
    settings = load("broker: {port: 19092}")
    assert settings.uses_local_broker
    assert settings.kafka.bootstrap_servers == ("127.0.0.1:19092",)
    assert settings.kafka.client_options()["bootstrap_servers"] == ["127.0.0.1:19092"]


@pytest.mark.parametrize("text", ["kafka: {bootstrap_servers: '127.0.0.1:9092'}", "broker: {port: 1}"])
def test_a_cluster_that_is_named_is_used_even_if_it_is_the_default(load: Load, text: str) -> None:
    settings = load(text, SQUALL_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:9092")
    assert not settings.uses_local_broker
    assert settings.kafka.bootstrap_servers == ("127.0.0.1:9092",)


def test_other_keys_of_the_cluster_do_not_name_one(load: Load) -> None:
    assert load("kafka: {sasl_username: a}\nbroker: {port: 5}").kafka.bootstrap_servers == ("127.0.0.1:5",)


def test_the_address_that_receivers_are_told_follows_the_workers_port(load: Load) -> None:
    assert load().delivery.external_url == "http://127.0.0.1:6066"
    assert load("worker: {port: 7000}").delivery.external_url == "http://127.0.0.1:7000"
    assert load("worker: {port: 7000}", SQUALL_WORKER__PORT="7001").delivery.external_url == "http://127.0.0.1:7001"
    assert load("worker: {port: 7000}\ndelivery: {terminal: false}").delivery.external_url.endswith(":7000")


@pytest.mark.parametrize("url", ["http://127.0.0.1:6066", "https://squall.example"])
def test_an_address_that_is_named_stays_even_if_it_is_the_default(load: Load, url: str) -> None:
    assert load(f"worker: {{port: 7000}}\ndelivery: {{external_url: '{url}'}}").delivery.external_url == url
    assert load("worker: {port: 7000}", SQUALL_DELIVERY__EXTERNAL_URL=url).delivery.external_url == url


def test_the_address_of_the_worker_leaves_all_else_of_the_delivery_as_it_was(load: Load) -> None:
    settings = load("worker: {port: 7000}\ndelivery: {webhook_timeout_s: 3, webhook_url: 'https://desk.example'}")
    assert settings.delivery.webhook_timeout_s == 3
    assert settings.delivery.webhook_url == SecretStr("https://desk.example")
    assert settings.uses_local_broker


@pytest.mark.parametrize("missing", ["SQUALL_KAFKA__SASL_USERNAME", "SQUALL_KAFKA__SASL_PASSWORD"])
def test_sasl_needs_a_user_and_a_password(load: Load, missing: str) -> None:
    variables = {name: value for name, value in SASL.items() if name != missing}
    assert "security_protocol SASL_SSL needs sasl_username and sasl_password" in refused(load, **variables)


def test_client_options_hold_what_the_protocol_needs_and_no_more(load: Load) -> None:
    paths = {"ssl_ca_file": "ca.pem", "ssl_cert_file": "me.pem", "ssl_key_file": "me.key", "ssl_key_password": "k"}
    tls = {f"SQUALL_KAFKA__{name.upper()}": value for name, value in paths.items()}
    names = {"ssl_cafile": "ca.pem", "ssl_certfile": "me.pem", "ssl_keyfile": "me.key", "ssl_password": "k"}
    sasl = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": "desk", "sasl_plain_password": SECRET}
    for protocol, expected in {
        "PLAINTEXT": {},
        "SSL": names,
        "SASL_PLAINTEXT": sasl,
        "SASL_SSL": names | sasl,
    }.items():
        settings = load(**{**SASL, **tls, "SQUALL_KAFKA__SECURITY_PROTOCOL": protocol})
        common: dict[str, Any] = {"bootstrap_servers": ["127.0.0.1:9092"], "security_protocol": protocol}
        assert settings.kafka.client_options() == common | expected
    assert load(SQUALL_KAFKA__SECURITY_PROTOCOL="SSL").kafka.client_options().keys() == common.keys()


SECRETS = [key for key, *_ in keys() if key.endswith(("password", "token", "webhook_url"))]


@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_is_masked_wherever_settings_are_shown(load: Load, key: str) -> None:
    section, name = key.split(".")
    value = f"https://{SECRET}" if name == "webhook_url" else SECRET
    settings = load(**{f"SQUALL_{section}__{name}".upper(): value})
    held = getattr(getattr(settings, section), name)
    assert isinstance(held, SecretStr)
    assert held.get_secret_value() == value
    for text in (repr(settings), str(settings), str(shown(settings)), settings.model_dump_json(), f"{held}"):
        assert SECRET not in text
    assert "**" in str(shown(settings)[section][name])


def test_every_key_that_sounds_like_a_secret_is_one() -> None:
    assert {"kafka.sasl_password", "kafka.ssl_key_password", "delivery.webhook_token"} <= set(SECRETS)


@pytest.mark.parametrize(
    "text",
    [
        f"kafka: {{sasl_password: [{SECRET}]}}",
        f"kafka: {{sasl_password: {{a: {SECRET}}}}}",
        f"kafka:\n  sasl_password: *{SECRET}\n",
        f"kafka:\n  sasl_password: !{SECRET} x\n",
        f"kafka:\n  sasl_password: '{SECRET}\n",
        f"kafka:\n  sasl_password: @{SECRET}\n",
        f"kafka:\n  sasl_password: {SECRET}\n bad\n",
        f"delivery: {{webhook_url: {SECRET}}}",
        f"kafka: {{security_protocol: SASL_SSL, sasl_password: {SECRET}}}",
        f"kafka: {{sasl_password: {SECRET}, sasl_pasword: {SECRET}}}",
        f"kafka: {SECRET}",
    ],
)
def test_an_error_tells_no_secret_not_even_in_its_traceback(load: Load, text: str) -> None:
    refused(load, text)  # looks at the whole traceback


def test_every_key_has_a_help_text_a_variable_and_a_section_that_is_explained() -> None:
    found = list(keys())
    assert len(found) > 40
    for key, variable, _, text in found:
        assert len(text) > 10, key
        assert text.endswith((".", ")", "`")), key
        assert variable == "SQUALL_" + key.upper().replace(".", "__")
    for section in Settings.model_fields.values():
        assert section.annotation is not None
        assert section.annotation.__doc__


def test_settings_cannot_be_changed_on_the_way(load: Load) -> None:
    settings = load()
    with pytest.raises(ValidationError):
        settings.topics.prefix = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.topics = settings.topics  # type: ignore[misc]


def test_nothing_but_what_was_given_is_read(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUALL_TOPICS__PREFIX", "from-the-process")
    assert load().topics.prefix == "squall"
    assert load_settings().topics.prefix == "from-the-process"


def test_a_masked_secret_is_not_taken_for_the_secret(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"'kafka\.sasl_password' is \*+, which stands for a secret"):
        load("kafka: {sasl_password: '**********'}")
