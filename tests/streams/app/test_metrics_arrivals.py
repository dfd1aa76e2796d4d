"""When each source was last heard, whatever names come and in whatever order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from streams.app import arrivals
from streams.app.arrivals import MOST_SOURCES, OTHER, LastArrivals, show_arrivals
from streams.app.metrics import LAST_MESSAGE

ARRIVALS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 1_000)), max_size=60)


@given(ARRIVALS, st.integers(0, 6))
def test_each_source_shows_its_latest_arrival_and_no_more_are_told_apart_than_may_be(
    came: Sequence[tuple[str, int]], most: int
) -> None:
    last = LastArrivals(most)
    shown: dict[str, float] = {}
    for source, at in came:
        name, when = last.heard(source, float(at))
        shown[name] = when
    named = list(dict.fromkeys(source for source, _ in came))[:most]
    expected: dict[str, int] = {}
    for source, at in came:
        name = source if source in named else OTHER
        expected[name] = max(at, expected.get(name, at))
    assert shown == expected
    assert len(shown) <= most + 1


def test_a_source_that_is_called_other_is_counted_with_the_rest_once_there_are_too_many() -> None:
    last = LastArrivals(1)
    assert last.heard(OTHER, 1.0) == (OTHER, 1.0)
    assert last.heard("wire", 2.0) == ("wire", 2.0)
    assert last.heard("blog", 3.0) == (OTHER, 3.0)


def test_arrivals_of_a_batch_are_shown_in_unix_time(monkeypatch) -> None:
    monkeypatch.setattr(arrivals, "_arrivals", LastArrivals())
    LAST_MESSAGE.clear()
    show_arrivals({"wire": datetime(2026, 3, 16, 6, tzinfo=UTC)})
    show_arrivals({f"blog-{number}": datetime(2026, 3, 17, tzinfo=UTC) for number in range(200)})
    shown = {sample.labels["source"]: sample.value for sample in next(iter(LAST_MESSAGE.collect())).samples}
    assert shown["wire"] == 1_773_640_800.0
    assert len(shown) == MOST_SOURCES + 1
    LAST_MESSAGE.clear()
