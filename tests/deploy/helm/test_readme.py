"""The README's values for a cluster of one's own are taken by the chart and read by Squall."""

from __future__ import annotations

import subprocess
from pathlib import Path

import kubernetes_validate
import yaml

from streams.config import load_settings
from tests.deploy.helm.conftest import CHART, KUBERNETES

README = Path(__file__).parents[3] / "README.md"


def test_the_values_of_the_readme_are_good_ones(helm: list[str], tmp_path: Path) -> None:
    section = README.read_text().partition("## Run it in production")[2].partition("\n## ")[0]
    block = section.partition("says at least\n\n")[2].partition("\n\n")[0]
    (tmp_path / "values.yaml").write_text(block.replace("\n    ", "\n").removeprefix("    "))
    command = [*helm, "template", "squall", str(CHART), "--kube-version", KUBERNETES]
    done = subprocess.run(
        [*command, "--values", str(tmp_path / "values.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    manifests = [one for one in yaml.safe_load_all(done.stdout) if one]
    for manifest in manifests:
        if "keda" not in manifest["apiVersion"]:
            kubernetes_validate.validate(manifest, "1.31", strict=True)
    (tmp_path / "squall.yaml").write_text(
        next(one["data"]["squall.yaml"] for one in manifests if one["metadata"]["name"] == "squall" and "data" in one)
    )
    login = {"SQUALL_KAFKA__SASL_USERNAME": "squall", "SQUALL_KAFKA__SASL_PASSWORD": "some-text"}
    settings = load_settings(tmp_path / "squall.yaml", environ=login)
    assert settings.kafka.security_protocol == "SASL_SSL"
    assert set(settings.delivery.receivers) == {"desk"}
