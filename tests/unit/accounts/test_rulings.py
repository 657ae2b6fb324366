"""What each table of the service must hold, whom another one would change, and what it says of a person."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.person import Assignment, CoreRecord
from services.accounts.domain.names import Blocklist
from services.accounts.handlers.rulings import Impact, Proposal, rulings
from services.kernel.policy import Policies, PolicyRefused, Table
from services.kernel.settings import OrganisationSettings, load_organisations
from tests.support.kernel import ROOT
from tests.unit.accounts.builders import employment, record, utc

ORGANISATION: OrganisationSettings = replace(
    load_organisations(ROOT / "deploy/local/organisations.toml")["alvsund"],
    targets={"openldap": "dc=x", "entra": "x.example"},
)
RULINGS = rulings(Blocklist.parse(""))
NOW = utc(2027, 3, 1, 12)
START = date(2027, 1, 1)
Rows = list[dict[str, str]]


def table(name: str, change: Callable[[Rows], object] = lambda rows: None) -> Table:
    content: dict[str, Any] = json.loads((ROOT / f"deploy/policy/{name}.json").read_text())
    change(content["nodes"][1]["content"]["rules"])
    return Table.parse(name, json.dumps(content), file="request")


def refused(name: str, change: Callable[[Rows], object]) -> PolicyRefused:
    found = table(name, change)
    with pytest.raises(PolicyRefused) as caught:
        judge(found)
    return caught.value


def judge(found: Table) -> None:
    RULINGS[found.name].check(found)
    RULINGS[found.name].fits(found, ORGANISATION)


def cell(name: str, value: str) -> Callable[[Rows], object]:
    return lambda rows: rows[0].update({name: value})


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("kind", "'role'", "kind is neither group, licence nor mail_route"),
        ("kind", "['group']", "kind is neither group, licence nor mail_route"),
        ("value", "''", "value is empty"),
        ("value", "' '", "value is empty"),
        ("lead_days", "-1", "lead_days is not a number of days"),
        ("keep_days", "0 - 7", "keep_days is not a number of days"),
        ("keep_days", "'long'", "keep_days is not a number of days"),
        ("value", "'a' + 1", "value is empty, or no text"),
        ("kind", "'mail_route'", "value is no mail address"),
        ("begins", "'middle'", "begins is neither start nor end"),
        ("begins", "'end'", "keep_days must be 1 or more"),
        ("target", "'nowhere'", "no target nowhere"),
        ("target", "['openldap', 'nowhere']", "no target nowhere"),
    ],
)
def test_a_row_of_birthright_that_nobody_could_use_is_refused_by_its_name(column: str, value: str, reason: str) -> None:
    problem = refused("birthright", cell(column, value))
    assert (problem.file, problem.row) == ("request", "principal")
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("account", "'yes'", "account is neither true nor false"),
        ("grace_days", "-30", "grace_days is not a number of days"),
    ],
)
def test_a_row_of_accounts_that_nobody_could_use_is_refused_by_its_name(column: str, value: str, reason: str) -> None:
    problem = refused("accounts", cell(column, value))
    assert (problem.row, reason in problem.reason) == ("school-break", True)


@pytest.mark.parametrize("value", ["['{nobody}']", "'{given}'", "[]", "['{n}', '{given}']"])
def test_a_row_of_names_that_nobody_could_use_is_refused_by_its_name(value: str) -> None:
    assert refused("names", cell("login", value)).row == "everybody"


async def test_another_table_of_names_counts_who_has_none_and_will_have_an_account() -> None:
    short = table("names", cell("login", "['{given:3}{family:3}']"))
    people = [head(), head(), head(last=date(2027, 1, 31)), head(first=date(2027, 9, 1))]
    ids = [uuid4() for _ in people]
    active = tables(None)
    found = RULINGS["names"].impact(Proposal(ORGANISATION, short, active, active.trying(ORGANISATION.key, short), NOW))

    class Reserved:
        """A database in which the second person has a name."""

        async def execute(self, *_: Any) -> Any:
            return self

        async def fetchall(self) -> list[Any]:
            return [(ORGANISATION.key, ids[1], "scope", "login", "anna.andersson", "anna.andersson", False, False)]

    conn: Any = Reserved()
    await found.take(conn, list(zip(ids, people, strict=True)))
    assert (found.counts(), found.removals, found.examples) == ({"renames": 2}, 0, [ids[0], ids[3]])
    said: Any = RULINGS["names"].verdict(ORGANISATION, active.trying(ORGANISATION.key, short), head(), NOW)
    assert (said["row"], said["firstLogin"]) == ("everybody", "annand")


def test_a_row_that_gives_an_unknown_target_is_refused() -> None:
    content = json.loads((ROOT / "deploy/policy/accounts.json").read_text())
    node = content["nodes"][1]["content"]
    node["outputs"].append({"id": "targets", "name": "Targets", "field": "targets"})
    for rule in node["rules"]:
        rule["targets"] = "['openldap']"
    node["rules"][1]["targets"] = "['openldap', 'nowhere']"
    with pytest.raises(PolicyRefused, match="hourly: the organisation has no target nowhere"):
        RULINGS["accounts"].fits(Table.parse("accounts", json.dumps(content)), ORGANISATION)


def test_another_organisations_rows_may_speak_of_its_targets_and_what_depends_on_a_person_is_tried_on_people() -> None:
    def theirs(rows: Rows) -> None:
        rows[0].update(
            {"target": "'ad'", "organisation": "'bergby'", "value": "'skola-' + unit", "lead_days": "extent"}
        )

    found = table("birthright", theirs)
    RULINGS["birthright"].check(found)
    RULINGS["birthright"].fits(found, ORGANISATION)
    with pytest.raises(PolicyRefused, match="no target ad"):
        RULINGS["birthright"].fits(found, replace(ORGANISATION, key="bergby"))


def test_a_route_for_mail_in_a_target_that_is_known_to_route_none_is_refused() -> None:
    def routed(target: str) -> Table:
        row = {"kind": "'mail_route'", "value": "'registrator@x.example'", "target": target}
        return table("birthright", lambda rows: rows[0].update(row))

    organisation = replace(ORGANISATION, targets={"openldap": "dc=x", "entra": "x.example"})
    knowing = rulings(Blocklist.parse(""), {"openldap", "active_directory"})["birthright"]
    for unknown in ("'entra'", ""):
        knowing.fits(routed(unknown), organisation)
    for known in ("'openldap'", "['entra', 'openldap']"):
        with pytest.raises(PolicyRefused, match="principal: the target openldap routes no mail"):
            knowing.fits(routed(known), organisation)


@pytest.mark.parametrize("name", RULINGS)
def test_a_table_of_another_kind_is_refused_and_the_delivered_one_is_not(name: str) -> None:
    RULINGS[name].check(table(name))
    for other in RULINGS.keys() - {name}:
        with pytest.raises(PolicyRefused, match=r"hit policy|no output"):
            RULINGS[name].check(table(other))


def head(title: str = "Rektor", first: date = START, last: date | None = None) -> CoreRecord:
    title_ = (Assignment(unit="100", title=title, valid_from=first, valid_to=last),)
    return record(employment(first, last, assignments=title_))


def groups(*rows: tuple[str, str, str]) -> Callable[[Rows], object]:
    """Rows of (id, title, group)."""

    def change(found: Rows) -> None:
        like = {**found[0], "absence": ""}
        found[:] = [{**like, "_id": row, "title": title, "value": f"'{value}'"} for row, title, value in rows]

    return change


def tables(birthright: Table | None) -> Policies:
    found = {(ORGANISATION.key, "accounts"): table("accounts")}
    return Policies(found | ({(ORGANISATION.key, "birthright"): birthright} if birthright else {}))


async def impact(
    before: Table | None, after: Table, people: Sequence[CoreRecord], allowed: int = 50, now: datetime = NOW
) -> tuple[Impact, list[UUID]]:
    active = tables(before)
    proposal = Proposal(ORGANISATION, after, active, active.trying(ORGANISATION.key, after), now)
    found = RULINGS[after.name].impact(proposal)
    found.allowances = dict.fromkeys(ORGANISATION.targets, allowed)
    ids = [uuid4() for _ in people]
    nothing: Any = None
    await found.take(nothing, list(zip(ids, people, strict=True)))
    return found, ids


async def test_a_plan_tells_who_gains_and_loses_what_where_and_asks_for_confirmation_beyond_the_guard() -> None:
    old = table("birthright", groups(("heads", "'Rektor'", "rektorer"), ("all", "", "alla")))
    new = table("birthright", groups(("heads", "'Rektor'", "ledning"), ("all", "", "alla")))
    people = [head(), head("Lärare"), head(), head(first=date(2027, 9, 1))]
    found, ids = await impact(old, new, people, allowed=1)
    assert found.counts() == {
        "gains": 2,
        "losses": 2,
        "reschedules": 0,
        "values": [
            {"target": "openldap", "kind": "group", "value": "ledning", "gains": 2, "losses": 0},
            {"target": "openldap", "kind": "group", "value": "rektorer", "gains": 0, "losses": 2},
        ],
    }
    assert (found.people, found.removals, found.needs_confirmation) == (4, 2, True)
    assert found.examples == [ids[0], ids[2]]
    within, _ = await impact(old, new, people, allowed=2)
    assert not within.needs_confirmation


async def test_before_the_first_table_all_that_is_given_is_gained() -> None:
    found, _ = await impact(None, table("birthright"), [head(), head("Lärare"), head(last=date(2027, 2, 1))])
    assert (found.counts()["gains"], found.counts()["losses"], found.removals) == (1, 0, 0)


async def test_what_a_row_gives_one_person_wrongly_refuses_the_whole_plan_by_that_row() -> None:
    wrong = table("birthright", cell("lead_days", "title == 'Rektor' ? 0 - 1 : 0"))
    with pytest.raises(PolicyRefused, match="request: principal: lead_days is not a number of days"):
        await impact(None, wrong, [head()])


async def test_what_the_engine_cannot_evaluate_for_somebody_refuses_the_plan() -> None:
    content = json.loads((ROOT / "deploy/policy/birthright.json").read_text())
    expression = {"id": "e", "key": "unit", "value": "'x' + extent"}
    content["nodes"].insert(
        1, {"id": "n", "type": "expressionNode", "name": "n", "content": {"expressions": [expression]}}
    )
    first, second = content["edges"]
    content["edges"] = [first | {"targetId": "n"}, first | {"id": "n", "sourceId": "n"}, second]
    with pytest.raises(PolicyRefused, match="cannot be evaluated"):
        await impact(None, Table.parse("birthright", json.dumps(content)), [head()])


async def test_a_good_table_can_be_planned_while_the_one_in_force_fails_for_somebody() -> None:
    broken = table("birthright", cell("lead_days", "title == 'Rektor' ? 0 - 1 : 0"))
    found, _ = await impact(broken, table("birthright"), [head()])
    assert (found.people, found.removals) == (1, 0)


def test_a_trial_says_which_row_gives_what_until_when() -> None:
    def kept(rows: Rows) -> None:
        groups(("heads", "'Rektor'", "rektorer"))(rows)
        rows[0]["keep_days"] = "10"

    person = head(last=date(2027, 3, 31))
    said: Any = RULINGS["birthright"].verdict(ORGANISATION, tables(table("birthright", kept)), person, NOW)
    (job,) = said["employments"]
    assert job["grants"] == [
        {
            "target": "openldap",
            "kind": "group",
            "value": "rektorer",
            "row": "heads",
            "from": utc(2026, 12, 31, 23),
            "until": utc(2027, 4, 10, 22),
            "now": True,
        }
    ]
    forever: Any = RULINGS["birthright"].verdict(ORGANISATION, tables(table("birthright")), head(), NOW)
    assert forever["employments"][0]["grants"][0]["until"] is None
