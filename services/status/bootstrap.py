"""The only place that wires."""

from services.kernel.runner import Service
from services.status.api import router
from services.status.handlers.intake import HANDLERS
from services.status.handlers.streaming import Broadcast, telling
from services.status.settings import Settings
from services.status.store import measures, retention


def build(settings: Settings) -> Service:
    """Return the service, ready to run: six topics in, the status API and commands out, unrouted messages kept."""
    service = Service("status", settings)
    service.app.state.projections = service.database
    service.app.state.committed = service.wake
    service.api(router)
    service.app.state.broadcast = broadcast = Broadcast(service.database)
    service.runs(broadcast.run)
    service.keeps(*retention.classes(service.organisations, settings.audit_days, settings.command_days))
    service.consumes({topic: telling(topic, handler) for topic, handler in HANDLERS.items()})
    service.keeps_unrouted()
    service.measures(measures.cases)
    return service
