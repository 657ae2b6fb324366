"""Commands at the status API: given once, counted and confirmed, followed to their end; and replays."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from contracts.codes import Protection, StepState
from services.kernel.database import Database
from services.status.store import commands
from services.status.store.commands import Given
from tests.integration.status.conftest import token
from tests.integration.status.world import (
    T0,
    World,
    audit,
    carried_out,
    evaluation,
    held,
    passed,
    person,
    said_of,
    step,
    uid,
)
from tests.support.kernel import eventually


async def test_a_command_goes_to_its_service_once_and_is_audited(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(), passed(state=StepState.PARKED))
    body = {"type": "retry", "service": "accounts", "person": str(uid("anna")), "reason": "katalogen är uppe igen"}
    key, trace = str(uuid4()), "a" * 32
    headers = {"Idempotency-Key": key, "traceparent": f"00-{trace}-{'b' * 16}-01"}
    for _ in range(2):
        answer = await api.post("/v1/commands", json=body, headers=headers)
        assert (answer.status_code, answer.json()) == (202, {"id": key})
    said = await world.rows("SELECT type, traceparent FROM outbox WHERE traceparent LIKE %s", f"00-{trace}-%")
    assert {row[0] for row in said} == {"se.stafett.command.retry.v1", "se.stafett.audit.recorded.v1"}
    (command,) = await said_of(world, "se.stafett.command.retry.v1")
    assert (command["key"], command["id"], command["actor"]) == ("command.accounts", key, "it@alvsund")
    assert (await audit(world))[-1]["action"] == "command.retry"
    assert (await audit(world))[-1]["reason"] == "katalogen är uppe igen"
    other = await api.post("/v1/commands", json={**body, "reason": "annat"}, headers={"Idempotency-Key": key})
    assert (other.status_code, other.json()["code"]) == (409, "command.id_reused")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"reason": ""}, 422),
        ({"reason": "   "}, 422),
        ({"reason": "a\x00b"}, 422),
        ({"service": "payroll"}, 422),
        ({"type": "delete"}, 422),
        ({"hold": str(uuid4())}, 422),
        ({"message": str(uuid4())}, 422),
        ({"extra": 1}, 422),
        ({"person": str(uuid4())}, 404),
    ],
)
async def test_a_command_that_makes_no_sense_is_refused(
    api: httpx2.AsyncClient, world: World, change: dict[str, Any], status: int
) -> None:
    body = {"type": "retry", "service": "accounts", "reason": "prov", **change}
    answer = await api.post("/v1/commands", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert await world.rows("SELECT count(*) FROM outbox WHERE type LIKE '%%command%%'") == [(0,)]
    assert await world.rows("SELECT count(*) FROM command") == [(0,)]


async def test_the_same_idempotency_key_of_another_organisation_is_refused(
    api: httpx2.AsyncClient, world: World
) -> None:
    body = {"type": "redeliver", "service": "accounts", "reason": "prov", "matches": 0}
    key = {"Idempotency-Key": str(uuid4())}
    assert (await api.post("/v1/commands", json=body, headers=key)).status_code == 202
    assert (await api.post("/v1/commands", json=body, headers={**key, **token("bergby")})).status_code == 409


async def test_one_idempotency_key_for_two_commands_at_once_is_accepted_for_the_first_only(
    api: httpx2.AsyncClient, database: Database, world: World
) -> None:
    first = Given(uuid4(), "alvsund", "digest", "retry", "accounts", "it", "prov", None, None, None, None)
    body = {"type": "redeliver", "service": "ingestion", "reason": "prov", "matches": 0}
    async with database.transaction() as conn:
        assert await commands.accept(conn, first, [], 0)
        second = asyncio.create_task(api.post("/v1/commands", json=body, headers={"Idempotency-Key": str(first.id)}))

        async def waits() -> bool:
            return await world.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'") != []

        await eventually(waits)
    answer = (await second).json()
    assert (answer["status"], answer["code"]) == (409, "command.id_reused")
    assert await world.rows("SELECT count(*) FROM outbox WHERE type LIKE '%%command%%'") == [(0,)]


async def test_dead_letters_are_counted_before_they_are_asked_for(
    api: httpx2.AsyncClient, database: Database, world: World
) -> None:
    body = {"type": "redeliver", "service": "accounts", "reason": "prov"}
    nothing = (await api.post("/v1/commands", json=body)).json()
    assert (nothing["status"], nothing["code"], nothing["matches"]) == (409, "command.nothing_to_do", 0)
    ours, others = uuid4(), uuid4()
    async with database.transaction() as conn:
        await conn.execute(
            "INSERT INTO kernel.dead_letter SELECT 'accounts', gen_random_uuid(), NULL FROM generate_series(1, 26)"
        )
        await conn.execute(
            "INSERT INTO kernel.dead_letter VALUES ('accounts', %s, 'alvsund'), ('accounts', %s, 'bergby'),"
            " ('status', gen_random_uuid(), 'alvsund')",
            (ours, others),
        )
    assert (await api.post("/v1/commands", json=body)).json()["matches"] == 27
    of_others = await api.post("/v1/commands", json={**body, "message": str(others)})
    assert of_others.json()["code"] == "command.nothing_to_do"
    assert (await api.post("/v1/commands", json={**body, "message": str(ours)})).status_code == 202
    assert (await api.post("/v1/commands", json={**body, "matches": 27})).status_code == 202
    (newest, *_) = (await api.get("/v1/commands")).json()["items"]
    assert (newest["matched"], newest["count"]) == (27, None)


async def test_a_replay_to_status_does_not_carry_the_weeks_commands_out_again(
    api: httpx2.AsyncClient, database: Database, world: World
) -> None:
    async with database.transaction() as conn:
        await conn.execute(
            "INSERT INTO inbox (message_id, type, body_hash) SELECT gen_random_uuid(), type, '' FROM"
            " unnest(ARRAY['se.stafett.command.release.v1', 'se.stafett.person.joiner.v1']) AS t (type)"
        )
    assert (await api.post("/v1/replays", json={"to": "status", "reason": "ombyggnad"})).status_code == 202
    assert await world.rows("SELECT type FROM inbox") == [("se.stafett.command.release.v1",)]


async def test_a_command_that_would_do_nothing_or_much_is_confirmed_by_its_number(
    api: httpx2.AsyncClient, world: World
) -> None:
    body = {"type": "retry", "service": "accounts", "reason": "katalogen är uppe"}
    nothing = (await api.post("/v1/commands", json=body)).json()
    assert (nothing["status"], nothing["code"], nothing["matches"]) == (409, "command.nothing_to_do", 0)
    await world.says(person(), evaluation())
    on_a_finished_case = await api.post("/v1/commands", json={**body, "person": str(uid("anna"))})
    assert on_a_finished_case.json()["code"] == "command.nothing_to_do"
    many = [f"p{n}" for n in range(30)]
    await world.says(*map(person, many), *(passed(who, state=StepState.PARKED) for who in many))
    answer = (await api.post("/v1/commands", json=body)).json()
    assert (answer["status"], answer["code"], answer["matches"]) == (409, "command.confirm", 30)
    wrong = (await api.post("/v1/commands", json={**body, "matches": 29})).json()
    assert wrong["code"] == "command.confirm", "what came since is not let through unseen"
    assert await world.rows("SELECT count(*) FROM command") == [(0,)]
    assert (await api.post("/v1/commands", json={**body, "matches": 30})).status_code == 202
    assert (await api.post("/v1/commands", json={**body, "type": "reverify", "matches": 1})).status_code == 202


async def test_two_operators_at_once_give_one_command(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(), evaluation(steps=[held()]))
    body = {"type": "release", "service": "accounts", "hold": str(uid("hold"))}
    answers = await asyncio.gather(
        *(api.post("/v1/commands", json={**body, "reason": f"operatör {n}"}) for n in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    assert {answer.json().get("code") for answer in answers} == {None, "command.under_way"}
    assert len(await said_of(world, "se.stafett.command.release.v1")) == 1


async def test_a_command_tells_what_has_become_of_each_match(api: httpx2.AsyncClient, world: World) -> None:
    await world.rows("UPDATE kernel.clock SET clock_offset = clock_offset RETURNING 1")
    people = ("anna", "bo", "cia")
    await world.says(*map(person, people), *(passed(who, state=StepState.PARKED) for who in people))
    await world.says(person("cia", revision=2, case="s", protection=Protection.PROTECTED))
    body = {"type": "retry", "service": "accounts", "reason": "prov"}
    command = (await api.post("/v1/commands", json=body)).json()["id"]
    found = (await api.get(f"/v1/commands/{command}")).json()
    assert (found["matched"], found["carriedOutAt"], found["progress"]) == (3, None, {"pending": 3})
    assert {match["name"] for match in found["matches"]} == {"Anna Åkesson", "Bo Åkesson"}, "protected, so only counted"
    now = (await world.rows("SELECT extract(epoch FROM now() - %s) / 60", T0))[0][0]
    await world.says(
        carried_out(command, count=3),
        evaluation(version=2, at=float(now) + 1),
        evaluation("bo", version=2, at=float(now) + 1, steps=[step(state=StepState.PARKED)]),
    )
    found = (await api.get(f"/v1/commands/{command}")).json()
    assert found["progress"] == {"settled": 1, "parked": 1, "pending": 1}
    assert (found["count"], found["carriedOutAt"] is not None) == (3, True)
    assert [item["id"] for item in (await api.get("/v1/commands")).json()["items"]] == [command]
    assert (await api.get(f"/v1/commands/{command}", headers=token("bergby"))).status_code == 404


async def test_a_replay_asks_every_producer_and_lets_everything_in_again(api: httpx2.AsyncClient, world: World) -> None:
    await world.rows("INSERT INTO inbox (message_id, type, body_hash) VALUES (%s, 't', '') RETURNING 1", uuid4())
    assert (
        await api.post("/v1/replays", json={"to": "status"}, headers=token(scopes="commands:write"))
    ).status_code == 403
    answer = await api.post("/v1/replays", json={"to": "status"})
    assert answer.status_code == 202
    assert {"accounts", "ingestion"} <= set(answer.json()["producers"])
    asked = await world.rows("SELECT producer FROM kernel.replay_request WHERE consumer = 'status' ORDER BY 1")
    assert [row[0] for row in asked] == answer.json()["producers"]
    assert await world.rows("SELECT count(*) FROM inbox") == [(0,)]
    assert (await api.post("/v1/replays", json={"to": "payroll"})).json()["code"] == "service.unknown"
