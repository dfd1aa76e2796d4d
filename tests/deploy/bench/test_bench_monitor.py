from collections import Counter

from deploy.bench.monitor import VOTES_PER_BIN, five_rules, invented_mentions, measure, run
from streams.monitor import default_rules


def test_invented_mentions_are_the_same_in_every_run_and_every_bin_holds_as_many() -> None:
    mentions = list(invented_mentions(48, keys=6, given_stories=False))
    assert mentions == list(invented_mentions(48, keys=6, given_stories=False))
    assert [mention.published_at for mention in mentions] == sorted(mention.published_at for mention in mentions)
    bins = Counter((mention.entity, mention.published_at.replace(second=0, microsecond=0)) for mention in mentions)
    assert len(bins) == 12
    assert set(bins.values()) == {VOTES_PER_BIN}
    assert any(mention.text.startswith("RT @desk: ") for mention in mentions)
    assert not any(mention.text for mention in invented_mentions(48, keys=6, given_stories=True))


def test_the_five_rules_have_names_and_versions_of_their_own() -> None:
    rules = five_rules().rules
    assert len({rule.alert for rule in rules}) == len({rule.version for rule in rules}) == 5


def test_mentions_and_their_json_leave_the_same_state() -> None:
    direct, decoded = (
        measure(invented_mentions(3000, keys=3, given_stories=False), default_rules(), from_json=from_json)
        for from_json in (False, True)
    )
    assert direct.record_bytes == decoded.record_bytes > 500
    assert direct.per_s > 0


def test_it_measures_rules_alone_for_every_number_of_companies_and_the_whole_from_json() -> None:
    figures = run(mentions=400, keys=(5, 50), as_scored_keys=5)
    assert [figure.name for figure in figures] == [
        "five rules alone, 5 companies",
        "the first bin of each of 5",
        "what they know of a company at most, 5",
        "a company's record, 5 companies",
        "its day's memory of messages, 5 companies",
        "five rules alone, 50 companies",
        "the first bin of each of 50",
        "what they know of a company at most, 50",
        "a company's record, 50 companies",
        "its day's memory of messages, 50 companies",
        "a company's record after a day of 240 an hour",
        "its day's memory of messages and stories",
        "default rules, stories found",
        "the same from JSON",
    ]
    assert all(figure.value > 0 for figure in figures)
    assert figures[5].against.startswith("5 companies ")
