"""The transitions of an alert as one story."""

from __future__ import annotations

from msgspec.structs import replace

from streams.records import Suppressed
from streams.replay.report.lives import lives
from tests.streams.invented_alert import sample_alert


def test_what_was_kept_back_to_its_end_is_shown_as_such_and_did_not_come_to_nothing() -> None:
    kept = Suppressed(by="cooldown", what="Surge")
    first = sample_alert(state="pending", transition=0)
    back = replace(sample_alert(state="suppressed", transition=1, fired_at=None), suppressed=kept)
    over = replace(sample_alert(state="inactive", transition=2, fired_at=None), suppressed=kept)
    (life,) = lives([first, back, over])
    assert life.shown is back
    assert (life.fired, life.was_kept_back) == (None, True)
    (told,) = lives([first, back, sample_alert(state="firing", transition=2)])
    assert told.fired is not None
    assert not told.was_kept_back
