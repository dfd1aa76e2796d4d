from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from retrain.labels.store import Added, LabelStore
from retrain.labels.taken_back import TakenBack
from tests.retrain.labels.conftest import NOON, Judge

KEY = '["message","desk:1",null,"ana"]'
OF_ALERT = '["alert","a1",null,"ana"]'


def test_a_word_that_was_taken_back_is_struck_out_and_counted_and_the_others_stay(tmp_path: Path, judge: Judge) -> None:
    store = LabelStore(tmp_path)
    store.add(
        [
            judge("negative", kind="negative", record_key=KEY),
            judge("negative", kind="negative", by="ben", record_key=KEY.replace("ana", "ben")),
            judge("neutral", message="desk:2", kind="neutral", record_key=KEY.replace("desk:1", "desk:2")),
        ]
    )
    assert store.add([], TakenBack({KEY: ()})) == Added(new=0, changed=0, known=0, taken_back=1)
    assert [(one.message_id, one.by) for one in store.read()] == [("desk:1", "ben"), ("desk:2", "ana")]
    assert store.add([], TakenBack({KEY: ()})).taken_back == 0


def test_what_is_said_again_afterwards_holds_however_often_it_is_imported(tmp_path: Path, judge: Judge) -> None:
    store = LabelStore(tmp_path)
    store.add([judge("negative", kind="negative", record_key=KEY)])
    again = judge("positive", kind="positive", later_min=9, record_key=KEY)
    taken_back = TakenBack({KEY: [NOON + timedelta(minutes=9)]})
    assert store.add([again], taken_back) == Added(new=1, changed=0, known=0, taken_back=1)
    assert store.add([again], taken_back) == Added(new=0, changed=0, known=1, taken_back=0)
    assert store.add([], taken_back).taken_back == 0  # its message may be past retention by now: the text is kept here
    assert [one.answer for one in store.read()] == ["positive"]


def test_all_that_followed_from_an_alert_goes_with_the_verdict_on_it(tmp_path: Path, judge: Judge) -> None:
    store = LabelStore(tmp_path)
    of_alert = {"kind": "true_alarm", "alert_id": "a1", "record_key": OF_ALERT}
    store.add([judge("negative", message=f"desk:{number}", **of_alert) for number in range(3)])
    store.add([judge("negative", message="desk:9")])
    assert store.add([], TakenBack({OF_ALERT: ()})).taken_back == 3
    assert [one.message_id for one in store.read()] == ["desk:9"]


@pytest.mark.parametrize(
    ("key", "gone"),
    [
        (KEY, True),
        ('["message","desk:1","ACME","ana"]', True),
        ('["message","desk:1","OTHR","ana"]', False),
        ('["message","desk:1",null,"ben"]', False),
        ('["alert","desk:1",null,"ana"]', False),
        ("desk:1", False),
        ("[[[[", False),
    ],
)
def test_a_word_that_was_kept_before_keys_were_is_known_by_its_subject(
    tmp_path: Path, judge: Judge, key: str, gone: bool
) -> None:
    store = LabelStore(tmp_path)
    store.add([judge("negative", kind="negative", entity="ACME")])
    assert store.add([], TakenBack({key: ()})).taken_back == gone


def test_a_label_of_a_file_is_nobody_s_word_on_the_topic(tmp_path: Path, judge: Judge) -> None:
    store = LabelStore(tmp_path)
    store.add([judge("negative")])
    assert store.add([], TakenBack({KEY: ()})).taken_back == 0
