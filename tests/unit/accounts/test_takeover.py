"""Whose an account is: one to one or not at all, in whatever order people and accounts come."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.accounts.domain.takeover import By, Certainty, Match, Somebody, Stray, correlate, fingerprint, key

ANNA, BO, CAJSA = (UUID(int=number) for number in (1, 2, 3))


def person(id_: UUID, *, number: str = "", login: str = "", mail: str = "", name: str = "") -> Somebody:
    return Somebody(id_, some(number), some(login), some(mail), key(name))


def account(id_: str, *, number: str = "", login: str = "", mail: str = "", name: str = "") -> Stray:
    return Stray(id_, some(number), some(login), some(mail), key(name))


def some(value: str) -> frozenset[str]:
    return frozenset((key(value),)) if value else frozenset()


def told(*matches: Match) -> list[tuple[str, str, str | None, int]]:
    return [(one.entry, one.certainty.value, one.by.value if one.by else None, len(one.candidates)) for one in matches]


def test_an_employee_number_is_certain_when_one_account_and_one_person_have_it() -> None:
    people = [person(ANNA, number="1"), person(BO, number="2"), person(CAJSA, number="3")]
    strays = [account("a", number="1"), account("b", number="2"), account("c", number="2"), account("d", number="9")]
    assert told(*correlate(people, strays)) == [
        ("a", "certain", "employee_number", 1),
        ("b", "ambiguous", "employee_number", 1),
        ("c", "ambiguous", "employee_number", 1),
        ("d", "none", None, 0),
    ]


def test_a_login_is_certain_only_with_the_same_name_and_without_anybodys_number() -> None:
    people = [person(n, login=f"p{n.int}", name=f"P {n.int}") for n in (ANNA, BO, CAJSA)]
    strays = [
        account("a", login="P1", name="p  1"),
        account("b", login="p2", name="Somebody Else"),
        account("c", login="p3", name="P 3", number="77"),
    ]
    assert [one.certainty for one in correlate(people, strays)] == [
        Certainty.CERTAIN,
        Certainty.AMBIGUOUS,
        Certainty.AMBIGUOUS,
    ]


def test_a_name_is_never_certain_and_two_of_a_name_are_shown_both() -> None:
    people = [person(ANNA, name="Anna Berg"), person(BO, name="anna berg")]
    (match,) = correlate(people, [account("a", name="Anna  Berg")])
    assert match == Match("a", Certainty.AMBIGUOUS, By.NAME, (ANNA, BO))


def test_whoever_is_found_by_a_number_is_nobody_elses_by_a_name() -> None:
    people = [person(ANNA, number="1", name="Anna Berg")]
    strays = [account("a", number="1"), account("b", name="Anna Berg")]
    assert told(*correlate(people, strays)) == [("a", "certain", "employee_number", 1), ("b", "none", None, 0)]


values = st.sampled_from(["", "1", "2", "3", "4"])
people = st.lists(
    st.builds(person, st.uuids(), number=values, login=values, mail=values, name=values),
    max_size=8, unique_by=lambda one: one.person,
)  # fmt: skip
entries = st.text("abcdefgh", min_size=1, max_size=2)
strays = st.lists(
    st.builds(account, entries, number=values, login=values, mail=values, name=values),
    max_size=8, unique_by=lambda one: one.entry,
)  # fmt: skip


@given(people, strays, st.randoms(use_true_random=False))
def test_matching_is_one_to_one_and_order_does_not_matter(
    somebody: list[Somebody], found: list[Stray], random: object
) -> None:
    matches = correlate(somebody, found)
    assert sorted(one.entry for one in matches) == sorted(one.entry for one in found)
    certain = [one for one in matches if one.certainty is Certainty.CERTAIN]
    assert all(len(one.candidates) == 1 for one in certain)
    whose = [one.candidates[0] for one in certain]
    assert len(whose) == len(set(whose))
    # whoever is certain is no candidate for anything else
    others = {person for one in matches if one.certainty is not Certainty.CERTAIN for person in one.candidates}
    assert others.isdisjoint(whose)
    for mixed in (somebody, found):
        random.shuffle(mixed)  # type: ignore[attr-defined]
    again = correlate(somebody, found)
    assert again == matches
    assert fingerprint(again) == fingerprint(matches)
