"""What a rule means, as bytes to be hashed: a key that was added to the language counts only where a rule says it.

Without that, every upgrade that brings a new key would give all rules new versions, and every open alert would be
closed because its rule "was changed".
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_ALWAYS: Final[dict[str, frozenset[str]]] = {
    "Rule": frozenset(
        "alert type fire signal method margin pending window baseline effect_min resolve for keep_firing_for "
        "min_support cooldown severity labels annotations".split()
    ),
    "BaselineOptions": frozenset({"half_life_days", "prior_share", "prior_votes", "warm_votes"}),
    "Fire": frozenset({"arl", "gte"}),
    "Resolve": frozenset({"margin", "lt"}),
}
"""Keys of the first version of the language, which count whether a rule says them or not; of a part that is not named
here all do."""


def meaning_of(rule: msgspec.Struct) -> bytes:
    """Return a rule's meaning as JSON: in the order of its fields, without later keys that are at their defaults."""
    return msgspec.json.encode(_plain(rule))


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        always = _ALWAYS.get(type(value).__name__)
        return {
            field.encode_name: _plain(held)
            for field in msgspec.structs.fields(value)
            if (held := getattr(value, field.name)) != _default(field) or always is None or field.encode_name in always
        }
    if isinstance(value, dict):
        return {key: _plain(held) for key, held in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    return value


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
