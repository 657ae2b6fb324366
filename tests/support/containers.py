"""The test servers in containers (testcontainers), in the shape of the private ones.

A server keeps its data in its container, so that a stop or a kill loses nothing; a wipe removes the container. What is
left at the end of the session is removed by its label.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import docker
from docker.errors import DockerException, NotFound
from docker.models.containers import Container
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from typing_extensions import override

from deploy.containers.compose import OPENLDAP, SAMBA, build
from deploy.containers.composed import BROKER_MAJOR, samba_files, slapd_files
from deploy.local.certificates import tls_files
from deploy.local.ports import LDAPS
from deploy.local.server import ConfigT_co, Server, ServerFailedError, ServerMissingError, listens
from deploy.local.servers import (
    PostgresConfig,
    PostgresServer,
    RabbitConfig,
    RabbitServer,
    SambaConfig,
    SambaServer,
    ServerKinds,
    SlapdConfig,
    SlapdServer,
)

LABEL = f"se.stafett.test.session={os.getpid()}"
KILLED_SECONDS = 30


@cache
def engine() -> docker.DockerClient:
    """Return a client of this machine's Docker.

    Raises:
        ServerMissingError: There is none.
    """
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except DockerException as missing:
        message = "there is no Docker here"
        raise ServerMissingError(message) from missing
    # what the session leaves is removed by its label; a helper container more is not needed for that
    testcontainers_config.ryuk_disabled = True
    return client


@cache
def built(image: str) -> str:
    """Build one of our images, once a session."""
    build(image)
    return image


def remove_all() -> None:
    """Remove every container of this session with its data."""
    for container in engine().containers.list(all=True, filters={"label": LABEL}):
        with suppress(NotFound):
            container.remove(force=True, v=True)


class InContainer(Server[ConfigT_co]):
    """Overrides what a server does with its processes. The container is found by its folder, from any object.

    Not by its port alone: stopped ones are kept to the session's end, and another may get the port of one of them.
    """

    inner_port: ClassVar[int]
    rights: ClassVar[Mapping[str, Any]] = {}
    """What the container may do, where that is less than Docker gives."""

    def describe(self) -> DockerContainer:
        """Say what to run; the name, the port and the label come on top."""
        raise NotImplementedError

    @property
    def container(self) -> Container | None:
        """The container, running or not."""
        try:
            return engine().containers.get(self._name)
        except NotFound:
            return None

    @property
    def _name(self) -> str:
        folder = hashlib.sha256(str(self.config.folder.resolve()).encode()).hexdigest()
        return f"stafett-test-{self.name}-{self.config.port}-{folder[:8]}"

    @property
    @override
    def pid(self) -> int | None:
        one = self.container
        return int(one.attrs["State"]["Pid"]) if one is not None and one.status in ("running", "paused") else None

    @override
    def launch(self) -> None:
        if self.pid is not None:
            return
        if listens(self.config.port, self.address):
            message = f"{self.name} cannot start: something else listens on {self.address}, port {self.config.port}"
            raise ServerFailedError(message)
        self.prepare()
        if (stopped := self.container) is not None:
            stopped.start()
            return
        label, _, value = LABEL.partition("=")
        description = self.describe().with_name(self._name)
        description.ports = {f"{self.inner_port}/tcp": (self.address, self.config.port)}  # type: ignore[dict-item]
        description.with_kwargs(labels={label: value}, hostname=self.name, **self.rights).start()

    @override
    def stop(self) -> None:
        self.resume()
        if (one := self.container) is not None and one.status == "running":
            one.stop(timeout=int(self.stop_seconds))

    @override
    def kill9(self) -> None:
        if (one := self.container) is not None and self.pid is not None:
            one.kill("SIGKILL")
            if one.status == "paused":
                one.unpause()
            one.wait(timeout=KILLED_SECONDS)

    @override
    def pause(self) -> None:
        if (one := self.container) is not None and one.status == "running":
            one.pause()

    @override
    def resume(self) -> None:
        if (one := self.container) is not None and one.status == "paused":
            one.unpause()

    @override
    def wipe(self) -> None:
        self._refuse_while_running()
        self.forget()
        shutil.rmtree(self.config.folder, ignore_errors=True)

    @override
    def log_tail(self, lines: int = 25) -> str:
        one = self.container
        return "(no container)" if one is None else one.logs(tail=lines).decode(errors="replace")

    def forget(self) -> None:
        """Remove the stopped container and its data."""
        if (one := self.container) is not None:
            one.remove(v=True)

    def _mounted(self, files: dict[str, str]) -> Path:
        """Write what the container reads; whatever user it runs as."""
        folder = self.config.folder / "mounted"
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o644)
        return folder


class PostgresContainer(InContainer[PostgresConfig], PostgresServer):
    """PostgreSQL 17."""

    inner_port = 5432

    @override
    def prepare(self) -> None:
        engine()

    @override
    def describe(self) -> DockerContainer:
        settings = ["max_connections=200", "timezone=UTC", f"shared_buffers={self.config.shared_buffers}"]
        settings += [] if self.config.durable else ["fsync=off", "full_page_writes=off"]
        command = ["postgres", *(part for setting in settings for part in ("-c", setting))]
        return (
            DockerContainer("postgres:17")
            .with_env("POSTGRES_PASSWORD", self.config.password)
            .with_env("POSTGRES_DB", self.config.database)
            .with_command(command)
        )


class RabbitContainer(InContainer[RabbitConfig], RabbitServer):
    """RabbitMQ 4."""

    inner_port = 5672

    @override
    def prepare(self) -> None:
        engine()
        conf = {
            "loopback_users": "none",
            "load_definitions": "/run/stafett/definitions.json",
            "log.console.level": "info",
            "raft.wal_max_size_bytes": "67108864",
            "collect_statistics_interval": "60000",
        }
        lines = "".join(f"{key} = {value}\n" for key, value in conf.items())
        self._mounted({"rabbitmq.conf": lines, "definitions.json": json.dumps(self.config.definitions)})

    @override
    def describe(self) -> DockerContainer:
        return (
            DockerContainer("rabbitmq:4-management")
            .with_env("RABBITMQ_CONFIG_FILE", "/run/stafett/rabbitmq.conf")
            .with_volume_mapping(str(self.config.folder / "mounted"), "/run/stafett", "ro")
        )

    @override
    def control(self, *arguments: str) -> str:
        one = self.container
        if one is None:
            message = f"{self.name} does not run"
            raise ServerFailedError(message)
        done = one.exec_run(["rabbitmqctl", "--quiet", *arguments], demux=True)
        output, errors = ((part or b"").decode() for part in done.output)
        if done.exit_code != 0:
            message = f"rabbitmqctl {' '.join(arguments)} ended with status {done.exit_code}:\n{errors}"
            raise ServerFailedError(message)
        return output

    @override
    def stop(self) -> None:
        self.resume()
        if self.pid is not None:
            # not every image passes the signal on to the node
            with suppress(ServerFailedError):
                self.control("shutdown")
        super().stop()

    @override
    def wipe_data(self) -> None:
        self._refuse_while_running()
        self.forget()


class SlapdContainer(InContainer[SlapdConfig], SlapdServer):
    """OpenLDAP 2.6, from our image."""

    inner_port = 1389

    @override
    def prepare(self) -> None:
        engine()
        tls = self.config.tls
        folder = self._mounted(slapd_files(self.config, encrypted=tls is not None))
        if tls is not None:
            for source, name in ((tls.ca, "ca.crt"), (tls.certificate, "server.crt"), (tls.key, "server.key")):
                shutil.copyfile(source, folder / name)

    @override
    def describe(self) -> DockerContainer:
        return (
            DockerContainer(built(OPENLDAP))
            .with_env("SLAPD_URLS", f"{'ldaps' if self.config.ldaps else 'ldap'}://:{self.inner_port}/")
            .with_volume_mapping(str(self.config.folder / "mounted"), "/run/slapd", "ro")
        )


class SambaContainer(InContainer[SambaConfig], SambaServer):
    """Samba 4.22, from our image, and as little privileged as in docker compose."""

    inner_port = LDAPS
    rights: ClassVar[Mapping[str, Any]] = {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
    }

    @override
    def prepare(self) -> None:
        engine()
        self.config.folder.mkdir(parents=True, exist_ok=True)
        tls = tls_files(self.ca_file.parent, self.address)
        made = {path.name: path.read_text() for path in (tls.ca, tls.certificate, tls.key)}
        self._mounted({**samba_files(self), **made})

    @override
    def describe(self) -> DockerContainer:
        return (
            DockerContainer(built(SAMBA))
            .with_volume_mapping(str(self.config.folder / "mounted"), "/run/samba-dc", "ro")
            .with_tmpfs_mount("/tmp")
        )


IN_CONTAINERS = ServerKinds(
    postgres=PostgresContainer,
    rabbitmq=RabbitContainer,
    slapd=SlapdContainer,
    samba=SambaContainer,
    broker_major=lambda: BROKER_MAJOR,
)
