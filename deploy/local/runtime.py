"""What one may do with an installation, whatever it runs in: the commands behind make."""

import argparse
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from deploy.local.installation import Installation
from deploy.local.ports import Ports, keep_base, kept_base, ports_for
from deploy.local.server import HOST, ServerFailedError, ServerMissingError
from deploy.local.settings import WrongSettingError, local_settings

_INTERRUPTED = 130
_SETTLED = ("up", "down", "ps", "clean", "prepare", "wipe-broker")
_NAMED = ("logs", "kill")
OBSERVED = "observed"
"""A file in the installation's folder: a Prometheus belongs to it until `make down`."""


class Runtime(ABC):
    """An installation, and how it is brought up and taken down; commands return an exit code."""

    make: ClassVar[str]
    ready_seconds: ClassVar[float]

    def __init__(self, installation: Installation) -> None:
        self.installation = installation

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether anything of it runs."""

    @abstractmethod
    def start(self) -> None:
        """Start whatever does not run yet; services need not be ready.

        Raises:
            ServerMissingError: Something is not installed.
            ServerFailedError: Something did not come up.
        """

    @abstractmethod
    def shut_down(self, *, data: bool = False) -> None:
        """Stop everything; with `data` delete what lies outside the installation's folder too."""

    @abstractmethod
    def status(self) -> str:
        """Give a line for each program."""

    @abstractmethod
    def log_tail(self, name: str) -> str:
        """Give the last lines that a program has logged."""

    @abstractmethod
    def wipe_broker(self) -> int:
        """Kill the broker, delete everything it remembers, and start it again."""

    @abstractmethod
    def kill(self, name: str) -> int:
        """Kill one program with SIGKILL, to see that nothing is lost; it starts again."""

    @abstractmethod
    def logs(self, name: str) -> int:
        """Follow the logs until Ctrl-C; of one program, or of all without a name."""

    def up(self) -> int:
        """Start everything that does not run yet, and wait until it is ready."""
        ours = self.installation
        if ours.ports.base is not None:
            keep_base(ours.folder, ours.ports.base)
        if ours.observed:
            (ours.folder / OBSERVED).touch()
        self.start()
        self._wait_for_services()
        self._print_addresses()
        return 0

    def _wait_for_services(self) -> None:
        deadline = time.monotonic() + self.ready_seconds
        for name, service in self.installation.services.items():
            while not (state := service.readiness())[0]:
                if time.monotonic() > deadline:
                    message = f"{name} is not ready after {self.ready_seconds:.0f} s. GET {service.url}/readyz: "
                    raise ServerFailedError(f"{message}{state[1]}\nIts log ends:\n{self.log_tail(name)}")
                time.sleep(0.1)

    def _print_addresses(self) -> None:
        ours = self.installation
        print()
        for name, service in ours.services.items():
            print(f"  {name:<10} {service.url}")
        print(f"  {'directory':<10} {ours.slapd.url}")
        if ours.active_directory:
            print(f"  {'windows':<10} {ours.samba.url}")
        if ours.simulators:
            print(
                f"  {'entra':<10} https://{HOST}:{ours.ports.graph_api}        (simulated; what is in it: graph above)"
            )
        if ours.observed:
            print(f"  {'prometheus':<10} {ours.prometheus.url}")
        print()
        print(f"  Pages:     {ours.services['portal'].url}        (choose who to be)")
        print(f"  A token:   {self.make} token ORG=alvsund        (prints it, and keeps it for the stafett command)")
        print(
            f"  Look:      {self.make} ps, {self.make} logs, {self.make} logs SERVICE=accounts"
            f"        Stop:  {self.make} down"
        )

    def prepare(self) -> int:
        """Only write secrets and configuration."""
        self.installation.prepare()
        return 0

    def down(self) -> int:
        """Stop everything; the data stays."""
        self.shut_down()
        (self.installation.folder / OBSERVED).unlink(missing_ok=True)
        print("Down.")
        return 0

    def ps(self) -> int:
        """Show what runs and whether it is ready."""
        if not self.running:
            print(f"Not up. Start with: {self.make} up")
            return 0
        print(self.status(), end="")
        ours = self.installation
        for name, service in ours.services.items():
            print(f"{name}: {service.url}/readyz {service.readiness()[1]}")
        if ours.observed:
            up, all_ = ours.prometheus.targets_up()
            print(f"prometheus: {ours.prometheus.url} {up} of {all_} targets up")
        return 0

    def clean(self) -> int:
        """Stop everything and delete all data and secrets, after asking."""
        folder = self.installation.folder
        if not folder.exists():
            print("Nothing to clean.")
            return 0
        if not local_settings().force and not _agreed(folder, self.make):
            return 1
        self.shut_down(data=True)
        shutil.rmtree(folder)
        print("Clean.")
        return 0


def _agreed(folder: Path, make: str) -> bool:
    """Ask whether the folder with all data and secrets shall be deleted; without a terminal nobody agrees."""
    if not sys.stdin.isatty():
        print(f"Nothing deleted: there is no terminal to ask at. To delete without asking: FORCE=1 {make} clean")
        return False
    try:
        answer = input(f"Delete {folder} with all data and secrets of the local run? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in {"y", "yes", "j", "ja"}:
        print("Nothing deleted.")
        return False
    return True


def run(program: str, make: str, folder: Path, runtime: Callable[[Path, Ports, bool], Runtime]) -> int:
    """Do what the first argument of the command line says.

    Args:
        program: What the command line begins with.
        make: What a person types before a target.
        folder: Where the installation lives.
        runtime: Makes the runtime from the folder, its ports, and whether a Prometheus watches it.
    """
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("command", choices=[*_SETTLED, *_NAMED])
    parser.add_argument("name", nargs="?", default="", help="of one program, for logs and kill")
    options = parser.parse_args()
    try:
        wanted = local_settings()
        # only these choose; everything else means what is there
        chooses = options.command in ("up", "prepare")
        asked = wanted.port_base if chooses else kept_base(folder) or wanted.port_base
        observed = wanted.observed or (folder / OBSERVED).exists()
        here = runtime(folder, ports_for(folder, asked), observed)
        if options.command == "kill":
            return here.kill(options.name)
        if options.command == "logs":
            return here.logs(options.name)
        settled: dict[str, Callable[[], int]] = {
            "up": here.up,
            "down": here.down,
            "ps": here.ps,
            "clean": here.clean,
            "prepare": here.prepare,
            "wipe-broker": here.wipe_broker,
        }
        return settled[options.command]()
    except KeyboardInterrupt:
        print(f"\nStopped. Go on with: {make} {options.command}     Take down: {make} down", file=sys.stderr)
        return _INTERRUPTED
    except (ServerFailedError, ServerMissingError, WrongSettingError) as failure:
        print(failure, file=sys.stderr)
        return 1
