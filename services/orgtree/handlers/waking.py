"""Everything that is known is looked at in a target."""

from services.kernel.database import Connection
from services.kernel.work import Wake, WorkKey, raise_wanted
from services.orgtree.handlers.tree import PERSON, UNIT
from services.orgtree.store import placements, projection


async def wake_everything(conn: Connection, organisation: str, target: str) -> int:
    """Have every unit and everybody looked at; returns how many."""
    units = await projection.known_units(conn, organisation, target)
    people = await placements.everybody(conn, organisation)
    keys = [(UNIT, unit) for unit in units] + [(PERSON, str(person)) for person in people]
    await raise_wanted(conn, [Wake(WorkKey(organisation, kind, subject, target)) for kind, subject in keys])
    return len(keys)
