"""The local run: `python -m deploy.local up|down|ps|logs [NAME]|kill NAME|wipe-broker|clean`."""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from deploy.local.installation import Installation
from deploy.local.ports import bindable, keep_base, kept_base, ports_for
from deploy.local.server import ServerFailedError, ServerMissingError
from deploy.local.settings import ROOT, WrongSettingError, local_settings
from deploy.local.supervision import Supervision

_READY_SECONDS = 60.0
_INTERRUPTED = 130
OBSERVED = "observed"
"""A file in the installation's folder: a Prometheus belongs to it until `make down`."""


def up(installation: Installation, supervision: Supervision) -> int:
    """Start everything that does not run yet, and wait until it is ready."""
    base = installation.ports.base
    if supervision.running:
        if base is not None and (kept := kept_base(installation.folder) or base) != base:
            print(f"Already up on {kept}; make down first.", file=sys.stderr)
            return 1
    elif taken := _taken_ports(installation):
        print(taken, file=sys.stderr)
        return 1
    if base is not None:
        keep_base(installation.folder, base)
    if installation.observed:
        (installation.folder / OBSERVED).touch()
    parts = (*installation.services.values(), *installation.servers)
    already = supervision.all_running() and all(part.ready() for part in parts)
    if already:
        print("Already up.")
    else:
        _bring_up(installation, supervision)
    print_addresses(installation)
    return 0


def _bring_up(installation: Installation, supervision: Supervision) -> None:
    installation.prepare()
    for service in installation.services.values():
        service.prepare()
    supervision.launch()
    supervision.start(*(server.name for server in installation.servers))
    for server in installation.servers:
        server.wait_ready()
    installation.migrate()
    supervision.start(*installation.services)
    _wait_for_services(installation)


def _wait_for_services(installation: Installation) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    for name, service in installation.services.items():
        while not (state := service.readiness())[0]:
            if time.monotonic() > deadline:
                message = f"{name} is not ready after {_READY_SECONDS:.0f} s. GET {service.url}/readyz: {state[1]}"
                raise ServerFailedError(f"{message}\nIts log ends:\n{service.log_tail()}")
            time.sleep(0.1)


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


def print_addresses(installation: Installation) -> None:
    """Say where everything is."""
    print()
    for name, service in installation.services.items():
        print(f"  {name:<10} {service.url}")
    print(f"  {'directory':<10} {installation.slapd.url}")
    if installation.observed:
        print(f"  {'prometheus':<10} {installation.prometheus.url}")
    print()
    print(f"  Pages:     {installation.services['portal'].url}        (choose who to be)")
    print("  A token:   make token ORG=alvsund        (prints it, and keeps it for the stafett command)")
    print("  Look:      make ps, make logs, make logs SERVICE=accounts        Stop:  make down")


def down(installation: Installation, supervision: Supervision) -> int:
    """Stop everything."""
    supervision.shut_down()
    (installation.folder / OBSERVED).unlink(missing_ok=True)
    print("Down.")
    return 0


def ps(installation: Installation, supervision: Supervision) -> int:
    """Show what runs and whether it is ready."""
    if not supervision.running:
        print("Not up. Start with: make up")
        return 0
    print(supervision.status(), end="")
    for name, service in installation.services.items():
        print(f"{name}: {service.url}/readyz {service.readiness()[1]}")
    if installation.observed:
        up, all_ = installation.prometheus.targets_up()
        print(f"prometheus: {installation.prometheus.url} {up} of {all_} targets up")
    return 0


def clean(installation: Installation, supervision: Supervision) -> int:
    """Stop everything and delete all data, after asking."""
    if not installation.folder.exists():
        print("Nothing to clean.")
        return 0
    if not local_settings().force and not agreed(installation.folder):
        return 1
    down(installation, supervision)
    shutil.rmtree(installation.folder)
    print("Clean.")
    return 0


def agreed(folder: Path) -> bool:
    """Ask whether the folder with all data and secrets shall be deleted; without a terminal nobody agrees."""
    if not sys.stdin.isatty():
        print("Nothing deleted: there is no terminal to ask at. To delete without asking: FORCE=1 make clean")
        return False
    try:
        answer = input(f"Delete {folder} with all data and secrets of the local run? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in {"y", "yes", "j", "ja"}:
        print("Nothing deleted.")
        return False
    return True


def wipe_broker(installation: Installation, supervision: Supervision) -> int:
    """Kill the broker, delete everything it remembers, and start it again."""
    supervision.stop("rabbitmq")
    installation.rabbitmq.stop()
    installation.rabbitmq.wipe_data()
    supervision.start("rabbitmq")
    installation.rabbitmq.wait_ready()
    print("The broker is back, with nothing in it.")
    return 0


def kill(installation: Installation, name: str) -> int:
    """Kill one program with SIGKILL, to see that nothing is lost; supervisor starts it again."""
    programs = {server.name: server for server in installation.servers} | dict(installation.services)
    if name not in programs:
        print(f"{name or 'NAME'}: one of {', '.join(programs)}", file=sys.stderr)
        return 2
    programs[name].kill9()
    print(f"Killed {name}.")
    return 0


def logs(installation: Installation, name: str) -> int:
    """Follow the logs until Ctrl-C."""
    files = sorted((installation.folder / "log").glob(f"{name or '*'}.log"))
    if not files:
        print(f"No log of {name or 'anything'} in {installation.folder / 'log'}.", file=sys.stderr)
        return 1
    with suppress(KeyboardInterrupt):
        subprocess.run(["tail", "-n", "50", "-F", *map(str, files)], check=False)
    return 0


def main() -> int:
    """Do what the first argument says."""
    settled: dict[str, Callable[[Installation, Supervision], int]] = {
        "up": up,
        "down": down,
        "ps": ps,
        "clean": clean,
        "wipe-broker": wipe_broker,
    }
    named: dict[str, Callable[[Installation, str], int]] = {"logs": logs, "kill": kill}
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("command", choices=[*settled, *named])
    parser.add_argument("name", nargs="?", default="", help="of one program, for logs and kill")
    options = parser.parse_args()
    folder = ROOT / ".run"
    try:
        wanted = local_settings()
        asked = wanted.port_base
        # only `up` chooses; everything else means what is there
        ports = ports_for(folder, asked if options.command == "up" else kept_base(folder) or asked)
        observed = wanted.observed or (folder / OBSERVED).exists()
        installation = Installation(folder, ports, observed=observed, portal=True)
        if options.command in named:
            return named[options.command](installation, options.name)
        return settled[options.command](installation, Supervision(installation))
    except KeyboardInterrupt:
        print(f"\nStopped. Go on with: make {options.command}     Take down: make down", file=sys.stderr)
        return _INTERRUPTED
    except (ServerFailedError, ServerMissingError, WrongSettingError) as failure:
        print(failure, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
