"""What operations ask of a service, through its door: a pause stops the work of all, and each organisation is told."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import psycopg
import pytest

from services.kernel.runner import Service
from services.kernel.security import Principal
from services.status.bootstrap import build
from services.status.settings import Settings
from tests.support.kernel import service_settings


class Bearers:
    """Takes the header for the bearer: organisation and name."""

    async def principal(self, authorization: str | None) -> Principal:
        organisation, name = (authorization or "").split()
        return Principal(name, organisation, frozenset({"operations:read", "operations:write"}))


@pytest.fixture
async def service(admin_url: str) -> AsyncIterator[Service]:
    built = build(Settings.model_validate(dict(service_settings("status", admin_url, 1))))
    built.app.state.authenticator = Bearers()
    built._targets.add("directory")
    await built.database.open()
    yield built
    await built.database.close()


async def ask(service: Service, method: str, path: str, bearer: str, **values: Any) -> dict[str, Any]:
    transport = httpx2.ASGITransport(app=service.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.request(method, f"/v1/operations{path}", headers={"Authorization": bearer}, **values)
    found: dict[str, Any] = answer.json()
    return found


async def test_a_pause_is_told_to_every_organisation_and_its_reason_to_the_pausers_own(
    service: Service, admin: psycopg.Connection
) -> None:
    admin.execute(
        "INSERT INTO kernel.evaluator (organisation, service, target, since)"
        " SELECT o, 'status', t, now() FROM unnest(ARRAY['alvsund', 'bergby']) o, unnest(ARRAY['directory', 'x']) t"
    )
    marked = "SELECT DISTINCT target FROM kernel.evaluator WHERE paused_at IS NOT NULL"
    for verb in ("pause", "resume"):
        done = await ask(service, "POST", f"/targets/directory/{verb}", "alvsund drift", json={"reason": "Annas konto"})
        assert done == {"target": "directory", "paused": verb == "pause"}
        again = await ask(service, "POST", f"/targets/directory/{verb}", "bergby x", json={"reason": "r"})
        assert again["status"] == 409
        if verb == "pause":
            assert admin.execute(marked).fetchall() == [("directory",)]
            (own,) = (await ask(service, "GET", "", "alvsund drift"))["breakers"]
            (others,) = (await ask(service, "GET", "", "bergby drift"))["breakers"]
            assert (own["pausedBy"], own["pauseReason"]) == ("drift", "Annas konto")
            assert (others["pausedBy"], others["pauseReason"]) == (None, None)
            assert own["pausedAt"] == others["pausedAt"] is not None
    assert admin.execute(marked).fetchall() == []
    said = admin.execute(
        "SELECT organisation, body::jsonb -> 'data' ->> 'action', body::jsonb -> 'data' ->> 'actor',"
        " body::jsonb -> 'data' ->> 'reason' FROM status.outbox ORDER BY seq"
    ).fetchall()
    assert said == [
        (organisation, action, *who)
        for action in ("target.paused", "target.resumed")
        for organisation, who in (("alvsund", ("drift", "Annas konto")), ("bergby", ("urn:stafett:status", None)))
    ]


async def test_work_says_how_old_its_oldest_trouble_is_and_lines_are_there(
    service: Service, admin: psycopg.Connection
) -> None:
    admin.execute(
        "INSERT INTO status.work (organisation, kind, subject, target, lane, wanted, done, state, raised_at,"
        " problem_since) SELECT 'o', 'person', subject, 't', 1, wanted, 1, state, now() - raised * interval '1 minute',"
        " now() - since * interval '1 minute'"
        " FROM (VALUES ('a', 2, 'idle', 3, NULL), ('b', 2, 'idle', 5, NULL), ('c', 1, 'idle', 60, NULL),"
        " ('d', 1, 'parked', 90, 30)) AS w (subject, wanted, state, raised, since)"
    )
    found = await ask(service, "GET", "", "alvsund drift")
    ages = {row["state"]: round(row["oldestSeconds"] / 60) for row in found["work"]}
    assert ages == {"idle": 5, "parked": 30}, "what is done has no age"
    lines = await ask(service, "GET", "/samples?minutes=60", "alvsund drift")
    assert (lines["service"], lines["every"]) == ("status", 20)
    assert len(lines["at"]) in (180, 181)
    assert (await ask(service, "GET", "/samples?minutes=2000", "alvsund drift"))["status"] == 422
