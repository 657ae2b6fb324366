"""What of a unit a directory can hold, and how it is compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.directory import escape_rdn
from services.kernel.distinguished import domain, normalised
from services.kernel.marks import Mark
from services.orgtree.adapters.windows_names import account_name, mark, owner, prefix, written
from services.orgtree.domain.projection import Kind
from services.orgtree.ports import Key, Reference

REFUSED = '"/\\[]:;|=,+*?<>@'


@given(st.text(min_size=1, max_size=200), st.sampled_from(Kind), st.integers(0, 9), st.integers(0, 10**12))
def test_a_mark_says_whose_and_which_pass_whatever_the_unit_is_called(
    unit: str, kind: Kind, generation: int, epoch: int
) -> None:
    key, swapped = Key("alvsund", unit, kind), Mark(generation, epoch)
    text = written(key, swapped)
    assert (owner(text), mark(text)) == (key, swapped)
    assert text.startswith(prefix("alvsund", unit))
    assert text.startswith(prefix("alvsund"))


@pytest.mark.parametrize(
    "text",
    [None, "", "stafett:alvsund:1:1.1", "stafett-unit:alvsund:1:1.1", "stafett-unit:a:1:people:1.1", "a:a:1:unit:1.1"],
)
def test_what_is_no_mark_of_a_unit_says_nothing(text: str | None) -> None:
    assert (owner(text), mark(text)) == (None, None)


def test_a_mark_whose_pass_cannot_be_read_still_says_whose() -> None:
    text = "stafett-unit:alvsund:1%3A2:unit:x"
    assert (owner(text), mark(text)) == (Key("alvsund", "1:2", Kind.UNIT), None)


def test_a_usable_account_name_is_the_name_itself() -> None:
    assert account_name("enhet-100 åäö (managers)") == "enhet-100 åäö (managers)"


@given(st.text(alphabet=REFUSED + "ab1. åÖ", min_size=1, max_size=300))
def test_an_account_name_is_one_that_a_domain_takes_and_the_same_each_time(name: str) -> None:
    usable = account_name(name)
    assert usable == account_name(name)
    assert 0 < len(usable) <= 256
    assert not set(usable) & set(REFUSED)
    assert not usable.endswith((".", " "))


def test_names_that_differ_in_what_is_refused_stay_apart() -> None:
    assert len({account_name(name) for name in ("1/2", "1:2", "1_2", "1,2", "1_2.", "x" * 300, "x" * 301)}) == 7


@given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs")), min_size=1).map(str.strip).filter(bool))
def test_a_name_is_the_same_when_its_escapes_are_octets(name: str) -> None:
    octets = "".join(f"\\{octet:02X}" for octet in name.encode())
    plain = f"ou={escape_rdn(name)},ou=units,dc=x"
    assert normalised(plain) == normalised(f"OU={octets}, OU=Units,DC=X")
    assert normalised(plain).endswith(f",{normalised('ou=units,dc=x')}")
    assert Reference(plain) == Reference(f"OU={octets},OU=units,DC=x")
    assert hash(Reference(plain)) == hash(Reference(f"OU={octets},OU=units,DC=x"))


def test_a_domain_is_what_the_names_end_with() -> None:
    assert domain(r"OU=a\,DC=b,OU=c,DC=stafett,DC=example") == "DC=stafett,DC=example"
