"""What rules and panels ask of Prometheus: the metrics and labels in an expression, and those that there are."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from prometheus_client import REGISTRY
from prometheus_client.metrics import Counter, Histogram, MetricWrapperBase

import streams.app.metrics
import streams.deliver.metrics
import streams.watch.metrics
from streams.app.metrics import Family
from tests.deploy.observe.programs import PROMETHEUS

OF_PROMETHEUS = {
    "up": set[str](),
    "ALERTS": {"alertname", "alertstate", "severity", "system"},
    "prometheus_notifications_alertmanagers_discovered": set[str](),
    "prometheus_notifications_errors_total": {"alertmanager"},
    "prometheus_rule_evaluation_failures_total": {"rule_group"},
    "prometheus_config_last_reload_successful": set[str](),
    "alertmanager_notifications_failed_total": {"integration"},
}
"""What Prometheus and Alertmanager tell of themselves, with the labels that are used."""

_SCRAPED = {"job", "instance"}
"""Labels that every series has."""
_METRIC = re.compile(
    r"(?<![\w:$])(squall_\w+|\w+:squall_[\w:]+|process_\w+|prometheus_\w+|alertmanager_\w+|up|ALERTS)\b"
)
_MATCHERS = re.compile(r"\s*\{([^}]*)\}")
_GROUPED = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


@functools.cache
def known() -> dict[str, set[str]]:
    """Every series that there is, with its labels."""
    found = {name: labels | _SCRAPED for name, labels in OF_PROMETHEUS.items()}
    for sample in (sample for metric in REGISTRY.collect() for sample in metric.samples):
        if sample.name.startswith("process_"):
            found[sample.name] = set(_SCRAPED)
    for module in (streams.app.metrics, streams.deliver.metrics, streams.watch.metrics):
        for metric in vars(module).values():
            found |= dict(_series(metric))
    for rule in rules():
        if "record" in rule:
            found[rule["record"]] = set(rule["record"].split(":")[0].split("_"))
    return found


def _series(metric: object) -> Iterator[tuple[str, set[str]]]:
    if isinstance(metric, Family):
        yield metric.name, set(metric.labels) | _SCRAPED
    elif isinstance(metric, MetricWrapperBase):
        labels = set(metric._labelnames) | _SCRAPED
        if isinstance(metric, Histogram):
            yield f"{metric._name}_bucket", labels | {"le"}
            yield f"{metric._name}_count", labels
            yield f"{metric._name}_sum", labels
        elif isinstance(metric, Counter):
            yield f"{metric._name}_total", labels
        else:
            yield metric._name, labels


def rules() -> list[dict[str, Any]]:
    """All recording and alerting rules."""
    return [
        rule
        for path in sorted((PROMETHEUS / "rules").glob("*.yaml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


def problems(expr: str, series: Mapping[str, set[str]]) -> list[str]:
    """Say which metrics and labels of an expression there are not."""
    found = []
    labels = set[str]()
    bare = _TEXT.sub('""', expr)
    for match in _METRIC.finditer(bare):
        name = match.group(1)
        if name not in series:
            found.append(f"there is no metric {name}")
            continue
        labels |= series[name]
        matchers = _MATCHERS.match(bare, match.end())
        if matchers:
            asked = {label.split("=")[0].split("!")[0].strip() for label in matchers.group(1).split(",")} - {""}
            found += [f"{name} has no label {label}" for label in asked - series[name]]
    made = set(re.findall(r'label_replace\([^"]*"(\w+)"', expr))
    for group in _GROUPED.finditer(bare):
        asked = {label.strip() for label in group.group(1).split(",")} - {""}
        found += [f"nothing in it has the label {label}" for label in asked - labels - made]
    if not _METRIC.search(bare) and "vector(" not in expr:
        found.append("it asks for no metric at all")
    return found
