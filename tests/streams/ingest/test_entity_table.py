from pathlib import Path

import pytest

from streams.errors import InputError
from streams.ingest.entities import Entity, EntityTable, code_symbol, load_table, normal_symbol, sp500
from streams.ingest.entities.build_table import build, display_name
from streams.ingest.entities.names import LEGAL_SUFFIX, base_name, variants


def write(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_table_holds_the_index_with_one_row_per_company() -> None:
    table = sp500()
    assert len(table) == 500
    assert table.get("GOOG") is table.get("GOOGL")
    assert table.get("FOX") is table.get("FOXA")
    assert all(entity.sector and entity.market == "US" for entity in table)


@pytest.mark.parametrize(
    ("written", "symbol"),
    [
        ("$aapl", "AAPL"),
        ("NASDAQ:AAPL", "AAPL"),
        ("NYSE: BRK/B", "BRK.B"),
        ("brk-b", "BRK.B"),
        ("sh600000", "600000.SS"),
        ("600000.SH", "600000.SS"),
        ("SZSE:000001", "000001.SZ"),
        ("700.hk", "00700.HK"),
        ("HK00700", "00700.HK"),
        ("ＡＡＰＬ", "AAPL"),
        ("", ""),
    ],
)
def test_a_symbol_has_one_form_however_it_is_written(written: str, symbol: str) -> None:
    assert normal_symbol(written) == symbol


def test_a_code_must_have_the_length_its_exchange_uses() -> None:
    assert code_symbol("60000", "SSE") is None
    assert code_symbol("123456", "HKEX") is None
    assert code_symbol("000000", "HKEX") is None
    assert code_symbol("600000", "LSE") is None
    assert code_symbol("9", "SEHK") == "00009.HK"


def test_a_table_of_ones_own_reads_aliases_other_symbols_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeffSymbol,name,aliases\nqzx,Quillon Zest plc,Quillon|$QZXA|奎隆\n\n")
    assert load_table(path).entities == (
        Entity(symbol="QZX", name="Quillon Zest plc", aliases=("Quillon", "奎隆"), other_symbols=("QZXA",)),
    )


def test_an_exchange_list_gives_symbols_with_a_suffix_and_leaves_funds_out(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "code,region,name,exchange,type\n699001,SH,云杉股份,SSE,stock\n09991,HK,LARCH TIDE,HKEX,stock\n"
        "09992,HK,LARCH BOND,HKEX,fund\n",
    )
    assert [entity.symbol for entity in load_table(path)] == ["699001.SS", "09991.HK"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("symbol\nQZX\n", "table.csv:1: column 'name' is missing"),
        ("", "table.csv:1: column 'symbol' is missing"),
        ("symbol,name\nQZX,Quillon\nQZX,Quill\n", "table.csv:3: symbol 'QZX' is already on line 2"),
        ("symbol,name\nQZX,Quillon\nQZY,quillon\n", "table.csv:3: name 'quillon' is already on line 2"),
        ("symbol,name\nQZX,Quillon,more\n", "table.csv:2: 3 fields, the header has 2"),
        ("symbol,name\nQ Z!,Quillon\n", "table.csv:2: 'Q Z!' is not a symbol"),
        ("symbol,name\nQZX,--\n", "table.csv:2: '--' is not a name"),
        ('symbol,name\nQZX,"Quillon\n', "table.csv:2: not valid CSV"),
        ("code,name,exchange\n6990,云杉,SSE\n", "table.csv:2: '6990' is no code of exchange 'SSE'"),
        ("code,name,exchange\n699001,云杉,MARS\n", "table.csv:2: '699001' is no code of exchange 'MARS'"),
    ],
)
def test_a_wrong_table_is_refused_with_file_and_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        load_table(write(tmp_path, text))
    assert expected in str(caught.value)


def test_a_table_that_is_missing_or_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv: cannot be read"):
        load_table(tmp_path / "gone.csv")
    path = tmp_path / "latin.csv"
    path.write_bytes(b"symbol,name\nQZX,Qu\xefllon\n")
    with pytest.raises(InputError, match="not UTF-8"):
        load_table(path)


def test_two_companies_cannot_bear_one_symbol() -> None:
    with pytest.raises(InputError, match="QZX belongs to 'Quillon' and to 'Zest'"):
        EntityTable([Entity(symbol="QZX", name="Quillon"), Entity(symbol="Z", name="Zest", other_symbols=("QZX",))])


def test_merging_adds_names_to_known_companies_and_new_companies_after_them() -> None:
    own = EntityTable([Entity(symbol="QZX", name="Quillon", sector="Energy")])
    more = EntityTable([Entity(symbol="QZX", name="Quillon Zest", aliases=("QZ",)), Entity(symbol="VRM", name="Vorm")])
    merged = own.merged([more])
    assert [entity.symbol for entity in merged] == ["QZX", "VRM"]
    quillon = merged.get("QZX")
    assert quillon is not None
    assert (quillon.name, quillon.aliases, quillon.sector) == ("Quillon", ("Quillon Zest", "QZ"), "Energy")


def test_the_nearest_symbol_is_the_one_with_the_fewest_slips() -> None:
    nearest = sp500().nearest("MFST")
    assert nearest is not None
    assert nearest.symbol == "MSFT"
    assert sp500().nearest("9999999999") is None


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("Quillon Inc.", "quillon"),
        ("Quillon Zest Holdings, Ltd.", "quillon zest"),
        ("Quillon & Co.", "quillon"),
        ("The Quillon Company", "quillon"),
        ("The Company", "the"),
        ("云杉电力股份有限公司", "云杉电力"),
        ("云杉电力集团", "云杉电力"),
        ("云杉集团", "云杉集团"),
        ("云杉Ａ", "云杉"),
        ("LARCH-SW", "larch"),
    ],
)
def test_legal_forms_are_no_part_of_a_name(name: str, base: str) -> None:
    assert base_name(name) == base


def test_a_name_is_found_in_its_usual_spellings() -> None:
    assert {"j. q. larch", "j.q. larch", "jq larch"} <= variants("J. Q. Larch")
    assert {"larch & tide", "larch and tide"} <= variants("Larch & Tide")
    assert {"larch-tide", "larch tide"} <= variants("Larch–Tide")
    assert {"larch's", "larchs"} <= variants("Larch’s")
    assert not LEGAL_SUFFIX.search("quillon tacos")


def test_the_build_tool_joins_share_classes_and_keeps_our_aliases(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "Symbol,Security,GICS Sector\nQZX,Quillon Inc. (Class A),Energy\nQZXA,Quillon Inc. (Class B),Energy\n"
        "LRC,Larch Company (The),Utilities\n",
    )
    rows = build(path, {"QZX": "Quill"})
    assert [(row["symbol"], row["name"], row["aliases"]) for row in rows] == [
        ("LRC", "The Larch Company", ""),
        ("QZX", "Quillon Inc.", "Quill|$QZXA"),
    ]
    assert display_name("Larch (Ann)") == "Ann Larch"
    with pytest.raises(InputError, match=r"table\.csv:2: column 'Symbol' is missing"):
        build(write(tmp_path, "Ticker\nQ\n"), {})
