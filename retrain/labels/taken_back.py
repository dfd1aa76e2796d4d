"""What people have taken back on squall.labels: a record without a value, under the key of what was said. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from retrain.labels.judgement import Judgement
from streams.verdicts import OF_ALERTS, Subject, subject_of


class TakenBack:
    """Keys of squall.labels whose words no longer hold.

    Args:
        keys: by key, when what was said under it afterwards, and holds, was said. Empty for most.
    """

    def __init__(self, keys: Mapping[str, Collection[datetime]]) -> None:
        self._keys = {key: frozenset(held) for key, held in keys.items()}
        self._by_subject: dict[tuple[str, str, str], list[tuple[Subject, frozenset[datetime]]]] = defaultdict(list)
        for key, held in self._keys.items():
            subject = subject_of(key.encode())
            if subject is not None:
                self._by_subject[(subject.kind, subject.id, subject.by)].append((subject, held))

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, judgement: object) -> bool:
        """Whether a judgement came of a word that was taken back and not said again since."""
        if not isinstance(judgement, Judgement) or judgement.kind == "label":
            return False  # labels of files are nobody's word on the topic
        if judgement.record_key is not None:
            held = self._keys.get(judgement.record_key)
            return held is not None and judgement.learned_at not in held
        return self._is_of_old(judgement)

    def _is_of_old(self, judgement: Judgement) -> bool:
        """The same for one that was kept before its key was kept with it: by what it is about, and by whom."""
        of_alert = judgement.kind in OF_ALERTS
        what = judgement.alert_id or "" if of_alert else judgement.message_id
        found = self._by_subject.get(("alert" if of_alert else "message", what, judgement.by), ())
        return any(
            subject.entity in (None, judgement.entity) and judgement.learned_at not in held for subject, held in found
        )


NOTHING = TakenBack({})
