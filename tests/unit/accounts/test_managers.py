"""Who somebody's manager is: the way up through units, and whose account that comes to."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codes import Protection
from contracts.person import Assignment, CoreRecord
from services.accounts.domain.managers import MANAGER, Leader, Superior, key, led, line, superior
from services.accounts.domain.plan import difference, verified
from services.accounts.domain.units import Unit
from services.kernel.distinguished import normalised
from tests.unit.accounts.builders import at, employment, record, utc

TODAY = date(2027, 3, 15)
NOW = utc(2027, 3, 15, 11)
PERSON, OWN, CHIEF, HEAD = (UUID(int=number) for number in (1, 2, 3, 4))


def unit(*leaders: UUID) -> Unit:
    return Unit("100", "x", leaders)


def employed(named: UUID | None = None, at_unit: str = "100") -> CoreRecord:
    first = date(2027, 1, 1)
    return record(employment(first, assignments=(Assignment(unit=at_unit, manager=named, valid_from=first),)))


UNITS = {"100": unit(CHIEF, HEAD)}


def known(*people: UUID, **values: object) -> dict[UUID, Leader]:
    return {one: replace(Leader(one, f"uid={one.int}", leads=True), **values) for one in people}  # type: ignore[arg-type]


def chosen(core: CoreRecord, units: Mapping[str, Unit], leaders: Mapping[UUID, Leader]) -> Superior:
    return superior(line(core, PERSON, units, TODAY), leaders, {PERSON, *core.aliases})


def test_the_nearest_who_is_named_leads() -> None:
    everybody = known(OWN, CHIEF, HEAD)
    assert chosen(employed(OWN), UNITS, everybody).value == ("uid=2",)
    assert chosen(employed(), UNITS, everybody).value == ("uid=3",)
    assert chosen(employed(), {"100": unit(HEAD)}, everybody).value == ("uid=4",)
    assert chosen(employed(), {"100": unit()}, everybody) == Superior((), looks=("unit/100#0",))


def test_nobody_leads_themselves_under_any_id() -> None:
    everybody = known(PERSON, CHIEF, HEAD)
    assert chosen(employed(), {"100": unit(PERSON, HEAD)}, everybody).value == ("uid=4",)
    merged = employed().model_copy(update={"aliases": (CHIEF,)})
    assert chosen(merged, UNITS, everybody).value == ("uid=4",)
    absorbed = {**everybody, CHIEF: Leader(PERSON, "uid=1", leads=True)}
    assert chosen(employed(), UNITS, absorbed).value == ("uid=4",)


def test_the_unit_that_took_over_the_one_that_is_named_says_who_leads() -> None:
    merged = {"100": Unit("200", "y", (HEAD,))}
    found = chosen(employed(), merged, known(CHIEF, HEAD))
    assert (found.value, found.looks) == (("uid=4",), (key(HEAD), "unit/200#0"))
    assert chosen(employed(), {"100": Unit("100", None)}, known(CHIEF)).value == ()


@pytest.mark.parametrize("passed_over", [{"leads": False}, {"protected": True}])
def test_who_has_left_or_is_protected_is_passed_over(passed_over: dict[str, bool]) -> None:
    found = chosen(employed(), UNITS, {**known(HEAD), **known(CHIEF, **passed_over)})
    assert found.value == ("uid=4",)
    assert set(found.looks) == {"unit/100#0", key(CHIEF), "unit/100#1", key(HEAD)}
    assert found.hidden is passed_over.get("protected", False)
    assert chosen(employed(), UNITS, known(CHIEF, HEAD, leads=False)).value == ()


@pytest.mark.parametrize("coming", [{"reference": None}, {"leads": None}])
def test_an_account_that_is_not_there_yet_is_waited_for_and_not_passed_over(coming: dict[str, None]) -> None:
    found = chosen(employed(), UNITS, {**known(HEAD), **known(CHIEF, **coming)})
    assert (found.value, found.named, found.person) == (None, True, CHIEF)
    assert set(found.looks) == {"unit/100#0", key(CHIEF)}
    assert chosen(employed(), UNITS, {}).value is None


def test_nobody_is_named_for_who_has_no_assignment_is_an_alias_or_protected() -> None:
    for core in (
        record(),
        record(employment(date(2027, 1, 1), assignments=())),
        employed().model_copy(update={"alias_of": uuid4()}),
        employed().model_copy(update={"protection": Protection.MARKED}),
    ):
        assert line(core, PERSON, UNITS, TODAY) == ()


@given(
    st.lists(st.sampled_from([PERSON, CHIEF, HEAD]), max_size=3, unique=True),
    st.none() | st.sampled_from([PERSON, CHIEF]),
)
def test_the_way_up_names_each_once_and_never_the_person(leaders: list[UUID], named: UUID | None) -> None:
    way = line(employed(named), PERSON, {"100": unit(*leaders)}, TODAY)
    assert len(way) == len(set(way))
    assert PERSON not in way
    found = superior(way, known(CHIEF, HEAD), {PERSON})
    assert found.person == next((one for one in way if isinstance(one, UUID)), None)
    assert set(found.looks) <= set(map(key, way))


def wanted(core: CoreRecord, found: Superior, *, ours: bool = False) -> tuple[str, ...] | None:
    return led(at(core, NOW), core, found, ours=ours).attributes.get(MANAGER)


def test_where_nobody_is_named_only_what_we_wrote_is_cleared() -> None:
    core = employed()
    assert wanted(core, Superior(())) is None
    assert wanted(core, Superior(()), ours=True) == ()
    assert wanted(core, Superior((), named=True)) == ()
    assert wanted(core, Superior(None, named=True), ours=True) is None
    assert wanted(core, Superior(("uid=3",), CHIEF, named=True)) == ("uid=3",)


def test_an_entry_of_somebody_protected_shows_no_manager() -> None:
    core = employed().model_copy(update={"protection": Protection.PROTECTED})
    assert wanted(core, Superior()) == ()
    alias = employed().model_copy(update={"alias_of": uuid4()})
    assert wanted(alias, Superior(("uid=3",), CHIEF, named=True)) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("uid=anna,ou=People,dc=x", "UID=Anna, OU=people ,DC=X"),
        (r"cn=Berg\, Anna,dc=x", r"CN=Berg\2C Anna,DC=x"),
        (r"cn=\c3\85sa,dc=x", "cn=Åsa,dc=x"),
        ("cn=a+uid=b,dc=x", "uid=B+CN=A,dc=x"),
    ],
)
def test_names_that_directories_hold_for_the_same_are_the_same(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)
    assert difference({MANAGER: (one,)}, {MANAGER: (other,)}, frozenset()) == {}
    assert verified({MANAGER: (one,)}, {MANAGER: (other,)}) == frozenset()


@pytest.mark.parametrize(
    ("one", "other"), [("cn=a,dc=x", "cn=a,dc=y"), (r"cn=a\,cn=b", "cn=a,cn=b"), ("cn=ab", "cn=a b"), ("uid=a", "cn=a")]
)
def test_names_of_different_entries_differ(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(st.text())
def test_any_text_may_be_compared(text: str) -> None:
    assert normalised(f"cn={text}") == normalised(f"CN={text}")
