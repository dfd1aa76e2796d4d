from pathlib import Path

import pytest

from streams.errors import InputError
from streams.ingest.entities import Entity, EntityTable, Linker, load_watchlist

TABLE = EntityTable([Entity(symbol="QZX", name="Quillon Zest"), Entity(symbol="ON", name="Onward Larch")])


def write(folder: Path, text: str, name: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("desk.yaml", "QZX: [the zesty one, Quillon]\nON:\n"),
        ("desk.txt", "# energy\nQZX: the zesty one | Quillon  # both\n\n$ON\n"),
    ],
)
def test_a_watch_list_marks_companies_and_adds_the_names_of_the_desk(tmp_path: Path, name: str, text: str) -> None:
    watchlist = load_watchlist(write(tmp_path, text, name))
    assert watchlist.name == "desk"
    assert watchlist.symbols(TABLE) == ("QZX", "ON")
    (link,) = Linker(TABLE, watchlists=[watchlist]).link("they say the zesty one is calm")
    assert (link.entity, link.watched) == ("QZX", True)


def test_a_company_on_no_list_is_not_watched(tmp_path: Path) -> None:
    watchlist = load_watchlist(write(tmp_path, "- ON\n", "desk.yml"))
    links = Linker(TABLE, watchlists=[watchlist]).link("$ON and $QZX")
    assert {link.entity: link.watched for link in links} == {"ON": True, "QZX": False}


def test_yaml_words_for_truth_values_stay_symbols(tmp_path: Path) -> None:
    assert load_watchlist(write(tmp_path, "ON: NO\n", "desk.yaml")).entries[0].names == ("NO",)


def test_an_unknown_symbol_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    watchlist = load_watchlist(write(tmp_path, "ON:\nQXZ:\n", "desk.yaml"))
    with pytest.raises(InputError, match=r"desk\.yaml:2: 'QXZ' is not in the entity table; did you mean QZX \(Quillon"):
        Linker(TABLE, watchlists=[watchlist])


def test_a_symbol_like_no_other_is_refused_without_a_guess(tmp_path: Path) -> None:
    watchlist = load_watchlist(write(tmp_path, "77777777\n", "desk.txt"))
    with pytest.raises(InputError, match=r"desk\.txt:1: '77777777' .* no known symbol is like it"):
        watchlist.symbols(TABLE)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("desk.yaml", "QZX: {a: b}\n", "desk.yaml:1: expected a symbol or a name, found map"),
        ("desk.yaml", "QZX:\n  - ''\n", "desk.yaml:2: expected a symbol or a name, found str"),
        ("desk.yaml", "- ~\n", "desk.yaml:1: expected a symbol or a name, found nothing"),
        ("desk.yaml", "just words\n", "desk.yaml:1: expected symbols, as a list or as a mapping"),
        ("desk.yaml", "QZX: [a\n", "desk.yaml:2: not valid YAML"),
        ("desk.yaml", "QZX:\nqzx:\n", "desk.yaml:2: 'qzx' is already at"),
        ("desk.txt", "QZX\n\nQZX: Quillon\n", "desk.txt:3: 'QZX' is already at"),
        ("desk.txt", ": Quillon\n", "desk.txt:1: a symbol is missing"),
    ],
)
def test_a_wrong_watch_list_is_refused_with_file_and_line(tmp_path: Path, name: str, text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        load_watchlist(write(tmp_path, text, name))
    assert expected in str(caught.value)


def test_an_empty_watch_list_watches_nothing(tmp_path: Path) -> None:
    assert load_watchlist(write(tmp_path, "", "desk.yaml")).entries == ()
    assert load_watchlist(write(tmp_path, "# nothing yet\n", "desk.txt")).entries == ()


def test_a_watch_list_that_is_missing_or_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.yaml: cannot be read"):
        load_watchlist(tmp_path / "gone.yaml")
    path = tmp_path / "latin.txt"
    path.write_bytes(b"QZX: Qu\xefllon\n")
    with pytest.raises(InputError, match="not UTF-8"):
        load_watchlist(path)
