"""A training's knobs from a YAML file: the settings object as it is written down, nested parts as mappings."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from models.errors import TrainingDataError
from retrain.settings import TrainingSettings


def read_settings(path: Path) -> TrainingSettings:
    """Read the knobs of a file; what it leaves out keeps its default.

    Raises:
        TrainingDataError: as `read_knobs`.
    """
    return changed(TrainingSettings(), read_knobs(path))


def read_knobs(path: Path) -> dict[str, Any]:
    """Read the knobs that a file names; they make settings together.

    Raises:
        TrainingDataError: the file cannot be read, is no YAML mapping, names an unknown knob or gives one a value that
            it cannot have; the message names file, knob and, for an unknown one, the nearest known.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingDataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingDataError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    knobs = {} if content is None else content
    try:
        changed(TrainingSettings(), knobs)
    except ValueError as error:
        raise TrainingDataError(f"{path}: {error}") from None
    return dict(knobs)


def changed(settings: TrainingSettings, changes: object) -> TrainingSettings:
    """Return the settings with some knobs changed; nested parts change knob by knob.

    Raises:
        ValueError: the changes are no mapping, a knob is unknown or its value is not allowed.
    """
    found: TrainingSettings = _changed(settings, changes, "")
    return found


def write_settings(settings: TrainingSettings) -> str:
    """Return the knobs as YAML that `read_settings` reads."""
    text: str = yaml.safe_dump(_plain(settings.as_dict()), sort_keys=False)
    return text


def _changed(part: Any, changes: object, prefix: str) -> Any:
    if not isinstance(changes, Mapping):
        raise ValueError(f"{prefix.rstrip('.') or 'the settings'} must be a mapping of knobs, got {changes!r}")
    known = {entry.name: entry for entry in fields(part)}
    taken: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
            hint = f"; did you mean {prefix + near[0]!r}?" if near else f"; known are {', '.join(known)}"
            raise ValueError(f"unknown knob {prefix + str(name)!r}{hint}")
        present = getattr(part, name)
        if is_dataclass(present):
            taken[name] = _changed(present, value, f"{prefix}{name}.")
        else:
            default = known[name].default
            taken[name] = _value(value, present if default is MISSING else default, prefix + name)
    return replace(part, **taken)


def _value(value: object, default: object, name: str) -> object:
    """Return a value in the type of its knob's default."""
    if name == "class_weights":
        return value
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise ValueError(f"{name} must be true or false, got {value!r}")
    if isinstance(default, int):
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    if isinstance(default, float):
        return _number(value, name)
    if isinstance(default, tuple):
        if isinstance(value, (list, tuple)) and all(isinstance(entry, str) for entry in value):
            return tuple(value)
        raise ValueError(f"{name} must be a list of words, got {value!r}")
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a word, got {value!r}")
    return value


def _number(value: object, name: str) -> float:
    try:
        # YAML 1.1 reads 1e-4 as a word, as it lacks the point; float() knows better.
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            return float(value)
    except ValueError:
        pass
    raise ValueError(f"{name} must be a number, got {value!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value
