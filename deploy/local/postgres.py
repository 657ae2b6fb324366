"""A private PostgreSQL."""

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psycopg
from typing_extensions import override

from deploy.local.server import HOST, Server, ServerConfig, ServerMissingError, write_private

_SYSTEM_USER = "postgres"
# Not synchronous_commit=off: that would lose confirmed commits at a mere kill -9.
_NOT_DURABLE = ("fsync=off", "full_page_writes=off")


@dataclass(frozen=True, kw_only=True)
class PostgresConfig(ServerConfig):
    """A private PostgreSQL.

    Attributes:
        password: Of the superuser `postgres`, used when the data folder is made.
        database: Made with the data folder.
        durable: False is faster and loses data at a crash of the machine; a `kill -9` alone it survives.
        shared_buffers: In PostgreSQL's notation.
    """

    password: str
    database: str = "stafett"
    durable: bool = True
    shared_buffers: str = "128MB"


class PostgresServer(Server[PostgresConfig]):
    """PostgreSQL of the newest installed version, on 127.0.0.1 only, scram passwords, no Unix socket."""

    name: ClassVar[str] = "postgres"
    # "Fast": disconnects the clients; SIGTERM would wait for them.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.config.folder / "data"

    @property
    @override
    def pid_file(self) -> Path:
        """PostgreSQL's own lock file."""
        return self.data / "postmaster.pid"

    @property
    @override
    def url(self) -> str:
        """The superuser's way to the configured database."""
        return self.url_for(_SYSTEM_USER, self.config.password)

    def url_for(self, user: str, password: str, database: str | None = None) -> str:
        """Give the URL for another user or database."""
        return f"postgresql://{user}:{password}@{HOST}:{self.config.port}/{database or self.config.database}"

    @override
    def prepare(self) -> None:
        """Run initdb and make the database, unless that has been done."""
        done = self.config.folder / "prepared"
        binaries()
        if done.exists() and self.data.exists():
            return
        self.config.folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        shutil.rmtree(self.data, ignore_errors=True)  # what an interrupted initdb has left
        self.data.mkdir(mode=0o700)
        password_file = self.config.folder / "password"
        write_private(password_file, self.config.password)
        if os.geteuid() == 0:
            for path in (self.data, password_file):
                shutil.chown(path, _SYSTEM_USER, _SYSTEM_USER)
        self._initdb(password_file)
        done.touch()

    def _initdb(self, password_file: Path) -> None:
        sync = [] if self.config.durable else ["--no-sync"]
        options = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", *sync]
        self._run(self._as_postgres("initdb", "-D", str(self.data), f"--pwfile={password_file}", *options))
        password_file.unlink()
        create = f"CREATE DATABASE {self.config.database};\n"
        self._run(self._as_postgres("postgres", "--single", "-D", str(self.data), "postgres"), stdin=create)

    @override
    def command(self) -> list[str]:
        """Run the server with its settings on the command line, where `ps` shows them."""
        settings = [
            f"listen_addresses={HOST}",
            f"port={self.config.port}",
            "unix_socket_directories=",
            "max_connections=200",
            f"shared_buffers={self.config.shared_buffers}",
            "max_wal_size=2GB",
            "timezone=UTC",
            "log_timezone=UTC",
            *(() if self.config.durable else _NOT_DURABLE),
        ]
        return self._as_postgres(
            "postgres", "-D", str(self.data), *(part for setting in settings for part in ("-c", setting))
        )

    @override
    def ready(self) -> bool:
        """Log in to the configured database."""
        try:
            with psycopg.connect(self.url, connect_timeout=2, autocommit=True) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def _as_postgres(self, program: str, *arguments: str) -> list[str]:
        """PostgreSQL refuses to run as root: then run it as the user of the Debian package."""
        argv = [str(binaries() / program), *arguments]
        if os.geteuid() != 0:
            return argv
        identity = [f"--reuid={_SYSTEM_USER}", f"--regid={_SYSTEM_USER}", "--init-groups"]
        if not _traversable(self.config.folder.resolve()):
            # A clone below /root (0700): the one right that is missing is given to this process only.
            capability = _search_capability()
            identity += [f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"]
        return ["/usr/bin/setpriv", *identity, "--", *argv]


def binaries() -> Path:
    """Find the folder with the programs of the newest installed PostgreSQL.

    Raises:
        ServerMissingError: There is none.
    """
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found:
        message = "PostgreSQL is not installed (Debian package: postgresql)"
        raise ServerMissingError(message)
    return max(found, key=lambda path: int(path.parent.name))


def _traversable(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))


def _search_capability() -> str:
    """Choose the smallest capability that passes closed folders and that this machine's root still has."""
    status = Path("/proc/self/status").read_text()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    cap_dac_read_search = 2
    return "dac_read_search" if effective >> cap_dac_read_search & 1 else "dac_override"
