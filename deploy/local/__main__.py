"""The local run: `python -m deploy.local up|down|ps|logs [NAME]|kill NAME|wipe-broker|prepare|clean`."""

import subprocess
import sys
from contextlib import suppress

from typing_extensions import override

from deploy.local.installation import Installation
from deploy.local.ports import bindable, kept_base
from deploy.local.runtime import Runtime, run
from deploy.local.server import Server, ServerConfig, ServerFailedError
from deploy.local.settings import ROOT, local_settings
from deploy.local.supervision import Supervision


class Processes(Runtime):
    """Private servers and services on this machine, under supervisor."""

    make = "make"
    ready_seconds = 60.0

    def __init__(self, installation: Installation) -> None:
        super().__init__(installation)
        self._supervision = Supervision(installation)

    @property
    def _programs(self) -> dict[str, Server[ServerConfig]]:
        servers = {server.name: server for server in self.installation.servers}
        return {**servers, **self.installation.services}

    @property
    @override
    def running(self) -> bool:
        return self._supervision.running

    @override
    def up(self) -> int:
        self._refuse()
        return super().up()

    def _refuse(self) -> None:
        base = self.installation.ports.base
        if not self.running:
            if taken := _taken_ports(self.installation):
                raise ServerFailedError(taken)
        elif base is not None and (kept := kept_base(self.installation.folder) or base) != base:
            message = f"Already up on {kept}; make down first."
            raise ServerFailedError(message)

    @override
    def start(self) -> None:
        ours = self.installation
        if self._supervision.all_running() and all(program.ready() for program in self._programs.values()):
            print("Already up.")
            return
        ours.prepare()
        for service in ours.services.values():
            service.prepare()
        self._supervision.launch()
        self._supervision.start(*(server.name for server in ours.servers))
        for server in ours.servers:
            server.wait_ready()
        ours.migrate()
        self._supervision.start(*ours.services)

    @override
    def shut_down(self, *, data: bool = False) -> None:
        self._supervision.shut_down()

    @override
    def status(self) -> str:
        return self._supervision.status()

    @override
    def log_tail(self, name: str) -> str:
        return self._programs[name].log_tail()

    @override
    def wipe_broker(self) -> int:
        broker = self.installation.rabbitmq
        self._supervision.stop("rabbitmq")
        broker.stop()
        broker.wipe_data()
        self._supervision.start("rabbitmq")
        broker.wait_ready()
        print("The broker is back, with nothing in it.")
        return 0

    @override
    def kill(self, name: str) -> int:
        if name not in self._programs:
            print(f"{name or 'NAME'}: one of {', '.join(self._programs)}", file=sys.stderr)
            return 2
        self._programs[name].kill9()
        print(f"Killed {name}.")
        return 0

    @override
    def logs(self, name: str) -> int:
        folder = self.installation.folder / "log"
        files = sorted(folder.glob(f"{name or '*'}.log"))
        if not files:
            print(f"No log of {name or 'anything'} in {folder}.", file=sys.stderr)
            return 1
        with suppress(KeyboardInterrupt):
            subprocess.run(["tail", "-n", "50", "-F", *map(str, files)], check=False)
        return 0


def _taken_ports(installation: Installation) -> str:
    """Say which of our ports somebody else holds, and what to do; empty when none is."""
    lines = []
    for name, port in installation.ports.by_name().items():
        if not bindable(port):
            held = subprocess.run(
                ["ss", "-ltnpH", f"sport = :{port}"], capture_output=True, text=True, check=False
            ).stdout.strip()
            lines.append(f"Port {port}, which {name} needs, is taken: {held or 'by a process that cannot be seen'}")
    if lines:
        lines.append(
            "Choose others with STAFETT_PORT_BASE (default 18000), for example: make up STAFETT_PORT_BASE=19000"
        )
        lines.append("If these are left over from an earlier run of this folder: make down")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(
        run(
            "python -m deploy.local",
            Processes.make,
            ROOT / ".run",
            lambda folder, ports, observed: Processes(
                Installation(
                    folder,
                    ports,
                    observed=observed,
                    portal=True,
                    active_directory=local_settings().has_active_directory,
                    graph=True,
                )
            ),
        )
    )
