"""What has been kept long enough is forgotten; what has not, stays."""

import pytest

from services.kernel.database import Database
from services.status.handlers.retention import Retention
from services.status.store import retention as store


async def test_old_audit_records_and_commands_are_forgotten(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "AT_ONCE", 2)
    async with database.transaction() as conn:
        await conn.execute(
            "INSERT INTO audit (organisation, id, actor, action, recorded_at, parameters) SELECT o, gen_random_uuid(),"
            " 'it', 'person.read', now() - n * interval '1 day', '{}' FROM unnest(ARRAY['alvsund', 'bergby']) o,"
            " unnest(ARRAY[1, 9, 11, 12, 13, 14]) n"
        )
        await conn.execute(
            "INSERT INTO command (id, organisation, digest, accepted_at) SELECT gen_random_uuid(), 'alvsund', '',"
            " now() - n * interval '1 day' FROM unnest(ARRAY[1, 4, 6, 7, 8]) n"
        )
        await conn.execute("INSERT INTO command_item SELECT id, gen_random_uuid(), 'ldap' FROM command")
    await Retention(database, ("alvsund",), audit_days=10, command_days=5).forget()
    async with database.transaction() as conn:
        cursor = await conn.execute(
            "SELECT (SELECT count(*) FROM audit WHERE organisation = 'alvsund'),"
            " (SELECT count(*) FROM audit WHERE organisation = 'bergby'),"
            " (SELECT count(*) FROM command), (SELECT count(*) FROM command_item)"
        )
        assert await cursor.fetchone() == (2, 6, 2, 2)
