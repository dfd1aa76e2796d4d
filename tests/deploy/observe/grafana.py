"""What Grafana does with a dashboard before it asks Prometheus: it puts values in the place of variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_FALLBACK = re.compile(r" or (?:on \(\) label_replace\(vector\(0\), .*\)|vector\(0\))$", re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """One query of one panel."""

    panel: str
    kind: str
    expr: str
    legend: str
    instant: bool

    @property
    def own(self) -> str:
        """The expression without what stands in for an empty answer."""
        return _FALLBACK.sub("", self.expr)


def queries(board: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Asked]:
    """Every query of every panel of a dashboard."""
    for panel in board["panels"]:
        for target in panel.get("targets") or ():
            yield Asked(
                panel=f"{board['uid']}: {panel['title']} ({target['refId']})",
                kind=panel["type"],
                expr=interpolated(target["expr"], values),
                legend=target.get("legendFormat", ""),
                instant=target.get("instant", False),
            )


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of `$name`; one that is missing is an error."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values[found.group(1)], text)


def label_values(query: str, values: Mapping[str, str]) -> tuple[str, str]:
    """Metric and label of a variable's `label_values(metric, label)`."""
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", interpolated(query, values))
    assert found is not None, query
    return found.group(1), found.group(2)


def chosen(value: str) -> str:
    """One value of a variable that allows several, as Grafana writes it into a query for Prometheus."""
    return re.sub(r"([.\\+*?\[\]^$(){}|])", r"\\\\\1", value)
