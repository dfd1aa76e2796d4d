"""The chart holds what Kubernetes takes and Squall reads: schemas, settings, and what belongs together."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.cli import ENTRIES
from streams.app.layout import group
from streams.config import FILE_VARIABLE, Settings, keys, load_settings
from tests.deploy.helm.conftest import CHART, KUBERNETES, SETS, VALUES, Manifest, Render, Rendered

ROOT = CHART.parents[2]
OF_OPERATORS = {
    "ScaledObject": "keda.sh/v1alpha1",
    "TriggerAuthentication": "keda.sh/v1alpha1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
}
"""Kinds that Kubernetes' own schemas do not know."""


@pytest.mark.parametrize("values", SETS)
def test_helm_finds_nothing_to_complain_of(helm: list[str], values: str) -> None:
    more = [] if values == "defaults" else ["--values", str(VALUES / f"{values}.yaml")]
    lint = [*helm, "lint", "--strict", str(CHART), "--kube-version", KUBERNETES, *more]
    done = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("version", ["1.27", "1.31", "1.36"])
def test_kubernetes_takes_every_manifest(rendered: Rendered, version: str) -> None:
    for manifest in rendered.manifests:
        if manifest["kind"] in OF_OPERATORS:
            assert manifest["apiVersion"] == OF_OPERATORS[manifest["kind"]]
        else:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schemas_would_refuse_a_manifest_with_an_unknown_key(render: Render) -> None:
    broken = render().one("Deployment")
    broken["spec"]["template"]["spec"]["containers"][0]["comand"] = ["squall"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.31", strict=True)


def test_no_two_manifests_have_one_name(rendered: Rendered) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in rendered.manifests]
    assert len(names) == len(set(names))


def test_the_release_has_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]


def settings_of(rendered: Rendered, container: Manifest, tmp_path: Path) -> Settings:
    """What Squall reads in a container: the file that is mounted, and the variables; a secret is some text."""
    (tmp_path / "squall.yaml").write_text(rendered.one("ConfigMap", "squall")["data"]["squall.yaml"])
    environ = {entry["name"]: entry.get("value", "some-text") for entry in container["env"]}
    return load_settings(environ=environ | {FILE_VARIABLE: str(tmp_path / "squall.yaml")})


def test_squall_reads_the_settings_that_are_mounted(rendered: Rendered, tmp_path: Path) -> None:
    given = "rules.yaml" in rendered.one("ConfigMap", "squall")["data"]
    for name, pod in rendered.pods():
        settings = settings_of(rendered, pod["containers"][0], tmp_path)
        assert settings.topics.replication_factor == 3, name
        assert settings.worker.port == 6066, name
        assert settings.monitor.rules == (Path("/etc/squall/rules.yaml") if given else None), name


def test_rules_given_as_a_value_are_rules_that_squall_reads(render: Render, tmp_path: Path) -> None:
    from streams.monitor.rule_files import load_rules

    (tmp_path / "rules.yaml").write_text(render("everything").one("ConfigMap", "squall")["data"]["rules.yaml"])
    assert [rule.alert for rule in load_rules(tmp_path / "rules.yaml").rules] == ["MostlyNegative"]


def test_the_hook_has_the_same_settings_as_the_workers(rendered: Rendered) -> None:
    assert rendered.one("ConfigMap", "-topics")["data"] == rendered.one("ConfigMap", "squall")["data"]


def test_squall_knows_every_variable_that_is_set(rendered: Rendered) -> None:
    known = {variable for _, variable, *_ in keys()} | {FILE_VARIABLE}
    for name, pod in rendered.pods():
        for container in pod["containers"]:
            given = [entry["name"] for entry in container["env"]]
            assert len(given) == len(set(given)), name
            assert {one for one in given if one.startswith("SQUALL_")} <= known, name


def test_kubernetes_sets_no_variable_of_its_own_that_squall_would_refuse(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        assert pod["enableServiceLinks"] is False, name


def test_pods_run_commands_that_squall_has(rendered: Rendered) -> None:
    commands = {entry.name for entry in ENTRIES}
    for name, pod in rendered.pods():
        for container in pod["containers"]:
            words = container.get("args") or container["command"][-1].removeprefix("squall ").split()
            assert words[0] in commands, name


@pytest.mark.parametrize("values", ["gpu", "everything"])
def test_retraining_is_called_with_options_that_it_has(render: Render, values: str) -> None:
    from typer.testing import CliRunner

    from deploy.cli import app

    (container,) = next(pod for name, pod in render(values).pods() if name.startswith("CronJob"))["containers"]
    assert container["image"].endswith("-training")
    shown = CliRunner().invoke(app, ["retrain", "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).stdout
    for option in container["args"][1:]:
        assert option.partition("=")[0] in shown
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (values == "gpu")


def test_retraining_keeps_what_it_learns_on_claims_and_workers_see_its_models(render: Render, tmp_path: Path) -> None:
    found = render("gpu")
    retrain = next(pod for name, pod in found.pods() if name.startswith("CronJob"))
    scorer = found.one("Deployment")["spec"]["template"]["spec"]
    settings = settings_of(found, scorer["containers"][0], tmp_path)
    mounted = {mount["mountPath"]: mount for mount in retrain["containers"][0]["volumeMounts"]}
    for folder in (
        settings.retrain.labels,
        settings.retrain.datasets,
        settings.retrain.runs,
        settings.retrain.registry,
    ):
        assert Path(folder).parts[:2] == ("/", "data")
    assert not mounted["/data"].get("readOnly")
    assert not mounted[str(settings.retrain.models)].get("readOnly")
    (seen,) = [mount for mount in scorer["containers"][0]["volumeMounts"] if mount["name"] == "models"]
    assert seen == {"name": "models", "mountPath": str(settings.retrain.models), "readOnly": True}


def test_every_file_that_is_mounted_is_in_the_config_map(rendered: Rendered) -> None:
    maps = {one["metadata"]["name"]: set(one["data"]) for one in rendered.of("ConfigMap")}
    for name, pod in rendered.pods():
        for volume in pod["volumes"]:
            if "configMap" in volume:
                wanted = {item["key"] for item in volume["configMap"]["items"]}
                assert wanted == maps[volume["configMap"]["name"]], name


def test_a_changed_setting_starts_workers_anew(render: Render) -> None:
    def checksum(rendered: Rendered) -> Any:
        return rendered.one("Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert checksum(render()) != checksum(render(**{"config.monitor": '{"allowed_lateness_s": 60}'}))
    assert checksum(render()) == checksum(render(**{"scorer.replicas": "3"}))


def test_roles_are_apart_and_a_monitor_has_a_name_that_outlives_it(render: Render) -> None:
    found = render()
    scorer, monitor = found.one("Deployment"), found.one("StatefulSet")
    assert scorer["spec"]["template"]["spec"]["containers"][0]["args"] == ["worker", "--role", "scorer"]
    (container,) = monitor["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["worker", "--role", "monitor"]
    named = next(entry for entry in container["env"] if entry["name"] == "SQUALL_WORKER__INSTANCE_ID")
    assert named["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert "volumeClaimTemplates" not in monitor["spec"], "the state's home is Kafka"


def test_gpus_are_asked_for_by_those_who_score_alone(render: Render) -> None:
    found = render("gpu")
    scorer = found.one("Deployment")["spec"]["template"]["spec"]
    assert scorer["containers"][0]["image"].endswith("-cuda")
    assert scorer["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert scorer["nodeSelector"] == {"accelerator": "nvidia-l4"}
    assert scorer["tolerations"][0]["key"] == "nvidia.com/gpu"
    monitor = found.one("StatefulSet")["spec"]["template"]["spec"]
    assert monitor["containers"][0]["image"].endswith("-cpu")
    assert "nvidia.com/gpu" not in monitor["containers"][0]["resources"]["limits"]
    assert "tolerations" not in monitor


def test_an_image_by_its_digest(render: Render) -> None:
    (container,) = render("everything").one("StatefulSet")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/risk/squall@sha256:" + "a" * 64


@pytest.mark.parametrize("values", ["keda", "secured"])
def test_keda_looks_at_the_groups_and_topics_of_squall(render: Render, values: str, tmp_path: Path) -> None:
    found = render(values)
    settings = settings_of(found, found.one("Deployment")["spec"]["template"]["spec"]["containers"][0], tmp_path)
    topics = {"scorer": settings.topics.messages, "monitor": settings.topics.mentions}
    partitions = {"scorer": settings.topics.message_partitions, "monitor": settings.topics.mention_partitions}
    for scaled in found.of("ScaledObject"):
        role = scaled["metadata"]["labels"]["app.kubernetes.io/component"]
        (trigger,) = scaled["spec"]["triggers"]
        assert trigger["metadata"]["consumerGroup"] == group(settings, role)
        assert trigger["metadata"]["topic"] == topics[role]
        assert trigger["metadata"]["bootstrapServers"] == ",".join(settings.kafka.bootstrap_servers)
        assert 1 <= scaled["spec"]["minReplicaCount"] <= scaled["spec"]["maxReplicaCount"] <= partitions[role]
        target = scaled["spec"]["scaleTargetRef"]
        assert "replicas" not in found.one(target["kind"])["spec"], "KEDA's number would be undone at each upgrade"


def test_keda_logs_in_as_the_scorer_does(render: Render) -> None:
    found = render("secured")
    (trigger,) = found.one("ScaledObject")["spec"]["triggers"]
    assert trigger["metadata"]["sasl"] == "scram_sha256"
    assert trigger["metadata"]["tls"] == "enable"
    login = found.one("TriggerAuthentication")
    assert trigger["authenticationRef"]["name"] == login["metadata"]["name"]
    given = {one["parameter"]: (one["name"], one["key"]) for one in login["spec"]["secretTargetRef"]}
    assert given["password"] == ("kafka-login-scorer", "password")
    assert given["key"] == ("kafka-tls", "tls.key")


def test_rules_for_prometheus_are_those_of_the_repository(render: Render) -> None:
    rules = {
        one["metadata"]["name"].removeprefix("squall-"): one["spec"]
        for one in render("everything").of("PrometheusRule")
    }
    files = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "deploy/prometheus/rules").glob("*.yaml")}
    assert files
    assert rules == files


def test_dashboards_are_those_of_the_repository(render: Render) -> None:
    given: dict[str, str] = {}
    for one in render("everything").of("ConfigMap"):
        if "-dashboard-" in one["metadata"]["name"]:
            assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
            given |= one["data"]
    files = {path.name: path.read_text() for path in (ROOT / "deploy/grafana/json").glob("*.json")}
    assert files
    assert {name: json.loads(text) for name, text in given.items()} == {n: json.loads(t) for n, t in files.items()}


def test_prometheus_finds_the_workers_under_a_job_that_the_rules_look_for(render: Render) -> None:
    found = render("everything")
    monitor = found.one("ServiceMonitor")
    label = monitor["spec"]["jobLabel"]
    services = [one for one in found.of("Service") if one["spec"].get("clusterIP") == "None"]
    assert len(services) == 2
    for service in services:
        assert service["metadata"]["labels"][label] == "squall"
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        assert wanted <= service["metadata"]["labels"].items()
        assert [port["name"] for port in service["spec"]["ports"]] == [monitor["spec"]["endpoints"][0]["port"]]


@pytest.mark.parametrize(("name", "job"), [("squall2", "squall2"), ("risk-desk", "squall-risk-desk")])
def test_two_releases_are_two_jobs_for_prometheus(render: Render, name: str, job: str) -> None:
    found = render("everything", fullnameOverride=f'"{name}"')
    label = found.one("ServiceMonitor")["spec"]["jobLabel"]
    assert {one["metadata"]["labels"][label] for one in found.of("Service")} == {job}


def test_services_budgets_and_spreads_select_the_pods_that_are_there(rendered: Rendered) -> None:
    pods = [
        one["spec"]["template"]["metadata"]["labels"] for one in rendered.of("Deployment") + rendered.of("StatefulSet")
    ]
    selectors = [one["spec"]["selector"] for one in rendered.of("Service")]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in rendered.of("PodDisruptionBudget")]
    for selector in selectors:
        assert sum(selector.items() <= labels.items() for labels in pods) == 1
    assert len(rendered.of("PodDisruptionBudget")) == 2


def test_the_schema_of_the_values_is_strict_in_every_part_of_the_charts_own() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert schema["additionalProperties"] is False
    assert set(values) <= set(schema["properties"])
