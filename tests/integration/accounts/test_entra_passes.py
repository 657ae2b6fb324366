"""Whole passes over Entra ID: what the performer decides, and what the simulator was asked for because of it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

import pytest

from contracts.codes import AccountState
from contracts.registry import SERVICE_EVALUATED
from services.accounts.domain.desired import ReservedNames
from services.accounts.domain.grants import Entitled, Grant, GrantKind
from services.accounts.handlers.performer import AccountPerformer
from services.kernel.failures import Transient, Unavailable
from services.kernel.work import Outcome
from tests.integration.accounts.entra_town import Tenant, tenant_under_test
from tests.support.entra import DOMAIN, SKU, group
from tests.unit.accounts.builders import employment, record, utc
from tests.unit.accounts.test_performer import NOW, PERSON, Rig

FIRST, LAST = date(2027, 1, 1), date(2027, 3, 31)


@pytest.fixture
async def tenant(tmp_path: Path) -> AsyncIterator[Tenant]:
    async with tenant_under_test(tmp_path, timeout=2.0) as here:
        yield here


@pytest.fixture
def rig(tenant: Tenant) -> Rig:
    rig = Rig(record(employment(FIRST, LAST, employee_number="17")))
    rig.performer = AccountPerformer(tenant.accounts, rig.ledger, reader=None)  # type: ignore[arg-type]
    rig.names = ReservedNames("anna.andersson", (f"anna.andersson@{DOMAIN}", f"anna@{DOMAIN}"))
    return rig


def state(rig: Rig) -> AccountState:
    assert rig.row is not None
    return rig.row.state


def written(tenant: Tenant) -> int:
    return len([one for one in tenant.simulator.log() if one.changes])


async def test_a_joiner_is_made_a_second_pass_writes_nothing_and_a_leaver_is_closed_and_deleted(
    tenant: Tenant, rig: Rig
) -> None:
    await rig.turn()
    assert (state(rig), tenant.made()) == (AccountState.ENABLED, 1)
    before = written(tenant)
    again = await rig.turn()
    assert (again.messages, again.result, written(tenant)) == ((), None, before)
    tenant.simulator.later(5)
    await rig.turn(utc(2027, 4, 1, 12))
    assert state(rig) == AccountState.DISABLED
    assert [len(tenant.simulator.log(change)) for change in ("user.sessionsRevoked", "user.deleted")] == [1, 0]
    await rig.turn(utc(2027, 6, 1, 12))
    assert state(rig) == AccountState.ABSENT
    assert (len(tenant.simulator.users()), len(tenant.simulator.users(deleted=True))) == (0, 1)


async def test_somebody_who_was_made_while_the_answer_was_lost_is_found_by_the_next_pass(
    tenant: Tenant, rig: Rig
) -> None:
    tenant.simulator.tenant.lag = 30.0
    tenant.simulator.fault("lost_answer", method="POST", path="*/users", times=1)
    with pytest.raises(Unavailable):
        await rig.turn()
    for _ in range(3):
        with pytest.raises(Transient) as lag:
            await rig.turn()
        assert lag.value.code == "account.not_replicated"
    tenant.simulator.later(31)
    await rig.turn()
    assert (tenant.made(), rig.ledger.handed_out) == (1, 1)


async def test_mail_of_a_leaver_goes_to_the_function_mailbox_while_the_account_is_kept_and_no_longer(
    tenant: Tenant, rig: Rig
) -> None:
    plan, route = Grant(GrantKind.LICENCE, SKU), Grant(GrantKind.MAIL_ROUTE, f"registrator@{DOMAIN}")

    async def passed(now: datetime, *wanted: Grant) -> list[str]:
        why = Entitled(dict.fromkeys(wanted, (UUID(int=1), "row")))
        await rig.turn(now, entitled=why, owned=dict.fromkeys(rig.ledger.owned, True))
        return [str(rule["displayName"]) for user in tenant.simulator.users() for rule in user.rules]

    assert await passed(NOW, plan) == []
    tenant.simulator.later(5)
    assert await passed(utc(2027, 4, 1, 12), plan, route) == [f"Stafett: registrator@{DOMAIN}"]
    assert state(rig) == AccountState.DISABLED
    before = written(tenant)
    assert await passed(utc(2027, 4, 2, 12), plan, route) == [f"Stafett: registrator@{DOMAIN}"]
    assert written(tenant) == before
    await passed(utc(2027, 6, 1, 12))
    assert state(rig) == AccountState.ABSENT
    (deleted,) = tenant.simulator.users(deleted=True)
    assert (deleted.rules, deleted.properties["assignedLicenses"]) == ((), [])


async def test_somebody_whom_active_directory_writes_gets_groups_and_licences_and_what_waits_is_told(
    tenant: Tenant, rig: Rig
) -> None:
    staff, plan, person = Grant(GrantKind.GROUP, "Alla"), Grant(GrantKind.LICENCE, SKU), PERSON
    note = {"onPremisesExtensionAttributes": {"extensionAttribute15": str(person)}, "usageLocation": "SE"}
    synced = tenant.simulator.user(mailNickname="anna", onPremisesSyncEnabled=True, **note)
    tenant.simulator.sow(users=(synced,), groups=(group("Alla"),))
    why = Entitled(dict.fromkeys((staff, plan), (UUID(int=1), "row")))
    outcome = await rig.turn(entitled=why)
    assert [len(tenant.simulator.log(change)) for change in ("group.memberAdded", "user.licenceAdded")] == [1, 1]
    assert outcome.problem is not None
    assert (outcome.problem.code, outcome.removing) == ("account.synced", False)
    assert troubles(outcome) == {"account.updated": ("waiting", "account.synced")}
    outcome = await rig.turn(utc(2027, 4, 1, 12), owned={staff: True, plan: True})
    assert [len(tenant.simulator.log(change)) for change in ("group.memberRemoved", "user.licenceRemoved")] == [1, 1]
    assert len(tenant.simulator.log("user.sessionsRevoked")) == 1
    assert (outcome.removing, state(rig)) == (True, AccountState.ENABLED)
    assert troubles(outcome) == {"account.disabled": ("waiting", "account.synced")}
    (entry,) = tenant.simulator.users()
    tenant.simulator.tenant.shelf.put(replace(entry, properties={**entry.properties, "accountEnabled": False}))
    again = await rig.turn(utc(2027, 4, 1, 13))
    assert state(rig) == AccountState.DISABLED
    assert "account.disabled" not in troubles(again)
    late = await rig.turn(utc(2027, 6, 1, 12), owned={staff: True})
    assert troubles(late) == {"account.deleted": ("waiting", "account.synced")}
    assert len(tenant.simulator.users()) == 1


def troubles(outcome: Outcome) -> dict[str, tuple[str, str]]:
    """Return what the evaluation says of the steps that could not be done."""
    (said,) = [one.event.data for one in outcome.messages if one.event.type == SERVICE_EVALUATED]
    return {step.code: (step.state.value, step.problem.code) for step in said.steps if step.problem is not None}


async def test_a_name_that_another_has_is_left_to_them_and_the_next_one_is_taken(tenant: Tenant, rig: Rig) -> None:
    tenant.simulator.sow(users=(tenant.simulator.user(mailNickname="x", mail=f"anna.andersson@{DOMAIN}"),))
    await rig.turn()
    (ours,) = [user for user in tenant.simulator.users() if user.properties["mailNickname"] != "x"]
    assert ours.properties["mail"] == "anna.andersson2@x.example"


async def test_a_leaver_whose_sessions_could_not_be_ended_is_not_told_as_closed(tenant: Tenant, rig: Rig) -> None:
    await rig.turn()
    tenant.simulator.later(5)
    tenant.simulator.fault("error", method="POST", path="*/revokeSignInSessions", status=503, times=1)
    end = utc(2027, 4, 1, 12)
    with pytest.raises(Unavailable):
        await rig.turn(end)
    assert state(rig) == AccountState.ENABLED
    await rig.turn(end)
    assert state(rig) == AccountState.DISABLED
    assert len(tenant.simulator.log("user.sessionsRevoked")) == 1


async def test_an_id_that_was_stored_is_asked_for_even_when_everything_else_was_changed_by_hand(
    tenant: Tenant, rig: Rig
) -> None:
    await rig.turn()
    (entry,) = tenant.simulator.users()
    by_hand = {**entry.properties, "displayName": "X", "employeeId": "99", "onPremisesExtensionAttributes": {}}
    tenant.simulator.tenant.shelf.put(replace(entry, properties=by_hand))
    await rig.turn(NOW)
    (entry,) = tenant.simulator.users()
    assert entry.properties["displayName"] == "Anna Andersson"
    assert entry.properties["employeeId"] == "17"
    assert tenant.made() == 1
