"""Stories: which mentions of one entity are copies of one another.

A message joins the closest story whose *first* message lies within the horizon before it. The anchor is the first
message, not the last copy: a chain of reposts can neither keep a story alive for ever nor drift, word by word, into
another one; and as copies leave no trace in the state, the state is exact, small, and written only for new stories.

The index is a function of the stories it holds, never of the order in which they came to it, so one restored from its
chunks goes on exactly as the one that was saved would have. No clock is read: time is the messages' own.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Final

import xxhash

from streams.monitor.fingerprint import (
    MAX_KEYS,
    MAX_TOKENS,
    Fingerprint,
    difference,
    edge_allowed_half_words,
    edits_allowed_half_words,
    fingerprint,
)
from streams.monitor.memory import Story, decode_stories, encode_stories

HOUR_S: Final = 3600
_HOUR_MS: Final = 3_600_000

_MAX_VERIFIED: Final = 16
"""Candidates compared word by word for one message: those that share the most pairs of words."""
_MAX_POSTINGS: Final = 4096
"""Index entries read for one message; beyond it the commonest pairs of words are left out, the rarest say most."""


@dataclass(slots=True)
class Assignment:
    """The story of a message."""

    story: str
    """16 hexadecimal digits, a hash of the first message's id; unique within the entity."""
    copy: bool
    """The message repeats an earlier one."""
    first_message_id: str
    """The message that opened the story; the message's own id if it is no copy."""


class StoryIndex:
    """The stories of one entity.

    Feed it in the order of (published_at, message_id): two indexes fed the same messages in the same order answer the
    same, saved and restored in between or not.

    Args:
        horizon_s: how long after its first message a story takes copies.
        max_stories: stories held; beyond it the oldest goes first.

    Raises:
        ValueError: one of the two is not positive.
    """

    def __init__(self, horizon_s: float = 86_400, max_stories: int = 4096) -> None:
        if horizon_s <= 0 or max_stories <= 0:
            msg = f"horizon_s and max_stories must be greater than 0, not {horizon_s} and {max_stories}"
            raise ValueError(msg)
        self._horizon_ms = round(horizon_s * 1000)
        self._max_stories = max_stories
        self._stories: dict[int, Story] = {}
        self._next = 0
        self._hours: dict[int, list[tuple[int, str, int]]] = {}  # (at_ms, message_id, number), oldest first
        self._order: list[int] = []  # the hours, ascending
        self._dirty: set[int] = set()
        self._exact: dict[tuple[int, ...], int] = {}
        # Most pairs of words occur in one story, whose number then stands bare: a list would cost more than the rest.
        self._postings: dict[int, int | list[int]] = {}

    def __len__(self) -> int:
        return len(self._stories)

    def assign(self, text: str | Fingerprint, *, message_id: str, at_s: float) -> Assignment:
        """Find the message's story, or open one.

        A text without a word (a bare link) is always a story of its own, and is not remembered.

        Args:
            text: the mention's text, or its fingerprint.
            message_id: unique within the entity.
            at_s: when it was published, in seconds since the epoch; counted in whole milliseconds.
        """
        return self.assign_at(text, message_id=message_id, at_ms=round(at_s * 1000))

    def assign_at(self, text: str | Fingerprint, *, message_id: str, at_ms: int) -> Assignment:
        """The same as `assign`, the time being in milliseconds."""
        tokens, keys = fingerprint(text) if isinstance(text, str) else text
        if not tokens:
            return Assignment(_story_id(message_id), False, message_id)
        found = self._same(tokens, at_ms)
        if found is None:
            # Nearly every message that comes here opens a story: it is indexed at once, and taken out again if not.
            held = self._index(keys)
            found = self._closest(tokens, keys, held, at_ms)
            if found is None:
                self._dirty.add(self._add(Story(at_ms, message_id, tokens, keys), held))
                self._evict()
                return Assignment(_story_id(message_id), False, message_id)
            self._unindex(keys, held)
        return Assignment(_story_id(found.message_id), True, found.message_id)

    def hours(self) -> list[int]:
        """The hours held (whole hours since the epoch of stories' first messages), ascending."""
        return list(self._order)

    def dirty_hours(self) -> set[int]:
        """The hours whose chunk has changed since the last `clean`."""
        return set(self._dirty)

    def clean(self) -> None:
        """Note that every dirty hour has been saved."""
        self._dirty.clear()

    def chunk(self, hour: int) -> bytes:
        """The stories of an hour, to be saved; equal stories are equal bytes.

        Raises:
            ValueError: the hour is not held.
        """
        if hour not in self._hours:
            msg = f"hour {hour} holds no stories: ask for one of hours() or dirty_hours()"
            raise ValueError(msg)
        return encode_stories(hour, [self._stories[number] for _, _, number in self._hours[hour]])

    def load_chunk(self, hour: int, data: bytes) -> None:
        """Take back what `chunk` gave; hours may come in any order.

        Raises:
            ValueError: the bytes are no chunk of this hour, a newer version wrote them, or the hour is held already.
        """
        if hour in self._hours:
            msg = f"hour {hour} is held already: load chunks into a new StoryIndex"
            raise ValueError(msg)
        stories = decode_stories(hour, data)
        self._begin(hour)
        for story in stories:
            self._add(story, self._index(story.keys))
        self._evict()

    def expire(self, before_s: float) -> list[int]:
        """Forget the hours that end at or before a time, and say which, so that their chunks can be deleted.

        An hour that reaches beyond it is kept whole: what is too old in it takes no copies anyway.
        """
        last = round(before_s * 1000) // _HOUR_MS - 1
        if not self._order or self._order[0] > last:
            return []
        gone = self._order[: bisect_right(self._order, last)]
        del self._order[: len(gone)]
        remove = self._remove
        for hour in gone:
            for _, _, number in self._hours.pop(hour):
                remove(number)
            self._dirty.discard(hour)
        return gone

    def _same(self, tokens: tuple[int, ...], at_ms: int) -> Story | None:
        """The latest story of the very same words, if it lies within the horizon."""
        number = self._exact.get(tokens)
        if number is None:
            return None
        story = self._stories[number]
        return story if self._is_open(story, at_ms) else None

    def _closest(
        self, tokens: tuple[int, ...], keys: tuple[int, ...], held: list[int | list[int]], at_ms: int
    ) -> Story | None:
        """The closest story within the horizon; of equally close ones the earliest, then the smallest id."""
        closest: tuple[int, Story] | None = None
        for story in self._candidates(tokens, keys, held, at_ms):
            distance = difference(story.tokens, tokens)
            if distance is not None and (closest is None or (distance, story) < closest):
                closest = (distance, story)
        return closest[1] if closest is not None else None

    def _is_open(self, story: Story, at_ms: int) -> bool:
        return 0 <= at_ms - story.at_ms <= self._horizon_ms

    def _candidates(
        self, tokens: tuple[int, ...], keys: tuple[int, ...], held: list[int | list[int]], at_ms: int
    ) -> list[Story]:
        """Stories that share enough pairs of words to be worth a comparison, at most `_MAX_VERIFIED`."""
        own = self._next
        repeated = len(tokens) - 1 - len(keys) if len(keys) < MAX_KEYS else 0
        needed = max(1, _SHARED_KEYS[len(tokens)] - repeated)
        if len(keys) - held.count(own) < needed:
            return []
        postings = [[found] if isinstance(found, int) else found for found in held if found != own]
        if sum(map(len, postings)) > _MAX_POSTINGS:
            kept = _rarest(postings)
            needed = max(1, needed - (len(postings) - len(kept)))
            postings = kept
        shared = Counter(chain.from_iterable(postings))
        found = [
            (-count, story)
            for number, count in shared.items()
            if count >= needed and self._is_open(story := self._stories[number], at_ms)
        ]
        if len(found) > _MAX_VERIFIED:
            found = sorted(found)[:_MAX_VERIFIED]
        return [story for _, story in found]

    def _index(self, keys: tuple[int, ...]) -> list[int | list[int]]:
        """Put the number of the next story under those of its keys that are new, and return what then stands under
        each: that number, or those of other stories.
        """
        return list(map(self._postings.setdefault, keys, repeat(self._next)))

    def _unindex(self, keys: tuple[int, ...], held: list[int | list[int]]) -> None:
        """Undo `_index`."""
        for key, found in zip(keys, held, strict=True):
            if found == self._next:
                del self._postings[key]

    def _add(self, story: Story, held: list[int | list[int]]) -> int:
        """Hold a story for which `_index` returned `held`, and return its hour."""
        number, self._next = self._next, self._next + 1
        self._stories[number] = story
        hour = story.at_ms // _HOUR_MS
        ages = self._hours.get(hour)
        if ages is None:
            ages = self._begin(hour)
        insort(ages, (story.at_ms, story.message_id, number))
        same = self._exact.setdefault(story.tokens, number)
        if same != number and self._stories[same] < story:
            self._exact[story.tokens] = number
        if held.count(number) < len(held):
            for key, others in zip(story.keys, held, strict=True):
                if others == number:
                    continue
                if isinstance(others, int):
                    self._postings[key] = [others, number]
                else:
                    others.append(number)
        return hour

    def _begin(self, hour: int) -> list[tuple[int, str, int]]:
        """Hold an hour that was not held, and return its stories, which are none."""
        insort(self._order, hour)
        ages = self._hours[hour] = []
        return ages

    def _evict(self) -> None:
        """Drop the oldest stories beyond `max_stories`; their hours stay, emptier, until they expire."""
        while len(self._stories) > self._max_stories:
            hour = next(hour for hour in self._order if self._hours[hour])
            _, _, number = self._hours[hour].pop(0)
            self._remove(number)
            self._dirty.add(hour)

    def _remove(self, number: int) -> None:
        """Forget a story everywhere but in its hour."""
        story = self._stories.pop(number)
        latest = self._exact.pop(story.tokens, number)
        if latest != number:
            self._exact[story.tokens] = latest
        postings, keys = self._postings, story.keys
        held = list(map(postings.pop, keys))
        if held.count(number) < len(keys):
            for key, numbers in zip(keys, held, strict=True):
                if not isinstance(numbers, int):
                    numbers.remove(number)
                    postings[key] = numbers if len(numbers) > 1 else numbers[0]


def _rarest(postings: list[list[int]]) -> list[list[int]]:
    """The shortest posting lists, up to `_MAX_POSTINGS` entries, but at least one list.

    Lists of the length at which the bound falls are all left out, so that ties do not depend on an order.
    """
    postings = sorted(postings, key=len)
    total = 0
    for index, posting in enumerate(postings):
        total += len(posting)
        if total > _MAX_POSTINGS:
            bound = len(posting)
            kept = [kept for kept in postings[:index] if len(kept) < bound]
            return kept or [min(postings, key=lambda posting: (len(posting), sorted(posting)))]
    return postings


def _story_id(message_id: str) -> str:
    return xxhash.xxh3_64_hexdigest(message_id.encode())


def _shared_keys(tokens: int) -> int:
    """Pairs of words that a text surely shares with a story it may join.

    The shorter of the two has n tokens, at least as many as leave the rest to the edges; each changed word spoils two
    of its n - 1 pairs. Words and characters differ in what is allowed, the lesser answer holds for both.
    """
    if tokens > MAX_KEYS:
        return MAX_KEYS // 4  # a sketch: copies share two thirds of it, give or take four
    needed = tokens
    for half_words in (1, 2):
        for n in range(1, tokens + 1):
            if n + edge_allowed_half_words(n * half_words) // half_words >= tokens:
                edits = edits_allowed_half_words(n * half_words) // half_words
                needed = min(needed, n - 1 - 2 * edits)
    return max(1, needed)


_SHARED_KEYS: Final = tuple(_shared_keys(tokens) for tokens in range(MAX_TOKENS + 1))
