"""Logins and addresses from names."""

import unicodedata
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.person import Name
from services.accounts.domain.names import LOGIN_LENGTH, Blocklist, Naming, Pattern, base, candidates, transliterate
from services.accounts.settings import BLOCKLIST

LIST = Blocklist.parse(BLOCKLIST.read_text(encoding="utf-8"))


def first(name: Name, count: int = 1, length: int = LOGIN_LENGTH) -> list[str]:
    return list(islice(candidates(base(name), length, LIST), count))


@pytest.mark.parametrize(
    ("given_name", "family", "login"),
    [
        ("Anna", "Andersson", "anna.andersson"),
        ("Åsa", "Öberg", "asa.oberg"),
        ("Märta", "Sjöström", "marta.sjostrom"),
        ("René", "Groß", "rene.gross"),
        ("Áilu", "Čađŋšŧž", "ailu.cadnstz"),
        ("Søren", "Æbelø", "soren.aebelo"),
        ("Þór", "Guðmundsson", "thor.gudmundsson"),
        ("Łukasz", "Wałęsa", "lukasz.walesa"),
        ("Anna-Karin", "Berg-Lund", "anna-karin.berg-lund"),
        ("Carl Gustaf", "von Essen", "carl.von.essen"),
        ("Sinéad", "O’Brien", "sinead.obrien"),
        ("Suharto", "", "suharto"),
        ("", "Berg", "berg"),
        ("Maximiliana", "Ekenstierna-Lejonhufvud", "maximiliana.ekensti"[:19] + "e"),
        ("محمد", "Ali", "ali"),
        ("محمد", "علي", "user1"),
        ("Root", "", "user1"),
        ("Anna", "Fitta", "user1"),
        ("--", "..", "user1"),
    ],
)
def test_case_32_names_become_logins(given_name: str, family: str, login: str) -> None:
    assert first(Name(given=given_name, family=family)) == [login]


def test_the_name_of_address_goes_before_the_given_name() -> None:
    assert first(Name(given="Anna Maria", family="Berg", preferred="Maja")) == ["maja.berg"]


def test_case_34_candidates_are_numbered_and_the_cut_leaves_room_for_the_digits() -> None:
    assert first(Name(given="Anna", family="Andersson"), 3) == ["anna.andersson", "anna.andersson2", "anna.andersson3"]
    long = list(islice(candidates("a" * 30, 20, LIST), 120))
    assert long[0] == "a" * 20
    assert (long[1], long[98], long[99]) == ("a" * 19 + "2", "a" * 18 + "99"[:2], "a" * 17 + "100")


def test_a_cut_does_not_end_in_a_dot() -> None:
    assert next(candidates("abcdefghijklmnopqrs.tuv", 20, LIST)) == "abcdefghijklmnopqrs"


def test_an_address_may_be_longer_than_a_login() -> None:
    name = Name(given="Maximiliana", family="Ekenstierna-Lejonhufvud")
    assert first(name, length=64) == ["maximiliana.ekenstierna-lejonhufvud"]


@pytest.mark.parametrize("login", ["admin", "admin2", "postmaster", "root"])
def test_reserved_words_are_blocked_with_digits_too(login: str) -> None:
    assert LIST.blocks(login)


def test_a_reserved_word_may_be_a_part_of_a_name() -> None:
    assert not LIST.blocks("anna.root")
    assert LIST.blocks("anna.fuck")


def test_a_word_outside_the_headings_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1"):
        Blocklist.parse("admin")


@given(st.text(max_size=60))
def test_case_32_nfc_and_nfd_are_the_same_name(text: str) -> None:
    assert transliterate(unicodedata.normalize("NFD", text)) == transliterate(unicodedata.normalize("NFC", text))


@given(st.text(max_size=60), st.text(max_size=60), st.integers(6, 64))
def test_candidates_are_ascii_short_distinct_and_always_the_same(given_name: str, family: str, length: int) -> None:
    stem = base(Name(given=given_name, family=family))
    found = list(islice(candidates(stem, length, LIST), 40))
    assert len(set(found)) == 40
    for local in found:
        assert local.isascii()
        assert 0 < len(local) <= length
        assert local == local.lower()
        assert set(local) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
        assert ".." not in local
        assert local[0] not in ".-"
    assert list(islice(candidates(stem, length, LIST), 40)) == found


def tried(name: Name, *patterns: str, count: int = 3, length: int = LOGIN_LENGTH) -> list[str]:
    return list(islice(candidates(base(name), length, LIST, tuple(Pattern(text) for text in patterns)), count))


@pytest.mark.parametrize(
    ("patterns", "logins"),
    [
        (("{given}.{family}",), ["carl.von.essen", "carl.von.essen2", "carl.von.essen3"]),
        (("{given:3}{family:3}", "{given:1}{family}"), ["carvon", "cvon.essen", "cvon.essen2"]),
        (("{given:3}{family:3}{n:2}",), ["carvon01", "carvon02", "carvon03"]),
        (("ext.{given}.{family}",), ["ext.carl.von.essen", "ext.carl.von.essen2", "ext.carl.von.essen3"]),
    ],
)
def test_patterns_are_tried_in_their_order_and_then_with_numbers(patterns: tuple[str, ...], logins: list[str]) -> None:
    assert tried(Name(given="Carl Gustaf", family="von Essen"), *patterns) == logins


def test_a_pattern_of_what_the_name_does_not_have_is_left_out() -> None:
    assert tried(Name(given="Suharto", family=""), "{family:3}", "{given}") == ["suharto", "suharto2", "suharto3"]
    assert tried(Name(given="محمد", family="علي"), "{given:1}{family}") == ["user1", "user2", "user3"]
    assert tried(Name(given="Suharto", family=""), "{family:3}") == ["user1", "user2", "user3"]


@pytest.mark.parametrize("text", ["", "{name}", "{given}{", "{given:0}", "å{given}", "{n}{n}", "{given} {family}"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Pattern(text)


@pytest.mark.parametrize(
    "output",
    [
        {"login": [], "mail": ["{given}"]},
        {"login": ["{given}"]},
        {"login": ["{given}{n}", "{family}"], "mail": ["{given}"]},
        {"login": ["{given}"], "mail": "{given}"},
        {"login": ["{given}"], "mail": ["{given}"], "domain": ""},
    ],
)
def test_a_row_of_names_that_cannot_be_read_is_refused(output: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"policy names, row r"):
        Naming.from_output(output, table="names", row="r")


_PATTERNS = st.lists(
    st.sampled_from(["{given}.{family}", "{given:1}{family}", "{given:3}{family:3}", "{family}", "x-{given:2}"]),
    min_size=1, max_size=3,
)  # fmt: skip


@given(st.text(max_size=40), st.text(max_size=40), st.integers(8, 64), _PATTERNS, st.booleans())
def test_whatever_the_patterns_logins_are_short_distinct_and_clean(
    given_name: str, family: str, length: int, patterns: list[str], counted: bool
) -> None:
    name = Name(given=given_name, family=family)
    found = tried(name, *patterns, *(["{given:2}{family:2}{n:3}"] if counted else []), count=25, length=length)
    assert len(set(found)) == 25
    for local in found:
        assert 0 < len(local) <= length
        assert set(local) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
        assert ".." not in local
        assert local[0] not in ".-"
        assert local[-1] not in ".-"
