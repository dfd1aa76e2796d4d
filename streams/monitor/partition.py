"""The monitor of one partition of `squall.mentions`: records in log order in, alert transitions out.

Its state is saved key by key (`changes`) and taken in again (`restore`). The resume contract:

1. Hand over the alerts that `absorb` returned, and wait until they are delivered.
2. Save `changes()` and wait; entities first, the clock last, in the order given.
3. Only then commit the offset.

Whatever is cut off in between, even between two keys of one entity, is read again, changes nothing twice, and yields
the same alerts under the same ids: each entity knows the last offset it absorbed, its record is what puts the chunks
saved before it in force, bins close once, and the clock is never newer than the entities.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec

from streams.monitor.bins import BIN_MS, HOUR_MS, bin_end, bin_start, to_ms
from streams.monitor.clock import observe, watched_watermark
from streams.monitor.due import DueBins
from streams.monitor.entity import ClosedBin, Context, close_bin
from streams.monitor.horizon import Horizon, Place
from streams.monitor.keeping import Keeper
from streams.monitor.options import MonitorOptions
from streams.monitor.outages import hear, outages_until
from streams.monitor.rules import RuleSet
from streams.monitor.seeds import Learned, SeedOutcome, decide, lessons, plant
from streams.monitor.state import CLOCK_SCHEMA, ClockState, EntityState, Vote, decode_state, encode_state
from streams.monitor.tally import vote_of
from streams.records import Alert, KeptBackBy, LogEntry, Mention, Seed, Silence, Suppressed

_log = logging.getLogger(__name__)

_CLOCK = "clock"
_ENTITY = "entity"
_HOUR = "hour"
_SEPARATOR = "\x1f"

_TIDY_MS = 6 * HOUR_MS
"""How often, in event time, companies of which nothing more was heard are looked through for what has had its time."""

_clock_encoder = msgspec.msgpack.Encoder()
_clock_decoder = msgspec.msgpack.Decoder(ClockState)


@dataclass
class Counters:
    """What happened since the monitor was made; for metrics, outside the saved state."""

    absorbed: int = 0
    repeated: int = 0
    """Records that had been read before, and message ids that had been counted."""
    late: int = 0
    suppressed: dict[KeptBackBy, int] = field(default_factory=dict)
    """Alerts that were kept back, by what kept them."""
    seeds: dict[SeedOutcome, int] = field(default_factory=dict)
    """What became of the baselines of seeds."""


Change = tuple[str, bytes | None]
"""Key and value to save; None for a key to delete."""


class Changes(NamedTuple):
    """What to save, in this order."""

    entities: list[Change]
    clock: list[Change]


class PartitionMonitor:
    """All entities of one partition.

    Args:
        partition: number of the partition; part of the clock's key, as several partitions may share a store.
        rules: the rules in force.
        options: lateness, horizon and caps.
        names: display names by entity.
        on_bin: told of every bin that has closed.
        silences: what is known of silences, also of those that are over.
    """

    def __init__(
        self,
        partition: int,
        rules: RuleSet,
        options: MonitorOptions | None = None,
        *,
        names: Mapping[str, str] | None = None,
        on_bin: Callable[[ClosedBin], None] | None = None,
        silences: Sequence[Silence] = (),
    ) -> None:
        self._partition = partition
        self._options = options or MonitorOptions()
        self._names, self._on_bin = names or {}, on_bin
        self._silences = tuple(silences)
        self.apply(rules)
        self._clock = ClockState()
        self._clock_changed = False
        self._entities: dict[str, EntityState] = {}
        self._horizons: dict[str, Horizon] = {}
        self._changed: set[str] = set()
        self._due = DueBins(self._entities)
        self.counters = Counters()

    def apply(self, rules: RuleSet) -> None:
        """Put rules in force, from the next bin of each company on.

        A rule that is new or has changed begins with a memory of its own; an open alert of one that is gone or has
        changed is closed in words.
        """
        self._context = Context(
            rules=rules.rules,
            squall_version=self._options.squall_version,
            names=self._names,
            on_bin=self._on_bin,
            keeper=Keeper(self._silences, rules.inhibit_rules),
        )
        self._rules = rules

    def silence(self, silences: Sequence[Silence]) -> None:
        """Put silences in the place of those that were known, from the next bin of each company on.

        Raises:
            ValueError: one of them cannot be applied; those before stay.
        """
        self._context = replace(self._context, keeper=Keeper(silences, self._rules.inhibit_rules))
        self._silences = tuple(silences)

    @property
    def watermark_ms(self) -> int | None:
        """Event time up to which all bins are closed; None before every message partition was heard of.

        Those of companies on a watch list may be closed further.
        """
        return self._clock.watermark_ms

    @property
    def offset(self) -> int:
        """Highest offset that was absorbed; -1 before the first."""
        return self._clock.offset

    @property
    def entities(self) -> Mapping[str, EntityState]:
        """What is known of each company, by symbol. To be read between two records, not kept: it goes on changing."""
        return self._entities

    @property
    def open_bins(self) -> int:
        """Minutes of companies that hold mentions and have not closed."""
        return self._due.count

    def take_counters(self) -> Counters:
        """Return what was counted since the last call."""
        counters, self.counters = self.counters, Counters()
        return counters

    def absorb(self, record: LogEntry, offset: int) -> list[Alert]:
        """Take one record of the log and return the alert transitions that it brings about, in event-time order.

        Args:
            record: the record.
            offset: its offset on the partition; records come in the order of their offsets.
        """
        if isinstance(record, Mention):
            self._place(record, offset)
        elif isinstance(record, Seed):
            self._seed(record, offset)
        else:
            self.counters.absorbed += 1
        before_ms = self._clock.watermark_ms
        if offset > self._clock.offset:
            self._clock.offset = offset
            self._clock_changed = True
            observe(self._clock, record, lateness_ms=self._options.allowed_lateness_s * 1000)
            if self._context.counts_silence:
                hear(self._clock, record)
            else:
                self._clock.heard = None  # a rule that asks again later begins anew: it was not listened meanwhile
        watermark_ms = self._clock.watermark_ms
        if watermark_ms is None:
            return []
        alerts = self._close_due(watermark_ms)
        if before_ms is not None and watermark_ms // _TIDY_MS > before_ms // _TIDY_MS:
            self._tidy(watermark_ms)
        return alerts

    def skip(self, offset: int) -> None:
        """Take note of a record of the log that could not be read, so that it counts as seen."""
        if offset > self._clock.offset:
            self._clock.offset = offset
            self._clock_changed = True

    def baselines(self) -> Iterator[tuple[str, dict[str, Learned]]]:
        """Yield every entity of which something was learned, with what was learned by rule, in order of name.

        What a rise under way holds back is not in it. To be read, not kept: it goes on changing.
        """
        for name, state in sorted(self._entities.items()):
            found = dict(lessons(state, self._context.in_force))
            if found:
                yield name, found

    def changes(self) -> Changes:
        """Return what to save since the last call: first the entities, and when they are safe the clock."""
        saved: list[Change] = []
        for name in sorted(self._changed):
            state, horizon = self._entities[name], self._horizon(name)
            saving = horizon.changes(state.open)
            state.chunks = sorted(horizon.slots.items())
            saved += ((_hour_key(name, place), chunk) for place, chunk in saving.written)
            saved.append((_key(_ENTITY, name), encode_state(state)))
            saved += ((_hour_key(name, place), None) for place in saving.deleted)
        self._changed.clear()
        clock: list[Change] = []
        if self._clock_changed:
            clock.append((_key(_CLOCK, str(self._partition)), _clock_encoder.encode(self._clock)))
            self._clock_changed = False
        return Changes(saved, clock)

    def restore(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Take in saved state, in any order. What is of another schema is set aside with a warning: that entity starts
        afresh.
        """
        chunks: dict[str, dict[Place, bytes]] = {}
        for key, value in items:
            kind, name, *rest = key.split(_SEPARATOR)
            if kind == _CLOCK and int(name) == self._partition:
                self._restore_clock(value)
            elif kind == _ENTITY:
                state = decode_state(value)
                if state is not None:
                    self._entities[name] = state
                else:
                    _log.warning("the saved state of %s is of another version and is set aside: it starts afresh", name)
            elif kind == _HOUR:
                chunks.setdefault(name, {})[Place(int(rest[0]), int(rest[1]))] = value
        for name in self._entities.keys() | chunks.keys():
            self._restore_memory(name, chunks.get(name, {}))

    def _restore_memory(self, name: str, chunks: dict[Place, bytes]) -> None:
        state = self._entities.get(name)
        votes, lost = self._horizon(name).restore(chunks, {} if state is None else dict(state.chunks))
        for reason in lost:
            _log.warning("memory of %s is set aside: %s", name, reason)
        if state is not None:
            for vote in votes:
                self._open(state, vote)

    def _restore_clock(self, value: bytes) -> None:
        try:
            clock = _clock_decoder.decode(value)
        except msgspec.DecodeError:
            clock = ClockState(schema=-1)
        if clock.schema == CLOCK_SCHEMA:
            self._clock = clock
            if clock.heard is not None:
                clock.heard.ahead.sort()  # older versions wrote it in the order of arrival
        else:
            _log.warning("the saved clock of partition %d is of another version and is set aside", self._partition)

    def _horizon(self, name: str) -> Horizon:
        horizon = self._horizons.get(name)
        if horizon is None:
            options = self._options
            horizon = Horizon(horizon_s=options.story_horizon_s, author_votes=options.author_votes_per_hour)
            self._horizons[name] = horizon
        return horizon

    def _place(self, mention: Mention, offset: int) -> None:
        state = self._entities.get(mention.entity)
        if state is None:
            state = self._entities[mention.entity] = EntityState(entity=mention.entity)
        if offset <= state.offset:
            self.counters.repeated += 1
            return
        state.offset = offset
        self._changed.add(mention.entity)
        horizon = self._horizon(mention.entity)
        at_ms = to_ms(mention.published_at)
        end_ms = bin_end(at_ms)
        if mention.watched and not state.watched:
            self._due.watch(state)
        state.watched = mention.watched
        watermark_ms = watched_watermark(self._clock) if mention.watched else self._clock.watermark_ms
        if state.closed_ms and watermark_ms is not None:
            watermark_ms = max(watermark_ms, state.closed_ms)
        if watermark_ms is not None and end_ms <= watermark_ms - self._options.story_horizon_s * 1000:
            self.counters.late += 1  # beyond memory, where a late one cannot be told from a repeat: alerts pass it over
            return
        if not horizon.first_seen(mention.message_id, at_ms):
            self.counters.repeated += 1
            return
        if watermark_ms is not None and end_ms <= watermark_ms:
            self.counters.late += 1
            state.late += 1
            return
        self.counters.absorbed += 1
        self._open(state, vote_of(mention, at_ms))

    def _seed(self, seed: Seed, offset: int) -> None:
        state = self._entities.get(seed.entity)
        if state is not None and offset <= state.offset:
            self.counters.repeated += 1
            return
        decided = decide(seed, state, self._context.in_force)
        for outcome in decided.values():
            self.counters.seeds[outcome] = self.counters.seeds.get(outcome, 0) + 1
        if state is None:
            if "taken" not in decided.values():
                return
            state = self._entities[seed.entity] = EntityState(entity=seed.entity)
        plant(seed, state, decided)
        state.offset = offset  # also of one that was left: read again after a crash, it would meet another state
        self._changed.add(seed.entity)

    def _open(self, state: EntityState, vote: Vote) -> None:
        start_ms = bin_start(vote.at_ms)
        votes = state.open.get(start_ms)
        if votes is None:
            votes = state.open[start_ms] = []
            self._due.opened(state, start_ms)
        votes.append(vote)

    def _close_due(self, watermark_ms: int) -> list[Alert]:
        alerts: list[Alert] = []
        ahead_ms = watched_watermark(self._clock) or watermark_ms
        while (due := self._due.take(watermark_ms, ahead_ms)) is not None:
            end_ms, name = due
            state = self._entities[name]
            if end_ms > watermark_ms:
                state.closed_ms = max(state.closed_ms, end_ms)
            outages = outages_until(self._clock.heard, end_ms, watermark_ms)
            horizon = self._horizon(name)
            written = close_bin(state, horizon, self._context, start_ms=end_ms - BIN_MS, outages=outages)
            if written:
                alerts += written
                self._count_kept_back(written)
            self._changed.add(name)
        return alerts

    def _count_kept_back(self, alerts: Iterable[Alert]) -> None:
        counted = self.counters.suppressed
        for alert in alerts:
            if alert.state == "suppressed" and isinstance(alert.suppressed, Suppressed):
                counted[alert.suppressed.by] = counted.get(alert.suppressed.by, 0) + 1

    def _tidy(self, watermark_ms: int) -> None:
        """Let go of the day's memory of companies that have fallen silent: no bin of theirs closes, so nothing else
        would. What lies beyond the horizon of every mention yet to come is never asked for again.
        """
        for name, horizon in list(self._horizons.items()):
            state = self._entities.get(name)
            if horizon.expire(watermark_ms) and state is not None:
                self._changed.add(name)
            if horizon.is_empty and (state is None or not state.open):
                del self._horizons[name]


def entity_of(key: str) -> str | None:
    """Return the entity whose own record is saved under a key; None for a chunk and for the clock."""
    kind, _, name = key.partition(_SEPARATOR)
    return name if kind == _ENTITY else None


def _key(kind: str, *parts: str) -> str:
    return _SEPARATOR.join((kind, *parts))


def _hour_key(name: str, place: Place) -> str:
    return _key(_HOUR, name, str(place.hour), str(place.slot))
