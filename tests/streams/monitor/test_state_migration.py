"""State of schema 1 (three bets over active minutes): what is taken over of it, and that nothing of it is misread.

`state_of_schema_1.b85` is an entity's record as that version wrote it: the invented incident of `invented.py`, with
its eager rules, saved in the middle of the surge, when the alerts of both rules were open.
"""

from __future__ import annotations

import base64
import math
import zlib
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from streams.monitor.bins import to_ms
from streams.monitor.partition import PartitionMonitor
from streams.monitor.squeeze import expand
from streams.monitor.state import SCHEMA, EntityState, Lately, RuleState, Unrest, decode_state, encode_state
from streams.records import Alert
from tests.streams.monitor.invented import START, Record, eager_rules, ended, heard, mention, monitor

OLD = zlib.decompress(base64.b85decode("".join(Path(__file__).with_name("state_of_schema_1.b85").read_text().split())))
LATER = START + timedelta(hours=40)


def restored(data: bytes = OLD) -> PartitionMonitor:
    watching = monitor()
    watching.restore([("entity\x1fAURL", data)])
    return watching


def feed(watching: PartitionMonitor, log: list[Record]) -> list[Alert]:
    return [alert for offset, record in enumerate(log, 1000) for alert in watching.absorb(record, offset)]


def test_the_old_record_has_what_is_not_to_be_misread() -> None:
    raw = msgspec.msgpack.decode(OLD)
    assert "schema" not in raw
    assert len(raw["rules"]["Surge"]["run"]["terms"]) == 3
    assert raw["rules"]["Surge"]["life"]["state"] == "firing"


def test_baselines_and_lives_are_taken_over_and_evidence_is_not() -> None:
    raw, state = msgspec.msgpack.decode(OLD), decode_state(OLD)
    assert state is not None
    assert (state.entity, state.offset, state.schema) == ("AURL", raw["offset"], SCHEMA)
    assert state.chunks == [tuple(chunk) for chunk in raw["chunks"]]
    for name in ("Surge", "High"):
        memory, old = state.rules[name], raw["rules"][name]
        assert memory.migrated
        assert memory.rule_version == old["rule_version"]
        assert memory.baseline.votes == old["baseline"]["votes"] > 80
        assert memory.life.alert_id == old["life"]["alert_id"]
        assert memory.life.state == "firing"
        assert memory.life.evidence is not None
        assert (memory.log_e, memory.cusum, memory.held_votes, memory.window) == (-math.inf, 0.0, 0.0, [])
        assert (memory.lately, memory.unrest) == (Lately(), Unrest())
    assert decode_state(encode_state(state)) == state


def test_with_the_first_bin_open_alerts_are_closed_and_the_rules_in_force_take_the_baselines_over() -> None:
    watching = restored(OLD)
    old = decode_state(OLD)
    assert old is not None
    alerts = feed(watching, [*heard(1), mention(9001, LATER), *ended(1, LATER + timedelta(hours=1))])
    assert sorted((alert.rule, alert.state, alert.id) for alert in alerts) == [
        ("High", "resolved", old.rules["High"].life.alert_id),
        ("Surge", "resolved", old.rules["Surge"].life.alert_id),
    ]
    assert all(alert.versions["model"] == "fake@1" for alert in alerts)
    for rule in eager_rules().rules:
        memory = watching._entities["AURL"].rules[rule.alert]
        assert (memory.rule_version, memory.migrated) == (rule.version, False)
        assert memory.baseline.at_ms == to_ms(LATER) + 60_000
        kept = old.rules[rule.alert].baseline
        days = (memory.baseline.at_ms - kept.at_ms) / 86_400_000
        assert memory.baseline.votes == pytest.approx(1 + kept.votes * 0.5 ** (days / 5))


def test_a_rule_that_is_in_force_no_more_leaves_nothing_behind() -> None:
    state = EntityState(entity="AURL", rules={"Gone": RuleState(rule_version="old", migrated=True)})
    watching = restored(encode_state(state))
    feed(watching, [*heard(1), mention(9001, LATER), *ended(1, LATER + timedelta(hours=1))])
    assert sorted(watching._entities["AURL"].rules) == ["High", "Surge"]


def test_a_monitor_of_an_old_state_goes_on_and_its_own_state_is_of_todays_schema() -> None:
    watching = restored()
    quiet: list[Record] = [mention(9000 + n, LATER + timedelta(minutes=n), 0.1) for n in range(30)]
    loud: list[Record] = [mention(9100 + n, LATER + timedelta(minutes=40 + n / 4), 0.95) for n in range(20)]
    alerts = feed(watching, [*heard(1), *quiet, *loud, *ended(1, LATER + timedelta(hours=2))])
    assert "firing" in [alert.state for alert in alerts if alert.rule == "Surge"]
    saved = dict(watching.changes().entities)["entity\x1fAURL"]
    assert saved is not None
    assert msgspec.msgpack.decode(expand(saved))["schema"] == SCHEMA
    assert decode_state(saved) is not None


@pytest.mark.parametrize(
    "damage",
    [
        msgspec.msgpack.encode({"entity": "AURL", "rules": [1, 2]}),
        msgspec.msgpack.encode({"entity": "AURL", "rules": {"Surge": {"baseline": {}}}}),
        msgspec.msgpack.encode({"entity": "AURL", "schema": SCHEMA + 1}),
        msgspec.msgpack.encode({"entity": "AURL", "schema": "2"}),
        msgspec.msgpack.encode([1]),
    ],
)
def test_what_is_of_neither_schema_is_set_aside(damage: bytes) -> None:
    assert decode_state(damage) is None
