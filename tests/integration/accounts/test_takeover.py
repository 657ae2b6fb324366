"""Accounts that others made, taken over: on a real directory, filled with ldapadd."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.codes import Protection
from contracts.person import CoreRecord
from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.domain.names import Blocklist
from services.accounts.handlers.gate import Gate
from services.accounts.handlers.situation import TABLE, Reader, wants
from services.accounts.handlers.takeover import TakeoverRun
from services.accounts.settings import BLOCKLIST
from services.kernel.gate import Rules
from services.kernel.policy import PolicyBook
from services.kernel.readings.leases import Why
from services.kernel.readings.rounds import Readings
from services.kernel.runner import Service
from tests.integration.accounts.harness import TARGET, Town, town
from tests.integration.accounts.test_drift import ByHand
from tests.integration.accounts.test_drift_api import WRITES, service_on
from tests.support.asking import ask
from tests.support.kernel import ROOT
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest

START = TODAY - timedelta(days=900)
READS = "alvsund targets:read persons:read"


@pytest.fixture
async def alvsund(slapd: SlapdUnderTest, fresh_database: str) -> AsyncIterator[Town]:
    async with town(slapd, fresh_database, staged=True) as here:
        await here.tell_unit("100", "Björkskolan")
        yield here


@pytest.fixture
async def service(alvsund: Town, slapd: SlapdUnderTest, fresh_database: str, tmp_path: Path) -> AsyncIterator[Service]:
    del alvsund
    async with service_on(slapd, fresh_database, tmp_path, live=False) as built:
        yield built


def known(number: str, given: str = "Anna", family: str = "Andersson") -> CoreRecord:
    return record(employment(START, employee_number=number, baseline=True), given=given, family=family)


async def told(here: Town, number: str, given: str = "Anna", family: str = "Andersson") -> UUID:
    person = uuid4()
    await here.tell(person, 1, known(number, given, family))
    return person


async def planned(here: Town, service: Service) -> dict[str, Any]:
    """Ask for a plan over HTTP, and read it as the service's loop does."""
    status, _ = await ask(service, "POST", "/v1/takeover/openldap/plan", WRITES)
    assert status == 202
    policy = PolicyBook(ROOT / "deploy/policy", sorted(here.organisations))
    async with here.database.transaction() as conn:
        await policy.start(conn, TABLE)
        await conn.execute("UPDATE reading SET due_at = NULL WHERE kind = 'drift'")
    want = wants(here.organisations, Blocklist.parse(BLOCKLIST.read_text(encoding="utf-8")))
    bases = {key: value.targets[TARGET] for key, value in here.organisations.items()}
    gate = Gate(OpenLdapAccounts(here.directory, bases), Rules(places=bases))
    run = TakeoverRun(TARGET, gate, Reader(TARGET, here.organisations, policy, want, staged=True), here.database)
    assert await Readings(here.database, {(Why.TAKEOVER, TARGET): run}, 24, lambda: None).once()
    status, plan = await ask(service, "GET", "/v1/takeover/openldap", READS)
    assert (status, plan["problem"]) == (200, None)
    found: dict[str, Any] = plan
    return found


async def rows(service: Service, certainty: str) -> list[dict[str, Any]]:
    status, body = await ask(service, "GET", f"/v1/takeover/openldap/rows?certainty={certainty}&limit=500", READS)
    assert status == 200, body
    found: list[dict[str, Any]] = body["items"]
    return found


async def adopt(
    service: Service, plan: dict[str, Any], which: Any, matches: int | None, scopes: str = WRITES
) -> tuple[int, Any]:
    body = {"plan": plan["plan"], "rows": which, "reason": "övertagande", "matches": matches}
    return await ask(service, "POST", "/v1/takeover/openldap/adopt", scopes, body)


async def test_only_the_mark_is_written_until_the_unit_goes_live(alvsund: Town, service: Service) -> None:
    hand = ByHand(alvsund)
    dn = hand.add("andann01", "employeeNumber: 1001", "mail: anna.a@x.example", "title: Rektor")
    before = alvsund.ldif("(uid=andann01)")
    person = await told(alvsund, "1001")
    await alvsund.converged()
    plan = await planned(alvsund, service)
    assert plan["counts"]["certain"]["rows"] == 1
    (row,) = await rows(service, "certain")
    assert (row["userName"], row["candidates"], row["by"]) == ("andann01", [str(person)], "employee_number")
    status, said = await adopt(service, plan, "certain", None)
    assert (status, said["code"], said["matches"]) == (409, "takeover.count", 1)
    assert (await adopt(service, plan, "certain", 1))[0] == 202
    await alvsund.converged()
    entry = await alvsund.entry(person)
    assert entry is not None
    assert (entry.dn, entry.first("title"), entry.first("cn")) == (dn, "Rektor", "Hand")
    changed = set(alvsund.ldif("(uid=andann01)").splitlines()) ^ set(before.splitlines())
    ours = ("stafett", "objectClass: stafettManaged", "modif", "entryCSN", "contextCSN")
    assert [line for line in changed if not line.startswith(ours)] == []
    assert (await ask(service, "GET", "/v1/takeover/openldap", READS))[1]["counts"]["certain"]["adopted"] == 1
    live = {"units": ["100"], "reason": "våg 1", "matches": 1}
    assert (await ask(service, "POST", "/v1/targets/openldap/live", WRITES, live))[0] == 202
    async with alvsund.database.transaction() as conn:
        await conn.execute("UPDATE work SET wanted = wanted + 1")
    await alvsund.converged()
    entry = await alvsund.entry(person)
    assert entry is not None
    assert (entry.dn, entry.first("title"), entry.first("cn")) == (dn, "Lärare", "Anna Andersson")
    assert (entry.values("uid"), entry.values("mail")) == (("andann01",), ("anna.a@x.example",))
    assert (await adopt(service, plan, "certain", 0))[1]["approved"] == 0


async def test_an_account_that_was_closed_when_it_was_taken_over_stays_closed(alvsund: Town, service: Service) -> None:
    dn = ByHand(alvsund).add("andann02", "employeeNumber: 1002")
    ByHand(alvsund).replace(dn, "pwdEndTime", "20200101000000Z")
    person = await told(alvsund, "1002")
    await alvsund.converged()
    assert (await adopt(service, await planned(alvsund, service), "certain", 1))[0] == 202
    live = {"units": ["*"], "reason": "alla", "matches": 1}
    assert (await ask(service, "POST", "/v1/targets/openldap/live", WRITES, live))[0] == 202
    async with alvsund.database.transaction() as conn:
        await conn.execute("UPDATE work SET wanted = wanted + 1")
    await alvsund.converged()
    entry = await alvsund.entry(person)
    assert entry is not None
    assert entry.first("pwdEndTime") == "20200101000000Z"
    assert await alvsund.rows("SELECT problem ->> 'code' FROM work") == [("account.locked_elsewhere",)]


async def test_case_40_a_plan_hides_its_candidates_when_protection_is_told_and_can_still_be_carried_out(
    alvsund: Town, service: Service
) -> None:
    hand = ByHand(alvsund)
    dn = hand.add("xandra01", "employeeNumber: 1001", "mail: xandra.q@x.example", "displayName: Xandra Quist")
    hand.add("grannen", "employeeNumber: 1002", "displayName: Grannen")
    person = await told(alvsund, "1001", "Xandra", "Quist")
    await told(alvsund, "1002")
    await planned(alvsund, service)
    assert "Xandra" in str(await rows(service, "certain"))
    hidden = known("1001", "Xandra", "Quist").model_copy(update={"protection": Protection.PROTECTED})
    await alvsund.tell(person, 2, hidden)
    plan: dict[str, Any] = {}
    for again in (False, True):
        plan = await planned(alvsund, service) if again else plan
        assert [one["userName"] for one in await rows(service, "certain")] == ["grannen"]
        kept = str(await alvsund.rows("SELECT detail FROM takeover_row"))
        assert [word for word in ("Xandra", "Quist", "1001", "Grannen") if word in kept] == ["Grannen"], again
    status, refused = await adopt(service, plan, "certain", 2)
    assert (status, refused["matches"]) == (409, 1), "who may not see them does not adopt them"
    status, _ = await adopt(service, plan, "certain", 2, f"{WRITES} persons:read_protected")
    assert status == 202
    live = {"units": ["*"], "reason": "alla", "matches": 2}
    assert (await ask(service, "POST", "/v1/targets/openldap/live", WRITES, live))[0] == 202
    await alvsund.converged()
    text = alvsund.ldif("(objectClass=inetOrgPerson)").casefold()
    assert [word for word in ("xandra", "quist", "grannen") if word in text] == ["grannen"]
    assert dn not in text


async def test_names_that_are_another_persons_are_refused(alvsund: Town, service: Service) -> None:
    async with alvsund.database.transaction() as conn:
        await conn.execute(
            "INSERT INTO name_reservation (scope, kind, value, organisation, person, stem)"
            " VALUES (%s, 'mail', 'upptagen@x.example', 'alvsund', %s, 'x')",
            (alvsund.organisations["alvsund"].naming_scope, uuid4()),
        )
    ByHand(alvsund).add("andann03", "employeeNumber: 1003", "mail: Upptagen@x.example")
    person = await told(alvsund, "1003")
    await alvsund.converged()
    status, said = await adopt(service, await planned(alvsund, service), "certain", 1)
    assert (status, said["approved"], said["refused"][0]["code"]) == (202, 0, "account.name_taken")
    assert await alvsund.entry(person) is None


async def test_one_that_was_made_anew_under_the_same_name_is_not_adopted(alvsund: Town, service: Service) -> None:
    hand = ByHand(alvsund)
    dn = hand.add("andann04", "employeeNumber: 1004")
    person = await told(alvsund, "1004")
    await alvsund.converged()
    plan = await planned(alvsund, service)
    hand("ldapdelete", dn + "\n")
    hand.add("andann04", "employeeNumber: 9999")
    assert (await adopt(service, plan, "certain", 1))[0] == 202
    await alvsund.converged()
    assert await alvsund.entry(person) is None
    assert await alvsund.rows("SELECT problem ->> 'code' FROM work") == [("account.adoption_gone",)]


async def test_pairs_are_chosen_among_the_candidates_and_an_older_plan_is_refused(
    alvsund: Town, service: Service
) -> None:
    hand = ByHand(alvsund)
    hand.add("a1", "employeeNumber: 1005")
    hand.add("a2", "employeeNumber: 1005")
    person = await told(alvsund, "1005")
    await alvsund.converged()
    plan = await planned(alvsund, service)
    first, second = await rows(service, "ambiguous")
    stranger = [{"entry": first["entry"], "person": str(uuid4())}]
    assert (await adopt(service, plan, stranger, 1))[1]["code"] == "takeover.pairs"
    both = [{"entry": one["entry"], "person": str(person)} for one in (first, second)]
    assert (await adopt(service, plan, both, 2))[1]["code"] == "takeover.pairs"
    assert (await adopt(service, {"plan": "x"}, both[:1], 1))[1]["code"] == "takeover.overtaken"
    assert (await adopt(service, plan, both[:1], 1))[0] == 202
    await alvsund.converged()
    assert await alvsund.entry(person) is not None
    assert (await ask(service, "GET", "/v1/takeover/openldap/rows?certainty=none", "alvsund targets:read"))[0] == 403


async def test_an_account_is_shown_beside_its_candidates(alvsund: Town, service: Service) -> None:
    hand = ByHand(alvsund)
    hand.add("a1", "employeeNumber: 1006", "displayName: Anna  ANDERSSON", "title: Rektor")
    hand.add("a2", "employeeNumber: 1006")
    person = await told(alvsund, "1006")
    await alvsund.converged()
    plan = await planned(alvsund, service)
    first = next(one for one in await rows(service, "ambiguous") if one["userName"] == "a1")
    path = "/v1/takeover/openldap/rows/"
    status, shown = await ask(service, "GET", path + first["entry"], READS)
    assert (status, shown["plan"], shown["detail"]["title"]) == (200, plan["plan"], ["Rektor"])
    (beside,) = shown["people"]
    assert (beside["person"], beside["name"], beside["employeeNumbers"]) == (str(person), "Anna Andersson", ["1006"])
    assert (beside["shared"], beside["rivals"]) == (["employee_number", "name"], ["a2"])
    assert (beside["titles"], beside["units"]) == (["Lärare"], ["100"])
    assert (await ask(service, "GET", path + "none", READS))[0] == 404
    assert (await ask(service, "GET", path + first["entry"], "alvsund targets:read"))[0] == 403


async def test_an_account_that_may_be_somebody_protecteds_is_not_told_beside_another(
    alvsund: Town, service: Service
) -> None:
    hand = ByHand(alvsund)
    hand.add("a1", "employeeNumber: 1008")
    hand.add("hemlig", "employeeNumber: 1009")
    jobs = [employment(START, employee_number=n, baseline=True) for n in ("1008", "1009")]
    await alvsund.tell(uuid4(), 1, record(*jobs, given="Anna", family="Ek"))
    hidden = record(jobs[1], given="Göta", family="Al").model_copy(update={"protection": Protection.PROTECTED})
    await alvsund.tell(uuid4(), 1, hidden)
    await alvsund.converged()
    plan = await planned(alvsund, service)
    (one,) = await rows(service, "ambiguous")
    path = "/v1/takeover/openldap/rows/"
    (beside,) = (await ask(service, "GET", path + one["entry"], READS))[1]["people"]
    assert (one["userName"], beside["rivals"]) == ("a1", [])
    everything = f"{WRITES} persons:read_protected"
    (beside,) = (await ask(service, "GET", path + one["entry"], everything))[1]["people"]
    assert beside["rivals"] == ["hemlig"]
    page = (await ask(service, "GET", f"{path[:-1]}?certainty=ambiguous", everything))[1]
    other = next(row["entry"] for row in page["items"] if row["userName"] == "hemlig")
    assert (await ask(service, "GET", path + other, READS))[0] == 404
    body = {"plan": plan["plan"], "entries": [other], "reason": "x"}
    assert (await ask(service, "POST", "/v1/takeover/openldap/dismiss", WRITES, body))[0] == 409
    assert (await ask(service, "POST", "/v1/takeover/openldap/dismiss", everything, body))[0] == 200


async def test_what_is_nobodys_stays_so_in_the_next_plan_until_a_pair_is_approved(
    alvsund: Town, service: Service
) -> None:
    ByHand(alvsund).add("andann07", "employeeNumber: 1007")
    person = await told(alvsund, "1007")
    await alvsund.converged()
    plan = await planned(alvsund, service)
    (row,) = await rows(service, "certain")
    body = {"plan": plan["plan"], "entries": [row["entry"]], "reason": "ett delat konto"}
    path = "/v1/takeover/openldap/dismiss"
    assert (await ask(service, "POST", path, READS, body))[0] == 403
    assert (await ask(service, "POST", path, WRITES, {**body, "plan": "x"}))[1]["code"] == "takeover.overtaken"
    assert (await ask(service, "POST", path, WRITES, {**body, "entries": ["x"]}))[1]["code"] == "takeover.pairs"
    assert (await ask(service, "POST", path, WRITES, body))[1] == {"dismissed": 1}
    assert (await adopt(service, plan, "certain", 0))[1]["approved"] == 0
    again = await planned(alvsund, service)
    assert (await rows(service, "certain"))[0]["refused"] == "takeover.nobody"
    assert (await adopt(service, again, "certain", 0))[1]["approved"] == 0
    pair = [{"entry": row["entry"], "person": str(person)}]
    assert (await adopt(service, again, pair, 1))[1]["approved"] == 1
    assert (await ask(service, "POST", path, WRITES, {**body, "plan": again["plan"]}))[1]["code"] == "takeover.pairs"


async def test_a_thousand_accounts_of_which_thirty_are_ambiguous(alvsund: Town, service: Service) -> None:
    letters = str.maketrans("0123456789", "aeioubdklm")
    names = [f"B{number:04}".translate(letters).capitalize() for number in range(1_000)]
    blocks = []
    for number, family in enumerate(names):
        # thirty share their number with the one before
        own = number - 1 if number % 2 and number < 30 else number
        blocks.append(
            f"dn: uid=x{number:04},ou=people,{alvsund.base}\nobjectClass: inetOrgPerson\nuid: x{number:04}\n"
            f"cn: Anna {family}\nsn: {family}\nemployeeNumber: {20_000 + own}\nmail: x{number:04}@old.example\n"
        )
    await asyncio.to_thread(ByHand(alvsund), "ldapadd", "\n".join(blocks))
    people = {await told(alvsund, str(20_000 + number), "Anna", names[number]): number for number in range(1_000)}
    await alvsund.converged(seconds=90)
    assert await alvsund.rows("SELECT count(*) FROM account WHERE state <> 'absent'") == [(0,)]
    plan = await planned(alvsund, service)
    assert {certainty: one["rows"] for certainty, one in plan["counts"].items()} == {
        "certain": 970,
        "ambiguous": 30,
        "none": 0,
    }
    assert (await adopt(service, plan, "certain", 970))[1]["approved"] == 970
    await alvsund.converged(seconds=90)
    marked = await alvsund.directory.search(alvsund.base, "(stafettPerson=*)", ["uid", "stafettPerson"])
    assert len(marked) == 970
    for entry in marked:
        number = people[UUID(entry.first("stafettPerson") or "")]
        assert entry.first("uid") == f"x{number:04}"
