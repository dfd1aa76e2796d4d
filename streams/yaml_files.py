"""YAML that a person writes: read strictly, and every value knows its line and column.

Pure; used for files whose errors must be found at a glance: alert rules and the tests of them.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import yaml

from streams.errors import RuleError

Steps = tuple[str | int, ...]
"""Where a value stands: keys, and numbers of list items from 0."""

_AT = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice: YAML would let the last one win, and a threshold would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise yaml.constructor.ConstructorError(None, None, "expected keys with values", node.start_mark)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                msg = f"the key {key.value!r} stands here a second time: remove one"
                raise yaml.constructor.ConstructorError(None, None, msg, key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class YamlFile:
    """One document.

    Args:
        text: the YAML.
        name: the file's name, for errors.

    Raises:
        RuleError: it is no YAML, or a key stands twice.
    """

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        loader = None
        try:
            loader = _Loader(text)
            self._root = loader.get_single_node()
            self.content: Any = None if self._root is None else loader.construct_document(self._root)
        except yaml.MarkedYAMLError as error:
            kind = "" if isinstance(error, yaml.constructor.ConstructorError) else "not valid YAML: "
            place = _place(error.problem_mark or error.context_mark)
            msg = f"{name}:{place}: {kind}{error.problem or error.context}"
            raise RuleError(msg) from error
        except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
            what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            msg = f"{name}: not valid YAML: {what}"
            raise RuleError(msg) from error
        finally:
            if loader is not None:
                loader.dispose()

    @classmethod
    def read(cls, path: Path, what: str) -> YamlFile:
        """Read a file. Raises RuleError, which calls it `what`, where it cannot be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            msg = f"cannot read the {what} {path}: {error.strerror or error}"
            raise RuleError(msg) from error
        except UnicodeDecodeError as error:
            msg = f"cannot read the {what} {path}: it is not UTF-8 ({error.reason} at byte {error.start})"
            raise RuleError(msg) from error
        return cls(text, str(path))

    def place(self, path: Steps) -> str:
        """Return `line:column` of a value's key, or of the last key on the way to it that there is."""
        node, mark = self._root, None if self._root is None else self._root.start_mark
        for step in path:
            found = None
            if isinstance(node, yaml.MappingNode):
                pairs = [(key, value) for key, value in node.value if getattr(key, "value", None) == str(step)]
                found = pairs[-1] if pairs else None
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                found = (node.value[step], node.value[step])
            if found is None:
                break
            mark, node = found[0].start_mark, found[1]
        return _place(mark)

    def refuse(self, what: str, path: Steps = ()) -> NoReturn:
        """Raise RuleError: file, line and column, and what is wrong there."""
        raise RuleError(f"{self.name}:{self.place(path)}: {what}") from None


class Part:
    """A value of a file, and how errors within it begin.

    Args:
        file: the file.
        value: the value.
        path: where it stands.
        called: what it is, such as `rule 2 (High)`; stands before what is wrong.
    """

    def __init__(self, file: YamlFile, value: Any, path: Steps, called: str) -> None:
        self.value = value
        self._file, self._path, self._called = file, path, called

    def refuse(self, what: str, path: Steps = ()) -> NoReturn:
        """Raise RuleError for a value at a path within this one."""
        self._file.refuse(f"{self._called}: {what}", (*self._path, *path))

    def refuse_unknown(self, kind: type[msgspec.Struct], inside: tuple[str, ...] = ()) -> None:
        """Raise RuleError for the first key that a struct does not have, with the nearest that it has."""
        value = self.value
        for step in inside:
            value = value.get(step) if isinstance(value, dict) else None
        known = [field.encode_name for field in msgspec.structs.fields(kind)]
        for key in value if isinstance(value, dict) else ():
            if key in known:
                continue
            before = "".join(f"{part}." for part in inside)
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean '{before}{near[0]}'?" if near else f"; known are {', '.join(known)}"
            self.refuse(f"unknown key '{before}{key}'{hint}", (*inside, str(key)))

    def convert(self, kind: type[Any]) -> Any:
        """Return the value as a struct. Raises RuleError where it is none."""
        try:
            found = msgspec.convert(self.value, kind)
        except msgspec.ValidationError as error:
            self._refuse_as(str(error))
        return found

    def _refuse_as(self, what: str) -> NoReturn:
        at = _AT.search(what)
        if at is None:
            self.refuse(what)
        # msgspec does not tell keys of one's own: it writes [...] for them.
        known = _STEP.findall(at[1].partition("[...]")[0])
        inside = at[1].replace("[...]", ".*").lstrip(".")
        what = what[: at.start()]
        path: Steps = tuple(int(number) if number else key for key, number in known)
        self.refuse(f"{inside}: {what}" if inside else what, path)


def _place(mark: yaml.Mark | None) -> str:
    return "1:1" if mark is None else f"{mark.line + 1}:{mark.column + 1}"
