"""The private servers of this machine: one class each, used by `make up` (under supervisor) and by the tests."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.local.postgres import PostgresConfig, PostgresServer
from deploy.local.prometheus import PrometheusConfig, PrometheusServer
from deploy.local.rabbit import RabbitConfig, RabbitServer, installed_major
from deploy.local.samba import SambaConfig, SambaServer
from deploy.local.server import HOST, Server, ServerConfig, ServerFailedError, ServerMissingError
from deploy.local.slapd import SlapdConfig, SlapdServer
from deploy.local.slapd_conf import SERVICE_DN

__all__ = [
    "HOST",
    "ON_THIS_MACHINE",
    "SERVICE_DN",
    "PostgresConfig",
    "PostgresServer",
    "PrometheusConfig",
    "PrometheusServer",
    "RabbitConfig",
    "RabbitServer",
    "SambaConfig",
    "SambaServer",
    "Server",
    "ServerConfig",
    "ServerFailedError",
    "ServerKinds",
    "ServerMissingError",
    "SlapdConfig",
    "SlapdServer",
    "installed_major",
]


@dataclass(frozen=True, kw_only=True)
class ServerKinds:
    """The classes of an installation's servers, and the major version of its broker."""

    postgres: type[PostgresServer] = PostgresServer
    rabbitmq: type[RabbitServer] = RabbitServer
    slapd: type[SlapdServer] = SlapdServer
    samba: type[SambaServer] = SambaServer
    broker_major: Callable[[], int] = installed_major


ON_THIS_MACHINE = ServerKinds()
