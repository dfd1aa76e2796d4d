"""Where the rules of a file stand: in its list `rules`, or in `groups` that give their rules defaults.

A group's defaults are merged into each of its rules key by key, also within a mapping such as `min_support`; what a
rule says itself wins. What is wrong is said at the place where the value stands, which may be the group's defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from streams.yaml_files import Part, Steps, YamlFile

LISTS = ("rules", "groups")
"""The keys of a file that hold rules."""
_GROUP_KEYS = ("name", "defaults", "rules")
_ONE_RULES_OWN = "alert"


def rule_parts(file: YamlFile, content: Mapping[str, Any]) -> list[Part]:
    """Return the rules of a file in their order, those of its groups last, each with its group's defaults in it.

    Args:
        file: the file.
        content: its keys with their values.

    Raises:
        RuleError: what should be a list of rules, a group or its defaults is none.
    """
    parts: list[Part] = []
    for number, item in enumerate(_list(file, content.get("rules", []), ("rules",), "rules")):
        parts.append(Part(file, item, ("rules", number), _called(number, item)))
    names: set[str] = set()
    for number, group in enumerate(_list(file, content.get("groups", []), ("groups",), "groups")):
        parts += _group(file, group, ("groups", number), names)
    return parts


class _Grouped(Part):
    """A rule of a group, with the group's defaults in it.

    Args:
        file: the file.
        own: what the rule says itself.
        path: where it stands.
        called: what it is.
        defaults: the group's.
        defaults_path: where they stand.
    """

    def __init__(
        self,
        file: YamlFile,
        own: Mapping[str, Any],
        path: Steps,
        called: str,
        *,
        defaults: Mapping[str, Any],
        defaults_path: Steps,
    ) -> None:
        super().__init__(file, merged(defaults, own), path, called)
        self._own, self._defaults, self._defaults_path = own, defaults, defaults_path

    def refuse(self, what: str, path: Steps = ()) -> NoReturn:
        """Raise RuleError for a value at a path within the merged rule, at the place where that value stands."""
        from_defaults = bool(path) and not _has(self._own, path) and _has(self._defaults, path)
        at = self._defaults_path if from_defaults else self._path
        self._file.refuse(f"{self._called}: {what}", (*at, *path))


def merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return defaults with a rule's own keys in their place; mappings on both sides are merged in the same way.

    The order of keys is that of the rule, and after it that of the defaults.
    """
    found = dict(own)
    for key, value in defaults.items():
        if key not in found:
            found[key] = value
        elif isinstance(value, dict) and isinstance(found[key], dict):
            found[key] = merged(value, found[key])
    return found


def _group(file: YamlFile, group: Any, path: Steps, names: set[str]) -> list[Part]:
    called = f"group {int(path[-1]) + 1}"
    if not isinstance(group, dict):
        file.refuse(f"{called}: expected a name, defaults and rules", path)
    unknown = [key for key in group if key not in _GROUP_KEYS]
    if unknown:
        file.refuse(f"{called}: unknown key '{unknown[0]}'; known are {', '.join(_GROUP_KEYS)}", (*path, unknown[0]))
    name = group.get("name")
    if not isinstance(name, str) or not name:
        file.refuse(f"{called}: needs a name", (*path, "name"))
    if name in names:
        file.refuse(f"{called}: another group is called {name!r}: every group needs a name of its own", (*path, "name"))
    names.add(name)
    called = f"{called} ({name})"
    defaults = group.get("defaults") or {}
    if not isinstance(defaults, dict):
        file.refuse(f"{called}: defaults: expected keys of rules with values", (*path, "defaults"))
    if _ONE_RULES_OWN in defaults:
        what = f"{called}: defaults: '{_ONE_RULES_OWN}' is a rule's name, and no two rules may have the same"
        file.refuse(what, (*path, "defaults", _ONE_RULES_OWN))
    rules = _list(file, group.get("rules"), (*path, "rules"), f"{called}: rules")
    if not rules:
        file.refuse(f"{called}: needs at least one rule", (*path, "rules"))
    return [
        _in_group(file, item, (*path, "rules", number), f"{called}, {_called(number, item)}", defaults)
        for number, item in enumerate(rules)
    ]


def _in_group(file: YamlFile, item: Any, path: Steps, called: str, defaults: Mapping[str, Any]) -> Part:
    if not isinstance(item, dict):
        return Part(file, item, path, called)
    return _Grouped(file, item, path, called, defaults=defaults, defaults_path=(*path[:-2], "defaults"))


def _list(file: YamlFile, value: Any, path: Steps, called: str) -> list[Any]:
    if not isinstance(value, list):
        file.refuse(f"{called}: expected a list", path)
    return value


def _called(number: int, item: Any) -> str:
    named = isinstance(item, dict) and isinstance(item.get("alert"), str)
    return f"rule {number + 1} ({item['alert']})" if named else f"rule {number + 1}"


def _has(value: Any, path: Steps) -> bool:
    """Whether there is a value at a path of keys."""
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return True
