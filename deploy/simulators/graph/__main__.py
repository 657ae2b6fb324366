"""The Graph simulator as a program of an installation, set by the environment alone: see `deploy.simulators`."""

import asyncio
import sys

from deploy.simulators.graph.serving import serve
from deploy.simulators.settings import GraphSettings


def main() -> int:
    """Serve until stopped."""
    asyncio.run(serve(GraphSettings()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
