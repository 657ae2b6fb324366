"""A person's account from hire to deletion, on real servers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from contracts.codes import EndReason, Form, Protection, Reason
from contracts.registry import ACCOUNT_CHANGED, PERSON_LEAVER, SERVICE_EVALUATED, STEP_RECORDED
from services.kernel import oversight
from tests.integration.accounts.harness import Town, town
from tests.support.kernel import eventually
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest

NOON = datetime(2027, 3, 15, 11, tzinfo=UTC)


@pytest.fixture
async def alvsund(slapd: SlapdUnderTest, fresh_database: str) -> AsyncIterator[Town]:
    async with town(slapd, fresh_database) as here:
        yield here


def _steps(evaluation: dict[str, object]) -> dict[str, str]:
    return {step["code"]: step["state"] for step in evaluation["steps"]}  # type: ignore[attr-defined]


async def test_the_directory_itself_closes_a_fixed_term_a_day_after_the_last_and_follows_the_end(alvsund: Town) -> None:
    person, last = uuid4(), TODAY + timedelta(days=60)
    job = employment(TODAY, last, form=Form.FIXED_TERM, end_stated_at=NOON)
    await alvsund.tell(person, 1, record(job))
    await alvsund.converged()

    async def expires() -> str | None:
        entry = await alvsund.entry(person)
        assert entry is not None
        return entry.first("pwdEndTime")

    assert await expires() == "20270515220000Z"
    before = await alvsund.writes()
    await alvsund.tell(person, 2, record(job))
    await alvsund.converged()
    assert await alvsund.writes() == before
    await alvsund.at(datetime(2027, 5, 14, 21, 59, tzinfo=UTC))
    await alvsund.tell(person, 3, record(job.model_copy(update={"valid_to": last + timedelta(days=30)})))
    await alvsund.converged()
    assert await expires() == "20270614220000Z"
    await alvsund.tell(person, 4, record(job.model_copy(update={"valid_to": None})))
    await alvsund.converged()
    assert await expires() is None
    await alvsund.tell(person, 5, record(job.model_copy(update={"valid_to": last})))
    await alvsund.at(datetime(2027, 5, 14, 22, 0, tzinfo=UTC))
    assert await expires() == "20000101000000Z"


async def test_bind_is_refused_before_the_start_accepted_after_it_and_refused_after_the_end(alvsund: Town) -> None:
    person = uuid4()
    await alvsund.tell_unit("100", "Björkskolan")
    start, end = TODAY + timedelta(days=20), TODAY + timedelta(days=60)
    job = employment(start, end, end_stated_at=NOON, employee_number="4711")
    await alvsund.tell(person, 1, record(job))
    await alvsund.converged()
    assert await alvsund.entry(person) is None
    assert _steps((await alvsund.said(SERVICE_EVALUATED, person))[-1]) == {
        "account.created": "planned", "account.enabled": "planned", "account.disabled": "planned",
        "account.deleted": "planned",
    }  # fmt: skip

    await alvsund.at(datetime(2027, 3, 21, 0, 0, tzinfo=UTC))  # lead: 14 days
    entry = await alvsund.entry(person)
    assert entry is not None
    assert entry.values("mail") == ("anna.andersson@alvsund.example",)
    assert entry.values("ou") == ("Björkskolan",)
    alvsund.set_password(entry.dn)
    assert not alvsund.can_log_in(entry.dn)

    await alvsund.at(datetime(2027, 4, 3, 22, 0, tzinfo=UTC))  # 00:00 local time, summer
    assert alvsund.can_log_in(entry.dn)
    await alvsund.at(datetime(2027, 5, 14, 21, 59, 0, tzinfo=UTC))
    assert alvsund.can_log_in(entry.dn)
    await alvsund.at(datetime(2027, 5, 14, 22, 0, tzinfo=UTC))
    assert not alvsund.can_log_in(entry.dn)
    await alvsund.at(datetime(2027, 6, 13, 22, 0, tzinfo=UTC))
    assert await alvsund.entry(person) is None

    states = [change["record"]["state"] for change in await alvsund.said(ACCOUNT_CHANGED, person)]
    assert states == ["disabled", "enabled", "disabled", "absent"]
    codes = [step["code"] for step in await alvsund.said(STEP_RECORDED, person)]
    assert codes == ["account.created", "account.enabled", "account.disabled", "account.deleted"]
    assert _steps((await alvsund.said(SERVICE_EVALUATED, person))[-1]) == {"account.deleted": "verified"}


async def test_case_13_replayed_and_older_revisions_write_nothing(alvsund: Town) -> None:
    person = uuid4()
    await alvsund.tell_unit("100", "Björkskolan")
    job = employment(TODAY - timedelta(days=30))
    await alvsund.tell(person, 2, record(job, family="Berg"))
    await alvsund.converged()
    before, entry = await alvsund.writes(), await alvsund.entry(person)
    said = len(await alvsund.said(SERVICE_EVALUATED, person))

    await alvsund.tell(person, 2, record(job, family="Berg"))
    await alvsund.tell(person, 1, record(job, family="Alm"))
    async with alvsund.database.transaction() as conn:
        await conn.execute("UPDATE work SET wanted = wanted + 1")
    await alvsund.converged()

    assert await alvsund.writes() == before
    assert await alvsund.entry(person) == entry
    assert len(await alvsund.said(SERVICE_EVALUATED, person)) == said


@pytest.mark.parametrize("ask", [oversight.look_again, oversight.wake_troubled])
async def test_whoever_asks_for_everybody_is_told_of_everybody_though_nothing_is_new(
    alvsund: Town, ask: Callable[..., Awaitable[int]]
) -> None:
    people = [uuid4() for _ in range(3)]
    for number, person in enumerate(people):
        await alvsund.tell(person, 1, record(employment(TODAY - timedelta(days=30)), family=f"Berg{'abc'[number]}"))
    await alvsund.converged()
    before = {person: (await alvsund.said(SERVICE_EVALUATED, person))[-1] for person in people}
    assert _steps(before[people[0]])["account.department"] == "waiting", "all wait for their unit"
    writes = await alvsund.writes()

    async with alvsund.database.transaction() as conn:
        assert await ask(conn, "alvsund", subject=None, target=None) == len(people)

    async def told() -> bool:
        return all([len(await alvsund.said(SERVICE_EVALUATED, person)) == 2 for person in people])

    await eventually(told)
    await alvsund.converged()
    assert await alvsund.writes() == writes
    for person in people:
        verified = [step["verifiedAt"] for step in before[person]["steps"] if step["verifiedAt"]]
        anew = [step["verifiedAt"] for step in (await alvsund.said(SERVICE_EVALUATED, person))[-1]["steps"]]
        assert max(verified) < max(at for at in anew if at), "it was read back anew, and says so"


async def test_case_49_a_unit_that_comes_late_holds_back_the_department_only(alvsund: Town) -> None:
    person = uuid4()
    await alvsund.tell(person, 1, record(employment(TODAY)))
    await alvsund.converged()
    entry = await alvsund.entry(person)
    assert entry is not None
    assert not entry.values("ou")
    assert entry.first("pwdEndTime") is None
    assert _steps((await alvsund.said(SERVICE_EVALUATED, person))[-1])["account.department"] == "waiting"

    await alvsund.tell_unit("100", "Björkskolan")
    await alvsund.converged()
    entry = await alvsund.entry(person)
    assert entry is not None
    assert (entry.values("ou"), entry.values("departmentNumber")) == (("Björkskolan",), ("100",))
    assert _steps((await alvsund.said(SERVICE_EVALUATED, person))[-1])["account.department"] == "verified"


async def test_an_unmanaged_object_with_the_employee_number_parks(alvsund: Town) -> None:
    person = uuid4()
    await alvsund.directory.add(
        f"uid=gamla,ou=people,{alvsund.base}",
        ["inetOrgPerson"],
        {"uid": ("gamla",), "cn": ("A",), "sn": ("B",), "employeeNumber": ("4711",)},
        subject="test",
    )
    await alvsund.tell(person, 1, record(employment(TODAY, employee_number="4711")))
    await alvsund.converged()
    assert await alvsund.entry(person) is None
    assert await alvsund.rows("SELECT state, problem ->> 'code' FROM work") == [("parked", "account.unmanaged")]
    assert (await alvsund.said(STEP_RECORDED, person))[-1]["state"] == "parked"


async def test_a_name_that_is_taken_in_the_directory_makes_the_next_one(alvsund: Town) -> None:
    await alvsund.directory.add(
        f"uid=anna.andersson,ou=people,{alvsund.base}",
        ["inetOrgPerson"],
        {"uid": ("anna.andersson",), "cn": ("A",), "sn": ("B",), "mail": ("anna.andersson@alvsund.example",)},
        subject="test",
    )
    people = [uuid4() for _ in range(4)]
    for person in people:
        await alvsund.tell(person, 1, record(employment(TODAY)))
    await alvsund.converged()
    entries = [await alvsund.entry(person) for person in people]
    assert sorted(entry.first("uid") or "" for entry in entries if entry) == [
        "anna.andersson2", "anna.andersson3", "anna.andersson4", "anna.andersson5",
    ]  # fmt: skip
    mails = {mail for entry in entries if entry for mail in entry.values("mail")}
    assert mails == {f"anna.andersson{n}@alvsund.example" for n in range(2, 6)}


async def test_case_30_a_name_change_keeps_the_login_and_the_old_address(alvsund: Town) -> None:
    person, job = uuid4(), employment(TODAY)
    await alvsund.tell(person, 1, record(job))
    await alvsund.converged()
    await alvsund.tell(person, 2, record(job, family="Öberg"))
    await alvsund.converged()
    entry = await alvsund.entry(person)
    assert entry is not None
    assert entry.first("uid") == "anna.andersson"
    assert entry.values("mail") == ("anna.oberg@alvsund.example", "anna.andersson@alvsund.example")
    assert (await alvsund.said(ACCOUNT_CHANGED, person))[-1]["record"]["mail"] == "anna.oberg@alvsund.example"


async def test_case_2_a_cancelled_hire_deletes_the_prepared_account(alvsund: Town) -> None:
    person, start = uuid4(), TODAY + timedelta(days=5)
    job = employment(start)
    await alvsund.tell(person, 1, record(job))
    await alvsund.converged()
    assert await alvsund.entry(person) is not None
    await alvsund.tell(person, 2, record(job.model_copy(update={"cancelled": True})), reason=Reason.HIRE_CANCELLED)
    await alvsund.converged()
    assert await alvsund.entry(person) is None
    assert _steps((await alvsund.said(SERVICE_EVALUATED, person))[-1]) == {"account.deleted": "verified"}


async def test_case_6_an_open_account_is_never_deleted_at_once_by_a_late_report(alvsund: Town) -> None:
    person, job = uuid4(), employment(date(2026, 1, 1))
    await alvsund.tell(person, 1, record(job))
    await alvsund.converged()
    late = job.model_copy(update={"valid_to": date(2026, 12, 31), "end_stated_at": NOON})
    await alvsund.tell(person, 2, record(late), type_=PERSON_LEAVER, reason=Reason.END)
    await alvsund.converged()
    entry = await alvsund.entry(person)
    assert entry is not None
    assert entry.first("pwdEndTime") is not None
    step = (await alvsund.said(STEP_RECORDED, person))[-1]
    assert step["code"] == "account.disabled"
    assert step["parameters"]["openSeconds" if "openSeconds" in step["parameters"] else "open_seconds"] > 6_000_000
    await alvsund.at(NOON + timedelta(days=31))
    assert await alvsund.entry(person) is None


async def test_the_guard_holds_the_removal_and_nothing_else(slapd: SlapdUnderTest, fresh_database: str) -> None:
    async with town(slapd, fresh_database, guard_limit=1) as here:
        await here.tell_unit("100", "Björkskolan")
        people = {uuid4(): employment(date(2026, 1, 1)) for _ in range(3)}
        for person, job in people.items():
            await here.tell(person, 1, record(job))
        await here.converged()
        for person, job in people.items():
            ended = job.model_copy(update={"valid_to": TODAY - timedelta(days=1), "end_stated_at": NOON})
            await here.tell(person, 2, record(ended, given="Anja"), type_=PERSON_LEAVER, reason=Reason.END)
        await here.converged()
        entries = [await here.entry(person) for person in people]
        assert sum(1 for entry in entries if entry and entry.first("pwdEndTime")) == 1
        assert {entry.first("givenName") for entry in entries if entry} == {"Anja"}
        held = await here.rows("SELECT subject FROM work WHERE state = 'held'")
        assert len(held) == 2

        urgent = next(person for person in people if (str(person),) in [tuple(row) for row in held])
        fired = people[urgent].model_copy(update={"ends_at": NOON, "end_reason": EndReason.DISMISSAL})
        await here.tell(urgent, 3, record(fired, given="Anja"), type_=PERSON_LEAVER, reason=Reason.DISMISSAL)
        await here.converged()


async def test_case_18_a_rehire_gets_the_same_account_and_login(alvsund: Town) -> None:
    person = uuid4()
    first = employment(date(2026, 1, 1), TODAY, end_stated_at=datetime(2026, 1, 1, tzinfo=UTC))
    await alvsund.tell(person, 1, record(first))
    await alvsund.converged()
    await alvsund.at(NOON + timedelta(days=10))
    entry = await alvsund.entry(person)
    assert entry is not None
    assert entry.first("pwdEndTime") is not None
    await alvsund.tell(person, 2, record(first, employment(TODAY + timedelta(days=10))))
    await alvsund.converged()
    again = await alvsund.entry(person)
    assert again is not None
    assert again.first("entryUUID") == entry.first("entryUUID")
    assert again.first("pwdEndTime") is None


async def test_for_somebody_who_left_before_we_heard_of_them_no_account_and_no_name_is_made(alvsund: Town) -> None:
    person = uuid4()
    await alvsund.tell(person, 1, record(employment(date(2026, 1, 1), TODAY - timedelta(days=5))))
    await alvsund.converged()
    assert await alvsund.entry(person) is None
    assert await alvsund.rows("SELECT value FROM name_reservation") == []
    assert await alvsund.rows("SELECT state, due_at FROM work") == [("idle", None)]
    assert _steps((await alvsund.said(SERVICE_EVALUATED, person))[-1]) == {}


@pytest.mark.parametrize("late", [False, True])
async def test_case_40_ldapsearch_finds_nothing_of_a_protected_identity(alvsund: Town, late: bool) -> None:
    person, job = uuid4(), employment(TODAY, employee_number="4711")
    await alvsund.tell_unit("100", "Björkskolan")
    plain = record(job, family="Öberg")
    if late:
        await alvsund.tell(person, 1, plain)
        await alvsund.converged()
    await alvsund.tell(person, 2, plain.model_copy(update={"protection": Protection.MARKED}))
    await alvsund.converged()
    text = alvsund.ldif(f"(stafettPerson={person})").casefold()
    assert "mail: user1@alvsund.example" in text
    assert "uid: user1" in text
    for word in ("anna", "öberg", "oberg", "lärare", "björkskolan", "departmentnumber"):
        assert word not in text
    assert alvsund.ldif("(|(mail=anna*)(cn=*anna*)(sn=*berg*)(givenName=anna*))") == ""
    (said,) = (await alvsund.said(ACCOUNT_CHANGED, person))[-1:]
    assert said["record"]["mail"] == "user1@alvsund.example"
    assert said["record"]["user_name" if "user_name" in said["record"] else "userName"] == "user1"
    await alvsund.tell(person, 3, plain)
    await alvsund.converged()
    text = alvsund.ldif(f"(stafettPerson={person})").casefold()
    assert "uid: user1" in text, "a login is for good"
    assert "displayname" in text


async def test_case_27_who_is_employed_by_two_organisations_has_an_account_in_each(alvsund: Town) -> None:
    bergby = replace(alvsund, organisation="bergby")
    people = {}
    for here, number in ((alvsund, "4711"), (bergby, "17")):
        await here.tell_unit("100", "Björkskolan")
        people[here.organisation] = uuid4()
        await here.tell(people[here.organisation], 1, record(employment(TODAY, employee_number=number)))
    await alvsund.converged()
    for here in (alvsund, bergby):
        entry = await here.entry(people[here.organisation])
        assert entry is not None
        assert entry.dn.endswith(here.base)
    ended = record(employment(TODAY - timedelta(days=9), TODAY - timedelta(days=1), employee_number="17"))
    await bergby.tell(people["bergby"], 2, ended)
    await alvsund.converged()
    still, closed = await alvsund.entry(people["alvsund"]), await bergby.entry(people["bergby"])
    assert still is not None
    assert closed is not None
    assert (still.first("pwdEndTime"), closed.first("pwdEndTime")) == (None, "20000101000000Z")


async def test_case_31_two_of_the_same_name_at_the_same_second_have_names_of_their_own(alvsund: Town) -> None:
    people = [uuid4(), uuid4()]
    await asyncio.gather(*(alvsund.tell(person, 1, record(employment(TODAY))) for person in people))
    await alvsund.converged()
    entries = [await alvsund.entry(person) for person in people]
    assert {one.first("uid") for one in entries if one} == {"anna.andersson", "anna.andersson2"}
    assert len({one.first("mail") for one in entries if one}) == 2
