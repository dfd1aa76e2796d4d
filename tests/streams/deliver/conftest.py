"""What the tests of delivery share."""

from collections.abc import AsyncIterator, Callable

import pytest

from streams.records import Alert
from tests.streams.deliver.recording import Clock, Recording, recording
from tests.streams.invented_alert import sample_alert


@pytest.fixture
def make_alert() -> Callable[..., Alert]:
    """`make_alert(**changes)`: the invented alert, with some fields changed."""
    return sample_alert


@pytest.fixture
async def receiver() -> AsyncIterator[Recording]:
    """A recording HTTP server."""
    async with recording() as double:
        yield double


@pytest.fixture
def clock() -> Clock:
    """Time that passes when somebody sleeps."""
    return Clock()
