"""What the door asks of the database on the first day of an installation, when nothing is known of its tables."""

from services.ingestion.store.ledger import _MENTIONED, _keys
from tests.integration.ingestion.conftest import Site
from tests.support import hr


async def test_an_exact_id_is_looked_up_by_its_key_without_statistics(site: Site) -> None:
    with site.admin.transaction(force_rollback=True):
        site.admin.execute(
            "INSERT INTO source_identity (organisation, source, external_id, person)"
            " SELECT 'alvsund', %s, 'first-' || n, gen_random_uuid() FROM generate_series(1, 3000) n",
            (hr.SOURCE,),
        )
        site.admin.execute("DELETE FROM pg_statistic WHERE starelid = 'source_identity'::regclass")
        site.admin.execute(
            "UPDATE pg_class SET reltuples = -1, relpages = 0, relallvisible = 0"
            " WHERE oid = 'source_identity'::regclass OR oid IN (SELECT indexrelid FROM pg_index"
            " WHERE indrelid = 'source_identity'::regclass)"
        )
        asked = _keys([("alvsund", hr.SOURCE, "first-7")], "organisation", "source", "external_id")
        plan = str(site.admin.execute(f"EXPLAIN {_MENTIONED}".encode(), asked).fetchall())
    assert "source_identity_pkey" in plan, plan
