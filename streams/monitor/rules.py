"""Rules: the share e-detector (`spike`) and the plain `threshold`, read from YAML.

Words are Alertmanager's and Grafana's where they have one. A rule's version is the hash of its meaning: a comment or
another order of keys does not change it, another threshold does.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import re
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from streams.errors import RuleError
from streams.monitor import e_detector
from streams.monitor.options import BaselineOptions, MarginOptions
from streams.records import Severity

_DURATION = re.compile(r"^(\d+)(m|h|d)$")
_MINUTE_MS = 60_000
_UNITS_MS = {"m": _MINUTE_MS, "h": 3_600_000, "d": 86_400_000}
PLACEHOLDERS = frozenset({"entity", "share", "baseline", "stories", "sources", "minutes", "in_words"})
_PLACEHOLDER = re.compile(r"\{(\w+)\}")

Duration = Annotated[str, msgspec.Meta(pattern=_DURATION.pattern)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
SUPPORTING_VOICES = 2
"""What a rule asks for that says nothing of sources and voices."""


def duration_ms(text: str) -> int:
    """Milliseconds of `30m`, `12h` or `5d`."""
    match = _DURATION.match(text)
    if match is None:
        msg = f"{text!r} is no duration: write a whole number and m, h or d, such as 30m"
        raise RuleError(msg)
    return int(match[1]) * _UNITS_MS[match[2]]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Fire(_Part, frozen=True, kw_only=True):
    """When to fire: `arl` for an e-detector, `gte` for a threshold."""

    arl: Duration | None = None
    """Mean time to a false alarm, at least, while the share stays at or below usual + margin."""
    gte: Share | None = None
    """Negative share over the window."""


class Resolve(_Part, frozen=True, kw_only=True):
    """When it is over: its own threshold, lower than the one that fires."""

    margin: Share = 0.06
    """e-detector: the recent share is below baseline plus this."""
    lt: Share | None = None
    """threshold: the window's share is below this."""


class MinSupport(_Part, frozen=True, kw_only=True):
    """The least that an alert must rest on; without a word on sources and voices, `SUPPORTING_VOICES` voices."""

    stories: int = 3
    sources: int | None = None
    """Distinct sources."""
    voices: int | None = None
    """Distinct voices: sources, or where there are more of them, authors. A desk with a single feed has one source
    and many authors; a feed that names no authors is one voice."""

    def supports(self, *, stories: int, sources: int, authors: int) -> bool:
        """Whether so much is enough."""
        if stories < self.stories or sources < (self.sources or 0):
            return False
        asked = SUPPORTING_VOICES if self.voices is None and self.sources is None else self.voices or 0
        return max(sources, authors) >= asked


class Cooldown(_Part, frozen=True, kw_only=True, dict=True):
    """Silence after an alert has fired, counted from its firing."""

    for_: Duration = msgspec.field(default="12h", name="for")
    unless: Literal["severity_increases", "never"] = "severity_increases"

    @cached_property
    def for_ms(self) -> int:
        """Its length in milliseconds."""
        return duration_ms(self.for_)


class SeverityStep(_Part, frozen=True, kw_only=True):
    """What it takes for a severity: share above baseline, and stories."""

    effect: Share = 0.0
    stories: int = 0


class Rule(_Part, frozen=True, kw_only=True, dict=True):
    """One alert rule.

    What follows from its fields is worked out once (`dict=True` gives it a place): it is asked for at every bin.
    """

    alert: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
    """Name, and the label `alertname`."""
    type: Literal["spike", "threshold"]
    fire: Fire
    signal: Literal["negative_share"] = "negative_share"
    method: Literal["e_detector"] | None = None
    margin: Share | MarginOptions = MarginOptions()
    """e-detector: the null hypothesis is a share of at most usual plus margin; a number is the same for all companies,
    whatever their unrest."""
    pending: Fire = Fire()
    window: Duration = "60m"
    """threshold: the share is taken over this."""
    baseline: BaselineOptions = BaselineOptions()
    effect_min: Share = 0.10
    """No alert for a smaller rise over the baseline, however certain."""
    resolve: Resolve = Resolve()
    for_: Duration = msgspec.field(default="0m", name="for")
    keep_firing_for: Duration = "30m"
    min_support: MinSupport = MinSupport()
    cooldown: Cooldown = Cooldown()
    severity: dict[Severity, SeverityStep] = msgspec.field(default_factory=lambda: {"warning": SeverityStep()})
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @cached_property
    def version(self) -> str:
        """Hash of the rule's meaning, 12 hexadecimal digits; what the method makes of the same keys is part of it."""
        meaning = msgspec.json.encode(self, order="deterministic")
        if self.is_e_detector:
            meaning += b" e_detector %d" % e_detector.VERSION
        return hashlib.sha256(meaning).hexdigest()[:12]

    @cached_property
    def is_e_detector(self) -> bool:
        """Whether the share e-detector decides."""
        return self.type == "spike"

    @cached_property
    def arl_minutes(self) -> float:
        """Mean time to a false alarm at which the e-detector fires, in minutes of the clock: its threshold."""
        return duration_ms(self.fire.arl or "30d") / _MINUTE_MS

    @cached_property
    def log_arl(self) -> float:
        """Log of `arl_minutes`: the e-detector fires at this log e-value."""
        return math.log(self.arl_minutes)

    @cached_property
    def log_pending(self) -> float:
        """The e-detector is pending at this log e-value."""
        return math.log(duration_ms(self.pending.arl or self.fire.arl or "30d") / _MINUTE_MS)

    @cached_property
    def window_ms(self) -> int:
        """`window` in milliseconds."""
        return duration_ms(self.window)

    @cached_property
    def for_ms(self) -> int:
        """`for` in milliseconds."""
        return duration_ms(self.for_)

    @cached_property
    def keep_firing_for_ms(self) -> int:
        """`keep_firing_for` in milliseconds."""
        return duration_ms(self.keep_firing_for)


class RuleSet(msgspec.Struct, frozen=True, kw_only=True):
    """The rules in force, in file order."""

    rules: tuple[Rule, ...]

    @property
    def version(self) -> str:
        """Hash of all rules' versions, 12 hexadecimal digits."""
        return hashlib.sha256(" ".join(rule.version for rule in self.rules).encode()).hexdigest()[:12]


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice: YAML would let the last one win, and a threshold would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                mark = key.start_mark
                where = f"line {mark.line + 1}, column {mark.column + 1}"
                msg = f"{where}: the key {key.value!r} stands here a second time: remove one"
                raise yaml.constructor.ConstructorError(None, None, msg, mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def default_rules() -> RuleSet:
    """Return the rules that are shipped."""
    text = resources.files("streams.monitor").joinpath("default_rules.yaml").read_text(encoding="utf-8")
    return parse_rules(text, name="default_rules.yaml")


def load_rules(path: Path) -> RuleSet:
    """Read a rule file.

    Raises:
        RuleError: the file cannot be read or a rule is not valid; nothing of it is taken then.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"cannot read the rule file {path}: {error.strerror or error}"
        raise RuleError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"cannot read the rule file {path}: it is not UTF-8 ({error.reason} at byte {error.start})"
        raise RuleError(msg) from error
    return parse_rules(text, name=str(path))


def parse_rules(text: str, *, name: str) -> RuleSet:
    """Read rules from YAML text; `name` stands in error messages. Raises RuleError."""
    try:
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader that takes no key twice
    except yaml.constructor.ConstructorError as error:
        msg = f"{name}: {error.problem}"
        raise RuleError(msg) from error
    except yaml.YAMLError as error:
        msg = f"{name}: not valid YAML: {error}"
        raise RuleError(msg) from error
    if not isinstance(content, dict) or set(content) != {"rules"} or not isinstance(content["rules"], list):
        msg = f"{name}: expected one key, 'rules', with a list of rules below it"
        raise RuleError(msg)
    rules = []
    for number, item in enumerate(content["rules"], 1):
        where = f"{name}: rule {number}"
        if isinstance(item, dict) and isinstance(item.get("alert"), str):
            where += f" ({item['alert']})"
        rules.append(_convert(item, where))
    names = [rule.alert for rule in rules]
    if not names or len(set(names)) < len(names):
        msg = f"{name}: needs at least one rule, and every rule a name of its own"
        raise RuleError(msg)
    return RuleSet(rules=tuple(rules))


_PARTS: dict[str, type[msgspec.Struct]] = {
    "fire": Fire,
    "pending": Fire,
    "margin": MarginOptions,
    "baseline": BaselineOptions,
    "resolve": Resolve,
    "min_support": MinSupport,
    "cooldown": Cooldown,
}


def _refuse_unknown(item: Any, kind: type[msgspec.Struct], where: str, inside: str = "") -> None:
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key in item if isinstance(item, dict) else ():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean '{inside}{near[0]}'?" if near else f"; known are {', '.join(known)}"
            msg = f"{where}: unknown key '{inside}{key}'{hint}"
            raise RuleError(msg)


def _convert(item: Any, where: str) -> Rule:
    _refuse_unknown(item, Rule, where)
    if isinstance(item, dict):
        for name, kind in _PARTS.items():
            _refuse_unknown(item.get(name), kind, where, f"{name}.")
        steps = item.get("severity")
        for name, step in steps.items() if isinstance(steps, dict) else ():
            _refuse_unknown(step, SeverityStep, where, f"severity.{name}.")
    try:
        rule = msgspec.convert(item, Rule)
    except msgspec.ValidationError as error:
        msg = f"{where}: {error}"
        raise RuleError(msg) from error
    _check(rule, where)
    return rule


def _check(rule: Rule, where: str) -> None:
    needed, other = ("arl", "gte") if rule.is_e_detector else ("gte", "arl")
    if getattr(rule.fire, needed) is None or getattr(rule.fire, other) is not None:
        msg = f"{where}: a rule of type {rule.type} needs fire: {{{needed}: ...}}, and nothing else in it"
        raise RuleError(msg)
    for name, text in (("fire.arl", rule.fire.arl), ("pending.arl", rule.pending.arl), ("window", rule.window)):
        if text is not None and duration_ms(text) == 0:
            msg = f"{where}: {name} must be at least 1m"
            raise RuleError(msg)
    if rule.fire.gte is not None and rule.resolve.lt is not None and rule.resolve.lt > rule.fire.gte:
        msg = f"{where}: resolve.lt {rule.resolve.lt} is above fire.gte {rule.fire.gte}: it would end as it begins"
        raise RuleError(msg)
    taken = sorted(rule.labels.keys() & {"alertname", "entity"})
    if taken:
        msg = f"{where}: the label {taken[0]!r} is set by Squall, as it is part of an alert's identity"
        raise RuleError(msg)
    if not rule.severity:
        msg = f"{where}: severity needs at least one step"
        raise RuleError(msg)
    if isinstance(rule.margin, MarginOptions) and rule.margin.floor > rule.margin.ceiling:
        msg = f"{where}: margin.floor {rule.margin.floor} is above margin.ceiling {rule.margin.ceiling}"
        raise RuleError(msg)
    if not 0 < rule.baseline.prior_share < 1 or rule.baseline.prior_votes <= 0 or rule.baseline.half_life_days <= 0:
        msg = f"{where}: baseline needs 0 < prior_share < 1, prior_votes > 0 and half_life_days > 0"
        raise RuleError(msg)
    for text in rule.annotations.values():
        for word in _PLACEHOLDER.findall(text):
            if word not in PLACEHOLDERS:
                msg = f"{where}: annotation has unknown {{{word}}}; known are {', '.join(sorted(PLACEHOLDERS))}"
                raise RuleError(msg)


def fill(template: str, values: dict[str, str]) -> str:
    """Put values into an annotation's {placeholders}; nothing else in it is interpreted."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)
