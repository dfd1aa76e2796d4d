"""Opens what the command line names: files or Kafka, raw messages or mentions as they were scored."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from streams.config import Settings
from streams.deliver.words import plural
from streams.replay.sources.mention_files import MentionFiles
from streams.replay.sources.message_files import MessageFiles
from streams.replay.sources.options import FileOptions, Window
from streams.replay.sources.source import MentionSource, MessageSource, SourceFacts
from streams.replay.sources.spec import FileSpec, KafkaSpec, parse_sources

_log = logging.getLogger(__name__)


def open_messages(
    texts: Sequence[str],
    settings: Settings,
    *,
    options: FileOptions | None = None,
    window: Window | None = None,
    resume: SourceFacts | None = None,
) -> MessageSource:
    """Open raw messages, to be scored again.

    Args:
        texts: what the user named; see `streams.replay.sources.spec`.
        settings: the configuration.
        options: how files are read.
        window: which part is wanted.
        resume: what the source was when the run that is to go on began. A Kafka topic has grown since; it is then read
            as far as it went at that time. The caller compares `facts.identity` with it in any case.

    Raises:
        InputError: a source is missing, cannot be understood, or holds nothing of the range.
        BrokerError: Kafka cannot be reached.
        TopicError: there is no such topic.
    """
    spec = _named(texts)
    if isinstance(spec, FileSpec):
        return MessageFiles(spec, settings, options=options or FileOptions(), window=window or Window())
    from streams.replay.sources.kafka_source import KafkaMessages  # files need no client

    return KafkaMessages(spec, settings, window=window or Window(), resume=resume)


def open_mentions(
    texts: Sequence[str],
    settings: Settings,
    *,
    options: FileOptions | None = None,
    window: Window | None = None,
    trust_stories: bool = False,
    resume: SourceFacts | None = None,
) -> MentionSource:
    """Open mentions as they were scored.

    Args:
        texts: what the user named; see `streams.replay.sources.spec`.
        settings: the configuration.
        options: how files are read.
        window: which part is wanted.
        trust_stories: take the stories that files name.
        resume: as for `open_messages`.

    Raises:
        InputError: a source is missing, cannot be understood, or holds nothing of the range.
        BrokerError: Kafka cannot be reached.
        TopicError: there is no such topic.
    """
    spec = _named(texts)
    if isinstance(spec, FileSpec):
        return MentionFiles(
            spec,
            settings,
            options=options or FileOptions(),
            window=window or Window(),
            trust_stories=trust_stories,
        )
    from streams.replay.sources.kafka_source import KafkaMentions

    return KafkaMentions(spec, settings, window=window or Window(), resume=resume)


def _named(texts: Sequence[str]) -> FileSpec | KafkaSpec:
    spec = parse_sources(texts)
    if isinstance(spec, FileSpec) and spec.left_out:
        # Half of a history that is silently missing would look like a quiet half-year.
        verb = "is" if len(spec.left_out) == 1 else "are"
        named = ", ".join(map(str, spec.left_out[:3])) + (", ..." if len(spec.left_out) > 3 else "")
        told = plural(len(spec.left_out), "subfolder")
        _log.warning("%s %s left out (%s): a folder's own files are read alone; name what is meant", told, verb, named)
    return spec
