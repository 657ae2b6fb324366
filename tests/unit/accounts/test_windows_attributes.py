"""Our attributes in Active Directory's terms, and what is cut because a target cannot hold it."""

import pytest

from services.accounts.adapters.windows_attributes import Addresses, ours, theirs
from services.accounts.adapters.windows_marks import owner, parsed
from services.accounts.adapters.windows_names import dns_name, is_login
from services.accounts.domain.limits import cut, within
from services.kernel.directory import Entry, Modification, Operation
from services.kernel.distinguished import domain
from services.kernel.marks import Mark


def entry(**attributes: tuple[str, ...]) -> Entry:
    return Entry("CN=a", {name.lower(): values for name, values in attributes.items()})


@pytest.mark.parametrize(
    ("value", "limit", "left"),
    [("abc", 3, "abc"), ("abcd", 3, "abc"), ("ab cd", 3, "ab"), ("åäö", 2, "åä"), ("a😀b", 2, "a"), ("a😀b", 3, "a😀"),
     ("ab ", 3, "ab ")],
)  # fmt: skip
def test_a_value_is_cut_to_whole_characters_without_a_space_at_the_end(value: str, limit: int, left: str) -> None:
    assert cut(value, limit) == left


def test_only_what_has_a_limit_is_cut() -> None:
    assert within({"title": ("abcd",), "ou": ("abcd",)}, {"title": 2}) == {"title": ("ab",), "ou": ("abcd",)}


def test_the_object_is_named_by_the_login_and_people_see_the_display_name() -> None:
    assert theirs({"cn": ("Å Ö",), "ou": ("Skolan",), "title": ()}) == {
        "displayName": ("Å Ö",), "department": ("Skolan",), "title": ()}  # fmt: skip
    read = ours(entry(cn=("a.o",), displayName=("Å Ö",), department=("Skolan",)))
    assert read == {"cn": ("Å Ö",), "displayName": ("Å Ö",), "ou": ("Skolan",)}


def test_addresses_are_read_with_the_primary_first_and_each_once() -> None:
    found = entry(mail=("New@x",), proxyAddresses=("X500:/o=x", "smtp:old@x", "SMTP:new@x", "sip:new@x"))
    assert ours(found)["mail"] == ("New@x", "old@x")
    assert ours(entry(proxyAddresses=("smtp:b@x", "SMTP:a@x")))["mail"] == ("a@x", "b@x")
    assert "mail" not in ours(entry(proxyAddresses=("sip:a@x",)))


def test_an_address_that_does_not_lead_counts_as_missing() -> None:
    led = entry(mail=("a@x",), proxyAddresses=("SMTP:a@x", "smtp:b@x"))
    assert ours(led, "a@x")["mail"] == ("a@x", "b@x")
    assert ours(led, "b@x")["mail"] == ("a@x",)
    half = entry(mail=("b@x",), proxyAddresses=("SMTP:a@x", "smtp:b@x"))
    assert ours(half, "a@x")["mail"] == ("b@x",)


def test_a_new_primary_address_leaves_the_old_one_as_an_alias_and_other_kinds_alone() -> None:
    now = Addresses.of(entry(mail=("a@x",), proxyAddresses=("X500:/o=x", "SMTP:a@x", "smtp:b@x")))
    assert now.changes(("c@x", "a@x", "b@x")) == [
        Modification(Operation.REPLACE, "mail", ("c@x",)),
        Modification(Operation.DELETE, "proxyAddresses", ("SMTP:a@x",)),
        Modification(Operation.ADD, "proxyAddresses", ("SMTP:c@x", "smtp:a@x")),
    ]
    assert now.changes(()) == [
        Modification(Operation.REPLACE, "mail", ()),
        Modification(Operation.DELETE, "proxyAddresses", ("SMTP:a@x", "smtp:b@x")),
    ]


@pytest.mark.parametrize(
    ("text", "whose", "mark"),
    [
        ("stafett:alvsund:p:1.2", ("alvsund", "p"), Mark(1, 2)),
        ("stafett:alvsund:p:x", ("alvsund", "p"), None),
        ("User_abc", None, None),
        ("stafett:alvsund:p", None, None),
        ("other:alvsund:p:1.2", None, None),
        (None, None, None),
    ],
)
def test_a_mark_says_whose_an_object_is(text: str | None, whose: tuple[str, str] | None, mark: Mark | None) -> None:
    assert (owner(text), parsed(text)) == (whose, mark)


def test_the_domain_is_what_the_base_ends_with() -> None:
    base = "OU=Alvsund,OU=Kommuner,DC=ad,DC=Example,DC=se"
    assert (domain(base), dns_name(base)) == ("DC=ad,DC=Example,DC=se", "ad.example.se")


@pytest.mark.parametrize(
    ("text", "usable"), [("a.o-1", True), ("a" * 21, False), ("a,b", False), ("a@b", False), ("", False)]
)
def test_a_login_has_to_fit_the_domain(text: str, usable: bool) -> None:
    assert is_login(text) is usable
