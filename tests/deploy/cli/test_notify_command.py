"""`squall notify`: who gets what, whether receivers answer, and what they did not take, sent again to one alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from deploy.cli import app
from deploy.cli import notify as command
from streams.config import Settings
from streams.deliver import chat, templates
from streams.errors import ConfigError
from streams.records import Alert, DeadLetter, encode
from tests.streams.deliver.alertmanager import running_alertmanager
from tests.streams.invented_alert import sample_alert

SECRET = "hunter2-correct-horse"  # noqa: S105 - nobody's


class Desk:
    """A receiver that answers as told, then 202."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], Any]] = []
        self.statuses: list[int] = []
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = desk.statuses.pop(0) if desk.statuses else 202
                if status == 202:
                    desk.taken.append((dict(self.headers), body))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"thank you" if status == 202 else b"no " + SECRET.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Desk:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Desk() as desk:
        yield desk


def sections(desk: Desk) -> dict[str, Any]:
    common = {"allow_private": True}
    return {
        "delivery": {
            "receivers": {
                "hook": {"type": "webhook", "url": f"{desk.url}/{SECRET}", "token": SECRET, **common},
                "pager": {"type": "pagerduty", "url": desk.url, "routing_key": SECRET, **common},
                "chat": {"type": "slack", "url": f"{desk.url}/{SECRET}", **common},
                "cards": {"type": "teams", "url": f"{desk.url}/{SECRET}", **common},
            },
            "routes": [
                {"matchers": ['severity="critical"'], "receivers": ["pager"], "continue": True},
                {"matchers": ['sector="Information Technology"'], "receivers": ["chat", "cards"]},
            ],
            "default_receivers": ["hook"],
        }
    }


@pytest.fixture
def config(desk: Desk, tmp_path: Path) -> Path:
    file = tmp_path / "squall.yaml"
    file.write_text(yaml.safe_dump(sections(desk)))
    return file


def run(*arguments: str | Path, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], input=answer, env={"COLUMNS": "200"})


def test_list_names_receivers_types_addresses_and_routes_and_no_secret(config: Path, desk: Desk) -> None:
    result = run("--config", config, "notify", "list")
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.output.splitlines() if line.strip()}
    assert "every alert" in lines["terminal"]
    assert "route 1" in lines["pager"]
    assert desk.url in lines["pager"]
    assert "default" in lines["hook"]
    assert SECRET not in result.output


def test_routes_shows_the_routes_and_who_would_get_an_alert(config: Path) -> None:
    shown = run("--config", config, "notify", "routes")
    assert 'severity="critical"' in shown.output
    assert "the next one" in shown.output

    def who(*labels: str) -> list[str]:
        options = [word for label in labels for word in ("--label", label)]
        lines = run("--config", config, "notify", "routes", *options).output.splitlines()
        return [line.split()[0] for line in lines]

    assert who("severity=critical", 'sector="Information Technology"') == ["terminal", "pager", "chat", "cards"]
    assert who("severity=info", "entity=AAPL") == ["terminal", "chat", "cards"], "by the sector of its table"
    assert who("severity=info") == ["terminal", "hook"]
    assert who("severity=critical", "entity=NOBODY") == ["terminal", "pager"]


def test_a_label_that_is_none_is_refused(config: Path) -> None:
    result = run("--config", config, "notify", "routes", "--label", "severity")
    assert result.exit_code == 2
    assert "is no matcher" in result.output


@pytest.mark.parametrize("receiver", ["hook", "pager", "chat", "cards"])
def test_a_test_sends_a_marked_alert_and_its_end_and_says_what_was_answered(
    config: Path, desk: Desk, receiver: str
) -> None:
    result = run("--config", config, "notify", "test", receiver)
    assert result.exit_code == 0, result.output
    assert result.output.count("taken: it answered 202 (thank you)") == 2
    assert len(desk.taken) == 2
    for headers, body in desk.taken:
        assert "TEST" in json.dumps(body)
        assert headers["Idempotency-Key"].startswith("test")
    assert desk.taken[0][0]["Idempotency-Key"] != desk.taken[1][0]["Idempotency-Key"]
    assert SECRET not in result.output


def test_a_test_that_is_not_taken_says_why_without_secrets_and_fails(config: Path, desk: Desk) -> None:
    desk.statuses = [403]
    result = run("--config", config, "notify", "test", "hook")
    assert result.exit_code == 1
    assert "NOT taken: it answered 403 (no [hidden]); check delivery.receivers.hook.token" in result.output
    assert SECRET not in result.output
    desk.statuses = [202, 400]
    assert run("--config", config, "notify", "test", "hook").exit_code == 1


def test_a_template_that_fails_for_one_alert_ends_in_a_sentence(
    config: Path, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "title.j2"
    own.write_text("ALERT\n{{ 1 / (0 if armed else 1) }}")
    values = yaml.safe_load(config.read_text())
    values["delivery"]["receivers"]["chat"]["title_template"] = str(own)
    config.write_text(yaml.safe_dump(values))
    whole = chat.view
    monkeypatch.setattr(templates, "view", lambda *a, **k: whole(*a, **k) | {"armed": False})
    monkeypatch.setattr(chat, "view", lambda *a, **k: whole(*a, **k) | {"armed": True})
    result = run("--config", config, "notify", "test", "chat")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert f"NOT taken: the template {own}:2 fails: ZeroDivisionError" in result.output
    assert desk.taken == []


def test_a_test_through_a_real_alertmanager(tmp_path: Path) -> None:
    with running_alertmanager(tmp_path / "am") as manager:
        file = tmp_path / "squall.yaml"
        receivers = {"am": {"type": "alertmanager", "urls": [manager.url]}}
        file.write_text(yaml.safe_dump({"delivery": {"receivers": receivers}}))
        result = run("--config", file, "notify", "test", "am")
        assert result.exit_code == 0, result.output
        assert manager.alerts() == []


def test_a_receiver_that_is_not_configured_is_refused_with_the_nearest(config: Path) -> None:
    for words in (("test", "hok"), ("again", "hok"), ("acknowledge", "hok", "a1")):
        with pytest.raises(ConfigError, match="no receiver is named 'hok'; did you mean 'hook'"):
            CliRunner().invoke(app, ["--config", str(config), "notify", *words], catch_exceptions=False)


def test_acknowledge_tells_pagerduty_and_nobody_else(config: Path, desk: Desk) -> None:
    result = run("--config", config, "notify", "acknowledge", "pager", "a1b2c3")
    assert result.exit_code == 0, result.output
    ((_, event),) = desk.taken
    assert (event["event_action"], event["dedup_key"]) == ("acknowledge", "a1b2c3")
    with pytest.raises(ConfigError, match="receiver 'chat' is of type slack: only pagerduty"):
        CliRunner().invoke(app, ["--config", str(config), "notify", "acknowledge", "chat", "a"], catch_exceptions=False)
    desk.statuses = [400]
    assert run("--config", config, "notify", "acknowledge", "pager", "a1b2c3").exit_code == 1


@pytest.fixture
def cluster(settings_with_topics: Settings, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The desk's receivers, and topics of this test."""
    values = settings_with_topics.model_dump(mode="json", include={"kafka", "topics"}, exclude_unset=True)
    current = Settings.model_validate({**values, **sections(desk)})
    monkeypatch.setattr(command, "settings", lambda: current)
    return current


def keep(settings: Settings, receiver: str, *alerts: Alert) -> None:
    """Put alerts on the alerts topic, and among the dead letters as undelivered to a receiver."""
    producer = KafkaProducer(**settings.kafka.client_options())
    for alert in alerts:
        value, key = encode(alert), alert.id.encode()
        at = producer.send(settings.topics.alerts, value=value, key=key, partition=0).get(timeout=30)
        letter = DeadLetter(
            value=value,
            key=key,
            reason="undelivered",
            detail=f"http://desk refused\x1b[2J it {alert.transition}",
            topic=settings.topics.alerts,
            partition=0,
            offset=at.offset,
            refused_by="squall 0.1.0",
            receiver=receiver,
        )
        producer.send(settings.topics.dead_letters, value=value, key=key, headers=letter.headers()).get(timeout=30)
    producer.close()


def deliver(settings: Settings, alert: Alert) -> None:
    """Put an alert on the alerts topic: it was taken."""
    producer = KafkaProducer(**settings.kafka.client_options())
    producer.send(settings.topics.alerts, value=encode(alert), key=alert.id.encode(), partition=0).get(timeout=30)
    producer.close()


def test_what_was_not_taken_is_listed_and_sent_again_to_that_receiver_alone(cluster: Settings, desk: Desk) -> None:
    assert "Nothing is undelivered." in run("notify", "undelivered").output
    assert "There is nothing to send again." in run("notify", "again", "hook", "--yes").output
    firing = sample_alert(id="aaaa", transition=0)
    over = sample_alert(id="aaaa", transition=1, state="resolved")
    keep(cluster, "hook", firing, over, firing)
    keep(cluster, "chat", sample_alert(id="bbbb", transition=0))
    listed = run("notify", "undelivered", "--receiver", "hook").output
    assert listed.count("aaaa-0") == 2
    assert "bbbb" not in listed
    assert "\x1b" not in listed
    lines = [json.loads(line) for line in run("notify", "undelivered", "--json").output.splitlines()]
    assert sorted({(one["receiver"], one["alert"], one["transition"]) for one in lines}) == [
        ("chat", "bbbb", 0),
        ("hook", "aaaa", 0),
        ("hook", "aaaa", 1),
    ]
    dry = run("notify", "again", "hook", "--dry-run")
    assert "1 transition would go to hook; nothing was sent" in dry.output
    assert "1 transition left out, as the alert went on since" in dry.output
    assert desk.taken == []
    assert run("notify", "again", "hook", answer="n\n").exit_code == 1
    assert desk.taken == []
    result = run("notify", "again", "hook", answer="y\n")
    assert result.exit_code == 0, result.output
    assert [headers["Idempotency-Key"] for headers, _ in desk.taken] == ["aaaa-1"]


def test_an_alert_that_went_on_since_is_not_made_to_fire_again(cluster: Settings, desk: Desk) -> None:
    keep(cluster, "pager", sample_alert(id="aaaa", transition=0), sample_alert(id="cccc", transition=0))
    deliver(cluster, sample_alert(id="aaaa", transition=1, state="resolved"))
    result = run("notify", "again", "pager", "--yes")
    assert "1 transition left out, as the alert went on since" in result.output
    assert [event["dedup_key"] for _, event in desk.taken] == ["cccc"]
    desk.taken.clear()
    assert run("notify", "again", "pager", "--yes", "--alert", "aaaa").exit_code == 0
    assert desk.taken == []


def test_after_a_failure_nothing_more_is_sent(cluster: Settings, desk: Desk) -> None:
    keep(cluster, "hook", sample_alert(id="aaaa", transition=0), sample_alert(id="bbbb", transition=1))
    desk.statuses = [503]
    result = run("notify", "again", "hook", "--yes")
    assert result.exit_code == 1
    assert "aaaa-0 firing: NOT taken: it answered 503" in result.output
    assert desk.taken == []


def test_undelivered_alerts_are_no_messages_to_send_again(
    cluster: Settings, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deploy.cli import dead_letters

    monkeypatch.setattr(dead_letters, "settings", lambda: cluster)
    keep(cluster, "hook", sample_alert(id="aaaa"))
    result = run("dead-letters", "send-again", "--yes")
    assert "1 dead letter left out" in result.output
    assert "There is nothing to send again." in result.output
    assert "undelivered" in run("dead-letters", "list", "--reason", "undelivered").output
