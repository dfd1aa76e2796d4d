"""What all tests share: a real Kafka broker, and settings that keep tests out of each other's way."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from streams.config import Settings

# kafka-python 3.0.12 reads its protocol files by a call that Python 3.11 and 3.12 call deprecated (3.13 does not).
KAFKA_PYTHON_READS = "(open|read)_text is deprecated"
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", KAFKA_PYTHON_READS, DeprecationWarning)
    from deploy.kafka import LocalBroker, free_port
    from streams.topics import create_topics


class MakeSettings(Protocol):
    """See the fixture `make_settings`."""

    def __call__(self, bootstrap: str, prefix: str, **sections: dict[str, Any]) -> Settings: ...


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI a skipped test has failed, unless it needs a GPU: nobody reads the list of what was skipped."""
    report = yield
    if (
        os.environ.get("CI")
        and report.skipped
        and not hasattr(report, "wasxfail")
        and not item.get_closest_marker("gpu")
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A real broker on a free port, over a folder of its own, for the whole session.

    A test that stops it must start it again. Where it cannot run, the tests fail with the reason; none is skipped.
    """
    broker = LocalBroker(tmp_path_factory.mktemp("kafka"), free_port())
    broker.start(timeout_s=120)
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def make_settings() -> MakeSettings:
    """`make_settings(bootstrap, prefix, **sections)`: settings for a broker, with further keys by section."""

    def make(bootstrap: str, prefix: str, **sections: dict[str, Any]) -> Settings:
        kafka = {"bootstrap_servers": bootstrap, **sections.pop("kafka", {})}
        topics = {"prefix": prefix, "message_partitions": 2, "mention_partitions": 2, **sections.pop("topics", {})}
        return Settings.model_validate({"kafka": kafka, "topics": topics, **sections})

    return make


@pytest.fixture
def topic_prefix() -> str:
    """A prefix of topics that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def settings(kafka: LocalBroker, make_settings: MakeSettings, topic_prefix: str) -> Settings:
    """Settings for the session's broker, under this test's own prefix; no topics are made."""
    return make_settings(kafka.bootstrap, topic_prefix)


@pytest.fixture
def settings_with_topics(settings: Settings) -> Settings:
    """The same, with the topics of the design made."""
    create_topics(settings)
    return settings
