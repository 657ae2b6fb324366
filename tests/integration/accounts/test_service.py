"""The service as bootstrap wires it: it builds, starts its policy and evaluators, and answers over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import orjson
import pytest
from pydantic import ValidationError

from contracts.codes import Form, Protection
from contracts.person import Assignment
from contracts.registry import AUDIT_RECORDED, STEP_RECORDED
from services.accounts.bootstrap import build
from services.accounts.handlers.situation import TABLE
from services.accounts.settings import Settings
from services.kernel import breaker, evaluators
from services.kernel.policy import PolicyBook, PolicyRefused, Table, activate
from services.kernel.runner import Service
from tests.integration.accounts.harness import Town, town
from tests.support.asking import FakeAuthenticator
from tests.support.kernel import ROOT, organisations_file, service_settings
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest


@pytest.fixture
async def alvsund(slapd: SlapdUnderTest, fresh_database: str) -> AsyncIterator[Town]:
    async with town(slapd, fresh_database) as here:
        yield here


@pytest.fixture
async def service(alvsund: Town, slapd: SlapdUnderTest, fresh_database: str, tmp_path: Path) -> AsyncIterator[Service]:
    base = service_settings("accounts", fresh_database, 5672).model_dump()
    (tmp_path / "openldap").write_text(slapd.service_password + "\n")
    (tmp_path / "targets.toml").write_text(
        f'[openldap]\nkind = "openldap"\nurl = "{slapd.url}"\nbind_dn = "{slapd.service_dn}"\n'
        'secret_file = "openldap"\n'
    )
    settings = Settings.model_validate(
        {
            **base,
            "organisations": organisations_file(tmp_path, "openldap"),
            "targets": tmp_path / "targets.toml",
            "lease_seconds": 30,
            "policy_dir": ROOT / "deploy/policy",
        }
    )
    del alvsund
    built = build(settings)
    built.app.state.authenticator = FakeAuthenticator()
    await built.database.open()
    yield built
    await built.database.close()


async def get(service: Service, person: UUID, principal: str) -> httpx2.Response:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=service.app), base_url="http://x") as client:
        return await client.get(f"/v1/accounts/{person}", headers={"Authorization": principal})


async def test_an_account_is_shown_to_its_organisation_only_and_every_read_is_logged(
    alvsund: Town, service: Service
) -> None:
    person = uuid4()
    await alvsund.tell(person, 1, record(employment(TODAY)))
    await alvsund.converged()
    shown = await get(service, person, "alvsund persons:read")
    assert shown.status_code == 200
    assert shown.json()["accounts"]["openldap"]["userName"] == "anna.andersson"
    assert (await get(service, person, "bergby persons:read")).status_code == 404
    assert (await get(service, person, "alvsund cases:read")).status_code == 403
    audits = await alvsund.said(AUDIT_RECORDED, person)
    assert [audit["parameters"]["shown"] for audit in audits] == [True, False]


async def test_a_protected_person_is_not_there_without_the_scope(alvsund: Town, service: Service) -> None:
    person = uuid4()
    core = record(employment(TODAY)).model_copy(update={"protection": Protection.MARKED})
    await alvsund.tell(person, 1, core)
    await alvsund.converged()
    hidden, nobody = (
        await get(service, person, "alvsund persons:read"),
        await get(service, uuid4(), "alvsund persons:read"),
    )
    assert hidden.status_code == nobody.status_code == 404
    assert hidden.json()["code"] == nobody.json()["code"]
    assert (await get(service, person, "alvsund persons:read persons:read_protected")).status_code == 200


async def ask(service: Service, path: str, principal: str, body: object = None) -> httpx2.Response:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=service.app), base_url="http://x") as client:
        method = "GET" if body is None else "POST"
        return await client.request(method, path, json=body, headers={"Authorization": principal})


def longer(days: str) -> dict[str, Any]:
    """The delivered table, with other days for the ordinary rows."""
    table: dict[str, Any] = orjson.loads((ROOT / "deploy/policy/accounts.json").read_bytes())
    for rule in table["nodes"][1]["content"]["rules"]:
        rule["grace_days"] = days if rule["_id"] == "employed" else rule["grace_days"]
    return table


async def test_a_trial_tells_what_both_tables_decide_and_is_a_read(alvsund: Town, service: Service) -> None:
    person, hidden, reader = uuid4(), uuid4(), "alvsund policy:read persons:read"
    await alvsund.tell(person, 1, record(employment(TODAY)))
    await alvsund.tell(hidden, 1, record(employment(TODAY)).model_copy(update={"protection": Protection.MARKED}))
    async with alvsund.database.transaction() as conn:
        old = Table.parse(TABLE, orjson.dumps(longer("45")).decode())
        await activate(conn, "alvsund", old, actor="urn:test", reason="test")
    path = f"/v1/policy/accounts/trial?person={person}"
    said = (await ask(service, path, reader)).json()
    rows = {
        name: [(one["row"], one["graceDays"]) for one in said[name]["employments"]] for name in ("active", "candidate")
    }
    assert rows == {"active": [("employed", 45)], "candidate": [("employed", 30)]}
    assert said["active"]["hash"] == old.hash
    assert (await ask(service, path, "alvsund policy:read")).status_code == 403
    assert (await ask(service, path, "bergby policy:read persons:read")).status_code == 404
    away = f"/v1/policy/accounts/trial?person={hidden}"
    assert (await ask(service, away, reader)).status_code == 404
    assert (await ask(service, away, f"{reader} persons:read_protected")).status_code == 200
    audits = await alvsund.said(AUDIT_RECORDED, hidden)
    assert [(one["action"], one["parameters"]["shown"]) for one in audits] == [
        ("policy.tried", False),
        ("policy.tried", True),
    ]


async def test_an_activation_remembers_the_table_before_it(alvsund: Town, service: Service) -> None:
    reader, writer = "alvsund policy:read", "alvsund policy:read policy:write"
    tables = [longer("45"), longer("46"), longer("46")]
    hashes = []
    for content in tables:
        planned = (await ask(service, "/v1/policy/accounts/plan", reader, {"content": content})).json()
        body = {"content": content, "hash": planned["hash"], "reason": "prov"}
        assert (await ask(service, "/v1/policy/accounts/activate", writer, body)).status_code == 202
        hashes.append(planned["hash"])
    active = (await ask(service, "/v1/policy/accounts?content=true", reader)).json()["active"]
    assert (active["hash"], active["previous"]["hash"]) == (hashes[1], hashes[0])
    assert active["previous"]["content"] == tables[0]
    first = (await ask(service, "/v1/policy/accounts", "bergby policy:read")).json()["active"]
    assert (first["version"], first["previous"]) == (1, None)
    assert active["version"] == first["version"] + len(tables)


def groups(value: str, **columns: str) -> dict[str, Any]:
    """The delivered table of birthright, with one group for all principals."""
    table: dict[str, Any] = orjson.loads((ROOT / "deploy/policy/birthright.json").read_bytes())
    table["nodes"][1]["content"]["rules"][0] |= {"value": f"'{value}'", "absence": "", **columns}
    return table


async def test_each_table_has_a_desk_of_its_own(alvsund: Town, service: Service) -> None:
    reader, writer = "alvsund policy:read persons:read", "alvsund policy:read policy:write"
    head, path = uuid4(), "/v1/policy/birthright"
    jobs = (Assignment(unit="100", title="Rektor", valid_from=TODAY),)
    await alvsund.tell(head, 1, record(employment(TODAY, assignments=jobs)))
    await alvsund.converged()
    listed = (await ask(service, "/v1/policy", reader)).json()["items"]
    assert {one["table"]: one["candidate"]["differs"] for one in listed} == dict.fromkeys(
        ("accounts", "birthright", "names"), False
    )
    assert (await ask(service, "/v1/policy/nothing", reader)).json()["code"] == "policy.unknown"
    content = groups("ledning")
    planned = (await ask(service, f"{path}/plan", reader, {"content": content})).json()
    assert (planned["gains"], planned["losses"], planned["removals"]) == (1, 1, 1)
    assert [(one["value"], one["gains"], one["losses"]) for one in planned["values"]] == [
        ("ledning", 1, 0),
        ("rektorer", 0, 1),
    ]
    body = {"content": content, "hash": planned["hash"], "reason": "prov"}
    assert (await ask(service, f"{path}/activate", writer, body)).status_code == 202
    said = (await ask(service, f"{path}/trial?person={head}", reader)).json()
    given = {
        name: [(one["row"], one["value"]) for one in said[name]["employments"][0]["grants"]]
        for name in ("active", "candidate")
    }
    assert given == {"active": [("principal", "ledning")], "candidate": [("principal", "rektorer")]}
    accounts_table = (await ask(service, "/v1/policy/accounts", reader)).json()["active"]
    assert accounts_table["version"] == 1, "another table's activation is not its own"


async def test_a_plan_names_file_row_and_reason_of_what_it_refuses(alvsund: Town, service: Service) -> None:
    del alvsund
    wrong = [groups(" "), groups("x", kind="'role'"), groups("x", target="'nowhere'"), groups("x", keep_days="-1")]
    for content in wrong:
        answer = await ask(service, "/v1/policy/birthright/plan", "alvsund policy:read", {"content": content})
        assert (answer.status_code, answer.json()["code"]) == (422, "policy.refused")
        assert [error["field"] for error in answer.json()["errors"]] == ["/request/principal"]


async def test_start_registers_an_evaluator_for_each_organisation_once(alvsund: Town, service: Service) -> None:
    for _ in range(2):
        async with service.database.transaction() as conn:
            for start in service._starts:
                await start(conn)
    rows = await alvsund.rows("SELECT organisation, service, target, since FROM kernel.evaluator ORDER BY 1")
    first = datetime(1970, 1, 1, tzinfo=UTC)
    assert rows == [("alvsund", "accounts", "openldap", first), ("bergby", "accounts", "openldap", first)]


async def test_an_organisation_that_is_new_while_the_target_is_paused_is_told(alvsund: Town) -> None:
    async with alvsund.database.transaction() as conn:
        await evaluators.register(conn, "accounts", ["alvsund"], "openldap")
        await breaker.pause(conn, "accounts", "openldap", actor="drift", reason="flytt", organisation="alvsund")
        await evaluators.register(conn, "accounts", ["alvsund", "bergby"], "openldap")
    paused = "SELECT count(DISTINCT paused_at), count(paused_at) FROM kernel.evaluator"
    assert await alvsund.rows(paused) == [(1, 2)]
    async with alvsund.database.transaction() as conn:
        await breaker.resume(conn, "accounts", "openldap")
    assert await alvsund.rows(paused) == [(0, 0)]


async def test_only_the_first_evaluator_answers_for_what_was_accepted_before_it(alvsund: Town) -> None:
    async with alvsund.database.transaction() as conn:
        await evaluators.register(conn, "accounts", ["alvsund"], "openldap")
        await evaluators.register(conn, "accounts", ["alvsund", "bergby"], "entra")
    rows = await alvsund.rows("SELECT organisation, target, since > '2000-01-01' FROM kernel.evaluator ORDER BY 1, 2")
    assert rows == [("alvsund", "entra", True), ("alvsund", "openldap", False), ("bergby", "entra", False)]


async def test_a_bad_candidate_is_refused_and_the_last_good_table_stands(alvsund: Town, tmp_path: Path) -> None:
    table = orjson.loads((ROOT / "deploy/policy/accounts.json").read_bytes())
    table["nodes"][1]["content"]["rules"][0]["lead_days"] = "date('now')"
    (tmp_path / "accounts.json").write_bytes(orjson.dumps(table))
    policy = PolicyBook(tmp_path, ["alvsund"])
    async with alvsund.database.transaction() as conn:
        await policy.start(conn, TABLE)
        assert policy.decide(TABLE, "alvsund", {"form": "school_break"}).output["lead_days"] == 14
        await conn.execute("DELETE FROM policy_active")
        with pytest.raises(PolicyRefused, match="school-break"):
            await policy.start(conn, TABLE)


async def test_a_table_that_fails_for_one_person_parks_that_person_only(alvsund: Town) -> None:
    table = orjson.loads((ROOT / "deploy/policy/accounts.json").read_bytes())
    rules = table["nodes"][1]["content"]["rules"]
    table["nodes"][1]["content"]["rules"] = [rule for rule in rules if rule["_id"] not in {"other", "consultant"}]
    content = orjson.dumps(table).decode()
    with pytest.raises(PolicyRefused, match="match everybody"):
        Table.parse(TABLE, content)
    async with alvsund.database.transaction() as conn:
        await activate(conn, "alvsund", Table(TABLE, content, "leaky"), actor="urn:test", reason="test")
    odd, usual = uuid4(), uuid4()
    await alvsund.tell_unit("100", "Björkskolan")
    await alvsund.tell(odd, 1, record(employment(TODAY, form=Form.CONSULTANT)))
    await alvsund.tell(usual, 1, record(employment(TODAY)))
    await alvsund.converged()
    assert await alvsund.entry(odd) is None
    assert await alvsund.entry(usual) is not None
    rows = await alvsund.rows("SELECT subject, problem ->> 'code' FROM work WHERE state = 'parked'")
    assert rows == [(str(odd), "policy.failed")]
    assert [step["state"] for step in await alvsund.said(STEP_RECORDED, odd)] == ["parked"]


def test_a_lease_that_two_calls_do_not_fit_in_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="lease_seconds"):
        service_settings("accounts", "postgresql://x/y", 5672, lease_seconds=5)
