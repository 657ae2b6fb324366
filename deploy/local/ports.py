"""Which ports the local run uses."""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import ClassVar

from deploy.local.server import HOST
from deploy.local.settings import DEFAULT_BASE

_CHOICE = random.SystemRandom()
LDAPS = 636
"""Samba serves it there and nowhere else, so each domain controller has an address of its own within 127.0.0.0/8."""
# Below the range from which the kernel takes the ports of outgoing connections (32768 and up).
_PRIVATE_RANGE = range(20000, 32000)
_BLOCK = 1_500


@dataclass(frozen=True, kw_only=True)
class Ports:
    """One port on 127.0.0.1 for each listener of an installation; `http` and `metrics` by the name of the service.

    `samba` is an address of its own: that server's port is always the same. `graph_api` is where the simulator of
    Microsoft Graph is Graph; where it shows and is told what it holds is in `http`.
    """

    SERVICE_OFFSETS: ClassVar[dict[str, int]] = {
        "ingestion": 1,
        "accounts": 2,
        "status": 3,
        "orgtree": 4,
        "portal": 10,
        "provider": 11,
        "graph": 13,
    }
    METRICS_DISTANCE: ClassVar[int] = 20

    http: dict[str, int]
    metrics: dict[str, int]
    postgres: int
    rabbitmq: int
    epmd: int
    dist: int
    slapd: int
    prometheus: int
    graph_api: int
    samba: str
    base: int | None = None

    @classmethod
    def from_base(cls, base: int) -> "Ports":
        """Lay all ports out at fixed distances above `base`."""
        return cls(
            http={service: base + offset for service, offset in cls.SERVICE_OFFSETS.items()},
            metrics={service: base + offset + cls.METRICS_DISTANCE for service, offset in cls.SERVICE_OFFSETS.items()},
            postgres=base + 32,
            rabbitmq=base + 72,
            epmd=base + 73,
            dist=base + 74,
            slapd=base + 89,
            prometheus=base + 90,
            graph_api=base + 12,
            samba=f"127.64.{base >> 8}.{base & 255}",
            base=base,
        )

    @classmethod
    def free(cls) -> "Ports":
        """Choose ports that nobody listens on now, for a private installation in a test."""
        names = list(cls.SERVICE_OFFSETS)
        chosen = iter(free_ports(2 * len(names) + 7))
        return cls(
            http={name: next(chosen) for name in names},
            metrics={name: next(chosen) for name in names},
            postgres=next(chosen),
            rabbitmq=next(chosen),
            epmd=next(chosen),
            dist=next(chosen),
            slapd=next(chosen),
            prometheus=next(chosen),
            graph_api=next(chosen),
            samba=free_address(LDAPS),
        )

    def by_name(self) -> dict[str, int]:
        """Give every port by the name of what listens there."""
        servers = ("postgres", "rabbitmq", "epmd", "dist", "slapd", "prometheus", "graph_api")
        metrics = {f"{name}'s metrics": port for name, port in self.metrics.items()}
        return {**self.http, **metrics, **{name: getattr(self, name) for name in servers}}


def kept_base(folder: Path) -> int | None:
    """Return the base with which the installation in this folder was last brought up."""
    try:
        return int((folder / "port_base").read_text())
    except (OSError, ValueError):
        return None


def keep_base(folder: Path, base: int) -> None:
    """Keep the base for the commands that follow."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    (folder / "port_base").write_text(f"{base}\n")


def ports_for(folder: Path, asked: int | None) -> Ports:
    """Lay the ports out at the base asked for, else at that of last time."""
    return Ports.from_base(asked or kept_base(folder) or DEFAULT_BASE)


def free_ports(count: int) -> list[int]:
    """Choose `count` different ports that can be bound on 127.0.0.1 now, and that no other process chooses."""
    return list(islice(filter(bindable, _ours()), count))


@cache
def _ours() -> Iterator[int]:
    """Yield the ports of a block that is this process's until it ends, again and again.

    A port is free before it is bound, and while its server is down: who chooses at random meets it then.
    """
    folder = Path(tempfile.gettempdir()) / f"stafett-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    blocks = [range(first, first + _BLOCK) for first in range(_PRIVATE_RANGE.start, _PRIVATE_RANGE.stop, _BLOCK)]
    for block in _CHOICE.sample(blocks, len(blocks)):
        claim = os.open(folder / str(block.start), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(claim)
        else:
            return cycle(block)
    return cycle(_CHOICE.sample(_PRIVATE_RANGE, len(_PRIVATE_RANGE)))


def free_address(port: int) -> str:
    """Choose an address of this machine on which nobody listens on `port`, for a server that cannot choose its port."""
    while True:
        address = f"127.{_CHOICE.randrange(64, 128)}.{_CHOICE.randrange(256)}.{_CHOICE.randrange(1, 255)}"
        if bindable(port, address):
            return address


def bindable(port: int, address: str = HOST) -> bool:
    """Say whether a server could listen on this port of an address of this machine now."""
    with socket.socket() as link:
        # As servers do: connections that linger from the last run are no obstacle.
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            link.bind((address, port))
        except OSError:
            return False
    return True
