"""What people see and decide of drift, over HTTP, on a real directory."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.codes import Protection
from contracts.registry import AUDIT_RECORDED
from services.accounts.bootstrap import build
from services.accounts.settings import Settings
from services.accounts.store import targets
from services.kernel.runner import Service
from tests.integration.accounts.harness import TARGET, Town, town
from tests.integration.accounts.test_drift import ByHand, compared, hired
from tests.support.asking import FakeAuthenticator, ask
from tests.support.kernel import ROOT, service_settings
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest

READS = "alvsund targets:read persons:read"
WRITES = f"{READS} targets:write"


@pytest.fixture
async def alvsund(slapd: SlapdUnderTest, fresh_database: str) -> AsyncIterator[Town]:
    async with town(slapd, fresh_database) as here:
        await here.tell_unit("100", "Björkskolan")
        yield here


@pytest.fixture
async def service(alvsund: Town, slapd: SlapdUnderTest, fresh_database: str, tmp_path: Path) -> AsyncIterator[Service]:
    del alvsund
    async with service_on(slapd, fresh_database, tmp_path) as built:
        yield built


@asynccontextmanager
async def service_on(
    slapd: SlapdUnderTest, fresh_database: str, folder: Path, *, live: bool = True
) -> AsyncIterator[Service]:
    """The service as bootstrap wires it on a target that goes live in stages; with `live` it is for everybody."""
    base = service_settings("accounts", fresh_database, 5672).model_dump()
    delivered = (ROOT / "deploy/local/organisations.toml").read_text(encoding="utf-8")
    (folder / "organisations.toml").write_text(re.sub(r"(?m)^targets\.(?!openldap).*\n", "", delivered))
    (folder / "openldap").write_text(slapd.service_password + "\n")
    (folder / "targets.toml").write_text(
        f'[openldap]\nkind = "openldap"\nurl = "{slapd.url}"\nbind_dn = "{slapd.service_dn}"\n'
        'secret_file = "openldap"\nstaged = true\n[openldap.drift]\ndisplayName = "accept"\n'
    )
    built = build(
        Settings.model_validate(
            {
                **base,
                "organisations": folder / "organisations.toml",
                "targets": folder / "targets.toml",
                "lease_seconds": 30,
                "policy_dir": ROOT / "deploy/policy",
            }
        )
    )
    built.app.state.authenticator = FakeAuthenticator()
    await built.database.open()
    async with built.database.transaction() as conn:
        for start in built._starts:
            await start(conn)
        if live:
            await targets.go_live(conn, "alvsund", TARGET, ["*"], actor="test", reason="alla")
    yield built
    await built.database.close()


async def findings(service: Service, principal: str = READS, query: str = "") -> list[dict[str, Any]]:
    status, body = await ask(service, "GET", f"/v1/drift/openldap/findings{query}", principal)
    assert status == 200, body
    found: list[dict[str, Any]] = body["items"]
    return found


async def test_who_may_sees_findings_and_values_only_who_may_read_people(alvsund: Town, service: Service) -> None:
    person, dn = await hired(alvsund)
    hand = ByHand(alvsund)
    hand.replace(dn, "title", "Rektor")
    hidden, secret = await hired(
        alvsund, record(employment(TODAY - timedelta(days=3))).model_copy(update={"protection": Protection.PROTECTED})
    )
    hand.replace(secret, "title", "Rektor")
    await compared(alvsund)
    (only,) = await findings(service)
    assert (only["kind"], only["person"], only["attribute"]) == ("changed", str(person), "title")
    assert only["detail"] == {"wanted": ["Lärare"], "observed": ["Rektor"]}
    assert only["decisions"] == ["reclaim", "accept", "ignore"]
    assert (await findings(service, "alvsund targets:read"))[0]["detail"] == {}
    assert len(await findings(service, f"{READS} persons:read_protected")) == 2
    assert await findings(service, "bergby targets:read") == []
    assert (await ask(service, "GET", "/v1/drift/openldap", "alvsund persons:read"))[0] == 403
    assert (await ask(service, "GET", "/v1/drift/annat", READS))[0] == 404
    status, body = await ask(service, "GET", "/v1/drift/openldap", READS)
    assert (status, body["findings"], body["kinds"]["changed"], body["read"]) == (200, 2, 2, 2)
    read = await alvsund.rows("SELECT body::jsonb -> 'data' -> 'persons' FROM outbox WHERE type = %s", AUDIT_RECORDED)
    assert [str(person)] in [row[0] for row in read]
    assert str(hidden) not in read[0][0]


async def test_one_is_reclaimed_another_accepted_and_neither_comes_back(alvsund: Town, service: Service) -> None:
    _, dn = await hired(alvsund)
    hand = ByHand(alvsund)
    hand.replace(dn, "title", "Rektor")
    hand.replace(dn, "departmentNumber", "7")
    await compared(alvsund)
    by_name = {one["attribute"]: one["id"] for one in await findings(service)}
    path = "/v1/drift/findings/{}/decide"
    why = {"reason": "enligt beslut"}
    status, body = await ask(service, "POST", path.format(by_name["title"]), WRITES, {"decision": "reclaim", **why})
    assert (status, body["lookedAt"]) == (200, 1)
    await ask(service, "POST", path.format(by_name["departmentNumber"]), WRITES, {"decision": "accept", **why})
    await alvsund.converged()
    assert "title: Lärare" in alvsund.ldif("(departmentNumber=7)")
    assert await compared(alvsund) == set()
    assert await alvsund.rows("SELECT attribute, verdict FROM decided") == [("departmentNumber", "accept")]
    status, body = await ask(service, "POST", path.format(uuid4()), WRITES, {"decision": "accept", **why})
    assert (status, body["code"]) == (404, "drift.finding_unknown")


async def test_what_another_hand_closed_is_opened_by_a_persons_word_alone(alvsund: Town, service: Service) -> None:
    person, dn = await hired(alvsund)
    ByHand(alvsund).replace(dn, "pwdEndTime", "20200101000000Z")
    assert await compared(alvsund) == {("state", "", str(person))}
    await alvsund.converged()
    (found,) = await findings(service)
    assert found["decisions"] == ["reopen", "ignore"]
    path = f"/v1/drift/findings/{found['id']}/decide"
    status, body = await ask(service, "POST", path, WRITES, {"decision": "reclaim", "reason": "x"})
    assert (status, body["code"]) == (409, "drift.not_possible")
    assert "pwdEndTime: 20200101000000Z" in alvsund.ldif(f"(stafettPerson={person})")
    assert await alvsund.rows("SELECT state, problem ->> 'code' FROM work") == [("waiting", "account.locked_elsewhere")]
    assert (await ask(service, "POST", path, WRITES, {"decision": "reopen", "reason": "utrett"}))[0] == 200
    await alvsund.converged()
    assert "pwdEndTime" not in alvsund.ldif(f"(stafettPerson={person})")
    assert await compared(alvsund) == set()
    assert await alvsund.rows("SELECT 1 FROM decided") == []


async def test_many_are_decided_by_who_repeats_their_number(alvsund: Town, service: Service) -> None:
    hand = ByHand(alvsund)
    people: list[tuple[UUID, str]] = [await hired(alvsund) for _ in range(3)]
    for _, dn in people:
        hand.replace(dn, "title", "Rektor")
    await compared(alvsund)
    body = {"decision": "reclaim", "reason": "alla", "kind": "changed", "attribute": "title"}
    status, said = await ask(service, "POST", "/v1/drift/openldap/decide", WRITES, body)
    assert (status, said["code"], said["matches"]) == (409, "drift.count", 3)
    status, said = await ask(service, "POST", "/v1/drift/openldap/decide", WRITES, {**body, "matches": 3})
    assert (status, said["decided"]) == (200, 3)
    await alvsund.converged()
    assert await compared(alvsund) == set()
    assert (await ask(service, "POST", "/v1/drift/openldap/decide", READS, body))[0] == 403


async def test_what_is_ignored_is_out_of_the_way_until_it_changes(alvsund: Town, service: Service) -> None:
    hand = ByHand(alvsund)
    dn = hand.add("egen", "employeeNumber: 1")
    await compared(alvsund)
    (found,) = await findings(service)
    path = f"/v1/drift/findings/{found['id']}/decide"
    assert (await ask(service, "POST", path, WRITES, {"decision": "ignore", "reason": "konsult"}))[0] == 200
    await compared(alvsund)
    assert await findings(service) == []
    (ignored,) = await findings(service, query="?ignored=true")
    assert ignored["decision"]["reason"] == "konsult"
    hand("ldapdelete", dn + "\n")
    assert await compared(alvsund) == set()


async def test_targets_tell_their_mode_and_units_go_live(alvsund: Town, service: Service) -> None:
    await hired(alvsund)
    status, body = await ask(service, "GET", "/v1/targets", READS)
    (target,) = body["items"]
    assert (status, target["target"], target["mode"], target["staged"]) == (200, "openldap", "write", True)
    assert (target["accounts"], target["rules"]) == (1, {"displayName": "accept"})
    unknown = {"units": ["999"], "reason": "våg 1"}
    assert (await ask(service, "POST", "/v1/targets/openldap/live", WRITES, unknown))[0] == 422
    status, body = await ask(
        service, "POST", "/v1/targets/openldap/live", WRITES, {"units": ["100"], "reason": "våg 1", "matches": 0}
    )
    assert (status, body["units"], body["lookedAtAgain"]) == (202, ["100"], 1)
    status, body = await ask(service, "GET", "/v1/targets/openldap/live", READS)
    assert [one["unit"] for one in body["units"]] == ["*", "100"]
    assert (await ask(service, "POST", "/v1/targets/openldap/live", READS, unknown))[0] == 403


async def test_a_run_is_asked_for(alvsund: Town, service: Service) -> None:
    del alvsund
    status, body = await ask(service, "POST", "/v1/drift/openldap/runs", WRITES)
    assert (status, body["running"]) == (202, False)
    async with service.database.transaction() as conn:
        rows = await (await conn.execute("SELECT asked_by FROM reading WHERE due_at <= now()")).fetchall()
    assert rows == [("urn:test:reader",)]


async def test_units_go_live_when_the_number_of_people_still_holds(
    alvsund: Town, slapd: SlapdUnderTest, fresh_database: str, tmp_path: Path
) -> None:
    await alvsund.tell_unit("200", "Hemtjänsten")
    await hired(alvsund)
    await hired(alvsund)
    async with service_on(slapd, fresh_database, tmp_path, live=False) as service:
        path = "/v1/targets/openldap/live"
        assert (await ask(service, "POST", f"{path}/plan", READS, {"units": ["100"]}))[1]["people"] == 2
        assert (await ask(service, "POST", f"{path}/plan", READS, {"units": ["*"]}))[1]["people"] == 2
        assert (await ask(service, "POST", f"{path}/plan", READS, {"units": ["200"]}))[1]["people"] == 0
        status, said = await ask(service, "POST", f"{path}/plan", READS, {"units": ["100", "999"]})
        assert (status, said["errors"][0]["field"]) == (422, "/body/units/1")
        body = {"units": ["100"], "reason": "våg 1"}
        for unsure in (body, {**body, "matches": 1}):
            status, said = await ask(service, "POST", path, WRITES, unsure)
            assert (status, said["code"], said["matches"]) == (409, "target.count", 2)
        assert (await ask(service, "POST", path, WRITES, {**body, "matches": 2}))[0] == 202
        # who is written by now is not counted again
        assert (await ask(service, "POST", f"{path}/plan", READS, {"units": ["*"]}))[1]["people"] == 0
        status, told = await ask(service, "GET", "/v1/targets/openldap/units?limit=1", READS)
        (one,) = told["items"]
        assert (one["unit"], one["name"], one["people"], one["reason"]) == ("100", "Björkskolan", 2, "våg 1")
        status, told = await ask(service, "GET", f"/v1/targets/openldap/units?after={told['next']}", READS)
        assert [(one["unit"], one["since"]) for one in told["items"]] == [("200", None)]
        assert (await ask(service, "GET", "/v1/targets/annat/units", READS))[0] == 404
