"""The file that describes topics of one's own: read from YAML, and refused with line and column where it is wrong.

topics:
  - name: labour-disputes
    examples:                # at least three, better ten: what people really write, each on this topic
      - Drivers at Velmont Freight walk out over pay
    counter_examples:        # optional: near to it, and not meant
      - Velmont Freight hires two hundred drivers
    threshold: 0.6           # optional, of the probability; 0.5 without it
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from models.errors import OwnTopicsError
from models.labels import TOPIC_IDS
from models.text import prepare

DEFAULT_THRESHOLD = 0.5
FEWEST_EXAMPLES = 3
"""With two, leaving one out leaves a single sentence, and its likeness to nothing else can be learned."""
MOST_EXAMPLES = 200
"""Beyond this a topic is worth training for: `squall train`."""
MOST_TOPICS = 50

_KEYS = ("name", "examples", "counter_examples", "threshold")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class OwnTopic:
    """One topic as the file describes it.

    Attributes:
        name: lower-case letters, digits and hyphens; no topic of the classifier's own has it.
        examples: messages on the topic.
        counter_examples: messages near to it that are not meant.
        threshold: a message is on the topic if its probability is at least this.
        line: where it begins in the file, from 1.
    """

    name: str
    examples: tuple[str, ...]
    counter_examples: tuple[str, ...] = ()
    threshold: float = DEFAULT_THRESHOLD
    line: int = 0


def read_own_topics(path: Path) -> tuple[OwnTopic, ...]:
    """Read a file of topics.

    Raises:
        OwnTopicsError: the file cannot be read or is wrong somewhere; nothing of it is taken then.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OwnTopicsError(f"cannot read the topics of {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise OwnTopicsError(f"cannot read the topics of {path}: byte {error.start} is not UTF-8") from error
    return parse_own_topics(text, name=str(path))


def parse_own_topics(text: str, *, name: str) -> tuple[OwnTopic, ...]:
    """Read topics from YAML text; `name` stands in error messages. Raises OwnTopicsError."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise OwnTopicsError(f"{where}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise OwnTopicsError(f"{name}: not valid YAML: {error}") from error
    except RecursionError:
        raise OwnTopicsError(f"{name}: nested too deeply to be a file of topics") from None
    if root is None:
        raise OwnTopicsError(f"{name}:1:1: the file is empty; expected the key 'topics' with a list below it")
    return _Reader(name).topics(root)


class _Reader:
    """Takes the nodes of one file apart; every complaint carries the place of the node that it is about."""

    def __init__(self, name: str) -> None:
        self._name = name

    def topics(self, root: yaml.Node) -> tuple[OwnTopic, ...]:
        content = self._mapping(root, ("topics",), "the file")
        if "topics" not in content:
            raise self._error(root, "expected the key 'topics' with a list below it")
        items = self._list(content["topics"], "'topics'")
        if not items:
            raise self._error(content["topics"], "'topics' is empty; describe at least one")
        if len(items) > MOST_TOPICS:
            raise self._error(items[MOST_TOPICS], f"more than {MOST_TOPICS} topics; train a model for so many")
        found: dict[str, OwnTopic] = {}
        for item in items:
            topic = self._topic(item)
            if topic.name in found:
                raise self._error(item, f"a second topic {topic.name!r}; the first is in line {found[topic.name].line}")
            found[topic.name] = topic
        return tuple(found.values())

    def _topic(self, node: yaml.Node) -> OwnTopic:
        content = self._mapping(node, _KEYS, "a topic")
        for key in ("name", "examples"):
            if key not in content:
                raise self._error(node, f"the topic has no {key!r}")
        name = self._text(content["name"], "a name")
        if not _NAME.fullmatch(name):
            raise self._error(
                content["name"], f"{name!r} is no name: lower-case letters, digits and hyphens, 64 at most"
            )
        if name in TOPIC_IDS:
            raise self._error(content["name"], f"{name!r} is a topic of the classifier's own; choose another name")
        seen: dict[str, int] = {}
        examples = self._sentences(content["examples"], "examples", seen)
        if len(examples) < FEWEST_EXAMPLES:
            raise self._error(
                content["examples"], f"{name!r} has {len(examples)} examples and needs {FEWEST_EXAMPLES}, better ten"
            )
        counter: tuple[str, ...] = ()
        if "counter_examples" in content:
            counter = self._sentences(content["counter_examples"], "counter_examples", seen)
        threshold = self._threshold(content["threshold"]) if "threshold" in content else DEFAULT_THRESHOLD
        return OwnTopic(name, examples, counter, threshold, node.start_mark.line + 1)

    def _sentences(self, node: yaml.Node, key: str, seen: dict[str, int]) -> tuple[str, ...]:
        items = self._list(node, repr(key))
        if len(items) > MOST_EXAMPLES:
            raise self._error(items[MOST_EXAMPLES], f"more than {MOST_EXAMPLES} {key}; train a model with so many")
        sentences = []
        for item in items:
            sentence = self._text(item, "a sentence")
            alike = prepare(sentence).casefold()
            if not alike:
                raise self._error(item, "the sentence is empty")
            if alike in seen:
                # Left out, it would be found again by its own copy, and the estimate would be too good.
                raise self._error(item, f"the same sentence stands in line {seen[alike]}; remove one")
            seen[alike] = item.start_mark.line + 1
            sentences.append(sentence)
        return tuple(sentences)

    def _threshold(self, node: yaml.Node) -> float:
        try:
            value = float(node.value) if _is_number(node) else None
        except ValueError:  # YAML's 0x1F and 1_000 are numbers that Python's float does not read
            value = None
        if value is None or not 0.0 < value < 1.0:
            raise self._error(node, f"threshold must be a number between 0 and 1, such as 0.6, got {_shown(node)}")
        return value

    def _mapping(self, node: yaml.Node, known: tuple[str, ...], what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, f"{what} must be keys and values ({', '.join(known)}), got {_shown(node)}")
        content: dict[str, yaml.Node] = {}
        for key, value in node.value:
            word = key.value if isinstance(key, yaml.ScalarNode) else _shown(key)
            if word not in known:
                near = difflib.get_close_matches(str(word), known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
                raise self._error(key, f"unknown key {word!r}{hint}")
            if word in content:
                raise self._error(key, f"the key {word!r} stands here a second time; remove one")
            content[word] = value
        return content

    def _list(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(node, f"{what} must be a list, each line beginning with '- ', got {_shown(node)}")
        return list(node.value)

    def _text(self, node: yaml.Node, what: str) -> str:
        if isinstance(node, yaml.MappingNode):  # a colon followed by a space makes a mapping of a sentence
            raise self._error(node, f"expected {what}, got keys and values; put quotes around a text with ': ' in it")
        if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
            raise self._error(node, f"expected {what}, got {_shown(node)}")
        return str(node.value)

    def _error(self, node: yaml.Node, problem: str) -> OwnTopicsError:
        mark = node.start_mark
        return OwnTopicsError(f"{self._name}:{mark.line + 1}:{mark.column + 1}: {problem}")


def _is_number(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag in ("tag:yaml.org,2002:float", "tag:yaml.org,2002:int")


def _shown(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "keys and values"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "nothing" if node.tag == "tag:yaml.org,2002:null" else repr(node.value)
