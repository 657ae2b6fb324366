"""`python -m deploy.simulators graph`: run a simulator until it is stopped. For development only."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from deploy.simulators.graph.serving import serve
from deploy.simulators.settings import GraphSettings


def main() -> int:
    """Run the simulator that is named; flags go before the environment."""
    parser = argparse.ArgumentParser(prog="python -m deploy.simulators", description=__doc__)
    parser.add_argument("simulator", choices=("graph",))
    parser.add_argument("--host")
    parser.add_argument("--port", type=int, help="Graph and the token endpoint, TLS")
    parser.add_argument("--control-port", type=int, help="the control API and the page")
    parser.add_argument("--certificate-file", type=Path)
    parser.add_argument("--key-file", type=Path)
    parser.add_argument("--seeds", type=Path, help="a folder of tenants, JSON")
    parser.add_argument("--state", type=Path, help="keep what is in the directories in this file")
    parser.add_argument("--log", type=Path, help="add the request log to this file, as JSON lines")
    parser.add_argument("--seed", type=int)
    options = vars(parser.parse_args())
    options.pop("simulator")
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    asyncio.run(serve(GraphSettings(**given)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
