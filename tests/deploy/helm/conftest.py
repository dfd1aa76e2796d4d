"""The chart, rendered by Helm as a cluster would get it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

CHART = Path(__file__).parents[3] / "deploy" / "helm" / "squall"
VALUES = Path(__file__).parent / "values"
SETS = ("defaults", "gpu", "keda", "secured", "everything")
"""Value sets that are rendered: the chart's own values, and a file each."""
KUBERNETES = "1.31.0"

Manifest = dict[str, Any]
Render = Callable[..., "Rendered"]


class Rendered(NamedTuple):
    """What Helm made of the chart, or why not."""

    manifests: list[Manifest]
    error: str

    def of(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str, ending: str = "") -> Manifest:
        (found,) = [manifest for manifest in self.of(kind) if manifest["metadata"]["name"].endswith(ending)]
        return found

    def pods(self) -> Iterator[tuple[str, Manifest]]:
        """Name and pod specification of everything that runs."""
        for manifest in self.manifests:
            spec = manifest.get("spec", {})
            if manifest["kind"] == "CronJob":
                spec = spec["jobTemplate"]["spec"]
            if "template" in spec:
                yield f"{manifest['kind']} {manifest['metadata']['name']}", spec["template"]["spec"]


@pytest.fixture(scope="session")
def helm() -> list[str]:
    """The command that runs Helm."""
    found = shutil.which("helm", path=f"{os.environ['PATH']}{os.pathsep}{Path.home() / 'go' / 'bin'}")
    if found is None:
        pytest.skip("needs helm (go install helm.sh/helm/v3/cmd/helm@v3.16.4, or your system's package)")
    return [found]


@pytest.fixture(scope="session")
def render(helm: list[str]) -> Render:
    """`render(set, **{"key.in.dots": value})`: the manifests of a value set with some values changed."""

    def run(values: str = "defaults", **changed: Any) -> Rendered:
        command = [*helm, "template", "squall", str(CHART), "--namespace", "risk", "--kube-version", KUBERNETES]
        if values != "defaults":
            command += ["--values", str(VALUES / f"{values}.yaml")]
        for key, value in changed.items():
            command += ["--set-json", f"{key}={value}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return Rendered([], done.stderr)
        return Rendered([one for one in yaml.safe_load_all(done.stdout) if one is not None], "")

    return run


@pytest.fixture(scope="session", params=SETS)
def rendered(request: pytest.FixtureRequest, render: Render) -> Rendered:
    """Each value set in turn."""
    found = render(request.param)
    assert not found.error, found.error
    return found
