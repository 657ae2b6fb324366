"""Containers: `python -m deploy.containers up|down|ps|logs [NAME]|kill NAME|wipe-broker|prepare|clean`."""

import sys
from contextlib import suppress

from typing_extensions import override

from deploy.containers.compose import Compose
from deploy.containers.composed import Composed
from deploy.local.runtime import Runtime, run
from deploy.local.settings import ROOT, local_settings

_SERVERS = ("postgres", "rabbitmq", "openldap", "graph")
_WINDOWS = ("samba",)


class Containers(Runtime):
    """What docker-compose.yml says."""

    make = "RUNTIME=docker make"
    ready_seconds = 120.0

    def __init__(self, installation: Composed) -> None:
        super().__init__(installation)
        self._composed = installation
        self._compose = Compose(installation)

    @property
    @override
    def running(self) -> bool:
        return self._compose.running

    @override
    def start(self) -> None:
        self._compose.up()
        self._composed.tell_the_command()

    @override
    def prepare(self) -> int:
        super().prepare()
        print(f"docker compose --env-file {self._compose.variables} up")
        return 0

    @override
    def shut_down(self, *, data: bool = False) -> None:
        self._compose.shut_down(volumes=data)

    @override
    def status(self) -> str:
        return self._compose.run("ps", "--all")

    @override
    def log_tail(self, name: str) -> str:
        return self._compose.run("logs", "--no-color", "--tail", "25", name)

    @override
    def wipe_broker(self) -> int:
        self._compose.run("kill", "--signal", "KILL", "rabbitmq")
        # in its volume, with the image's own shell: the definitions load again when it starts
        wipe = ("--entrypoint", "sh", "rabbitmq", "-c", "rm -rf /var/lib/rabbitmq/mnesia")
        self._compose.run("run", "--rm", "--no-deps", *wipe)
        self._compose.run("start", "rabbitmq")
        print("The broker is back, with nothing in it.")
        return 0

    @override
    def kill(self, name: str) -> int:
        windows = _WINDOWS if self.installation.active_directory else ()
        known = (*_SERVERS, *windows, *self.installation.databases)
        if name not in known:
            print(f"{name or 'NAME'}: one of {', '.join(known)}", file=sys.stderr)
            return 2
        self._compose.run("kill", "--signal", "KILL", name)
        self._compose.run("start", name)
        print(f"Killed {name}, and started it again.")
        return 0

    @override
    def logs(self, name: str) -> int:
        with suppress(KeyboardInterrupt):
            self._compose.run("logs", "--follow", "--tail", "50", *([name] if name else []), shown=True)
        return 0


if __name__ == "__main__":
    sys.exit(
        run(
            "python -m deploy.containers",
            Containers.make,
            ROOT / ".run-docker",
            lambda folder, ports, observed: Containers(
                Composed(
                    folder, ports, observed=observed, active_directory=local_settings().active_directory is not False
                )
            ),
        )
    )
