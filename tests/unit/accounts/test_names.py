"""Logins and addresses from names."""

import unicodedata
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.person import Name
from services.accounts.domain.names import LOGIN_LENGTH, Blocklist, base, candidates, transliterate
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
def test_names_become_logins(given_name: str, family: str, login: str) -> None:
    assert first(Name(given=given_name, family=family)) == [login]


def test_the_name_of_address_goes_before_the_given_name() -> None:
    assert first(Name(given="Anna Maria", family="Berg", preferred="Maja")) == ["maja.berg"]


def test_candidates_are_numbered_and_the_cut_leaves_room_for_the_digits() -> None:
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
def test_nfc_and_nfd_are_the_same_name(text: str) -> None:
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
