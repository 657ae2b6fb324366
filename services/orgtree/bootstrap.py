"""The only place that wires."""

from services.kernel import evaluators, telemetry
from services.kernel.database import Connection
from services.kernel.runner import Service
from services.orgtree.api.organisation import Wiring, router
from services.orgtree.handlers.asof import Trees
from services.orgtree.handlers.intake import OrganisationIntake
from services.orgtree.handlers.tree import TARGET, TreePerformer
from services.orgtree.settings import Settings
from services.orgtree.store.replay import OrganisationSource
from services.orgtree.store.versions import History

log = telemetry.get_logger(__name__)


def build(settings: Settings) -> Service:
    """Return the service, ready to run: units and records in, the tree in effect and everybody's place out."""
    service = Service("orgtree", settings)
    organisations = service.organisations

    async def register(conn: Connection) -> None:
        await evaluators.register(conn, service.name, sorted(organisations), TARGET)

    history = History()
    service.on_start(register)
    service.works(TARGET, TreePerformer(organisations, history))
    service.api(router(Wiring(service.database, organisations, Trees(history), service.wake)))
    service.consumes(OrganisationIntake().handlers)
    service.replays(OrganisationSource())
    return service
