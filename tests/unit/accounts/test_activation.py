"""How activation codes look and are read, and which passwords are refused before any target is asked."""

from collections.abc import Iterator
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.accounts.domain.activation import (
    ALPHABET,
    LENGTH,
    LONGEST_PASSWORD,
    digest,
    make,
    plain_address,
    plain_password,
    read,
    shown,
    weakness,
)

KEY = "a key that is long enough for anybody"


def codes() -> st.SearchStrategy[str]:
    """Codes of any random characters."""

    def made(digits: list[int]) -> str:
        turn: Iterator[int] = iter(digits)
        return make(lambda _below: next(turn))

    digits = st.integers(0, len(ALPHABET) - 1)
    return st.lists(digits, min_size=LENGTH - 1, max_size=LENGTH - 1).map(made)


@given(codes())
def test_a_code_reads_as_itself_however_it_is_typed(code: str) -> None:
    assert read(code) == code
    for typed in (shown(code), shown(code).lower(), f"  {shown(code).replace('-', ' ')}\t", "\u2013".join(code)):
        assert read(typed) == code
    alike = code.replace("0", "o").replace("1", "l")
    assert read(alike) == code
    assert read(alike.replace("l", "I").upper()) == code


@given(codes(), st.integers(0, LENGTH - 1), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(code: str, place: int, other: str) -> None:
    changed = code[:place] + other + code[place + 1 :]
    assert read(changed) == (code if changed == code else None)


@given(codes())
def test_two_characters_that_changed_places_are_noticed(code: str) -> None:
    for one, other in combinations(range(LENGTH), 2):
        swapped = list(code)
        swapped[one], swapped[other] = code[other], code[one]
        assert read("".join(swapped)) == (code if code[one] == code[other] else None)


@pytest.mark.parametrize("typed", ["", "-", "0" * 19, "0" * 21, "U" * 20, "Å" * 20, "0" * 19 + "\x00", "\ud800" * 20])
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert read(typed) is None


def test_a_code_has_more_than_eighty_bits_and_is_never_the_same() -> None:
    made = {make() for _ in range(1000)}
    assert len(made) == 1000
    assert len(ALPHABET) ** (LENGTH - 1) > 2**80
    assert shown(make()).count("-") == 3


def test_hashes_depend_on_the_key_and_on_what_the_parts_are() -> None:
    assert digest(KEY, "code", "A") == digest(KEY, "code", "A")
    assert len({digest(KEY, "code", "A"), digest(KEY, "codeA"), digest(KEY + "x", "code", "A")}) == 3


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("kort", "password.short"),
        ("x" * (LONGEST_PASSWORD + 1), "password.long"),
        ("tab\tin the middle", "password.unreadable"),
        ("half a pair \ud800 of two", "password.unreadable"),
        ("Anna.Andersson-2027", "password.has_login"),
        ("blå hästar på ängen", None),
        ("x" * LONGEST_PASSWORD, None),
    ],
)
def test_a_password_is_refused_by_a_rule_that_has_a_name(password: str, why: str | None) -> None:
    assert weakness(password, "anna.andersson@alvsund.example", 12) == why


def test_the_same_keys_give_the_same_password() -> None:
    assert plain_password("a\u030angstro\u0308m") == plain_password("ångström")


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_who_has_many_addresses_is_counted_once(given: str, counted: str) -> None:
    assert plain_address(given) == counted
