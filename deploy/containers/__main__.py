"""Containers: `python -m deploy.containers up|down|ps|logs [NAME]|kill NAME|wipe-broker|prepare|clean`."""

import argparse
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress

from deploy.containers.compose import Compose
from deploy.containers.composed import Composed
from deploy.local.__main__ import agreed, print_addresses
from deploy.local.ports import keep_base, kept_base, ports_for
from deploy.local.server import ServerFailedError, ServerMissingError
from deploy.local.settings import WrongSettingError, local_settings

_INTERRUPTED = 130
_PROGRAMS = ("postgres", "rabbitmq", "openldap")


def up(compose: Compose) -> int:
    """Build the images, start everything and wait until it is ready."""
    ours = compose.installation
    if ours.ports.base is not None:
        keep_base(ours.folder, ours.ports.base)
    compose.up()
    print_addresses(ours)
    return 0


def down(compose: Compose) -> int:
    """Stop everything; the data stays in volumes."""
    compose.shut_down()
    print("Down.")
    return 0


def ps(compose: Compose) -> int:
    """Show what runs and whether it is ready."""
    if not compose.running:
        print("Not up. Start with: RUNTIME=docker make up")
        return 0
    print(compose.run("ps", "--all"), end="")
    for name, service in compose.installation.services.items():
        print(f"{name}: {service.url}/readyz {service.readiness()[1]}")
    return 0


def clean(compose: Compose) -> int:
    """Stop everything and delete all data and secrets, after asking."""
    folder = compose.installation.folder
    if not folder.exists():
        print("Nothing to clean.")
        return 0
    if not local_settings().force and not agreed(folder):
        return 1
    compose.shut_down(volumes=True)
    shutil.rmtree(folder)
    print("Clean.")
    return 0


def wipe_broker(compose: Compose) -> int:
    """Kill the broker, delete everything it remembers, and start it again."""
    compose.run("kill", "--signal", "KILL", "rabbitmq")
    # in its volume, with the image's own shell: the definitions load again when it starts
    compose.run("run", "--rm", "--no-deps", "--entrypoint", "sh", "rabbitmq", "-c", "rm -rf /var/lib/rabbitmq/mnesia")
    compose.run("start", "rabbitmq")
    print("The broker is back, with nothing in it.")
    return 0


def prepare(compose: Compose) -> int:
    """Only write secrets and configuration, for whoever runs docker compose by hand."""
    compose.installation.prepare()
    print(f"docker compose --env-file {compose.installation.compose_file} up")
    return 0


def kill(compose: Compose, name: str) -> int:
    """Kill one container with SIGKILL and start it again, to see that nothing is lost."""
    known = [*_PROGRAMS, *compose.installation.services]
    if name not in known:
        print(f"{name or 'NAME'}: one of {', '.join(known)}", file=sys.stderr)
        return 2
    compose.run("kill", "--signal", "KILL", name)
    compose.run("start", name)
    print(f"Killed {name}, and started it again.")
    return 0


def logs(compose: Compose, name: str) -> int:
    """Follow the logs until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        compose.run("logs", "--follow", "--tail", "50", *([name] if name else []), shown=True)
    return 0


def main() -> int:
    """Do what the first argument says."""
    settled: dict[str, Callable[[Compose], int]] = {
        "up": up,
        "down": down,
        "ps": ps,
        "clean": clean,
        "wipe-broker": wipe_broker,
        "prepare": prepare,
    }
    named: dict[str, Callable[[Compose, str], int]] = {"logs": logs, "kill": kill}
    parser = argparse.ArgumentParser(prog="python -m deploy.containers", description=__doc__)
    parser.add_argument("command", choices=[*settled, *named])
    parser.add_argument("name", nargs="?", default="", help="of one container, for logs and kill")
    options = parser.parse_args()
    try:
        settings = local_settings()
        asked = settings.port_base
        kept = kept_base(settings.folder)
        # only `up` and `prepare` choose; everything else means what is there
        ports = ports_for(settings.folder, asked if options.command in ("up", "prepare") else kept or asked)
        compose = Compose(Composed(settings.folder, ports))
        if options.command in named:
            return named[options.command](compose, options.name)
        return settled[options.command](compose)
    except KeyboardInterrupt:
        print(f"\nStopped. Go on with: RUNTIME=docker make {options.command}", file=sys.stderr)
        return _INTERRUPTED
    except (ServerFailedError, ServerMissingError, WrongSettingError) as failure:
        print(failure, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
