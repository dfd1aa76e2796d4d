"""What the tests of delivery share."""

from collections.abc import Callable

import pytest

from streams.records import Alert
from tests.streams.invented_alert import sample_alert


@pytest.fixture
def make_alert() -> Callable[..., Alert]:
    """`make_alert(**changes)`: the invented alert, with some fields changed."""
    return sample_alert
