"""How much is saved of a company, and what for.

Three parts, which grow with three things:

- what its rules know: levels, unrest, evidence, windows, cooldowns. Numbers of a fixed count, whatever came in: by
  far the most where a rule asks for it, as a return period over a day in steps of 5 minutes does (6 kB by itself);
- the rises under way: what their alerts show. At most `TOP_STORIES` stories with the beginnings of their texts, and up
  to `SET_LIMIT` sources and authors a rule, for as long as there is a rise;
- the day's memory (`streams.monitor.horizon`): what tells a repeat from a message and a copy from a story. It grows
  with the messages of a day, and must: see `streams.monitor.memory.HASH_BYTES`.
"""

from __future__ import annotations

import msgspec

from streams.monitor.state import EntityState, RuleState, encode_state


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of a company's own record, as it is saved."""

    rules: int
    """What its rules know."""
    rises: int
    """What the rises under way, or alerts, would show."""


def sizes(state: EntityState) -> Sizes:
    """Measure a company's own record; the day's memory is what its hourly chunks take."""
    known = {name: _without_rise(memory) for name, memory in state.rules.items()}
    rules = len(encode_state(msgspec.structs.replace(state, rules=known)))
    return Sizes(rules=rules, rises=len(encode_state(state)) - rules)


def _without_rise(memory: RuleState) -> RuleState:
    life = msgspec.structs.replace(memory.life, evidence=None)
    return msgspec.structs.replace(memory, run=None, composed=None, life=life)
