"""The compose file: a valid one, of files that are there, of containers that may do little, on this machine alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.cli import ENTRIES
from deploy.kafka.runtime import IMAGE
from streams import __version__
from streams.config import FILE_VARIABLE, keys, load_settings

DEPLOY = Path(__file__).parents[3] / "deploy"
FILE = DEPLOY / "compose.yaml"
OURS = ("topics", "scorer", "monitor")

Project = dict[str, Any]


@pytest.fixture(scope="module")
def services() -> Project:
    """The services as YAML has them, anchors resolved; nothing else interpreted."""
    found: Project = yaml.safe_load(FILE.read_text())["services"]
    return found


def reader() -> str:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    found = shutil.which("compose-spec", path=f"{os.environ['PATH']}{os.pathsep}{cache}/squall/go-tools")
    if found is None:
        pytest.skip("needs compose-spec: go install github.com/compose-spec/compose-go/v2/cmd@v2.6.0, then name it so")
    return found


@pytest.mark.parametrize("files", [["compose.yaml"], ["compose.yaml", "compose.gpu.yaml"]])
def test_it_conforms_to_the_compose_specification(files: list[str]) -> None:
    done = subprocess.run([reader(), *files], cwd=DEPLOY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    project = yaml.safe_load(done.stdout)
    scorer = project["services"]["scorer"]
    cuda = "compose.gpu.yaml" in files
    given = scorer["build"]["args"]  # one file leaves it a mapping, two make it a list
    given = dict(one.split("=") for one in given) if isinstance(given, list) else given
    assert given["VARIANT"] == ("cuda" if cuda else "cpu")
    assert ("devices" in scorer["deploy"]["resources"].get("reservations", {})) == cuda
    assert scorer["build"]["context"] == str(DEPLOY.parent)


def test_the_specification_would_refuse_a_misspelt_key(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {a: {image: a, reed_only: true}}\n")
    done = subprocess.run([reader(), "compose.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0


def test_every_container_may_do_as_little_as_it_needs(services: Project) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "network_mode", "pid", "user"} & service.keys(), name
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory", "pids"} <= limits.keys(), name


def test_ports_are_open_on_this_machine_alone(services: Project) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published)


def test_images_are_pinned_and_the_broker_is_the_one_that_is_tested(services: Project) -> None:
    assert services["kafka"]["image"] == IMAGE
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        assert re.search(r"\d+\.\d+\.\d+", tag), f"{name}: {service['image']}"
        if "build" in service:
            assert __version__ in tag, name
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_what_is_mounted_is_there_and_is_only_read(services: Project) -> None:
    declared = yaml.safe_load(FILE.read_text())["volumes"]
    for name, service in services.items():
        for mount in service.get("volumes", []):
            if isinstance(mount, str):
                assert mount.partition(":")[0] in declared, f"{name}: {mount}"
            else:
                assert mount["read_only"] is True, f"{name}: {mount}"
                assert (DEPLOY / mount["source"]).exists(), f"{name}: {mount['source']}"


def test_everything_that_lasts_has_a_health_check(services: Project) -> None:
    text = (DEPLOY / "docker" / "Dockerfile").read_text()
    for name, service in services.items():
        if name != "topics":
            stage = service.get("build", {}).get("target")
            of_image = (
                stage is not None and "HEALTHCHECK" in text.partition(f" AS {stage}\n")[2].partition("\nFROM ")[0]
            )
            assert "healthcheck" in service or of_image, name


def test_workers_wait_for_the_topics_and_those_for_the_broker(services: Project) -> None:
    assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name in ("scorer", "monitor"):
        assert services[name]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


def test_squall_runs_commands_that_it_has_and_knows_its_variables(services: Project) -> None:
    known = {variable for _, variable, *_ in keys()} | {FILE_VARIABLE}
    for name in OURS:
        assert services[name]["command"][0] in {entry.name for entry in ENTRIES}
        assert set(services[name]["environment"]) <= known
    assert {services[name]["command"][-1] for name in ("scorer", "monitor")} == {"scorer", "monitor"}


def test_the_settings_can_be_read_and_name_services_that_are_there(services: Project) -> None:
    settings = load_settings(DEPLOY / "compose" / "settings.yaml", environ={})
    properties = broker_properties()
    (server,) = settings.kafka.bootstrap_servers
    assert f"INSIDE://{server}" in properties["advertised.listeners"]
    assert settings.topics.replication_factor == 1
    (url,) = settings.delivery.receivers["alertmanager"].urls  # type: ignore[union-attr]
    assert re.fullmatch(r"http://(\w+):9093", url)
    assert url.split("/")[2].partition(":")[0] in services


def test_prometheus_finds_workers_of_both_roles_under_one_name(services: Project) -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    (job,) = [job for job in scraped if job["job_name"] == "squall"]
    (found,) = job["dns_sd_configs"]
    assert found["port"] == 6066
    for name in ("scorer", "monitor"):
        assert found["names"] == services[name]["networks"]["inside"]["aliases"]
    assert "inside" in services["prometheus"]["networks"]


def test_a_scorer_cannot_reach_anything_outside(services: Project) -> None:
    networks = yaml.safe_load(FILE.read_text())["networks"]
    assert networks["inside"]["internal"] is True
    assert list(services["scorer"]["networks"]) == ["inside"]


def test_no_password_stands_anywhere(services: Project) -> None:
    for name, service in services.items():
        for variable in service.get("environment", {}):
            assert not re.search(r"PASSWORD|TOKEN|SECRET(?!S)|_KEY", variable), f"{name}: {variable}"
    assert services["grafana"]["environment"]["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert services["grafana"]["environment"]["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"


def test_secrets_that_lie_there_are_left_out_of_the_repository() -> None:
    for folder in ("squall", "alertmanager"):
        path = DEPLOY / "secrets" / folder / "slack_url"
        done = subprocess.run(["git", "check-ignore", "--quiet", str(path)], cwd=DEPLOY, check=False)
        assert done.returncode == 0


def test_a_worker_has_longer_to_stop_than_it_takes(services: Project) -> None:
    from streams.app.worker import _STOP_WITHIN_S

    for name in ("scorer", "monitor"):
        assert float(services[name]["stop_grace_period"].removesuffix("s")) >= 2 * _STOP_WITHIN_S


def broker_properties() -> dict[str, str]:
    lines = (DEPLOY / "compose" / "kafka.properties").read_text().splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {key: value for key, _, value in pairs}
