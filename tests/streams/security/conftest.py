"""A secured broker for the session, and users with the rights of each role."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.streams.security.secure_broker import ADMIN, SecureBroker

NAMES = (
    ADMIN, "topics", "publisher", "scorer", "monitor", "both", "verdicts", "operator", "replay", "warm", "lag", "labels"
)  # fmt: skip


@pytest.fixture(scope="session")
def secure_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """A broker on which nobody may do anything but `admin`, with users of these names."""
    broker = SecureBroker(tmp_path_factory.mktemp("secure"), {name: f"{name}-planted-password" for name in NAMES})
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
