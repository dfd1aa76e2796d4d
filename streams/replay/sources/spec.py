"""What a SOURCE on the command line names: files and folders of them, or a stretch of a Kafka topic. Pure but for a
look at which files there are.

    history.csv.gz  2020.parquet  folder/           files; of a folder those of known kinds, by name
    kafka:                                          the topic that the settings name, all of it
    kafka:desk.messages?from=2026-03-01T00:00:00Z&to=2026-03-08T00:00:00Z      by time of arrival, both inclusive
    kafka:?offsets=0:100-200,1:0-50                 by offset, both inclusive; other partitions are left out
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from streams.errors import InputError
from streams.ingest.readers import has_columns

_KAFKA = "kafka:"
_KEYS = ("from", "to", "offsets")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SPAN = re.compile(r"(\d+):(\d+)-(\d+)")
_KNOWN = "CSV, TSV, JSON lines (each also as .gz) or Parquet"


@dataclass(frozen=True, slots=True)
class FileSpec:
    """Files, in the order in which they are read.

    Attributes:
        text: as the user named them.
        paths: each once.
        left_out: folders inside the named ones, which are not read.
    """

    text: str
    paths: tuple[Path, ...]
    left_out: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class KafkaSpec:
    """A stretch of a topic.

    Attributes:
        text: as the user named it.
        topic: its name; None for the one of the settings.
        since: first time of arrival, UTC.
        until: last time of arrival, UTC, inclusive.
        offsets: partition -> first and last offset, inclusive; empty for all partitions.
    """

    text: str
    topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    offsets: tuple[tuple[int, int, int], ...] = ()

    @property
    def label(self) -> str:
        """The text as it stands before a colon: a bare `kafka:` brings one of its own."""
        return self.text.removesuffix(":")


def parse_sources(texts: Sequence[str]) -> FileSpec | KafkaSpec:
    """Read what the user named.

    Raises:
        InputError: nothing is named, a file or folder is missing or has nothing to read, a file is named twice, a
            Kafka source cannot be understood, or the two kinds are mixed.
    """
    if not texts:
        raise InputError(f"name a source: a file or a folder ({_KNOWN}), or kafka:")
    kafka = [text for text in texts if text.startswith(_KAFKA)]
    if not kafka:
        return _files(texts)
    if len(texts) > 1:
        raise InputError(f"{kafka[0]}: a Kafka source stands alone; name no other source beside it")
    return _kafka(kafka[0])


def _files(texts: Sequence[str]) -> FileSpec:
    paths: list[Path] = []
    left_out: list[Path] = []
    for text in texts:
        path = Path(text)
        if path.is_dir():
            known, folders = _folder(path)
            paths += known
            left_out += folders
        else:
            paths.append(_file(path))
    seen: dict[Path, Path] = {}
    for path in paths:
        resolved = path.resolve()
        if resolved in seen:
            raise InputError(f"{path} is named twice (also as {seen[resolved]}): name each file once")
        seen[resolved] = path
    return FileSpec(" ".join(texts), tuple(paths), tuple(left_out))


def _file(path: Path) -> Path:
    if not path.exists():
        if path.is_symlink():
            raise InputError(f"{path}: is a link that leads to no file")
        raise InputError(f"{path}: no such file{_nearest(path)}")
    if not path.is_file():
        raise InputError(f"{path}: is no regular file, and a replay may have to read it again: save it as one")
    return path


def _folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files of a folder that are read, and the folders in it, which are not."""
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        there = [path for path in entries if path.is_file()]
        folders = [path for path in entries if path.is_dir()]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    if not there and folders:
        raise InputError(
            f"{folder}: the folder holds no files itself, and the folders in it are not searched: name those that are "
            f"meant ({_few(folders)})"
        )
    if not there:
        raise InputError(f"{folder}: the folder holds no files")
    known = [path for path in there if has_columns(path)]
    if not known:
        more = f"; the folders in it are not searched ({_few(folders)})" if folders else ""
        raise InputError(f"{folder}: holds no file of a known kind ({_KNOWN}); there is {_few(there)}{more}")
    plain: dict[str, Path] = {}
    for path in known:
        name = path.name.removesuffix(".gz").removesuffix(".GZ")
        if name in plain:
            raise InputError(f"{folder}: holds both {plain[name].name} and {path.name}; name the one that is meant")
        plain[name] = path
    return known, folders


def _few(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:5]) + (", ..." if len(paths) > 5 else "")


def _nearest(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.parent / near[0]}?" if near else ""


def _kafka(text: str) -> KafkaSpec:
    topic, _, query = text.removeprefix(_KAFKA).partition("?")
    if topic and not _TOPIC.fullmatch(topic):
        raise InputError(f"{text}: {topic!r} is no name of a topic")
    given: dict[str, str] = {}
    for part in query.split("&") if query else ():
        key, sign, value = part.partition("=")
        if key not in _KEYS or not sign:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            meant = f"; did you mean {near[0]}=?" if near and sign else ""
            raise InputError(f"{text}: {part!r} is not understood, there are from=, to= and offsets={meant}")
        if key in given:
            raise InputError(f"{text}: {key}= stands twice")
        given[key] = value
    if "offsets" in given and len(given) > 1:
        raise InputError(f"{text}: either offsets=, or from= and to=")
    since, until = (_time(text, key, given[key]) if key in given else None for key in ("from", "to"))
    if since is not None and until is not None and until < since:
        raise InputError(f"{text}: an empty range, it ends ({given['to']}) before it begins ({given['from']})")
    offsets = _offsets(text, given["offsets"]) if "offsets" in given else ()
    return KafkaSpec(text, topic or None, since, until, offsets)


def _time(text: str, key: str, value: str) -> datetime:
    try:
        # A plus sign in a query is a space to some shells' and people's habits; no time has a space before its offset.
        moment = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError as error:
        raise InputError(f"{text}: {key}={value} is no time; write it like 2026-03-02T14:00:00Z") from error
    if moment.tzinfo is None:
        raise InputError(f"{text}: {key}={value} has no offset; write it like 2026-03-02T14:00:00Z")
    return moment.astimezone(UTC)


def _offsets(text: str, value: str) -> tuple[tuple[int, int, int], ...]:
    spans: dict[int, tuple[int, int, int]] = {}
    for part in value.split(","):
        found = _SPAN.fullmatch(part)
        if found is None:
            raise InputError(
                f"{text}: offsets={part!r} is not understood; write PARTITION:FIRST-LAST, such as 0:100-200"
            )
        partition, first, last = (int(number) for number in found.groups())
        if last < first:
            raise InputError(f"{text}: an empty range, {part} ends before it begins")
        if partition in spans:
            raise InputError(f"{text}: partition {partition} stands twice in offsets=")
        spans[partition] = (partition, first, last)
    return tuple(sorted(spans.values()))
