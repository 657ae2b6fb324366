"""The only place that wires."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping

from services.accounts.adapters.active_directory import ActiveDirectoryAccounts
from services.accounts.adapters.entra import EntraAccounts
from services.accounts.adapters.entra_attributes import EntraOptions, SignIn
from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.api import activation, policies
from services.accounts.api import drift as drift_routes
from services.accounts.api import takeover as takeover_routes
from services.accounts.api import targets as target_routes
from services.accounts.api.accounts import router
from services.accounts.api.targets import About
from services.accounts.domain.names import Blocklist
from services.accounts.domain.other_hand import Rule
from services.accounts.handlers.activating import Activations
from services.accounts.handlers.drift import DriftRun
from services.accounts.handlers.gate import Gate
from services.accounts.handlers.intake import PERSON, AccountIntake, wake_everybody
from services.accounts.handlers.managing import Followers
from services.accounts.handlers.performer import AccountPerformer
from services.accounts.handlers.policies import PER_SECOND
from services.accounts.handlers.prospects import Prospects
from services.accounts.handlers.rulings import rulings
from services.accounts.handlers.situation import Reader, wants
from services.accounts.handlers.takeover import TakeoverRun
from services.accounts.handlers.watch import Watch
from services.accounts.ports import AccountDirectory, AskedNames
from services.accounts.settings import Settings
from services.accounts.store import activations, drift, names, takeover
from services.accounts.store.asked import DatabaseAskedNames
from services.accounts.store.ledger import DatabaseLedger
from services.accounts.store.replay import AccountSource
from services.kernel import evaluators, oversight, telemetry
from services.kernel.database import Connection
from services.kernel.directory import Directory, Graph
from services.kernel.erasure import ErasureKey
from services.kernel.gate import Mode, Rules
from services.kernel.policy import PolicyBook
from services.kernel.readings import leases
from services.kernel.readings.leases import Why
from services.kernel.readings.rounds import Readings, Reads
from services.kernel.runner import Service
from services.kernel.targets import EntraTarget, Target, directory_access, graph_access, load_targets

log = telemetry.get_logger(__name__)

WRITES = "manager"
"""What is written since there were accounts that have not got it: who is known is looked at when this grows."""


def build(settings: Settings) -> Service:
    """Return the service, ready to run: records and units in, accounts in every target, facts and steps out."""
    service = Service("accounts", settings)
    organisations = service.organisations
    targets = load_targets(settings.targets, organisations.values())
    blocklist = Blocklist.parse(settings.blocklist.read_text(encoding="utf-8"))
    without_mail = {name for name, target in targets.items() if not isinstance(target, EntraTarget)}
    tables = rulings(blocklist, without_mail)
    checks = {name: ruling.check for name, ruling in tables.items()}
    policy = PolicyBook(settings.policy_dir, sorted(organisations), checks)
    key = ErasureKey.of(settings.erasure_key)
    want = wants(organisations, blocklist, key)
    ledger = DatabaseLedger(service.database, organisations, want, "urn:stafett:accounts", key)
    places = {
        name: {one.key: one.targets[name] for one in organisations.values() if name in one.targets} for name in targets
    }
    readers: dict[tuple[Why, str], Reads] = {}
    gates: dict[str, AccountDirectory] = {}
    for name, target in targets.items():
        if places[name]:
            rules = Rules(Mode(target.mode), target.subtrees, places[name])
            asked = DatabaseAskedNames(service.database, name)
            gate, close = _gate(target, rules, places[name], settings.lease_seconds, service.crash, asked)
            gates[name] = gate
            reader = Reader(
                name,
                organisations,
                policy,
                want,
                staged=target.staged,
                rules={attribute: Rule(rule) for attribute, rule in target.drift.items()},
                loop=settings.loop_writes,
            )
            service.works(name, AccountPerformer(gate, ledger, reader))
            readers[Why.DRIFT, name] = DriftRun(name, gate, reader, service.database)
            readers[Why.TAKEOVER, name] = TakeoverRun(name, gate, reader, service.database)
            service.on_stop(close)

    async def begin(conn: Connection) -> None:
        for table in (name for name, ruling in tables.items() if ruling.needed or policy.offers(name)):
            for organisation in await policy.start(conn, table):
                await oversight.stagger(conn, organisation, PERSON, None, per_second=PER_SECOND)

    async def register(conn: Connection) -> None:
        await _register(conn, places, targets)
        await leases.register(conn, {name: sorted(here) for name, here in places.items()}, settings.drift_hours)

    service.on_start(begin)
    service.starts_without("erasure: names were erased with another key", lambda conn: names.other_key(conn, key))
    service.on_start(register)
    service.app.state.accounts = service.database
    service.app.state.committed = service.wake
    service.api(router)
    service.api(policies.router(service.database, policy, tables, dict(organisations), service.wake))
    about = {name: _about(target, places[name]) for name, target in targets.items() if places[name]}
    service.api(target_routes.router(service.database, about, service.wake))
    service.api(drift_routes.router(service.database, about, service.wake))
    service.api(takeover_routes.router(service.database, about, dict(organisations), service.wake, service.crash))
    service.runs(Readings(service.database, readers, settings.drift_hours, service.wake).run)
    service.runs(Followers(service.database, service.wake, longest_pass=settings.lease_seconds).run)
    service.measures(Watch(settings.loop_writes).measure)
    prospects = Prospects(organisations, policy, [name for name in gates if targets[name].staged])
    secret = settings.activation_key.get_secret_value()
    activating = Activations(service.database, prospects, gates, secret, crash=service.crash)
    shortest = settings.password_length
    service.api(activation.router(service.database, activating, organisations, service.wake, shortest=shortest))
    service.keeps(*activations.classes(organisations))
    service.consumes(AccountIntake({one.key: tuple(one.targets) for one in organisations.values()}).handlers)
    service.keeps(names.resting(organisations), *drift.classes(organisations), takeover.plans(organisations))
    service.replays(AccountSource())
    return service


async def _register(conn: Connection, places: Mapping[str, Mapping[str, str]], targets: Mapping[str, Target]) -> None:
    """Answer for what is configured, and for nothing else; a target that is new or has new rules looks at everybody."""
    configured = [(organisation, target) for target, here in places.items() for organisation in here]
    for organisation, target in await evaluators.retire(conn, "accounts", configured):
        log.warning("target.retired", organisation=organisation, target=target)
    for target, here in places.items():
        new = await evaluators.register(conn, "accounts", sorted(here), target)
        if await evaluators.rules_changed(conn, target, _digest(targets[target])):
            new = sorted(here)
        for organisation in new:
            people = await wake_everybody(conn, organisation, target)
            log.info("target.registered", organisation=organisation, target=target, people=people)


def _digest(target: Target) -> str:
    """Digest what decides which writes are let through, and what is written at all."""
    written = f"{target.mode} {target.staged} {target.subtrees} {WRITES}"
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def _about(target: Target, places: Mapping[str, str]) -> About:
    here = frozenset(places)
    return About(target.kind, target.mode, target.staged, target.subtrees, here, target.drift)


def _gate(
    target: Target,
    rules: Rules,
    places: Mapping[str, str],
    lease_seconds: float,
    crash: Callable[[str], None],
    asked: AskedNames,
) -> tuple[Gate, Callable[[], Awaitable[None]]]:
    """Return the gate to a target, and what closes its connections."""
    if isinstance(target, EntraTarget):
        graph = Graph(graph_access(target, lease_seconds), crash=crash)
        return Gate(EntraAccounts(graph, _tenant(target, places), asked), rules), graph.close
    directory = Directory(directory_access(target, lease_seconds), crash=crash)
    if target.kind == "active_directory":
        suffixes, mark = target.upn_suffixes, target.mark_attribute
        return Gate(ActiveDirectoryAccounts(directory, places, suffixes=suffixes, mark=mark), rules), directory.close
    return Gate(OpenLdapAccounts(directory, places), rules), directory.close


def _tenant(target: EntraTarget, domains: Mapping[str, str]) -> EntraOptions:
    return EntraOptions(
        domains,
        sign_in=SignIn(target.sign_in),
        usage_location=target.usage_location,
        write_mail=target.write_mail,
        person_attribute=target.person_attribute,
        closing_attribute=target.closing_attribute,
    )
