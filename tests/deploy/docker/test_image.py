"""The image's recipe: what it copies is there, what it installs is locked, and what it runs is nobody's root."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from deploy.kafka import free_port
from streams import __version__
from streams.config import load_settings
from tests.streams.security.certificates import Authority

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "deploy" / "docker"
OF_CUDA = re.compile(r"^(nvidia|cuda|triton|torch)\b")


class Stage(NamedTuple):
    base: str
    name: str
    steps: list[tuple[str, str]]
    """Instruction and what follows it, on one line."""

    def of(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]


def stages() -> dict[str, Stage]:
    """The Dockerfile, read as far as these tests need it."""
    found: dict[str, Stage] = {}
    lines = [
        line for line in (DOCKER / "Dockerfile").read_text().splitlines() if line and not line.lstrip().startswith("#")
    ]
    stage = Stage("", "", [])
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = found[name] = Stage(base, name, [])
        else:
            stage.steps.append((instruction, rest.strip()))
    return found


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out: as Docker reads it, the last pattern that fits decides."""
    found = False
    parents = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            bare = pattern.removeprefix("!").removeprefix("**/")
            if any(fnmatch.fnmatch(part, bare) for part in parents) or (
                "**/" in pattern and any(fnmatch.fnmatch(name, bare) for name in Path(path).parts)
            ):
                found = not pattern.startswith("!")
    return found


def locked(name: str) -> dict[str, set[str]]:
    """Packages of a lock file and their versions: there may be one for each Python."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", (ROOT / name).read_text(), re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


def copied() -> Iterator[str]:
    for stage in stages().values():
        for rest in stage.of("COPY"):
            if not rest.startswith("--from"):
                yield from shlex.split(rest)[:-1]


def test_what_the_image_is_made_of_is_in_the_repository_and_reaches_the_builder() -> None:
    sources = set(copied())
    assert {"deploy/docker/cpu.lock", "deploy/docker/cuda.lock", "."} <= sources
    for source in sources - {"."}:
        assert (ROOT / source).is_file(), source
        assert not ignored(source), source
    for needed in ("pyproject.toml", "README.md", "LICENSE", "models/weights/squall-minilm-v1/weights.safetensors"):
        assert (ROOT / needed).is_file()
        assert not ignored(needed), needed


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        "squall.yaml",
        ".venv/bin/python",
        ".squall/x",
        "deploy/secrets/key",
        "streams/__pycache__/x.pyc",
        "messages.csv",
    ],
)
def test_what_happens_to_lie_in_the_folder_stays_out_of_the_image(path: str) -> None:
    assert ignored(path)


def test_every_stage_is_built_on_a_named_image_or_on_an_earlier_stage() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)", text, re.MULTILINE))
    assert re.fullmatch(r"python:3\.1\d-slim-\w+", arguments["PYTHON_IMAGE"])
    seen: set[str] = set()
    for stage in stages().values():
        for variant in ("cpu", "cuda", "training"):
            base = stage.base.replace("${VARIANT}", variant).replace("${PYTHON_IMAGE}", arguments["PYTHON_IMAGE"])
            assert base in seen or base == arguments["PYTHON_IMAGE"], base
        seen.add(stage.name)
    assert list(stages())[-1] == "squall"


def test_all_packages_are_installed_by_hash_but_for_pytorch_without_a_named_one() -> None:
    for stage in stages().values():
        for run in stage.of("RUN"):
            for command in re.findall(r"pip install(.*?)(?=&&|$)", run):
                by_hash = "--require-hashes" in command
                ours = "/build/dist/squall-" in command
                assert by_hash or ours, command
                if "TORCH_SHA256" in command:
                    assert "--no-deps" in command
                    assert "--torch-backend cpu" in command


def test_the_process_is_no_root_and_hears_sigterm() -> None:
    for name, command in (("squall", ["worker"]), ("mlflow", ["server"])):
        stage = stages()[name]
        assert stage.of("USER") == ["10001:10001"]
        order = [instruction for instruction, _ in stage.steps]
        assert "RUN" not in order[order.index("USER") :], "what is run after USER cannot write where it must"
        assert json.loads(stage.of("ENTRYPOINT")[0]) == ["tini", "--", name]
        assert json.loads(stage.of("CMD")[0])[:1] == command
        assert "ADD" not in order


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def health_check(port: int, **more: str) -> int:
    """Exit status of the image's own check."""
    command = json.loads(stages()["squall"].of("HEALTHCHECK")[0].partition("CMD ")[2])
    assert command[0] == "python"
    environ = {"SQUALL_WORKER__PORT": str(port)} | more
    return subprocess.run([sys.executable, *command[1:]], env=environ, capture_output=True, check=False).returncode


@pytest.mark.parametrize("tls", [False, True])
def test_the_health_check_asks_the_port_that_is_set_and_speaks_tls_where_the_worker_does(
    tls: bool, tmp_path: Path
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Healthy)
    more = {}
    if tls:
        pair = Authority(tmp_path, "authority").issue("worker")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        more = {"SQUALL_WORKER__TLS_CERT_FILE": str(pair.cert)}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert health_check(server.server_address[1], **more) == 0
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_health_check_fails_where_nobody_answers() -> None:
    assert health_check(free_port()) != 0


def test_the_settings_of_the_image_are_known_ones() -> None:
    environment = dict(re.findall(r"(SQUALL_\w+)=(\S+)", " ".join(stages()["squall"].of("ENV"))))
    settings = load_settings(environ=environment)
    assert settings.worker.host == "0.0.0.0"  # noqa: S104 - a container's own interface
    volumes = json.loads(stages()["squall"].of("VOLUME")[0])
    assert str(settings.worker.data_dir.parent) in volumes


def test_the_label_names_the_version_of_the_package() -> None:
    assert f"VERSION={__version__}" in stages()["squall"].of("ARG")


@pytest.mark.parametrize("name", ["cpu", "cuda", "training", "build", "mlflow"])
def test_an_image_holds_the_versions_that_are_tested_here(name: str) -> None:
    all_of_them = locked("requirements.lock")
    for package, versions in locked(f"deploy/docker/{name}.lock").items():
        assert versions <= all_of_them[package], f"{package}: run make lock"


def test_the_image_for_the_cpu_brings_no_cuda_and_that_for_cuda_does() -> None:
    cpu, cuda = locked("deploy/docker/cpu.lock"), locked("deploy/docker/cuda.lock")
    assert not [package for package in cpu if OF_CUDA.match(package)]
    assert len(cuda["torch"]) == 1, "the image for the CPU takes PyTorch's version from here"
    assert {package for package in cuda if not OF_CUDA.match(package)} <= cpu.keys()
    assert {"openvino", "onnxruntime"} <= cpu.keys()


@pytest.mark.parametrize("name", ["cpu", "cuda", "training", "build", "mlflow"])
def test_locks_hold_a_hash_for_each_package_and_no_address(name: str) -> None:
    text = (DOCKER / f"{name}.lock").read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=[a-z])", text):
        if re.match(r"[a-z0-9-]+==", block):
            assert "--hash=sha256:" in block, block.splitlines()[0]


def test_a_worker_has_nothing_that_only_training_needs() -> None:
    only = {"mlflow", "optuna", "peft", "accelerate", "cleanlab"}
    assert only <= locked("deploy/docker/training.lock").keys()
    for name in ("cpu", "cuda"):
        assert not only & locked(f"deploy/docker/{name}.lock").keys()


def test_no_package_of_the_tests_is_in_an_image() -> None:
    for name in ("cpu", "cuda", "training"):
        assert not {"pytest", "ruff", "mypy", "playwright", "hypothesis"} & locked(f"deploy/docker/{name}.lock").keys()
