"""The sections of the configuration: every key with its type, default, bounds and help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from models.errors import LanguagesError
from models.first_tier.audit import AUDIT_SHARE
from models.language_models import parse_languages
from models.languages import check_code
from streams.api_section import ApiSettings
from streams.section import Section

_YEAR_S = 366 * 86_400.0


class KafkaSettings(Section):
    """How to reach Kafka."""

    bootstrap_servers: Annotated[tuple[str, ...], NoDecode] = ("127.0.0.1:9092",)
    """host:port of one or more brokers. Unset: the local broker that `squall broker start` runs."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """As in Kafka's own clients."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """Used with a SASL_* protocol only."""
    sasl_username: str | None = None
    """Used with a SASL_* protocol only."""
    sasl_password: SecretStr | None = None
    """Used with a SASL_* protocol only. Better in SQUALL_KAFKA__SASL_PASSWORD than in a file."""
    ssl_ca_file: Path | None = None
    """PEM file of the authorities that sign the brokers' certificates. Unset: the system's."""
    ssl_cert_file: Path | None = None
    """PEM client certificate, for mutual TLS."""
    ssl_key_file: Path | None = None
    """PEM key of the client certificate."""
    ssl_key_password: SecretStr | None = None
    """Password of the client key, if it has one."""

    @field_validator("bootstrap_servers", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("bootstrap_servers")
    @classmethod
    def _host_and_port(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            msg = "needs at least one host:port"
            raise ValueError(msg)
        for server in value:
            host, _, port = server.rpartition(":")
            if not host or not port.isdigit():
                msg = f"{server!r} is not host:port"
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _sasl_needs_a_user(self) -> KafkaSettings:
        if self.security_protocol.startswith("SASL") and (self.sasl_username is None or self.sasl_password is None):
            msg = f"security_protocol {self.security_protocol} needs sasl_username and sasl_password"
            raise ValueError(msg)
        return self

    def client_options(self) -> dict[str, Any]:
        """Options for kafka-python clients (producer, consumer, admin)."""
        options: dict[str, Any] = {
            "bootstrap_servers": list(self.bootstrap_servers),
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL") and self.sasl_password is not None:
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password.get_secret_value(),
            }
        if self.security_protocol.endswith("SSL"):
            paths = {
                "ssl_cafile": self.ssl_ca_file,
                "ssl_certfile": self.ssl_cert_file,
                "ssl_keyfile": self.ssl_key_file,
            }
            options |= {name: str(path) for name, path in paths.items() if path is not None}
            if self.ssl_key_password is not None:
                options["ssl_password"] = self.ssl_key_password.get_secret_value()
        return options


class TopicSettings(Section):
    """Names and sizes of the topics."""

    prefix: str = Field("squall", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$")
    """First part of every topic's name, so that two installations can share a cluster."""
    message_partitions: int = Field(4, ge=1, le=10_000)
    """Partitions of messages and dead letters: at most this many scorers work at once."""
    mention_partitions: int = Field(4, ge=1, le=10_000)
    """Partitions of mentions and alerts: at most this many monitors work at once. Not to be changed later: an
    entity's state stays on its partition."""
    replication_factor: int = Field(1, ge=1, le=9)
    """Copies of each partition; 3 in production."""

    @property
    def messages(self) -> str:
        """Topic of what the publishers send."""
        return f"{self.prefix}.messages"

    @property
    def mentions(self) -> str:
        """Topic of scored mentions."""
        return f"{self.prefix}.mentions"

    @property
    def alerts(self) -> str:
        """Topic of alert transitions."""
        return f"{self.prefix}.alerts"

    @property
    def labels(self) -> str:
        """Topic of verdicts."""
        return f"{self.prefix}.labels"

    @property
    def dead_letters(self) -> str:
        """Topic of refused records."""
        return f"{self.prefix}.dead-letters"

    @property
    def control(self) -> str:
        """Topic of control records."""
        return f"{self.prefix}.control"


class BrokerSettings(Section):
    """The local broker, for development and demonstrations."""

    data_dir: Path = Path(".squall/broker")
    """Where the local broker keeps its log segments and its own logs."""
    port: int = Field(9092, ge=1, le=65_535)
    """Port of the local broker, on the loopback interface."""


class IngestSettings(Section):
    """Bounds and redaction of incoming messages."""

    max_bytes: int = Field(262_144, ge=1_024, le=1_048_576)
    """A larger record goes to the dead letters unread. At most 1 MiB, Kafka's own default limit."""
    oldest: AwareDatetime = datetime(2000, 1, 1, tzinfo=UTC)
    """A message published before this goes to the dead letters."""
    max_future_s: float = Field(86_400.0, ge=0, le=_YEAR_S)
    """A message from further in the future goes to the dead letters."""
    future_skew_s: float = Field(60.0, ge=0, le=_YEAR_S)
    """A message from the nearer future is set to its arrival plus this, and marked `clamped`."""
    duplicate_horizon_s: float = Field(86_400.0, ge=0, le=_YEAR_S)
    """A message id seen again within this event time is not scored again."""
    redact_emails: bool = True
    """Replace e-mail addresses by `[email]` before anything is stored or scored."""
    redact_phones: bool = True
    """Replace phone numbers by `[phone]`."""
    redact_handles: bool = False
    """Replace @handles by `[handle]`, and drop the author's name."""
    mention_text_chars: int = Field(2_000, ge=200, le=20_000)
    """A mention carries at most this much of the text."""


class EntitySettings(Section):
    """The companies that are watched for."""

    tables: tuple[Path, ...] = ()
    """Further tables (CSV) beside the S&P 500 that is shipped."""
    include_sp500: bool = True
    """Use the S&P 500 table that is shipped."""
    watchlists: tuple[Path, ...] = ()
    """Files of symbols whose mentions are marked `watched`."""
    min_relevance: float = Field(0.2, ge=0, le=1)
    """A message is no mention of a company below this relevance."""


ALL_LANGUAGES = "*"


@contextmanager
def _told_as_value() -> Iterator[None]:
    """Let what is wrong with a table of models be told like what is wrong with any other value."""
    try:
        yield
    except LanguagesError as error:
        raise ValueError(str(error)) from error


class ClassifierSettings(Section):
    """The scoring engine."""

    model: Path | None = None
    """Folder of a model. Unset: the one that is shipped."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, ..."""
    backend: Literal["auto", "torch", "onnx", "openvino"] = "auto"
    """What computes. `auto`: what `squall models tune` found to be the fastest on this machine for this model; torch
    where it was not run. Workers whose answers shall be alike to the last digit need the same one, and the same
    `precision`."""
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    """Number format. `auto`: as tuned, else what this machine computes fast without loss; `int8` must be asked for."""
    max_tokens_per_batch: int = Field(2_048, ge=128)
    """Tokens in one forward pass."""
    max_windows: int = Field(4, ge=1, le=64)
    """Pieces of the model's length that a long text is read in. What lies beyond is not read: marked `truncated`."""
    abstain_below: float | None = Field(None, ge=0, le=1)
    """Probability under which the likeliest sentiment is marked `abstained`. Unset: the model's own."""
    model_languages: Annotated[tuple[str, ...], NoDecode] = ("en",)
    """Languages that the model reads, ISO 639; `*` is every language. A text whose language cannot be told is taken to
    be in the first of them. A message in a language without a model is not scored: it goes to the dead letters."""
    languages: dict[str, Any] = Field({})
    """Models for further languages, by language: a folder, or a table with `model` and `labels`; see the README."""
    allow_download: bool = False
    """Let a model of `languages` that is no folder be fetched from the Hugging Face Hub, under its name there."""
    first_tier: bool = False
    """Let the linear model that lies in the model folder answer what it is sure of. Its agreement with the network is
    proved on texts like those that it learned from: prove it on your own with `squall models first-tier` first."""
    first_tier_agreement: float = Field(0.99, gt=0.5, lt=1)
    """Share of its answers that are the network's too, at least; proved at 95 % confidence."""
    first_tier_audit_share: float = Field(AUDIT_SHARE, ge=0, le=1)
    """Share of what it is sure of that the network answers instead, for comparison. 0 does without, and then nobody
    notices when it no longer suits the texts."""
    own_topics: Path | None = None
    """File of topics of one's own, YAML; see the README. Every message then goes through the network, as the first tier
    cannot tell them."""
    remembered_texts: int = Field(50_000, ge=0, le=5_000_000)
    """Answers that are remembered, so that a repost costs nothing; about a kilobyte each. 0 remembers none."""
    degrade_after_s: float | None = Field(None, gt=0)
    """When messages have waited longer than this, those about no company on a watch list get the quick answer of the
    first tier, and are marked `degraded`; from half of it on, those about companies on one are taken before their turn.
    Unset: never; a backlog is then worked off at full quality, in order."""

    @field_validator("model_languages")
    @classmethod
    def _are_languages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or (ALL_LANGUAGES in value and len(value) > 1):
            msg = "name one language at least, such as en, or '*' alone for all"
            raise ValueError(msg)
        with _told_as_value():
            for code in value:
                if code != ALL_LANGUAGES:
                    check_code(code)
        return value

    @field_validator("model_languages", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("languages")
    @classmethod
    def _name_models(cls, value: dict[str, Any]) -> dict[str, Any]:
        with _told_as_value():
            if value:
                parse_languages(value)
        return value

    @model_validator(mode="after")
    def _each_language_has_one_model(self) -> ClassifierSettings:
        if ALL_LANGUAGES in self.model_languages and self.languages:
            msg = "model_languages is '*': no language is left for a model under languages"
            raise ValueError(msg)
        if twice := sorted(set(self.model_languages) & set(self.languages)):
            msg = f"{twice[0]} stands under model_languages and under languages: one model reads a language"
            raise ValueError(msg)
        return self


class WorkerSettings(ApiSettings):
    """The process that runs the Faust agents."""

    host: str = "127.0.0.1"
    """Interface of /healthz, /readyz, /metrics and, where there is a token, /verdicts. Loopback unless told otherwise:
    the first three have no login."""
    port: int = Field(6066, ge=0, le=65_535)
    """Port of the same; 0 takes a free one and logs it."""
    data_dir: Path = Path(".squall/worker")
    """Faust's working folder."""
    batch_messages: int = Field(512, ge=1, le=10_000)
    """Most messages that are scored together."""
    batch_wait_s: float = Field(0.2, gt=0, le=10)
    """Longest wait for a batch to fill."""
    idle_after_s: float = Field(5.0, gt=0)
    """A message partition that is read to its end and silent for this long stops holding bins open."""
    watchdog_s: float = Field(60.0, ge=5)
    """The process exits if messages wait and none was finished for this long, so that it is started afresh."""
    session_timeout_s: float = Field(15.0, ge=6, le=300)
    """Kafka gives a dead worker's partitions to others after this."""
    instance_id: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,200}$")
    """A name of this worker's own that outlives restarts, such as a StatefulSet's pod name: with it a restarted worker
    takes up its partitions at once instead of after the session timeout. No two workers may share one."""
    most_company_series: int = Field(500, ge=0, le=10_000)
    """Companies of the watch lists that have series of their own on /metrics; of more, the first ones have."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least level of log lines."""


class MonitorSettings(Section):
    """From mentions to alerts."""

    rules: Path | None = None
    """Rule file. Unset: the default rules that are shipped."""
    allowed_lateness_s: int = Field(120, ge=0, le=86_400)
    """A mention this far behind the newest of its feed still counts; an alert waits for it this long."""
    story_horizon_s: int = Field(86_400, ge=3_600, le=7 * 86_400)
    """A near-duplicate within this time of a story's first message is the same story."""
    author_votes_per_hour: int = Field(2, ge=1, le=1_000)
    """Stories of one author that count for a company in an hour; more are kept, but have no vote."""
