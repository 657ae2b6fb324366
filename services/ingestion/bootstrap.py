"""The only place that wires the service."""

import time
from datetime import datetime

from services.ingestion.adapters import mappings, reading
from services.ingestion.adapters.drops import DropFolder
from services.ingestion.api import access, erasure, events, file_reading, files, identities, mastering, persons, units
from services.ingestion.api.hooks import Hooks
from services.ingestion.api.scim import routes as scim
from services.ingestion.handlers.acceptance import DATES
from services.ingestion.handlers.dates import DatesReached
from services.ingestion.handlers.deciding import Decisions
from services.ingestion.handlers.door import Door
from services.ingestion.handlers.erasing import Erasures
from services.ingestion.handlers.identifying import Identities
from services.ingestion.handlers.importing import FILES, FilesImported
from services.ingestion.handlers.mastering import UnitsKeptHere
from services.ingestion.handlers.provisioning import Provisioning
from services.ingestion.handlers.replaying import LedgerReplay
from services.ingestion.handlers.watching import FoldersWatched, Watched
from services.ingestion.settings import Settings
from services.ingestion.store import erasure as tombs
from services.ingestion.store import measures, retention
from services.kernel.clock import UTC
from services.kernel.erasure import ErasureKey
from services.kernel.runner import Service


def build(settings: Settings) -> Service:
    """Return the service, wired but not running."""
    service = Service("ingestion", settings)
    key = ErasureKey.of(settings.erasure_key)
    door = Door(
        service.database, generation=settings.generation, on_commit=service.publish, crash=service.crash, key=key
    )
    hooks = Hooks(settings.hook_secrets.get_secret_value(), service.organisations)
    service.api(events.router(door, service.database, hooks))
    service.api(persons.router(service.database))
    service.api(units.router(service.database))
    kept = UnitsKeptHere(service.database, generation=settings.generation, on_commit=service.publish)
    service.api(mastering.router(kept))
    decisions = Decisions(service.database, generation=settings.generation, on_commit=service.publish)
    service.api(access.router(service.database, decisions))
    who = Identities(service.database, generation=settings.generation, on_commit=service.publish)
    service.api(identities.router(service.database, who))
    erasures = Erasures(
        service.database, generation=settings.generation, key=key, on_commit=service.publish, crash=service.crash
    )
    service.api(erasure.router(service.database, erasures, settings))
    # HR's old word could bring back whom it tells of
    service.starts_without("erasure: ids were erased with another key", lambda conn: tombs.other_key(conn, key))
    told = Provisioning(
        service.database, generation=settings.generation, on_commit=service.publish, crash=service.crash, key=key
    )
    service.api(scim.router(service.database, told))
    service.works(DATES, DatesReached(service.database, service.organisations))
    agreed = mappings.agreed(settings.mappings, service.organisations)
    service.api(file_reading.router(service.database))
    service.api(files.router(service.database, agreed, service.wake))
    imported = FilesImported(
        service.database, door, reading.rows, agreed, service.organisations, generation=settings.generation,
        crash=service.crash, key=key,
    )  # fmt: skip
    service.measures(measures.held)
    service.measures(measures.undecided)
    service.measures(measures.parked)
    service.works(FILES, imported, slots=2, reserved_express=0)
    service.keeps(*retention.classes(service.organisations))
    watched = _folders(settings, service)
    if watched:
        looking = FoldersWatched(
            service.database, watched, service.wake, seconds=settings.folder_seconds, crash=service.crash
        )
        service.runs(looking.run)
        service.check(looking.problem)
        service.measures(looking.measured)
    service.replays(LedgerReplay())
    return service


def _now() -> datetime:
    # the names of moved files are for people who look at the clock on the wall
    return datetime.fromtimestamp(time.time(), UTC)


def _folders(settings: Settings, service: Service) -> dict[str, Watched]:
    """Return the folders to watch, by source; none without a root for them."""
    if settings.folders is None:
        return {}
    return {
        source: Watched(
            organisation.key, source, agreed.kind, agreed.plan, DropFolder(settings.folders / agreed.folder, _now)
        )
        for organisation in service.organisations.values()
        for source, agreed in organisation.agreed.items()
        if agreed.folder is not None and agreed.kind is not None
    }
