from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.files import read_manifest
from retrain.registry.audit import FILE, read_entries
from retrain.registry.mlflow_registry import Registered, Registry, RegistryError
from retrain.registry.promotion import Desk, adopt, promote, rollback
from streams.config import Settings
from streams.errors import BrokerError, InputError
from streams.models_known import find_model
from streams.records import ModelInUse
from tests.models.tiny_model import write_tiny_model

AT = datetime(2026, 3, 17, 12, tzinfo=UTC)


class _Workers:
    """What workers were told; they can be deaf."""

    def __init__(self) -> None:
        self.told: list[ModelInUse] = []
        self.deaf = False

    def __call__(self, record: ModelInUse) -> None:
        if self.deaf:
            raise BrokerError("no Kafka")
        self.told.append(record)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables take seconds to make: one file for the module, and a name of its own for each test."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture
def workers() -> _Workers:
    return _Workers()


@pytest.fixture
def desk(store: Path, tmp_path: Path, workers: _Workers) -> Desk:
    return Desk(
        registry=Registry(str(store), tmp_path.name),
        models=tmp_path / "models",
        runs=tmp_path / "runs",
        tell=workers,
        by="ana",
        now=lambda: AT,
    )


def made(desk: Desk, tmp_path: Path, seed: int, gate: str = "passed") -> Registered:
    folder = tmp_path / f"trained-{seed}"
    folder.mkdir()
    write_tiny_model(folder, seed=seed)
    found = desk.registry.register(folder, parameters={}, figures={}, tags={})
    if gate:
        champion = desk.registry.called("champion")
        desk.registry.mark(found, gate, against=found.model if champion is None else champion.model)  # type: ignore[arg-type]
    return desk.registry.find(found.number)


def test_a_promoted_model_is_champion_and_workers_are_told_and_find_it(
    desk: Desk, tmp_path: Path, workers: _Workers
) -> None:
    first = adopt(desk, _folder(tmp_path, 1))
    second = made(desk, tmp_path, 2)
    folder = promote(desk, second, note="better on headlines")
    assert [(one.version, one.by, one.note) for one in workers.told] == [
        (second.model.version, "ana", "better on headlines")
    ]
    settings = Settings.model_validate({"retrain": {"models": str(desk.models)}})
    assert find_model(second.model.version, settings) == folder
    assert desk.registry.find("champion").number == second.number
    assert desk.registry.find("previous").number == first.number
    assert desk.registry.called("challenger") is None
    (entry,) = read_entries(desk.runs)
    assert (entry.step, entry.model, entry.champion, entry.at) == ("promoted", second.model, first.model, AT)


def test_a_rollback_goes_back_and_another_one_forth(desk: Desk, tmp_path: Path, workers: _Workers) -> None:
    first = adopt(desk, _folder(tmp_path, 1))
    second = made(desk, tmp_path, 2)
    promote(desk, second)
    back, folder = rollback(desk, note="the desk complains")
    assert back.model == first.model
    assert read_manifest(folder).model == first.model
    assert workers.told[-1].version == first.model.version
    assert rollback(desk)[0].model == second.model
    assert [entry.step for entry in read_entries(desk.runs)] == ["promoted", "rolled_back", "rolled_back"]


def test_there_is_no_way_back_before_the_first_promotion(desk: Desk, tmp_path: Path, workers: _Workers) -> None:
    adopt(desk, _folder(tmp_path, 1))
    with pytest.raises(RegistryError, match="no model was champion before"):
        rollback(desk)
    assert workers.told == []


@pytest.mark.parametrize(("gate", "said"), [("refused", "refused it"), ("", "has not judged it")])
def test_what_the_gate_has_not_passed_is_promoted_by_force_and_with_a_reason_only(
    desk: Desk, tmp_path: Path, workers: _Workers, gate: str, said: str
) -> None:
    first = adopt(desk, _folder(tmp_path, 1))
    second = made(desk, tmp_path, 2, gate)
    with pytest.raises(RegistryError, match=said):
        promote(desk, second)
    with pytest.raises(RegistryError, match="needs --note"):
        promote(desk, second, force=True)
    assert desk.registry.find("champion").number == first.number
    assert workers.told == []
    promote(desk, second, force=True, note="the holdout is stale")
    assert read_entries(desk.runs)[-1].facts["forced"] is True


def test_workers_that_cannot_be_told_keep_their_champion(desk: Desk, tmp_path: Path, workers: _Workers) -> None:
    first = adopt(desk, _folder(tmp_path, 1))
    second = made(desk, tmp_path, 2)
    workers.deaf = True
    with pytest.raises(BrokerError):
        promote(desk, second)
    assert desk.registry.find("champion").number == first.number
    assert desk.registry.called("previous") is None
    assert read_entries(desk.runs) == []


def test_what_passed_against_a_champion_of_the_past_is_judged_again(
    desk: Desk, tmp_path: Path, workers: _Workers
) -> None:
    adopt(desk, _folder(tmp_path, 1))
    one, other = made(desk, tmp_path, 2), made(desk, tmp_path, 3)
    promote(desk, one)
    with pytest.raises(RegistryError, match="is champion by now: let the gate judge it again"):
        promote(desk, other)
    assert [told.version for told in workers.told] == [one.model.version]


def test_an_audit_log_that_cannot_be_written_is_told_as_it_is(desk: Desk, tmp_path: Path) -> None:
    adopt(desk, _folder(tmp_path, 1))
    second = made(desk, tmp_path, 2)
    desk.runs.write_text("a file stands where the folder should be")
    with pytest.raises(RegistryError, match=r"the workers answer with .* but not all of it is written down"):
        promote(desk, second)
    assert desk.registry.find("champion").number == second.number
    assert desk.registry.find("previous").model.name == "shipped"


def test_what_is_champion_already_is_not_adopted_again(desk: Desk, tmp_path: Path) -> None:
    folder = _folder(tmp_path, 1)
    first = adopt(desk, folder)
    assert adopt(desk, folder) == first
    assert len(desk.registry.all()) == 1


def test_a_spoilt_audit_log_is_told_with_its_line(desk: Desk, tmp_path: Path) -> None:
    adopt(desk, _folder(tmp_path, 1))
    promote(desk, made(desk, tmp_path, 2))
    path = desk.runs / FILE
    path.write_bytes(path.read_bytes() + b"{\n")
    with pytest.raises(InputError, match=rf"{FILE}:2: no entry"):
        read_entries(desk.runs)


def _folder(tmp_path: Path, seed: int) -> Path:
    folder = tmp_path / f"shipped-{seed}"
    folder.mkdir()
    write_tiny_model(folder, seed=seed, name="shipped")
    return folder
