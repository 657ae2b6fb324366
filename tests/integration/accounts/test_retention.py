"""What accounts forgets of targets that were read: differences that are over, runs, plans; and what stays."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.kernel.runner import Service
from tests.integration.accounts.harness import Town, town
from tests.integration.accounts.test_drift_api import service_on
from tests.support.asking import ask
from tests.support.servers import SlapdUnderTest

CLASSES = ("findings", "drift_runs", "takeover_plans")


@pytest.fixture
async def alvsund(slapd: SlapdUnderTest, fresh_database: str) -> AsyncIterator[Town]:
    async with town(slapd, fresh_database) as here:
        yield here


@pytest.fixture
async def service(alvsund: Town, slapd: SlapdUnderTest, fresh_database: str, tmp_path: Path) -> AsyncIterator[Service]:
    del alvsund
    async with service_on(slapd, fresh_database, tmp_path) as built:
        yield built


async def test_what_is_over_is_forgotten_after_its_days_and_nothing_else(alvsund: Town, service: Service) -> None:
    async with alvsund.database.transaction() as conn:
        await conn.execute(
            "INSERT INTO finding (organisation, target, kind, about, attribute, digest, detail, run, closed_at)"
            " SELECT o, 'openldap', 'changed', about, '', '', '{}', gen_random_uuid(), now() - days * interval '1 day'"
            " FROM (VALUES ('alvsund', 'old', 91), ('alvsund', 'new', 89), ('alvsund', 'open', NULL::int),"
            " ('bergby', 'theirs', 91)) AS f (o, about, days)"
        )
        await conn.execute(
            "INSERT INTO drift_run (id, organisation, target, ended_at, read, skipped, counts)"
            " SELECT gen_random_uuid(), 'alvsund', target, now() - days * interval '1 day', days, 0, '{}'"
            " FROM (VALUES ('openldap', 91), ('openldap', 89), ('retired', 400), ('retired', 300)) AS r (target, days)"
        )
        for days in (91, 89):
            plan = uuid4()
            await conn.execute(
                "INSERT INTO takeover_plan (id, organisation, target, made_at, digest, read, people)"
                " VALUES (%s, 'alvsund', 'openldap', now() - %s * interval '1 day', '', %s, 0)",
                (plan, days, days),
            )
            await conn.execute(
                "INSERT INTO takeover_row (plan, entry, handle, certainty, candidates, user_name, mails, enabled,"
                " detail) VALUES (%s, 'e', 'h', 'none', '{}', 'u', '{}', true, '{}')",
                (plan,),
            )
    for one in service._purge.classes:
        if one.name in CLASSES:
            while await service._purge.portion(one, "alvsund"):
                pass
    assert await alvsund.rows("SELECT about FROM finding ORDER BY about") == [("new",), ("open",), ("theirs",)]
    assert await alvsund.rows("SELECT target, read FROM drift_run ORDER BY 1") == [("openldap", 89), ("retired", 300)]
    assert await alvsund.rows("SELECT read FROM takeover_plan") == [(89,)]
    assert await alvsund.rows("SELECT count(*) FROM takeover_row") == [(1,)]
    status, told = await ask(service, "GET", "/v1/retention", "alvsund operations:read")
    assert status == 200, told
    kept = {(one["class"], one["days"], one["purged"]) for one in told["classes"] if one["class"] in CLASSES}
    assert kept == {("findings", 90, 1), ("drift_runs", 90, 2), ("takeover_plans", 90, 1)}
