"""Who is called for which alert, and what of it is sent again."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.config import DeliverySettings
from streams.deliver.book import END_KEPT_S, Book
from streams.deliver.routes import Routes
from streams.records import Alert
from tests.streams.invented_alert import sample_alert

SETTINGS = DeliverySettings.model_validate(
    {
        "receivers": {
            name: {"type": "slack", "url": "https://hooks.example/x"} for name in ("pager", "banks", "desk", "rest")
        },
        "routes": [
            {"matchers": ['severity="critical"'], "receivers": ["pager"], "continue": True},
            {"matchers": ['sector="Financials"', 'entity!="TESTBANK"'], "receivers": ["banks", "desk"]},
            {"matchers": ['rule=~"negative-.*"'], "receivers": ["desk", "pager"]},
        ],
        "default_receivers": ["rest"],
    }
)


def test_the_first_route_that_matches_counts_and_continue_goes_on() -> None:
    routes = Routes.of(SETTINGS)
    assert routes.find({"severity": "critical", "sector": "Financials"}).receivers == ("pager", "banks", "desk")
    assert routes.find({"severity": "critical", "sector": "Financials"}).by == (1, 2)
    assert routes.find({"severity": "info", "rule": "negative-surge"}).receivers == ("desk", "pager")
    assert routes.find({"severity": "critical", "rule": "negative-surge"}).receivers == ("pager", "desk")
    assert routes.find({"severity": "critical"}).receivers == ("pager",)
    assert routes.find({"severity": "info"}).receivers == ("rest",)
    assert routes.find({"severity": "info"}).by == ()


def test_without_routes_every_receiver_gets_every_alert() -> None:
    settings = DeliverySettings.model_validate(
        {"receivers": {"a": {"type": "slack", "url": "https://hooks.example/x"}}}
    )
    assert Routes.of(settings).find({}).receivers == ("a",)


def test_the_sector_comes_from_the_companys_table_unless_the_alert_has_one() -> None:
    routes = Routes.of(SETTINGS, sectors={"ACME": "Financials"})
    alert = sample_alert(labels={"entity": "ACME"}, severity="info", rule="other")
    assert routes.lead_to("banks", alert)
    assert not routes.lead_to("rest", alert)
    assert not routes.lead_to("banks", sample_alert(labels={"entity": "ACME", "sector": "Energy"}, rule="other"))
    assert not routes.lead_to("banks", sample_alert(labels={"entity": "XYZ"}, severity="info", rule="other"))


def only_critical(alert: Alert) -> bool:
    return alert.severity == "critical"


def only_warning(alert: Alert) -> bool:
    return alert.severity == "warning"


def step(transition: int, state: Any = "firing", severity: Any = "warning", id_: str = "a") -> Alert:
    return sample_alert(id=id_, transition=transition, state=state, severity=severity)


def test_whoever_was_told_of_an_alert_is_told_of_all_that_follows() -> None:
    book = Book(only_warning)
    assert book.expect(0, step(0))
    assert book.expect(0, step(1, severity="critical"))
    assert book.expect(0, step(2, "resolved", severity="critical"))
    other = Book(only_critical)
    assert not other.expect(0, step(0))
    assert other.expect(0, step(1, severity="critical"))
    assert other.expect(0, step(2, "resolved", severity="critical"))
    assert not Book(only_warning).expect(0, step(2, "resolved", severity="critical"))


def test_nobody_is_called_for_pending_and_inactive_and_what_is_kept_back() -> None:
    book = Book(lambda alert: True)
    assert not book.expect(0, step(0, "pending"))
    assert not book.expect(0, step(1, "suppressed"))
    assert not book.expect(0, step(2, "inactive"))
    assert len(book) == 0


def test_what_calms_down_and_comes_back_is_no_news_and_is_repeated_all_the_while() -> None:
    book = Book(lambda alert: True)
    firing, end = step(0), step(3, "resolved")
    book.read_back(0, firing, 0.0)
    for between in (step(1, "recovering"), msgspec.structs.replace(step(2), again=True)):
        assert not book.expect(0, between)
        book.read_back(0, between, 1.0)
        assert book.to_repeat() == [firing]
    assert book.expect(0, end)
    book.begin(0, end)
    assert book.to_repeat() == []


def test_what_is_told_when_a_silence_ends_is_news_and_so_is_its_end() -> None:
    book = Book(lambda alert: True)
    for number, state in enumerate(("pending", "suppressed")):
        assert not book.expect(0, step(number, state))
    assert book.expect(0, step(2))
    assert book.expect(0, step(3, "resolved"))


def test_what_fires_is_repeated_until_its_end_is_about_to_be_told() -> None:
    book = Book(lambda alert: True)
    firing, rise, end = step(0), step(1, severity="critical"), step(2, "resolved", severity="critical")
    book.expect(0, firing)
    assert book.to_repeat() == []  # it has not been told yet
    book.told(0, firing, 0.0)
    assert book.to_repeat() == [firing]
    book.expect(0, rise)
    book.begin(0, rise)
    assert book.to_repeat() == [firing]
    book.told(0, rise, 2.0)
    assert book.to_repeat() == [rise]
    book.expect(0, end)
    book.begin(0, end)
    assert book.to_repeat() == []
    book.told(0, end, 5.0)
    assert book.to_repeat() == []
    book.read_back(0, step(0, "resolved", id_="later"), 5.0 + END_KEPT_S)
    book.read_back(0, step(0, id_="another"), 5.0 + END_KEPT_S)
    book.read_back(0, step(1, "resolved", id_="another"), 5.0 + END_KEPT_S)
    assert len(book) == 1, "ends are forgotten after a while"


def test_a_copy_of_an_older_transition_does_not_bring_an_alert_back() -> None:
    book = Book(lambda alert: True)
    for alert in (step(0), step(1, "resolved"), step(0)):
        book.read_back(0, alert, 10.0)
    assert book.to_repeat() == []


def test_partitions_that_go_elsewhere_take_their_alerts_along() -> None:
    book = Book(lambda alert: True)
    book.read_back(0, step(0), 0.0)
    book.read_back(1, step(0, id_="b"), 0.0)
    assert len(book.to_repeat()) == 2
    book.clear()
    assert book.to_repeat() == []


def test_what_is_kept_is_bounded() -> None:
    book = Book(lambda alert: True, most=3)
    for number in range(10):
        book.read_back(0, step(0, id_=f"a{number}"), 0.0)
    assert [alert.id for alert in book.to_repeat()] == ["a7", "a8", "a9"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_what_was_read_back_is_what_was_told(steps: list[tuple[str, bool]]) -> None:
    """A process that reads the topic knows what the one before it knew."""
    lived, reread = Book(lambda alert: True), Book(lambda alert: True)
    counts: dict[str, int] = {}
    written = []
    open_now: dict[str, str] = {}
    for name, ends in steps:
        if ends and name not in open_now:
            continue
        id_ = open_now.setdefault(name, f"{name}{len(written)}")
        alert = step(counts.get(id_, 0), "resolved" if ends else "firing", id_=id_)
        counts[id_] = counts.get(id_, 0) + 1
        if ends:
            del open_now[name]
        written.append(alert)
    for alert in written:
        assert lived.expect(0, alert)
        lived.begin(0, alert)
        lived.told(0, alert, 0.0)
    for alert in written:
        reread.read_back(0, alert, 0.0)
    assert lived.to_repeat() == reread.to_repeat()
    assert {alert.id for alert in lived.to_repeat()} == set(open_now.values())
