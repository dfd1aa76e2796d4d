import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.entities import Entity, EntityTable, Linker, load_table, sp500

LINKER = Linker(sp500())
CHINESE = EntityTable(
    [
        Entity(symbol="699001.SS", name="云杉电力"),
        Entity(symbol="399901.SZ", name="云杉电力建设"),
        Entity(symbol="300999.SZ", name="机器人"),
        Entity(symbol="09991.HK", name="LARCH TIDE HOLDINGS", aliases=("落潮科技",)),
        Entity(symbol="200012.SZ", name="枫丹Ｂ"),
        Entity(symbol="LRC", name="Larch & Moss Inc", aliases=("Larch",)),
    ]
)
CN = Linker(CHINESE)


def linked(text: str, linker: Linker = LINKER, title: str | None = None, symbols: tuple[str, ...] = ()) -> list[str]:
    return sorted(link.entity for link in linker.link(text, title=title, symbols=symbols))


@pytest.mark.parametrize(
    "text",
    [
        "$AAPL opens higher",
        "watching $aapl.",
        "($Aapl)",
        "＄ＡＡＰＬ today",
        "$MORE$AAPL",
        "NASDAQ:AAPL",
        "(Nasdaq: AAPL) opens",
        "NASDAQ : AAPL",
        "(AAPL.O)",
        "AAPL opens higher",
        "#aapl",
        "Apple opens higher",
        "Apple's new store",
        "Apple’s new store",
        "an Apple-made chip",
        "apple shares open higher",
        "Apple, Inc. opens",
        "APPLE OPENS ANOTHER STORE",
        "苹果今日开盘",
        "今日苹果Apple开盘",
    ],
)
def test_a_company_is_found_in_every_usual_form(text: str) -> None:
    assert linked(text) == ["AAPL"]


@pytest.mark.parametrize("text", ["$BRK.B", "$brk-b", "$BRK/B", "$BRKB", "NYSE: BRK.B", "(NYSE:BRK.B)", "BRK.B rose"])
def test_a_class_of_shares_is_part_of_the_symbol(text: str) -> None:
    assert linked(text) == ["BRK.B"]


def test_share_classes_and_former_symbols_mean_the_same_company() -> None:
    assert linked("$GOOG and $GOOGL and Google") == ["GOOGL"]
    assert linked("$FB then, $META now") == ["META"]


@pytest.mark.parametrize(
    "text",
    [
        "ALL eyes are ON what IT says NOW, SO stay calm",
        "A T or a C on the form",
        "It was the KEY to the CAT house",
        "US$A, A$AP, U$D, C$PG and ARTI$T$",
        "it costs $5 or $3M in all",
        "raised to 3M users",
        "baked an Apple pie with apple juice",
        "Target price raised to $50",
        "Price Target Raised by Analysts at Larch",
        "analysts raise their price target",
        "SELL - Target now $85",
        "we must be on target this year",
        "Mind the gap up this morning",
        "Visa applications are up",
        "a work visa for engineers",
        "the Nasdaq fell while the Dow rose",
        "Dow Jones futures",
        "Good news, everyone. News travels fast",
        "delta variant cases",
        "the Amazon rainforest",
        "an intel report",
        "she: all eyes on it",
        "Nasdaq: All eyes on the Fed",
        "Block trades were thin",
        "Block the road. Key levels matter. Target met.",
        "Meet me at Target Field",
        "gm everyone, ups and downs again",
        "https://www.apple.com/store and www.tesla.com",
        "write to someone@amazon.com",
        "$HP and $COKE are other companies",
        "$T-Mobile",
        "other U.S. banks",
        "MÁS and más",
        "苹果汁和苹果树",
        "亚马逊雨林",
        "pineapple, metadata, Appleton, intelligent",
        "",
    ],
)
def test_what_only_looks_like_a_company_is_not_linked(text: str) -> None:
    assert linked(text) == []


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("Target raises its outlook", "TGT"),
        ("We met at Target today", "TGT"),
        ("shares of Target were flat", "TGT"),
        ("retailer Target was flat", "TGT"),
        ("Target Corp was flat", "TGT"),
        ("Target's new stores", "TGT"),
        ("Target was flat ($TGT)", "TGT"),
        ("Dow Inc was flat", "DOW"),
        ("Southern Company was flat", "SO"),
        ("News Corp was flat", "NWSA"),
        ("$ALL was flat", "ALL"),
        ("$it was flat", "IT"),
        ("(NYSE:C)", "C"),
        ("(T.N)", "T"),
        ("GM was flat", "GM"),
        ("3M Company was flat", "MMM"),
        ("P&G was flat", "PG"),
        ("UPS was flat", "UPS"),
        ("@Tesla was flat", "TSLA"),
        ("Intels and Ciscos", "CSCO"),
    ],
)
def test_ordinary_words_are_companies_where_something_supports_it(text: str, symbol: str) -> None:
    assert symbol in linked(text)


def test_the_longest_name_wins() -> None:
    assert linked("Bank of America and General Motors, not General Mills' rival") == ["BAC", "GIS", "GM"]
    assert linked("GE HealthCare alone") == ["GEHC"]
    assert linked("NASDAQ: MSFT") == ["MSFT"]
    assert linked("T. Rowe Price target raised") == ["TROW"]


def test_a_headline_in_capitals_is_read_with_more_doubt() -> None:
    assert linked("FACTORY ORDERS RISE AS TARGET NEARS, MAS DE LO MISMO") == []
    assert linked("MICROSOFT AND NVDA LEAD MARKETS HIGHER") == ["MSFT", "NVDA"]


def test_an_unsure_name_counts_beside_a_sure_sign_in_title_or_publisher_symbols() -> None:
    assert linked("Target Opens Many More Stores Today") == []
    assert linked("Target Opens Many More Places Today", title="$TGT") == ["TGT"]
    (link,) = LINKER.link("Target Opens Many More Places Today", symbols=["TGT"])
    assert (link.kind, link.place, link.start, link.end) == ("name", "text", 0, 6)


@pytest.mark.parametrize(
    "text",
    [
        "买入699001的理由",
        "699001.SH",
        "699001.ss",
        "SH699001",
        "sh.699001",
        "SSE:699001",
        "（699001）",
        "６９９００１",
        "云杉电力今日公告",
        "$云杉电力(SH699001)$",
    ],
)
def test_chinese_codes_and_short_names_are_found(text: str) -> None:
    assert linked(text, CN) == ["699001.SS"]


@pytest.mark.parametrize(
    "text",
    [
        "1699001",
        "699001元",
        "699001 shares",
        "¥699001",
        "1,699001",
        "699001.50",
        "699,001",
        "+699001",
        "699001%",
        "电话：699001",
        "tel 699001",
        "2026-699001",
        "699001-22",
        "699001.SZ",
        "SZ699001",
        "699002",
        "abc699001",
        "200012",
    ],
)
def test_six_digits_that_are_an_amount_a_date_or_a_number_are_no_code(text: str) -> None:
    assert linked(text, CN) == []


def test_hong_kong_codes_need_their_exchange_and_may_drop_zeros() -> None:
    for text in ("09991.HK", "9991.hk", "HK09991", "HKEX: 9991", "SEHK:09991"):
        assert linked(text, CN) == ["09991.HK"]
    assert linked("9991 and 09991", CN) == []


def test_a_chinese_name_inside_a_longer_known_name_is_the_longer_one() -> None:
    assert linked("云杉电力建设今日公告", CN) == ["399901.SZ"]


def test_a_chinese_word_that_is_also_a_name_needs_another_sign() -> None:
    assert linked("工厂里的机器人", CN) == []
    assert linked("机器人（300999）", CN) == ["300999.SZ"]


def test_a_name_that_two_companies_share_links_neither() -> None:
    twins = [Entity(symbol="AQZ", name="Larch Inc"), Entity(symbol="BQZ", name="Larch Corp")]
    linker = Linker(EntityTable(twins))
    assert linked("Larch is flat", linker) == []
    assert linked("Larch Corp and Larch Inc", linker) == ["AQZ", "BQZ"]


def test_an_acronym_that_is_also_a_word_needs_support() -> None:
    linker = Linker(EntityTable([Entity(symbol="09993.HK", name="SEA"), Entity(symbol="09994.HK", name="QZV")]))
    assert linked("the sea, the SEA and the qzv", linker) == []
    assert linked("SEA shares and QZV", linker) == ["09993.HK", "09994.HK"]


def test_extra_tables_add_companies(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("symbol,name\nQZX,Quillon Zest plc\n", encoding="utf-8")
    linker = Linker(sp500(), extra_tables=[load_table(path)])
    assert linked("Quillon Zest and Microsoft", linker) == ["MSFT", "QZX"]


def test_publisher_symbols_are_read_in_any_form_and_unknown_ones_passed_over() -> None:
    links = LINKER.link("no company here", symbols=["NASDAQ:AAPL", "$aapl", "NOPE"])
    assert [(link.entity, link.kind, link.place, link.start, link.end, link.mentions) for link in links] == [
        ("AAPL", "publisher", "symbols", 0, 0, 0)
    ]


def relevance(text: str, symbol: str, title: str | None = None, symbols: tuple[str, ...] = ()) -> float:
    links = LINKER.link(text, title=title, symbols=symbols)
    return next(link.relevance for link in links if link.entity == symbol)


def test_title_and_cashtag_beat_a_passing_word_and_a_passing_word_beats_a_list_of_tags() -> None:
    filler = "Traders were calm and volumes thin. " * 20
    in_title = relevance(filler, "MSFT", title="Microsoft opens an office")
    tagged = relevance("$MSFT opens an office", "MSFT")
    early = relevance("Microsoft opens an office. " + filler, "MSFT")
    passing = relevance(filler + "Microsoft, too.", "MSFT")
    tags = relevance(" ".join(f"${e.symbol}" for e in sp500().entities[:14]) + " $MSFT", "MSFT")
    assert in_title > tagged > early > passing > tags
    assert tags < 0.15 < 0.25 < passing


def test_more_mentions_and_the_publishers_word_raise_relevance() -> None:
    once = relevance("Microsoft opens an office", "MSFT")
    assert relevance("Microsoft opens an office, says Microsoft", "MSFT") > once
    assert relevance("Microsoft opens an office", "MSFT", symbols=("MSFT",)) > once


def test_unknown_tags_make_a_list_no_less_of_a_list() -> None:
    assert relevance("$MSFT $QQA $QQB $QQC $QQD $QQE", "MSFT") < relevance("$MSFT", "MSFT") / 1.5


def test_links_come_by_relevance_then_by_symbol() -> None:
    links = LINKER.link("", symbols=["V", "MSFT", "AAPL"], title="Tesla opens")
    assert [link.entity for link in links] == ["TSLA", "AAPL", "MSFT", "V"]


@pytest.mark.parametrize(
    "piece", ["www.", "$A", "$", "Target ", "NYSE:", "price target ", "(T.N)", "A-", "苹果", "https://"]
)
def test_a_text_of_one_repeated_piece_takes_time_in_proportion_to_its_length(piece: str) -> None:
    began = time.process_time()
    LINKER.link(piece * (200_000 // len(piece)))
    assert time.process_time() - began < 3.0  # some 0.2 s; with a square in it, minutes


ALPHABET = st.sampled_from(list("aAbBcCtTgGeEKkIiSs0123456789$$..::-'/#@ ()（）&,股份苹果微软云杉 ÉéİßＡ\n\t"))
PIECES = st.sampled_from(
    [
        "$AAPL",
        "$T",
        "Apple",
        "apple",
        "NYSE: ",
        "Target",
        "price target",
        "699001",
        "www.",
        "苹果",
        "云杉电力",
        "Bank of ",
    ]
)
TEXTS = st.one_of(st.text(), st.text(ALPHABET), st.lists(st.one_of(PIECES, st.text(ALPHABET, max_size=4))).map("".join))
BOTH = Linker(sp500(), extra_tables=[CHINESE])


@given(TEXTS, st.none() | TEXTS, st.lists(st.text(max_size=8), max_size=3))
def test_any_text_gives_ordered_links_with_spans_inside_it(text: str, title: str | None, symbols: list[str]) -> None:
    links = BOTH.link(text, title=title, symbols=symbols)
    assert links == BOTH.link(text, title=title, symbols=symbols)
    assert [(-link.relevance, link.entity) for link in links] == sorted((-x.relevance, x.entity) for x in links)
    assert len({link.entity for link in links}) == len(links)
    for link in links:
        assert 0.0 <= link.relevance <= 1.0
        place = {"title": title or "", "text": text, "symbols": ""}[link.place]
        assert 0 <= link.start <= link.end <= len(place)
        assert (link.start < link.end) == (link.place != "symbols")


@given(st.lists(st.sampled_from([e.symbol for e in sp500()] + ["QQQA", "USD"]), max_size=6))
def test_the_case_of_cashtags_does_not_matter(symbols: list[str]) -> None:
    upper = " and ".join(f"${symbol}" for symbol in symbols)
    assert LINKER.link(upper) == LINKER.link(upper.lower())
