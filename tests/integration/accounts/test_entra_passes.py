"""Whole passes over Entra ID: what the performer decides, and what the simulator was asked for because of it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from contracts.codes import AccountState
from services.accounts.domain.desired import ReservedNames
from services.accounts.handlers.performer import AccountPerformer
from services.kernel.failures import Transient, Unavailable
from tests.integration.accounts.entra_town import Tenant, tenant_under_test
from tests.support.entra import DOMAIN
from tests.unit.accounts.builders import employment, record, utc
from tests.unit.accounts.test_performer import NOW, Rig

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
