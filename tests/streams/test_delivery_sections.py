"""Receivers and routes in the configuration: what is refused, where and in which words; and no secret shown."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest

from streams.config import Settings, load_settings, shown
from streams.deliver import sinks
from streams.errors import ConfigError

SECRET = "hunter2-correct-horse"  # noqa: S105 - nobody's


def load(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "desk.yaml"
    file.write_text("delivery:\n" + "\n".join(f"  {line}" for line in text.strip().splitlines()))
    return load_settings(file, environ={})


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert SECRET not in "".join(traceback.format_exception(error.value))
    return str(error.value)


ALL_TYPES = f"""
receivers:
  am: {{type: alertmanager, urls: ['http://am-0:9093', 'http://am-1:9093'], username: desk, password: {SECRET}}}
  hook: {{type: webhook, url: 'https://desk.example/{SECRET}', token: {SECRET}, signing_key: {SECRET}}}
  chat: {{type: slack, url: 'https://hooks.example/{SECRET}'}}
  cards: {{type: teams, url: 'https://teams.example/{SECRET}', allow_private: [10.1.0.0/16, 'fd00::/8']}}
  pager: {{type: pagerduty, routing_key: {SECRET}}}
  mail: {{type: email, host: mail.example, sender: squall@bank.example, to: [desk@bank.example], username: u,
    password: {SECRET}}}
"""


def test_all_types_of_receivers_can_be_named_and_their_secrets_are_masked(tmp_path: Path) -> None:
    settings = load(tmp_path, ALL_TYPES)
    assert [one.type for one in settings.delivery.receivers.values()] == [
        "alertmanager",
        "webhook",
        "slack",
        "teams",
        "pagerduty",
        "email",
    ]
    for text in (repr(settings), str(shown(settings)), settings.model_dump_json()):
        assert SECRET not in text
    assert list(sinks(settings.delivery)) == ["terminal", *settings.delivery.receivers]


def test_what_config_show_prints_of_receivers_is_a_valid_file_but_for_its_secrets(tmp_path: Path) -> None:
    text = """
receivers: {am: {type: alertmanager, urls: ['http://am:9093'], allow_private: [10.0.0.0/8]}}
routes: [{matchers: ['severity="critical"'], receivers: [am], continue: true}]
default_receivers: [am]
"""
    settings = load(tmp_path, text)
    values = shown(settings)
    assert Settings.model_validate(values).delivery == settings.delivery
    assert values["delivery"]["routes"][0]["continue"] is True
    with pytest.raises(ConfigError, match=r"'delivery\.receivers' is \*+, which stands for a secret"):
        (tmp_path / "shown.yaml").write_text(json.dumps(shown(load(tmp_path, ALL_TYPES))))
        load_settings(tmp_path / "shown.yaml", environ={})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("receivers: {a: {type: slack, urll: x}}", "delivery.receivers.a.urll: unknown key; did you mean 'url'?"),
        ("receivers: {a: {type: slak, url: x}}", "delivery.receivers.a: type is one of alertmanager, webhook, slack"),
        ("receivers: {a: {url: x}}", "delivery.receivers.a: type is one of"),
        ("receivers: {a: {type: slack}}", "delivery.receivers.a: needs url or url_file"),
        (f"receivers: {{a: {{type: slack, url: {SECRET}}}}}", "delivery.receivers.a.url: must begin with http"),
        ("receivers: {a: {type: slack, url: 'http://x', url_file: /x}}", "give url or url_file, not both"),
        ("receivers: {a: {type: alertmanager, urls: []}}", "delivery.receivers.a.urls: "),
        ("receivers: {a: {type: alertmanager, urls: ['am:9093']}}", "each of urls must begin with http"),
        (
            f"receivers: {{a: {{type: alertmanager, urls: ['http://u:{SECRET}@am']}}}}",
            "urls hold no name or password",
        ),
        ("receivers: {a: {type: alertmanager, urls: ['http://am'], password: x}}", "a password needs a username"),
        ("receivers: {a: {type: alertmanager, urls: ['http://am'], username: x}}", "needs password or password_file"),
        (
            "receivers: {a: {type: alertmanager, urls: ['http://am'], username: x, password: y, token: z}}",
            "give a token or a username, not both",
        ),
        ("receivers: {a: {type: pagerduty}}", "needs routing_key or routing_key_file"),
        ("receivers: {a: {type: pagerduty, routing_key: x, url: 'ftp://x'}}", "must begin with http"),
        ("receivers: {a: {type: email, host: h, sender: nobody, to: [a@b]}}", "delivery.receivers.a.sender: "),
        ("receivers: {a: {type: email, host: h, sender: a@b, to: []}}", "delivery.receivers.a.to: "),
        ("receivers: {a: {type: email, host: h, sender: a@b, to: ['a b@c']}}", "'a b@c' is no e-mail address"),
        ("receivers: {a: {type: email, host: h, sender: a@b, to: [a@b], password: x}}", "a password needs a username"),
        (
            f"receivers: {{a: {{type: email, host: h, sender: a@b, to: [a@b], security: none, username: u, "
            f"password: {SECRET}}}}}",
            "a password is not sent in the clear",
        ),
        ("receivers: {a: {type: slack, url: 'http://x', allow_private: [10.0.0.0/33]}}", "delivery.receivers.a."),
        ("receivers: {A b: {type: slack, url: 'http://x'}}", "a receiver cannot be named 'A b'"),
        ("receivers: {terminal: {type: slack, url: 'http://x'}}", "a receiver cannot be named 'terminal'"),
        ("receivers: {webhook: {type: slack, url: 'http://x'}}\nwebhook_url: http://y", "keep one of them"),
        ("routes: [{receivers: [a]}]\ndefault_receivers: []", "no receiver is named 'a'; there are none"),
        (
            "receivers: {desk: {type: slack, url: 'http://x'}}\nroutes: [{receivers: [dsk]}]\ndefault_receivers: []",
            "no receiver is named 'dsk'; did you mean 'desk'?",
        ),
        ("receivers: {a: {type: slack, url: 'http://x'}}\nroutes: [{receivers: [a]}]", "default_receivers is missing"),
        (
            "receivers: {a: {type: slack, url: 'http://x'}}\ndefault_receivers: []",
            "receiver 'a' would get nothing: no route names it",
        ),
        (
            "receivers: {a: {type: slack, url: 'http://x'}}\nwebhook_url: http://y\nroutes: [{receivers: [a]}]\n"
            "default_receivers: [a]",
            "receiver 'webhook' would get nothing",
        ),
        (
            "routes: [{receivers: [a], matcher: [x]}]\ndefault_receivers: []",
            "delivery.routes.0.matcher: unknown key; did you mean 'matchers'?",
        ),
        ("routes: [{receivers: [a], matchers: [x]}]", "delivery.routes.0.matchers: 'x' is no matcher"),
        ("routes: [{receivers: []}]", "delivery.routes.0.receivers: "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    message = refused(tmp_path, text)
    assert words in message
    assert "desk.yaml" in message


def test_the_shorthand_is_a_receiver_that_may_lie_on_the_own_machine(tmp_path: Path) -> None:
    settings = load(tmp_path, f"webhook_url: http://127.0.0.1:9\nwebhook_token: {SECRET}\nwebhook_timeout_s: 3")
    short = settings.delivery.all_receivers["webhook"]
    assert short.allow_private is True
    assert short.timeout_s == 3
    assert short.token.get_secret_value() == SECRET


def test_secrets_are_read_from_files_without_the_line_break_at_their_end(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://hooks.example/abc\n")
    settings = load(tmp_path, f"receivers: {{a: {{type: slack, url_file: {tmp_path}/url}}}}")
    assert "https://hooks.example" in repr(sinks(settings.delivery)["a"])


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot read"), (b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe", "is no text"), (b"x", "is no http")],
)
def test_a_file_of_a_secret_that_cannot_be_used_is_named_at_the_start(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "url").write_bytes(content)
    settings = load(tmp_path, f"receivers: {{a: {{type: slack, url_file: {tmp_path}/url}}}}")
    with pytest.raises(ConfigError, match=words) as error:
        sinks(settings.delivery)
    assert "delivery.receivers.a.url" in str(error.value)


def test_a_token_that_no_header_may_carry_is_refused_at_the_start_without_quoting_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\nX: y")
    for receiver in ("{type: webhook, url: 'https://a'", "{type: alertmanager, urls: ['https://a']"):
        settings = load(tmp_path, f"receivers: {{a: {receiver}, token_file: {tmp_path}/token}}}}")
        with pytest.raises(ConfigError, match="line break") as error:
            sinks(settings.delivery)
        assert SECRET not in str(error.value)
