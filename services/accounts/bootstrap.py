"""The only place that wires."""

from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.api import policies
from services.accounts.api.accounts import router
from services.accounts.domain.names import Blocklist
from services.accounts.handlers.intake import HANDLERS, TARGET
from services.accounts.handlers.performer import AccountPerformer
from services.accounts.handlers.situation import TABLE, Reader, wants
from services.accounts.settings import Settings
from services.accounts.store import accounts, names
from services.accounts.store.ledger import DatabaseLedger
from services.accounts.store.replay import AccountSource
from services.kernel.database import Connection
from services.kernel.directory import Directory, DirectoryAccess
from services.kernel.erasure import ErasureKey
from services.kernel.policy import PolicyBook
from services.kernel.runner import Service


def build(settings: Settings) -> Service:
    """Return the service, ready to run: records and units in, accounts in OpenLDAP, facts and steps out."""
    service = Service("accounts", settings)
    directory = Directory(_access(settings), crash=service.crash)
    bases = {key: organisation.ldap_base for key, organisation in service.organisations.items()}
    policy = PolicyBook(settings.policy_dir, sorted(service.organisations))
    key = ErasureKey.of(settings.erasure_key)
    want = wants(service.organisations, Blocklist.parse(settings.blocklist.read_text(encoding="utf-8")), key)
    performer = AccountPerformer(
        OpenLdapAccounts(directory, bases),
        DatabaseLedger(service.database, service.organisations, want, "urn:stafett:accounts", key),
        Reader(TARGET, service.organisations, policy, want),
    )

    async def begin(conn: Connection) -> None:
        await policy.start(conn, TABLE)

    async def register(conn: Connection) -> None:
        await accounts.register_evaluators(conn, sorted(service.organisations), TARGET)

    service.on_start(begin)
    service.starts_without("erasure: names were erased with another key", lambda conn: names.other_key(conn, key))
    service.on_start(register)
    service.app.state.accounts = service.database
    service.app.state.committed = service.wake
    service.api(router)
    service.api(policies.router(service.database, policy, dict(service.organisations), service.wake))
    service.consumes(HANDLERS)
    service.works(TARGET, performer)
    service.replays(AccountSource())
    service.on_stop(directory.close)
    return service


def _access(settings: Settings) -> DirectoryAccess:
    """Return how we reach the directory.

    A pass observes and writes before it is cut off at 80 % of the lease (executor): a short lease means short calls.
    """
    share = max(1, int(settings.lease_seconds / 8))
    return DirectoryAccess(
        url=settings.ldap_url,
        bind_dn=settings.ldap_bind_dn,
        password=settings.ldap_password.get_secret_value(),
        ca_file=settings.ldap_ca_file,
        start_tls=settings.ldap_start_tls,
        connect_timeout=min(2, share),
        receive_timeout=min(settings.ldap_timeout, share),
        threads=settings.ldap_threads,
    )
