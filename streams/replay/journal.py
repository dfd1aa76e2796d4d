"""The journal of a run: all that it needs to go on after a kill, in one SQLite file.

A transaction holds the position on a partition, the monitor's state as of it, and the alerts, timeline and counts that
came of the records up to it. Whatever moment a run is killed at, the file holds one such moment in full, and going on
from there gives what an undisturbed run gives.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, get_args

import msgspec

from streams.errors import ReplayError
from streams.monitor.bins import to_ms
from streams.records import Alert, Severity
from streams.replay.hours import TimelineRow
from streams.replay.results import alert_line
from streams.replay.sources.source import SourceFacts

FORMAT = 2
"""Version of the file's shape."""

_SEVERITIES: tuple[Severity, ...] = get_args(Severity)

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE position (
    partition INTEGER PRIMARY KEY, offset INTEGER NOT NULL, done INTEGER NOT NULL, hours BLOB NOT NULL
);
CREATE TABLE state (partition INTEGER, key TEXT, value BLOB NOT NULL, PRIMARY KEY (partition, key));
CREATE TABLE alerts (
    at_ms INTEGER, id TEXT, transition INTEGER, state TEXT NOT NULL, severity INTEGER NOT NULL, rule TEXT NOT NULL,
    entity TEXT NOT NULL, line BLOB NOT NULL, PRIMARY KEY (at_ms, id, transition)
);
CREATE TABLE timeline (
    entity TEXT, at_ms INTEGER, mentions INTEGER NOT NULL, votes INTEGER NOT NULL, negative REAL NOT NULL,
    baseline REAL, low REAL, high REAL, margin REAL, PRIMARY KEY (entity, at_ms)
) WITHOUT ROWID;
"""

# A company is on one partition, unless partitions were added to the topic: then its hours add up.
_ADD_HOUR = """
INSERT INTO timeline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (entity, at_ms) DO UPDATE SET
    mentions = mentions + excluded.mentions, votes = votes + excluded.votes, negative = negative + excluded.negative
"""


class Tally(msgspec.Struct, kw_only=True):
    """What was counted up to a position."""

    records: int = 0
    mentions: int = 0
    late: int = 0
    duplicates: int = 0
    suppressed: int = 0
    first_ms: int | None = None
    """Least event time of a mention."""
    last_ms: int | None = None
    bad: dict[str, int] = {}
    """By reason."""
    models: dict[str, int] = {}
    """Mentions by `name@version`."""


class Position(NamedTuple):
    """How far a partition has been read."""

    offset: int
    """Last offset that was absorbed; -1 before the first."""
    done: bool = False
    """Nothing is left to be read of it."""
    hours: bytes = b""
    """The hours of its timeline that may still grow; empty before the first."""


class Fired(NamedTuple):
    """An alert that fired."""

    rule: str
    entity: str
    at_ms: int
    """Event time of its first firing in the range."""
    severity: Severity
    """The highest that it reached."""


class Journal:
    """One run's journal; a context manager that closes it.

    Args:
        path: the file; made if it is not there.

    Raises:
        ReplayError: the file is no journal, or is damaged, or is of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            self._db = sqlite3.connect(path, isolation_level=None)
            # A kill loses nothing that was committed; a power cut at most the last transactions, never their order.
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={FORMAT}; COMMIT;")
        if version not in (0, FORMAT):
            self._db.close()
            msg = f"{path}: the journal is of format {version}, this version of Squall writes {FORMAT}"
            raise ReplayError(f"{msg}: start over with --fresh")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def facts(self) -> SourceFacts | None:
        """Return what the source was when the run began; None if it has not begun."""
        with self._explained():
            found = self._db.execute("SELECT value FROM meta WHERE key = 'facts'").fetchone()
        return None if found is None else msgspec.json.decode(found[0], type=SourceFacts)

    def adopt(self, identity: Mapping[str, str], facts: SourceFacts) -> bool:
        """Say what run this is. True if it is one that had begun.

        Args:
            identity: all that decides its results, in words.
            facts: the source, to be found again (`facts`) by whoever goes on.

        Raises:
            ReplayError: the journal is of another run; it says what differs.
        """
        with self._explained():
            found = self._db.execute("SELECT value FROM meta WHERE key = 'identity'").fetchone()
            if found is None:
                values = [("identity", msgspec.json.encode(dict(identity))), ("facts", msgspec.json.encode(facts))]
                with self._transaction() as db:
                    db.executemany("INSERT INTO meta VALUES (?, ?)", values)
                return False
            known = msgspec.json.decode(found[0], type=dict[str, str])
        changed = [
            f"{key} was {known.get(key, 'not there')} and is {identity.get(key, 'not there')} now"
            for key in sorted(known.keys() | identity.keys())
            if known.get(key) != identity.get(key)
        ]
        if changed:
            msg = f"{self._path.parent} holds an unfinished run that is not this one: {'; '.join(changed)}"
            raise ReplayError(f"{msg}. Start over with --fresh, or name another folder")
        return True

    def position(self, partition: int) -> Position:
        """Return how far a partition has been read."""
        with self._explained():
            query = "SELECT offset, done, hours FROM position WHERE partition = ?"
            found = self._db.execute(query, (partition,)).fetchone()
        return Position(-1) if found is None else Position(found[0], bool(found[1]), found[2])

    def state(self, partition: int) -> Iterator[tuple[str, bytes]]:
        """Yield what was saved of a partition's monitor."""
        with self._explained():
            yield from self._db.execute("SELECT key, value FROM state WHERE partition = ?", (partition,))

    def tally(self) -> Tally:
        """Return what was counted up to the last save."""
        with self._explained():
            found = self._db.execute("SELECT value FROM meta WHERE key = 'tally'").fetchone()
        return Tally() if found is None else msgspec.json.decode(found[0], type=Tally)

    def save(
        self,
        partition: int,
        position: Position,
        *,
        state: Iterable[tuple[str, bytes | None]],
        alerts: Sequence[Alert],
        rows: Sequence[TimelineRow],
        tally: Tally,
    ) -> None:
        """Write one moment of a run, wholly or not at all.

        Args:
            partition: the partition that was read.
            position: how far; once it is done, its state is let go of.
            state: what has changed of the monitor's state since the last save; None for a key to delete.
            alerts: the transitions since then.
            rows: the hours of the timeline that have ended since then.
            tally: what was counted since the beginning of the run.
        """
        written = [(partition, key, value) for key, value in state if value is not None]
        deleted = [(partition, key) for key, value in state if value is None]
        with self._explained(), self._transaction() as db:
            if position.done:
                db.execute("DELETE FROM state WHERE partition = ?", (partition,))
            else:
                db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", written)
                db.executemany("DELETE FROM state WHERE partition = ? AND key = ?", deleted)
            db.executemany("INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(_alert_row, alerts))
            db.executemany(_ADD_HOUR, rows)
            db.execute("INSERT OR REPLACE INTO meta VALUES ('tally', ?)", (msgspec.json.encode(tally),))
            db.execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)", (partition, *position))

    def alert_lines(self) -> Iterator[bytes]:
        """Yield the lines of `alerts.jsonl` in the order (event time, id, transition)."""
        with self._explained():
            for (line,) in self._db.execute("SELECT line FROM alerts ORDER BY at_ms, id, transition"):
                yield line

    def timeline(self) -> Iterator[TimelineRow]:
        """Yield the timeline by entity and then by time."""
        with self._explained():
            yield from map(TimelineRow._make, self._db.execute("SELECT * FROM timeline ORDER BY entity, at_ms"))

    def companies(self) -> int:
        """Return how many entities are on the timeline."""
        with self._explained():
            return int(self._db.execute("SELECT COUNT(DISTINCT entity) FROM timeline").fetchone()[0])

    def transitions(self) -> dict[str, dict[str, int]]:
        """Return transitions by rule and state."""
        found: dict[str, dict[str, int]] = {}
        query = "SELECT rule, state, COUNT(*) FROM alerts GROUP BY rule, state ORDER BY rule, state"
        with self._explained():
            for rule, state, count in self._db.execute(query):
                found.setdefault(rule, {})[state] = count
        return found

    def transition_count(self) -> int:
        """Return how many transitions there are."""
        with self._explained():
            return int(self._db.execute("SELECT COUNT(*) FROM alerts").fetchone()[0])

    def fired(self) -> Iterator[Fired]:
        """Yield the alerts that fired, one each however often their severity rose, by time and id."""
        query = """
            SELECT rule, entity, MIN(at_ms) AS first_ms, MAX(severity) FROM alerts
            WHERE state = 'firing' GROUP BY id ORDER BY first_ms, id
        """
        with self._explained():
            for rule, entity, at_ms, severity in self._db.execute(query):
                yield Fired(rule, entity, at_ms, _SEVERITIES[severity])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            advice = "Is the disk full, or another program at the file? If it is damaged, start over with --fresh"
            msg = f"{self._path}: the journal cannot be used: {error}. {advice}"
            raise ReplayError(msg) from error


def _alert_row(alert: Alert) -> tuple[int, str, int, str, int, str, str, bytes]:
    return (
        to_ms(alert.at),
        alert.id,
        alert.transition,
        alert.state,
        _SEVERITIES.index(alert.severity),
        alert.rule,
        alert.labels.get("entity", ""),
        alert_line(alert),
    )
