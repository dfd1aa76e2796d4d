"""deploy/docs/METRICS.md and the code say the same of every metric."""

from __future__ import annotations

import pytest

from tests.deploy.metrics_table import DOCUMENT, HEADER, Known, documented, registered


def test_every_metric_has_a_row_and_every_row_a_metric() -> None:
    in_code, in_table = registered(), documented()
    missing = [known.row for name, known in sorted(in_code.items()) if name not in in_table]
    assert not missing, "add to deploy/docs/METRICS.md, with what stands for ? filled in:\n" + "\n".join(missing)
    gone = sorted(in_table.keys() - in_code.keys())
    assert not gone, f"no code makes these any more; take them out of deploy/docs/METRICS.md: {gone}"


def test_names_types_labels_and_meanings_agree() -> None:
    in_code, in_table = registered(), documented()
    different = [
        f"code:  {known.row}\ntable: {in_table[name].known.row}"
        for name, known in sorted(in_code.items())
        if name in in_table and in_table[name].known != known
    ]
    assert not different, "deploy/docs/METRICS.md says something else than the code:\n" + "\n".join(different)


def test_nothing_in_the_tables_is_left_open() -> None:
    for name, row in documented().items():
        assert row.unit and row.shown and row.use, f"{name}: a cell is empty"
        assert "?" not in row.labels + row.unit + row.shown, f"{name}: a cell is left open"
        assert bool(row.labels) == bool(row.known.labels), f"{name}: {row.labels!r} is no list of `label`: bound"


def test_names_follow_prometheus() -> None:
    for known in registered().values():
        assert (known.kind == "counter") == known.name.endswith("_total"), known.name
        assert known.kind in {"counter", "gauge", "histogram"}, known.name


def test_a_metric_without_a_row_is_told_as_a_row_to_paste(monkeypatch: pytest.MonkeyPatch) -> None:
    new = Known("squall_new_total", "counter", ("reason", "step"), "What is new")
    monkeypatch.setattr("tests.deploy.test_metrics_table.registered", lambda: {"squall_new_total": new})
    with pytest.raises(AssertionError) as told:
        test_every_metric_has_a_row_and_every_row_a_metric()
    row = "| `squall_new_total` | counter | `reason`: ?, `step`: ? | ? | ? | What is new | ? |"
    assert row in str(told.value)
    assert row.count("|") == len(HEADER) + 1


def test_the_page_can_be_found_beside_the_code() -> None:
    assert DOCUMENT.is_file()
