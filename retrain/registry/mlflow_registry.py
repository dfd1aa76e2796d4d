"""Runs and models in MLflow: a SQLite file by default, a server by its address.

A model folder is registered as it is, file by file; its version in MLflow carries Squall's own name and version as
tags. Aliases say what a model is: `champion` answers, `challenger` wants to, `previous` answered before.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from models.files import read_manifest
from models.prediction import ModelId
from streams.errors import SquallError

Alias = Literal["champion", "challenger", "previous"]

_MODEL = "model"
_NAME, _VERSION, _GATE, _AGAINST = "squall.name", "squall.version", "squall.gate", "squall.judged_against"
_SAFE_NAME, _SAFE_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}"), re.compile(r"[0-9a-f]{12}")
_ANSWER_WITHIN_S = "10"
NEEDS = "the registry needs MLflow: pip install 'squall[tracking]'"


class RegistryError(SquallError):
    """The registry cannot be reached, or does not hold what is asked for. The champion stays as it was."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A model in the registry.

    Attributes:
        number: version in MLflow.
        model: Squall's name and version.
        run: id of the run that it came from.
        gate: `passed`, `refused`, or empty where no gate has judged it.
        against: version of the champion that the gate held it against; empty where none did.
    """

    number: str
    model: ModelId
    run: str
    gate: str
    against: str = ""


class Registry:
    """Models and runs in MLflow.

    Args:
        address: a folder, or the address of a server.
        name: of the registered model and of the experiment.

    Raises:
        RegistryError: MLflow is not installed, or the registry cannot be reached or made.
    """

    def __init__(self, address: str, name: str) -> None:
        # No word of ours leaves the machine but to the server that was named; a server that is down is told at once.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", _ANSWER_WITHIN_S)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        try:
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise RegistryError(NEEDS) from None
        for quiet in ("mlflow", "alembic"):
            logging.getLogger(quiet).setLevel(logging.ERROR)
        self._name = name
        self._shown, self._secret = _without_password(address)
        self._artefacts: str | None = None
        uri = address
        if "://" not in address:
            folder = Path(address).resolve()
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise RegistryError(f"the registry cannot be made in {folder}: {error.strerror}") from error
            uri = f"sqlite:///{folder / 'mlflow.db'}"
            self._artefacts = (folder / "artefacts").as_uri()
        with self._telling("opened"):
            self._client: Any = MlflowClient(tracking_uri=uri, registry_uri=uri)
            self._experiment = self._experiment_id()

    def register(
        self,
        folder: Path,
        *,
        parameters: Mapping[str, Any],
        figures: Mapping[str, float],
        tags: Mapping[str, str],
        others: tuple[Path, ...] = (),
    ) -> Registered:
        """Write a run down and register its model as the challenger.

        Args:
            folder: the model folder.
            parameters: of the training.
            figures: by name.
            tags: of the run: data set and the like.
            others: further files to keep with the run, such as the verdict.

        Raises:
            RegistryError: the registry does not take it; what it may hold of it by then has no alias.
            ModelFilesError: the folder is no model folder.
        """
        model = read_manifest(folder).model
        with self._telling("written"):
            run = self._client.create_run(self._experiment, tags=dict(tags), run_name=f"{model.name} {model.version}")
            run_id = run.info.run_id
            for name, value in parameters.items():
                self._client.log_param(run_id, name, value)
            for name, figure in figures.items():
                self._client.log_metric(run_id, name, figure)
            self._client.log_artifacts(run_id, str(folder), _MODEL)
            for path in others:
                self._client.log_artifact(run_id, str(path))
            self._client.set_terminated(run_id)
            self._make_name()
            source = f"{run.info.artifact_uri}/{_MODEL}"
            made = self._client.create_model_version(
                self._name, source, run_id, tags={_NAME: model.name, _VERSION: model.version}
            )
            self._client.set_registered_model_alias(self._name, "challenger", made.version)
        return Registered(str(made.version), model, run_id, "")

    def mark(self, found: Registered, gate: Literal["passed", "refused"], *, against: ModelId) -> None:
        """Write down what the gate said, and of which champion. Raises RegistryError."""
        with self._telling("written"):
            self._client.set_model_version_tag(self._name, found.number, _AGAINST, against.version)
            self._client.set_model_version_tag(self._name, found.number, _GATE, gate)

    def keep(self, found: Registered, path: Path) -> None:
        """Keep a file with a model's run. Raises RegistryError."""
        with self._telling("written"):
            self._client.log_artifact(found.run, str(path))

    def set_alias(self, alias: Alias, found: Registered) -> None:
        """Let an alias name a model. Raises RegistryError."""
        with self._telling("written"):
            self._client.set_registered_model_alias(self._name, alias, found.number)

    def drop_alias(self, alias: Alias) -> None:
        """Let an alias name no model. Raises RegistryError."""
        with self._telling("written"):
            self._client.delete_registered_model_alias(self._name, alias)

    def called(self, alias: Alias) -> Registered | None:
        """Return the model that an alias names; None if it names none. Raises RegistryError."""
        from mlflow.exceptions import MlflowException

        with self._telling("read"):
            try:
                return _registered(self._client.get_model_version_by_alias(self._name, alias))
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def all(self) -> list[Registered]:
        """Return all models, oldest first. Raises RegistryError."""
        with self._telling("read"):
            found = self._client.search_model_versions(f"name = '{self._name}'")
        return sorted((_registered(one) for one in found), key=lambda one: int(one.number))

    def find(self, text: str) -> Registered:
        """Return the model that an alias, a version of MLflow, or the beginning of a version of Squall names.

        Raises:
            RegistryError: there is none, or several.
        """
        if text in ("champion", "challenger", "previous"):
            named = self.called(text)  # type: ignore[arg-type]
            if named is None:
                raise RegistryError(f"no model is {text} in the registry {self._shown}")
            return named
        models = self.all()
        found = [one for one in models if one.number == text]
        found = found or [one for one in models if len(text) >= 6 and one.model.version.startswith(text)]
        if len({one.model.version for one in found}) == 1:
            return found[-1]
        there = "; ".join(f"{one.number}: {one.model.name} {one.model.version}" for one in models) or "none"
        what = "several models answer" if found else "no model answers"
        raise RegistryError(f"{what} to {text!r} in the registry {self._shown}. There are: {there}")

    def fetch(self, found: Registered, into: Path) -> Path:
        """Bring a model's folder into a folder, and return where it lies; one that is there already is checked.

        Raises:
            RegistryError: the registry does not hand it over, or it is another model than it says.
            ModelFilesError: what came is no whole model folder.
        """
        if not _SAFE_NAME.fullmatch(found.model.name) or not _SAFE_VERSION.fullmatch(found.model.version):
            raise RegistryError(
                f"model {found.number} of the registry has a name that is no folder's; register it again"
            )
        place = into / f"{found.model.name}-{found.model.version}"
        if place.is_dir():
            _require(found, place)
            return place
        try:
            into.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=into, prefix=".fetching-") as scratch:
                with self._telling("read"):
                    came = Path(self._client.download_artifacts(found.run, _MODEL, scratch))
                _require(found, came)
                came.chmod(0o755)
                shutil.move(came, place)
        except OSError as error:
            raise RegistryError(f"{place}: the model cannot be kept there ({error.strerror})") from error
        return place

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._name)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(self._name, artifact_location=self._artefacts))

    def _make_name(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self._name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        try:
            yield
        except SquallError:
            raise
        except Exception as error:  # MLflow raises its own, SQLAlchemy's, requests' and the operating system's
            words = str(error).splitlines()[0] if str(error) else type(error).__name__
            words = words.replace(self._secret, "[hidden]")[:300] if self._secret else words[:300]
            msg = f"the registry {self._shown} cannot be {what}: {words}. The champion stays; check retrain.registry"
            raise RegistryError(msg) from error


def _registered(found: Any) -> Registered:
    tags = found.tags
    model = ModelId(tags.get(_NAME, found.name), tags.get(_VERSION, "unknown"))
    return Registered(str(found.version), model, str(found.run_id), tags.get(_GATE, ""), tags.get(_AGAINST, ""))


def _without_password(address: str) -> tuple[str, str]:
    """Return an address as it may be shown, and the part of it that may not; empty where there is none."""
    user_and_password, at, rest = address.partition("://")[2].rpartition("@")
    if not at:
        return address, ""
    return f"{address.partition('://')[0]}://[hidden]@{rest}", user_and_password


def _require(found: Registered, folder: Path) -> None:
    manifest = read_manifest(folder)
    if manifest.model != found.model:
        msg = f"{folder} is {manifest.name} {manifest.version}, not {found.model.name} {found.model.version}"
        raise RegistryError(msg)
