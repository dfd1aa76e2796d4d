from datetime import UTC, datetime, timedelta

import pytest

from deploy.bench.feed import (
    SURGE_MESSAGES,
    everyday,
    everyday_companies,
    live_feed,
    surge,
    surging_companies,
    write_table,
)
from streams.ingest.entities import Linker, load_table, sp500
from streams.monitor.stories import StoryIndex

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def linker(tmp_path_factory: pytest.TempPathFactory) -> Linker:
    path = tmp_path_factory.mktemp("feed") / "companies.csv"
    write_table(path, everyday_companies() + surging_companies(40))
    return Linker(sp500().merged([load_table(path)]))


def test_every_everyday_message_is_about_one_company_and_no_text_comes_twice(linker: Linker) -> None:
    messages = everyday(2_000, start=START)
    assert len({message.text for message in messages}) == 2_000
    assert len({message.id for message in messages}) == 2_000
    for message in messages:
        links = [link for link in linker.link(message.text) if link.relevance >= 0.2]
        assert [link.entity for link in links] == [message.text[1:5]]


def test_a_surge_is_about_its_company_alone_and_tells_different_stories(linker: Linker) -> None:
    for company in surging_companies(40):
        messages = surge(company, minute=START)
        stories = StoryIndex()
        for message in messages:
            links = [link for link in linker.link(message.text) if link.relevance >= 0.2]
            assert [link.entity for link in links] == [company.symbol]
            assert START <= message.published_at < START + timedelta(minutes=1)
        copies = [
            stories.assign(message.text, message_id=message.id, at_s=message.published_at.timestamp()).copy
            for message in sorted(messages, key=lambda message: message.published_at)
        ]
        assert sum(not copy for copy in copies) >= SURGE_MESSAGES - 2
        assert len({message.author for message in messages}) == SURGE_MESSAGES
        assert len({message.source for message in messages}) >= 2


def test_companies_have_symbols_and_names_of_their_own() -> None:
    companies = everyday_companies() + surging_companies(500)
    assert len({company.symbol for company in companies}) == len(companies)
    assert len({company.name for company in companies}) == len(companies)
    with pytest.raises(ValueError, match="not 501"):
        surging_companies(501)


def test_the_live_feed_is_in_order_of_time_with_each_surge_in_its_minute() -> None:
    messages, companies = live_feed(start=START, minutes=2, surges_per_minute=3, everyday_per_s=4, tail_s=5)
    times = [message.published_at for message in messages]
    assert times == sorted(times)
    assert len(companies) == 6
    assert len(messages) == 6 * SURGE_MESSAGES + 125 * 4
    last = [message.published_at for message in messages if companies[-1].symbol in message.text]
    assert START + timedelta(minutes=1) <= min(last)
    assert max(times) >= START + timedelta(minutes=2, seconds=4)
