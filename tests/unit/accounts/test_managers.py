"""Who somebody's manager is: the way up through units, and whose account that comes to."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codes import Protection
from contracts.person import Assignment, CoreRecord, UnitRecord
from services.accounts.domain.managers import MANAGER, Leader, Superior, key, led, line, superior
from services.accounts.domain.plan import difference, verified
from services.kernel.distinguished import normalised
from tests.unit.accounts.builders import at, employment, record, utc

TODAY = date(2027, 3, 15)
NOW = utc(2027, 3, 15, 11)
PERSON, OWN, CHIEF, HEAD = (UUID(int=number) for number in (1, 2, 3, 4))


def unit(**values: object) -> UnitRecord:
    return UnitRecord.model_validate({"name": "x", "valid_from": date(2020, 1, 1), **values})


def employed(named: UUID | None = None, at_unit: str = "100") -> CoreRecord:
    first = date(2027, 1, 1)
    return record(employment(first, assignments=(Assignment(unit=at_unit, manager=named, valid_from=first),)))


UNITS = {"100": unit(manager=CHIEF, parent="10"), "10": unit(manager=HEAD)}


def known(*people: UUID, **values: object) -> dict[UUID, Leader]:
    return {one: replace(Leader(one, f"uid={one.int}", leads=True), **values) for one in people}  # type: ignore[arg-type]


def chosen(core: CoreRecord, units: Mapping[str, UnitRecord], leaders: Mapping[UUID, Leader]) -> Superior:
    return superior(line(core, PERSON, units, TODAY), leaders, {PERSON, *core.aliases})


def test_the_nearest_who_is_named_leads() -> None:
    everybody = known(OWN, CHIEF, HEAD)
    assert chosen(employed(OWN), UNITS, everybody).value == ("uid=2",)
    assert chosen(employed(), UNITS, everybody).value == ("uid=3",)
    assert chosen(employed(), {**UNITS, "100": unit(parent="10")}, everybody).value == ("uid=4",)
    assert chosen(employed(), {"100": unit()}, everybody) == Superior((), looks=("unit/100",))


def test_who_acts_goes_before_whom_they_act_for_and_is_passed_over_like_anybody() -> None:
    acting = {**UNITS, "100": unit(manager=CHIEF, acting_manager=OWN, parent="10")}
    assert chosen(employed(), acting, known(OWN, CHIEF, HEAD)).value == ("uid=2",)
    assert chosen(employed(HEAD), acting, known(OWN, CHIEF, HEAD)).value == ("uid=4",)
    gone = {**known(CHIEF, HEAD), **known(OWN, leads=False)}
    assert chosen(employed(), acting, gone).value == ("uid=3",)
    closed = {**UNITS, "100": unit(manager=CHIEF, acting_manager=OWN, parent="10", valid_to=date(2027, 3, 14))}
    assert chosen(employed(), closed, known(OWN, CHIEF, HEAD)).value == ("uid=4",)


def test_nobody_leads_themselves_under_any_id() -> None:
    everybody = known(PERSON, CHIEF, HEAD)
    assert chosen(employed(), {**UNITS, "100": unit(manager=PERSON, parent="10")}, everybody).value == ("uid=4",)
    merged = employed().model_copy(update={"aliases": (CHIEF,)})
    assert chosen(merged, UNITS, everybody).value == ("uid=4",)
    absorbed = {**everybody, CHIEF: Leader(PERSON, "uid=1", leads=True)}
    assert chosen(employed(), UNITS, absorbed).value == ("uid=4",)


def test_a_unit_that_is_closed_has_no_manager_and_what_is_above_it_counts() -> None:
    closed = {**UNITS, "100": unit(manager=CHIEF, parent="10", valid_to=date(2027, 3, 14))}
    assert chosen(employed(), closed, known(CHIEF, HEAD)).value == ("uid=4",)
    last_day = {**UNITS, "100": unit(manager=CHIEF, parent="10", valid_to=TODAY)}
    assert chosen(employed(), last_day, known(CHIEF, HEAD)).value == ("uid=3",)


@pytest.mark.parametrize("passed_over", [{"leads": False}, {"protected": True}])
def test_who_has_left_or_is_protected_is_passed_over(passed_over: dict[str, bool]) -> None:
    found = chosen(employed(), UNITS, {**known(HEAD), **known(CHIEF, **passed_over)})
    assert found.value == ("uid=4",)
    assert set(found.looks) == {"unit/100", key(CHIEF), "unit/10", key(HEAD)}
    assert found.hidden is passed_over.get("protected", False)
    assert chosen(employed(), UNITS, known(CHIEF, HEAD, leads=False)).value == ()


@pytest.mark.parametrize("coming", [{"reference": None}, {"leads": None}])
def test_an_account_that_is_not_there_yet_is_waited_for_and_not_passed_over(coming: dict[str, None]) -> None:
    found = chosen(employed(), UNITS, {**known(HEAD), **known(CHIEF, **coming)})
    assert (found.value, found.named, found.person) == (None, True, CHIEF)
    assert set(found.looks) == {"unit/100", key(CHIEF)}
    assert chosen(employed(), UNITS, {}).value is None


def test_nobody_is_named_for_who_has_no_assignment_is_an_alias_or_protected() -> None:
    for core in (
        record(),
        record(employment(date(2027, 1, 1), assignments=())),
        employed().model_copy(update={"alias_of": uuid4()}),
        employed().model_copy(update={"protection": Protection.MARKED}),
    ):
        assert line(core, PERSON, UNITS, TODAY) == ()


units_of_any_shape = st.dictionaries(
    st.sampled_from("abcdefg"),
    st.builds(
        unit,
        manager=st.none() | st.sampled_from([PERSON, CHIEF, HEAD]),
        parent=st.none() | st.sampled_from("abcdefg"),
        valid_to=st.none() | st.dates(date(2026, 1, 1), date(2028, 1, 1)),
    ),
)


@given(units_of_any_shape, st.none() | st.sampled_from([PERSON, CHIEF]), st.sampled_from("abcdefg"))
def test_the_way_up_ends_names_each_once_and_never_the_person(
    units: dict[str, UnitRecord], named: UUID | None, start: str
) -> None:
    way = line(employed(named, start), PERSON, units, TODAY)
    assert len(way) == len(set(way)) <= len(units) + 3
    assert PERSON not in way
    assert start in way
    found = superior(way, known(CHIEF, HEAD), {PERSON})
    first = next((one for one in way if isinstance(one, UUID)), None)
    assert found.person == first
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
