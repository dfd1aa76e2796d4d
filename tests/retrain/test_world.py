from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models.errors import DeviceError, TrainingDataError
from models.files import WEIGHTS
from models.quantise import dequantise
from retrain.card import CardFacts
from retrain.job import TrainingJob, Watchers
from retrain.settings_file import write_settings
from retrain.train import train_in_world
from retrain.world import ALONE, World
from tests.retrain.test_train import SETTINGS, train

SHORT = replace(SETTINGS, epochs=1, batch_size=7, head_dropout=0.0, average_decay=0.0)

MEMBER = """
import json, os, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from retrain.world import World

world = World.from_environment(os.environ)
with world.joined(torch.device("cpu")):
    torch.manual_seed(world.rank)
    network = torch.nn.Linear(3, 2)
    world.start_alike(network)
    alike = {name: value.clone() for name, value in network.state_dict().items()}
    rows = world.share(torch.arange(15.0).reshape(5, 3))
    loss = network(rows).square().sum()
    loss.backward()
    if world.leads:
        network.bias.grad = None  # as of a process to which no row of a batch fell
    total = world.add_gradients(network, loss.item())
    world.diverge(1)
    found = {"weight": network.weight.grad, "bias": network.bias.grad, "dice": torch.rand(4), **{
        f"start.{name}": value for name, value in alike.items()}}
    save_file(found, Path(sys.argv[1]) / f"{world.rank}.safetensors", metadata={"told": json.dumps(
        {"loss": total, "agreed": world.agree(float(world.rank + 5), torch.device("cpu")), "leads": world.leads})})
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def together(arguments: list[str], count: int = 2) -> list[subprocess.CompletedProcess[str]]:
    """Run several processes of a world, told who they are as a launcher tells them."""
    common = {**os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = [
        subprocess.Popen(
            arguments, env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(count)
    ]  # fmt: skip
    try:
        told = [process.communicate(timeout=200) for process in started]
    finally:
        for process in started:
            process.kill()
    return [
        subprocess.CompletedProcess(arguments, process.returncode, *out)
        for process, out in zip(started, told, strict=True)
    ]


def test_gradients_are_added_up_and_all_begin_alike(tmp_path: Path) -> None:
    for member in together([sys.executable, "-c", MEMBER, str(tmp_path)]):
        assert member.returncode == 0, member.stderr
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    assert torch.equal(first["start.weight"], second["start.weight"])
    assert torch.equal(first["weight"], second["weight"]) and torch.equal(first["bias"], second["bias"])
    assert not torch.equal(first["dice"], second["dice"]), "each drops out entries of its own"
    network = torch.nn.Linear(3, 2)
    network.load_state_dict({"weight": first["start.weight"], "bias": first["start.bias"]})
    network(torch.arange(15.0).reshape(5, 3)).square().sum().backward()
    assert network.weight.grad is not None
    assert torch.allclose(first["weight"], network.weight.grad, rtol=1e-5), "as one process over all rows"


@pytest.fixture(scope="module")
def no_dropout_base(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    import json
    import shutil

    folder = tmp_path_factory.mktemp("quiet") / "base"
    shutil.copytree(tiny_base, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_two_processes_reach_what_one_reaches_and_only_the_first_writes(
    sentiment_file: Path, topic_file: Path, no_dropout_base: Path, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    alone = train(sentiment_file, topic_file, no_dropout_base, tmp_path / "one" / "model", SHORT)
    knobs = tmp_path / "knobs.yaml"
    knobs.write_text(write_settings(SHORT))
    home = tmp_path / "two"
    home.mkdir()
    done = subprocess.run(
        [
            sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
            "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(free_port()),
            "-m", "deploy.cli", "train", "--sentiment", str(sentiment_file), "--topic", str(topic_file),
            "--base", str(no_dropout_base), "--out", str(home / "model"), "--settings", str(knobs), "--device", "cpu",
        ],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model: model") == 1
    assert done.stderr.count("rows in") == 1, "only the first process speaks"
    assert [path.name for path in home.iterdir()] == ["model"]
    ours, theirs = (dequantise(load_file(folder / WEIGHTS)) for folder in (alone.folder, home / "model"))
    for name, value in ours.items():
        assert torch.allclose(value, theirs[name], atol=0.02), f"{name} went another way"


def test_one_process_alone_is_untouched() -> None:
    network = torch.nn.Linear(2, 2)
    rows = [1, 2, 3]
    dice = torch.get_rng_state()
    ALONE.start_alike(network)
    ALONE.diverge(3)
    ALONE.wait()
    with ALONE.joined(torch.device("cpu")):
        assert not torch.distributed.is_initialized()
    assert ALONE.share(rows) is rows
    assert ALONE.add_gradients(network, 0.25) == 0.25
    assert network.weight.grad is None
    assert ALONE.agree(0.1, torch.device("cpu")) == 0.1
    assert torch.equal(torch.get_rng_state(), dice)


def test_rows_are_shared_out_whole() -> None:
    rows = list(range(7))
    parts = [World(rank, 3).share(rows) for rank in range(3)]
    assert sorted(row for part in parts for row in part) == rows
    assert World(2, 3).share([1]) == []


def test_the_launchers_variables_are_read_and_nonsense_is_refused() -> None:
    assert World.from_environment({}) == ALONE
    told = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    assert World.from_environment(told) == World(3, 4, 1)
    assert not World(3, 4, 1).leads
    for wrong in ({"RANK": "4", "WORLD_SIZE": "4"}, {"RANK": "x"}, {"WORLD_SIZE": "0"}):
        with pytest.raises(DeviceError, match="the launcher's variables make no sense"):
            World.from_environment(wrong)


def test_cross_validation_is_refused_to_several_processes(tmp_path: Path) -> None:
    job = TrainingJob((tmp_path / "s",), (tmp_path / "t",), "b", tmp_path / "out", "x", CardFacts("b"), device="cpu")
    with pytest.raises(TrainingDataError, match="cross-validation runs in one process"):
        train_in_world(job, replace(SETTINGS, folds=2), Watchers(lambda line: None), World(0, 2))
