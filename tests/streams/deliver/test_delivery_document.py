"""What deploy/docs/DELIVERY.md and the example say holds for the code."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import yaml

from streams.config import Settings, load_settings
from streams.deliver import alertmanager_payload, sinks
from streams.deliver.build import LANES
from streams.deliver.circuit import CircuitOptions
from streams.deliver.retry import Patience
from streams.deliver.view import view
from streams.deliver.webhook import signature
from streams.receiver_sections import RECEIVER_TYPES
from tests.streams.invented_alert import sample_alert

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "deploy/docs/DELIVERY.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "deploy/examples/delivery.yaml"


def test_the_function_that_checks_signatures_checks_them() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own document
    check, stamp = names["is_from_squall"], str(int(time.time()))
    headers = {"X-Squall-Timestamp": stamp, "X-Squall-Signature": signature("key", stamp, b"body")}
    assert check(headers, b"body", "key")
    assert not check(headers, b"another", "key")
    assert not check(headers, b"body", "other key")
    assert not check({}, b"body", "key")
    for forged in ("\u0661\u0662", "\u00b2", "9" * 5000, "-1", "1.5"):
        assert not check({"X-Squall-Timestamp": forged, "X-Squall-Signature": "sha256=0"}, b"body", "key")
    assert not check({"X-Squall-Timestamp": stamp, "X-Squall-Signature": "sha256=\u00e9\udc80"}, b"body", "key")
    old = str(int(time.time()) - 3600)
    assert not check({"X-Squall-Timestamp": old, "X-Squall-Signature": signature("key", old, b"b")}, b"b", "key")


def test_what_receivers_are_told_to_de_duplicate_by_is_in_the_signed_body() -> None:
    alert = sample_alert()
    (told,) = alertmanager_payload([alert], receiver="desk", external_url="x")["alerts"]
    assert "`alerts[0].squall.id` and `alerts[0].squall.transition`" in DOCUMENT
    assert (told["squall"]["id"], told["squall"]["transition"]) == (alert.id, alert.transition)


def test_every_name_of_a_template_is_explained() -> None:
    table = DOCUMENT.partition("## Templates")[2].partition("## When")[0]
    explained = set(re.findall(r"`(\w+)`", table))
    assert set(view(sample_alert(), external_url="x")) <= explained


def test_every_type_and_each_of_its_keys_is_in_the_table() -> None:
    for name, kind in RECEIVER_TYPES.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", DOCUMENT, re.MULTILINE)
        own = set(kind.model_fields) - {"type", "timeout_s", "ca_file", "allow_private"}
        missing = {key for key in own if not key.endswith("_file") and f"`{key}`" not in row}
        assert not missing, name
    assert set(LANES) == set(RECEIVER_TYPES)


def test_the_figures_are_those_of_the_code() -> None:
    patience, circuit = Patience(), CircuitOptions()
    assert (patience.first_wait_s, patience.most_wait_s, patience.most_retry_after_s) == (1.0, 60.0, 900.0)
    assert (circuit.open_after, circuit.open_for_s, circuit.most_open_for_s) == (5, 10.0, 60.0)
    assert (Settings().delivery.retry_for_s, Settings().delivery.look_back_s) == (6 * 3600.0, 7 * 86_400.0)


def test_the_example_is_a_valid_configuration(tmp_path: Path) -> None:
    settings = load_settings(EXAMPLE, environ={})
    assert {one.type for one in settings.delivery.receivers.values()} == set(RECEIVER_TYPES)
    values = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    for receiver in values["delivery"]["receivers"].values():
        for key in [key for key in receiver if key.endswith("_file")]:
            secret = tmp_path / Path(receiver[key]).name
            secret.write_text("https://hooks.example/secret\n")
            receiver[key] = str(secret)
    made = sinks(Settings.model_validate(values).delivery)
    assert list(made) == ["terminal", *settings.delivery.receivers]
