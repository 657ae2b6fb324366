"""The guard at the door: a file is judged when it is planned, and once more when it is applied."""

from services.ingestion.domain.missing import Judgement, judge
from services.ingestion.store import file_guard
from services.ingestion.store.files import FileImport
from services.kernel import telemetry
from services.kernel.database import Connection
from services.kernel.settings import OrganisationSettings

log = telemetry.get_logger(__name__)


async def judged(conn: Connection, file: FileImport, organisation: OrganisationSettings) -> Judgement | None:
    """Hold who goes beyond the guard, and all who are missing when some rows may be theirs; None: nobody is held."""
    found = judge(await file_guard.going(conn, file), file.unread, organisation, file.source)
    if found is not None:
        held = await file_guard.hold(conn, file.id, units=found.units, missing=found.missing)
        log.error("file.leavers_held", organisation=file.organisation, file=str(file.id), held=held, code=found.code)
    return found
