"""Stories: what is a copy, what is not, what is forgotten, and that saved state goes on exactly."""

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitor import fingerprint as fingerprints
from streams.monitor.fingerprint import MAX_KEYS, MAX_TOKENS, difference, fingerprint
from streams.monitor.stories import HOUR_S, StoryIndex

NOON_S = 1_700_000_000.0
HEADLINE = "Brightwater Foods recalls frozen dinners after inspectors find metal splinters"


def same_story(first: str, second: str) -> bool:
    index = StoryIndex()
    index.assign(first, message_id="a", at_s=NOON_S)
    return index.assign(second, message_id="b", at_s=NOON_S + 60).copy


@pytest.mark.parametrize(
    "copy",
    [
        f"RT @wire: {HEADLINE}",
        f"RT {HEADLINE}",
        f"UPDATE 1-{HEADLINE}",
        f"Update: {HEADLINE}",
        f"BREAKING: JUST IN {HEADLINE}",
        f"{HEADLINE} https://example.test/one",
        f"{HEADLINE} - Reuters",
        f"{HEADLINE} via Market Desk",
        HEADLINE.upper() + "!!!",
        f"“{HEADLINE}” (Reuters)",
        "What our desk reads: " + HEADLINE,
        HEADLINE + " #food #safety $BWFX",
        "@friend look: " + HEADLINE.replace("inspectors", "regulators"),
        HEADLINE.replace("metal splinters", "meta…"),
    ],
)
def test_a_prefix_a_link_a_source_or_one_changed_word_is_the_same_story(copy: str) -> None:
    assert same_story(HEADLINE, copy)
    assert same_story(copy, HEADLINE)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (HEADLINE, "Brightwater Foods names a new finance chief from a rival grocer"),
        ("Brightwater raises its full-year outlook again", "Brightwater cuts its full-year outlook again"),
        ("Brightwater sales grow 4.1% in its home markets", "Brightwater sales grow 9.7% in its home markets"),
        ("Brightwater opens two plants near the coast in May", "Brightwater opens six plants near the coast in May"),
        ("Brightwater profit outlook for Q2 stays as it was", "Brightwater profit outlook for Q3 stays as it was"),
        ("Buyers circle food makers, desk says $BWFX leads", "Buyers circle food makers, desk says $OLDM leads"),
        ("Brightwater to Report Second Quarter Results", "Oldmill to Report Second Quarter Results"),
        (
            "Brightwater Announces Third Quarter 2031 Earnings Release and Conference Call",
            "Oldmill Foods Announces Third Quarter 2031 Earnings Release and Conference Call",
        ),
        ("$BWFX: Large cap notable movers of the day", "$BWFX: Mid cap notable movers of the day"),
        ("$BWFX $OLDM $CRSP", "$BWFX $OLDM $CRSP going for it now"),
        ("Brightwater soars", "Brightwater sinks"),
        ("明河食品今日股价大幅上涨创出历史新高", "明河食品今日股价大幅下跌创出历史新高"),
        ("明河食品今日股价大幅上涨创出历史新高", "明河食品召回一批冷冻产品并向消费者道歉"),
    ],
)
def test_other_news_figures_quarters_companies_or_directions_are_other_stories(first: str, second: str) -> None:
    assert not same_story(first, second)
    assert not same_story(second, first)


def test_two_reposts_that_each_changed_another_word_of_eight_are_one_story() -> None:
    words = "$BWFX probe widens after supplier letters reach board auditors".split()
    for left in range(1, 9):
        for right in range(1, 9):
            first, second = words.copy(), words.copy()
            first[left], second[right] = "changed", "different"
            assert same_story("RT " + " ".join(first), "JUST IN " + " ".join(second)), (left, right)


def test_chinese_text_with_one_changed_word_is_the_same_story() -> None:
    assert same_story("明河食品召回一批冷冻产品并向消费者道歉", "快讯：明河食品召回一批冷藏产品并向消费者道歉")


def test_a_text_under_four_words_matches_only_exactly() -> None:
    assert same_story("Brightwater halted again", "RT @wire: Brightwater halted again!")
    assert not same_story("Brightwater halted again", "Brightwater halted twice")


def test_texts_without_words_are_stories_of_their_own() -> None:
    index = StoryIndex()
    assert not index.assign("https://example.test/a", message_id="a", at_s=NOON_S).copy
    assert not index.assign("https://example.test/a", message_id="b", at_s=NOON_S).copy
    assert len(index) == 0


def test_a_fingerprint_is_bounded() -> None:
    long = fingerprint(" ".join(f"word{chr(97 + n % 26)}{n}" for n in range(500)))
    assert len(long.tokens) == MAX_TOKENS
    assert len(long.keys) == MAX_KEYS


def test_the_story_is_named_after_its_first_message_and_the_horizon_is_anchored_there() -> None:
    index = StoryIndex(horizon_s=3600)
    first = index.assign(HEADLINE, message_id="a", at_s=NOON_S)
    late = index.assign(HEADLINE, message_id="b", at_s=NOON_S + 3600)
    beyond = index.assign(HEADLINE, message_id="c", at_s=NOON_S + 3600.001)
    after = index.assign(HEADLINE, message_id="d", at_s=NOON_S + 3601)
    assert (late.story, late.copy, late.first_message_id) == (first.story, True, "a")
    assert not beyond.copy
    assert beyond.story != first.story
    assert after.first_message_id == "c"


def test_the_closest_story_wins_then_the_earliest() -> None:
    index = StoryIndex()
    base = "probe widens after supplier letters reach board auditors in capital".split()
    far = " ".join(["one", "other", *base[1:]])
    index.assign(" ".join(["alpha", "beta", "gamma", *base[3:]]), message_id="far", at_s=NOON_S)
    index.assign(far, message_id="near", at_s=NOON_S + 1)
    assert index.assign(" ".join(["one", *base]), message_id="x", at_s=NOON_S + 2).first_message_id == "near"


def test_memory_is_bounded_and_the_oldest_story_goes_first() -> None:
    index = StoryIndex(max_stories=2)
    for number, text in enumerate(("alpha", "beta", "gamma")):
        index.assign(text, message_id=text, at_s=NOON_S + number)
    assert len(index) == 2
    assert index.assign("gamma", message_id="x", at_s=NOON_S + 9).copy
    assert index.assign("beta", message_id="y", at_s=NOON_S + 9).copy
    assert not index.assign("alpha", message_id="z", at_s=NOON_S + 9).copy


def test_expiry_names_the_hours_that_are_gone() -> None:
    index = StoryIndex()
    for hours in (0, 1, 3):
        index.assign(f"text {'abc'[hours % 3]} {hours}", message_id=str(hours), at_s=hours * HOUR_S + 10.0)
    assert index.expire(2 * HOUR_S - 1) == [0]
    assert index.expire(4 * HOUR_S) == [1, 3]
    assert (len(index), index.hours(), index.dirty_hours()) == (0, [], set())
    assert not index._postings
    assert not index._exact


def test_a_copy_changes_nothing_that_has_to_be_saved() -> None:
    index = StoryIndex()
    index.assign(HEADLINE, message_id="a", at_s=NOON_S)
    assert index.dirty_hours() == {int(NOON_S // HOUR_S)}
    index.clean()
    index.assign("RT " + HEADLINE, message_id="b", at_s=NOON_S + HOUR_S)
    assert index.dirty_hours() == set()


def test_chunks_that_cannot_be_read_are_refused_with_the_reason() -> None:
    index = StoryIndex()
    index.assign(HEADLINE, message_id="a", at_s=10.0)
    good = index.chunk(0)
    newer = msgspec.msgpack.encode([2, *msgspec.msgpack.decode(good)[1:]])
    for hour, data, words in (
        (0, newer, "version 2"),
        (0, b"\xc1", "cannot be read"),
        (0, good[:-1], "cannot be read"),
        (0, msgspec.msgpack.encode([1, 0, [1], ["a"], [5], b"1234"]), "damaged"),
        (0, msgspec.msgpack.encode([1, 0, [1, 2], ["a"], [1], b"1234"]), "damaged"),
        (0, msgspec.msgpack.encode([1, 0, [1], ["a"], [1], b"123"]), "cannot be read"),
        (7, good, "hour 0"),
    ):
        fresh = StoryIndex()
        with pytest.raises(ValueError, match=words):
            fresh.load_chunk(hour, data)
        assert fresh.hours() == []
    with pytest.raises(ValueError, match="held already"):
        index.load_chunk(0, good)
    with pytest.raises(ValueError, match="hour 5"):
        index.chunk(5)


def test_bounds_must_be_positive() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        StoryIndex(horizon_s=0)
    with pytest.raises(ValueError, match="greater than 0"):
        StoryIndex(max_stories=0)


def test_a_crowd_of_alike_stories_does_not_slow_or_sway_the_answer() -> None:
    def text(number: int) -> str:
        return f"Brightwater shares trade at {number} at the close of the market today"

    index = StoryIndex()
    for number in range(1500):
        assert not index.assign(text(number), message_id=str(number), at_s=NOON_S + number).copy
    assert index.assign("RT " + text(700), message_id="x", at_s=NOON_S + 2000).first_message_id == "700"


words = st.sampled_from("probe widens supplier letters board rises falls 3 7 $BWFX the of 明 河 涨 跌".split())
texts = st.lists(words, max_size=14).map(" ".join)
steps = st.lists(st.tuples(st.integers(0, 40 * 60_000), texts), max_size=60)


@settings(max_examples=150, deadline=None)
@given(steps=steps, save_every=st.integers(1, 7), max_stories=st.integers(1, 12), data=st.data())
def test_an_index_saved_and_restored_at_any_time_answers_as_one_never_saved(
    steps: list[tuple[int, str]], save_every: int, max_stories: int, data: st.DataObject
) -> None:
    """The store holds only dirty chunks and drops expired hours, as the caller's table does."""
    horizon_s = 2 * HOUR_S
    never, saved = StoryIndex(horizon_s, max_stories), StoryIndex(horizon_s, max_stories)
    store: dict[int, bytes] = {}
    at_ms = 1_699_999_000_000
    for number, (gap_ms, text) in enumerate(steps):
        at_ms += gap_ms
        at_s = at_ms / 1000
        expected = never.assign(text, message_id=f"m{number}", at_s=at_s)
        assert saved.assign(text, message_id=f"m{number}", at_s=at_s) == expected
        if number % save_every:
            continue
        gone = never.expire(at_s - horizon_s)
        assert saved.expire(at_s - horizon_s) == gone
        for hour in gone:
            store.pop(hour, None)
        for hour in saved.dirty_hours():
            store[hour] = saved.chunk(hour)
        saved = StoryIndex(horizon_s, max_stories)
        for hour in data.draw(st.permutations(sorted(store))):
            saved.load_chunk(hour, store[hour])
        assert saved.hours() == never.hours()
        assert [saved.chunk(hour) for hour in saved.hours()] == [never.chunk(hour) for hour in never.hours()]
        assert saved.dirty_hours() == set()


@given(first=texts, second=texts)
def test_the_difference_is_none_or_small_and_zero_for_equal_texts(first: str, second: str) -> None:
    left, right = fingerprint(first).tokens, fingerprint(second).tokens
    assert difference(left, left) == 0
    distance = difference(left, right)
    assert distance is None or 0 <= distance <= 2 * (len(left) + len(right))


@given(text=st.text(st.characters(max_codepoint=127), max_size=60))
def test_the_words_of_an_ascii_text_are_those_of_any_text(text: str) -> None:
    folded = text.casefold()
    assert fingerprints._ASCII_TOKEN.findall(folded) == fingerprints._TOKEN.findall(folded)


@given(text=st.text("ab c.…明\n", max_size=60), ending=st.sampled_from(["…", "..."]))
def test_a_cut_off_word_is_found_from_the_end_as_from_the_beginning(text: str, ending: str) -> None:
    text = f"{text}{ending}".strip()
    forwards = re.compile(rf"[^\s{fingerprints._CJK}]{{0,40}}(?:…|\.\.\.)\s*$")
    backwards = fingerprints._CUT_OFF_BACKWARDS.match(text[::-1])
    assert backwards is not None
    assert text[: -backwards.end()] == forwards.sub("", text)


def test_words_are_forgotten_when_they_are_too_many_and_mean_the_same_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = fingerprint(HEADLINE)
    tokens = fingerprints._Tokens()
    monkeypatch.setattr(fingerprints, "_MAX_WORDS", 3)
    monkeypatch.setattr(fingerprints, "_tokens", tokens)
    fingerprint.cache_clear()
    assert fingerprint(HEADLINE) == before
    assert len(tokens) <= 3
    fingerprint.cache_clear()


@settings(max_examples=150, deadline=None)
@given(steps=steps, max_stories=st.integers(1, 12))
def test_the_index_holds_the_keys_of_its_stories_and_no_others(steps: list[tuple[int, str]], max_stories: int) -> None:
    index = StoryIndex(2 * HOUR_S, max_stories)
    at_ms = 1_699_999_000_000
    for number, (gap_ms, text) in enumerate(steps):
        at_ms += gap_ms
        index.assign(text, message_id=f"m{number}", at_s=at_ms / 1000)
        if number % 5 == 0:
            index.expire(at_ms / 1000 - 2 * HOUR_S)
        expected: dict[int, set[int]] = {}
        for held, story in index._stories.items():
            for key in story.keys:
                expected.setdefault(key, set()).add(held)
        found = {key: [held] if isinstance(held, int) else held for key, held in index._postings.items()}
        assert {key: set(held) for key, held in found.items()} == expected
        assert all(len(held) == len(set(held)) for held in found.values())
        assert index.hours() == sorted(index._hours)


def test_the_figures_of_a_feed_fill_no_memory_and_its_words_one_with_a_bound() -> None:
    fingerprint("Zorvane Mills sells 1 stake")
    known = len(fingerprints._tokens)
    for number in range(2_000):
        fingerprint(f"Zorvane Mills sells {number * 1_000_003} stake")
    assert len(fingerprints._tokens) == known
    for number in range(fingerprints._MAX_WORDS + 10):
        fingerprints._tokens["q" + "".join(chr(97 + int(digit)) for digit in str(number))]
    assert len(fingerprints._tokens) <= fingerprints._MAX_WORDS
