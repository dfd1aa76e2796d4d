"""The bench of a scrape measures what it says: more companies make a longer answer."""

from __future__ import annotations

from deploy.bench.scrape import measure, mentions_of, run


def test_more_watched_companies_make_a_longer_answer_and_the_same_work_for_the_rules() -> None:
    none, few = (measure(watched, companies=4, rounds=1) for watched in (0, 3))
    assert few.scrape_bytes > none.scrape_bytes > 0
    assert none.absorb_s > 0
    assert few.gather_s > 0


def test_every_company_is_spoken_of_in_every_minute() -> None:
    said = mentions_of(["AAPL", "MSFT"])
    assert len({(mention.entity, mention.published_at.replace(second=0, microsecond=0)) for mention in said}) == len(
        said
    )
    assert len({mention.text for mention in said}) == len(said)


def test_its_figures_name_what_they_are_held_against() -> None:
    figures = run(watched=(2,), companies=4, rounds=1)
    assert [figure.unit for figure in figures] == ["ms CPU"] * 3
    assert figures[2].against.startswith("absorbing ")
