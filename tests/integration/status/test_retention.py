"""What has been kept long enough is forgotten, by each organisation's own policy; what has not, stays."""

from dataclasses import replace

import pytest

from deploy.local.settings import ROOT
from services.kernel.database import Database
from services.kernel.retention import classes
from services.kernel.retention.purge import Purge
from services.kernel.settings import RetentionSettings, load_organisations
from services.status.store import retention as store


async def test_old_audit_records_and_commands_are_forgotten(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "AT_ONCE", 2)
    monkeypatch.setattr(classes, "AT_ONCE", 2)
    async with database.transaction() as conn:
        await conn.execute("TRUNCATE purge_log")
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
    known = load_organisations(ROOT / "deploy/local/organisations.toml")
    longer = replace(known["bergby"], retention=RetentionSettings(read_log=366))
    purge = Purge("status", database, sorted(known), lambda: None)
    purge.add(*store.classes({**known, "bergby": longer}, audit_days=10, command_days=5))
    await purge.look()
    async with database.transaction() as conn:
        cursor = await conn.execute(
            "SELECT (SELECT count(*) FROM audit WHERE organisation = 'alvsund'),"
            " (SELECT count(*) FROM audit WHERE organisation = 'bergby'),"
            " (SELECT count(*) FROM command), (SELECT count(*) FROM command_item)"
        )
        assert await cursor.fetchone() == (2, 6, 2, 2)
