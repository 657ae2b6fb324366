"""Gauges of ingestion: what waits for a person. They count; they name nobody."""

from collections.abc import Sequence

from prometheus_client import Metric

from services.ingestion.store.identities import RETURNED, SHARED
from services.kernel.database import Connection
from services.kernel.gauges import family


async def held(conn: Connection) -> Sequence[Metric]:
    """Read how many leavers of each source are held; a newer full file takes the place of an older one."""
    cursor = await conn.execute(
        "SELECT f.source, coalesce(sum(h.people), 0) FROM file_import f LEFT JOIN (SELECT file, count(*) AS people"
        " FROM file_person WHERE state = 'held' GROUP BY file) h ON h.file = f.id"
        " WHERE f.kind = 'delta' AND h.people > 0 OR f.id IN (SELECT DISTINCT ON (organisation, source) id"
        " FROM file_import WHERE kind = 'full' AND state <> 'refused' AND records = 'persons'"
        " ORDER BY organisation, source, seq DESC)"
        " GROUP BY f.source"
    )
    counts = {(source,): float(count) for source, count in await cursor.fetchall()}
    said = "People who leave by a file, and are held until a person decides."
    return [family("stafett_file_leavers_held", said, ["source"], counts)]


async def undecided(conn: Connection) -> Sequence[Metric]:
    """Read how many cases of identity wait for a person (identity_case_open)."""
    cursor = await conn.execute("SELECT kind, count(*) FROM identity_case WHERE state = 'open' GROUP BY kind")
    counts = {(kind,): 0.0 for kind in (SHARED, RETURNED)}
    counts |= {(kind,): float(count) for kind, count in await cursor.fetchall()}
    said = "Cases of identity that wait for a person: a number of two people, an id that came back with another person."
    return [family("stafett_identity_cases_open", said, ["kind"], counts)]


async def parked(conn: Connection) -> Sequence[Metric]:
    """Read how many units of each organisation wait for one above them (unit_waits_for)."""
    cursor = await conn.execute(
        "SELECT t.organisation, (SELECT count(*) FROM unit WHERE organisation = t.organisation AND waits_for <> '{}')"
        " FROM tree t"
    )
    counts = {(organisation,): float(count) for organisation, count in await cursor.fetchall()}
    said = "Units that wait for a unit above them, which HR has not told of."
    return [family("stafett_units_parked", said, ["organisation"], counts)]
