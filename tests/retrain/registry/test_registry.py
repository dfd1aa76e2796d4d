"""The registry on a real MLflow over SQLite, and what happens when it is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.kafka import free_port
from models.errors import ModelFilesError
from models.files import WEIGHTS, read_manifest
from retrain.registry.mlflow_registry import Registered, Registry, RegistryError
from tests.models.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """One registry for the module: making its tables takes seconds."""
    return Registry(str(tmp_path_factory.mktemp("registry")), "tests")


@pytest.fixture
def make(tmp_path: Path, registry: Registry):  # type: ignore[no-untyped-def]
    """`make(seed)`: register a tiny model."""

    def register(seed: int) -> Registered:
        folder = tmp_path / f"model-{seed}"
        folder.mkdir()
        write_tiny_model(folder, seed=seed)
        return registry.register(folder, parameters={"epochs": 2}, figures={"macro_f1": 0.8}, tags={"data_set": "abc"})

    return register


def test_a_model_comes_back_as_it_was_registered(make, registry: Registry, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    found = make(1)
    folder = registry.fetch(found, tmp_path / "models")
    assert folder.name == f"tiny-{found.model.version}"
    assert read_manifest(folder).model == found.model
    assert (folder / WEIGHTS).read_bytes() == (tmp_path / "model-1" / WEIGHTS).read_bytes()
    assert registry.fetch(found, tmp_path / "models") == folder  # there already


def test_aliases_name_models_and_move(make, registry: Registry) -> None:  # type: ignore[no-untyped-def]
    one, other = make(2), make(3)
    assert registry.find("challenger").model == other.model
    registry.set_alias("champion", one)
    assert registry.find("champion").number == one.number
    registry.set_alias("champion", other)
    assert registry.find("champion").number == other.number
    registry.drop_alias("champion")
    assert registry.called("champion") is None
    with pytest.raises(RegistryError, match="no model is champion"):
        registry.find("champion")


def test_models_are_found_by_number_and_by_the_beginning_of_their_version(make, registry: Registry) -> None:  # type: ignore[no-untyped-def]
    found = make(4)
    assert registry.find(found.number).model == found.model
    assert registry.find(found.model.version[:6]).number == found.number
    with pytest.raises(RegistryError, match=r"no model answers to 'ffffff'.*There are: 1: tiny"):
        registry.find("ffffff")


def test_what_the_gate_said_stays_with_the_model(make, registry: Registry, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    found = make(5)
    registry.mark(found, "refused", against=found.model)
    assert registry.find(found.number).gate == "refused"
    path = tmp_path / "verdict.json"
    path.write_text(json.dumps({"promoted": False}))
    registry.keep(found, path)


def test_a_model_that_was_altered_in_the_registry_is_not_handed_out(make, registry: Registry, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    found = make(6)
    stored = [path for path in Path(registry._shown).rglob(WEIGHTS) if found.run in str(path)]
    stored[0].write_bytes(stored[0].read_bytes()[:-1] + b"\0")
    with pytest.raises(ModelFilesError):
        registry.fetch(found, tmp_path / "models")
    assert not list((tmp_path / "models").iterdir())


def test_a_server_that_is_down_is_told_with_its_address() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RegistryError, match=f"the registry {address} cannot be opened.*The champion stays"):
        Registry(address, "tests")


def test_a_password_in_the_address_is_never_shown() -> None:
    with pytest.raises(RegistryError) as caught:
        Registry(f"http://ana:planted-secret@127.0.0.1:{free_port()}", "tests")
    assert "planted-secret" not in str(caught.value)
    assert "http://[hidden]@127.0.0.1" in str(caught.value)


def test_a_name_that_leads_out_of_the_folder_is_not_followed(make, registry: Registry, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from dataclasses import replace

    from models.prediction import ModelId

    found = replace(make(7), model=ModelId("../../evil", "0" * 12))
    with pytest.raises(RegistryError, match="a name that is no folder's"):
        registry.fetch(found, tmp_path / "models")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="cannot be made in"):
        Registry(str(tmp_path / "file"), "tests")


def test_what_is_no_model_is_not_registered(registry: Registry, tmp_path: Path) -> None:
    before = len(registry.all())
    with pytest.raises(ModelFilesError):
        registry.register(tmp_path, parameters={}, figures={}, tags={})
    assert len(registry.all()) == before
