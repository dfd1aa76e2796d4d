"""Which companies a history mentions, so that `squall warm` can say why it learned nothing of one. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from streams.deliver.words import clean, plural
from streams.errors import InputError
from streams.records import Mention
from streams.replay.sources.source import MentionSource, Numbered, OnBad, SourceFacts

COMPANIES_TOLD = 8
"""Companies that an error names, those with the most mentions."""


class Heard:
    """A source of mentions that remembers whom they were about; itself a `MentionSource`.

    Args:
        source: the history.
    """

    def __init__(self, source: MentionSource) -> None:
        self._source = source
        self.mentions: Counter[str] = Counter()
        self._first: dict[str, datetime] = {}
        self._closed: datetime | None = None

    @property
    def facts(self) -> SourceFacts:
        """What the source is."""
        return self._source.facts

    @property
    def partitions(self) -> Sequence[int]:
        """The source's."""
        return self._source.partitions

    @property
    def total(self) -> int | None:
        """About how many records there are."""
        return self._source.total

    def records(self, partition: int, *, after: int = -1, on_bad: OnBad) -> Iterator[Numbered]:
        """Yield the source's records; see `streams.replay.sources.source.MentionSource`."""
        for numbered in self._source.records(partition, after=after, on_bad=on_bad):
            record = numbered.record
            if isinstance(record, Mention):
                self.mentions[record.entity] += 1
                first = self._first.get(record.entity)
                if first is None or record.published_at < first:
                    self._first[record.entity] = record.published_at
            yield numbered

    def closed(self, at: datetime) -> None:
        """Take into account up to which event time a partition's bins have closed."""
        if self._closed is None or at > self._closed:
            self._closed = at

    def require(self, wanted: Collection[str], text: str) -> None:
        """Refuse companies that were not heard of.

        Args:
            wanted: their symbols.
            text: what the user calls the source.

        Raises:
            InputError: there was no mention of one; it names those that there are.
        """
        unknown = sorted(name for name in wanted if not self.mentions[name])
        if not unknown:
            return
        known = [clean(name) for name, _ in self.mentions.most_common(COMPANIES_TOLD)]
        near = difflib.get_close_matches(unknown[0], list(self.mentions), n=1)
        meant = f"; did you mean {clean(near[0])}?" if near else ""
        more = len(self.mentions) - len(known)
        there = ", ".join(known) + (f" and {plural(more, 'more company', 'more companies')}" if more else "")
        of = f"there are those of {there}" if known else "there are none of any company"
        raise InputError(f"--entity: there are no mentions of {', '.join(unknown)} in {text}, {of}{meant}")

    def why_nothing(self, wanted: Collection[str]) -> str:
        """Return why nothing was learned of some companies, or of all if none is named."""
        names = wanted or self.mentions.keys()
        count = sum(self.mentions[name] for name in names)
        if not count:
            return "the history has no mentions of that range"
        first = min(self._first[name] for name in names)
        about = f"{plural(count, 'mention')} of {plural(len(names), 'company', 'companies')}"
        if self._closed is None:
            return f"no bin has closed, as nothing in the history says how far its feed has come ({about})"
        if self._closed <= first:
            return (
                f"no bin of theirs has closed ({about}): the first is from {first:%Y-%m-%dT%H:%M:%SZ}, and the history "
                f"is complete up to {self._closed:%Y-%m-%dT%H:%M:%SZ} only"
            )
        return f"the rules hold all of it back ({about}): they do not learn from a rise that is still under way"
