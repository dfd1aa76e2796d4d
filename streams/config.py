"""The one configuration object: `squall.yaml` and `SQUALL_*` variables, read once at the edge.

A key is set by a variable (`SQUALL_KAFKA__BOOTSTRAP_SERVERS=a:9092,b:9092`), by the file, or by its default, in that
order. An unknown key is refused with the nearest known one. Secrets are masked wherever they are shown.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import (
    BaseModel,
    PrivateAttr,
    ValidationError,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from streams import compiled
from streams.delivery_sections import DeliverySettings, explain_place
from streams.errors import ConfigError
from streams.retrain_sections import RetrainSettings
from streams.sections import (
    BrokerSettings,
    ClassifierSettings,
    EntitySettings,
    IngestSettings,
    KafkaSettings,
    MonitorSettings,
    TopicSettings,
    WorkerSettings,
)
from streams.watch_sections import WatchSettings

__all__ = [
    "BrokerSettings",
    "ClassifierSettings",
    "DeliverySettings",
    "EntitySettings",
    "IngestSettings",
    "KafkaSettings",
    "MonitorSettings",
    "RetrainSettings",
    "Settings",
    "TopicSettings",
    "WatchSettings",
    "WorkerSettings",
    "keys",
    "load_settings",
    "nearest",
    "shown",
]

ENV_PREFIX = "SQUALL_"
FILE_VARIABLE = "SQUALL_CONFIG"
DEFAULT_FILE = Path("squall.yaml")
MASK = "**********"
"""What pydantic shows instead of a secret; a file that was made of `squall config show` holds it."""


class Settings(BaseSettings):
    """Everything that can be set, with its default."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    broker: BrokerSettings = BrokerSettings()
    ingest: IngestSettings = IngestSettings()
    entities: EntitySettings = EntitySettings()
    classifier: ClassifierSettings = ClassifierSettings()
    worker: WorkerSettings = WorkerSettings()
    monitor: MonitorSettings = MonitorSettings()
    delivery: DeliverySettings = DeliverySettings()
    watch: WatchSettings = WatchSettings()
    retrain: RetrainSettings = RetrainSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load_settings` merged from file and variables, and read nothing on the way."""
        return (init_settings,)

    _uses_local_broker: bool = PrivateAttr(default=False)

    @property
    def uses_local_broker(self) -> bool:
        """No cluster was named: the broker that `squall broker start` runs is meant."""
        return self._uses_local_broker

    def _with_local_broker(self) -> Settings:
        """Point the clients at the local broker's own port, where no cluster was named."""
        kafka = self.kafka.model_copy(update={"bootstrap_servers": (f"127.0.0.1:{self.broker.port}",)})
        settings = self.model_copy(update={"kafka": kafka})
        settings._uses_local_broker = True
        return settings

    def _with_address_of_worker(self) -> Settings:
        """Let the address that receivers are told follow the worker's port, where no address was named."""
        url = f"http://127.0.0.1:{self.worker.port}"
        return self.model_copy(update={"delivery": self.delivery.model_copy(update={"external_url": url})})


def keys() -> Iterator[tuple[str, str, Any, str]]:
    """Yield (dotted key, variable, default, help) for every setting."""
    for section, outer in Settings.model_fields.items():
        kind = outer.annotation
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):  # pragma: no cover - a programming error
            raise TypeError(section)
        for name, field in kind.model_fields.items():
            variable = f"{ENV_PREFIX}{section}__{name}".upper()
            yield f"{section}.{name}", variable, field.default, " ".join((field.description or "").split())


def nearest(word: str, known: list[str]) -> str:
    """Return a hint that names the known word nearest to an unknown one, or an empty text."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def load_settings(file: Path | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration once, at the edge.

    Args:
        file: the configuration file; without it `SQUALL_CONFIG`, and then `squall.yaml` if it is there.
        environ: variables; without it the process's own.

    Raises:
        ConfigError: a file is missing or no YAML mapping, a key or variable is unknown, or a value is not allowed.
    """
    variables = os.environ if environ is None else environ
    named = file or (Path(variables[FILE_VARIABLE]) if variables.get(FILE_VARIABLE) else None)
    path = named or DEFAULT_FILE
    values: dict[str, Any] = {}
    if named is not None or path.exists():
        values = _read_yaml(path)
        _refuse_unknown_keys(values, path)
    overrides = _from_variables(variables)
    try:
        settings = Settings.model_validate(_merge(values, overrides))
    except ValidationError as error:
        raise ConfigError(_explain(error, path if values else None, overrides)) from None
    if "external_url" not in settings.delivery.model_fields_set:
        settings = settings._with_address_of_worker()
    named_cluster = "bootstrap_servers" in settings.kafka.model_fields_set
    return settings if named_cluster else settings._with_local_broker()


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"cannot read the configuration file {path}: {error.strerror}"
        raise ConfigError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"cannot read the configuration file {path}: byte {error.start} is not UTF-8"
        raise ConfigError(msg) from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        # Words in quotes are from the file and may be part of a password; so is the line that the cause would show.
        problem = re.sub(r"'[^']{2,}'", "'...'", str(getattr(error, "problem", None) or "it cannot be read"))
        msg = f"{where}: not valid YAML: {problem}"
        raise ConfigError(msg) from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(v, dict | None.__class__) for v in values.values()):
        msg = f"{path}: expected sections ({', '.join(Settings.model_fields)}), each with keys below it"
        raise ConfigError(msg)
    return {name: section or {} for name, section in values.items()}


def _refuse_unknown_keys(values: dict[str, Any], path: Path) -> None:
    known = [key for key, *_ in keys()]
    for section, content in values.items():
        if section not in Settings.model_fields:
            msg = f"{path}: unknown section {section!r}{nearest(str(section), list(Settings.model_fields))}"
            raise ConfigError(msg)
        for name in content:
            if f"{section}.{name}" not in known:
                msg = f"{path}: unknown key '{section}.{name}'{nearest(f'{section}.{name}', known)}"
                raise ConfigError(msg)
            if _holds_mask(content[name]):
                msg = f"{path}: '{section}.{name}' is {MASK}, which stands for a secret: give the secret itself"
                raise ConfigError(msg)


def _holds_mask(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_mask(inner) for inner in value.values())
    return bool(value == MASK)


def _from_variables(variables: Mapping[str, str]) -> dict[str, Any]:
    known = {variable: key for key, variable, *_ in keys()}
    values: dict[str, Any] = {}
    for variable, text in variables.items():
        if not variable.upper().startswith(ENV_PREFIX) or variable.upper() in (FILE_VARIABLE, compiled.ENVIRONMENT):
            continue
        key = known.get(variable.upper())
        if key is None:
            msg = f"unknown variable {variable}{nearest(variable.upper(), list(known))}"
            raise ConfigError(msg)
        section, name = key.split(".")
        field = Settings.model_fields[section].annotation.model_fields[name]  # type: ignore[union-attr]
        is_path_list = field.annotation == tuple[Path, ...]
        if not text and not is_path_list:
            continue  # VARIABLE= is how a shell says "unset"; of a list it says "none"
        parsed: Any = [part for part in text.split(os.pathsep) if part] if is_path_list else text
        values.setdefault(section, {})[name] = parsed
    return values


def _merge(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    return {name: {**values.get(name, {}), **overrides.get(name, {})} for name in {*values, *overrides}}


def _explain(error: ValidationError, path: Path | None, overrides: dict[str, Any]) -> str:
    lines = []
    for problem in error.errors():
        location = [str(part) for part in problem["loc"]]
        key, words = ".".join(location[:2]), problem["msg"].removeprefix("Value error, ")
        if location[0] == "delivery":
            key, words = explain_place(problem["loc"], problem["type"], words)
        from_variable = len(location) > 1 and location[1] in overrides.get(location[0], {})
        place = f"{ENV_PREFIX}{'__'.join(location[:2]).upper()}" if from_variable else f"{path or 'defaults'}: {key}"
        lines.append(f"{place}: {words}")
    return "\n".join(lines)


def shown(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the settings in force as plain values, with secrets masked."""
    return settings.model_dump(mode="json")
