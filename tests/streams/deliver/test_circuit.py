"""The circuit and the pauses, as laws that hold whatever happens."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.deliver.circuit import Circuit, CircuitOptions
from streams.deliver.retry import Patience, gives_up, pause_s

OPTIONS = CircuitOptions(open_after=3, open_for_s=10.0, most_open_for_s=40.0, probe_wait_s=1.0)


def opened(now_s: float = 0.0) -> Circuit:
    circuit = Circuit(OPTIONS)
    for _ in range(OPTIONS.open_after):
        assert circuit.ask(now_s) == 0
        circuit.failed(now_s)
    return circuit


def test_failures_in_a_row_open_it_and_one_success_between_them_does_not() -> None:
    circuit = Circuit(OPTIONS)
    for _ in range(10):
        circuit.failed(0.0)
        circuit.failed(0.0)
        circuit.succeeded()
    assert circuit.state == "closed"
    assert opened().state == "open"


def test_after_its_time_one_probe_is_let_through_and_others_wait_for_what_comes_of_it() -> None:
    circuit = opened()
    assert circuit.ask(4.0) == 6.0
    assert circuit.ask(10.0) == 0.0
    assert circuit.state == "half-open"
    assert circuit.ask(10.0) == OPTIONS.probe_wait_s
    circuit.succeeded()
    assert circuit.state == "closed"
    assert circuit.ask(10.0) == 0.0


def test_each_probe_that_fails_doubles_the_time_up_to_a_bound() -> None:
    circuit, now_s, spans = opened(), 0.0, []
    for _ in range(5):
        wait_s = circuit.ask(now_s)
        spans.append(wait_s)
        now_s += wait_s
        assert circuit.ask(now_s) == 0
        circuit.failed(now_s)
    assert spans == [10.0, 20.0, 40.0, 40.0, 40.0]
    circuit.ask(now_s + 40.0)
    circuit.succeeded()
    again = opened(now_s + 40.0)
    assert again.ask(now_s + 40.0) == 10.0


def test_a_probe_that_nobody_hears_of_again_gives_its_place_to_another() -> None:
    circuit = opened()
    assert circuit.ask(10.0) == 0
    circuit.abandoned()
    assert circuit.ask(10.0) == 0


def test_a_receiver_that_asks_for_patience_gets_it_also_from_a_closed_circuit() -> None:
    circuit = Circuit(OPTIONS)
    circuit.failed(0.0, after_s=17.0)
    assert circuit.state == "closed"
    assert circuit.ask(5.0) == 12.0
    assert circuit.ask(17.0) == 0.0


class ManyLanes(RuleBasedStateMachine):
    """Lanes ask, are let through, and report; time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.circuit = Circuit(OPTIONS)
        self.now_s = 0.0
        self.under_way = 0
        self.probes = 0
        self.held_until_s = 0.0

    @rule(seconds=st.floats(0.0, 60.0))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def a_lane_asks(self) -> None:
        before = self.circuit.state
        wait_s = self.circuit.ask(self.now_s)
        assert wait_s >= 0
        if wait_s == 0:
            assert self.now_s >= self.held_until_s, "called although it asked for patience"
            assert before != "half-open", "two probes at a time"
            self.under_way += 1
            self.probes = 1 if self.circuit.state == "half-open" else 0

    @precondition(lambda self: self.under_way)
    @rule(after_s=st.sampled_from([0.0, 0.0, 5.0, 30.0]))
    def a_call_fails(self, after_s: float) -> None:
        self.under_way -= 1
        self.circuit.failed(self.now_s, after_s=after_s)
        self.held_until_s = max(self.held_until_s, self.now_s + after_s)

    @precondition(lambda self: self.under_way)
    @rule()
    def a_call_succeeds(self) -> None:
        self.under_way -= 1
        self.circuit.succeeded()
        assert self.circuit.state == "closed"

    @precondition(lambda self: self.under_way)
    @rule()
    def a_call_is_abandoned(self) -> None:
        self.under_way -= 1
        self.circuit.abandoned()

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        """With nothing under way, whoever waits as told is let through in the end."""
        if self.under_way:
            return
        now_s = self.now_s
        circuit = Circuit(OPTIONS)
        circuit.__dict__.update(self.circuit.__dict__)
        for _ in range(4):
            wait_s = circuit.ask(now_s)
            if wait_s == 0:
                return
            assert wait_s <= OPTIONS.most_open_for_s + 0.001
            now_s += wait_s
        pytest.fail("it is never let through")


ManyLanes.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestManyLanes = ManyLanes.TestCase


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0, 1e9))
def test_a_pause_lies_between_what_was_asked_for_and_a_bound(attempt: int, luck: float, after_s: float) -> None:
    patience = Patience()
    pause = pause_s(patience, attempt, luck, after_s=after_s)
    asked = min(after_s, patience.most_retry_after_s)
    assert asked <= pause <= max(asked, patience.most_wait_s)
    assert pause_s(patience, attempt, 0.0) == 0.0
    assert pause_s(patience, attempt, 1.0) <= pause_s(patience, attempt + 1, 1.0)


@given(st.floats(0, 1e6), st.floats(0, 1e4))
def test_nothing_is_given_up_before_its_time(age_s: float, pause: float) -> None:
    patience = Patience(retry_for_s=1000.0)
    assert gives_up(patience, age_s=age_s, pause_s=pause) == (age_s + pause > 1000.0)
