"""`make demo`: `python -m deploy.demo [--write FOLDER [--people N] [--seed N]]`."""

import argparse
import sys
from pathlib import Path

from deploy.demo.acts import NotConvergedError
from deploy.demo.directory import DirectoryToolError
from deploy.demo.doors import DoorRefusedError
from deploy.demo.files import write
from deploy.demo.house import House
from deploy.demo.people import Plan
from deploy.demo.runtimes import runtime
from deploy.demo.screen import Screen
from deploy.demo.settings import DemoSettings
from deploy.demo.story import Story
from deploy.local.server import ServerFailedError, ServerMissingError
from deploy.local.settings import WrongSettingError, local_settings

_INTERRUPTED = 130


def main() -> int:
    """Play the demo, or write its events to files; exit code 0 when everything converged and all checks held."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=main.__doc__)
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write the events as JSON Lines, start nothing")
    parser.add_argument("--people", type=int, default=None, help="with --write: people in the municipality (1000)")
    parser.add_argument("--seed", type=int, default=1, help="with --write: another municipality of the same kind")
    options = parser.parse_args()
    if options.write:
        for path, count in write(options.write, Plan(seed=options.seed), people=options.people):
            print(f"{path}: {count:,} events")
        return 0
    return _play(DemoSettings())


def _play(settings: DemoSettings) -> int:
    try:
        chosen = runtime(local_settings(), settings.folder)
    except WrongSettingError as wrong:
        print(wrong, file=sys.stderr)
        return 1
    house, held = House(chosen), False
    try:
        held = Story(house, Screen()).play()
    except KeyboardInterrupt:
        print("\nStopped. What was accepted goes on being worked on.", end=" ")
        print(f"Go on with: {chosen.make} demo     Take down: {chosen.make} down")
        return _INTERRUPTED
    except (ServerFailedError, ServerMissingError, DoorRefusedError, DirectoryToolError, NotConvergedError) as failure:
        print(failure, file=sys.stderr)
    if settings.leave:
        chosen.shut_down()
        print("\nDown, as EXIT=1 asks.")
    elif held:
        print(f"\nThe system is up. Stop it with: {chosen.make} down.", end=" ")
        print("Run the demo again: it changes nothing, and says so.")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
