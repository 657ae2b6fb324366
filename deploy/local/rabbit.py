"""A private RabbitMQ."""

import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from deploy.local import amqp
from deploy.local.server import (
    HOST,
    Server,
    ServerConfig,
    ServerFailedError,
    ServerMissingError,
    listens,
    write_private,
)

_PROGRAMS = Path("/usr/lib/rabbitmq/bin")
_VERSIONS = Path("/usr/lib/rabbitmq/lib")

_MISSING = "RabbitMQ is not installed (Debian package: rabbitmq-server)"


def installed_major() -> int:
    """Return the major version of the RabbitMQ of this machine, by the folder that its package installs.

    Raises:
        ServerMissingError: There is none.
    """
    majors = [int(folder.name.partition("-")[2].partition(".")[0]) for folder in _VERSIONS.glob("rabbitmq_server-*")]
    if not majors:
        raise ServerMissingError(_MISSING)
    return max(majors)


@dataclass(frozen=True, kw_only=True)
class RabbitConfig(ServerConfig):
    """A private RabbitMQ.

    Attributes:
        epmd_port: Of its own Erlang port mapper.
        dist_port: Of Erlang distribution, which rabbitmqctl uses.
        definitions: Virtual hosts, users, permissions and policies, loaded at each boot.
        user: One of the users in them, for `url` and the readiness check.
        password: That user's.
        vhost: The virtual host of `url`.
        cookie: The Erlang cookie; whoever has it commands the node.
    """

    epmd_port: int
    dist_port: int
    definitions: Mapping[str, object]
    user: str
    password: str
    cookie: str
    vhost: str = "stafett"


class RabbitServer(Server[RabbitConfig]):
    """RabbitMQ without plugins, with a node name, cookie, ports and folders of its own, on 127.0.0.1 only."""

    name: ClassVar[str] = "rabbitmq"

    @property
    def data(self) -> Path:
        """The node's whole data: queues, messages, users."""
        return self.config.folder / "mnesia"

    @property
    @override
    def pid_file(self) -> Path:
        """Written by the node itself."""
        return self.config.folder / "rabbitmq.pid"

    @property
    @override
    def url(self) -> str:
        """The configured user's way to the virtual host."""
        return self.url_for(self.config.user, self.config.password)

    def url_for(self, user: str, password: str) -> str:
        """Give the URL for another user."""
        return f"amqp://{user}:{password}@{HOST}:{self.config.port}/{self.config.vhost}"

    @override
    def prepare(self) -> None:
        """Write configuration, definitions and cookie."""
        if not (_PROGRAMS / "rabbitmq-server").exists():
            raise ServerMissingError(_MISSING)
        folder = self.config.folder
        folder.mkdir(parents=True, exist_ok=True)
        write_private(folder / "definitions.json", json.dumps(self.config.definitions, indent=1))
        write_private(folder / "rabbitmq.conf", self._configuration())
        write_private(folder / "enabled_plugins", "[].\n")
        for absent in ("advanced.config", "rabbitmq-env.conf"):
            (folder / absent).unlink(missing_ok=True)
        cookie = folder / ".erlang.cookie"
        if not cookie.exists() or cookie.read_text() != self.config.cookie:
            cookie.unlink(missing_ok=True)
            write_private(cookie, self.config.cookie)

    def _configuration(self) -> str:
        settings = {
            "listeners.tcp.local": f"{HOST}:{self.config.port}",
            "loopback_users": "none",
            "load_definitions": f"{self.config.folder}/definitions.json",
            "log.console": "true",
            "log.console.level": "info",
            "log.file": "false",
            # The default of 512 MB makes each boot and each restart of a quorum queue slower than need be here.
            "raft.wal_max_size_bytes": "67108864",
            "collect_statistics_interval": "60000",
        }
        return "".join(f"{key} = {value}\n" for key, value in settings.items())

    @override
    def command(self) -> list[str]:
        """Run the server's own script: the wrapper in the path would switch to another user."""
        return [str(_PROGRAMS / "rabbitmq-server")]

    @override
    def environment(self) -> dict[str, str]:
        """Point everything that RabbitMQ keeps elsewhere into its folder."""
        folder = self.config.folder
        return {
            **super().environment(),
            "RABBITMQ_NODENAME": f"stafett_{self.config.port}@localhost",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/rabbitmq-env.conf",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/advanced.config",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{folder}/generated",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": str(self.data),
            "RABBITMQ_MNESIA_DIR": f"{self.data}/node",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": str(self.pid_file),
            "RABBITMQ_DIST_PORT": str(self.config.dist_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self.config.epmd_port),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_CRASH_DUMP": f"{folder}/erl_crash.dump",
            # Makes the script exec the Erlang machine instead of waiting for it, so that its pid is the node's.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    @override
    def ready(self) -> bool:
        """Log in and open the virtual host."""
        config = self.config
        return amqp.can_open(HOST, config.port, user=config.user, password=config.password, vhost=config.vhost)

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node and give its output.

        Raises:
            ServerFailedError: It refused.
        """
        argv = [str(_PROGRAMS / "rabbitmqctl"), "--quiet", *arguments]
        done = subprocess.run(argv, env=self.environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            message = f"rabbitmqctl {' '.join(arguments)} ended with status {done.returncode}:\n{done.stderr}"
            raise ServerFailedError(message)
        return done.stdout

    def wipe_data(self) -> None:
        """Delete everything the broker remembers, but keep its configuration; the definitions load at the next start.

        Raises:
            ServerFailedError: It still runs.
        """
        self._refuse_while_running()
        shutil.rmtree(self.data, ignore_errors=True)

    def stop_epmd(self, patience: float = 5.0) -> None:
        """Stop the node's own Erlang port mapper, a daemon that the node starts and leaves behind."""
        deadline = time.monotonic() + patience
        # It refuses while it still lists a node, which may be for a moment after the node's death.
        while listens(self.config.epmd_port) and time.monotonic() < deadline:
            subprocess.run(["/usr/bin/epmd", "-kill"], env=self.environment(), capture_output=True, check=False)
            time.sleep(0.02)

    @override
    def _after_end(self) -> None:
        self.stop_epmd()
