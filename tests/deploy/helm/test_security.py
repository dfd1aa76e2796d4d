"""What a pod of the chart may do: as little as it needs; and where secrets are, and are not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.helm.conftest import Render, Rendered


def test_every_pod_runs_as_nobody_in_particular(rendered: Rendered) -> None:
    seen = 0
    for name, pod in rendered.pods():
        seen += 1
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == 10001, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert not pod.get("hostNetwork"), name
        assert not pod.get("hostPID"), name
    assert seen >= 3


def test_every_container_has_a_read_only_root_and_no_capability(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert "privileged" not in security, name


def test_every_container_has_memory_asked_for_and_bounded(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        for container in pod["containers"]:
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name


def test_what_may_be_written_is_a_volume(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
            assert {mount["name"] for mount in mounts.values()} <= volumes, name
            assert {"/tmp", "/var/lib/squall"} <= mounts.keys(), name  # noqa: S108 - a mount's path
            assert mounts["/etc/squall"]["readOnly"] is True, name
            inside = [path for path in mounts for other in mounts if path != other and path.startswith(other + "/")]
            assert not inside, f"{name}: a mount point cannot be made within a read-only volume"


def test_no_secret_is_made_and_none_stands_in_a_manifest(rendered: Rendered) -> None:
    assert not rendered.of("Secret")
    for name, pod in rendered.pods():
        for container in pod["containers"]:
            for entry in container["env"]:
                secret = any(word in entry["name"] for word in ("PASSWORD", "TOKEN", "SECRET", "USERNAME"))
                if secret and not entry["name"].endswith("_FILE"):
                    assert "value" not in entry, name
                    assert "secretKeyRef" in entry["valueFrom"], name


def test_each_role_logs_in_as_itself(render: Render) -> None:
    used: dict[str, set[str]] = {}
    for name, pod in render("secured").pods():
        for entry in pod["containers"][0]["env"]:
            if entry["name"].startswith("SQUALL_KAFKA__SASL"):
                used.setdefault(name, set()).add(entry["valueFrom"]["secretKeyRef"]["name"])
    assert used == {
        "Deployment squall-scorer": {"kafka-login-scorer"},
        "StatefulSet squall-monitor": {"kafka-login-monitor"},
        "Job squall-topics": {"kafka-login-admin"},
        "CronJob squall-retrain": {"kafka-login-retrain"},
    }


def test_certificates_are_files_that_the_settings_name(render: Render) -> None:
    for name, pod in render("secured").pods():
        (container,) = pod["containers"]
        folder = next(m["mountPath"] for m in container["volumeMounts"] if m["name"] == "kafka-tls")
        given = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert given["SQUALL_KAFKA__SSL_CA_FILE"] == f"{folder}/ca.crt", name
        assert given["SQUALL_KAFKA__SSL_CERT_FILE"] == f"{folder}/tls.crt", name
        assert given["SQUALL_KAFKA__SSL_KEY_FILE"] == f"{folder}/tls.key", name
        (volume,) = [one for one in pod["volumes"] if one["name"] == "kafka-tls"]
        assert volume["secret"] == {"secretName": "kafka-tls", "defaultMode": 0o440}


def test_where_workers_serve_tls_probes_and_prometheus_speak_it(render: Render) -> None:
    for values, scheme in (("secured", "HTTPS"), ("defaults", "HTTP")):
        found = render(values)
        for kind in ("Deployment", "StatefulSet"):
            (container,) = found.one(kind)["spec"]["template"]["spec"]["containers"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert container[probe]["httpGet"]["scheme"] == scheme, kind
            given = {entry["name"]: entry.get("value") for entry in container["env"]}
            mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert ("SQUALL_WORKER__TLS_CERT_FILE" in given) == ("/etc/squall-tls" in mounted) == (scheme == "HTTPS")
    assert render("secured").one("ServiceMonitor")["spec"]["endpoints"][0]["scheme"] == "https"


def test_the_keys_of_receivers_are_seen_by_monitors_alone(render: Render) -> None:
    seeing = [name for name, pod in render("secured").pods() if any(v["name"] == "delivery" for v in pod["volumes"])]
    assert seeing == ["StatefulSet squall-monitor"]


def test_the_tokens_of_the_desk_are_seen_by_monitors_alone_and_let_the_named_ones_in(render: Render) -> None:
    found = render("secured")
    seeing = [name for name, pod in found.pods() if any(v["name"] == "verdicts" for v in pod["volumes"])]
    assert seeing == ["StatefulSet squall-monitor"]
    (container,) = found.one("StatefulSet")["spec"]["template"]["spec"]["containers"]
    folder = next(mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "verdicts")
    given = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert given["SQUALL_WORKER__API_TOKENS_FILE"] == f"{folder}/tokens.yaml"
    allowed = policies(found)["squall-verdicts"]["ingress"][0]
    assert allowed["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "ingress"}
    assert "squall-verdicts" not in policies(render())


def policies(rendered: Rendered) -> dict[str, Any]:
    return {one["metadata"]["name"]: one["spec"] for one in rendered.of("NetworkPolicy")}


def test_all_traffic_is_forbidden_that_no_rule_names(rendered: Rendered) -> None:
    spec = policies(rendered)["squall"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    for _, pod in rendered.pods():
        assert pod is not None
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in rendered.of("Deployment") + rendered.of("Job")]
    assert all(spec["podSelector"]["matchLabels"].items() <= one.items() for one in labels)
    for rule in spec["ingress"]:
        assert rule["from"], "a rule without peers lets everyone in"
        assert rule["ports"] == [{"protocol": "TCP", "port": 6066}]
    for rule in spec["egress"]:
        assert rule["ports"], "a rule without ports lets everything out"


def test_kafka_is_reached_on_the_ports_of_its_servers(render: Render) -> None:
    spec = policies(render("secured"))["squall"]
    (rule,) = [rule for rule in spec["egress"] if rule.get("to") == [{"ipBlock": {"cidr": "10.20.0.0/16"}}]]
    assert rule["ports"] == [{"protocol": "TCP", "port": 9093}, {"protocol": "TCP", "port": 9094}]


def test_receivers_are_reached_by_monitors_alone(render: Render) -> None:
    spec = policies(render("secured"))["squall-receivers"]
    assert spec["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "monitor"
    assert spec["egress"][0]["to"] == [{"ipBlock": {"cidr": "203.0.113.0/24"}}]


@pytest.mark.parametrize("peers", ["[]"])
def test_without_a_prometheus_nobody_gets_in(render: Render, peers: str) -> None:
    assert policies(render(**{"networkPolicy.prometheus": peers}))["squall"]["ingress"] == []


REFUSED = {
    "a password among the settings": ({"config.kafka.sasl_password": '"x"'}, "sasl_password"),
    "a desk's token among the settings": ({"config.worker": '{"api_token": "x"}'}, "api_token"),
    "a webhook's address among the settings": ({"config.delivery": '{"webhook_url": "https://x"}'}, "webhook_url"),
    "a receiver's token in clear": (
        {"config.delivery": '{"receivers": {"a": {"type": "webhook", "url_file": "/x", "token": "y"}}}'},
        "token",
    ),
    "a channel's address in clear": (
        {"config.delivery": '{"receivers": {"a": {"type": "slack", "url": "https://x"}}}'},
        "url",
    ),
    "a login without a Secret": ({"config.kafka.security_protocol": '"SASL_SSL"'}, "kafkaSasl.existingSecret"),
    "a certificate without its key": (
        {"kafkaTls": '{"existingSecret": "a", "certKey": "tls.crt", "keyKey": ""}'},
        "keyKey",
    ),
    "receivers that the network does not let anyone reach": (
        {"config.delivery": '{"receivers": {"a": {"type": "slack", "url_file": "/x"}}}'},
        "networkPolicy.receivers",
    ),
    "what the chart sets by itself": ({"config.worker": '{"host": "0.0.0.0"}'}, "host"),
    "the local broker": ({"config.broker": '{"port": 1}'}, "broker"),
    "an image that moves": ({"image.tags.cpu": '"latest"'}, "image.tags.cpu"),
    "a digest that is none": ({"image.digests.cpu": '"sha256:12"'}, "image.digests.cpu"),
    "no scorer at all": ({"scorer.replicas": "0"}, "scorer.replicas"),
    "more scorers than partitions": ({"scorer.replicas": "13"}, "message_partitions is 12"),
    "more monitors than partitions": ({"monitor.replicas": "13"}, "mention_partitions is 12"),
    "scaling beyond the partitions": (
        {"monitor.keda.enabled": "true", "monitor.keda.maxReplicas": "99"},
        "mention_partitions is 12",
    ),
    "scaling from more to fewer": (
        {"scorer.keda.enabled": "true", "scorer.keda.minReplicas": "5", "scorer.keda.maxReplicas": "4"},
        "minReplicas",
    ),
    "less time to stop than a worker takes": ({"terminationGracePeriodSeconds": "10"}, "terminationGracePeriodSeconds"),
    "training without its data": ({"retrain.enabled": "true", "models.existingClaim": '"m"'}, "retrain.dataClaim"),
    "a schedule that is none": ({"retrain.schedule": '"sundays"'}, "retrain.schedule"),
    "servers without a port": ({"config.kafka.bootstrap_servers": '"kafka"'}, "bootstrap_servers"),
    "a misspelt value": ({"scorer.replica": "3"}, "replica"),
    "no memory bound": ({"monitor.resources.limits": '{"memory": null}'}, "memory"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_with_the_name_of_the_value(render: Render, what: str) -> None:
    changed, named = REFUSED[what]
    found = render(**changed)
    assert not found.manifests, f"{what} was taken"
    assert named in found.error
