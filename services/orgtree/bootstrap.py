"""The only place that wires."""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping

from services.kernel import evaluators, telemetry
from services.kernel.database import Connection
from services.kernel.directory import Directory, Graph
from services.kernel.gate import Mode, Rules
from services.kernel.readings import leases
from services.kernel.readings.leases import Why
from services.kernel.readings.rounds import Readings, Reads
from services.kernel.runner import Service
from services.kernel.settings import OrganisationSettings
from services.kernel.targets import LdapTarget, Target, UnitsSection, directory_access, graph_access, load_targets
from services.orgtree.adapters.active_directory import ActiveDirectoryUnits
from services.orgtree.adapters.entra import EntraUnits
from services.orgtree.adapters.openldap import OpenLdapUnits
from services.orgtree.api import targets
from services.orgtree.api.organisation import Wiring, router
from services.orgtree.api.targets import About
from services.orgtree.domain.projection import Kind, Layout
from services.orgtree.handlers.asof import Trees
from services.orgtree.handlers.drift import DriftRun
from services.orgtree.handlers.gate import Gate
from services.orgtree.handlers.intake import OrganisationIntake
from services.orgtree.handlers.targets import TargetPerformer
from services.orgtree.handlers.tree import TARGET, TreePerformer
from services.orgtree.handlers.waking import wake_everything
from services.orgtree.handlers.watch import measure
from services.orgtree.settings import Settings
from services.orgtree.store.replay import OrganisationSource
from services.orgtree.store.versions import History

log = telemetry.get_logger(__name__)


def build(settings: Settings) -> Service:
    """Return the service, ready to run: units and records in, the tree in effect and everybody's place out."""
    service = Service("orgtree", settings)
    organisations = service.organisations
    sections = _sections(settings, organisations)
    places = {
        name: {one.key: one.targets[name] for one in organisations.values() if name in one.targets} for name in sections
    }
    here = {one: tuple(name for name in sections if one in places[name]) for one in organisations}
    readers: dict[tuple[Why, str], Reads] = {}
    for name, (target, section) in sections.items():
        layouts = {organisation: _layout(organisation, target, section) for organisation in places[name]}
        if layouts:
            gate, close = _gate(target, section, places[name], settings.lease_seconds, service.crash)
            service.works(name, TargetPerformer(name, gate, organisations, layouts))
            readers[Why.DRIFT, name] = DriftRun(name, gate, layouts, service.database)
            service.on_stop(close)

    async def register(conn: Connection) -> None:
        await evaluators.register(conn, service.name, sorted(organisations), TARGET)
        await _register(conn, organisations, places, sections)
        await leases.register(conn, {name: sorted(found) for name, found in places.items()}, settings.drift_hours)

    history = History()
    service.on_start(register)
    service.works(TARGET, TreePerformer(organisations, history, here))
    service.api(router(Wiring(service.database, organisations, Trees(history), service.wake)))
    about = {name: _about(*sections[name], places[name]) for name in sections}
    service.api(targets.router(service.database, about, service.wake))
    service.runs(Readings(service.database, readers, settings.drift_hours, service.wake).run)
    service.measures(measure)
    service.consumes(OrganisationIntake(here).handlers)
    service.replays(OrganisationSource())
    return service


def _sections(
    settings: Settings, organisations: Mapping[str, OrganisationSettings]
) -> Mapping[str, tuple[Target, UnitsSection]]:
    """Return the targets where units stand."""
    if settings.targets is None:
        return {}
    found = load_targets(settings.targets, organisations.values(), reached=lambda one: one.units is not None)
    return {name: (target, target.units) for name, target in found.items() if target.units is not None}


async def _register(
    conn: Connection,
    organisations: Collection[str],
    places: Mapping[str, Mapping[str, str]],
    sections: Mapping[str, tuple[Target, UnitsSection]],
) -> None:
    """Answer for what is configured, and for nothing else; where a target or its rules are new, all is looked at."""
    configured = [(organisation, target) for target, here in places.items() for organisation in here]
    configured += [(organisation, TARGET) for organisation in organisations]
    for organisation, target in await evaluators.retire(conn, "orgtree", configured):
        log.warning("target.retired", organisation=organisation, target=target)
    for target, here in places.items():
        new = await evaluators.register(conn, "orgtree", sorted(here), target)
        if await evaluators.rules_changed(conn, target, _digest(*sections[target])):
            new = sorted(here)
        for organisation in new:
            count = await wake_everything(conn, organisation, target)
            log.info("target.registered", organisation=organisation, target=target, count=count)


def _about(target: Target, section: UnitsSection, places: Mapping[str, str]) -> About:
    mode = section.mode if target.mode == "write" else target.mode
    kinds = tuple(kind.value for kind in Kind if kind in _kinds(target, section))
    return About(target.kind, mode, section.placement, kinds, frozenset(places))


def _kinds(target: Target, section: UnitsSection) -> frozenset[Kind]:
    entries = {Kind.ENTRY} if isinstance(target, LdapTarget) else set[Kind]()
    return frozenset({*entries, *(Kind(group) for group in section.groups)})


def _digest(target: Target, section: UnitsSection) -> str:
    written = f"{target.mode} {target.subtrees} {section.model_dump_json(exclude={'groups'})} {sorted(section.groups)}"
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def _layout(organisation: str, target: Target, section: UnitsSection) -> Layout:
    return Layout(
        organisation,
        _kinds(target, section),
        nested=section.placement == "by_unit",
        names={Kind(kind): name for kind, name in section.names.items()},
        titles={Kind(kind): title for kind, title in section.titles.items()},
        protected=section.protected == "join",
    )


def _gate(
    target: Target,
    section: UnitsSection,
    places: Mapping[str, str],
    lease_seconds: float,
    crash: Callable[[str], None],
) -> tuple[Gate, Callable[[], Awaitable[None]]]:
    """Return the gate to a target, and what closes its connections."""
    mode = Mode(section.mode if target.mode == "write" else target.mode)
    if not isinstance(target, LdapTarget):
        graph = Graph(graph_access(target, lease_seconds, units=True), crash=crash)
        return Gate(EntraUnits(graph), Rules(mode, (), places)), graph.close
    rules = Rules(mode, target.subtrees, places)
    directory = Directory(directory_access(target, lease_seconds), crash=crash)
    if target.kind == "active_directory":
        return Gate(ActiveDirectoryUnits(directory, places, mark=target.mark_attribute), rules), directory.close
    return Gate(OpenLdapUnits(directory, places), rules), directory.close
